"""python -m cnn: train a convolutional network on MNIST, a folder of pictures or an HDF5 file."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import typer

from cnn import (
    BatchNorm2D,
    Conv2D,
    CrossEntropyLoss,
    Flatten,
    Layer,
    Linear,
    MaxPool2D,
    Net,
    ReLU,
    Softmax,
)
from cnn.kernels import Array
from datasets import MNIST, load_images, one_hot
from datasets.run import console
from datasets.run.console import say
from datasets.run.loop import Run, given
from datasets.run.report import confusion, report
from datasets.store.weights import load_weights

CHANNELS = 8, 16  # of the two convolutions


# --- init ---------------------------------------------------------------------


def convnet(shape: Sequence[int], K: int, rng: np.random.Generator) -> Net:
    """conv - pool - ReLU - batchnorm, twice, then Linear; for images of shape (C, H, W)."""
    layers: list[Layer] = []
    C, H, W = shape
    if min(H, W) < 4:
        raise ValueError(f"two poolings expect images of 4x4 or more, got {H}x{W}")
    for F in CHANNELS:
        layers += [Conv2D(C, F, padding="same", rng=rng), MaxPool2D(), ReLU(), BatchNorm2D(F)]
        C, H, W = F, H // 2, W // 2
    layers += [Flatten(), Linear(C * H * W, K, rng, gain=1)]
    return Net(layers, CrossEntropyLoss)


def perceptron(sizes: list[int], rng: np.random.Generator) -> Net:
    """Linear layers of these sizes, inputs first, with a ReLU between two of them."""
    layers: list[Layer] = [Flatten()]
    for D, H in pairwise(sizes):
        layers += [Linear(D, H, rng), ReLU()]
    return Net(layers[:-1], CrossEntropyLoss)


def build(run: Run, shape: Sequence[int], K: int, rng: np.random.Generator) -> Net:
    """A convnet; or, if --load brings the weights of the other two programs, their perceptron."""
    if run.path and next(iter(load_weights(run.path).values())).ndim == 2:
        return perceptron([int(np.prod(shape)), *run.hidden_sizes([]), K], rng)
    return convnet(shape, K, rng)


# --- data ---------------------------------------------------------------------


class Images(NamedTuple):
    """Pixels (N, C, H, W), floats in [0, 1] or integers to 255; targets (N, K) one-hot."""

    X_train: npt.NDArray
    y_train: Array
    X_val: npt.NDArray
    y_val: Array
    names: list[str]  # of the K classes


def from_file(path: Path, train_size: int | None) -> Images:
    """MNIST or another HDF5 file: its test images are the validation images."""
    X_train, y_train, X_val, y_val = load_images(path, train_size=train_size)
    return Images(X_train, y_train, X_val, y_val, [str(k) for k in range(y_val.shape[1])])


def from_folder(
    path: Path,
    image_size: tuple[int, int] | None,
    skip_bad: bool,
    val_split: float,
    train_size: int | None,
    rng: np.random.Generator,
) -> Images:
    """A folder of class folders; a share of each class is put aside for validation."""
    from datasets.read.folders import read_folder, split

    X, labels, names, skipped = read_folder(path, image_size, skip_bad)
    for line in skipped:
        say(f"left out: {line}")
    train, val = split(labels, val_split, rng)
    if train_size is not None and train_size > len(train):
        raise ValueError(f"train_size is expected to be from 1 to {len(train)}, got {train_size}")
    train, y = train[:train_size], one_hot(labels, len(names))
    return Images(X[train], y[train], X[val], y[val], names)


def scaled(X: npt.NDArray) -> Array:
    """Pixels in [0, 1]. Integers are a quarter of the size, so they wait for their batch."""
    return X / np.float32(255) if X.dtype == np.uint8 else X


# --- accuracy -----------------------------------------------------------------


def most_confused(counts: npt.NDArray[np.integer], names: list[str], rows: int = 5) -> list[str]:
    """A table of the classes that were most often taken for another, from counts (K, K)."""
    wrong = counts - np.diag(counts.diagonal())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:rows]
    cells = [("most confused", "taken for", "times")]
    for truth, guess in zip(*np.unravel_index(worst, wrong.shape), strict=True):
        if wrong[truth, guess]:
            cells.append((names[truth], names[guess], str(wrong[truth, guess])))
    wide = [max(len(row[i]) for row in cells) for i in (0, 1)]
    lines = [f"{t:{wide[0]}}  {g:{wide[1]}}  {n:>5}" for t, g, n in cells]
    return lines if len(lines) > 1 else []


# --- command line -------------------------------------------------------------

app = typer.Typer(**console.TRAINING)


Dataset = Annotated[
    Path | None,
    console.option(
        "--dataset", "--data", metavar="PATH",
        help="A folder of class folders, or an HDF5 file.  [default: MNIST]",
    ),
]  # fmt: skip
ImageSize = Annotated[
    tuple[int, int] | None,
    typer.Option(
        "--image_size", metavar="H W", min=1, help="Bring all pictures of a folder to this size."
    ),
]
ValSplit = Annotated[
    float,
    typer.Option(
        "--val_split", parser=console.share, metavar="SHARE",
        help="Share of a folder's pictures for validation.",
    ),
]  # fmt: skip
SkipBad = Annotated[
    bool, typer.Option("--skip_bad", help="Leave out files that are no good pictures.")
]


@app.command()
def main(
    ctx: typer.Context,
    lr: console.LearningRate = "0.02",  # type: ignore[assignment]
    momentum: console.Momentum = "0.9",  # type: ignore[assignment]
    epochs: console.Epochs = 3,
    batch_size: console.BatchSize = 100,
    seed: console.Seed = 0,
    dataset: Dataset = None,
    image_size: ImageSize = None,
    val_split: ValSplit = 0.1,
    skip_bad: SkipBad = False,
    train_size: console.TrainSize = None,
    save: console.Save = None,
    load: console.Load = None,
    checkpoint: console.Checkpoint = None,
    resume: console.Resume = None,
    digits: console.Predict = None,
    pictures: console.Pictures = None,
    history: console.HistoryFile = None,
) -> None:
    """Train a convolutional network on MNIST or on your own pictures."""
    rng = np.random.default_rng(seed)
    folder = dataset if dataset and dataset.is_dir() else None
    if folder:
        data = from_folder(folder, image_size, skip_bad, val_split, train_size, rng)
    else:
        for name in ("image_size", "val_split", "skip_bad"):
            if given(ctx, name):
                raise ValueError(f"--{name} is for a folder of pictures, got {dataset or 'MNIST'}")
        data = from_file(dataset or MNIST, train_size)
    X_val = scaled(data.X_val)
    with Run(ctx, rng) as run:
        run.folder = folder is not None
        net = build(run, X_val.shape[1:], len(data.names), rng)
        weights, velocity = net.get_weights(), net.get_velocity()
        weights, velocity = run.start(weights, velocity, data.X_train, data.y_train)
        net.set_weights(weights)
        net.set_velocity(velocity)
        for _ in run.epochs():
            batches = ((scaled(X), y) for X, y in run.batches(data.X_train, data.y_train))
            for _ in run.watch(net.train_epoch(batches, *run.rates())):
                pass
            accuracy = net.accuracy(X_val, data.y_val)
            run.end_epoch(net.get_weights(), net.get_velocity(), accuracy)
        weights, names = net.get_weights(), data.names
        guess = report(
            run, lambda X: Softmax().forward(net.forward(X)), X_val, data.y_val, weights, names
        )
        truth = data.y_val.argmax(axis=1)
        for line in most_confused(confusion(truth, guess, len(names)), names):
            say(line)


if __name__ == "__main__":
    console.run(app)
