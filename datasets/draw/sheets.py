"""What a network has learnt, and where it errs: sheets of small pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.draw.canvas import Array, Integers, Sheet, labels, shortened, wide
from datasets.draw.colours import BLUE, FAINT, INK, ORANGE, SIGNED, Pixels, coloured

__all__ = ["weights_sheet", "filters_sheet", "mistakes_sheet"]

WIDTH = 1000  # pixels; SHOWN neurons, TILES and CHANNELS of them, AREA weights at most
SHOWN, TILES, CHANNELS, AREA = 100, 1000, 32, 4_000_000
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
    title = f"{title}: {_some(n, N, one)}"
    if C > 1:
        colours = "red, green and blue" if C == 3 else _some(c, C, "input channel")
        title += f", each for {colours}"
    sheet = _in_rows([_side_by_side(group / scale) for group in groups[:n, :c]], title, one)
    _write_scale(sheet, scale)
    sheet.save(path)


def _some(n: int, N: int, one: str) -> str:
    return f"the first {n} of {N} {one}s" if n < N else f"{N} {one}{'s' * (N > 1)}"


def _side_by_side(tiles: Array) -> Pixels:
    # (C, h, w) in [-1, 1] as one picture, each tile with a grey outline, two white pixels between.
    zoom = max(1, round(56 / max(*tiles.shape[1:], 4)))
    pixels = coloured((tiles + 1) / 2, SIGNED).repeat(zoom, 1).repeat(zoom, 2)  # (C, h, w, 3)
    pixels = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=200)
    pixels = np.pad(pixels, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=255)
    return np.concatenate(pixels, axis=1)[:, :-2]


def _in_rows(pieces: Sequence[Pixels], title: str, one: str) -> Sheet:
    # Pictures of one size in rows, numbered at the left.
    h, w = pieces[0].shape[0] + 10, pieces[0].shape[1] + 12
    columns = max(1, min((WIDTH - 90) // w, len(pieces)))
    columns -= columns % 5 if columns > 5 else 0
    top, left = 122, 64
    width = max(left + columns * w + 16, 16 + wide(title, 20) + 16, 690)
    sheet = Sheet(width, top + -(-len(pieces) // columns) * h + 12)
    sheet.write(16, 14, title, 20)
    sheet.write(left - 10, top - 8, one, 13, FAINT, "rs")
    for i, piece in enumerate(pieces):
        y = top + i // columns * h
        sheet.paste(piece, left + i % columns * w, y)
        if i % columns == 0:
            sheet.write(left - 10, y + h / 2 - 4, str(i), 13, FAINT, "rm")
    return sheet


def _write_scale(sheet: Sheet, scale: float) -> None:
    less, more = f"-{scale:.2g} or less", f"+{scale:.2g} or more"
    left = 24 + wide(less, 14)
    right = left + 168 + wide(more, 14) + 24
    sheet.paste(coloured(np.linspace(0, 1, 160), SIGNED)[None].repeat(14, 0), left, 56)
    sheet.write(left - 8, 63, less, 14, INK, "rm")
    sheet.write(left + 168, 63, more, 14, INK, "lm")
    sheet.write(left + 80, 73, "0", 13, FAINT, "ma")
    sheet.write(right, 63, "light there raises (+) or lowers (-) the output", 13, FAINT, "lm")


# --- mistakes ------------------------------------------------------------------------


def mistakes_sheet(
    images: npt.NDArray, truth: Integers, guess: Integers, probability: Array,
    names: Sequence[str], path: str | Path,
) -> None:  # fmt: skip
    """The 50 worst mistakes: of all N pictures, those most surely taken for something else.

    images (N, C, H, W) or (N, H, W), uint8 or floats in [0, 1]; truth, guess and the
    probability of the guess (N,). Raises ValueError for other shapes.
    """
    N = len(images)
    if not len(truth) == len(guess) == len(probability) == N:
        raise ValueError(
            f"mistakes_sheet expects as many truths, guesses and probabilities as images, "
            f"got {len(truth)}, {len(guess)}, {len(probability)} for {N}"
        )
    said = labels(names)
    wrong = np.flatnonzero(truth != guess)
    worst = wrong[np.argsort(-np.asarray(probability)[wrong], kind="stable")][:WORST]
    title = f"{len(wrong):,} mistakes in {N:,} pictures"
    if len(wrong) > len(worst):
        title += f", the {len(worst)} that the network is surest of"
    W = max(28 + min(len(worst), 10) * 116, 40 + wide(title, 20))
    sheet = Sheet(W, 60 + -(-len(worst) // 10) * (TILE + 68))
    sheet.write(20, 16, title, 20)
    for i, n in enumerate(worst):
        x, y = 20 + i % 10 * 116, 60 + i // 10 * (TILE + 68) + TILE
        _mistake(sheet, x, y, images[n], said[truth[n]], said[guess[n]], probability[n])
    sheet.save(path)


def _mistake(
    sheet: Sheet, x: int, y: int, image: npt.NDArray, truth: str, guess: str, probability: float
) -> None:
    # One picture that stands on y, and what is written below it.
    pixels = _tile(image)
    sheet.paste(pixels, x, y - len(pixels))
    sheet.write(x, y + 4, shortened(f"is {truth}", TILE, 13), 13, BLUE)
    sheet.write(x, y + 20, shortened(f"taken for {guess}", TILE, 13), 13, ORANGE)
    sheet.write(x, y + 36, f"{probability:.1%} sure", 12, FAINT)


def _tile(image: npt.NDArray) -> Pixels:
    # One picture, no larger than TILE a side, its pixels as squares where it is small.
    pixels = image if image.dtype == np.uint8 else np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    planes = pixels.reshape(-1, *pixels.shape[-2:])  # (C, H, W), C = 1 or 3
    pixels = np.broadcast_to(planes, (3, *planes.shape[1:])).transpose(1, 2, 0)
    H, W = pixels.shape[:2]
    if (zoom := TILE // max(H, W)) >= 1:
        return pixels.repeat(zoom, 0).repeat(zoom, 1)
    size = [max(1, round(n * TILE / max(H, W))) for n in (W, H)]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
