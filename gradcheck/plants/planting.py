"""Plant a mistake: one function of our own code, changed in one place, put in its own place."""

import ast
import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce, wraps
from typing import Any
from unittest.mock import patch

import numpy as np

from gradcheck.case import Case
from gradcheck.judge import judge_widely
from gradcheck.ours import specimens
from gradcheck.ours.equations import functions_of
from gradcheck.plants.plant import Plant, mutate
from gradcheck.report import Report

__all__ = ["planted", "examine", "causes"]


@contextmanager
def planted(plant: Plant) -> Iterator[list[str]]:
    """Inside the block our own code carries the mistake; its calls are noted in the list."""
    node = functions_of(mutate(plant.source, plant))[plant.function]
    module = importlib.import_module(plant.file.removesuffix(".py").replace("/", "."))
    *path, name = plant.function.split(".")
    scope, calls = dict[str, Any](), list[str]()
    exec(compile(ast.Module([node], []), plant.name, "exec"), module.__dict__, scope)

    @wraps(scope[name])
    def noted(*args: Any, **options: Any) -> Any:
        calls.append(name)
        return scope[name](*args, **options)

    with patch.object(reduce(getattr, path, module), name, noted):
        yield calls


def examine(plant: Plant, seed: int = 0) -> list[Report]:
    """What is wrong in the cases that run the function, until one layer and one net have failed."""
    wrong: list[Report] = []
    with planted(plant) as calls:
        for case in specimens.CASES[plant.target](np.random.default_rng(seed)):
            is_net = case.name.startswith("net")
            failed = [report.name.startswith("net") for report in wrong if report.rows]
            if is_net not in failed:
                seconds = 0 if failed else np.inf  # the layer tells the mistake, the net whose
                wrong += judged(case, plant, calls, seed=seed, seconds=seconds)
    return wrong


def judged(case: Case, plant: Plant, calls: list[str], **how: Any) -> list[Report]:
    """The report, if it is wrong; what the planted function raises is a broken rule."""
    calls.clear()
    try:
        case.backward(np.ones(np.shape(case.forward())))
        reports = [judge_widely(case, **how)] if calls else []
    except Exception as error:
        if plant.name not in [f.filename for f in traceback.extract_tb(error.__traceback__)]:
            raise  # our own trouble is not a find
        reports = [Report(case.name, breaches=[f"it raises {type(error).__name__}: {error}"])]
    return [report for report in reports if not report.ok]


def causes(reports: list[Report]) -> list[str]:
    """Every name for the mistake, and every broken rule."""
    rows = [row.cause for report in reports for row in report.rows if row.cause]
    return [*rows, *(breach for report in reports for breach in report.breaches)]
