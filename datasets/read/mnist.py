"""MNIST, and any image set in an HDF5 file with the same four keys."""

import math
import os
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.schedules import short
from datasets.store.hdf5 import File

__all__ = ["MNIST", "load_mnist", "load_data", "load_images", "read_images"]

Array = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]
Split = tuple[Array, Array, Array, Array]
KEYS = ["train_data", "train_labels", "test_data", "test_labels"]
CLASSES_MAX = 10_000  # a table of confusions takes 8 bytes for each pair of classes
WHITES = (1, 16, 255, 1023, 4095, 16383, 65535)  # the largest integers of 1, 4, 8, ... 16 bits
MNIST = Path(__file__).parents[1] / "mnist.h5"


def load_mnist(
    path: str | Path = MNIST, dtype: npt.DTypeLike = np.float32, train_size: int | None = None
) -> Split:
    """X_train (N, D), y_train (N, K) one-hot, X_test, y_test; pixels in [0, 1], one picture a row.

    MNIST has N = 60,000 and 10,000, D = 784, K = 10. Another HDF5 file with the keys
    train_data, train_labels, test_data, test_labels loads as well; see load_images.
    """
    X, y, X_test, y_test = load_images(path, dtype, train_size)
    return X.reshape(len(X), -1), y, X_test.reshape(len(X_test), -1), y_test


load_data = load_mnist


def load_images(
    path: str | Path = MNIST, dtype: npt.DTypeLike = np.float32, train_size: int | None = None
) -> Split:
    """X_train (N, C, H, W), y_train (N, K) one-hot, X_test, y_test; pixels in [0, 1].

    The file holds grey pictures (N, H, W), RGB (N, H, W, 3) or (N, 3, H, W), or rows
    (N, D), as integers from 0 to 255, as integers of 1, 4, 10, 12, 14 or 16 bits, as floats in
    [0, 1] or as True and False, and integer labels from 0. train_size takes that many training
    pictures, evenly spaced. Warns where white is not what the dtype lets expect, and of classes
    without training pictures.
    Raises FileNotFoundError, or ValueError that names file, key, expected and got.
    """
    X, labels, X_test, labels_test, K = read_images(path, dtype, train_size)
    return X, one_hot(labels, K, dtype), X_test, one_hot(labels_test, K, dtype)


def read_images(
    path: str | Path, dtype: npt.DTypeLike, train_size: int | None
) -> tuple[Array, Labels, Array, Labels, int]:
    """load_images, with labels (N,) in the place of one-hot rows, and the number of classes."""
    file = File(path, KEYS, trusted=os.path.exists(path) and os.path.samefile(path, MNIST))
    train, test = halves = _Half(file, "train", train_size), _Half(file, "test", None)
    if train.images.shape[1:] != test.images.shape[1:]:
        raise ValueError(
            f"{file.name}: expected training and test pictures of one shape, "
            f"got {train.images.shape[1:]} and {test.images.shape[1:]}"
        )
    K = _n_classes(file.name, train.labels, test.labels)
    for half in halves:  # room for one-hot rows, too, whoever makes them
        n = len(half.rows) * (math.prod(half.images.shape[1:]) + K)
        what = f"an array of {len(half.rows)} pictures and their {K} classes"
        file.spend(what, n * np.dtype(dtype).itemsize)
    X_train, X_test = (half.pixels(dtype) for half in halves)
    for X, half in ((X_train, train), (X_test, test)):
        alike = (other.high for other in halves if other.images.dtype == half.images.dtype)
        if (white := half.white(max(alike))) > 1:
            X /= white
    if len(missing := np.setdiff1d(np.arange(K), train.labels)):
        some = ", ".join(map(str, missing[:5])) + ", ..." * (len(missing) > 5)
        classes = f"{K} classes, from 0 to {K - 1}, but no training picture of {some}"
        warnings.warn(f"{file.name}: {classes}", stacklevel=3)
    return X_train, train.labels[train.rows], X_test, test.labels, K


def _n_classes(name: str, train: Labels, test: Labels) -> int:
    n, K = len(train) + len(test), int(max(train.max(), test.max())) + 1
    if not 2 <= K <= min(n, CLASSES_MAX):
        raise ValueError(
            f"{name}: expected from 2 to {min(n, CLASSES_MAX)} classes of {n} pictures, "
            f"got labels up to {K - 1}"
        )
    return K


def _picture(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W), or (H, W, C), of what is stored as (N, *shape); () for what is no picture.

    A row of D pixels is a square if it can be one, else a line.
    """
    match shape:
        case (int(D),):
            side = math.isqrt(D)
            shape = (1, side, side) if side**2 == D else (1, 1, D)
        case (H, W):
            shape = (1, H, W)
    good = len(shape) == 3 and 0 not in shape and {shape[0], shape[2]} & {1, 3}
    return shape if good else ()


class _Half:
    """The training or the test half of a file, checked before a pixel is read."""

    def __init__(self, file: File, name: str, size: int | None):
        self.name, self.where = file.name, f"{file.name}: {name}"
        self.images, labels = file[f"{name}_data"], file[f"{name}_labels"]
        N, *rest = self.images.shape or (0,)
        self.picture = _picture(tuple(rest))
        if not N or not self.picture:
            raise ValueError(
                f"{self.where}_data is expected to be (N, H, W), (N, H, W, 3) or (N, D), "
                f"got {self.images.shape}"
            )
        if labels.shape not in ((N,), (N, 1)) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{self.where}_labels is expected to be {N} integers, "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        self.labels = labels.read().reshape(N).astype(np.int64)
        if self.labels.min() < 0:
            raise ValueError(f"{self.where}_labels start at 0, got {self.labels.min()}")
        if size is not None and not (isinstance(size, int | np.integer) and 1 <= size <= N):
            raise ValueError(
                f"{file.name}: train_size is expected to be from 1 to {N}, got {short(size)}"
            )
        self.rows = np.arange(N) if size is None else np.arange(size) * N // size
        self.low, self.high = np.inf, -np.inf  # of the stored pixels

    def pixels(self, dtype: npt.DTypeLike) -> Array:
        """(N, C, H, W) as they are stored; the integers never stand in memory as a whole."""
        N, picture = len(self.rows), self.picture
        last = picture[0] not in (1, 3)  # (H, W, C)
        C, H, W = (picture[2], *picture[:2]) if last else picture
        X = np.empty((N, C, H, W), dtype)
        stored = X.transpose(0, 2, 3, 1) if last else X.reshape(N, *self.images.shape[1:])
        with np.errstate(over="ignore"):  # a float64 may be too large: white tells
            for place, block in self.images.blocks(self.rows):
                stored[place] = block
                self.low = np.minimum(self.low, block.min())  # hands on nan, which min does not
                self.high = np.maximum(self.high, block.max())
        return X

    def white(self, highest: float) -> int:
        """What to divide by: 1 for floats, for integers the smallest of WHITES that holds all.

        Warns where that is not what the dtype lets expect.
        """
        dtype, floats = self.images.dtype, self.images.dtype.kind in "fb"
        if not (self.low >= 0 and highest <= (1 if floats else WHITES[-1])):
            raise ValueError(
                f"{self.where}_data is expected to hold floats in [0, 1] or integers from 0 to "
                f"255 (or 65535), got {dtype} from {self.low:g} to {self.high:g}"
            )
        white = 1 if floats else next(white for white in WHITES if highest <= white)
        usual = 1 if floats else 65535 if dtype == np.uint16 else 255
        if highest and white != usual:
            told = f"the largest pixel is {highest:g}, {white} counts as white"
            warnings.warn(f"{self.name}: {told}", stacklevel=4)
        return white
