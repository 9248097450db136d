"""Colours that are told apart with any colour vision: blue against orange, light against dark."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "PAPER", "INK", "FAINT", "GRID", "BLUE", "ORANGE", "SIGNED", "BLUES", "ORANGES",
    "coloured", "ink_on",
]  # fmt: skip

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER, INK, FAINT, GRID = (255, 255, 255), (34, 34, 34), (110, 110, 110), (225, 225, 225)
BLUE, ORANGE = (0, 90, 170), (205, 85, 0)

# Anchors at equal distances; the colours between are mixed.
SIGNED = ((10, 50, 110), (90, 155, 215), (250, 250, 250), (240, 155, 65), (140, 55, 0))
BLUES = ((215, 230, 248), (90, 155, 215), (10, 50, 110))
ORANGES = ((253, 232, 205), (240, 155, 65), (140, 55, 0))


def coloured(
    values: Sequence[float] | npt.NDArray[np.floating], anchors: Sequence[Colour]
) -> Pixels:
    """Values from 0 to 1, of any shape (...), as colours (..., 3) between the anchors."""
    places = np.linspace(0, 1, len(anchors))
    channels = [np.interp(values, places, channel) for channel in zip(*anchors, strict=True)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def ink_on(colour: Sequence[int]) -> Colour:
    """Black or white, whichever is read more easily on a colour."""
    return INK if np.dot(colour, (0.3, 0.59, 0.11)) > 125 else PAPER
