"""A mistake as data, and the source that carries it. Nothing is imported or run here.

The text to be replaced must stand exactly once in its function, or PlantError: a plant that no
longer applies can never pass for one that was found.
"""

import ast
import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Plant", "PlantError", "find", "mutate", "diff"]

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

    @property
    def target(self) -> str:
        """The implementation it is planted in: functional, net or cnn."""
        return {"functional_net.py": "functional", "net.py": "net"}.get(self.file, "cnn")

    @property
    def story(self) -> str:
        """Why the numbers look so."""
        from gradcheck.plants.stories import STORIES

        return next(said for pattern, said in STORIES.items() if re.search(pattern, self.name))

    @property
    def source(self) -> str:
        """The file as it is."""
        return (ROOT / self.file).read_text(encoding="utf-8")


parsed = cache(ast.parse)  # one file carries many mistakes

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
    node, lines = find(parsed(source), plant), source.splitlines(keepends=True)
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
