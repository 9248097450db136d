"""Pictures of what a network is, and of where it errs; drawn with Pillow alone, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.draw.canvas import (
    BLUE,
    BLUES,
    FAINT,
    INK,
    ORANGE,
    ORANGES,
    SIGNED,
    blank,
    coloured,
    ink_on,
    labels,
    save,
    shortened,
    sideways,
    wide,
    write,
)
from datasets.draw.curves import curves

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["weights_sheet", "filters_sheet", "mistakes_sheet", "confusion_picture", "curves"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]

WIDTH = 1000  # pixels, about: a sheet fits a page and a browser
SHOWN, TILES, CHANNELS, AREA = 400, 1000, 32, 4_000_000  # at most on a sheet; AREA is in weights
WORST, TILE = 50, 104  # mistakes on a sheet, and pixels a side of each: 28 x 28 fits 3 times


# --- weights -------------------------------------------------------------------------


def weights_sheet(W: Array, shape: tuple[int, int, int], path: str | Path) -> None:
    """First-layer weights W (D, H), one tile for each of H neurons, for images of shape (C, h, w).

    Raises ValueError unless D = C h w, OSError where path cannot be written.
    """
    if W.ndim != 2 or W.shape[0] != np.prod(shape) or not W.shape[1]:
        raise ValueError(f"weights_sheet expects W (D, H) with D = {shape}, got {W.shape}")
    _signed_sheet(W.T.reshape(-1, *shape), "First-layer weights", "neuron", path)


def filters_sheet(W: Array, path: str | Path) -> None:
    """Convolution filters W (F, C, KH, KW), one group of C tiles for each of F filters."""
    if W.ndim != 4 or not W.size:
        raise ValueError(f"filters_sheet expects W (F, C, KH, KW), got {W.shape}")
    _signed_sheet(W, "Convolution filters", "filter", path)


def _signed_sheet(groups: Array, title: str, one: str, path: str | Path) -> None:
    # groups (N, C, h, w): N groups of C tiles each, all in one scale of colours.
    if not np.isfinite(groups).all():
        raise ValueError(f"{title}: expected finite numbers, got nan or inf")
    N, C = groups.shape[:2]
    scale = float(np.quantile(np.abs(groups), 0.995)) or 1.0
    c, area = min(C, CHANNELS), groups[0, :CHANNELS].size
    n = max(1, min(N, SHOWN, TILES // c, AREA // area))
    pieces = [_group(group / scale) for group in groups[:n, :c]]
    title = f"{title}: {_some(n, N, one)}"
    if C > 1:
        colours = "red, green and blue" if C == 3 else _some(c, C, "input channel")
        title += f", each for {colours}"
    sheet, draw = _headed(pieces, title, one)
    _legend(sheet, draw, 16, 56, scale)
    save(sheet, path)


def _some(n: int, N: int, one: str) -> str:
    return f"the first {n} of {N} {one}s" if n < N else f"{N} {one}{'s' * (N > 1)}"


def _group(tiles: Array) -> "Image.Image":
    # (C, h, w) in [-1, 1] as one picture, the tiles side by side, each with a grey outline.
    from PIL import Image

    C, h, w = tiles.shape
    zoom = max(1, round(56 / max(h, w, 4)))
    pixels = coloured((tiles + 1) / 2, SIGNED).repeat(zoom, 1).repeat(zoom, 2)  # (C, h, w, 3)
    sheet = np.full((h * zoom + 2, C * (w * zoom + 4) - 2, 3), 255, np.uint8)
    for c in range(C):
        left = c * (w * zoom + 4)
        sheet[:, left : left + w * zoom + 2] = 200
        sheet[1:-1, left + 1 : left + w * zoom + 1] = pixels[c]
    return Image.fromarray(sheet)


def _headed(
    pieces: "Sequence[Image.Image]", title: str, one: str
) -> "tuple[Image.Image, ImageDraw.ImageDraw]":
    # A sheet of pictures of one size in rows, numbered at the left.
    w, h = pieces[0].width + 12, pieces[0].height + 10
    columns = max(1, min((WIDTH - 90) // w, len(pieces)))
    columns -= columns % 5 if columns > 5 else 0
    top, left = 122, 64
    rows = -(-len(pieces) // columns)
    W = max(left + columns * w + 16, 16 + wide(title, 20) + 16, 690)
    sheet, draw = blank(W, top + rows * h + 12)
    write(draw, 16, 14, title, 20)
    for i, piece in enumerate(pieces):
        x, y = left + i % columns * w, top + i // columns * h
        if i % columns == 0:
            write(draw, left - 10, y + h / 2 - 4, str(i), 13, FAINT, "rm")
        sheet.paste(piece, (x, y))
    write(draw, left - 10, top - 8, one, 13, FAINT, "rs")
    return sheet, draw


def _legend(
    sheet: "Image.Image", draw: "ImageDraw.ImageDraw", x: int, y: int, scale: float
) -> None:
    from PIL import Image

    ends = f"-{scale:.2g} or less", f"+{scale:.2g} or more"
    left = x + wide(ends[0], 14) + 8
    bar = coloured(np.linspace(0, 1, 160), SIGNED)[None].repeat(14, 0)
    sheet.paste(Image.fromarray(bar), (left, y))
    write(draw, left - 8, y + 7, ends[0], 14, INK, "rm")
    write(draw, left + 168, y + 7, ends[1], 14, INK, "lm")
    write(draw, left + 80, y + 17, "0", 13, FAINT, "ma")
    right = left + 168 + wide(ends[1], 14) + 24
    write(draw, right, y + 7, "light there raises (+) or lowers (-) the output", 13, FAINT, "lm")


# --- mistakes ------------------------------------------------------------------------


def mistakes_sheet(
    images: npt.NDArray,
    truth: Integers,
    guess: Integers,
    probability: Array,
    names: Sequence[str] | None,
    path: str | Path,
) -> None:
    """The 50 worst mistakes: of all N pictures, those most surely taken for something else.

    images (N, C, H, W) or (N, H, W), uint8 or floats in [0, 1]; truth, guess and the
    probability of the guess (N,). Raises ValueError for other shapes or labels.
    """
    N = len(images)
    if not len(truth) == len(guess) == len(probability) == N:
        raise ValueError(
            f"mistakes_sheet expects as many truths, guesses and probabilities as images, "
            f"got {len(truth)}, {len(guess)}, {len(probability)} for {N}"
        )
    K = int(max(np.max(truth, initial=0), np.max(guess, initial=0))) + 1
    said = labels(names, K if names is None else max(K, len(names)))
    wrong = np.flatnonzero(truth != guess)
    worst = wrong[np.argsort(-np.asarray(probability)[wrong], kind="stable")][:WORST]
    title = f"{len(wrong):,} mistakes in {N:,} pictures"
    if len(wrong) > len(worst):
        title += f", the {len(worst)} that the network is surest of"
    sheet, draw = _mistakes_paper(len(worst), title)
    for i, n in enumerate(worst):
        x, y = 20 + i % 10 * 116, 60 + i // 10 * (TILE + 68)
        tile = _tile(images[n])
        sheet.paste(tile, (x, y + TILE - tile.height))
        _caption(draw, x, y + TILE + 4, said[truth[n]], said[guess[n]], probability[n])
    save(sheet, path)


def _caption(
    draw: "ImageDraw.ImageDraw", x: int, y: int, truth: str, guess: str, probability: float
) -> None:
    write(draw, x, y, shortened(f"is {truth}", TILE, 13), 13, BLUE)
    write(draw, x, y + 16, shortened(f"taken for {guess}", TILE, 13), 13, ORANGE)
    write(draw, x, y + 32, f"{probability:.1%} sure", 12, FAINT)


def _mistakes_paper(n: int, title: str) -> "tuple[Image.Image, ImageDraw.ImageDraw]":
    columns, rows = min(max(n, 1), 10), -(-n // 10)
    sheet, draw = blank(max(28 + columns * 116, 40 + wide(title, 20)), 60 + rows * (TILE + 68))
    write(draw, 20, 16, title, 20)
    return sheet, draw


def _tile(image: npt.NDArray) -> "Image.Image":
    # One picture, no larger than TILE a side, its pixels as squares where it is small.
    from PIL import Image

    pixels = image if image.dtype == np.uint8 else np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    tile = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    ratio = TILE / max(tile.size)
    if ratio >= 1:
        return tile.resize(
            (tile.width * int(ratio), tile.height * int(ratio)), Image.Resampling.NEAREST
        )
    return tile.resize([max(1, round(n * ratio)) for n in tile.size], Image.Resampling.BOX)


# --- confusion -----------------------------------------------------------------------


def confusion_picture(matrix: Integers, names: Sequence[str] | None, path: str | Path) -> None:
    """How often each true class (row) was taken for each class (column): counts (K, K), K >= 2.

    Right answers are blue, mistakes orange, both the darker the more, on a logarithmic
    scale: a single mistake can be seen beside a thousand right answers.
    Raises ValueError for anything but a square of counts.
    """
    matrix = np.asarray(matrix)
    K = len(matrix)
    if matrix.shape != (K, K) or K < 2 or matrix.dtype.kind not in "iu" or matrix.min() < 0:
        raise ValueError(
            f"confusion_picture expects counts (K, K), K >= 2, got {matrix.dtype} {matrix.shape}"
        )
    said = labels(names, K)
    cell = next((size for most, size in ((12, 54), (20, 42), (45, 30), (110, 13)) if most >= K), 4)
    small = min(15, max(cell // 3 + 1, 11))
    left = 56 + min(max(wide(name, small) for name in said), 190)
    flat = max(wide(name, small) for name in said) <= cell - 6
    top = 96 + (22 if flat else min(max(wide(name, small) for name in said), 190))
    W = max(left + K * cell + 150, 640)
    sheet, draw = blank(W, top + K * cell + 76)
    right = np.trace(matrix) / max(matrix.sum(), 1)
    write(draw, 16, 14, f"Confusions: {matrix.sum():,} pictures, {right:.2%} right", 20)
    _cells(sheet, draw, matrix, left, top, cell)
    _axes(sheet, draw, said, left, top, cell, small, flat)
    _totals(draw, matrix, left + K * cell + 14, top, cell, small)
    _scales(sheet, draw, matrix, 16, top + K * cell + 28)
    save(sheet, path)


def _shades(matrix: Integers) -> npt.NDArray[np.uint8]:
    # (K, K, 3): blue on the diagonal, orange beside it, nearly white for none.
    right = np.eye(len(matrix), dtype=bool)
    shades = np.full((*matrix.shape, 3), 246, np.uint8)
    for some, anchors in ((right, BLUES), (~right, ORANGES)):
        counts = np.where(some, matrix, 0)
        depth = np.log(np.maximum(counts, 1)) / np.log(max(counts.max(), 2))
        shades[counts > 0] = coloured(depth[counts > 0], anchors)
    return shades


def _cells(
    sheet: "Image.Image",
    draw: "ImageDraw.ImageDraw",
    matrix: Integers,
    left: int,
    top: int,
    cell: int,
) -> None:
    shades = _shades(matrix)
    gap = 1 if cell >= 10 else 0
    for row, column in np.ndindex(matrix.shape):
        x, y = left + column * cell, top + row * cell
        shade = tuple(int(c) for c in shades[row, column])
        draw.rectangle((x, y, x + cell - 1 - gap, y + cell - 1 - gap), shade)
        if matrix[row, column] and cell >= 30:
            size = 15 if cell >= 50 else 12 if cell >= 40 else 11
            text = _count(int(matrix[row, column]), cell - 2, size)
            write(draw, x + (cell - gap) / 2, y + cell / 2 - 1, text, size, ink_on(shade), "mm")


def _count(n: int, room: int, size: int) -> str:
    # 12345 as 12k where it does not fit.
    for text in (str(n), f"{n / 1e3:.0f}k", f"{n / 1e6:.0f}M"):
        if wide(text, size) <= room:
            return text
    return ""


def _axes(
    sheet: "Image.Image", draw: "ImageDraw.ImageDraw", said: list[str],
    left: int, top: int, cell: int, size: int, flat: bool,
) -> None:  # fmt: skip
    every = -(-12 // cell)  # where cells are smaller than letters, every third name, or so
    for k in range(0, len(said), every):
        at = k * cell + cell // 2
        name = shortened(said[k], 190, size)
        write(draw, left - 8, top + at, name, size, INK, "rm")
        if flat:
            write(draw, left + at, top - 6, name, size, INK, "ms")
        else:
            sideways(sheet, left + at, top - 6, name, size)
    write(draw, left, 60, "taken for", 15, FAINT)
    sideways(sheet, 22, top + wide("truth", 15), "truth", 15, FAINT)


def _totals(
    draw: "ImageDraw.ImageDraw", matrix: Integers, left: int, top: int, cell: int, size: int
) -> None:
    # At the end of each row: how many there are, and how many of them were right.
    every = -(-12 // cell)
    write(draw, left + 46, top - 6, "pictures", 13, FAINT, "rs")
    write(draw, left + 110, top - 6, "right", 13, FAINT, "rs")
    for k in range(0, len(matrix), every):
        y, total = top + k * cell + cell / 2, int(matrix[k].sum())
        write(draw, left + 46, y, f"{total:,}", size, INK, "rm")
        part = f"{matrix[k, k] / total:.1%}" if total else "-"
        write(draw, left + 110, y, part, size, INK, "rm")


def _scales(
    sheet: "Image.Image", draw: "ImageDraw.ImageDraw", matrix: Integers, x: int, y: int
) -> None:
    from PIL import Image

    right = np.eye(len(matrix), dtype=bool)
    for name, some, anchors in (("right", right, BLUES), ("mistaken", ~right, ORANGES)):
        write(draw, x, y + 7, name, 14, INK, "lm")
        x += wide(name, 14) + 12
        bar = coloured(np.linspace(0, 1, 120), anchors)[None].repeat(14, 0)
        sheet.paste(Image.fromarray(bar), (x, y))
        write(draw, x, y + 18, "1", 12, FAINT)
        write(draw, x + 120, y + 18, f"{max(matrix[some].max(), 2):,}", 12, FAINT, "ra")
        x += 160
    write(draw, x, y + 7, "(logarithmic)", 13, FAINT, "lm")
