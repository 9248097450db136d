"""The IDX format of the original MNIST files, and its way into HDF5.

IDX (LeCun, Cortes, Burges): two zero bytes, a type code (8 = uint8), the number of
dimensions, each dimension as a big-endian 32-bit integer, then the bytes.
"""

import gzip
import math
import os
import re
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.store.files import check_target, printable, regular_file
from datasets.store.hdf5 import write_h5

__all__ = ["read_idx", "import_idx"]

SMALL, PER_BYTE = 64 * 2**20, 100  # bytes that any file may hold, and a larger one for each of its
GZIP = b"\x1f\x8b"  # the first bytes of every gzip file
IDX_FILES = {
    "train_data": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_data": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def read_idx(path: str | Path, n_dims: int) -> npt.NDArray[np.uint8]:
    """The uint8 array of an IDX file, plain or gzip-compressed, whatever its name.

    Raises ValueError naming what was expected when the file is no IDX file, has
    another number of dimensions, or holds fewer or more bytes than its header says.
    """
    path, name = regular_file(path), printable(path)
    with path.open("rb") as plain:
        packed = plain.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            shape = _shape(file.read(4 + 4 * n_dims), n_dims, path)
            size = math.prod(shape)
            data = file.read(size + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{name}: damaged gzip file ({error})") from None
    if len(data) != size:
        got = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{name}: expected {size} bytes after the header, got {got}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(header: bytes, n_dims: int, path: Path) -> tuple[int, ...]:
    """What the header claims, if a file of this size may hold so much."""
    if len(header) < 4 + 4 * n_dims or header[:4] != bytes([0, 0, 8, n_dims]):
        raise ValueError(
            f"{printable(path)}: expected an IDX file of uint8 with {n_dims} dimensions "
            f"(first bytes 0 0 8 {n_dims}), got first bytes {list(header[:4])}"
        )
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4", offset=4))
    size = path.stat().st_size
    if math.prod(shape) > (most := max(SMALL, PER_BYTE * size)):
        raise ValueError(
            f"{printable(path)}: the header claims {shape}, more than the {most:,} bytes "
            f"that a file of {size:,} may hold"
        )
    return shape


def import_idx(folder: str | Path, to: str | Path) -> dict[str, str]:
    """Write the four IDX files of a folder (MNIST, Fashion-MNIST, KMNIST, ...) as one HDF5 file.

    EMNIST's pictures lie on their sides in its files; they are turned upright.
    Returns {key: what was written}. Raises FileNotFoundError naming the missing file, ValueError
    when images and labels differ in number.
    """
    check_target(to)
    paths = {key: _find(Path(folder), name) for key, name in IDX_FILES.items()}
    if any(os.path.realpath(path) == os.path.realpath(to) for path in paths.values()):
        raise ValueError(f"{printable(to)}: expected another file to write, this one is to be read")
    arrays = {key: read_idx(path, 3 if "data" in key else 1) for key, path in paths.items()}
    told = {key: f"{array.shape}" for key, array in arrays.items()}
    for half in ("train", "test"):
        n, m = len(arrays[f"{half}_data"]), len(arrays[f"{half}_labels"])
        if n != m:
            raise ValueError(
                f"{printable(folder)}: expected as many {half} images as labels, got {n} and {m}"
            )
        if "emnist" in paths[key := f"{half}_data"].name.lower():
            arrays[key] = arrays[key].transpose(0, 2, 1)  # rows and columns are exchanged
            told[key] += ", transposed: EMNIST stores columns"
    with write_h5(to) as file:  # chunks of 1,000 images read twice as fast as h5py's own choice
        for key, array in arrays.items():
            chunks = (min(1000, len(array)), *array.shape[1:])
            file.create_dataset(key, data=array, chunks=chunks, compression=9, track_times=False)
    return told


def _find(folder: Path, name: str) -> Path:
    """The one file with that name, in a folder or in the folders of it.

    Others write train-images.idx3-ubyte, emnist-letters-test-images-idx3-ubyte or add .gz.
    """
    spelled = name.replace("t10k", "(t10k|test)").replace("-idx", "[.-]idx")
    for pattern in ("*", "*/*"):
        found = {
            path.name.removesuffix(".gz"): path
            for path in sorted(folder.glob(pattern), reverse=True)  # a plain one before its .gz
            if re.fullmatch(rf"(.*\W)?{spelled}(\.gz)?", path.name) and path.is_file()
        }
        if len(found) > 1:
            raise ValueError(
                f"{printable(folder)}: expected one {name}, "
                f"found {', '.join(map(printable, sorted(found)[:5]))}"
            )
        if found:
            return found.popitem()[1]
    raise FileNotFoundError(
        f"{printable(folder)}: expected a file {name} or {name}.gz, found neither"
    )
