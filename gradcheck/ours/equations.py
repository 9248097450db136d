"""Where E1 to E9 stand in the three networks.

A line that computes an equation ends in its number, `# (E5)`; so nobody keeps a list of lines.
The side-by-side page and the exercises both ask here.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["EQUATIONS", "Place", "places", "tags", "functions", "functions_of", "source"]

ROOT = Path(__file__).resolve().parents[2]
EQUATIONS = tuple(f"E{n}" for n in range(1, 10))


class Place(NamedTuple):
    """One line that carries an equation."""

    path: str  # "cnn/layers.py"
    function: str  # "Linear.gradients"
    line: int  # in the file, counted from 1


def places(equation: str, where: str = "") -> list[Place]:
    """The lines that carry the equation, in the order of the files.

    where narrows it to a file, a folder, or a class or function in one of them: "net.py",
    "cnn::Linear", "functional_net.py::backward".
    """
    found = []
    for path, name in functions_in(where):
        function = functions(path)[name]
        lines = range(function.lineno, (function.end_lineno or 0) + 1)
        found += [Place(path, name, n) for n in lines if equation in tags(source(path)[n - 1])]
    return found


def tags(text: str) -> list[str]:
    """The numbers on a line, or on several."""
    return re.findall(r"#\s*\((E[1-9])\)", text)


def functions_in(where: str) -> list[tuple[str, str]]:
    """Path and name of every function or method there."""
    place, _, owner = where.partition("::")
    pairs = [(path, name) for path in files(place) for name in functions(path)]
    return [pair for pair in pairs if not owner or f"{pair[1]}.".startswith(f"{owner}.")]


def files(place: str) -> list[str]:
    """A file as it is; the files of a folder; without a place those of the three networks."""
    if not place:
        return ["functional_net.py", "net.py", *files("cnn")]
    folder = sorted((ROOT / place).glob("*.py"))
    return [place] if place.endswith(".py") else [f"{place}/{file.name}" for file in folder]


@cache
def source(path: str) -> tuple[str, ...]:
    """The lines of a file."""
    return tuple((ROOT / path).read_text(encoding="utf-8").splitlines())


@cache
def functions(path: str) -> dict[str, ast.FunctionDef]:
    """Functions and methods by name, "init" or "Linear.forward", in the order of the file."""
    return functions_of("\n".join(source(path)))


def functions_of(text: str) -> dict[str, ast.FunctionDef]:
    """The same of any source; SyntaxError or ValueError where it is no Python."""
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(text).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + f.name: f for f in inside if isinstance(f, ast.FunctionDef)}
    return found
