"""Picture folders: images_folder/class_01/001.png and so on, in both directions."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.read.picture import Header, decode, look
from datasets.store.files import atomic, printable

__all__ = ["Folder", "read_folder", "split", "export_images"]

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

TOTAL_MAX = 2 * 2**30  # bytes of pixels that are read into memory
LISTED = 20  # bad files named in an error
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
NOT_PICTURES = (".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html",
                ".log", ".ini", ".db", ".py", ".sh", ".zip", ".gz",
                ".aae", "zone.identifier")  # fmt: skip
JUNK = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information",
        "lost+found", "icon\r")  # fmt: skip  # put there by systems and network drives
SIDE = 64  # pixels of the longer side, where pictures have several sizes and no size is asked for
SIDE_KEPT = 256  # larger pictures, even of one size, are brought to SIDE as well
ALIKE = 0.05  # proportions that differ by less count as the same


class Folder(NamedTuple):
    """A folder in memory; a line in skipped for each file left out, in notes for each decision."""

    images: Pixels  # (N, C, H, W)
    labels: Labels  # (N,)
    class_names: list[str]  # K
    skipped: list[str]
    notes: list[str]


# --- reading ---------------------------------------------------------------------


def read_folder(
    path: str | Path, image_size: tuple[int, int] | None = None, skip_bad: bool = False
) -> Folder:
    """All pictures of path/CLASS/FILE, classes and files in sorted order, as uint8.

    Grey when every picture is (by its mode or palette), RGB otherwise; see datasets.read.picture
    for formats and bounds. A class folder may be a link; folders inside it are not read.
    Hidden files, texts (.txt, .csv, ...) and what systems leave behind are passed over, every
    other file must be a picture. All are brought to image_size = (H, W), by default to a size
    that suits them; where the proportions differ, a picture is fitted in.
    Raises ValueError that names each bad file, unless skip_bad leaves them out; ValueError
    as well for fewer than two classes, or too much for memory.
    """
    if image_size is not None and (
        len(image_size) != 2 or not all(isinstance(n, int) and n >= 1 for n in image_size)
    ):
        raise ValueError(f"image_size is expected to be (H, W), each 1 or more, got {image_size}")
    files, skipped = _listing(Path(path))
    headers = dict(_each(files, look, skipped))
    if len({file.parent for file in headers}) < 2:
        _check_rest(path, list(headers), skipped, skip_bad)
    size, notes = _common_size(list(headers.values()), image_size)
    images = _allocate(path, headers, size)
    read: list[Path] = []
    decoded = partial(decode, channels=images.shape[1], image_size=size)
    for file, picture in _each(headers, decoded, skipped):
        images[len(read)] = picture
        read.append(file)
    _check_rest(path, read, skipped, skip_bad)
    folders, numbers = np.unique([str(file.parent) for file in read], return_inverse=True)
    names = [printable(os.path.basename(folder)) for folder in folders]
    return Folder(images[: len(read)], numbers.astype(np.int64), names, skipped, notes)


def _each(
    files: Iterable[Path], read: Callable[[Path], Any], skipped: list[str]
) -> Iterator[tuple[Path, Any]]:
    # Each file with what is read of it; why one cannot be read goes to skipped.
    for file in files:
        try:
            yield file, read(file)
        except (OSError, ValueError) as error:
            skipped.append(_why(file, error))


def _listing(root: Path) -> tuple[list[Path], list[str]]:
    # Every file that should be a picture, and a line for everything that is out of place.
    if not root.exists():
        raise FileNotFoundError(f"{printable(root)}: no such folder")
    if not root.is_dir():
        raise ValueError(f"{printable(root)}: expected a folder of class folders, this is a file")
    folders, files = _visible(root)
    strays = [file for file in files if file.name.lower().endswith(PICTURES)]
    if not folders:
        raise ValueError(
            f"{printable(root)}: expected a folder for each class, as in class_01/001.png, "
            f"found none{f', but {len(strays)} pictures' if strays else ''}"
        )
    bad = [f"{printable(stray)}: lies beside the class folders, in none" for stray in strays]
    return [file for folder in folders for file in _class_files(folder, bad)], bad


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, in sorted order, without what is passed over."""
    folders: list[Path] = []
    files: list[Path] = []
    for name in sorted(os.listdir(folder)):
        low = name.lower()
        if not (low.startswith(".") or low in JUNK or low.endswith(NOT_PICTURES)):
            entry = folder / name
            (folders if os.path.isdir(entry) else files).append(entry)
    return folders, files


def _class_files(folder: Path, bad: list[str]) -> list[Path]:
    try:
        inner, files = _visible(folder)
    except OSError as error:
        bad.append(f"{printable(folder)}: {error.strerror}")
        return []
    if files:
        why = "a folder inside a class, which is not read"
        bad += [f"{printable(entry)}: {why}" for entry in inner]
    else:
        names = ", ".join(printable(entry.name) for entry in inner[:3])
        why = f", only folders ({names}): is this the folder to read?" if inner else ""
        bad.append(f"{printable(folder)}: a class without pictures{why}")
    return files


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and file.is_symlink():
        return f"{printable(file)}: a link that leads nowhere"
    if isinstance(error, OSError) and error.strerror:
        return f"{printable(file)}: {error.strerror}"
    return printable(str(error))


def _check_rest(path: str | Path, read: list[Path], skipped: list[str], skip_bad: bool) -> None:
    if skipped and not skip_bad:
        more = [f"... and {len(skipped) - LISTED} more"] if len(skipped) > LISTED else []
        summary = f"{printable(path)}: {len(skipped)} files or folders cannot be used, "
        summary += f"{len(read)} pictures can; --skip_bad trains on those"
        raise ValueError("\n  ".join([summary, *skipped[:LISTED], *more]))
    classes = sorted({file.parent for file in read})
    if len(classes) < 2:
        found = f"only {printable(classes[0].name)}" if classes else "no picture"
        first = f"; left out: {skipped[0]}" if skipped else ""
        raise ValueError(f"{printable(path)}: expected at least 2 classes, found {found}{first}")


def _common_size(
    headers: list[Header], image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], list[str]]:
    """The size (H, W) that all pictures get, and a note on each thing that was decided for them."""
    sizes, notes = {header[:2] for header in headers}, []
    H, W = image_size or (sizes.copy().pop() if len(sizes) == 1 else (0, 0))
    if not image_size and not 0 < max(H, W) <= SIDE_KEPT:
        H, W = _default_size(headers)
        found = f"{len(sizes)} sizes" if len(sizes) > 1 else "{} x {}".format(*sizes.pop())
        notes.append(f"pictures of {found} are brought to {H} x {W}; --image_size H W sets another")
    others = sum(abs(h * W / (w * H) - 1) > ALIKE for h, w, _ in headers)
    if others:
        notes.append(
            f"{others} of {len(headers)} pictures have other proportions than {H} x {W}: they are "
            "fitted in, and what is left takes the shade of their border"
        )
    return (H, W), notes


def _default_size(headers: list[Header]) -> tuple[int, int]:
    """The proportions that nine in ten pictures have, or a square; the longer side is SIDE."""
    h, w, _ = np.array(headers).T
    side = min(SIDE, int(np.median(np.maximum(h, w))))
    ratio = float(np.median(h / w))
    if np.mean(np.abs(h / w / ratio - 1) > ALIKE) > 0.1:
        return side, side
    return max(1, round(side * min(ratio, 1))), max(1, round(side / max(ratio, 1)))


def _allocate(path: str | Path, headers: dict[Path, Header], size: tuple[int, int]) -> Pixels:
    # The number of pictures is known before memory is taken: no list of arrays, no second copy.
    H, W = size
    C = 1 if all(header.grey for header in headers.values()) else 3
    if (total := len(headers) * C * H * W) > TOTAL_MAX:
        raise ValueError(
            f"{printable(path)}: {len(headers)} pictures of {C} x {H} x {W} need {total:,} bytes, "
            f"more than the {TOTAL_MAX:,} that are read; a smaller --image_size H W helps"
        )
    return np.empty((len(headers), C, H, W), np.uint8)  # (N, C, H, W)


# --- training and validation -----------------------------------------------------


def split(
    labels: npt.ArrayLike, val_split: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Shuffled indices (training, validation): about val_split of every class is validation.

    A class of two or more pictures appears on both sides; a single one is for training.
    Raises ValueError for val_split outside (0, 1), or when no class has two pictures.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"split expects integer labels (N,), got {labels.dtype} {labels.shape}")
    if not 0 < val_split < 1:
        raise ValueError(f"val_split is expected to be above 0 and below 1, got {val_split}")
    train, val = [], []
    for k in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == k))
        n_val = min(max(round(len(members) * val_split), 1), len(members) - 1)
        val.append(members[:n_val])
        train.append(members[n_val:])
    if not sum(map(len, val)):
        raise ValueError(
            f"split expects a class with 2 pictures or more, got {len(train)} with fewer"
        )
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(val))


# --- writing ---------------------------------------------------------------------


def export_images(
    images: Pixels,
    labels: npt.ArrayLike,
    to: str | Path,
    per_class: int,
    class_names: Sequence[str] | None = None,
) -> int:
    """Write the first per_class images of each class as to/class_00/000.png; returns how many.

    images (N, H, W), (N, 1, H, W) or (N, 3, H, W), uint8. class_names replace class_00, ...
    Raises ValueError for other arrays, FileExistsError when the folder holds anything.
    """
    images, labels = _checked(images, labels)
    if per_class < 1:
        raise ValueError(f"per_class is expected to be 1 or more, got {per_class}")
    names = class_names or [f"class_{k:02}" for k in range(labels.max() + 1)]
    _check_names(names, labels.max() + 1)
    if Path(to).exists() and (not Path(to).is_dir() or os.listdir(to)):
        raise FileExistsError(f"{printable(to)}: expected a new or an empty folder")
    members = {k: np.flatnonzero(labels == k)[:per_class] for k in np.unique(labels)}
    for k, rows in members.items():
        for i, row in enumerate(rows):
            _write_png(images[row], Path(to) / names[k] / f"{i:03}.png")
    return sum(map(len, members.values()))


def _checked(images: Pixels, labels: npt.ArrayLike) -> tuple[Pixels, Labels]:
    images, labels = np.asarray(images), np.asarray(labels)
    is_rgb = images.ndim == 4 and images.shape[1] in (1, 3)
    if images.dtype != np.uint8 or not (images.ndim == 3 or is_rgb) or not images.size:
        got = f"{images.dtype} {images.shape}"
        raise ValueError(f"export_images expects uint8 images (N, H, W) or (N, 3, H, W), got {got}")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        got = f"{labels.dtype} {labels.shape}"
        raise ValueError(f"export_images expects {len(images)} labels from 0, got {got}")
    return images, labels


def _check_names(names: Sequence[str], K: int) -> None:
    if len(names) < K or not all(map(_is_plain, names)):
        raise ValueError(f"export_images expects {K} plain names, got {list(names)}")
    if len({name.casefold() for name in names}) < len(names):  # one folder, on some systems
        raise ValueError(f"export_images expects different names of classes, got {list(names)}")


def _is_plain(name: str) -> bool:
    # Of a folder inside the one that is written, on every system, and not passed over again.
    return name.isprintable() and bool(name.strip(". ")) and not set(name) & set('/\\:*?"<>|')


def _write_png(image: Pixels, path: Path) -> None:
    pixels = image if image.ndim == 2 else image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    with atomic(path) as name:
        Image.fromarray(np.ascontiguousarray(pixels)).save(name, "PNG")
