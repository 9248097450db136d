"""The IDX format of the original MNIST files, and its way into HDF5.

IDX (LeCun, Cortes, Burges): two zero bytes, a type code (8 = uint8), the number of
dimensions, each dimension as a big-endian 32-bit integer, then the bytes.
"""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.store.files import check_target, regular_file, write_h5

__all__ = ["read_idx", "import_idx"]

PIXELS_MAX = 2**31  # bytes: a header that claims more is refused before anything is read
IDX_FILES = {
    "train_data": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_data": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def read_idx(path: str | Path, n_dims: int) -> npt.NDArray[np.uint8]:
    """The uint8 array of an IDX file, plain or gzip-compressed (.gz).

    Raises ValueError naming what was expected when the file is no IDX file, has
    another number of dimensions, or holds fewer or more bytes than its header says.
    """
    path = regular_file(path)
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            header = file.read(4 + 4 * n_dims)
            if len(header) < 4 + 4 * n_dims or header[:4] != bytes([0, 0, 8, n_dims]):
                raise ValueError(
                    f"{path}: expected an IDX file of uint8 with {n_dims} dimensions "
                    f"(first bytes 0 0 8 {n_dims}), got first bytes {list(header[:4])}"
                )
            shape = tuple(int(n) for n in np.frombuffer(header, ">u4", offset=4))
            size = math.prod(shape)
            if size > PIXELS_MAX:
                raise ValueError(f"{path}: the header claims {shape}, more than {PIXELS_MAX} bytes")
            data = file.read(size + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from None
    if len(data) != size:
        got = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{path}: expected {size} bytes after the header, got {got}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def import_idx(folder: str | Path, to: str | Path) -> dict[str, tuple[int, ...]]:
    """Write the four IDX files of a folder (MNIST, Fashion-MNIST, KMNIST, ...) as one HDF5 file.

    Returns {key: shape}. Raises FileNotFoundError naming the missing file, ValueError
    when images and labels differ in number.
    """
    check_target(to)
    paths = {key: _find(Path(folder), name) for key, name in IDX_FILES.items()}
    if any(os.path.realpath(path) == os.path.realpath(to) for path in paths.values()):
        raise ValueError(f"{to}: expected another file to write, this one is to be read")
    arrays = {key: read_idx(path, 3 if "data" in key else 1) for key, path in paths.items()}
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_data"], arrays[f"{split}_labels"]
        if len(images) != len(labels):
            raise ValueError(
                f"{folder}: expected as many {split} images as labels, "
                f"got {len(images)} and {len(labels)}"
            )
    # Chunks of 1,000 images read twice as fast as h5py's own choice.
    with write_h5(to) as file:
        for key, array in arrays.items():
            chunks = (min(1000, len(array)), *array.shape[1:])
            file.create_dataset(key, data=array, chunks=chunks, compression=9, track_times=False)
    return {key: array.shape for key, array in arrays.items()}


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{folder}: expected a file {name} or {name}.gz, found neither")
