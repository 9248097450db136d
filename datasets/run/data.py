"""What a run learns: the images of MNIST, of a file or of a folder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.read.mnist import MNIST, read_images
from datasets.run.console import say
from datasets.run.options import Options
from datasets.store.files import printable
from datasets.store.weights import About

__all__ = ["Images", "load_pictures", "no_pictures", "short_list", "suit", "image_shape"]

BATCHES, STEPS, EPOCHS = 20, 400, 60  # aimed at: an epoch's steps, a run's; its epochs at most


class Images(NamedTuple):
    """Pixels (N, C, H, W), floats in [0, 1] or integers to 255; labels (N,)."""

    X_train: npt.NDArray
    y_train: npt.NDArray[np.integer]
    X_val: npt.NDArray
    y_val: npt.NDArray[np.integer]
    names: list[str]  # of the K classes
    judged_on: str  # what X_val is: test, or validation


def load_pictures(options: Options, given: set[str], rng: np.random.Generator) -> Images:
    """The images of MNIST, of --data or --dataset; of a folder, a share is put aside."""
    path = options.data or options.dataset
    if options.dataset and options.dataset.is_dir():
        return _folder(options.dataset, options, rng)
    for name in ("image_size", "val_split", "skip_bad"):
        if name in given:
            raise ValueError(f"--{name} is for a folder of pictures, got {path or 'MNIST'}")
    X, y, X_val, y_val, K = read_images(path or MNIST, np.float32, options.train_size)
    return Images(X, y, X_val, y_val, [str(k) for k in range(K)], "test")


def _folder(path: Path, options: Options, rng: np.random.Generator) -> Images:
    from datasets.read.folders import read_folder, split

    X, labels, names, skipped, notes = read_folder(path, options.image_size, options.skip_bad)
    for line in [*(f"left out: {line}" for line in skipped), *notes]:
        say(line)
    train, val = split(labels, options.val_split, rng)
    size = options.train_size
    if size is not None and size > len(train):
        raise ValueError(f"train_size is expected to be from 1 to {len(train)}, got {size}")
    train = train[:size]
    return Images(X[train], labels[train], X[val], labels[val], names, "validation")


def no_pictures(about: About) -> Images:
    """No images, of the shape and classes that a weight file tells of."""
    X, y = np.zeros((0, *about.image_shape), np.float32), np.zeros(0, np.int64)
    judged_on = "validation" if about.prepared == "fitted" else "test"
    return Images(X, y, X, y, [*about.class_names], judged_on)


def short_list(names: Sequence[str]) -> str:
    """The names of classes in a message: the first few, and how many there are."""
    some = ", ".join(names[:5])
    return f"{len(names)} classes ({printable(some)}{', ...' if len(names) > 5 else ''})"


def suit(options: Options, N: int) -> int:
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


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of a sample: its own, or for a row (D,) a square grey or RGB picture, or a line."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    for C in (1, 3):
        side = round((shape[0] / C) ** 0.5)
        if C * side * side == shape[0]:
            return C, side, side
    return 1, 1, shape[0]
