"""What the pictures are drawn with: colours, letters, round numbers, and a safe way to disk.

The colours are told apart by readers with any colour vision: blue against orange, never red
against green, and light against dark wherever an amount is meant.
"""

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.store.files import atomic

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "INK", "FAINT", "PAPER", "BLUE", "ORANGE",
    "SIGNED", "BLUES", "ORANGES", "coloured", "ink_on",
    "blank", "write", "wide", "shortened", "labels", "sideways", "ticks", "save",
]  # fmt: skip

Array = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (110, 110, 110)
BLUE, ORANGE = (0, 90, 170), (205, 85, 0)

# Anchors at equal distances; the colours between are mixed.
SIGNED = ((10, 50, 110), (90, 155, 215), (250, 250, 250), (240, 155, 65), (140, 55, 0))
BLUES = ((215, 230, 248), (90, 155, 215), (10, 50, 110))
ORANGES = ((253, 232, 205), (240, 155, 65), (140, 55, 0))


def coloured(values: npt.ArrayLike, anchors: Sequence[Colour]) -> Pixels:
    """Values from 0 to 1, of any shape (...), as colours (..., 3) between the anchors."""
    v = np.clip(np.asarray(values, np.float64), 0, 1)
    at = np.linspace(0, 1, len(anchors))
    channels = [np.interp(v, at, channel) for channel in zip(*anchors, strict=True)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def ink_on(colour: Sequence[int]) -> Colour:
    """Black or white, whichever is read more easily on a colour."""
    red, green, blue = (int(c) for c in colour)
    return INK if 0.3 * red + 0.59 * green + 0.11 * blue > 125 else PAPER


def blank(W: int, H: int) -> tuple["Image.Image", "ImageDraw.ImageDraw"]:
    """A white sheet, and what draws on it."""
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (W, H), PAPER)
    return sheet, ImageDraw.Draw(sheet)


LIGATURES = str.maketrans({"\u00df": "ss", "\u00e6": "ae", "\u00f8": "o", "\u0142": "l"})

# --- letters -----------------------------------------------------------------------


@cache
def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def write(
    draw: "ImageDraw.ImageDraw", x: float, y: float, text: str, size: int = 14,
    ink: Colour = INK, anchor: str = "la",
) -> None:  # fmt: skip
    """A line of text in the font that comes with Pillow; anchor as in Pillow, "la" is top left."""
    draw.text((round(x), round(y)), text, ink, _font(size), anchor=anchor)


def wide(text: str, size: int) -> int:
    """Width of a text in pixels."""
    return math.ceil(_font(size).getlength(text))


def shortened(text: str, room: float, size: int) -> str:
    """The text, or as much of it as fits the room, with two dots at the end."""
    if wide(text, size) <= room:
        return text
    while text and wide(text + "..", size) > room:
        text = text[:-1]
    return text.rstrip() + ".."


def labels(names: Sequence[str] | None, K: int) -> list[str]:
    """K names as the font can write them, accents dropped; class 3 where nothing is left."""
    if names is None:
        return [str(k) for k in range(K)]
    if len(names) != K:
        raise ValueError(f"expected {K} names of classes, got {len(names)}")
    return [_plain(name) or f"class {k}" for k, name in enumerate(names)]


def _plain(name: str) -> str:
    parts = unicodedata.normalize("NFKD", str(name).translate(LIGATURES))
    letters = [c for c in parts if not unicodedata.combining(c)]
    text = "".join(c if " " <= c <= "~" else "?" for c in letters)
    return text if any(c.isalnum() for c in text) else ""


def sideways(sheet: "Image.Image", x: int, y: int, text: str, size: int, ink: Colour = INK) -> None:
    """A line of text that reads upwards: x its middle, y its lower end."""
    W, H = wide(text, size) + 2, round(size * 1.4)
    line, draw = blank(W, H)
    write(draw, 1, H / 2, text, size, ink, "lm")
    sheet.paste(line.rotate(90, expand=True), (x - H // 2, y - W))


# --- numbers, files ------------------------------------------------------------------


def ticks(low: float, high: float, n: int) -> list[float]:
    """About n round numbers (steps of 1, 2 or 5 times a power of ten) from low to high."""
    rough = max(high - low, 1e-12) / max(n, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def save(sheet: "Image.Image", path: str | Path) -> None:
    """Write a PNG, whole or not at all; folders are made. Raises OSError with the path and why."""
    try:
        with atomic(path) as name:
            sheet.save(name, "PNG")
    except OSError as error:
        raise type(error)(f"{path}: cannot be written ({error.strerror or error})") from None
