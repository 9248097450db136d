"""What each measure for speed gains, interleaved, on W1 to W5.

    python benchmarks/gains.py [--write]

Measures that our code takes are taken away one at a time: how many times as long does a step
take? Measures that it leaves out, to stay readable, are added: how many times as long do we take?
All forms compute the same: their losses must agree with ours.
"""

import ast
import inspect
import os
import sys
import textwrap
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing

if __name__ == "__main__":  # before NumPy is imported: one thread, which no neighbour can stall
    os.environ.update(timing.environment("1"))

import numpy as np

import cnn
import net
from benchmarks.floor import Bare
from benchmarks.workloads import Array, Contender, Modular, Object, Weights, Workload, workload
from cnn import kernels
from cnn.net import hits
from datasets.run import console

PAGE = timing.ROOT / "docs" / "why_is_it_fast.md"
STEPS = {"W1": 300, "W2": 300, "W3": 40, "W4": 8, "W5": 3}  # of one round


# --- slow forms of a step ---------------------------------------------------------


class OneByOne(Object):
    """Sample after sample, the gradients added up."""

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        model, N, loss, right = self.model, len(X), 0.0, 0
        trained = [layer for layer in model.layers if isinstance(layer, net.FullyConnectedLayer)]
        total: list[Any] = [(0.0, 0.0) for _ in trained]
        for i in range(N):
            Y = model.forward(X[i : i + 1].T)
            loss += model.loss(Y, y[i : i + 1].T) / N
            model.backward()
            total = [
                (dW + layer.dW, db + layer.db)
                for (dW, db), layer in zip(total, trained, strict=True)
            ]
            right += model.hits(Y, y[i : i + 1].T)
        for layer, (dW, db) in zip(trained, total, strict=True):
            layer.dW, layer.db = dW / N, db / N
        model.update(self.work.lr, self.work.momentum)
        return loss, right


class SecondForward(Object):
    """The hits from a second pass through the network."""

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        right = self.model.hits(self.model.forward(X.T), y.T)
        return super().step(X, y)[0], right


class SecondForwardToo(Modular):
    """The hits from a second pass through the network."""

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        right = hits(self.net.forward(X), y)
        return super().step(X, y)[0], right


class Patched(Contender):
    """Ours, with something replaced while it trains."""

    what: tuple[Any, str, Any]

    def train(self, steps: int | None = None) -> tuple[list[float], int | None]:
        with patch.object(*self.what):
            return super().train(steps)


class PixelGradient(Patched, Object):
    what = net.FeedForwardNet, "backward", net.FeedForwardNet.input_gradient


class PixelGradientToo(Patched, Modular):
    what = cnn.Net, "backward", cnn.Net.input_gradient


class OneBand(Patched, Modular):
    what = kernels, "CACHE", 2**40


# --- fast forms that are left out -------------------------------------------------


class InPlace(net.FullyConnectedLayer):
    """A layer whose gradients are views of a vector: they are overwritten, never made anew."""

    def gradients(self, dY: Array) -> None:
        np.matmul(dY, self.X.T, out=self.dW)
        dY.sum(axis=1, keepdims=True, out=self.db)


class Flat(Object):
    """All weights in one vector, changed in place by three operations."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        trained: list[Any] = [layer for layer in self.model.layers if hasattr(layer, "W")]
        arrays = [A for layer in trained for A in (layer.W, layer.b)]
        self.W = np.concatenate([A.ravel() for A in arrays])
        self.dW, self.V = np.zeros((2, *self.W.shape), self.W.dtype)
        ends = np.cumsum([A.size for A in arrays])[:-1]
        own, grads = (
            [part.reshape(A.shape) for part, A in zip(np.split(all, ends), arrays, strict=True)]
            for all in (self.W, self.dW)
        )
        for i, layer in enumerate(trained):
            layer.__class__ = InPlace
            layer.W, layer.b, layer.dW, layer.db = *own[2 * i : 2 * i + 2], *grads[2 * i :][:2]

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        Y = self.model.forward(X.T)
        loss = self.model.loss(Y, y.T)
        self.model.backward()
        self.update()
        return loss, self.model.hits(Y, y.T)

    def update(self) -> None:
        self.V *= self.work.momentum
        self.V -= self.work.lr * self.dW
        self.W += self.V


class Folded(Flat):
    """And the learning rate times dY once, not times every dW."""

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        layers, cost = self.model.layers, self.model.cost
        Y = self.model.forward(X.T)
        loss = self.model.loss(Y, y.T)
        dY = self.work.lr * cost.backward()
        for layer in layers[:1:-1]:
            dY = layer.backward(dY)
        layers[1].gradients(dY)
        self.update()
        return loss, self.model.hits(Y, y.T)

    def update(self) -> None:
        self.V *= self.work.momentum
        self.V -= self.dW
        self.W += self.V


# --- slow forms of the convolution -------------------------------------------------


class Replaced(Modular):
    """The convolutional network with other layers in the place of ours."""

    by: dict[type[cnn.Layer], type[cnn.Layer]] = {}

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        for layer in self.net.layers:
            layer.__class__ = self.by.get(type(layer), type(layer))


class StridedConv(cnn.Conv2D):
    """Windows (N*H*W, C*9) gathered from (N, C, H, W) memory: im2col as usually taught.

    For kernels of 3x3 with a padding of 1.
    """

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        (N, C, H, W), F = X.shape, len(self.params["b"])
        P = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(P, (3, 3), axis=(2, 3))
        columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(N * H * W, C * 9)
        Y = columns @ self.params["W"].reshape(F, -1).T + self.params["b"]
        Y = np.ascontiguousarray(Y.reshape(N, H, W, F).transpose(0, 3, 1, 2))
        return Y, {"columns": columns, "shape": X.shape}

    def gradients(self, dY: Array) -> None:
        rows = dY.transpose(0, 2, 3, 1).reshape(-1, dY.shape[1])  # (N*H*W, F)
        dW = rows.T @ self.local["columns"]
        self.grads = {"W": dW.reshape(self.params["W"].shape), "b": rows.sum(axis=0)}

    def backward(self, dY: Array) -> Array:
        self.gradients(dY)
        (N, C, H, W), F = self.local["shape"], dY.shape[1]
        rows = dY.transpose(0, 2, 3, 1).reshape(-1, F)
        columns = (rows @ self.params["W"].reshape(F, -1)).reshape(N, H, W, C, 3, 3)
        P = np.zeros((N, C, H + 2, W + 2), dY.dtype)
        for i in range(3):
            for j in range(3):
                P[:, :, i : i + H, j : j + W] += columns[..., i, j].transpose(0, 3, 1, 2)
        return P[:, :, 1:-1, 1:-1]


class ArgmaxPool(cnn.MaxPool2D):
    """The winner of each 2x2 window as a number from argmax, samples last in memory as in ours."""

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        taps = np.stack([tap.transpose(1, 2, 3, 0) for tap in self.taps(X)])  # (4, C, OH, OW, N)
        winner = taps.argmax(axis=0)
        Y = np.take_along_axis(taps, winner[None], axis=0)[0]
        return Y.transpose(3, 0, 1, 2), {"winner": winner.transpose(3, 0, 1, 2), "shape": X.shape}

    def backward(self, dY: Array) -> Array:
        return self.gather(dY * (self.local["winner"] == k) for k in range(4))


class ReshapePool(cnn.MaxPool2D):
    """The winner of each 2x2 window as a number from argmax, in (N, C, H, W) memory."""

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        N, C, H, W = X.shape
        windows = X.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5)
        windows = windows.reshape(N, C, H // 2, W // 2, 4)
        winner = windows.argmax(axis=-1, keepdims=True)
        Y = np.take_along_axis(windows, winner, axis=-1)[..., 0]
        return Y, {"winner": winner, "shape": X.shape}

    def backward(self, dY: Array) -> Array:
        N, C, H, W = self.local["shape"]
        dX = np.zeros((*dY.shape, 4), dY.dtype)
        np.put_along_axis(dX, self.local["winner"], dY[..., None], axis=-1)
        dX = dX.reshape(N, C, H // 2, W // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        return dX.reshape(N, C, H, W)


class PlainNorm(cnn.BatchNorm2D):
    """Means and variances over the axes 0, 2, 3 of (N, C, H, W) memory."""

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        gamma, beta = (self.params[name][:, None, None] for name in ("gamma", "beta"))
        mean, var = X.mean(axis=(0, 2, 3)), X.var(axis=(0, 2, 3))
        std = np.sqrt(var + self.epsilon)[:, None, None]
        normal = (X - mean[:, None, None]) / std
        M = X.size // X.shape[1]
        return gamma * normal + beta, {"X": normal, "std": std, "M": M, "mean": mean, "var": var}

    def gradients(self, dY: Array) -> None:
        dgamma = (dY * self.local["X"]).sum(axis=(0, 2, 3))
        self.grads = {"gamma": dgamma, "beta": dY.sum(axis=(0, 2, 3))}

    def backward(self, dY: Array) -> Array:
        self.gradients(dY)
        normal, std, M = self.local["X"], self.local["std"], self.local["M"]
        dgamma, dbeta = (self.grads[name][:, None, None] for name in ("gamma", "beta"))
        gamma = self.params["gamma"][:, None, None]
        return gamma / std * (dY - dbeta / M - normal * (dgamma / M))


class PlainFlatten(cnn.Flatten):
    """Nothing but another shape."""

    def backward(self, dY: Array) -> Array:
        return dY.reshape(self.local["shape"])


class SamplesFirst(Replaced):
    by = {
        cnn.Conv2D: StridedConv,
        cnn.MaxPool2D: ReshapePool,
        cnn.BatchNorm2D: PlainNorm,
        cnn.Flatten: PlainFlatten,
    }


class Argmax(Replaced):
    by = {cnn.MaxPool2D: ArgmaxPool}


# --- the measures -----------------------------------------------------------------


class Measure(NamedTuple):
    """What is taken away or added, the other form on each workload, and the code of both."""

    title: str
    other: dict[str, type[Contender]]  # "W1 W2": ...
    ours: tuple[Any, ...] = ()
    theirs: tuple[Any, ...] = ()
    dtype: type = np.float32


MLP, CNN = "W1 W2 W3", "W4 W5"
CONV, POOL, NORM = cnn.Conv2D, cnn.MaxPool2D, cnn.BatchNorm2D
TAKEN = [
    Measure("whole batches, not one sample after the other", {MLP: OneByOne}),
    Measure("float32, not float64", {MLP: Object, CNN: Modular}, dtype=np.float64),
    Measure(
        "no gradient of the pixels",
        {MLP: PixelGradient, CNN: PixelGradientToo},
        (net.FeedForwardNet.backward, cnn.Net.backward),
        (net.FeedForwardNet.input_gradient, cnn.Net.input_gradient),
    ),
    Measure(
        "hits from the pass that was made anyway",
        {MLP: SecondForward, CNN: SecondForwardToo},
    ),
    Measure(
        "samples last in memory, windows as shifted taps",
        {CNN: SamplesFirst},
        (
            *(CONV.convolve, CONV.training_pass, CONV.gradients, CONV.backward),
            *(NORM.training_pass, NORM.gradients, NORM.backward, cnn.Flatten.backward),
            *(kernels.taps, kernels.windows, kernels.pad, kernels.crop, kernels.bands),
            *(kernels.unfold, kernels.fold, kernels.pixels),
        ),
        (StridedConv, PlainNorm, PlainFlatten),
    ),
    Measure(
        "pooling with masks, not with argmax",
        {CNN: Argmax},
        (POOL.training_pass, POOL.backward, kernels.first_winners, kernels.gather),
        (ArgmaxPool,),
    ),
    Measure("columns for one cacheful at a time", {CNN: OneBand}, (kernels.bands,)),
]
UPDATE = (net.FeedForwardNet.update,)
LEFT_OUT = [
    Measure("all weights in one vector, changed in place", {MLP: Flat}, UPDATE, (InPlace, Flat)),
    Measure("that, and lr times dY, not times every dW", {MLP: Folded}, UPDATE, (InPlace, Folded)),
    Measure("every trick, a buffer for every array", {MLP: Bare}),
]


def lines(code: tuple[Any, ...]) -> int:
    """Lines of code, without docstrings and comments."""
    return sum(len(statements(part).splitlines()) for part in code)


def statements(part: Any) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


# --- times ------------------------------------------------------------------------


def times_of(
    work: Workload, other: type[Contender], steps: int, rounds: int, dtype: type = np.float32
) -> tuple[list[float], list[float]]:
    """Seconds of the other form and of ours. Raises ValueError if it does other work."""
    ours = Object if work.is_mlp else Modular
    weights, losses = work.weights(), []
    tasks: dict[str, timing.Task] = {}
    for name, kind, own in (("other", other, dtype), ("ours", ours, np.float32)):
        data = replace(work, X=work.X.astype(own), y=work.y.astype(own))
        contender = kind(data, {key: W.astype(own) for key, W in weights.items()})
        losses.append(contender.train(3)[0])
        tasks[name] = partial(contender.train, steps)
    if not np.allclose(losses[0], losses[1], rtol=1e-3):
        raise ValueError(f"{work.name}: {other.__name__} has losses {losses[0]}, not {losses[1]}")
    times = timing.interleaved(tasks, rounds)
    return times["other"], times["ours"]


def rows(measures: list[Measure], works: dict[str, Workload], rounds: int, added: bool) -> list:
    """A line per measure: a ratio for each workload, and the lines that the measure costs."""
    found = []
    for measure in measures:
        other = {name: kind for names, kind in measure.other.items() for name in names.split()}
        cells = [measure.title]
        for name, work in works.items():
            if name not in other:
                cells.append("")
                continue
            theirs, ours = times_of(work, other[name], STEPS[name], rounds, measure.dtype)
            cells.append(
                f"{timing.ratio(ours, theirs) if added else timing.ratio(theirs, ours):.2f}"
            )
        price = lines(measure.ours) - lines(measure.theirs)
        found.append([*cells, f"{-price if added else price:+d}" if price else ""])
        print("{:50}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}".format(*found[-1]), flush=True)
    return found


def main(
    rounds: timing.Rounds = 7,
    write: timing.Write = False,
) -> None:
    """Take away one measure for speed after the other, add those left out, and tell the cost."""
    works = {name: workload(name) for name in STEPS}
    facts = f"One thread, {rounds} rounds, {timing.machine()}."
    taken = rows(TAKEN, works, rounds, added=False)
    left_out = rows(LEFT_OUT, works, rounds, added=True)
    if write:
        head = ["without this", *(f"{name} takes" for name in works), "lines"]
        timing.put(PAGE, "gains", f"{timing.table(head, taken)}\n\n{facts}")
        head = ["with this", *(f"ours takes, {name}" for name in works if name in MLP), "lines"]
        short = [[*row[:4], row[-1]] for row in left_out]
        timing.put(PAGE, "left out", f"{timing.table(head, short)}\n\n{facts}")


if __name__ == "__main__":
    console.run(main)
