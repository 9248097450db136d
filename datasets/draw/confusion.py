"""Which class was taken for which: a square of counts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.draw.canvas import Integers, Sheet, labels, shortened, wide
from datasets.draw.colours import BLUES, FAINT, INK, ORANGES, Pixels, coloured, ink_on

__all__ = ["confusion_picture"]

MOST, WORST = 400, 100  # of more than MOST classes only the WORST are drawn
LEGEND = "blue: right; orange: mistaken; the darker the more, on a logarithmic scale"


def confusion_picture(
    truth: Integers, guess: Integers, names: Sequence[str], path: str | Path
) -> None:
    """How often each true class (row) was taken for each class (column); truth, guess (N,).

    Right answers are blue, mistakes orange, both the darker the more, on a logarithmic
    scale: a single mistake can be seen beside a thousand right answers. Of more than 400
    classes the 100 with the most mistakes are drawn.
    Raises ValueError unless there are two names or more, and one for every class.
    """
    K = len(names)
    if K < 2 or len(truth) != len(guess) or not np.isin(np.r_[truth, guess], range(K)).all():
        raise ValueError(
            f"confusion_picture expects {len(truth)} truths and guesses from 0 to {K - 1}, for "
            f"two classes or more, got {len(guess)} guesses, {K} names"
        )
    classes = _classes(truth, guess, K)
    right = np.mean(truth == guess) if len(truth) else 0.0
    title = f"Confusions: {len(truth):,} pictures, {right:.2%} right"
    if len(classes) < K:
        title += f"; the {WORST} of {K:,} classes with most mistakes"
    said = labels(names)
    table = Table(title, _counts(truth, guess, classes, K), [said[k] for k in classes])
    table.cells()
    table.names(np.bincount(truth, minlength=K)[classes])
    table.sheet.save(path)


def _classes(truth: Integers, guess: Integers, K: int) -> Integers:
    # The classes that are drawn, in order.
    if K <= MOST:
        return np.arange(K)
    wrong = truth != guess
    mistakes = np.bincount(truth[wrong], minlength=K) + np.bincount(guess[wrong], minlength=K)
    return np.sort(np.argsort(-mistakes, kind="stable")[:WORST])


def _counts(truth: Integers, guess: Integers, classes: Integers, K: int) -> Integers:
    # (k, k) for k classes: how often a class (row) was taken for another (column).
    k, place = len(classes), np.full(K, -1)
    place[classes] = np.arange(k)
    row, column = place[truth], place[guess]  # (N,)
    drawn = (row >= 0) & (column >= 0)
    return np.bincount(k * row[drawn] + column[drawn], minlength=k * k).reshape(k, k)


class Table:
    """A sheet with counts (k, k) in cells, the darker the more, and room around for names."""

    def __init__(self, title: str, counts: Integers, names: list[str]) -> None:
        k, self.counts, self.said = len(counts), counts, names
        sizes = (12, 54), (20, 42), (45, 30), (110, 13)
        self.cell = next((size for most, size in sizes if most >= k), 4)
        self.size = min(15, max(self.cell // 3 + 1, 11))  # of the letters
        longest = max(wide(name, self.size) for name in names)
        self.flat = longest <= self.cell - 6
        self.left = 56 + min(longest, 190)
        self.top = 96 + (22 if self.flat else min(longest, 190))
        self.right, self.bottom = self.left + k * self.cell, self.top + k * self.cell
        width = max(self.right + 150, 32 + wide(title, 20), 640)
        self.sheet = Sheet(width, self.bottom + 56)
        self.sheet.write(16, 14, title, 20)
        self.sheet.write(16, self.bottom + 26, LEGEND, 14)

    def cells(self) -> None:
        shades, cell = _shades(self.counts), self.cell
        pixels = np.kron(shades, np.ones((cell, cell, 1), np.uint8))  # (k*cell, k*cell, 3)
        if cell >= 10:  # a white line between two of them
            pixels[cell - 1 :: cell] = pixels[:, cell - 1 :: cell] = 255
        self.sheet.paste(pixels, self.left, self.top)
        if cell < 30:
            return
        size = 15 if cell >= 50 else 12 if cell >= 40 else 11
        for row, column in np.argwhere(self.counts):
            x, y = self.left + (column + 0.5) * cell - 0.5, self.top + (row + 0.5) * cell - 1
            text = _short(int(self.counts[row, column]), cell - 2, size)
            self.sheet.write(x, y, text, size, ink_on(shades[row, column]), "mm")

    def names(self, pictures: Integers) -> None:
        """Beside its row and over its column; at the end of a row how many pictures (k,) it has."""
        end, size = self.right + 124, self.size
        for x, word in ((end - 64, "pictures"), (end, "right")):
            self.sheet.write(x, self.top - 6, word, 13, FAINT, "rs")
        every = -(-12 // self.cell)  # third, or so, where cells are small
        for k in range(0, len(self.said), every):
            at, name = k * self.cell + self.cell // 2, shortened(self.said[k], 190, size)
            self.sheet.write(self.left - 8, self.top + at, name, size, INK, "rm")
            if self.flat:
                self.sheet.write(self.left + at, self.top - 6, name, size, INK, "ms")
            else:
                self.sheet.write_upwards(self.left + at, self.top - 6, name, size)
            y, n = self.top + (k + 0.5) * self.cell, int(pictures[k])
            part = f"{self.counts[k, k] / n:.1%}" if n else "-"
            self.sheet.write(end - 64, y, f"{n:,}", size, INK, "rm")
            self.sheet.write(end, y, part, size, INK, "rm")
        self.sheet.write(self.left, 60, "taken for", 15, FAINT)
        self.sheet.write_upwards(22, self.top + wide("truth", 15), "truth", 15, FAINT)


def _shades(counts: Integers) -> Pixels:
    # (k, k, 3): blue on the diagonal, orange beside it, nearly white for none.
    shades, right = np.full((*counts.shape, 3), 246, np.uint8), np.eye(len(counts), dtype=bool)
    for some, anchors in ((right, BLUES), (~right, ORANGES)):
        depth = np.log(counts.clip(1)) / np.log(max(counts[some].max(), 2))
        drawn = some & (counts > 0)
        shades[drawn] = coloured(depth[drawn], anchors)
    return shades


def _short(n: int, room: int, size: int) -> str:
    # 12345 as 12k where it does not fit.
    texts = str(n), f"{n / 1e3:.0f}k", f"{n / 1e6:.0f}M"
    return next((text for text in texts if wide(text, size) <= room), "")
