"""Loss and accuracy over the epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

from datasets.draw.canvas import Array, Sheet, ticks
from datasets.draw.colours import BLUE, FAINT, INK, ORANGE, Colour

__all__ = ["curves"]

FINE = 4  # lines are drawn this many times larger, then averaged: smooth
W, H, TOP = 400, 250, 84  # of the field in which the lines lie
PREFIX = {"training": "", "test": "test_", "validation": "validation_"}  # of "loss", "accuracy"
History = Sequence[Mapping[str, float | None]]


def curves(history: History, path: str | Path) -> None:
    """Loss and accuracy, from a row per epoch: epoch, loss, accuracy, test_accuracy, test_loss.

    Training is blue with discs; test_ or validation_ is orange, broken, with squares.
    A value that is missing, nan or inf leaves a gap. Raises ValueError for an empty history,
    OSError where path cannot be written.
    """
    if not history:
        raise ValueError("curves expects a history of at least one epoch, got none")
    panels = [Panel(76, "loss", history), Panel(576, "accuracy", history)]
    sheet, fine = Sheet(1000, 390), Sheet(1000 * FINE, 390 * FINE)
    for panel in panels:
        panel.draw(fine.pen)
    sheet.image.paste(fine.image.reduce(FINE))
    for panel in panels:
        panel.write(sheet)
    sheet.save(path)


class Panel:
    """Lines over the epochs of a history, of what = "loss" or "accuracy"."""

    def __init__(self, left: int, what: str, history: History) -> None:
        self.left, self.what, self.percent = left, what, "%" if what == "accuracy" else ""
        self.epochs = np.array([float(row.get("epoch") or i) for i, row in enumerate(history, 1)])
        self.lines = {  # (epochs,) each, nan where there is no value
            name: np.array([_finite(row.get(prefix + what)) for row in history])
            for name, prefix in PREFIX.items()
            if any(prefix + what in row for row in history)
        }
        self.across = _range(self.epochs, 0.04, 1.0)
        low, high = _range(np.concatenate([*self.lines.values(), []]), 0.06, 0.1)
        self.up = max(low, 0.0), high
        rounds = ticks(self.epochs.min(), self.epochs.max(), 8)
        self.rounds_across = np.array([epoch for epoch in rounds if epoch % 1 == 0])
        self.rounds_up = np.array(ticks(*self.up, 5))

    def x(self, epochs: Array) -> Array:
        return self.left + W * (epochs - self.across[0]) / (self.across[1] - self.across[0])

    def y(self, values: Array) -> Array:
        return TOP + H - H * (values - self.up[0]) / (self.up[1] - self.up[0])

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """All that is no text, FINE times as large."""
        right, bottom = self.left + W, TOP + H
        for y in self.y(self.rounds_up):
            pen.line(_fine([self.left, y, right, y]), (225, 225, 225), FINE)
        for x in self.x(self.rounds_across):
            pen.line(_fine([x, bottom, x, bottom + 5]), INK, FINE)
        pen.line(_fine([self.left, bottom, right, bottom]), INK, FINE)
        for k, (name, values) in enumerate(self.lines.items()):
            _curve(pen, np.column_stack([self.x(self.epochs), self.y(values)]), name)
            left = self.left + 200 * k  # in the legend
            _line(pen, np.array([[left, 54], [left + 40, 54]]), name)
            _mark(pen, np.array([left + 20, 54]), name)

    def write(self, sheet: Sheet) -> None:
        """The texts."""
        step = min(np.diff(self.rounds_up), default=1.0) * (100 if self.percent else 1)
        digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))  # that tell round values apart
        form = f".{digits}{self.percent or 'f'}" if 1e-5 < step < 1e6 else ".3g"
        for value, y in zip(self.rounds_up, self.y(self.rounds_up), strict=True):
            sheet.write(self.left - 10, y, format(value, form), 13, INK, "rm")
        for epoch, x in zip(self.rounds_across, self.x(self.rounds_across), strict=True):
            sheet.write(x, TOP + H + 10, f"{epoch:.0f}", 13, INK, "ma")
        sheet.write(self.left, 16, self.what, 20)
        sheet.write(self.left + W / 2, TOP + H + 30, "epoch", 14, FAINT, "ma")
        for k, (name, values) in enumerate(self.lines.items()):
            known = values[np.isfinite(values)]
            last = format(known[-1], ".2%" if self.percent else ".4g") if len(known) else "-"
            sheet.write(self.left + 200 * k + 48, 54, f"{name}, last {last}", 14, INK, "lm")


def _finite(value: float | None) -> float:
    return float(value) if value is not None and np.isfinite(value) else np.nan


def _range(values: Array, margin: float, alone: float) -> tuple[float, float]:
    # From the least to the greatest and a little more, or alone to both sides of one value.
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    room = margin * (high - low) or alone * abs(high) or 1.0
    return low - room, high + room


# --- lines and what marks them ---------------------------------------------------------


def _fine(points: npt.ArrayLike) -> list[float]:
    return (np.asarray(points) * FINE).ravel().tolist()


def _curve(pen: ImageDraw.ImageDraw, points: Array, name: str) -> None:
    known = np.isfinite(points[:, 1])
    for piece in np.split(points, np.flatnonzero(~known)):
        _line(pen, piece[np.isfinite(piece[:, 1])], name)
    every = -(-len(points) // 25)  # no crowd of marks
    for point in points[::every][known[::every]]:
        _mark(pen, point, name)


def _line(pen: ImageDraw.ImageDraw, points: Array, name: str) -> None:
    # Through points (n, 2); dashes are measured along the line, however short its pieces.
    length = np.r_[0, np.hypot(*np.diff(points, axis=0).T).cumsum()]
    dash, step = (np.inf, np.inf) if name == "training" else (7, 11)
    for start in np.arange(0, length[-1], step) if len(points) > 1 else ():
        end = min(start + dash, length[-1])
        at = np.array([start, *length[(length > start) & (length < end)], end])
        piece = np.column_stack([np.interp(at, length, points[:, k]) for k in (0, 1)])
        pen.line(_fine(piece), _colour(name), 2 * FINE, joint="curve")


def _mark(pen: ImageDraw.ImageDraw, point: Array, name: str) -> None:
    shape = pen.ellipse if name == "training" else pen.rectangle
    shape(_fine([point - 4, point + 4]), _colour(name))


def _colour(name: str) -> Colour:
    return BLUE if name == "training" else ORANGE
