"""Cells: functions cut out of the sources by the equations they carry, and coloured.

Nothing is copied by hand, so a cell can neither be out of date nor wrong.
"""

import ast
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from textwrap import dedent, indent, wrap

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from gradcheck.ours.equations import functions, functions_in, places, source

__all__ = ["WIDTH", "Cell", "cut", "coloured", "occurrences"]

WIDTH = 72  # columns of code in a cell
LEXER, FORMATTER = PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True)


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


def cut(piece: str, equation: str = "") -> list[Cell]:
    """The cells of "path::owner": a function, or what carries the equation in a class or a file.

    A path may be a folder. Raises LookupError where there is nothing to cut.
    """
    owner = piece.partition("::")[2]
    lines: dict[tuple[str, str], list[int]] = {}
    for place in places(equation, piece) if equation else ():
        lines.setdefault((place.path, place.function), []).append(place.line)
    named = [(path, name) for path, name in functions_in(piece) if name == owner]
    if not (found := named or list(lines)):
        raise LookupError(f"{piece}: there is no such function, or no line with ({equation})")
    return [cell(path, name, lines.get((path, name), [])) for path, name in found]


def cell(path: str, name: str, lines: list[int]) -> Cell:
    """The function of that name; lines of the file are marked."""
    function = functions(path)[name]
    promise = ast.get_docstring(function) or ""
    start = function.body[bool(promise)].lineno
    while source(path)[start - 2].strip().startswith("#"):
        start -= 1
    head = signature(function)
    body = indent(dedent("\n".join(source(path)[start - 1 : function.end_lineno])), "    ")
    marked = frozenset(n - start + head.count("\n") + 1 for n in lines)
    promise = " ".join(promise.split("\n\n")[0].split())
    return Cell(path, name, promise, f"{head}\n{body}", marked, min(lines, default=function.lineno))


def signature(function: ast.FunctionDef) -> str:
    """`def name(arguments):`, in lines of WIDTH; the types stay in the file."""
    bare = deepcopy(function.args)
    for node in ast.walk(bare):
        if isinstance(node, ast.arg):
            node.annotation = None
    head = f"def {function.name}({ast.unparse(bare)}):"
    return "\n".join(wrap(head, WIDTH, subsequent_indent=" " * 8))


def occurrences(code: str, spellings: Mapping[str, list[str]]) -> list[tuple[int, int, str]]:
    """Start, end and symbol wherever one of its spellings stands in the code, comments left out.

    A spelling is a whole word, and the longest one wins: the X of `self.X` is no X of its own.
    """
    owner = {word: symbol for symbol, words in spellings.items() for word in words}
    words = "|".join(
        (r"(?<![\w.\"])" if word[0] != "." else "") + re.escape(word) + r"(?![\w\"])"
        for word in sorted(owner, key=len, reverse=True)
    )
    found = re.finditer(rf"#.*|({words})", code) if owner else ()
    return [(*m.span(1), owner[m[1]]) for m in found if m[1]]


def coloured(cell: Cell, spellings: Mapping[str, list[str]]) -> str:
    """HTML of the code: an element for each line, with every symbol marked as such."""
    lines = []
    for n, line in enumerate(cell.code.splitlines()):
        html, end = "", 0
        for start, stop, symbol in occurrences(line, spellings):
            html += _html(line[end:start]) + f'<b data-s="{symbol}">{_html(line[start:stop])}</b>'
            end = stop
        kind, depth = "mark" if n in cell.marked else "span", len(line) - len(line.lstrip())
        style = f'class="line" style="--depth:{depth}ch"'
        lines.append(f"<{kind} {style}>{html}{_html(line[end:])}\n</{kind}>")
    return "".join(lines)


def _html(code: str) -> str:
    return highlight(code, LEXER, FORMATTER).removesuffix("\n") if code else ""
