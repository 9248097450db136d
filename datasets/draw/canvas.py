"""What the pictures are drawn with: a sheet of paper, names that the font has, round numbers."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from datasets.draw.colours import INK, PAPER, Colour, Pixels
from datasets.store.files import atomic

__all__ = ["Array", "Integers", "Pixels", "Sheet", "wide", "shortened", "labels", "ticks"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
LIGATURES = str.maketrans({"\u00df": "ss", "\u00e6": "ae", "\u00f8": "o", "\u0142": "l"})
ACCENTS = "[\u0300-\u036f]"  # that follow the letter they stand on


class Sheet:
    """White paper of W x H pixels; drawn fine times as large, then averaged: smooth lines."""

    def __init__(self, W: int, H: int, fine: int = 1) -> None:
        self.fine = fine
        self.image = Image.new("RGB", (W * fine, H * fine), PAPER)
        self.pen = ImageDraw.Draw(self.image)

    def write(
        self, x: float, y: float, text: str, size: int = 14, ink: Colour = INK, anchor: str = "la"
    ) -> None:
        """A line of text; anchor as in Pillow: "la" is top left, "mm" the middle."""
        place, font = (round(x * self.fine), round(y * self.fine)), _font(size * self.fine)
        self.pen.text(place, text, ink, font, anchor=anchor)

    def line(self, points: Iterable[float], ink: Colour, width: int) -> None:
        """Through points x, y, x, y, ..."""
        self.pen.line([n * self.fine for n in points], ink, width * self.fine, joint="curve")

    def write_upwards(self, x: int, y: int, text: str, size: int, ink: Colour = INK) -> None:
        """A line of text that reads upwards: x its middle, y its lower end."""
        W, H = wide(text, size) + 2, round(size * 1.4)
        line = Sheet(W, H)
        line.write(1, H / 2, text, size, ink, "lm")
        self.image.paste(line.image.rotate(90, expand=True), (x - H // 2, y - W))

    def paste(self, pixels: Pixels, x: int, y: int) -> None:
        """Pixels (H, W, 3), with the top left corner at x, y."""
        self.image.paste(Image.fromarray(pixels), (x, y))

    def save(self, path: str | Path) -> None:
        """Write a PNG, whole or not at all. Raises OSError with the path and the reason."""
        try:
            with atomic(path) as name:
                self.image.reduce(self.fine).save(name, "PNG")
        except OSError as error:
            raise type(error)(f"{path}: cannot be written ({error.strerror or error})") from None


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def wide(text: str, size: int) -> int:
    """Width of a text in pixels."""
    return math.ceil(_font(size).getlength(text))


def shortened(text: str, room: float, size: int) -> str:
    """The text, or as much of it as fits the room, with two dots at the end."""
    ends = (text[:n].rstrip() + ".." for n in range(len(text) - 1, -1, -1))
    return next((end for end in (text, *ends) if wide(end, size) <= room), "..")


def labels(names: Sequence[str]) -> list[str]:
    """Names as the font can write them, accents dropped; class 3 where nothing is left."""
    parts = (unicodedata.normalize("NFKD", str(name).translate(LIGATURES)) for name in names)
    plain = (re.sub(r"[^ -~]", "?", re.sub(ACCENTS, "", name)) for name in parts)
    return [text if re.search(r"[^\W_]", text) else f"class {k}" for k, text in enumerate(plain)]


def ticks(low: float, high: float, n: int) -> list[float]:
    """About n round numbers (steps of 1, 2 or 5 times a power of ten) from low to high."""
    rough = max(high - low, 1e-12) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]
