"""Loss and accuracy over the epochs, drawn with Pillow alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.draw.canvas import BLUE, FAINT, INK, ORANGE, Colour, blank, save, ticks, wide, write

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["curves"]

Array = npt.NDArray[np.floating]

FINE = 4  # lines are drawn this many times larger, then averaged: smooth
W, H, MARGIN = 400, 250, 8  # of the field in which the lines lie
LINES = {  # column of the history: panel, name, colour, broken and square or not
    "loss": ("loss", "training", BLUE, False),
    "test_loss": ("loss", "test", ORANGE, True),
    "accuracy": ("accuracy", "training", BLUE, False),
    "test_accuracy": ("accuracy", "test", ORANGE, True),
    "validation_accuracy": ("accuracy", "validation", ORANGE, True),
}


class Line(NamedTuple):
    """One curve: its name, colour, whether it is broken, and a value per epoch."""

    name: str
    colour: Colour
    broken: bool
    values: Array  # (epochs,), nan where there is none


def curves(history: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Loss and accuracy, from a row per epoch: epoch, loss, accuracy, test_accuracy, test_loss.

    Training is blue with discs; test, or validation_accuracy, is orange, broken, with squares.
    A value that is missing, nan or inf leaves a gap. Raises ValueError for an empty history,
    OSError where path cannot be written.
    """
    if not history:
        raise ValueError("curves expects a history of at least one epoch, got none")
    epochs = np.array([float(row.get("epoch", i + 1)) for i, row in enumerate(history)])
    sheet, draw = blank(1000, 390)
    for left, title in ((76, "loss"), (576, "accuracy")):
        write(draw, left, 16, title, 20)
        lines = [
            Line(name, colour, broken, np.array([_number(row.get(key)) for row in history]))
            for key, (panel, name, colour, broken) in LINES.items()
            if panel == title and any(key in row for row in history)
        ]
        _panel(sheet, draw, left, title, epochs, lines)
    save(sheet, path)


def _number(value: float | None) -> float:
    value = float("nan") if value is None else float(value)
    return value if np.isfinite(value) else float("nan")


def _panel(
    sheet: "Image.Image", draw: "ImageDraw.ImageDraw", left: int, title: str,
    epochs: Array, lines: list[Line],
) -> None:  # fmt: skip
    top = 84
    across = _range(epochs, 0.04, whole=True)
    up = _range(np.concatenate([line.values for line in lines] or [epochs * 0]), 0.06)
    field, pen = blank((W + 2 * MARGIN) * FINE, (H + 2 * MARGIN) * FINE)
    for tick, text in _round_values(up, title):
        y = float(_place(tick, up, H, 0))
        pen.line((MARGIN * FINE, y, (W + MARGIN) * FINE, y), (225, 225, 225), FINE)
        write(draw, left - 10, top + y / FINE - MARGIN, text, 13, INK, "rm")
    bottom = (H + MARGIN) * FINE
    pen.line((MARGIN * FINE, bottom, (W + MARGIN) * FINE, bottom), INK, FINE)
    for tick in _round_epochs(epochs):
        x = float(_place(tick, across, 0, W))
        pen.line((x, bottom, x, bottom + 5 * FINE), INK, FINE)
        write(draw, left + x / FINE - MARGIN, top + H + 10, f"{tick:.0f}", 13, INK, "ma")
    for line in lines:
        _curve(pen, line, _place(epochs, across, 0, W), _place(line.values, up, H, 0))
    sheet.paste(field.reduce(FINE), (left - MARGIN, top - MARGIN))
    write(draw, left + W / 2, top + H + 30, "epoch", 14, FAINT, "ma")
    _legend(sheet, draw, left, title, lines)


def _round_epochs(epochs: Array) -> list[float]:
    return [tick for tick in ticks(epochs.min(), epochs.max(), 8) if tick == round(tick)]


def _round_values(up: tuple[float, float], title: str) -> list[tuple[float, str]]:
    # Round numbers with just as many digits as tell them apart.
    rounds = ticks(*up, 5)
    percent = "%" if title == "accuracy" else ""
    step = min(np.diff(rounds), default=1.0) * (100 if percent else 1)
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    form = f".{digits}{percent or 'f'}" if 1e-5 < step < 1e6 else ".3g"
    return [(tick, f"{tick:{form}}") for tick in rounds]


def _range(values: Array, margin: float, whole: bool = False) -> tuple[float, float]:
    # From the least to the greatest and a little more; losses and accuracies stay above 0.
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low == high:
        return (low - 1, high + 1) if whole else (low * 0.9, high * 1.1 or 1.0)
    room = margin * (high - low)
    return low - room if whole else max(low - room, 0.0), high + room


def _place(values: npt.ArrayLike, between: tuple[float, float], first: int, last: int) -> Array:
    # Pixels of the fine field for values of an axis.
    part = (np.asarray(values, np.float64) - between[0]) / (between[1] - between[0])
    return (MARGIN + first + part * (last - first)) * FINE


# --- lines and what marks them ---------------------------------------------------------


def _curve(pen: "ImageDraw.ImageDraw", line: Line, x: Array, y: Array) -> None:
    gaps = np.flatnonzero(np.isnan(y))
    for run in np.split(np.column_stack([x, y]), gaps):
        _way(pen, run[~np.isnan(run[:, 1])], line)
    every = -(-len(x) // 25)  # no crowd of marks
    for a in range(0, len(x), every):
        if not np.isnan(y[a]):
            _mark(pen, x[a], y[a], line)


def _way(pen: "ImageDraw.ImageDraw", points: Array, line: Line) -> None:
    # Through points (n, 2); dashes are measured along the way, however short its pieces.
    length = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])[: len(points)]
    dash, step = (7 * FINE, 11 * FINE) if line.broken else (np.inf, np.inf)
    for start in np.arange(0, length[-1], step) if len(points) > 1 else ():
        end = min(start + dash, length[-1])
        between = length[(length > start) & (length < end)]
        at = np.array([start, *between, end])
        piece = np.column_stack([np.interp(at, length, points[:, k]) for k in (0, 1)])
        pen.line(piece.ravel().tolist(), line.colour, 2 * FINE, joint="curve")


def _mark(pen: "ImageDraw.ImageDraw", x: float, y: float, line: Line) -> None:
    r = 4 * FINE
    (pen.rectangle if line.broken else pen.ellipse)((x - r, y - r, x + r, y + r), line.colour)


def _legend(
    sheet: "Image.Image", draw: "ImageDraw.ImageDraw", left: int, title: str, lines: list[Line]
) -> None:
    x, y = left, 54
    for line in lines:
        sample, pen = blank(40 * FINE, 12 * FINE)
        middle = 6 * FINE
        _way(pen, np.array([[0, middle], [40 * FINE, middle]]), line)
        _mark(pen, 20 * FINE, middle, line)
        sheet.paste(sample.reduce(FINE), (x, y - 6))
        known = line.values[np.isfinite(line.values)]
        last = (
            (f"{known[-1]:.2%}" if title == "accuracy" else f"{known[-1]:.4g}")
            if len(known)
            else "-"
        )
        text = f"{line.name}, last {last}"
        write(draw, x + 48, y, text, 14, INK, "lm")
        x += 48 + wide(text, 14) + 24
