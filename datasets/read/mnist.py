"""MNIST, and any image set in an HDF5 file with the same four keys."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.schedules import short
from datasets.store.files import dataset_h5, open_h5

if TYPE_CHECKING:
    import h5py

__all__ = ["MNIST", "load_mnist", "load_data", "load_images"]

Array = npt.NDArray[np.floating]
Split = tuple[Array, Array, Array, Array]
CLASSES_MAX = 10_000  # a table of confusions takes 8 bytes for each pair of classes
MNIST = Path(__file__).parents[1] / "mnist.h5"


def load_mnist(
    path: str | Path = MNIST, dtype: npt.DTypeLike = np.float32, train_size: int | None = None
) -> Split:
    """X_train (N, D), y_train (N, K) one-hot, X_test, y_test; pixels in [0, 1], one picture a row.

    MNIST has N = 60,000 and 10,000, D = 784, K = 10. Another HDF5 file with the keys
    train_data, train_labels, test_data, test_labels loads as well; see load_images.
    """
    X_train, y_train, X_test, y_test = load_images(path, dtype, train_size)
    return _rows(X_train), y_train, _rows(X_test), y_test


load_data = load_mnist


def load_images(
    path: str | Path = MNIST, dtype: npt.DTypeLike = np.float32, train_size: int | None = None
) -> Split:
    """X_train (N, C, H, W), y_train (N, K) one-hot, X_test, y_test; pixels in [0, 1].

    The file holds grey pictures (N, H, W), RGB (N, H, W, 3) or (N, 3, H, W), or rows
    (N, D), as integers from 0 to 255 (uint16: 65535), as floats in [0, 1] or as True and
    False, and integer labels from 0. train_size takes that many training pictures, evenly spaced.
    Raises FileNotFoundError, or ValueError that names file, key, expected and got.
    """
    with open_h5(path) as file:
        train = _Half(file, "train", train_size)
        test = _Half(file, "test", None)
        if train.images.shape[1:] != test.images.shape[1:]:
            raise ValueError(
                f"{path}: expected training and test pictures of one shape, "
                f"got {train.images.shape[1:]} and {test.images.shape[1:]}"
            )
        K = int(max(train.labels.max(), test.labels.max())) + 1
        if not 2 <= K <= CLASSES_MAX:
            raise ValueError(
                f"{path}: expected from 2 to {CLASSES_MAX} classes, got labels up to {K - 1}"
            )
        return (
            train.pixels(dtype),
            one_hot(train.labels[train.rows], K, dtype),
            test.pixels(dtype),
            one_hot(test.labels, K, dtype),
        )


def _rows(X: Array) -> Array:
    return X.reshape(len(X), -1)  # (N, D)


def _is_image_set(shape: tuple[int, ...]) -> bool:
    grey, colour = len(shape) in (2, 3), len(shape) == 4 and {shape[1], shape[3]} & {1, 3}
    return bool(grey or colour) and 0 not in shape


class _Half:
    """The training or the test half of a file, checked before a pixel is read."""

    def __init__(self, file: "h5py.File", name: str, size: int | None):
        self.where = f"{file.filename}: {name}"
        self.images = dataset_h5(file, f"{name}_data")
        labels = dataset_h5(file, f"{name}_labels")
        N = self.images.shape[0] if self.images.ndim else 0
        if not _is_image_set(self.images.shape):
            raise ValueError(
                f"{self.where}_data is expected to be (N, H, W), (N, H, W, 3) or (N, D), "
                f"got {self.images.shape}"
            )
        if labels.shape not in ((N,), (N, 1)) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{self.where}_labels is expected to be {N} integers, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        self.labels = labels[()].reshape(N).astype(np.int64)
        if self.labels.min() < 0:
            raise ValueError(f"{self.where}_labels start at 0, got {self.labels.min()}")
        if size is not None and not (isinstance(size, int | np.integer) and 1 <= size <= N):
            raise ValueError(
                f"{file.filename}: train_size is expected to be from 1 to {N}, got {short(size)}"
            )
        self.rows = np.arange(N) if size is None else np.arange(size) * N // size

    def pixels(self, dtype: npt.DTypeLike) -> Array:
        """(N, C, H, W) in [0, 1], read in blocks: the integers never stand in memory as a whole."""
        X = np.empty((len(self.rows), *self.images.shape[1:]), dtype)
        stored = self.images.dtype
        scale = 1 if stored.kind in "fb" else 65535 if stored == np.uint16 else 255
        for start in range(0, self.images.shape[0], 1000):
            first, last = np.searchsorted(self.rows, (start, start + 1000))
            if first < last:
                block = self.images[start : start + 1000]
                np.divide(block[self.rows[first:last] - start], scale, X[first:last], dtype=X.dtype)
        if not (X.min() >= 0 and X.max() <= 1):
            raise ValueError(
                f"{self.where}_data is expected to hold integers from 0 to {scale} "
                f"or floats in [0, 1], got {stored} that scale to {X.min():g} to {X.max():g}"
            )
        return self._channels_first(X)

    def _channels_first(self, X: Array) -> Array:
        if X.ndim == 4 and X.shape[1] not in (1, 3) and X.shape[3] in (1, 3):
            return np.ascontiguousarray(X.transpose(0, 3, 1, 2))
        if X.ndim == 4:
            return X
        if X.ndim == 3:
            return X[:, None]
        side = round(X.shape[1] ** 0.5)
        return X.reshape(len(X), 1, side, -1) if side**2 == X.shape[1] else X[:, None, None]
