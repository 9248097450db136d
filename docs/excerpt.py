"""One row of the page for the README, as a Markdown table: the gradient of the weights, E5."""

from docs.cells import Cell
from docs.page import cells_of
from docs.rows import COLUMNS, ROWS

__all__ = ["excerpt"]


def excerpt(key: str = "E5") -> str:
    """The formula, and for each implementation the lines that carry it, with links."""
    row = next(row for row in ROWS if row.key == key)
    tagged = [[cell for cell in cells_of(row, column) if cell.marked] for column in COLUMNS]
    table = {
        "": [f"`{column}`: {style}" for column, style in COLUMNS.items()],
        "---": ["---"] * len(COLUMNS),
        "formula, `'` transposes": [
            f"`{row.formulas[style.split()[-1]]}`" for style in COLUMNS.values()
        ],
        "code": [
            "<br>".join(f"`{line}`" for cell in cells for line in code(cell)) for cells in tagged
        ],
        "from": [", ".join(f"[{cell.name}]({cell.link})" for cell in cells) for cells in tagged],
    }
    return "\n".join(f"| {' | '.join([head, *cells])} |" for head, cells in table.items())


def code(cell: Cell) -> list[str]:
    """The lines that carry the equation, without their comments."""
    lines = cell.code.splitlines()
    return [lines[n].partition("  #")[0].strip() for n in sorted(cell.marked)]
