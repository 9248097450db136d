"""python -m cnn: train a convolutional network on MNIST, a folder of pictures or an HDF5 file."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

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
from datasets.run import Run, command

CHANNELS = 8, 16  # of the two convolutions


# --- init ---------------------------------------------------------------------


def convnet(shape: Sequence[int], K: int, rng: np.random.Generator) -> Net:
    """conv - pool - ReLU - batchnorm, twice, then Linear; for images of shape (C, H, W)."""
    layers: list[Layer] = []
    C, H, W = shape
    if min(H, W) < 4:
        raise ValueError(f"two poolings expect images of 4x4 or more, got {H}x{W}")
    for F in CHANNELS:
        layers += [Conv2D(C, F, padding="same", rng=rng), MaxPool2D(), ReLU()]
        layers += [BatchNorm2D(F, from_first=True)]
        C, H, W = F, H // 2, W // 2
    layers += [Flatten(), Linear(C * H * W, K, rng, gain=1)]
    return Net(layers, CrossEntropyLoss)


def perceptron(sizes: list[int], rng: np.random.Generator) -> Net:
    """Linear layers of these sizes, inputs first, with a ReLU between two of them."""
    layers: list[Layer] = [Flatten()]
    for D, H in pairwise(sizes):
        layers += [Linear(D, H, rng), ReLU()]
    return Net(layers[:-1], CrossEntropyLoss)


def build(run: Run, shape: Sequence[int], K: int) -> Net:
    """A convnet; or, if --load brings the weights of the other two programs, their perceptron."""
    if run.stored and next(iter(run.stored.values())).ndim == 2:
        return perceptron([int(np.prod(shape)), *run.hidden_sizes([]), K], run.rng)
    return convnet(shape, K, run.rng)


def scaled(X: npt.NDArray) -> Array:
    """Pixels in [0, 1]. Integers are a quarter of the size, so they wait for their batch."""
    return X / np.float32(255) if X.dtype == np.uint8 else X


# --- command line -------------------------------------------------------------


def main(run: Run) -> None:
    """Train a convolutional network on MNIST or on your own pictures."""
    images = run.images()
    X_val, y_val = scaled(images.X_val), images.y_val
    net = build(run, X_val.shape[1:], len(images.names))
    weights, velocity = run.start(net.get_weights(), net.get_velocity())
    net.set_weights(weights)
    net.set_velocity(velocity)
    for _ in run.epochs():
        for X, y in run.batches(images.X_train, images.y_train):  # ends early after Ctrl-C
            loss, right = net.step(scaled(X), y, run.lr, run.momentum)
            run.note(loss, right)  # stops a run that diverges
        run.end_epoch(net.get_weights(), net.get_velocity(), net.accuracy(X_val, y_val))
    run.report(lambda X: Softmax().forward(net.forward(X)), X_val, y_val)


app = command(
    main, lr=0.02, momentum=0.9, epochs=None, batch_size=None,
    dataset=None, image_size=None, val_split=0.1, skip_bad=False,
)  # fmt: skip

if __name__ == "__main__":
    app()
