"""The HTML page: rows, cells and numbers put into page.html, with page.css and page.js inside."""

import re
from html import escape
from pathlib import Path
from string import Template

from docs import drawing, measured, worked
from docs.cells import Cell, coloured, cut
from docs.mathml import formula, inline
from docs.rows import COLUMNS, INTRODUCTION, ROWS, Row, Symbol, paragraphs

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
SHORT = {"check": "gradient check", "train": "training loop"}


def build() -> str:
    """The whole page, in one string."""
    numbers = worked.compute()
    parts = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    parts |= {
        "contents": "".join(
            f'<li><a href="#{row.key}">{SHORT.get(row.key, row.key)}</a></li>' for row in ROWS
        ),
        "switches": "".join(
            f'<button type="button" aria-pressed="true" data-column="{column}">{column}</button>'
            for column in COLUMNS
        ),
        "introduction": prose(INTRODUCTION, {}),
        "map": "".join(map(route, MAP)),
        "rows": "".join(section(row, numbers) for row in ROWS),
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(parts)


def cells_of(row: Row, column: str) -> list[Cell]:
    """The cells of one implementation in a row. Raises LookupError if there is one missing."""
    pieces = getattr(row, column).split()
    return [cell for piece in pieces for cell in cut(piece, row.equation)]


def route(stops: str) -> str:
    """One line of the map: names of arrays as code, equations as links to their rows."""
    head, *cells = stops.split(";")
    names = (re.sub(r"\b(?!E\d)\w+", r"<code>\g<0></code>", cell.strip()) for cell in cells)
    line = "".join(f"<td>{EQUATION.sub(LINK, cell)}</td>" for cell in names)
    return f'<tr><th scope="row">{head}</th>{line}</tr>'


def section(row: Row, numbers: worked.Numbers) -> str:
    """One row of the page."""
    names = {word: key for symbol in row.table for word, key in symbol.names.items()}
    number = f'<span class="number">{row.equation}</span> ' if row.equation else ""
    formulas = "".join(
        f'<div class="formula"><span class="label">{label}</span>{formula(text, names)}</div>'
        for label, text in row.formulas.items()
    )
    question, _, answer = row.question.strip().partition("\n\n")
    return f"""
<section class="row" id="{row.key}" aria-labelledby="{row.key}-title">
<h2 id="{row.key}-title"><a href="#{row.key}">{number}{escape(row.title)}</a></h2>
<div class="lesson">
<div class="why">
<div class="formulas">{formulas}</div>
{prose(row.why, names)}
<details><summary>{marked_up(question, names)}</summary>{prose(answer, names)}</details>
</div>
{facts(row, numbers, names)}
</div>
<div class="cells">
{"".join(implementation(row, column) for column in COLUMNS)}
</div>
{common(row)}
</section>
"""


def facts(row: Row, numbers: worked.Numbers, names: Names) -> str:
    """The shapes of a row, and its lines with every number written out."""
    picture = drawing.net(numbers) if row.key == "init" else ""
    return f"""<div class="facts">
{shapes(row.table)}
<h3>In numbers</h3>
{picture}{"".join(worked.line(line, numbers, names) for line in row.worked)}
{prose(row.told, names)}
</div>"""


def prose(text: str, names: Names) -> str:
    return "".join(f"<p>{marked_up(part, names)}</p>" for part in paragraphs(text))


def marked_up(text: str, names: Names) -> str:
    """`code`, $formula$ and *stress* in a sentence; no line begins with a formula's full stop."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"\*(\w+)\*", r"<em>\1</em>", text)
    whole = r'<span class="whole">{}{}</span>'
    return re.sub(r"\$(.+?)\$(\S*)", lambda m: whole.format(inline(m[1], names), m[2]), text)


def shapes(symbols: list[Symbol]) -> str:
    """What the symbols of a row mean and their shapes; the buttons mark them."""
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("symbol", "is", "in rows", "in columns")
    )
    return f"""<table class="shapes">
<caption>Symbols of this row and their shapes</caption>
<thead><tr>{heads}</tr></thead>
<tbody>{"".join(map(shape, symbols))}</tbody>
</table>"""


def shape(symbol: Symbol) -> str:
    press = (
        f'<button type="button" aria-pressed="false" data-s="{symbol.key}">{symbol.key}</button>'
    )
    facts = symbol.meaning, symbol.rows, symbol.columns
    cells = "".join(f"<td>{escape(fact)}</td>" for fact in facts)
    return f'<tr><th scope="row">{press}</th>{cells}</tr>'


def implementation(row: Row, column: str) -> str:
    """The cells of one implementation, and the error that was measured."""
    spellings = {symbol.key: symbol.spellings(column) for symbol in row.table}
    code = "".join(piece(cell, spellings) for cell in cells_of(row, column))
    return f"""<article class="cell" data-column="{column}">
<h3>{column} <span class="style">{COLUMNS[column]}</span></h3>
{code}{error(row, column)}
</article>
"""


def piece(cell: Cell, spellings: dict[str, list[str]]) -> str:
    promise = f'<p class="promise">{escape(cell.promise)}</p>' if cell.promise else ""
    return f"""<div class="piece">
<p class="place"><code>{cell.name}</code> <a href="../{cell.link}">{cell.place}</a></p>
{promise}<pre><code>{coloured(cell, spellings)}</code></pre>
</div>
"""


def error(row: Row, column: str) -> str:
    """The worst relative error of the row's gradient, or the bound that it keeps."""
    if not row.checked:
        return ""
    worst = measured.worst_errors()[row.key][list(COLUMNS).index(column)]
    told = f"right, worst relative error below {measured.BOUND:.0e}".replace("e-0", "e-")
    if worst >= measured.BOUND:
        told = f'<strong class="wrong">WRONG</strong>, worst relative error {worst:.0e}'
    return f'<p class="error">gradient check of {row.checked}: {told}</p>'


def common(row: Row) -> str:
    """Code that serves all implementations."""
    code = "".join(piece(cell, {}) for place in row.common.split() for cell in cut(place))
    head = '<div class="common"><h3>the same for all</h3><div class="pieces">'
    return f"{head}{code}</div></div>" if code else ""
