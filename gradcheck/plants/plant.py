"""A mistake as data, and the source that carries it. No network is imported or run here.

The text to be replaced must stand exactly once in its function, or PlantError: a plant that no
longer applies can never pass for one that was found.
"""

import difflib
from dataclasses import dataclass
from functools import cache

from gradcheck.ours.equations import ROOT, functions_of

__all__ = ["Plant", "PlantError", "mutate", "diff"]

functions = cache(functions_of)  # one file carries many mistakes


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
        return self.name.partition("-")[0]

    @property
    def source(self) -> str:
        """The file as it is."""
        return (ROOT / self.file).read_text(encoding="utf-8")


def mutate(source: str, plant: Plant) -> str:
    """The source with the mistake in it."""
    node, lines = functions(source).get(plant.function), source.splitlines(keepends=True)
    if node is None:
        raise PlantError(f"{plant.name}: no {plant.function} in {plant.file}")
    scope = "".join(lines[node.lineno - 1 : node.end_lineno])
    if (count := scope.count(plant.old)) != 1:
        raise PlantError(
            f"{plant.name}: {plant.old!r} stands {count} times in {plant.function} of {plant.file}"
        )
    lines[node.lineno - 1 : node.end_lineno] = [scope.replace(plant.old, plant.new)]
    return "".join(lines)


def diff(plant: Plant) -> list[str]:
    """The planted line, as a diff."""
    before, after = plant.source.splitlines(), mutate(plant.source, plant).splitlines()
    lines = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
    return [f"{plant.file}, {plant.function}", *lines]
