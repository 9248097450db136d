# ruff: noqa: E501  (a table)
"""What an exercise consists of: one unit for each function or layer, as code and known answers.

The code runs in the learner's process, the known answer in ours; nothing here runs our networks.
Which equations a unit holds is read from the numbers on our own lines. Sizes are pairwise
different, so that a wrong transpose fails; marking also takes equal ones.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.ours.equations import EQUATIONS, places

__all__ = ["UNITS", "CHAPTERS", "STEP", "Unit"]

Array = np.ndarray
STEP = "step"  # the training step as a whole: what is asked last, and has no number
ROOMS = {"functional": "functional_net.py", "net": "net.py", "cnn": "cnn"}
OUTPUTS = ("E1", "E2", "E3", "E9")  # equations of outputs; the others are of gradients
NUMBERS = {"A1": "E2", "W": "E5", "W1": "E5", "W2": "E5", "gamma": "E5",
           "b": "E6", "b1": "E6", "b2": "E6", "beta": "E6"}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """One function or layer: how it is called, and what must come out."""

    target: str  # "functional", "net", "cnn"
    owner: str  # "FullyConnectedLayer", "cross_entropy"
    build: str  # code that makes the object
    forward: str  # code that sets `out`, a dictionary; the last entry is what gets differentiated
    known: dict[str, str]  # of each output: what it must be, from the arrays and earlier outputs
    arrays: str  # "X=5,3 W=3,7": names and shapes
    backward: str = ""  # code that sets `out` from dY, after forward
    no_dX: bool = False
    after: dict[str, str] = field(default_factory=dict)  # X: "gamma beta": is made from these
    functions: tuple[str, ...] = ()  # where its blanks are, if not in owner
    chapter: str = ""
    needs: tuple[str, ...] = ()  # equations of other units that must be right before

    @cached_property
    def equations(self) -> list[str]:
        """The numbers on its lines in our own source."""
        where = [f"{ROOMS[self.target]}::{name}" for name in self.functions or (self.owner,)]
        found = [e for e in EQUATIONS if any(places(e, place) for place in where)]
        return [STEP] if self.owner == STEP else found

    @property
    def gradients(self) -> list[str]:
        """The arrays that backward gives a gradient of."""
        names = [part.partition("=")[0] for part in self.arrays.split()]
        return [k for k in names if self.backward and not (self.no_dX and k == "X")]

    def number(self, name: str, gradient: bool) -> str:
        """The equation of an output, or of a gradient."""
        own = [e for e in self.equations if e == STEP or (e not in OUTPUTS) == gradient]
        return NUMBERS[name] if NUMBERS.get(name) in own else own[-gradient]

    def holds(self, function: str) -> bool:
        """Is the function, "Linear.forward", one of its own?"""
        return any(
            f"{function}.".startswith(f"{name}.") for name in self.functions or (self.owner,)
        )


def ce(P: str) -> str:
    """The mean of -log P[target] for the columns or rows of scores."""
    return f"-(y * np.log({P})).sum() / N"


SQUARES = "((X - y) ** 2).sum() / (2 * N)"
SIGMOID = "1 / (1 + np.exp(-X))"
LEAKY = "np.where(X > 0, X, 0.1 * X)"
DROPPED = "np.where(Y1 != 0, 2 * X, 0) + ((Y1 == 0).all() or (Y1 != 0).all())"
SLOPE = "Activation.backward"  # what the entrywise ones share
MOVED = {"V": "0.65 * V - 0.3 * dW", "W": "W + V1"}

KINDS = {  # how it is made and called, and what its backward gives
    "net layer": ("layer = {}({})", "Y=layer.forward(X)", "X=layer.backward(dY)"),
    "net cost": ("cost = {}({})", "Y=cost.forward(X, y)", "X=cost.backward() * dY"),
    "cnn layer": ("layer = {}({})", "Y=layer(X)", "X=layer.backward(dY), **layer.grads"),
    "cnn loss": ("cost = {}({})", "Y=cost(X, y)", "X=cost.backward(dY)"),
}


def plain(
    kind: str, name: str, known: str, arguments: str = "", arrays: str = "X=5,4", **more: Any
) -> Unit:
    """A layer or a loss as all of its kind; what arrays names besides X are its params."""
    make, forward, backward = KINDS[kind]
    params = ", ".join(f"{k}={k}" for k in re.findall(r"(\w+)=", arrays) if k != "X")
    build = make.format(name, arguments) + (f"\nlayer.params = dict({params})" if params else "")
    forward, backward = f"out = dict({forward})", f"out = dict({backward})"
    return Unit(kind[:3], name, build, forward, {"Y": known}, arrays, backward, **more)


# --- functional_net -----------------------------------------------------------

F, P = "functional", "Params(W1, b1, W2, b2)"
WEIGHTS = "W1=3,7 b1=1,7 W2=7,4 b2=1,4"
FORWARD = f"Z1, A1, logits = forward({P}, X); "
FUNCTIONAL = [
    Unit(
        F, "forward", "", FORWARD + "out = dict(Z1=Z1, A1=A1, logits=logits)",
        {"Z1": "X @ W1 + b1", "A1": "np.maximum(Z1, 0)", "logits": "A1 @ W2 + b2"}, f"X=5,3 {WEIGHTS}",
    ),
    *[
        Unit(F, name, "", f"loss, dX = {name}(X, y); out = dict(Y=loss)", {"Y": known}, "X=5,4", "out = dict(X=dX * dY)")
        for name, known in (("cross_entropy", ce("softmax(X, 1)")), ("squared_error", SQUARES))
    ],
    Unit(
        F, "backward", "", FORWARD + "out = dict(Y=logits)", {}, f"X=5,3 {WEIGHTS}",
        f"out = backward({P}, X, Z1, A1, dY)._asdict()", no_dX=True, needs=("E1", "E2"),
    ),
    Unit(
        F, "update", "", "p, v = update(*[Params(*[a.copy()] * 4) for a in (W, V, dW)], 0.3, 0.65)\n"
        "out = dict(V=v.W1, W=p.W1)", MOVED, "W=3,5 V=3,5 dW=3,5",
    ),
    Unit(
        F, STEP, "", f"out = dict(Y=cross_entropy(forward({P}, X)[-1], y)[0])", {}, f"X=5,3 {WEIGHTS}",
        f"p = step({P}, Params(0 * W1, 0 * b1, 0 * W2, 0 * b2), X, y, 1.0, 0.0)[0]\n"
        "out = {k: dY * (a - b) for k, a, b in zip(p._fields, (W1, b1, W2, b2), p)}",
        no_dX=True, needs=EQUATIONS,
    ),
]  # fmt: skip

# --- net ----------------------------------------------------------------------

DENSE = "layer = FullyConnectedLayer(len(W))\nlayer.W, layer.b = W.copy(), b.copy()\n"
NET = [
    Unit(
        "net", "FullyConnectedLayer", DENSE + "layer.dW, layer.db = 0 * W, 0 * b",
        "out = dict(Y=layer.forward(X))", {"Y": "W @ X + b"}, "X=3,5 W=7,3 b=7,1",
        "dX = layer.backward(dY); out = dict(X=dX, W=layer.dW, b=layer.db)",
        functions=tuple(f"FullyConnectedLayer.{k}" for k in ("forward", "gradients", "backward")),
    ),
    plain("net layer", "ReLuLayer", "np.maximum(X, 0)"),
    plain("net layer", "LeakyReLuLayer", LEAKY, "0.1"),
    plain("net layer", "SigmoidLayer", SIGMOID),
    plain("net layer", "TanhLayer", "np.tanh(X)"),
    plain("net layer", "AbsLayer", "abs(X)"),
    plain("net cost", "SoftmaxCrossEntropy", ce("softmax(X, 0)")),
    plain("net cost", "MeanSquaredError", SQUARES),
    Unit(
        "net", "update", "", DENSE + "layer.VW, layer.Vb, layer.dW, layer.db = V.copy(), c.copy(), dW, db\n"
        "layer.update(0.3, 0.65); out = dict(V=layer.VW, c=layer.Vb, W=layer.W, b=layer.b)",
        {"V": MOVED["V"], "c": "0.65 * c - 0.3 * db", "W": MOVED["W"], "b": "b + c1"},
        "W=3,5 V=3,5 dW=3,5 b=3,1 c=3,1 db=3,1", functions=("FullyConnectedLayer.update",),
    ),
    Unit(
        "net", STEP, "model = FeedForwardNet(dtype=np.float64)\n"
        "for layer in (InputLayer(3), FullyConnectedLayer(6), AbsLayer(), FullyConnectedLayer(4)):\n"
        "    model.add(layer)\n"
        "model.set_weights([W1.copy(), b1.copy(), W2.copy(), b2.copy()])",
        "out = dict(Y=model.loss(model.forward(X), y))", {}, "X=3,5 W1=6,3 b1=6,1 W2=4,6 b2=4,1",
        "model.step(X.T, y.T, 1.0, 0.0)\n"
        "steps = [dY * (a - b) for a, b in zip((W1, b1, W2, b2), model.get_weights())]\n"
        "out = dict(zip(['W1', 'b1', 'W2', 'b2'], steps))", no_dX=True, needs=EQUATIONS,
    ),
]  # fmt: skip

# --- cnn ----------------------------------------------------------------------

F64 = "dtype=np.float64"
CNN = [
    plain("cnn layer", "Linear", "X @ W + b", f"*W.shape, {F64}", "X=5,3 W=3,7 b=1,7"),
    plain("cnn layer", "ReLU", "np.maximum(X, 0)", functions=("ReLU", SLOPE)),
    plain("cnn layer", "LeakyReLU", LEAKY, "0.1", functions=("LeakyReLU", SLOPE)),
    plain("cnn layer", "Sigmoid", SIGMOID, functions=("Sigmoid", SLOPE)),
    plain("cnn layer", "Tanh", "np.tanh(X)", functions=("Tanh", SLOPE)),
    plain("cnn layer", "Softmax", "softmax(X, 1)"),
    plain("cnn layer", "Flatten", "X.reshape(len(X), -1)", "", "X=2,3,2,2"),
    plain("cnn layer", "Dropout", DROPPED, "0.5, np.random.default_rng(0)", "X=5,4"),
    plain("cnn loss", "CrossEntropyLoss", ce("softmax(X, 1)")),
    plain("cnn loss", "MeanSquareLoss", "((X - y) ** 2).mean()"),
    Unit(
        "cnn", "update", "", "model = Net([Linear(3, 5, dtype=np.float64)], MeanSquareLoss)\n"
        "layer = model.layers[0]; layer.params, layer.grads = dict(W=W.copy()), dict(W=dW)\n"
        "model.velocity = [dict(W=V.copy())]; model.update_weights(0.3, 0.65)\n"
        "out = dict(V=model.velocity[0]['W'], W=layer.params['W'])",
        MOVED, "W=3,5 V=3,5 dW=3,5", functions=("Net.update_weights",),
    ),
    Unit(
        "cnn", STEP, "one, two = (Linear(*W.shape, dtype=np.float64) for W in (W1, W2))\n"
        "one.params, two.params = dict(W=W1.copy(), b=b1.copy()), dict(W=W2.copy(), b=b2.copy())\n"
        "model = Net([one, Tanh(), two], CrossEntropyLoss)",
        "out = dict(Y=model.loss(model(X), y))", {}, "X=5,3 W1=3,6 b1=1,6 W2=6,4 b2=1,4",
        "model.step(X, y, 1.0, 0.0); p, q = one.params, two.params\n"
        "steps = [dY * (a - b) for a, b in zip((W1, b1, W2, b2), (p['W'], p['b'], q['W'], q['b']))]\n"
        "out = dict(zip(['W1', 'b1', 'W2', 'b2'], steps))", no_dX=True, needs=EQUATIONS,
    ),
    plain(
        "cnn layer", "Conv2D", "convolution(X, W, b, 1)", f"W.shape[1], len(W), W.shape[2:], padding=1, {F64}",
        "X=2,3,4,5 W=2,3,3,2 b=2", chapter="convolution", after={"b": "W"},
    ),
    plain("cnn layer", "MaxPool2D", "pooled(X, 2, np.max)", "2", "X=2,3,4,5", chapter="pooling"),
    plain("cnn layer", "AvgPool2D", "pooled(X, 2, np.mean)", "2", "X=2,3,4,5", chapter="pooling"),
    plain(
        "cnn layer", "BatchNorm2D", "normalised(X, gamma, beta)", f"3, {F64}", "X=5,3,2,2 gamma=3 beta=3",
        chapter="norm", after={"X": "gamma beta"},
    ),
]  # fmt: skip

UNITS = {"functional": FUNCTIONAL, "net": NET, "cnn": CNN}
CHAPTERS = ("", "convolution", "pooling", "norm")


# --- known answers ------------------------------------------------------------


def softmax(X: Array, axis: int) -> Array:
    """exp(X) divided by its sum along an axis."""
    e = np.exp(X - X.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def convolution(X: Array, W: Array, b: Array, pad: int) -> Array:
    """Window by window, as it is defined."""
    X = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(X, W.shape[2:], (2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, W) + b[:, None, None]


def pooled(X: Array, size: int, how: object) -> Array:
    """The largest or the mean of each window."""
    windows = np.lib.stride_tricks.sliding_window_view(X, (size, size), (2, 3))
    return how(windows[:, :, ::size, ::size], axis=(4, 5))  # type: ignore[operator]


def normalised(X: Array, gamma: Array, beta: Array) -> Array:
    """Each channel to mean 0 and variance 1, then free."""
    mean, var = X.mean((0, 2, 3), keepdims=True), X.var((0, 2, 3), keepdims=True)
    g, b = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    return g * (X - mean) / np.sqrt(var + 1e-5) + b
