"""The rows of the page in a terminal: three columns, or one below the other where it is narrow."""

import re
from textwrap import fill

from rich import box
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table

from docs import worked
from docs.cells import Cell, cut
from docs.measured import worst_errors
from docs.page import cells_of
from docs.rows import COLUMNS, ROWS, Row, paragraphs

__all__ = ["show"]

SIDE_BY_SIDE = 110  # columns of a terminal that hold three cells


def show(console: Console | None = None) -> None:
    """Print all rows."""
    console = console or Console(highlight=False, soft_wrap=False)
    numbers = worked.compute()
    for row in ROWS:
        console.print(Rule(f"{row.equation} {row.title}".strip(), characters="-", align="left"))
        console.print(lesson(row, numbers, min(console.width, 100)), markup=False)
        console.print(cells(row, console.width >= SIDE_BY_SIDE))
        for piece in row.common:
            console.print(*[each for cell in cut(piece) for each in code(cell)], sep="\n")


def lesson(row: Row, numbers: worked.Numbers, width: int) -> str:
    """Formulas, reasons, shapes and numbers as plain text."""
    formulas = [f"  {text:40} ({label})" for label, text in row.formulas.items()]
    why = [fill(re.sub(r"[$*`]", "", text), width) for text in paragraphs(row.why)]
    shapes = [f"  {s.key:9}{s.meaning:24}rows {s.rows:18}columns {s.columns}" for s in row.symbols]
    lines = [worked.as_text(line, numbers) for line in row.worked]
    told = fill(" ".join(row.told.replace("`", "").split()), width)
    parts = [formulas, why, shapes, [*lines, told]]
    return "\n\n".join("\n".join(part) for part in parts)


def cells(row: Row, beside: bool) -> Table:
    """The code of the three implementations, beside each other or stacked."""
    shown = {column: Group(*implementation(row, column)) for column in COLUMNS}
    table = Table(box=box.ASCII, expand=True, show_header=beside, show_lines=True)
    if beside:
        for column in COLUMNS:
            table.add_column(column, ratio=1)
        table.add_row(*shown.values())
    else:
        for column, code in shown.items():
            table.add_row(Group(column, code))
    return table


def implementation(row: Row, column: str) -> list[RenderableType]:
    """The cells of one implementation, and the error that was measured."""
    out = [each for cell in cells_of(row, column) for each in code(cell)]
    if row.checked:
        error = worst_errors(row.key)[list(COLUMNS).index(column)]
        out.append(f"gradient check of {row.checked}: worst error {error:.1e}")
    return out


def code(cell: Cell) -> list[RenderableType]:
    """Where it stands, and the lines, coloured; those that carry the equation after a >."""
    lines = enumerate(cell.code.splitlines())
    text = "\n".join(f"{'>' if n in cell.marked else ' '} {line}" for n, line in lines)
    coloured = Syntax(text, "python", theme="ansi_dark").highlight(text)
    coloured.overflow = "fold"
    return [f"{cell.name}  {cell.place}", coloured]
