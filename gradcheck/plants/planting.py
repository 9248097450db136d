"""Plant a mistake: one function of our own code, changed in one place, put in the original's place.

The text to be replaced must stand exactly once in its function, or PlantError: a plant that no
longer applies can never pass for one that was found. Files are only read.
"""

import ast
import difflib
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import numpy as np

from gradcheck.case import Case
from gradcheck.judge import judge_widely
from gradcheck.ours import specimens
from gradcheck.report import Report

__all__ = ["Plant", "PlantError", "mutate", "diff", "planted", "Findings", "examine"]

ROOT = Path(__file__).resolve().parents[2]


class PlantError(ValueError):
    """The line to be changed is not there, or not once: the code has moved on."""


@dataclass(frozen=True)
class Plant:
    """One classical mistake: in `function` of `file`, `old` becomes `new`."""

    name: str
    file: str  # "net.py", "cnn/layers.py"
    function: str  # "FullyConnectedLayer.backward"
    old: str
    new: str
    blame: str  # what the blame pass must name
    cause: str = ""  # a pattern that the sentence must match; empty: none is expected
    story: str = ""  # why the numbers look so

    @property
    def target(self) -> str:
        """The implementation it is planted in: functional, net or cnn."""
        return {"functional_net.py": "functional", "net.py": "net"}.get(self.file, "cnn")

    @property
    def source(self) -> str:
        """The file as it is."""
        return (ROOT / self.file).read_text(encoding="utf-8")


# --- the changed source -------------------------------------------------------


def find(tree: ast.AST, plant: Plant) -> Any:
    """The node of the function, "Class.method"."""
    node: Any = tree
    for name in plant.function.split("."):
        found = [n for n in node.body if getattr(n, "name", None) == name]
        if len(found) != 1:
            raise PlantError(f"{plant.name}: no {plant.function} in {plant.file}")
        node = found[0]
    return node


def mutate(source: str, plant: Plant) -> str:
    """The source with the mistake in it."""
    node, lines = find(ast.parse(source), plant), source.splitlines(keepends=True)
    start, end = node.lineno - 1, node.end_lineno
    scope = "".join(lines[start:end])
    if (count := scope.count(plant.old)) != 1:
        raise PlantError(
            f"{plant.name}: {plant.old!r} stands {count} times in {plant.function} of {plant.file}"
        )
    return "".join([*lines[:start], scope.replace(plant.old, plant.new), *lines[end:]])


def diff(plant: Plant) -> list[str]:
    """The planted line, as a diff."""
    before, after = plant.source.splitlines(), mutate(plant.source, plant).splitlines()
    lines = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
    return [f"{plant.file}, {plant.function}", *lines]


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
