"""What each measure for speed gains, interleaved, on W1 to W5.

    python benchmarks/gains.py [--write]

Measures that our code takes are taken away one at a time: how many times as long does a step
take? Measures that it leaves out, to stay readable, are added: how many times as long do we take?
A measure is taken away by putting other functions in the place of ours while a network trains.
All forms compute the same: their losses must agree with ours.
"""

import ast
import inspect
import os
import sys
import textwrap
from contextlib import ExitStack
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
from benchmarks.workloads import Array, Contender, Modular, Object, Weights, Workload, workload
from cnn import kernels
from datasets.run import console

PAGE = timing.ROOT / "docs" / "why_is_it_fast.md"
STEPS = {"W1": 150, "W2": 150, "W3": 30, "W4": 8, "W5": 3}  # of one round
LINE = "{:50}{:>7}{:>7}{:>7}{:>7}{:>7}{:>7}"
NET_STEP = net.FeedForwardNet.step


# --- slow forms: functions in the place of ours --------------------------------------


def one_by_one(
    self: net.FeedForwardNet, X: Array, y: Array, lr: float, momentum: float
) -> tuple[float, int]:
    """A step of net.py, sample after sample, the gradients added up."""
    total: list[Any] = [0.0] * len(self.grads())
    loss, right = 0.0, 0
    for x, target in zip(X[:, :, None], y[:, :, None], strict=True):  # columns
        Y = self.forward(x)
        loss += self.loss(Y, target) / len(X)
        self.backward()
        total = [dV + dW for dV, dW in zip(total, self.grads(), strict=True)]
        right += self.hits(Y, target)
    for dW, dV in zip(self.grads(), total, strict=True):
        dW[...] = dV / len(X)
    self.update(lr, momentum)
    return loss, right


def second_forward(self: net.FeedForwardNet, X: Array, y: Array, *rates: float) -> Any:
    """A step of net.py, the hits from a second pass through the network."""
    right = self.hits(self.forward(X.T), y.T)
    return NET_STEP(self, X, y, *rates)[0], right


def by_argmax(pixels: list[Array], Y: Array) -> list[Any]:
    """The winner of each window as a number, for kernels.first_winners."""
    winner = np.stack(pixels).argmax(axis=0)
    return [winner == k for k in range(len(pixels))]


class StridedConv(cnn.Conv2D):
    """Windows (N*H*W, C*9) gathered from (N, C, H, W) memory: im2col as usually taught.

    For kernels of 3x3 with a padding of 1.
    """

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        (N, C, H, W), F = X.shape, len(self.params["b"])
        P = np.pad(np.ascontiguousarray(X), ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(P, (3, 3), axis=(2, 3))
        columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(N * H * W, C * 9)
        Y = columns @ self.params["W"].reshape(F, -1).T + self.params["b"]
        Y = Y.reshape(N, H, W, F).transpose(0, 3, 1, 2)
        return as_the_others(Y), {"columns": columns, "shape": X.shape}

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
        for i, j in np.ndindex(3, 3):
            P[:, :, i : i + H, j : j + W] += columns[..., i, j].transpose(0, 3, 1, 2)
        return as_the_others(P[:, :, 1:-1, 1:-1])


def as_the_others(X: Array) -> Array:
    """Images with the samples last in memory, as the layers beside the convolution like them."""
    return kernels.samples_last(X).transpose(3, 0, 1, 2)


# --- fast forms that are left out -------------------------------------------------


def joined(arrays: list[Array]) -> tuple[Array, list[Array]]:
    """All numbers of the arrays in one vector, and its parts in the shapes of the arrays."""
    vector = np.concatenate([A.ravel() for A in arrays])
    parts = np.split(vector, np.cumsum([A.size for A in arrays])[:-1])
    return vector, [part.reshape(A.shape) for part, A in zip(parts, arrays, strict=True)]


class InPlace(net.FullyConnectedLayer):
    """Gradients that are overwritten, never made anew."""

    def gradients(self, dY: Array) -> None:
        np.matmul(dY, self.X.T, out=self.dW)
        dY.sum(axis=1, keepdims=True, out=self.db)


class Flat(Object):
    """All weights in one vector, changed in place by three operations."""

    layers: dict[type[net.Layer], type[net.Layer]] = {net.FullyConnectedLayer: InPlace}

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        model: Any = self.model
        trained = [layer for layer in model.layers if hasattr(layer, "W")]
        self.W, own = joined([A for layer in trained for A in (layer.W, layer.b)])
        self.dW, grads = joined([np.zeros_like(A) for A in own])
        self.V = np.zeros_like(self.W)
        for layer in trained:
            (layer.W, layer.b, *own), (layer.dW, layer.db, *grads) = own, grads
        for layer in model.layers:
            layer.__class__ = self.layers.get(type(layer), type(layer))
        model.update = self.update

    def update(self, lr: float, momentum: float) -> None:
        self.V *= momentum
        self.V -= lr * self.dW
        self.W += self.V


class Folded(Flat):
    """And the learning rate times dY once, not times every dW."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        cost: Any = self.model.cost
        gradient = cost.backward
        cost.backward = lambda: work.lr * gradient()

    def update(self, lr: float, momentum: float) -> None:
        self.V *= momentum
        self.V -= self.dW
        self.W += self.V


class Buffered(net.FullyConnectedLayer):
    """Nothing is made anew: for each size of a batch room for Y and dX, and ones to sum with."""

    def forward(self, X: Array) -> Array:
        (D, N), rooms = X.shape, self.__dict__.setdefault("rooms", {})
        if N not in rooms:
            rooms[N] = [np.empty((n, N), X.dtype) for n in (self.size, D)], np.ones((N, 1), X.dtype)
        self.X, ((Y, self.dX), self.ones) = X, rooms[N]
        np.matmul(self.W, X, out=Y)
        Y += self.b
        return Y

    def gradients(self, dY: Array) -> None:
        np.matmul(dY, self.X.T, out=self.dW)
        np.matmul(dY, self.ones, out=self.db)

    def backward(self, dY: Array) -> Array:
        self.gradients(dY)
        return np.matmul(self.W.T, dY, out=self.dX)


class BufferedReLu(net.ReLuLayer):
    def forward(self, X: Array) -> Array:
        self.X = np.maximum(X, 0, out=X)
        return self.X

    def backward(self, dY: Array) -> Array:
        dY *= self.X > 0
        return dY


class Bare(Folded):
    """And a buffer for every array of a layer."""

    layers = {net.FullyConnectedLayer: Buffered, net.ReLuLayer: BufferedReLu}


# --- the measures -----------------------------------------------------------------


class Measure(NamedTuple):
    """What is taken away or added, on which workloads, and how."""

    title: str
    works: str
    other: dict[Any, Any] | type[Contender]  # what gets other names, and these; or someone else
    ours: tuple[Any, ...] = ()  # the code whose lines are counted
    theirs: tuple[Any, ...] = ()
    dtype: type = np.float32


MLP, ALL, CNN = "W1 W2 W3", "W1 W2 W3 W4 W5", "W4 W5"
NET, CONV = net.FeedForwardNet, cnn.Conv2D
TAKEN = [
    Measure("whole batches, not one sample after the other", MLP, {NET: {"step": one_by_one}}),
    Measure("float32, not float64", ALL, {}, dtype=np.float64),
    Measure(
        "no gradient of the pixels",
        ALL,
        {kind: {"backward": kind.input_gradient} for kind in (NET, cnn.Net)},
        (NET.backward, cnn.Net.backward),
        (NET.input_gradient, cnn.Net.input_gradient),
    ),
    Measure("hits from the pass that was made anyway", MLP, {NET: {"step": second_forward}}),
    Measure(
        "samples last in memory, windows as shifted taps",
        CNN,
        {CONV: {name: new for name, new in vars(StridedConv).items() if callable(new)}},
        (
            *(CONV.convolve, CONV.training_pass, CONV.gradients, CONV.backward),
            *(kernels.taps, kernels.windows, kernels.pad, kernels.crop, kernels.bands),
            *(kernels.unfold, kernels.fold, kernels.pixels),
        ),
        (StridedConv,),
    ),
    Measure(
        "pooling with masks, not with argmax",
        CNN,
        {kernels: {"first_winners": by_argmax}},
        (kernels.first_winners,),
        (by_argmax,),
    ),
    Measure(
        "columns for one cacheful at a time", CNN, {kernels: {"CACHE": 2**40}}, (kernels.bands,)
    ),
]
UPDATE = (NET.update,)
VECTOR = (joined, InPlace, Flat)
LEFT_OUT = [
    Measure("all weights in one vector, changed in place", MLP, Flat, UPDATE, VECTOR),
    Measure(
        "that, and lr times dY, not times every dW",
        *(MLP, Folded, (*UPDATE, Flat.update), (*VECTOR, Folded)),
    ),
    Measure("that, and a buffer for every array", MLP, Bare),
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


def trained(who: Contender, instead: dict[Any, Any], steps: int) -> list[float]:
    """The losses of some steps, other functions in the place of ours."""
    with ExitStack() as stack:
        for ours, others in instead.items():
            stack.enter_context(patch.multiple(ours, **others))
        return who.train(steps)[0]


def times_of(
    work: Workload, measure: Measure, steps: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of the other form and of ours. Raises ValueError if it does other work."""
    ours: type[Contender] = Object if work.is_mlp else Modular
    instead = measure.other if isinstance(measure.other, dict) else {}
    other = ours if isinstance(measure.other, dict) else measure.other
    tasks: dict[str, timing.Task] = {}
    losses = []
    for name, kind, dtype, new in (
        ("other", other, measure.dtype, instead),
        ("ours", ours, np.float32, {}),
    ):
        data = replace(work, X=work.X.astype(dtype), y=work.y.astype(dtype))
        who = kind(data, {key: W.astype(dtype) for key, W in work.weights().items()})
        losses.append(trained(who, new, 3))
        tasks[name] = partial(trained, who, new, steps)
    if not np.allclose(losses[0], losses[1], rtol=1e-3):
        raise ValueError(f"{work.name}: {measure.title}: losses {losses[0]}, ours {losses[1]}")
    times = timing.interleaved(tasks, rounds)
    return times["other"], times["ours"]


def rows(measures: list[Measure], works: dict[str, Workload], rounds: int) -> list[list[str]]:
    """A line per measure: a ratio for each workload, and the lines that the measure costs."""
    added, found = measures is LEFT_OUT, []
    for measure in measures:
        cells = [measure.title]
        for name, work in works.items():
            cells.append("")
            if name in measure.works:
                theirs, ours = times_of(work, measure, STEPS[name], rounds)
                times = (ours, theirs) if added else (theirs, ours)
                cells[-1] = f"{timing.ratio(*times):.2f}"
        price = lines(measure.ours) - lines(measure.theirs)
        found.append([*cells, f"{-price if added else price:+d}" if price else ""])
        print(LINE.format(*found[-1]), flush=True)
    return found


def main(rounds: timing.Rounds = 7, write: timing.Write = False) -> None:
    """Take away one measure for speed after the other, add those left out, and tell the cost."""
    works = {name: workload(name) for name in STEPS}
    facts = f"One thread, {rounds} rounds, {timing.machine()}."
    taken, left_out = rows(TAKEN, works, rounds), rows(LEFT_OUT, works, rounds)
    if write:
        head = ["without this", *(f"{name} takes" for name in works), "lines"]
        timing.put(PAGE, "gains", f"{timing.table(head, taken)}\n\n{facts}")
        head = ["with this", *(f"ours takes, {name}" for name in MLP.split()), "lines"]
        short = [[*row[:4], row[-1]] for row in left_out]
        timing.put(PAGE, "left out", f"{timing.table(head, short)}\n\n{facts}")


if __name__ == "__main__":
    console.run(main)
