"""Plant a mistake: one function of our own code, changed in one place, put in its own place."""

import ast
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from types import FrameType
from typing import Any
from unittest.mock import patch

import numpy as np

from gradcheck.case import Case
from gradcheck.judge import judge_widely
from gradcheck.ours import specimens
from gradcheck.plants.plant import Plant, find, mutate
from gradcheck.report import Report

__all__ = ["planted", "Findings", "examine"]


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Inside the block our own code carries the mistake."""
    module = importlib.import_module(plant.file.removesuffix(".py").replace("/", "."))
    *path, name = plant.function.split(".")
    owner = reduce(getattr, path, module)
    tree = ast.Module([find(ast.parse(mutate(plant.source, plant)), plant)], [])
    scope: dict[str, Any] = {}
    exec(compile(tree, plant.name, "exec"), module.__dict__, scope)
    with patch.object(owner, name, scope[name]):
        yield


# --- what the checker says of it ----------------------------------------------


@dataclass
class Findings:
    """What the checker said of a plant."""

    reports: list[Report] = field(default_factory=list)  # the failing ones
    trouble: str = ""  # the planted code raised

    @property
    def found(self) -> bool:
        return bool(self.reports or self.trouble)

    @property
    def causes(self) -> list[str]:
        rows = [row.cause for r in self.reports for row in r.rows if row.cause]
        return [*rows, *(b for r in self.reports for b in r.breaches)]

    @property
    def blames(self) -> list[str]:
        return [r.blame for r in self.reports if r.blame]


def examine(plant: Plant, seed: int = 0, quick: bool = False) -> Findings:
    """The cases that run the planted function; quick: until one layer and one net have failed."""
    findings = Findings()
    with planted(plant):
        for case in specimens.CASES[plant.target](np.random.default_rng(seed)):
            if quick and any(bool(r.blame) == is_net(case) for r in findings.reports):
                continue
            try:
                if runs(case, plant):
                    seconds = 0.0 if quick and is_net(case) else np.inf
                    report = judge_widely(case, seed, seconds=seconds)
                    findings.reports += [] if report.ok else [report]
            except Exception as error:
                if not raised_in(error, plant):
                    raise  # our own trouble is not a find
                findings.trouble = findings.trouble or f"{type(error).__name__}: {error}"
    return findings


def is_net(case: Case) -> bool:
    """Its output is a loss, and its layers can be blamed."""
    return case.blame is not None and not case.forward().ndim


def runs(case: Case, plant: Plant) -> bool:
    """Does one forward and backward pass come through the planted function?"""
    seen = False

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen
        seen = seen or frame.f_code.co_filename == plant.name

    sys.setprofile(watch)
    try:
        case.backward(np.ones(np.shape(case.forward())))
    finally:
        sys.setprofile(None)
    return seen


def raised_in(error: BaseException, plant: Plant) -> bool:
    return any(f.filename == plant.name for f in traceback.extract_tb(error.__traceback__))
