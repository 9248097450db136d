"""What a person sees: a table, a sentence where something is wrong, one line with the verdict."""

import os
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

    @property
    def entries(self) -> str:
        """How many numbers were compared."""
        return f"{self.result.wrong.size} dirs" if self.sampled else f"{self.result.numeric.size:,}"

    @property
    def nothing_came_back(self) -> bool:
        """A single nan stands for a gradient that is not there."""
        given, right = self.result.backprop, self.result.numeric
        return given.ndim == 0 and right.ndim > 0 and bool(np.isnan(given))

    def sentences(self) -> list[str]:
        """Where the worst wrong entry is, how many there are, and what it looks like."""
        if self.ok:
            return []
        if self.nothing_came_back:
            return [f"nothing came back for {self.name}: a forgotten return?"]
        named = f"looks like: {self.cause}" if self.cause else "no known pattern"
        return [self._where()] if self.sampled and not self.cause else [self._where(), named]

    def _where(self) -> str:
        r = self.result
        if r.backprop.shape != r.numeric.shape:
            return f"backprop has shape {r.backprop.shape}, the array has {self.shape}"
        gap = np.nan_to_num(abs(r.backprop - r.numeric), nan=np.inf)
        i = np.unravel_index(int(np.where(r.wrong, gap, -1).argmax()), gap.shape)
        place = f"direction {i[0]}" if self.sampled else str(tuple(map(int, i)))
        kind = "directions" if self.sampled else "entries"
        return (
            f"at {place}: backprop {r.backprop[i]:.6e}, numerical {r.numeric[i]:.6e}; "
            f"{r.wrong.sum():,} of {r.wrong.size:,} {kind} wrong"
        )


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

    @property
    def curved(self) -> int:
        return int(sum(row.result.curved.sum() for row in self.rows))

    @property
    def error(self) -> float:
        return max((row.result.error for row in self.rows), default=0.0)

    def __str__(self) -> str:
        return "\n".join([self.name, *table([self])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        lines = ["".join(f"<th>{h}</th>" for h in HEAD)]
        for row in self.rows:
            first, *cells = map(escape, _cells(row))
            first = first if row.ok else f"<b>{first}</b>"
            lines.append("".join(f"<td>{cell}</td>" for cell in (first, *cells)))
            lines += [f'<td></td><td colspan="4">{escape(s)}</td>' for s in row.sentences()]
        lines += [f'<td colspan="5">{escape(s.strip())}</td>' for s in _remarks(self)]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><caption>{escape(self.name)}</caption>{body}</table>"


HEAD = "", "array", "shape", "entries", "worst error"


def _cells(row: Row) -> list[str]:
    word, error = "ok" if row.ok else "BAD", f"{row.result.error:.1e}"
    return [word, row.name, str(row.shape), row.entries, error]


def table(reports: list[Report]) -> list[str]:
    """Lines of a table; where there are several reports, the second column names them."""
    several = len(reports) > 1
    cells, below = [[HEAD[0], "of", *HEAD[1:], ""]], [list[str]()]
    for report in reports:
        for position, row in enumerate(report.rows):
            first, *rest = _cells(row)
            kinks = int(row.result.kinks.sum())
            owner = "" if position else report.name
            cells.append([first, owner, *rest, f"  {kinks} on a kink, settled" * bool(kinks)])
            below.append(["      " + sentence for sentence in row.sentences()])
        below[-1] = below[-1] + _remarks(report)
    width = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for (first, owner, name, shape, entries, error, settled), more in zip(
        cells, below, strict=True
    ):
        owner = f"{owner:<{width[1]}}  " if several else ""
        start = f"  {first:<3} {owner}{name:<{width[2]}}  {shape:<{width[3]}}"
        lines.append(f"{start}  {entries:>{width[4]}}  {error:>{width[5]}}{settled}".rstrip())
        lines += more
    return lines


def _remarks(report: Report) -> list[str]:
    lines = [f"  BAD {sentence}" for sentence in report.breaches]
    lines += [f"      note: {note}" for note in dict.fromkeys(report.notes)]
    return lines + ([f"  => {report.blame}"] if report.blame else [])


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
    worst = max((report.error for report in reports), default=0)
    return f"RIGHT  {len(rows)} arrays, {entries:,} comparisons{settled}, worst error {worst:.1e}"


def as_json(reports: list[Report]) -> dict[str, Any]:
    """The same as plain data."""
    found = []
    for r in reports:
        said = {"broken rules": r.breaches, "notes": r.notes, "blame": r.blame}
        found.append({"name": r.name, "ok": r.ok, "arrays": [*map(_row_as_json, r.rows)], **said})
    return {"verdict": "right" if all(r.ok for r in reports) else "wrong", "reports": found}


def _row_as_json(row: Row) -> dict[str, Any]:
    error = row.result.error
    return {
        "name": row.name,
        "shape": list(row.shape),
        "ok": row.ok,
        "worst error": error if np.isfinite(error) else None,
        "wrong entries": int(row.result.wrong.sum()),
        "on a kink": int(row.result.kinks.sum()),
        "cause": row.cause,
    }
