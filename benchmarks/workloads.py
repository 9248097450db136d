"""The workloads W1 to W7, and our three networks on them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

import cnn
import functional_net
import net
from datasets import load_images, minibatches, one_hot

__all__ = ["Workload", "Contender", "NAMES", "FLAT", "SHAPES", "workload", "quick", "part", "OURS"]

Array = npt.NDArray[np.floating]
Weights = dict[str, Array]
Layers = tuple[tuple[Any, ...], ...]  # ("conv", 1, 4), ("pool",), ...


@dataclass(frozen=True)
class Workload:
    """A network, its data, and what is timed: an "epoch", a "step" of it, or "inference"."""

    name: str
    title: str
    layers: Layers
    X: Array
    y: Array  # (N, K) one-hot
    batch: int
    kind: str
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


def mlp(*sizes: int) -> Layers:
    layers = [layer for D, H in pairwise(sizes) for layer in (("linear", D, H), ("relu",))]
    return tuple(layers[:-1])


def convnet(C: int, F1: int, F2: int, pixels: int, K: int) -> Layers:
    return (
        *(("conv", C, F1), ("pool",), ("relu",), ("bn", F1)),
        *(("conv", F1, F2), ("pool",), ("relu",), ("bn", F2)),
        *(("flatten",), ("linear", F2 * pixels, K)),
    )


LARGE = (
    *(("conv", 1, 32), ("relu",), ("conv", 32, 64), ("relu",), ("pool",)),
    *(("flatten",), ("linear", 12544, 128), ("relu",), ("linear", 128, 10)),
)
SHAPES = {  # what it is, layers, images, batch, lr
    "W1": ("784-100-10, batch 20", mlp(784, 100, 10), 10_000, 20, 0.1),
    "W2": ("784-100-50-10, batch 10", mlp(784, 100, 50, 10), 10_000, 10, 0.05),
    "W3": ("784-100-50-10, batch 128", mlp(784, 100, 50, 10), 10_000, 128, 0.05),
    "W4": ("conv 1-4-8 on 28x28, batch 100", convnet(1, 4, 8, 49, 10), 2000, 100, 0.1),
    "W5": ("conv 3-8-16 on 52x52, batch 100", convnet(3, 8, 16, 169, 12), 500, 100, 0.1),
    "W6": ("inference of W4", convnet(1, 4, 8, 49, 10), 10_000, 10_000, 0.1),
    "W7": ("conv 1-32-64, linear 12544-128-10, batch 128", LARGE, 128, 128, 0.01),
}

NAMES, FLAT = (*SHAPES,), ("W1", "W2", "W3")


@cache
def digits() -> tuple[Array, Array, Array, Array]:
    return load_images()


def colours(n: int) -> tuple[Array, Array]:
    """n pictures of 52x52 random colours in 12 classes."""
    rng = np.random.default_rng(0)
    return rng.random((n, 3, 52, 52), np.float32), one_hot(rng.integers(0, 12, n), 12)


def workload(name: str, images: int | None = None) -> Workload:
    """W1 to W7 on so many images, by default as many as are timed."""
    if name not in SHAPES:
        raise ValueError(f"expected a workload of {', '.join(NAMES)}, got {name}")
    title, layers, n, batch, lr = SHAPES[name]
    n = images or n
    X, y, X_test, y_test = digits() if name != "W5" else colours(n) * 2
    if name == "W6":
        title = f"{title}, {n:,} images"
        return Workload(name, title, layers, X_test[:n], y_test[:n], n, "inference", lr)
    if name in FLAT:
        X, title = X[:n].reshape(n, -1), f"{title}, an epoch of {n:,} images"
        return Workload(name, title, layers, X, y[:n], batch, "epoch", lr)
    return Workload(name, f"{title}, a step", layers, X[:n], y[:n], batch, "step", lr)


def quick(name: str) -> Workload:
    """The workload on few images, to see whether everything runs."""
    return workload(name, 250 if name in (*FLAT, "W6") else 32)


def part(work: Workload, n: int, batch: int) -> Workload:
    """The first n images in batches of another size."""
    return replace(work, X=work.X[:n], y=work.y[:n], batch=batch)


# --- ours, as a user writes it --------------------------------------------------


class Contender:
    """Someone who trains on a workload, or infers."""

    rtol = 1e-3  # how far rounding may take the first losses
    mlps, images = True, False  # what it can learn
    module = "numpy"  # what it has to import

    def __init__(self, work: Workload, weights: Weights) -> None:
        self.work, self.rng = work, np.random.default_rng(0)

    def batches(self, steps: int | None) -> Iterator[tuple[Any, Any]]:
        """An epoch, or its first steps. Everybody draws one permutation: the same batches."""
        work = self.work
        return islice(minibatches(work.X, work.y, work.batch, self.rng), steps)

    def step(self, X: Any, y: Any) -> tuple[float, int]:
        """One training step: its loss, and how many were right."""
        raise NotImplementedError

    def train(self, steps: int | None = None) -> tuple[list[float], int | None]:
        """An epoch, or its first steps: the losses, and the hits if they are counted."""
        found = [self.step(X, y) for X, y in self.batches(steps)]
        return [loss for loss, _ in found], sum(hits for _, hits in found)

    def infer(self) -> Array:
        """The scores (N, K) of all images of the workload."""
        raise NotImplementedError

    def run(self) -> object:
        """What is timed."""
        return self.infer() if self.work.kind == "inference" else self.train()


class Functional(Contender):
    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.params = functional_net.Params(*map(np.atleast_2d, weights.values()))
        self.velocity = functional_net.zeros(self.params)

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        self.params, self.velocity, loss, right = functional_net.step(
            self.params, self.velocity, X, y, self.work.lr, self.work.momentum
        )
        return loss, right

    def run(self) -> object:
        work = self.work
        return functional_net.train(
            self.params, work.X, work.y, work.lr, work.momentum, 1, work.batch
        )


class Object(Contender):
    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.model = net.perceptron(work.sizes, dtype=next(iter(weights.values())).dtype)
        self.model.set_weights([W.T if W.ndim == 2 else W[:, None] for W in weights.values()])

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        return self.model.step(X, y, self.work.lr, self.work.momentum)

    def run(self) -> object:
        work = self.work
        return self.model.train(work.X, work.y, work.lr, 1, work.batch, work.momentum)


class Modular(Contender):
    mlps, images = False, True  # it could learn both

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        dtype = next(iter(weights.values())).dtype
        self.net = modular(work, np.random.default_rng(0)).astype(dtype)
        self.net.set_weights(weights)

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        return self.net.step(X, y, self.work.lr, self.work.momentum)

    def infer(self) -> Array:
        return self.net.forward(self.work.X)


def modular(work: Workload, rng: np.random.Generator) -> cnn.Net:
    """The layers of a workload as those of cnn."""
    build: dict[str, Any] = {
        "linear": lambda D, H: cnn.Linear(D, H, rng),
        "conv": lambda C, F: cnn.Conv2D(C, F, 3, padding=1, rng=rng),
        "pool": cnn.MaxPool2D,
        "bn": cnn.BatchNorm2D,
        "relu": cnn.ReLU,
        "flatten": cnn.Flatten,
    }
    return cnn.Net([build[kind](*sizes) for kind, *sizes in work.layers], cnn.CrossEntropyLoss)


OURS: dict[str, type[Contender]] = {
    "functional_net.py": Functional,
    "net.py": Object,
    "cnn": Modular,
}
