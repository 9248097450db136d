"""Picture folders: images_folder/class_01/001.png and so on, in both directions."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.draw.shapes import draw_shapes
from datasets.read.picture import Header, decode, look
from datasets.store.files import atomic, printable

__all__ = ["Folder", "read_folder", "split", "export_images", "draw_shapes"]

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

TOTAL_MAX = 2 * 2**30  # bytes of pixels that are read into memory
LISTED = 20  # bad files named in an error
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
NOT_PICTURES = (".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html",
                ".log", ".ini", ".db", ".py", ".sh", ".zip", ".gz")  # fmt: skip
NOT_CLASSES = ("__macosx", "@eadir")  # put there by macOS and by network drives


class Folder(NamedTuple):
    """A folder in memory; skipped holds one line for each file that was left out."""

    images: Pixels  # (N, C, H, W)
    labels: Labels  # (N,)
    class_names: list[str]  # K
    skipped: list[str]


# --- reading ---------------------------------------------------------------------


def read_folder(
    path: str | Path, image_size: tuple[int, int] | None = None, skip_bad: bool = False
) -> Folder:
    """All pictures of path/CLASS/FILE, classes and files in sorted order, as uint8.

    Grey when every picture is (by its mode or palette), RGB otherwise; see datasets.read.picture
    for formats and bounds. A class folder may be a link; folders inside it are not read.
    Hidden files and texts (.txt, .csv, ...) are passed over, every other file must be a picture.
    image_size = (H, W) stretches all to one size.
    Raises ValueError that names each bad file, unless skip_bad leaves them out; ValueError
    as well for fewer than two classes, mixed sizes without image_size, or too much for memory.
    """
    _check_image_size(image_size)
    files, skipped = _listing(Path(path))
    headers = _headers(files, skipped)
    if len({file.parent for file in headers}) < 2:
        _check_rest(path, list(headers), skipped, skip_bad)
    images = _allocate(path, headers, image_size)
    read = _fill(images, list(headers), image_size, skipped)
    _check_rest(path, read, skipped, skip_bad)
    folders = sorted({file.parent for file in read})
    number = {folder: k for k, folder in enumerate(folders)}
    labels = np.array([number[file.parent] for file in read], np.int64)  # (N,)
    names = [printable(folder.name) for folder in folders]
    return Folder(images[: len(read)], labels, names, skipped)


def _check_image_size(image_size: tuple[int, int] | None) -> None:
    if image_size is not None and (
        len(image_size) != 2 or not all(isinstance(n, int) and n >= 1 for n in image_size)
    ):
        raise ValueError(f"image_size is expected to be (H, W), each 1 or more, got {image_size}")


def _listing(root: Path) -> tuple[list[Path], list[str]]:
    # Every file that should be a picture, and a line for everything that is out of place.
    if not root.exists():
        raise FileNotFoundError(f"{printable(root)}: no such folder")
    if not root.is_dir():
        raise ValueError(f"{printable(root)}: expected a folder of class folders, this is a file")
    entries = _visible(root)
    folders = [entry for entry in entries if os.path.isdir(entry)]
    strays = [entry for entry in entries if _is_stray(entry)]
    if not folders:
        raise ValueError(
            f"{printable(root)}: expected a folder for each class, as in class_01/001.png, "
            f"found none{f', but {len(strays)} pictures' if strays else ''}"
        )
    bad = [f"{printable(stray)}: lies beside the class folders, in none" for stray in strays]
    return [file for folder in folders for file in _class_files(folder, bad)], bad


def _is_stray(entry: Path) -> bool:
    return entry.name.lower().endswith(PICTURES) and not os.path.isdir(entry)


def _visible(folder: Path) -> list[Path]:
    names = sorted(os.listdir(folder))
    return [folder / name for name in names if not _is_passed_over(name.lower())]


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in NOT_CLASSES or name.endswith(NOT_PICTURES)


def _class_files(folder: Path, bad: list[str]) -> list[Path]:
    try:
        entries = _visible(folder)
    except OSError as error:
        bad.append(f"{printable(folder)}: {error.strerror}")
        return []
    inner = [entry for entry in entries if os.path.isdir(entry)]
    files = [entry for entry in entries if entry not in inner]
    if not files:
        names = ", ".join(printable(entry.name) for entry in inner[:3])
        bad.append(
            f"{printable(folder)}: a class without pictures"
            + (f", only folders ({names}): is this the folder to read?" if inner else "")
        )
    else:
        bad += [
            f"{printable(entry)}: a folder inside a class, which is not read" for entry in inner
        ]
    return files


def _headers(files: list[Path], skipped: list[str]) -> dict[Path, Header]:
    headers = {}
    for file in files:
        try:
            headers[file] = look(file)
        except (OSError, ValueError) as error:
            skipped.append(_why(file, error))
    return headers


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and file.is_symlink():
        return f"{printable(file)}: a link that leads nowhere"
    if isinstance(error, OSError) and error.strerror:
        return f"{printable(file)}: {error.strerror}"
    return printable(str(error))


def _check_rest(path: str | Path, read: list[Path], skipped: list[str], skip_bad: bool) -> None:
    if skipped and not skip_bad:
        raise ValueError(_report(path, len(read), skipped))
    classes = sorted({file.parent for file in read})
    if len(classes) < 2:
        found = f"only {printable(classes[0].name)}" if classes else "no picture"
        first = f"; left out: {skipped[0]}" if skipped else ""
        raise ValueError(f"{printable(path)}: expected at least 2 classes, found {found}{first}")


def _report(path: str | Path, good: int, skipped: list[str]) -> str:
    more = [f"... and {len(skipped) - LISTED} more"] if len(skipped) > LISTED else []
    summary = (
        f"{printable(path)}: {len(skipped)} files or folders cannot be used, {good} pictures can; "
        "--skip_bad trains on those"
    )
    return "\n  ".join([summary, *skipped[:LISTED], *more])


def _allocate(
    path: str | Path, headers: dict[Path, Header], image_size: tuple[int, int] | None
) -> Pixels:
    # The number of pictures is known before memory is taken: no list of arrays, no second copy.
    first, *others = headers
    for file in others:
        if image_size is None and headers[file][:2] != headers[first][:2]:
            raise ValueError(
                f"{printable(path)}: expected pictures of one size, but {_size(first, headers)} "
                f"and {_size(file, headers)}; --image_size H W brings all to one"
            )
    H, W = image_size or headers[first][:2]
    C = 1 if all(header.grey for header in headers.values()) else 3
    if (total := len(headers) * C * H * W) > TOTAL_MAX:
        raise ValueError(
            f"{printable(path)}: {len(headers)} pictures of {C} x {H} x {W} need {total:,} bytes, "
            f"more than the {TOTAL_MAX:,} that are read; a smaller --image_size H W helps"
        )
    return np.empty((len(headers), C, H, W), np.uint8)  # (N, C, H, W)


def _size(file: Path, headers: dict[Path, Header]) -> str:
    header = headers[file]
    return f"{printable(file)} has {header.H} x {header.W} (H x W)"


def _fill(
    images: Pixels, files: list[Path], image_size: tuple[int, int] | None, skipped: list[str]
) -> list[Path]:
    read: list[Path] = []
    for file in files:
        try:
            picture = decode(file, images.shape[1], image_size)  # (C, H, W)
            if picture.shape != images.shape[1:]:
                raise ValueError(f"{file}: damaged picture (its size is not what its header says)")
        except (OSError, ValueError) as error:
            skipped.append(_why(file, error))
            continue
        images[len(read)] = picture
        read.append(file)
    return read


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
    images, labels = np.asarray(images), np.asarray(labels)
    _check_export(images, labels, per_class)
    names = class_names or [f"class_{k:02}" for k in range(labels.max() + 1)]
    if len(names) <= labels.max() or not all(map(_is_plain, names)):
        raise ValueError(f"export_images expects {labels.max() + 1} plain names, got {list(names)}")
    if Path(to).exists() and (not Path(to).is_dir() or os.listdir(to)):
        raise FileExistsError(f"{printable(to)}: expected a new or an empty folder")
    written = 0
    for k in np.unique(labels):
        for i, row in enumerate(np.flatnonzero(labels == k)[:per_class]):
            _write_png(images[row], Path(to) / names[k] / f"{i:03}.png")
            written += 1
    return written


def _check_export(images: Pixels, labels: Labels, per_class: int) -> None:
    is_rgb = images.ndim == 4 and images.shape[1] in (1, 3)
    if images.dtype != np.uint8 or not (images.ndim == 3 or is_rgb) or not images.size:
        raise ValueError(
            f"export_images expects uint8 images (N, H, W) or (N, 3, H, W), "
            f"got {images.dtype} {images.shape}"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            f"export_images expects {len(images)} labels from 0, got {labels.dtype} {labels.shape}"
        )
    if per_class < 1:
        raise ValueError(f"per_class is expected to be 1 or more, got {per_class}")


def _is_plain(name: str) -> bool:
    return Path(name).name == name and name not in ("", "..")


def _write_png(image: Pixels, path: Path) -> None:
    from PIL import Image

    pixels = image if image.ndim == 2 else image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    with atomic(path) as name:
        Image.fromarray(np.ascontiguousarray(pixels)).save(name, "PNG")
