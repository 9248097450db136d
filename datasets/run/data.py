"""What a run learns: rows of MNIST or of a file, or the images of a file or a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.read.mnist import MNIST, load_images, load_mnist
from datasets.run.console import say
from datasets.store.weights import load_weights

if TYPE_CHECKING:
    from datasets.run.options import Options

__all__ = ["Images", "load_rows", "load_pictures", "stored_hidden_sizes"]

Array = npt.NDArray[np.floating]


class Images(NamedTuple):
    """Pixels (N, C, H, W), floats in [0, 1] or integers to 255; targets (N, K) one-hot."""

    X_train: npt.NDArray
    y_train: Array
    X_val: npt.NDArray
    y_val: Array
    names: list[str]  # of the K classes
    judged_on: str  # what X_val is: test, or validation


def load_rows(options: "Options") -> tuple[Array, Array, Array, Array]:
    """X_train (N, D), y_train (N, K), X_test and y_test of MNIST, or of --data."""
    return load_mnist(options.data or MNIST, train_size=options.train_size)


def load_pictures(options: "Options", given: set[str], rng: np.random.Generator) -> Images:
    """The images of MNIST, or of --dataset; of a folder, a share is put aside for validation."""
    path = options.dataset
    if path and path.is_dir():
        return _folder(path, options, rng)
    for name in ("image_size", "val_split", "skip_bad"):
        if name in given:
            raise ValueError(f"--{name} is for a folder of pictures, got {path or 'MNIST'}")
    X_train, y_train, X_val, y_val = load_images(path or MNIST, train_size=options.train_size)
    return Images(X_train, y_train, X_val, y_val, [str(k) for k in range(y_val.shape[1])], "test")


def _folder(path: Path, options: "Options", rng: np.random.Generator) -> Images:
    from datasets.read.folders import read_folder, split

    X, labels, names, skipped = read_folder(path, options.image_size, options.skip_bad)
    for line in skipped:
        say(f"left out: {line}")
    train, val = split(labels, options.val_split, rng)
    size = options.train_size
    if size is not None and size > len(train):
        raise ValueError(f"train_size is expected to be from 1 to {len(train)}, got {size}")
    train, y = train[:size], one_hot(labels, len(names))
    return Images(X[train], y[train], X[val], y[val], names, "validation")


def stored_hidden_sizes(path: Path, hidden_neurons: int, given: set[str]) -> list[int]:
    """The sizes of the hidden layers of the perceptron whose weights a file holds."""
    stored = load_weights(path)
    for key, array in stored.items():
        if array.ndim != {"W": 2, "b": 1}.get(key.split("/")[1]):
            raise ValueError(
                f"{path}: this network expects W (inputs, neurons) and b (neurons,), "
                f"the file has {key} {array.shape}"
            )
    sizes = [len(b) for key, b in stored.items() if key.endswith("/b")][:-1]
    if "hidden_neurons" in given and sizes != [hidden_neurons]:
        raise ValueError(f"--hidden_neurons {hidden_neurons}: {path} has {sizes}")
    return sizes
