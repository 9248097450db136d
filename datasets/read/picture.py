"""One picture file as pixels, whatever its format, and whoever made it.

Only six formats are tried, sizes are checked before a pixel is decoded, and
whatever Pillow says of a damaged file becomes one ValueError.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.store.files import printable, regular_file

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Header", "look", "decode", "opened", "turned", "flatten"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
PIXELS_MAX = 64_000_000  # a picture; what a good camera takes, half a gigabyte while decoding
SIDE_MAX = 30_000  # pixels; a picture of 1 x 64,000,000 costs gigabytes to resize
FILE_MAX = 256 * 2**20  # bytes; some formats are read as a whole
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation -> Image.Transpose


class Header(NamedTuple):
    """What a file says of itself: height and width when upright, and whether it has no colour."""

    H: int
    W: int
    grey: bool


def look(path: str | Path) -> Header:
    """The header of a picture; nothing is decoded. Errors as in opened."""
    with opened(path) as picture:
        W, H = picture.size
        lying = _orientation(picture) in (5, 6, 7, 8)
        return Header(*((W, H) if lying else (H, W)), _is_grey(picture))


def decode(
    path: str | Path, channels: int, image_size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """The first frame, upright, as (C, H, W) with C = 1 (grey) or 3 (RGB).

    Transparency is laid on white; 16 bits are scaled to 8. image_size (H, W) stretches,
    every source pixel taking part in the average. Errors as in opened.
    """
    with opened(path) as picture:
        if image_size:  # a JPEG can be decoded at 1/2, 1/4, 1/8: large photographs take a fraction
            picture.draft(None, (2 * max(image_size), 2 * max(image_size)))
        flat = turned(picture, flatten(picture)).convert("L" if channels == 1 else "RGB")
        if image_size:
            flat = flat.resize(image_size[::-1], 2)  # 2: bilinear, does not overshoot
        pixels = np.asarray(flat)
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def opened(path: str | Path) -> Iterator["Image.Image"]:
    """A picture whose header has been read, with its size checked.

    Raises ValueError for what is not a picture, is damaged or too large, here or when it
    is decoded inside the block; OSError where the system refuses the file.
    """
    from PIL import Image, UnidentifiedImageError

    path = regular_file(path)
    try:
        # An open file, not its name: Pillow 13 maps a named TIFF that lies on its side wrongly.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that are read all the same
            with Image.open(file, formats=FORMATS) as picture:
                _check_size(picture.size, path.stat().st_size)
                yield picture
    except UnidentifiedImageError:
        raise ValueError(f"{printable(path)}: {_what_it_is(path)}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{printable(path)}: too large ({error})") from None
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        if isinstance(error, OSError) and error.errno:
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{printable(path)}: damaged picture ({printable(reason)})") from None


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in HEIC:
        return "a HEIC or AVIF photograph, which is not read: save it as JPEG or PNG first"
    return "not a PNG, JPEG, BMP, GIF, WebP or TIFF picture"


def _check_size(size: tuple[int, int], file_size: int) -> None:
    from PIL import Image

    W, H = size
    if H * W > PIXELS_MAX or max(H, W) > SIDE_MAX:
        raise Image.DecompressionBombError(
            f"{H} x {W} pixels; at most {PIXELS_MAX:,} and {SIDE_MAX:,} a side are read"
        )
    if file_size > FILE_MAX:
        raise Image.DecompressionBombError(f"{file_size:,} bytes; at most {FILE_MAX:,} are read")


def turned(picture: "Image.Image", pixels: "Image.Image") -> "Image.Image":
    """pixels, decoded from picture, turned upright as the EXIF data of picture says."""
    from PIL import Image

    turn = TURNS.get(_orientation(picture))
    return pixels if turn is None else pixels.transpose(Image.Transpose(turn))


def _orientation(picture: "Image.Image") -> int:
    if picture.format == "TIFF":  # Pillow turns these itself
        return 1
    if picture.format == "PNG" and "exif" not in picture.info:  # getexif would decode it all
        return 1
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF data beside good pixels
        return 1


def _is_grey(picture: "Image.Image") -> bool:
    palette = picture.getpalette() if picture.mode in ("P", "PA") else None
    if palette:
        return palette[0::3] == palette[1::3] == palette[2::3]
    return picture.mode[0] in "1LIF" and picture.mode != "LAB"


def flatten(picture: "Image.Image", ground: str = "white") -> "Image.Image":
    """Mode L or RGB: what is transparent shows the ground, deep pixels are scaled to 8 bits."""
    from PIL import Image

    grey = _is_grey(picture)
    if picture.mode[0] in "IF":
        return _eight_bits(picture)
    if picture.has_transparency_data:
        top = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", picture.size, ground)
        picture.paste(top, mask=top)
    return picture.convert("L" if grey else "RGB")


def _eight_bits(picture: "Image.Image") -> "Image.Image":
    # Pillow's own convert("L") clips at 255: a 16-bit photograph would turn white.
    from PIL import Image

    values = np.nan_to_num(np.asarray(picture).astype(np.float32), posinf=0, neginf=0)
    whites = {"I": (65535, 2**32), "F": (1, 255, 65535, values.max())}.get(picture.mode, (65535,))
    white = next(white for white in whites if white >= values.max())
    return Image.fromarray(np.rint(values.clip(0) * (255 / white)).astype(np.uint8))
