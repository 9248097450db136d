"""Cells: functions cut out of the sources by the equations they carry, and coloured.

A line that implements an equation ends in its number, `# (E5)`; a cell is the function around
it. Nothing is copied by hand, so a cell can neither be out of date nor wrong.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from textwrap import dedent, indent, wrap

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 66  # columns of code in a cell: three stand beside each other
Function = ast.FunctionDef
Spellings = Mapping[str, list[str]]  # symbol -> how the code writes it


@dataclass(frozen=True)
class Cell:
    """One function: `code` is its signature, without types, and its body, without docstring."""

    path: str  # "cnn/layers.py"
    name: str  # "Linear.gradients"
    promise: str  # the first paragraph of its docstring
    code: str
    marked: frozenset[int]  # the lines of code, counted from 0, that carry the equation
    line: int  # of the first marked line in the file, else of def

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def link(self) -> str:
        return f"{self.path}#L{self.line}"


@cache
def source(path: str) -> tuple[str, ...]:
    return tuple((ROOT / path).read_text(encoding="utf-8").splitlines())


@cache
def functions(path: str) -> dict[str, Function]:
    """Functions and methods by name, "init" or "Linear.forward", in the order of the file."""
    found: dict[str, Function] = {}
    for node in ast.parse("\n".join(source(path))).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + f.name: f for f in inside if isinstance(f, Function)}
    return found


def sections(path: str) -> list[tuple[int, str]]:
    """Line and name of every rule, `# --- name ---`."""
    rules = enumerate(source(path), start=1)
    return [(n, m[1]) for n, text in rules if (m := re.match(r"\s*# --- (.+?) -{3,}$", text))]


def cut(piece: str, equation: str = "") -> list[Cell]:
    """The cells of "path::owner": a function, or what carries the equation in a class or a file.

    A path may be a folder. Raises LookupError where there is nothing to cut.
    """
    place, _, owner = piece.partition("::")
    path = place if place.endswith(".py") else home(place, owner)
    known = functions(path)
    inside = [name for name in known if f"{name}.".startswith(f"{owner}.") or not owner]
    if owner not in known:  # a class or a whole file
        inside = [name for name in inside if tagged(path, known[name], equation)]
    if not inside:
        what = f"no line with ({equation})" if equation else "no such function"
        raise LookupError(f"{path}: {owner or 'the file'} has {what}")
    return [_cell(path, name, known[name], equation) for name in inside]


def home(folder: str, owner: str) -> str:
    """The file of the folder that defines a function or a class."""
    for file in sorted((ROOT / folder).glob("*.py")):
        path = f"{folder}/{file.name}"
        if any(f"{name}.".startswith(f"{owner}.") for name in functions(path)):
            return path
    raise LookupError(f"{folder}: no file defines {owner}")


def tagged(path: str, function: Function, equation: str) -> list[int]:
    """The lines of the function that carry the equation, counted from 1 in the file."""
    tag = re.compile(rf"# \({equation}\)")
    lines = range(function.lineno, (function.end_lineno or 0) + 1)
    return [n for n in lines if equation and tag.search(source(path)[n - 1])]


def _cell(path: str, name: str, function: Function, equation: str) -> Cell:
    head, start, marks = (
        signature(function),
        _first(path, function),
        tagged(path, function, equation),
    )
    body = indent(dedent("\n".join(source(path)[start - 1 : function.end_lineno])), "    ")
    marked = frozenset(n - start + head.count("\n") + 1 for n in marks)
    promise = " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split())
    return Cell(
        path, name, promise, f"{head}\n{body}", marked, marks[0] if marks else function.lineno
    )


def signature(function: Function) -> str:
    """`def name(arguments):`, in lines of WIDTH; the types stay in the file."""
    bare = deepcopy(function.args)
    for node in ast.walk(bare):
        if isinstance(node, ast.arg):
            node.annotation = None
    head = f"def {function.name}({ast.unparse(bare)}):"
    return "\n".join(wrap(head, WIDTH, subsequent_indent=" " * 8))


def _first(path: str, function: Function) -> int:
    """The first line behind the docstring, comments included."""
    line = function.body[bool(ast.get_docstring(function))].lineno
    while source(path)[line - 2].strip().startswith("#"):
        line -= 1
    return line


# --- colours and symbols ------------------------------------------------------

COLOURS = {
    "Keyword": "k",
    "Operator.Word": "k",
    "Literal": "s",
    "Comment": "c",
    "Name.Builtin": "n",
}


def occurrences(code: str, spellings: Spellings) -> list[tuple[int, int, str]]:
    """Start, end and symbol wherever one of its spellings stands in the code, comments left out.

    A spelling is a whole word, and the longest one wins: the X of `self.X` is no X of its own.
    """
    by_spelling = {word: symbol for symbol, words in spellings.items() for word in words}
    longest = sorted(by_spelling, key=len, reverse=True)
    words = "|".join(
        (r"(?<![\w.\"])" if word[0] != "." else "") + re.escape(word) + r"(?![\w\"])"
        for word in longest
    )
    found = re.finditer(rf"#.*|({words})", code) if longest else ()
    return [(*m.span(1), by_spelling[m[1]]) for m in found if m[1]]


def highlight(cell: Cell, spellings: Spellings) -> str:
    """HTML of the code: a span for each line, coloured, with every symbol marked as such."""
    owner = [""] * len(cell.code)
    for start, end, symbol in occurrences(cell.code, spellings):
        owner[start:end] = [symbol] * (end - start)
    letters = zip(cell.code, _colours(cell.code), owner, strict=True)
    lines: list[list] = [[]]
    for letter in letters:
        lines[-1].append(letter)
        if letter[0] == "\n":
            lines.append([])
    return "".join(_line(line, n in cell.marked) for n, line in enumerate(lines))


def _colours(code: str) -> Iterator[str]:
    """One class for each letter."""
    from pygments.lexers.python import PythonLexer

    for kind, text in PythonLexer(ensurenl=False, stripnl=False).get_tokens(code):
        name = str(kind).removeprefix("Token.")
        yield from [next((c for k, c in COLOURS.items() if name.startswith(k)), "")] * len(text)


def _line(letters: list, marked: bool) -> str:
    text = "".join(letter for letter, _, _ in letters)
    inner = ""
    for symbol, inside in groupby(letters, key=lambda each: each[2]):
        part = "".join(
            f'<i class="{colour}">{run}</i>' if colour else run for colour, run in _runs(inside)
        )
        inner += f'<b data-s="{symbol}">{part}</b>' if symbol else part
    depth = len(text) - len(text.lstrip())
    kind = "mark" if marked else "span"
    return f'<{kind} class="line" style="--depth:{depth}ch">{inner}</{kind}>'


def _runs(letters: Iterator) -> Iterator[tuple[str, str]]:
    for colour, run in groupby(letters, key=lambda each: each[1]):
        yield colour, escape("".join(letter for letter, _, _ in run), quote=False)
