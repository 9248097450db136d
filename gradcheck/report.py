"""What a person sees: a table, a sentence where something is wrong, one line with the verdict."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from gradcheck.core import Result

__all__ = ["Row", "Report", "table", "verdict", "as_json"]


@dataclass
class Row:
    """One array of a case."""

    name: str
    shape: tuple[int, ...]
    result: Result
    cause: str | None = None  # "looks like ..."
    sampled: bool = False  # directions instead of entries

    @property
    def ok(self) -> bool:
        return not self.result.wrong.any()

    def sentences(self) -> list[str]:
        """Where the worst wrong entry is, how many there are, and what it looks like."""
        r = self.result
        if self.ok:
            return []
        if r.numeric.ndim and not r.backprop.ndim and np.isnan(r.backprop):
            return [f"nothing came back for {self.name}: a forgotten return?"]
        named = f"looks like: {self.cause}" if self.cause else "no known pattern"
        if r.backprop.shape != r.numeric.shape:
            return [f"backprop has shape {r.backprop.shape}, the array has {self.shape}", named]
        gap = np.nan_to_num(abs(r.backprop - r.numeric), nan=np.inf)
        i = np.unravel_index(int(np.where(r.wrong, gap, -1).argmax()), gap.shape)
        place = f"direction {i[0]}" if self.sampled else str(tuple(map(int, i)))
        kind = "directions" if self.sampled else "entries"
        where = f"at {place}: backprop {r.backprop[i]:.6e}, numerical {r.numeric[i]:.6e}"
        where += f"; {r.wrong.sum():,} of {r.wrong.size:,} {kind} wrong"
        return [where] if self.sampled and not self.cause else [where, named]


@dataclass
class Report:
    """The verdict on one case; true when everything is right, and printed as a table."""

    name: str
    rows: list[Row] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)  # broken rules: count as wrong
    notes: list[str] = field(default_factory=list)  # worth knowing, not wrong
    blame: str | None = None  # "layer 2 (Abs) alone is wrong: ..."

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows) and not self.breaches

    def __bool__(self) -> bool:
        """True where all is right; in a test that asserts it, the table is the failure text."""
        if not self.ok and "PYTEST_CURRENT_TEST" in os.environ:
            print(self)
        return self.ok

    def __getitem__(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    @property
    def kinks(self) -> int:
        return int(sum(row.result.kinks.sum() for row in self.rows))

    def __str__(self) -> str:
        return "\n".join([self.name, *table([self])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        rows = ["".join(f"<th>{cell}</th>" for cell in HEAD)]
        for first, *rest in _lines(self):
            cells = [f"<b>{first}</b>" if first == "BAD" else escape(first), *map(escape, rest)]
            start = "<td>" if rest else f'<td colspan="{len(HEAD)}">'
            rows.append("".join(f"{start}{cell}</td>" for cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><caption>{escape(self.name)}</caption>{body}</table>"


HEAD = "   ", "array", "shape", "entries", "worst error", ""


def _lines(report: Report) -> Iterator[list[str]]:
    """The cells of each row as in HEAD, and a sentence as a single cell."""
    for row in report.rows:
        kinks = int(row.result.kinks.sum())
        settled = f"{kinks} on a kink, settled" if kinks else ""
        count = f"{row.result.wrong.size} dirs" if row.sampled else f"{row.result.numeric.size:,}"
        word, error = "ok" if row.ok else "BAD", f"{row.result.error:.1e}"
        yield [word, row.name, str(row.shape), count, error, settled]
        yield from ([f"    {sentence}"] for sentence in row.sentences())
    yield from ([f"BAD {sentence}"] for sentence in report.breaches)
    yield from ([f"    note: {note}"] for note in dict.fromkeys(report.notes))
    yield from [[f"=> {report.blame}"]] if report.blame else []


def table(reports: list[Report]) -> list[str]:
    """Lines of a table; where there are several reports, the second column names them."""
    several = len(reports) > 1
    lines = [[HEAD[0], *["of"] * several, *HEAD[1:]]]
    for report in reports:
        owner = report.name
        for first, *rest in _lines(report):
            lines.append([first, *[owner] * several, *rest] if rest else [first])
            owner = "" if rest else owner
    columns = zip(*(cells for cells in lines if len(cells) > 1), strict=True)
    widths, said = [max(map(len, column)) for column in columns], []
    for cells in lines:
        numbers = len(cells) - 3, len(cells) - 2
        first, *rest = [
            cell.rjust(width) if k in numbers else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=False))
        ]
        said.append(f"  {first} {'  '.join(rest)}".rstrip())
    return said


def verdict(reports: list[Report]) -> str:
    """One line: what is right, or what is wrong."""
    bad = [report for report in reports if not report.ok]
    if bad:
        names = ", ".join(dict.fromkeys(report.name for report in bad))
        arrays = [f"d{row.name}" for report in bad for row in report.rows if not row.ok]
        what = f"wrong: {', '.join(arrays[:6])}{', ...' * (len(arrays) > 6)}"
        return f"WRONG  {names}: {what if arrays else bad[0].breaches[0]}"
    rows = [row for report in reports for row in report.rows]
    entries = sum(row.result.numeric.size for row in rows)
    kinks = sum(report.kinks for report in reports)
    settled = f", {kinks} on a kink and settled" if kinks else ""
    worst = max((row.result.error for row in rows), default=0)
    return f"RIGHT  {len(rows)} arrays, {entries:,} comparisons{settled}, worst error {worst:.1e}"


def as_json(reports: list[Report]) -> dict[str, Any]:
    """The same as plain data."""
    found = []
    for r in reports:
        said = {"broken rules": r.breaches, "notes": r.notes, "blame": r.blame}
        found.append({"name": r.name, "ok": r.ok, "arrays": [*map(_row_as_json, r.rows)], **said})
    return {"verdict": "right" if all(r.ok for r in reports) else "wrong", "reports": found}


def _row_as_json(row: Row) -> dict[str, Any]:
    result = row.result
    return {
        "name": row.name,
        "shape": list(row.shape),
        "ok": row.ok,
        "worst error": result.error if np.isfinite(result.error) else None,
        "wrong entries": int(result.wrong.sum()),
        "on a kink": int(result.kinks.sum()),
        "cause": row.cause,
    }
