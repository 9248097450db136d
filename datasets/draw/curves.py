"""Loss and accuracy over the epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.draw.canvas import BLUE, FAINT, GRID, INK, ORANGE, Array, Colour, Sheet, ticks

__all__ = ["curves"]

W, TOP, BOTTOM = 400, 84, 334  # of the field in which the lines lie
PREFIX = {"training": "", "test": "test_", "validation": "validation_"}  # of "loss", "accuracy"


def curves(history: Sequence[Mapping[str, float | None]], path: str | Path) -> None:
    """Loss and accuracy, from a row per epoch: epoch, loss, accuracy, test_accuracy, test_loss.

    Training is blue with discs; test_ or validation_ is orange, broken, with squares.
    A value that is missing, nan or inf leaves a gap. Raises ValueError for an empty history,
    OSError where path cannot be written.
    """
    if not history:
        raise ValueError("curves expects a history of at least one epoch, got none")
    epochs = np.array([float(row.get("epoch") or i) for i, row in enumerate(history, 1)])
    sheet = Sheet(1000, 390, fine=4)
    for left, what in ((76, "loss"), (576, "accuracy")):
        lines = {  # (epochs,) each, nan where there is no value
            name: np.array([_finite(row.get(prefix + what)) for row in history])
            for name, prefix in PREFIX.items()
            if any(prefix + what in row for row in history)
        }
        _panel(sheet, left, what, epochs, lines)
    sheet.save(path)


def _finite(value: float | None) -> float:
    return float(value) if value is not None and np.isfinite(value) else np.nan


class Axis(NamedTuple):
    """Values at the ends of an axis, and the pixels where these lie."""

    low: float
    high: float
    first: int
    last: int

    def at(self, values: Array) -> Array:
        share = (values - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)


def _axis(values: Array, first: int, last: int, margin: float, alone: float) -> Axis:
    # From the least to the greatest and a little more, or alone to both sides of one value.
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    room = margin * (high - low) or alone * abs(high) or 1.0
    return Axis(low - room, high + room, first, last)


def _panel(sheet: Sheet, left: int, what: str, epochs: Array, lines: dict[str, Array]) -> None:
    x = _axis(epochs, left, left + W, 0.04, 1.0)
    y = _axis(np.concatenate([*lines.values(), []]), BOTTOM, TOP, 0.06, 0.1)
    y = y._replace(low=max(y.low, 0.0))
    _grid(sheet, epochs, x, y, "%" if what == "accuracy" else "")
    sheet.write(left, 16, what, 20)
    sheet.write(left + W / 2, BOTTOM + 30, "epoch", 14, FAINT, "ma")
    for name, values in lines.items():
        points = np.column_stack([x.at(epochs), y.at(values)])
        for piece in np.split(points, np.flatnonzero(np.isnan(values))):
            _line(sheet, piece[~np.isnan(piece[:, 1])], name)
        every = -(-len(points) // 25)  # no crowd of marks
        for point in points[::every][np.isfinite(values[::every])]:
            _mark(sheet, point, name)
        _line(sheet, np.array([[left, 54.0], [left + 40, 54.0]]), name)  # the legend
        _mark(sheet, np.array([left + 20, 54.0]), name)
        known = values[np.isfinite(values)]
        last = format(known[-1], ".2%" if what == "accuracy" else ".4g") if len(known) else "-"
        sheet.write(left + 48, 54, f"{name}, last {last}", 14, INK, "lm")
        left += 200


def _grid(sheet: Sheet, epochs: Array, x: Axis, y: Axis, percent: str) -> None:
    rounds = np.array(ticks(y.low, y.high, 5))
    step = min(np.diff(rounds), default=1.0) * (100 if percent else 1)
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))  # that tell round values apart
    form = f".{digits}{percent or 'f'}" if 1e-5 < step < 1e6 else ".3g"
    for value, height in zip(rounds, y.at(rounds), strict=True):
        sheet.line([x.first, height, x.last, height], GRID, 1)
        sheet.write(x.first - 10, height, format(value, form), 13, INK, "rm")
    sheet.line([x.first, BOTTOM, x.last, BOTTOM], INK, 1)
    rounds = np.array([tick for tick in ticks(epochs.min(), epochs.max(), 8) if tick % 1 == 0])
    for epoch, place in zip(rounds, x.at(rounds), strict=True):
        sheet.line([place, BOTTOM, place, BOTTOM + 5], INK, 1)
        sheet.write(place, BOTTOM + 10, f"{epoch:.0f}", 13, INK, "ma")


def _line(sheet: Sheet, points: Array, name: str) -> None:
    # Through points (n, 2); dashes are measured along the line, however short its pieces.
    length = np.r_[0, np.hypot(*np.diff(points, axis=0).T).cumsum()]
    dash, step = (np.inf, np.inf) if name == "training" else (7, 11)
    for start in np.arange(0, length[-1], step) if len(points) > 1 else ():
        end = min(start + dash, length[-1])
        at = np.array([start, *length[(length > start) & (length < end)], end])
        piece = np.column_stack([np.interp(at, length, points[:, k]) for k in (0, 1)])
        sheet.line(piece.ravel(), _colour(name), 2)


def _mark(sheet: Sheet, point: Array, name: str) -> None:
    shape = sheet.pen.ellipse if name == "training" else sheet.pen.rectangle
    corners = np.concatenate([point - 4, point + 4]) * sheet.fine
    shape(corners.tolist(), _colour(name))


def _colour(name: str) -> Colour:
    return BLUE if name == "training" else ORANGE
