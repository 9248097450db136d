"""What a run learns: rows of MNIST or of a file, or the images of a file or a folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.read.mnist import MNIST, load_images, load_mnist
from datasets.run.console import say
from datasets.store.files import printable
from datasets.store.weights import About, Weights

if TYPE_CHECKING:
    from datasets.run.options import Options

__all__ = [
    "Images",
    "load_rows",
    "load_pictures",
    "no_pictures",
    "short_list",
    "suit",
    "stored_hidden_sizes",
    "image_shape",
]

Array = npt.NDArray[np.floating]
BATCHES, STEPS, EPOCHS = 20, 400, 60  # aimed at: an epoch's steps, a run's; its epochs at most


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

    X, labels, names, skipped, notes = read_folder(path, options.image_size, options.skip_bad)
    for line in [*(f"left out: {line}" for line in skipped), *notes]:
        say(line)
    train, val = split(labels, options.val_split, rng)
    size = options.train_size
    if size is not None and size > len(train):
        raise ValueError(f"train_size is expected to be from 1 to {len(train)}, got {size}")
    train, y = train[:size], one_hot(labels, len(names))
    return Images(X[train], y[train], X[val], y[val], names, "validation")


def no_pictures(about: About) -> Images:
    """No images, of the shape and classes that a weight file tells of."""
    X, y = np.zeros((0, *about.image_shape), np.float32), np.zeros((0, len(about.class_names)))
    judged_on = "validation" if about.prepared == "fitted" else "test"
    return Images(X, y, X, y, [*about.class_names], judged_on)


def short_list(names: Sequence[str]) -> str:
    """The names of classes in a message: the first few, and how many there are."""
    some = ", ".join(names[:5])
    return f"{len(names)} classes ({printable(some)}{', ...' if len(names) > 5 else ''})"


def suit(options: "Options", N: int) -> int:
    """Set batch size and epochs, where nobody has, to what suits N images; returns steps an epoch.

    60,000 images are learnt in 3 epochs, in batches of 100. Few are learnt in smaller batches and
    more often: until 400 steps are done.
    """
    if options.batch_size is None:
        options.batch_size = min(max(round(N / BATCHES), 10), 100)
    steps = math.ceil(N / options.batch_size)
    if options.epochs is None:
        options.epochs = min(max(math.ceil(STEPS / steps), 3), EPOCHS)
    return steps


def stored_hidden_sizes(
    path: Path, stored: Weights, hidden_neurons: int, given: set[str]
) -> list[int]:
    """The sizes of the hidden layers of the perceptron whose weights a file holds."""
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


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of a sample: its own, or for a row (D,) a square grey or RGB picture, or a line."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    for C in (1, 3):
        side = round((shape[0] / C) ** 0.5)
        if C * side * side == shape[0]:
            return C, side, side
    return 1, 1, shape[0]
