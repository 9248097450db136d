"""Files that can be trusted: written whole or not at all, read only if what they claim to be."""

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

__all__ = [
    "printable",
    "atomic",
    "check_target",
    "regular_file",
    "open_h5",
    "write_h5",
    "follow_h5",
    "read_h5",
    "dataset_h5",
]

NAME_MAX = 255  # bytes of a file's name: Linux, macOS and Windows agree
BYTES_MAX = 4 * 2**30  # the largest array that is read from a file
GZIP_MAX = 1100  # deflate cannot shrink bytes more than about 1,032 times


def printable(name: str | Path) -> str:
    """A name from outside that cannot break a line or drive a terminal: controls are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


@contextmanager
def atomic(path: str | Path) -> Iterator[str]:
    """A temporary name beside path; renamed to path when the block ends well, removed otherwise.

    A crash or a full disk in between leaves the old file whole. Folders are made as needed.
    """
    check_target(path)
    path = Path(os.path.realpath(path))  # a link goes on leading to the file
    name = _temporary(path)
    try:
        yield name
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> str:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    os.close(handle)
    return name


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def regular_file(path: str | Path) -> Path:
    """The path, if it is a regular file that is not empty: a pipe would hang a reader for ever."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{printable(path)}: no such file")
    if not path.is_file():
        raise ValueError(f"{printable(path)}: expected a file, this is a folder or a device")
    if not path.stat().st_size:
        raise ValueError(f"{printable(path)}: the file is empty")
    return path


def check_target(path: str | Path | None) -> None:
    """Raise OSError now if a file could not be written at path later; None passes."""
    if path is None:
        return
    shown, path = printable(path), Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"{shown}: expected a file to write, this is a folder")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise PermissionError(f"{shown}: expected a file to write, this is a device or a pipe")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(f"{shown}: the file is write-protected")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.unlink(_temporary(path))  # asks the system itself: root may write, and yet not to /proc
        if len(os.fsencode(path.name)) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise type(error)(f"{shown}: cannot be written ({error.strerror})") from None


@contextmanager
def open_h5(path: str | Path) -> Iterator["h5py.File"]:
    """An HDF5 file to read; whatever damage makes h5py raise becomes one ValueError."""
    import h5py

    path = regular_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            # one of ours, which names the file
            raise ValueError(str(error).replace(str(path), printable(path))) from None
        reason = " ".join(str(error).split())
        raise ValueError(f"{printable(path)}: not a whole HDF5 file ({reason})") from None


@contextmanager
def write_h5(path: str | Path) -> Iterator["h5py.File"]:
    """An HDF5 file to fill; written to path, whole or not at all, when the block ends well."""
    import h5py

    image = io.BytesIO()  # then plain bytes go to disk: of a full one h5py makes a dozen errors
    with h5py.File(image, "w") as file:
        yield file
    with atomic(path) as name:
        Path(name).write_bytes(image.getbuffer())


def follow_h5(file: "h5py.File", key: str) -> "h5py.Group | h5py.Dataset":
    """What lies behind a key in this very file; links to other places are not followed."""
    import h5py

    parent = file
    for name in key.split("/"):
        link = parent.get(name, getlink=True) if isinstance(parent, h5py.Group) else None
        if link is None:
            found = ", ".join(printable(str(name)) for name in list(file)[:8]) or "nothing"
            raise ValueError(f"{file.filename}: expected {key}, found {found}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(
                f"{file.filename}: {key} is a link to another place, which is not followed"
            )
        parent = parent[name]
    return parent


def dataset_h5(file: "h5py.File", key: str) -> "h5py.Dataset":
    """The dataset behind a key, if it lies in this very file and can be as large as it claims.

    Links to other places, external and virtual storage are refused and never read.
    """
    import h5py

    parent = follow_h5(file, key)
    if not isinstance(parent, h5py.Dataset) or parent.dtype.kind not in "uifb":
        raise ValueError(f"{file.filename}: {key} is expected to be an array of numbers")
    if parent.external or parent.is_virtual:
        raise ValueError(f"{file.filename}: {key} is stored in another file, which is not read")
    if parent.shape is None:
        raise ValueError(
            f"{file.filename}: {key} is expected to be an array, got an empty dataspace"
        )
    chunk = int(np.prod(parent.chunks or (1,), dtype=object)) * parent.dtype.itemsize
    size = int(np.prod(parent.shape, dtype=object)) * parent.dtype.itemsize
    if size > GZIP_MAX * (parent.id.get_storage_size() + 1024) or max(size, chunk) > BYTES_MAX:
        raise ValueError(
            f"{file.filename}: {key} claims {parent.shape} of {parent.dtype}, {size} bytes, "
            f"more than its {parent.id.get_storage_size()} stored bytes can hold or memory should"
        )
    return parent


def read_h5(file: "h5py.File", key: str) -> np.ndarray:
    """The array behind a key, with the checks of dataset_h5."""
    return dataset_h5(file, key)[()]
