"""How fast NumPy could be: the bare matrix products of a step, and a step with every trick."""

import math
from collections.abc import Iterator
from functools import cache

import numpy as np

from benchmarks.workloads import Array, Batches, Contender, Workload
from cnn.net import BLOCK
from datasets.store.weights import Weights

__all__ = ["Gemms", "gemms", "Bare"]

# --- matrix products --------------------------------------------------------------


def together(work: Workload) -> int:
    """How many images share a product: a batch, or what cnn takes at a time for inference."""
    return min(work.batch, BLOCK) if work.kind == "inference" else work.batch


def gemms(work: Workload) -> Iterator[tuple[Array, Array, Array]]:
    """A, B and room for A @ B: the matrix products of one step (of inference: of a block)."""
    rng = np.random.default_rng(0)
    N, side = together(work), work.X.shape[-1]
    first = True  # nobody needs the gradient of the pixels
    for kind, *sizes in work.layers:
        if kind == "pool":
            side //= 2
        if kind not in ("linear", "conv"):
            continue
        C, F = sizes
        K, M = (C, N) if kind == "linear" else (9 * C, N * side**2)
        W, X, dY = (rng.random(shape, np.float32) for shape in ((F, K), (K, M), (F, M)))
        yield W, X, np.empty((F, M), np.float32)
        if work.kind != "inference":
            yield dY, X.T, np.empty((F, K), np.float32)
            if not first:
                yield W.T, dY, np.empty((K, M), np.float32)
        first = False


class Gemms(Contender):
    """Nothing but the matrix products: what no NumPy code can go below."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.products = list(gemms(work))

    def run(self) -> None:
        times = math.ceil(len(self.work.X) / together(self.work))
        for _ in range(times):
            for A, B, C in self.products:
                np.matmul(A, B, out=C)


# --- every trick ------------------------------------------------------------------


class Bare(Contender):
    """A perceptron with every trick: one vector, buffers for all, no layers and no checks."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        shapes = [W.shape for W in weights.values()]  # W (D, H), b (H,), ...
        ends = np.cumsum([W.size for W in weights.values()])
        self.W, self.dW, self.V = np.zeros((3, ends[-1]), np.float32)
        self.W[:] = np.concatenate([W.ravel() for W in weights.values()])
        own, grads = (
            [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
            for parts in (np.split(self.W, ends[:-1]), np.split(self.dW, ends[:-1]))
        )
        self.layers: list[tuple[Array, ...]] = list(
            zip(own[::2], own[1::2], grads[::2], grads[1::2], strict=True)
        )
        self.room = cache(self.buffers)

    def buffers(self, N: int) -> list[tuple[Array, ...]]:
        """For each layer room for Y, dX and where X is positive, and ones to sum dY with."""
        dtype, ones = self.W.dtype, np.ones(N, self.W.dtype)
        return [
            (np.empty((N, H), dtype), np.empty((N, D), dtype), np.empty((N, D), bool), ones)
            for D, H in (W.shape for W, *_ in self.layers)
        ]

    def train(self, batches: Batches) -> list[float]:
        losses, hits = [], 0
        for X, y in batches:
            room = self.room(len(X))
            inputs, Y = self.forward(X, room)
            hits += int(np.count_nonzero(Y.argmax(axis=1) == y.argmax(axis=1)))
            Y -= np.maximum.reduce(Y, axis=1, keepdims=True)
            P = np.exp(Y)
            total = np.add.reduce(P, axis=1, keepdims=True)
            losses.append(float((np.log(total).sum() - np.vdot(y, Y)) / len(X)))
            P /= total
            P -= y
            P *= self.work.lr / len(X)
            self.backward(inputs, P, room)
            self.V *= self.work.momentum
            self.V -= self.dW
            self.W += self.V
        return losses

    def forward(self, X: Array, room: list) -> tuple[list[Array], Array]:
        inputs = []
        for (W, b, _, _), (Y, *_) in zip(self.layers, room, strict=True):
            inputs.append(X)
            np.dot(X, W, out=Y)
            Y += b
            X = np.maximum(Y, 0, out=Y) if len(inputs) < len(room) else Y
        return inputs, X

    def backward(self, inputs: list[Array], dY: Array, room: list) -> None:
        for i in range(len(room) - 1, -1, -1):
            (W, _, dW, db), (_, dX, positive, ones), X = self.layers[i], room[i], inputs[i]
            np.dot(X.T, dY, out=dW)
            np.dot(ones, dY, out=db)
            if i:
                np.greater(X, 0, out=positive)
                dY = np.dot(dY, W.T, out=dX)
                dY *= positive
