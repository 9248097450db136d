"""What each measure for speed gains: the slow form beside ours, interleaved, on W1 to W5.

    python benchmarks/gains.py [--write]

A measure is taken away, everything else stays as it is. The slow forms are ordinary NumPy,
written as textbooks have it, and compute the same: their losses must agree with ours.
"""

import ast
import inspect
import os
import sys
import textwrap
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing

if __name__ == "__main__":  # before NumPy is imported: one thread, which no neighbour can stall
    os.environ.update(dict.fromkeys(timing.THREADS, "1"))
    for name in timing.FORCED:
        os.environ.pop(name, None)

import numpy as np

import cnn
import cnn.net
import net
from benchmarks.workloads import Array, Batches, Contender, Modular, Object, Workload, workload
from cnn import kernels
from datasets.run import console
from datasets.store.weights import Weights

PAGE = timing.ROOT / "docs" / "why_is_it_fast.md"
STEPS = {"W1": 300, "W2": 300, "W3": 40, "W4": 8, "W5": 3}  # of one round


# --- slow forms for every network -------------------------------------------------


class Float64(Contender):
    """The same network, all arrays float64."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.ours = ours(work)(work, weights)
        if isinstance(self.ours, Modular):
            self.ours.net = self.ours.net.astype(np.float64)
        if isinstance(self.ours, Object):
            self.ours.model = in_float64(self.ours.model)

    def shuffled(self, rng: np.random.Generator) -> Batches:
        for X, y in super().shuffled(rng):
            yield X.astype(np.float64), y.astype(np.float64)

    def train(self, batches: Batches) -> list[float]:
        return self.ours.train(batches)


def in_float64(model: net.FeedForwardNet) -> net.FeedForwardNet:
    twin = net.FeedForwardNet(dtype=np.float64)
    for layer in model.layers:
        twin.add(layer)
    twin.set_weights(model.get_weights())
    return twin


class MlpStep(Object):
    """FeedForwardNet with a step written here, for others to change."""

    def train(self, batches: Batches) -> list[float]:
        return [self.step(X, y) for X, y in batches]

    def step(self, X: Array, y: Array) -> float:
        model = self.model
        Y = model.forward(X.T)
        loss = model.loss(Y, y.T)
        self.backward()
        self.update()
        self.hits(X, y, Y)
        return loss

    def backward(self) -> None:
        self.model.backward(self.work.lr)

    def update(self) -> None:
        self.model.move(self.model.dW, self.work.momentum)

    def hits(self, X: Array, y: Array, Y: Array) -> int:
        return self.model.hits(Y, y.T)


class OneByOne(MlpStep):
    """Sample after sample, the gradients added up."""

    def step(self, X: Array, y: Array) -> float:
        model, total, loss = self.model, np.zeros_like(self.model.dW), 0.0
        for i in range(len(X)):
            Y = model.forward(X[i : i + 1].T)
            loss += model.loss(Y, y[i : i + 1].T) / len(X)
            self.backward()
            total += model.dW
            self.hits(X, y[i : i + 1], Y)
        model.dW[:] = total / len(X)
        self.update()
        return loss


class SecondForward(MlpStep):
    """The hits from a second pass through the network."""

    def hits(self, X: Array, y: Array, Y: Array) -> int:
        return self.model.hits(self.model.forward(X.T), y.T)


class PixelLayer(net.FullyConnectedLayer):
    """A first layer that computes dX, for nobody."""

    def gradients(self, dY: Array) -> None:
        super().gradients(dY)
        np.matmul(self.W.T, dY)


class PixelGradient(MlpStep):
    """The way back does not stop at the first weights."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.model.layers[1].__class__ = PixelLayer


class RateLast(MlpStep):
    """The learning rate times every gradient, not times dY."""

    def backward(self) -> None:
        self.model.backward()

    def update(self) -> None:
        self.model.update(self.work.lr, self.work.momentum)


class ArrayByArray(MlpStep):
    """New arrays for every W and b instead of one vector in place."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.names = [(layer, name) for layer in self.model.layers for name in layer.params]
        self.velocity = self.model.get_velocity()

    def update(self) -> None:
        for i, (layer, name) in enumerate(self.names):
            V = self.work.momentum * self.velocity[i]
            V -= getattr(layer, f"d{name}")
            setattr(layer, name, getattr(layer, name) + V)
            self.velocity[i] = V


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


class WhereReLU(cnn.ReLU):
    """np.where instead of a product with the mask."""

    def training_pass(self, X: Array) -> tuple[Array, dict[str, Any]]:
        return np.where(X > 0, X, X.dtype.type(0)), {"X": X > 0}

    def backward(self, dY: Array) -> Array:
        return np.where(self.local["X"], dY, dY.dtype.type(0))


class SamplesFirst(Replaced):
    by = {
        cnn.Conv2D: StridedConv,
        cnn.MaxPool2D: ReshapePool,
        cnn.BatchNorm2D: PlainNorm,
        cnn.Flatten: PlainFlatten,
    }


class Argmax(Replaced):
    by = {cnn.MaxPool2D: ArgmaxPool}


class Where(Replaced):
    by = {cnn.ReLU: WhereReLU}


class Patched(Modular):
    """Ours, with something replaced while it trains."""

    what: tuple[Any, str, Any]

    def train(self, batches: Batches) -> list[float]:
        with patch.object(*self.what):
            return super().train(batches)


class PixelGradientToo(Patched):
    what = cnn.Net, "backward", cnn.Net.input_gradient


class PlainSums(Patched):
    what = kernels, "channel_sums", lambda A: A.sum(axis=(1, 2))[:, None, None]


class OneBand(Patched):
    what = kernels, "CACHE", 2**40


class PassBySelf(Modular):
    """The hits from a second pass through the network."""

    def train(self, batches: Batches) -> list[float]:
        losses = []
        for X, y in batches:
            losses += super().train([(X, y)])
            cnn.net.hits(self.net.forward(X), y)
        return losses


# --- the measures -----------------------------------------------------------------


class Measure(NamedTuple):
    """What is taken away, by whom on which workloads, and the code with and without it."""

    title: str
    slow: dict[str, type[Contender]]  # "W1 W2": ...
    ours: tuple[Any, ...] = ()
    theirs: tuple[Any, ...] = ()


MLP, CNN = "W1 W2 W3", "W4 W5"
CONV, POOL, NORM = cnn.Conv2D, cnn.MaxPool2D, cnn.BatchNorm2D
MEASURES = [
    Measure("whole batches, not one sample after the other", {MLP: OneByOne}),
    Measure("float32, not float64", {MLP: Float64, CNN: Float64}),
    Measure(
        "no gradient of the pixels",
        {MLP: PixelGradient, CNN: PixelGradientToo},
        (net.FeedForwardNet.backward, cnn.Net.backward),
        (net.FeedForwardNet.input_gradient, cnn.Net.input_gradient),
    ),
    Measure("hits from the pass that was made anyway", {MLP: SecondForward, CNN: PassBySelf}),
    Measure(
        "all weights in one vector, changed in place",
        {MLP: ArrayByArray},
        (net.FeedForwardNet.move, net.FeedForwardNet._pack, net.FeedForwardNet._split),
        (ArrayByArray.update,),
    ),
    Measure(
        "the learning rate times dY, not times every dW",
        {MLP: RateLast},
        (net.FeedForwardNet.update, net.FeedForwardNet.move),
        (net.FeedForwardNet.move,),
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
    Measure("sums as products with ones", {CNN: PlainSums}, (kernels.channel_sums,), (PlainSums,)),
    Measure("a mask times dY, not np.where", {CNN: Where}, (cnn.ReLU,), (WhereReLU,)),
]


def ours(work: Workload) -> type[Contender]:
    return MlpStep if work.is_mlp else Modular


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


def gain(work: Workload, slow: type[Contender], steps: int, rounds: int) -> float:
    """How many times as long the slow form takes. Raises ValueError if it does other work."""
    weights, losses = work.weights(), []
    tasks: dict[str, timing.Task] = {}
    for name, kind in (("slow", slow), ("ours", ours(work))):
        contender = kind(work, weights)
        batches = list(islice(contender.shuffled(np.random.default_rng(0)), steps))
        losses.append(contender.train(batches[:3]))
        tasks[name] = partial(contender.train, batches)
    if not np.allclose(losses[0], losses[1], rtol=1e-3):
        raise ValueError(f"{work.name}: {slow.__name__} has losses {losses[0]}, not {losses[1]}")
    times = timing.interleaved(tasks, rounds)
    return timing.ratio(times["slow"], times["ours"])


def row(measure: Measure, works: dict[str, Workload], rounds: int) -> list[str]:
    slow = {name: kind for names, kind in measure.slow.items() for name in names.split()}
    cells = [measure.title]
    for name, work in works.items():
        found = gain(work, slow[name], STEPS[name], rounds) if name in slow else None
        cells.append(f"{found:.2f}" if found else "")
    price = lines(measure.ours) - lines(measure.theirs)
    return [*cells, f"{price:+d}" if price else "0"]


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    rounds: Annotated[int, console.number("--rounds", 1, "How often each is timed.")] = 7,
    write: Annotated[
        bool, typer.Option("--write", help="Put the table into docs/why_is_it_fast.md.")
    ] = False,
) -> None:
    """Take away one measure for speed after the other, and tell what that costs."""
    works = {name: workload(name, quick=True) for name in STEPS}
    head = ["without this", *(f"{name} takes" for name in works), "lines"]
    found = []
    for measure in MEASURES:
        found.append(row(measure, works, rounds))
        print("{:50}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}".format(*found[-1]), flush=True)
    if write:
        facts = f"One thread, {rounds} rounds, {timing.machine()}."
        timing.put(PAGE, "gains", f"{timing.table(head, found)}\n\n{facts}")


if __name__ == "__main__":
    console.run(app)
