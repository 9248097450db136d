"""Plant a mistake: change one line of a copy of our own code, and see whether the checker finds it.

The text to be replaced must stand exactly once in its function, or PlantError: a plant that no
longer applies can never pass for one that was found. Files are only read.
"""

import ast
import difflib
import importlib
import importlib.abc
import importlib.machinery
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from gradcheck import specimens
from gradcheck.case import Case
from gradcheck.judge import judge_widely
from gradcheck.report import Report

__all__ = ["Plant", "PlantError", "planted_source", "diff", "grow", "examine", "Harvest"]

ROOT = Path(specimens.__file__).parents[1]


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
    story: str = ""  # the mistake in words

    @property
    def target(self) -> str:
        """The implementation it grows in: functional, net or cnn."""
        return {"functional_net.py": "functional", "net.py": "net"}.get(self.file, "cnn")


@dataclass
class Harvest:
    """What the checker said of a plant."""

    reports: list[Report]  # the failing ones
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


def planted_source(plant: Plant) -> str:
    """The file with the mistake in it."""
    text = (ROOT / plant.file).read_text(encoding="utf-8")
    start, end = _span(ast.parse(text), plant)
    lines = text.splitlines(keepends=True)
    scope = "".join(lines[start:end])
    count = scope.count(plant.old)
    if count != 1:
        raise PlantError(
            f"{plant.name}: {plant.old!r} stands {count} times in {plant.function} of {plant.file}"
        )
    return "".join(lines[:start]) + scope.replace(plant.old, plant.new) + "".join(lines[end:])


def _span(tree: ast.AST, plant: Plant) -> tuple[int, int]:
    node: Any = tree
    for name in plant.function.split("."):
        found = [n for n in node.body if getattr(n, "name", None) == name]
        if len(found) != 1:
            raise PlantError(f"{plant.name}: no {plant.function} in {plant.file}")
        node = found[0]
    return node.lineno - 1, node.end_lineno


def diff(plant: Plant) -> list[str]:
    """The planted line, as a diff."""
    before = (ROOT / plant.file).read_text(encoding="utf-8").splitlines()
    lines = difflib.unified_diff(before, planted_source(plant).splitlines(), n=1, lineterm="")
    return [
        f"{plant.file}, {plant.function}",
        *[line for line in lines if line[:2] not in ("--", "++")],
    ]


# --- a second copy of the code ------------------------------------------------


class _Field(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `_planted_*` modules: our files, with `cnn` and so on renamed in their imports."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.name = "_planted_" + plant.file.split("/")[0].removesuffix(".py")

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if fullname.split(".")[0] != self.name:
            return None
        file = fullname.removeprefix("_planted_").replace(".", "/")
        package = (ROOT / file).is_dir()
        file = f"{file}/__init__.py" if package else f"{file}.py"
        return importlib.machinery.ModuleSpec(fullname, self, origin=file, is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ and module.__spec__.origin
        file = module.__spec__.origin
        source = (ROOT / file).read_text(encoding="utf-8")
        if file == self.plant.file:
            source = planted_source(self.plant)
        real = self.name.removeprefix("_planted_")
        source = re.sub(
            rf"^(\s*(?:from|import) ){real}\b", rf"\g<1>{self.name}", source, flags=re.M
        )
        exec(compile(source, f"{file} with {self.plant.name}", "exec"), module.__dict__)


def grow(plant: Plant) -> ModuleType:
    """The module (or the package cnn) with the mistake in it; our own stays as it is."""
    field = _Field(plant)
    sys.meta_path.insert(0, field)
    try:
        return importlib.import_module(field.name)
    finally:
        sys.meta_path.remove(field)
        for name in [n for n in sys.modules if n.split(".")[0] == field.name]:
            del sys.modules[name]


def examine(plant: Plant, seed: int = 0, quick: bool = False) -> Harvest:
    """The cases that run the planted function; quick: until one layer and one net have failed."""
    module, harvest = grow(plant), Harvest([])
    for case in specimens.CASES[plant.target](np.random.default_rng(seed), module):
        if quick and any(bool(r.blame) == _is_net(case) for r in harvest.reports):
            continue  # one layer and one net are enough
        try:
            if not _runs(case, plant):
                continue
            seconds = 0.0 if quick and _is_net(case) else np.inf
            report = judge_widely(case, seed, seconds=seconds)
        except Exception as error:
            if not _raised_in(error, plant):
                raise  # our own trouble is not a find
            harvest.trouble = harvest.trouble or f"{type(error).__name__}: {error}"
            continue
        if not report.ok:
            harvest.reports.append(report)
    return harvest


def _is_net(case: Case) -> bool:
    """Its output is a loss, and its layers can be blamed."""
    return case.blame is not None and not case.forward().ndim


def _runs(case: Case, plant: Plant) -> bool:
    """Does one forward and backward pass come through the planted function?"""
    seen = False

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen
        seen = seen or (
            frame.f_code.co_filename.endswith(plant.name)
            and (frame.f_code.co_qualname == plant.function)
        )

    sys.setprofile(watch)
    try:
        case.backward(np.ones(np.shape(case.forward())))
    finally:
        sys.setprofile(None)
    return seen


def _raised_in(error: BaseException, plant: Plant) -> bool:
    return any(f.filename.endswith(plant.name) for f in traceback.extract_tb(error.__traceback__))
