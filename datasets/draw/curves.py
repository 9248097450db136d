"""Loss and accuracy over the epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from datasets.draw.canvas import Array, Sheet, ticks
from datasets.draw.colours import BLUE, FAINT, GRID, INK, ORANGE

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
            name: _finite([row.get(prefix + what) for row in history])
            for name, prefix in PREFIX.items()
            if any(prefix + what in row for row in history)
        }
        _panel(sheet, left, what, epochs, lines)
    sheet.save(path)


def _finite(values: Sequence[float | None]) -> Array:
    found = np.array([np.nan if value is None else value for value in values], np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _span(values: Array, margin: float, alone: float) -> tuple[float, float]:
    # From the least to the greatest and a little more, or alone to both sides of one value.
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    room = margin * (high - low) or alone * abs(high) or 1.0
    return low - room, high + room


def _panel(sheet: Sheet, left: int, what: str, epochs: Array, lines: dict[str, Array]) -> None:
    low, high = _span(np.concatenate([*lines.values(), []]), 0.06, 0.1)
    low, percent = max(low, 0.0), what == "accuracy"
    x = np.interp(epochs, _span(epochs, 0.04, 1.0), (left, left + W))
    _axes(sheet, left, (low, high), percent)
    _epochs(sheet, left, epochs, x)
    sheet.write(left, 16, what, 20)
    for i, (name, values) in enumerate(lines.items()):
        _curve(sheet, x, np.interp(values, (low, high), (BOTTOM, TOP)), name)
        begin = left + 200 * i  # the legend
        _curve(sheet, begin + np.array([0, 40]), np.array([54, 54]), name)
        known = values[np.isfinite(values)]
        last = format(known[-1], ".2%" if percent else ".4g") if len(known) else "-"
        sheet.write(begin + 48, 54, f"{name}, last {last}", 14, INK, "lm")


def _axes(sheet: Sheet, left: int, span: tuple[float, float], percent: bool) -> None:
    # A line in grey for each round value, which stands at its left.
    for value in ticks(*span, 5):
        y = float(np.interp(value, span, (BOTTOM, TOP)))
        text = f"{100 * value:.6g}%" if percent else f"{value:.4g}"
        sheet.line([left, y, left + W, y], GRID, 1)
        sheet.write(left - 10, y, text, 13, INK, "rm")


def _epochs(sheet: Sheet, left: int, epochs: Array, x: Array) -> None:
    sheet.line([left, BOTTOM, left + W, BOTTOM], INK, 1)
    for epoch in ticks(epochs.min(), epochs.max(), 8):
        if epoch % 1 == 0:
            place = float(np.interp(epoch, epochs, x))
            sheet.line([place, BOTTOM, place, BOTTOM + 5], INK, 1)
            sheet.write(place, BOTTOM + 10, f"{epoch:.0f}", 13, INK, "ma")
    sheet.write(left + W / 2, BOTTOM + 30, "epoch", 14, FAINT, "ma")


def _curve(sheet: Sheet, x: Array, y: Array, name: str) -> None:
    # A line through the points, broken unless it is of the training, and marks on it, but no
    # crowd of them; nothing where y is nan.
    own = name == "training"
    colour, mark = (BLUE, sheet.pen.ellipse) if own else (ORANGE, sheet.pen.rectangle)
    dash, step = (W, W) if own else (7, 11)
    for start in np.arange(x[0], x[-1], step):
        at = np.arange(start, min(start + dash, x[-1]) + 0.5)
        points = np.column_stack([at, np.interp(at, x, y)])
        for piece in np.split(points, np.flatnonzero(np.isnan(points[:, 1]))):
            if len(known := piece[~np.isnan(piece[:, 1])]):
                sheet.line(known.ravel(), colour, 2)
    for i in range(0, len(x), -(-len(x) // 25)):
        if not np.isnan(y[i]):
            mark(np.multiply((x[i] - 4, y[i] - 4, x[i] + 4, y[i] + 4), sheet.fine).tolist(), colour)
