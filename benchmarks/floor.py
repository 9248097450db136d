"""How fast NumPy could be: the bare matrix products of a step, and a step with every trick."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.workloads import Array, Contender, Weights, Workload
from datasets.threads import limited

__all__ = ["Gemms", "gemms", "joined", "Bare"]

# --- matrix products --------------------------------------------------------------


def together(work: Workload) -> int:
    """How many images share a product: a batch, or what cnn takes at a time for inference."""
    return min(work.batch, 250) if work.kind == "inference" else work.batch


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
    """Nothing but the matrix products: what no NumPy code that makes them can go below."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.products = list(gemms(work))

    def run(self) -> object:
        with limited():  # as training makes them
            for _ in range(math.ceil(len(self.work.X) / together(self.work))):
                for A, B, C in self.products:
                    np.matmul(A, B, out=C)
        return None


# --- every trick ------------------------------------------------------------------


def joined(arrays: Sequence[Array]) -> tuple[Array, list[Array]]:
    """All numbers of the arrays in one vector, and its parts in the shapes of the arrays."""
    vector = np.concatenate([A.ravel() for A in arrays])
    parts = np.split(vector, np.cumsum([A.size for A in arrays])[:-1])
    return vector, [part.reshape(A.shape) for part, A in zip(parts, arrays, strict=True)]


class Bare(Contender):
    """A perceptron with every trick: one vector, buffers for all, lr folded into dY, no checks."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.W, own = joined([*weights.values()])
        self.dW, grads = joined([np.zeros_like(W) for W in own])
        self.V = np.zeros_like(self.W)
        layers = zip(own[::2], own[1::2], grads[::2], grads[1::2], strict=True)
        self.layers: list[Any] = list(layers)
        self.rooms: dict[int, list[Any]] = {}

    def room(self, N: int) -> list[Any]:
        """For each layer room for Y, dX and where X is positive, and ones to sum dY with."""
        if N not in self.rooms:
            self.rooms[N] = []
            for W, *_ in self.layers:
                (D, H), dtype = W.shape, W.dtype
                Y, dX = np.empty((N, H), dtype), np.empty((N, D), dtype)
                self.rooms[N].append((Y, dX, np.empty((N, D), bool), np.ones(N, dtype)))
        return self.rooms[N]

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        room, inputs = self.room(len(X)), []
        for (W, b, _, _), (Y, *_) in zip(self.layers, room, strict=True):
            inputs.append(X)
            np.dot(X, W, out=Y)
            Y += b
            X = np.maximum(Y, 0, out=Y) if len(inputs) < len(room) else Y
        hits = int(np.count_nonzero(Y.argmax(axis=1) == y.argmax(axis=1)))
        Y -= np.maximum.reduce(Y, axis=1, keepdims=True)
        P = np.exp(Y)
        total = np.add.reduce(P, axis=1, keepdims=True)
        loss = float((np.log(total).sum() - np.vdot(y, Y)) / len(X))
        P /= total
        P -= y
        P *= self.work.lr / len(X)
        self.backward(inputs, P, room)
        self.V *= self.work.momentum
        self.V -= self.dW
        self.W += self.V
        return loss, hits

    def backward(self, inputs: list[Array], dY: Array, room: list[Any]) -> None:
        for i in range(len(room) - 1, -1, -1):
            (W, _, dW, db), (_, dX, positive, ones), X = self.layers[i], room[i], inputs[i]
            np.dot(X.T, dY, out=dW)
            np.dot(ones, dY, out=db)
            if i:
                np.greater(X, 0, out=positive)
                dY = np.dot(dY, W.T, out=dX)
                dY *= positive
