"""A colour toy set drawn on the spot: six shapes, a little moved and turned, in any colour."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from datasets.store.files import BYTES_MAX

__all__ = ["SHAPES", "draw_shapes"]

Floats = npt.NDArray[np.float64]

SHAPES = ["circle", "cross", "ring", "square", "star", "triangle"]  # sorted, as folders are
FINE = 4  # drawn this many times larger, then averaged: soft edges


def draw_shapes(
    n_per_class: int, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[str]]:
    """Images (N, 3, size, size), labels (N,) and the names of the classes, n_per_class of each.

    Raises ValueError unless n_per_class >= 1 and 8 <= size <= 512.
    """
    if n_per_class < 1:
        raise ValueError(f"n_per_class is expected to be 1 or more, got {n_per_class}")
    if not 8 <= size <= 512:
        raise ValueError(f"size is expected to be from 8 to 512 pixels, got {size}")
    if (total := n_per_class * len(SHAPES) * 3 * size**2) > BYTES_MAX:
        raise ValueError(f"at most {BYTES_MAX:,} bytes of pictures are drawn, got {total:,}")
    labels = np.repeat(np.arange(len(SHAPES)), n_per_class)  # (N,)
    images = np.stack([_draw(SHAPES[k], size, rng) for k in labels])  # (N, 3, H, W)
    return images, labels, list(SHAPES)


def _draw(shape: str, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    side = size * FINE
    sheet = Image.new("RGB", (side, side), tuple(rng.integers(0, 110, 3)))
    radius = rng.uniform(0.28, 0.42) * side
    middle = side / 2 + rng.uniform(-0.08, 0.08, 2) * side
    ink = tuple(rng.permutation([rng.integers(180, 256), *rng.integers(90, 256, 2)]))
    _outline(ImageDraw.Draw(sheet), shape, middle, radius, rng.uniform(-0.4, 0.4), ink)
    pixels = np.asarray(sheet.reduce(FINE), np.float64)  # (H, W, 3)
    pixels += _light(size, rng)[:, :, None] + rng.normal(0, 8, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)


def _outline(
    draw: ImageDraw.ImageDraw, shape: str, middle: Floats, radius: float, turn: float,
    ink: tuple[int, ...],
) -> None:  # fmt: skip
    corners = _corners(shape)
    if corners is not None:
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        draw.polygon([tuple(p) for p in middle + radius * corners @ rotation.T], fill=ink)
        return
    box = (*(middle - radius), *(middle + radius))
    draw.ellipse(box, fill=ink if shape == "circle" else None, outline=ink, width=int(radius * 0.4))


def _corners(shape: str) -> Floats | None:
    # On the unit circle, or None for what is round.
    if shape == "cross":
        quarter = np.array([[0.3, 0.3], [0.3, 0.95], [-0.3, 0.95]])
        return np.concatenate([quarter @ np.array([[c, s], [-s, c]]) for c, s in
                               ((1, 0), (0, 1), (-1, 0), (0, -1))])  # fmt: skip
    if shape == "star":
        lengths, n = np.tile([1.0, 0.42], 5), 10
    elif shape in ("square", "triangle"):
        n = 4 if shape == "square" else 3
        lengths = np.ones(n)
    else:
        return None
    angles = 2 * np.pi * (np.arange(n) / n - 0.25 + (0.125 if shape == "square" else 0))  # upright
    return lengths[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


def _light(size: int, rng: np.random.Generator) -> Floats:
    # Brighter on one side: (H, W), up to 40 grey levels from edge to edge.
    down, right = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    return rng.uniform(-20, 20) * down + rng.uniform(-20, 20) * right
