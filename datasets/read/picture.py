"""One picture file as pixels, whatever its format, and whoever made it.

Only six formats are tried, sizes are checked before a pixel is decoded, and
whatever Pillow says of a damaged file becomes one ValueError.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from datasets.store.files import printable, regular_file

__all__ = ["Header", "look", "decode", "opened", "turned", "flatten"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
PIXELS_MAX = 64_000_000  # a picture; what a good camera takes
SIDE_MAX = 30_000  # pixels; a picture of 1 x 64,000,000 costs gigabytes to resize
SMALL, PER_BYTE = 256 * 2**20, 400  # bytes that any picture may fill, a larger one per byte of it
COSTS = {"1": 2, "L": 2, "P": 8, "RGB": 6, "YCbCr": 6}  # bytes a pixel while decoding; others 16
WHITES = (1, 255, 4095, 65535)  # what white is in deep pixels, the least that holds all of them
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

    Transparency is laid on white; 16 bits are scaled to 8. Into image_size (H, W) the picture is
    fitted, its proportions kept; what is left takes the shade of its border. Errors as in opened.
    """
    with opened(path) as picture:
        if image_size:  # a JPEG can be decoded at 1/2, 1/4, 1/8: large photographs take a fraction
            picture.draft(None, (2 * max(image_size), 2 * max(image_size)))
        flat = turned(picture, flatten(picture)).convert("L" if channels == 1 else "RGB")
        if image_size:
            flat = _fitted(flat, *image_size)
        pixels = np.asarray(flat)
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """A picture whose header has been read, with its size checked.

    Raises ValueError for what is not a picture, is damaged or too large, here or when it
    is decoded inside the block; OSError where the system refuses the file.
    """
    path = regular_file(path)
    try:
        # An open file, not its name: Pillow 13 maps a named TIFF that lies on its side wrongly.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities that are read all the same
            with Image.open(file, formats=FORMATS) as picture:
                _check_size(picture, path.stat().st_size)
                with _silent() if picture.format == "TIFF" else nullcontext():
                    yield picture
    except UnidentifiedImageError:
        raise ValueError(f"{printable(path)}: {_what_it_is(path)}") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"{printable(path)}: too large ({error})") from None
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        if isinstance(error, OSError) and error.filename:
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{printable(path)}: damaged picture ({printable(reason)})") from None


@contextmanager
def _silent() -> Iterator[None]:
    """No error output, not even by libtiff, which writes there what Python tells anyway."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in HEIC:
        return "a HEIC or AVIF photograph, which is not read: save it as JPEG or PNG first"
    return "not a PNG, JPEG, BMP, GIF, WebP or TIFF picture"


def _check_size(picture: Image.Image, file_size: int) -> None:
    W, H = picture.size
    if H * W > PIXELS_MAX or max(H, W) > SIDE_MAX:
        raise Image.DecompressionBombError(
            f"{H} x {W} pixels; at most {PIXELS_MAX:,} and {SIDE_MAX:,} a side are read"
        )
    if file_size > FILE_MAX:
        raise Image.DecompressionBombError(f"{file_size:,} bytes; at most {FILE_MAX:,} are read")
    cost = 20 if picture.format == "WEBP" else COSTS.get(picture.mode, 16)
    if cost * H * W > max(SMALL, PER_BYTE * file_size):
        raise Image.DecompressionBombError(f"{H} x {W} pixels in {file_size:,} bytes")


def _fitted(flat: Image.Image, H: int, W: int) -> Image.Image:
    """(H, W): as large as it fits in, in the middle; within 5 % of these proportions, stretched."""
    scale = min(W / flat.width, H / flat.height)
    w, h = round(flat.width * scale), round(flat.height * scale)
    if w >= 0.95 * W and h >= 0.95 * H:
        return flat.resize((W, H), Image.Resampling.BILINEAR)  # does not overshoot
    small = flat.resize((max(w, 1), max(h, 1)), Image.Resampling.BILINEAR)
    pixels = np.asarray(small).reshape(small.height, small.width, -1)  # (h, w, C)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    shade = np.median(border, axis=0).astype(int).tolist()
    frame = Image.new(flat.mode, (W, H), shade[0] if len(shade) == 1 else tuple(shade))
    frame.paste(small, ((W - small.width) // 2, (H - small.height) // 2))
    return frame


def turned(picture: Image.Image, pixels: Image.Image) -> Image.Image:
    """pixels, decoded from picture, turned upright as the EXIF data of picture says."""
    turn = TURNS.get(_orientation(picture))
    return pixels if turn is None else pixels.transpose(Image.Transpose(turn))


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":  # Pillow turns these itself
        return 1
    if picture.format == "PNG" and "exif" not in picture.info:  # getexif would decode it all
        return 1
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF data beside good pixels
        return 1


def _is_grey(picture: Image.Image) -> bool:
    palette = picture.getpalette() if picture.mode in ("P", "PA") else None
    if palette:
        return palette[0::3] == palette[1::3] == palette[2::3]
    return picture.mode[0] in "1LIF" and picture.mode != "LAB"


def flatten(picture: Image.Image, ground: str = "white") -> Image.Image:
    """Mode L or RGB: what is transparent shows the ground, deep pixels are scaled to 8 bits.

    Nothing but 0 and 1 in a format that keeps pixels as they are is black and white.
    """
    kind, grey, deep = picture.format, _is_grey(picture), ";16" in str(getattr(picture, "tile", ""))
    if picture.mode[0] in "IF":
        return _eight_bits(picture)
    if deep:
        _check_depth(picture)
    if kind == "BMP" and picture.mode == "RGBA" and not picture.getchannel("A").getbbox():
        picture = picture.convert("RGB")  # its fourth byte is unused, and no transparency
    if picture.has_transparency_data:
        top = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", picture.size, ground)
        picture.paste(top, mask=top)
    flat = picture.convert("L" if grey else "RGB")
    if kind not in ("JPEG", "WEBP") and {*np.ravel(flat.getextrema())} == {0, 1}:
        return flat.point(lambda value: 255 * value)
    return flat


def _check_depth(picture: Image.Image) -> None:
    # Of 16 bits of colour Pillow keeps the upper 8: what ends at 255 would be black.
    extrema = np.array(picture.convert("RGBA").getextrema())  # (4, 2)
    if extrema[:3].max() < 16 and np.ptp(extrema[3]) == 0:
        raise ValueError("its 16-bit colours end at 4095 or below: save it with 8 bits a channel")


def _eight_bits(picture: Image.Image) -> Image.Image:
    # Pillow's own convert("L") clips at 255: a 16-bit photograph would turn white.
    values = np.nan_to_num(np.asarray(picture).astype(np.float32), posinf=0, neginf=0)
    white = next((white for white in WHITES if white >= values.max()), 0)
    if not white or values.min() < -0.01 * white:
        raise ValueError(
            f"pixels from {values.min():g} to {values.max():g}, expected 0 to 1, 255 or 65535"
        )
    if getattr(picture, "tag_v2", {}).get(262) == 0:  # TIFF: white is 0; Pillow minds 8 bits only
        values = white - values
    return Image.fromarray(np.rint(values.clip(0, white) * (255 / white)).astype(np.uint8))
