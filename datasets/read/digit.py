"""A photographed, scanned or drawn digit, made into what MNIST's digits are; and digits as text.

MNIST (LeCun, Bottou, Bengio, Haffner 1998): light ink on black, scaled with its
proportions kept so that the longer side is 20 pixels, the centre of its ink on the
middle of 28 x 28, grey levels from the averaging.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from datasets.read.picture import flatten, opened, turned
from datasets.store.files import printable

__all__ = ["as_mnist", "doubts", "show", "bars"]

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

WORK = 640  # pixels; a larger picture is averaged down to this before the digit is looked for
CELLS = 64  # the picture is cut into at most so many cells a side to find what hangs together
SPECK, SHADOW = 0.05, 0.1  # parts of the largest piece's ink: what has less is dirt
CONTRAST = 0.08  # of white minus black: less is a blank picture
THIN, PEN = 1.5, 2.2  # strokes thinner than THIN pixels of the 20 are drawn with PEN pixels
EDGE = 0.3  # of full ink: so far a large digit reaches
LINE, WIDE, PIECE = 0.8, 1.5, 0.3  # of a side; of the height; of the largest piece's ink
RAMP = " .:-=+*#%@"


def as_mnist(picture: str | Path | Image.Image) -> Array:
    """The digit in a picture file or Pillow picture, as MNIST would show it: (28, 28) float32.

    Dark on light or light on dark; uneven light, noise and small specks are removed.
    Raises ValueError where there is no ink or no picture, OSError where the file cannot be read.
    """
    return _centred(_fitted(_with_pen(_cropped(_found(picture)))))


def doubts(picture: str | Path | Image.Image) -> list[str]:
    """What speaks against a single whole digit in the picture; nothing, for most. Errors: as_mnist.

    A photograph of ruled paper, a number of several digits and a digit that is cut off are
    classified like any other, and may be given a high probability.
    """
    ink = _found(picture) > 0.5
    height, width = _box(ink, 0).shape
    found = []
    if max(ink.mean(axis=0).max(), ink.mean(axis=1).max()) > LINE:
        found.append("a line from edge to edge, as on ruled paper")
    elif ink[[0, -1]].any() or ink[:, [0, -1]].any():
        found.append("its ink touches the edge")
    if width > WIDE * height:
        found.append("it is wider than a digit")
    if _side_by_side(ink):
        found.append("several pieces side by side")
    return found


def _side_by_side(ink: Mask) -> bool:
    # Are there two large pieces, one of which begins where the other ends?
    pieces, weights, _ = _cells(ink.astype(np.float32))
    large = np.flatnonzero(weights > PIECE * weights.max())
    spans = sorted(np.flatnonzero((pieces == k).any(axis=0))[[0, -1]].tolist() for k in large)
    return any(right[0] >= left[1] for left, right in pairwise(spans))


def _found(picture: str | Path | Image.Image) -> Array:
    # The ink (H, W) of the digit alone, from 0 to 1.
    if isinstance(picture, (str, Path)):
        with opened(picture) as file:
            pixels = _grey(file)
    else:
        pixels = _grey(picture)
    try:
        return _full(_digit(_full(_ink(pixels))))
    except ValueError as error:
        name = printable(picture) if isinstance(picture, (str, Path)) else "picture"
        raise ValueError(f"{name}: {error}") from None


def _grey(picture: Image.Image) -> Array:
    # (H, W) in [0, 1]. White ink on nothing would vanish on white: then the ground is black.
    flat = turned(picture, flatten(picture)).convert("L")
    if flat.getextrema()[0] == flat.getextrema()[1]:
        flat = turned(picture, flatten(picture, "black")).convert("L")
    if (times := -(-max(flat.size) // WORK)) > 1:
        flat = flat.reduce(times)
    return np.asarray(flat, np.float32) / 255


# --- ink and paper -----------------------------------------------------------------


def _ink(grey: Array) -> Array:
    # How far each pixel is from the paper's shade, where that is more than noise.
    paper, noise = _paper(grey)
    ink = grey - paper
    if (ink**3).sum() < 0:  # the digit is what departs furthest from the paper: darker or lighter
        ink = -ink
    if ink.max() < CONTRAST or np.quantile(ink[ink > _otsu(ink.clip(0))], 0.9) < 6 * noise:
        raise ValueError("found no ink, expected a digit on a plain ground")
    return np.where(ink > 4 * noise, ink, 0)


def _full(ink: Array) -> Array:
    # From 0 to 1, where 1 is what most strokes have in their middle.
    return (ink / np.quantile(ink[ink > _otsu(ink)], 0.9)).clip(0, 1)


def _paper(grey: Array) -> tuple[Array, float]:
    # A surface through the border pixels (light falls from one side, or fades towards the
    # corners), and how they scatter about it.
    y, x = np.indices(grey.shape) / max(grey.shape) - 0.5
    edge = np.zeros(grey.shape, bool)
    width = 1 + min(grey.shape) // 32
    edge[:width], edge[-width:], edge[:, :width], edge[:, -width:] = True, True, True, True
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)  # (H, W, 6)
    A, b = terms[edge], grey[edge]
    paper, noise = np.array([np.median(b), 0, 0, 0, 0, 0]), 0.0
    for _ in range(4):  # what lies far off is a digit that touches the border, or a finger
        far = np.abs(b - A @ paper)
        noise = 1.5 * float(np.median(far))
        near = far <= max(3 * noise, 0.02)
        paper = np.linalg.lstsq(A[near], b[near])[0]
    return terms @ paper, noise


def _otsu(values: Array) -> float:
    """The threshold that best parts the values into two groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middles)
    n = below[-1]
    spread = (total[-1] * below - n * total) ** 2 / np.maximum(below * (n - below), 1)
    return float(edges[1 + spread.argmax()])


def _digit(ink: Array) -> Array:
    # Small pieces are dirt; one at the border is a shadow or the table, if there is another
    # that is not.
    pieces, weights, step = _cells(np.where(ink > 0.3, ink, 0))
    outer = np.unique([*pieces[0], *pieces[-1], *pieces[:, 0], *pieces[:, -1]])
    if np.delete(weights, outer).max(initial=0) > SHADOW * weights.max():
        weights[outer] = 0
    kept = _spread((weights > SPECK * weights.max())[pieces])
    return ink * kept.repeat(step, 0).repeat(step, 1)[: ink.shape[0], : ink.shape[1]]


def _cells(ink: Array) -> tuple[npt.NDArray[np.intp], Array, int]:
    # Cells of step x step pixels with ink that touch each other hang together: the number of
    # each cell's piece (0: no ink), the ink of each piece, step.
    step = int(-(-max(ink.shape) // CELLS))
    H, W = (-(-n // step) for n in ink.shape)
    padded = np.pad(ink, [(0, H * step - ink.shape[0]), (0, W * step - ink.shape[1])])
    amount = padded.reshape(H, step, W, step).sum(axis=(1, 3))  # (H, W) cells
    pieces = _pieces(amount > 0)
    weights = np.bincount(pieces.ravel(), amount.ravel()).astype(np.float64)
    weights[0] = 0
    return pieces, weights, step


def _pieces(mask: Mask) -> npt.NDArray[np.intp]:
    # A number for each piece: cells take the largest number of their neighbours until all agree.
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = np.where(mask, _spread(numbers), 0)
        if (spread == numbers).all():
            numbered = np.unique(numbers, return_inverse=True)[1].reshape(mask.shape)
            return numbered + mask.all()  # 0 is for no ink, even where there is ink everywhere
        numbers = spread


def _spread(cells: npt.NDArray) -> npt.NDArray:
    # The largest of each cell and its eight neighbours.
    wide = np.pad(cells, 1)
    tall = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
    return np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])


# --- as MNIST was made --------------------------------------------------------------


def _cropped(ink: Array) -> Array:
    ink = _box(ink, 0)
    return _box(ink, EDGE) if max(ink.shape) > 28 else ink


def _box(ink: npt.NDArray[Any], least: float) -> npt.NDArray[Any]:
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > least) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _with_pen(ink: Array) -> Array:
    # A thin pen on a large sheet would fade to nothing when averaged: thicken it first.
    if max(ink.shape) > 160:
        ink = _resized(ink, 160)
    scale = max(ink.shape) / 20
    thick = _thickness(ink) / scale
    grow = 1 + 2 * round((PEN - thick) * scale / 2)
    if thick >= THIN or grow == 1:
        return ink
    levels = np.rint(np.pad(ink, grow // 2) * 255).astype(np.uint8)
    wider = Image.fromarray(levels).filter(ImageFilter.MaxFilter(grow))
    return np.asarray(wider, np.float32) / 255


def _thickness(ink: Array) -> float:
    """Width of the strokes in pixels: twice the area over the length of the outline."""
    black = np.pad(ink > 0.5, 1)
    steps = (black[1:] != black[:-1]).sum() + (black[:, 1:] != black[:, :-1]).sum()
    return float(2 * ink.sum() / max(steps * np.pi / 4, 1))  # a slanted line takes 4 / pi steps


def _fitted(ink: Array) -> Array:
    fitted = _resized(ink, 20)
    return (fitted / fitted.max()).clip(0, 1)


def _resized(ink: Array, side: int) -> Array:
    # The longer side becomes side; when it shrinks, every pixel takes part in the average.
    H, W = (max(1, round(n * side / max(ink.shape))) for n in ink.shape)
    how = Image.Resampling.BOX if max(ink.shape) > side else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize((W, H), how))


def _centred(ink: Array) -> Array:
    # The centre of the ink lies on pixel 14 of 28, as in every digit of MNIST.
    frame = np.zeros((28, 28), np.float32)
    top, left = _first(ink.sum(axis=1)), _first(ink.sum(axis=0))
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return frame


def _first(ink: Array) -> int:
    # Where n rows (or columns), with so much ink in each, begin in the frame.
    n = len(ink)
    middle = int((ink * (np.arange(n) + 0.5)).sum() / ink.sum() + 1e-3)  # not by rounding
    return min(max(14 - middle, 0), 28 - n)


# --- as text -----------------------------------------------------------------------


def show(image: Array) -> str:
    """A picture (H, W) in [0, 1] as text in a frame: denser characters are lighter pixels.

    A character is twice as high as wide, so each stands for two rows: 28 x 28 takes 16 lines of 30.
    """
    if image.ndim != 2 or not image.size:
        raise ValueError(f"show expects a picture (H, W), got {image.shape}")
    H, W = image.shape
    pairs = np.pad(image, ((0, H % 2), (0, 0))).reshape(-1, 2, W).mean(axis=1)  # (H / 2, W)
    levels = np.rint(np.sqrt(pairs.clip(0, 1)) * (len(RAMP) - 1)).astype(int)
    rows = ["".join(RAMP[level] for level in row) for row in levels]
    edge = "+" + "-" * W + "+"
    return "\n".join([edge, *(f"|{row}|" for row in rows), edge])


def bars(probabilities: Array, names: Sequence[str] | None = None, width: int = 40) -> str:
    """Probabilities (K,) as one bar a line, the largest marked."""
    P = np.asarray(probabilities, np.float64)
    names = list(map(str, range(len(P)))) if names is None else names
    if P.ndim != 1 or len(names) != len(P) or not np.isfinite(P).all():
        raise ValueError(f"bars expects {len(names)} finite probabilities, got shape {P.shape}")
    side = max(map(len, names))
    lines = [
        f"{name:>{side}} |{'#' * round(float(p.clip(0, 1)) * width):{width}}| {p:7.2%}"
        for name, p in zip(names, P, strict=True)
    ]
    lines[P.argmax()] += " <--"
    return "\n".join(lines)
