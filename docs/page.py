"""The HTML page: rows, cells and numbers put into page.html, with page.css and page.js inside."""

import re
from html import escape
from pathlib import Path
from string import Template

from docs import measured, worked
from docs.cells import Cell, cut, highlight
from docs.mathml import formula, inline
from docs.rows import COLUMNS, INTRODUCTION, ROWS, Row, Symbol, paragraphs
from gradcheck.core import RTOL

__all__ = ["build", "cells_of"]

HERE = Path(__file__).parent
Names = dict[str, str]

EQUATION, LINK = re.compile(r"\bE\d\b"), r'<a href="#\g<0>">\g<0></a>'
MAP = [
    "forward; X; E1 →; Z1; E2 →; A1; E1 →; logits; E3 →; loss",
    "backward; dX; ← E7; dZ1; ← E8; dA1; ← E7; dlogits; ← E4;",
    "weights; ; E5 dW1; ; ; ; E5 dW2; ; ;",
    "biases; ; E6 db1; ; ; ; E6 db2; ; ;",
    "update; ; E9 W1 b1; ; ; ; E9 W2 b2; ; ;",
]


def build() -> str:
    """The whole page, in one string."""
    numbers = worked.compute()
    parts = {
        "css": (HERE / "page.css").read_text(encoding="utf-8"),
        "js": (HERE / "page.js").read_text(encoding="utf-8"),
        "contents": "".join(f'<li><a href="#{row.key}">{short(row)}</a></li>' for row in ROWS),
        "switches": "".join(switch(column) for column in COLUMNS),
        "introduction": prose(INTRODUCTION, {}),
        "map": "".join(map(route, MAP)),
        "rows": "".join(section(row, numbers) for row in ROWS),
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(parts)


def cells_of(row: Row, column: str) -> list[Cell]:
    """The cells of one implementation in a row. Raises LookupError if there is one missing."""
    return [cell for piece in row.cells[column] for cell in cut(piece, row.equation)]


def short(row: Row) -> str:
    return {"check": "gradient check", "train": "training loop"}.get(row.key, row.key)


def switch(column: str) -> str:
    return f'<button type="button" aria-pressed="true" data-column="{column}">{column}</button>'


def route(stops: str) -> str:
    """One line of the map: names of arrays, and equations as links to their rows."""
    head, *cells = stops.split(";")
    line = "".join(f"<td>{EQUATION.sub(LINK, _stop(cell))}</td>" for cell in cells)
    return f'<tr><th scope="row">{head}</th>{line}</tr>'


def _stop(cell: str) -> str:
    """Names of arrays as code; equations and arrows as they are."""
    return " ".join(word if word[0] in "E←→" else f"<code>{word}</code>" for word in cell.split())


def section(row: Row, numbers: worked.Numbers) -> str:
    """One row of the page."""
    names = {word: key for symbol in row.symbols for word, key in symbol.names.items()}
    formulas = "".join(_formula(label, text, names) for label, text in row.formulas.items())
    number = f'<span class="number">{row.equation}</span> ' if row.equation else ""
    return f"""
<section class="row" id="{row.key}" aria-labelledby="{row.key}-title">
<h2 id="{row.key}-title"><a href="#{row.key}">{number}{escape(row.title)}</a></h2>
<div class="lesson">
<div class="why">
<div class="formulas">{formulas}</div>
{prose(row.why, names)}
</div>
<div class="facts">
{shapes(row)}
<h3>In numbers</h3>
{"".join(worked.as_html(line, numbers, names) for line in row.worked)}
{prose(row.told, names)}
</div>
</div>
<div class="cells">
{"".join(implementation(row, column) for column in COLUMNS)}
</div>
{common(row)}
</section>
"""


def _formula(label: str, text: str, names: Names) -> str:
    return f'<div class="formula"><span class="label">{label}</span>{formula(text, names)}</div>'


def prose(text: str, names: Names) -> str:
    return "".join(f"<p>{_marked_up(part, names)}</p>" for part in paragraphs(text))


def _marked_up(text: str, names: Names) -> str:
    """`code`, $formula$ and *stress* in a sentence."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
    return re.sub(r"\$(.+?)\$", lambda m: inline(m[1], names), text)


SHAPES = "symbol", "is", "in rows", "in columns"


def shapes(row: Row) -> str:
    """The symbols of the row: what they mean and their shapes; the buttons mark them."""
    lines = "".join(_shape(symbol) for symbol in row.symbols)
    return f"""<table class="shapes">
<caption>Symbols of this row and their shapes</caption>
<thead><tr>{"".join(f'<th scope="col">{each}</th>' for each in SHAPES)}</tr></thead>
<tbody>{lines}</tbody>
</table>"""


def _shape(symbol: Symbol) -> str:
    button = (
        f'<button type="button" aria-pressed="false" data-s="{symbol.key}">{symbol.key}</button>'
    )
    cells = "".join(
        f"<td>{escape(text)}</td>" for text in (symbol.meaning, symbol.rows, symbol.columns)
    )
    return f'<tr><th scope="row">{button}</th>{cells}</tr>'


def implementation(row: Row, column: str) -> str:
    """The cells of one implementation, and the error that was measured."""
    spellings = {symbol.key: symbol.spellings(column) for symbol in row.symbols}
    code = "".join(_code(cell, spellings) for cell in cells_of(row, column))
    return f"""<article class="cell" data-column="{column}">
<h3>{column} <span class="style">{COLUMNS[column]}</span></h3>
{code}{error(row, column)}
</article>
"""


def _code(cell: Cell, spellings: dict[str, list[str]]) -> str:
    promise = f'<p class="promise">{escape(cell.promise)}</p>' if cell.promise else ""
    return f"""<div class="piece">
<p class="place"><code>{cell.name}</code> <a href="../{cell.link}">{cell.place}</a></p>
{promise}<pre><code>{highlight(cell, spellings)}</code></pre>
</div>
"""


def error(row: Row, column: str) -> str:
    """The worst relative error of the row's gradient."""
    if not row.checked:
        return ""
    worst = dict(zip(COLUMNS, measured.worst_errors(row.key), strict=True))[column]
    verdict = "right" if worst < RTOL else '<strong class="wrong">WRONG</strong>'
    return (
        f'<p class="error">gradient check of {row.checked}: {verdict}, '
        f'worst relative error <data value="{worst:.1e}">{worst:.1e}</data></p>'
    )


def common(row: Row) -> str:
    """Code that serves all implementations."""
    if not row.common:
        return ""
    code = "".join(_code(cell, {}) for piece in row.common for cell in cut(piece))
    return f'<div class="common"><h3>the same for all</h3><div class="pieces">{code}</div></div>'
