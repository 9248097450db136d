"""The workloads W1 to W7, and our networks on them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

import cnn
import functional_net
import net
from cnn.net import hits
from datasets import load_images, minibatches, one_hot
from datasets.store.weights import Weights

__all__ = ["Workload", "Contender", "NAMES", "workload", "OURS"]

Array = npt.NDArray[np.floating]
Batches = Iterable[tuple[Any, Any]]
NAMES = ("W1", "W2", "W3", "W4", "W5", "W6", "W7")


@dataclass(frozen=True)
class Workload:
    """A network, its data, and what is timed: an epoch, a number of steps, or inference."""

    name: str
    title: str
    layers: tuple[tuple[Any, ...], ...]  # ("conv", 1, 4), ("pool",), ...
    X: Array
    y: Array  # (N, K) one-hot
    batch: int
    kind: str  # "epoch", "step" or "inference"
    lr: float = 0.1
    momentum: float = 0.1

    @property
    def sizes(self) -> list[int]:
        """784, 100, 10 of a network of linear layers only."""
        linear = [layer[1:] for layer in self.layers if layer[0] == "linear"]
        return [linear[0][0], *(H for _, H in linear)]

    @property
    def is_mlp(self) -> bool:
        return all(layer[0] in ("linear", "relu") for layer in self.layers)

    @property
    def per_run(self) -> int:
        """By what the time of a run is divided: its steps, or 1."""
        return math.ceil(len(self.X) / self.batch) if self.kind == "step" else 1

    def weights(self) -> Weights:
        """The same first weights for everybody, under the names of a weight file."""
        return modular(self, np.random.default_rng(0)).get_weights()


# --- the seven ----------------------------------------------------------------


def mlp(*sizes: int) -> tuple[tuple[Any, ...], ...]:
    layers: list[tuple[Any, ...]] = []
    for D, H in pairwise(sizes):
        layers += [("linear", D, H), ("relu",)]
    return tuple(layers[:-1])


def convnet(C: int, F1: int, F2: int, pixels: int, K: int) -> tuple[tuple[Any, ...], ...]:
    return (
        *(("conv", C, F1), ("pool",), ("relu",), ("bn", F1)),
        *(("conv", F1, F2), ("pool",), ("relu",), ("bn", F2)),
        *(("flatten",), ("linear", F2 * pixels, K)),
    )


LARGE = (
    *(("conv", 1, 32), ("relu",), ("conv", 32, 64), ("relu",), ("pool",)),
    *(("flatten",), ("linear", 12544, 128), ("relu",), ("linear", 128, 10)),
)


@cache
def digits() -> tuple[Array, Array, Array, Array]:
    return load_images()


def workload(name: str, quick: bool = False, whole: bool = False) -> Workload:
    """W1 to W7; quick: a tenth of the epoch or of the images; whole: W4 with all of MNIST."""
    X, y, X_test, y_test = digits()
    n = len(X) // (10 if quick else 1)
    rows, targets = X.reshape(len(X), -1)[:n], y[:n]
    images = f"{n:,} images"
    if name == "W1":
        title = f"784-100-10, batch 20, an epoch of {images}"
        return Workload(name, title, mlp(784, 100, 10), rows, targets, 20, "epoch")
    if name in ("W2", "W3"):
        B = 10 if name == "W2" else 128
        title = f"784-100-50-10, batch {B}, an epoch of {images}"
        return Workload(name, title, mlp(784, 100, 50, 10), rows, targets, B, "epoch", lr=0.05)
    if name == "W4":
        n = 300 if quick else len(X) if whole else 2000
        title = "conv 1-4-8 on 28x28, batch 100, a training step"
        return Workload(name, title, convnet(1, 4, 8, 49, 10), X[:n], y[:n], 100, "step")
    if name == "W5":
        X, y = colours(200 if quick else 1000)
        title = "conv 3-8-16 on 52x52, batch 100, a training step"
        return Workload(name, title, convnet(3, 8, 16, 169, 12), X, y, 100, "step")
    if name == "W6":
        n = 1000 if quick else 10_000
        title = f"inference of W4, {n:,} images"
        layers = convnet(1, 4, 8, 49, 10)
        return Workload(name, title, layers, X_test[:n], y_test[:n], n, "inference")
    if name == "W7":
        n = 128 if quick else 256
        title = "conv 1-32-64, linear 12544-128-10, batch 128, a training step"
        return Workload(name, title, LARGE, X[:n], y[:n], 128, "step", lr=0.01)
    raise ValueError(f"expected a workload of {', '.join(NAMES)}, got {name}")


def colours(n: int) -> tuple[Array, Array]:
    """n pictures of 52x52 random colours in 12 classes."""
    rng = np.random.default_rng(0)
    return rng.random((n, 3, 52, 52), np.float32), one_hot(rng.integers(0, 12, n), 12)


def part(work: Workload, n: int, batch: int) -> Workload:
    """The first n images in batches of another size."""
    return replace(work, X=work.X[:n], y=work.y[:n], batch=batch)


# --- ours, as a user writes it --------------------------------------------------


class Contender:
    """Someone who trains: shuffled gives the batches of an epoch, train takes steps."""

    rtol = 1e-3  # how far rounding may take the first losses

    def __init__(self, work: Workload, weights: Weights) -> None:
        self.work, self.rng = work, np.random.default_rng(0)

    def shuffled(self, rng: np.random.Generator) -> Batches:
        """One epoch of batches. Everybody draws one permutation of rng: the same batches."""
        return minibatches(self.work.X, self.work.y, self.work.batch, rng)

    def train(self, batches: Batches) -> list[float]:
        """A step for each batch; their losses."""
        raise NotImplementedError

    def run(self) -> None:
        """An epoch, shuffled anew."""
        self.train(self.shuffled(self.rng))

    def infer(self) -> Array:
        """The scores (N, K) of all images of the workload."""
        raise NotImplementedError


class Functional(Contender):
    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.params = functional_net.from_weights(weights)
        self.velocity = functional_net.zeros(self.params)

    def train(self, batches: Batches) -> list[float]:
        losses, params, velocity = [], self.params, self.velocity
        steps = functional_net.train_epoch(
            params, velocity, batches, self.work.lr, self.work.momentum
        )
        for params, velocity, loss, _ in steps:
            losses.append(loss)
        self.params, self.velocity = params, velocity
        return losses

    def run(self) -> None:
        """An epoch, shuffled by functional_net itself."""
        work = self.work
        functional_net.train(self.params, work.X, work.y, work.lr, work.momentum, 1, work.batch)


class Object(Contender):
    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.model = net.perceptron(work.sizes)
        self.model.set_weights(net.from_weights(weights))

    def train(self, batches: Batches) -> list[float]:
        work = self.work
        return [loss for loss, _ in self.model.train_epoch(batches, work.lr, work.momentum)]

    def run(self) -> None:
        """An epoch, shuffled by the network itself."""
        work = self.work
        self.model.train(work.X, work.y, work.lr, 1, work.batch, work.momentum)


class Modular(Contender):
    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.net = modular(work, np.random.default_rng(0))
        self.net.set_weights(weights)

    def train(self, batches: Batches) -> list[float]:
        net, losses, right = self.net, [], 0
        for X, y in batches:
            out = net(X)
            losses.append(net.loss(out, y))
            net.backward()
            net.update_weights(self.work.lr, self.work.momentum)
            right += hits(out, y)
        return losses

    def infer(self) -> Array:
        return self.net.forward(self.work.X)


def modular(work: Workload, rng: np.random.Generator) -> cnn.Net:
    build: dict[str, Any] = {
        "linear": lambda D, H: cnn.Linear(D, H, rng),
        "conv": lambda C, F: cnn.Conv2D(C, F, 3, padding=1, rng=rng),
        "pool": cnn.MaxPool2D,
        "bn": cnn.BatchNorm2D,
        "relu": cnn.ReLU,
        "flatten": cnn.Flatten,
    }
    return cnn.Net([build[kind](*sizes) for kind, *sizes in work.layers], cnn.CrossEntropyLoss)


OURS = {"functional_net.py": Functional, "net.py": Object, "cnn": Modular}
