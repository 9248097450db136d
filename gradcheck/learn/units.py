# ruff: noqa: E501  (a table)
"""What an exercise consists of: one unit for each function or layer, as code and known answers.

The code runs in the learner's process, the known answer in ours; nothing here runs our networks.
Sizes are two: pairwise different, so that a wrong transpose fails, and as equal as they may be, so
that what does not depend on it can still be judged.
"""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["UNITS", "Unit", "CHAPTERS"]

Array = np.ndarray


@dataclass(frozen=True)
class Unit:
    """One function or layer: which of its results belongs to which equation."""

    owner: str  # "FullyConnectedLayer", "cross_entropy"
    build: str  # code that makes the object
    forward: str  # code that sets `out`, a dictionary; the last entry is what gets differentiated
    known: dict[str, str]  # of each output: what it must be, from the arrays and earlier outputs
    outputs: dict[str, str]  # of each output: its equation
    arrays: str = ""  # "X=5,3 W=3,7": shapes
    square: str = ""  # the same, as equal as they may be
    backward: str = ""  # code that sets `out` from dY, after forward
    gradients: dict[str, str] = field(default_factory=dict)  # of each array: its equation
    after: dict[str, str] = field(default_factory=dict)  # X: "gamma beta": is made from these
    functions: tuple[str, ...] = ()  # where its blanks are, if not in owner
    chapter: str = ""
    needs: tuple[str, ...] = ()  # equations of other units that must be right before


def ce(P: str) -> str:
    """The mean of -log P[target] for the columns or rows of scores."""
    return f"-(y * np.log({P})).sum() / N"


ALL = tuple(f"E{n}" for n in range(1, 10))
ROWS, COLUMNS = "softmax(X, 1)", "softmax(X, 0)"
SQUARES = "((X - y) ** 2).sum() / (2 * N)"

# --- functional_net -----------------------------------------------------------

P = "Params(W1, b1, W2, b2)"
WEIGHTS = "W1=3,7 b1=1,7 W2=7,4 b2=1,4"
FUNCTIONAL = [
    Unit(
        "forward", "", f"Z1, A1, logits = forward({P}, X); out = dict(Z1=Z1, A1=A1, logits=logits)",
        {"Z1": "X @ W1 + b1", "A1": "np.maximum(Z1, 0)", "logits": "A1 @ W2 + b2"},
        {"Z1": "E1", "A1": "E2", "logits": "E1"}, f"X=5,3 {WEIGHTS}",
    ),
    *[
        Unit(name, "", f"loss, dX = {name}(X, y); out = dict(Y=loss)", {"Y": known}, {"Y": "E3"},
             "X=5,4", "", "out = dict(X=dX * dY)", {"X": "E4"})
        for name, known in (("cross_entropy", ce(ROWS)), ("squared_error", SQUARES))
    ],
    Unit(
        "backward", "", f"Z1, A1, logits = forward({P}, X); out = dict(Y=logits)", {}, {},
        f"X=5,3 {WEIGHTS}", "X=4,4 W1=4,4 b1=1,4 W2=4,4 b2=1,4",
        f"out = backward({P}, X, Z1, A1, dY)._asdict()",
        {"W2": "E5", "b2": "E6", "W1": "E5", "b1": "E6"}, needs=("E1", "E2"),
    ),
    Unit(
        "update", "", "p, v = update(*[Params(*[a.copy()] * 4) for a in (W, V, dW)], 0.3, 0.65)\n"
        "out = dict(V=v.W1, W=p.W1)", {"V": "0.65 * V - 0.3 * dW", "W": "W + V1"},
        {"V": "E9", "W": "E9"}, "W=3,5 V=3,5 dW=3,5",
    ),
    Unit(
        "step", "", f"out = dict(Y=cross_entropy(forward({P}, X)[-1], y)[0])", {}, {}, f"X=5,3 {WEIGHTS}",
        "", f"p = step({P}, Params(0 * W1, 0 * b1, 0 * W2, 0 * b2), X, y, 1.0, 0.0)[0]\n"
        "out = {k: dY * (a - b) for k, a, b in zip(p._fields, (W1, b1, W2, b2), p)}",
        dict.fromkeys(("W1", "b1", "W2", "b2"), "step"), needs=ALL,
    ),
]  # fmt: skip

# --- net ----------------------------------------------------------------------


def objects(name: str, known: str, build: str = "") -> Unit:
    """An activation of net.py."""
    code, back = "out = dict(Y=layer.forward(X))", "out = dict(X=layer.backward(dY))"
    return Unit(
        name,
        f"layer = {name}({build})",
        code,
        {"Y": known},
        {"Y": "E2"},
        "X=3,5",
        "",
        back,
        {"X": "E8"},
    )


def cost(name: str, known: str) -> Unit:
    return Unit(
        name, f"cost = {name}()", "out = dict(Y=cost.forward(X, y))", {"Y": known}, {"Y": "E3"},
        "X=4,5", "", "out = dict(X=cost.backward() * dY)", {"X": "E4"},
    )  # fmt: skip


def dense(sizes: str) -> str:
    return (
        f"layer = FullyConnectedLayer({sizes})\n"
        f"layer.W, layer.b, layer.dW, layer.db = W.copy(), b.copy(), 0 * W, 0 * b\n"
    )


STEP = (
    "model = FeedForwardNet(dtype=np.float64)\n"
    "for layer in (InputLayer(3), FullyConnectedLayer(6), AbsLayer(), FullyConnectedLayer(4)):\n"
    "    model.add(layer)\n"
    "model.set_weights([W1.copy(), b1.copy(), W2.copy(), b2.copy()])\n"
)
NET = [
    Unit(
        "FullyConnectedLayer", dense("len(W)"), "out = dict(Y=layer.forward(X))",
        {"Y": "W @ X + b"}, {"Y": "E1"}, "X=3,5 W=7,3 b=7,1", "X=4,4 W=4,4 b=4,1",
        "dX = layer.backward(dY); out = dict(X=dX, W=layer.dW, b=layer.db)",
        {"W": "E5", "b": "E6", "X": "E7"},
        functions=tuple(f"FullyConnectedLayer.{k}" for k in ("forward", "gradients", "backward")),
    ),
    objects("ReLuLayer", "np.maximum(X, 0)"),
    objects("LeakyReLuLayer", "np.where(X > 0, X, 0.1 * X)", "0.1"),
    objects("SigmoidLayer", "1 / (1 + np.exp(-X))"),
    objects("TanhLayer", "np.tanh(X)"),
    objects("AbsLayer", "abs(X)"),
    cost("SoftmaxCrossEntropy", ce(COLUMNS)),
    cost("MeanSquaredError", SQUARES),
    Unit(
        "update", "", dense("3") + "layer.VW, layer.Vb, layer.dW, layer.db = V.copy(), c.copy(), dW, db\n"
        "layer.update(0.3, 0.65); out = dict(V=layer.VW, c=layer.Vb, W=layer.W, b=layer.b)",
        {"V": "0.65 * V - 0.3 * dW", "c": "0.65 * c - 0.3 * db", "W": "W + V1", "b": "b + c1"},
        dict.fromkeys("VcWb", "E9"), "W=3,5 V=3,5 dW=3,5 b=3,1 c=3,1 db=3,1",
        functions=("FullyConnectedLayer.update",),
    ),
    Unit(
        "step", STEP, "out = dict(Y=model.loss(model.forward(X), y))", {}, {},
        "X=3,5 W1=6,3 b1=6,1 W2=4,6 b2=4,1", "",
        "model.step(X.T, y.T, 1.0, 0.0)\nW = [W1, b1, W2, b2]\n"
        "steps = [dY * (a - b) for a, b in zip(W, model.get_weights())]\n"
        "out = dict(zip(['W1', 'b1', 'W2', 'b2'], steps))",
        dict.fromkeys(("W1", "b1", "W2", "b2"), "step"), needs=ALL,
    ),
]  # fmt: skip

# --- cnn ----------------------------------------------------------------------

CALL = "out = dict(Y=layer(X))"
BACK = "dX = layer.backward(dY); out = dict(X=dX, **layer.grads)"


def module(name: str, known: str, build: str = "", arrays: str = "X=5,3", chapter: str = "",
           **more: object) -> Unit:  # fmt: skip
    """An activation or a pooling of cnn."""
    return Unit(
        name, f"layer = {name}({build})", CALL, {"Y": known}, {"Y": "E2"}, arrays, "", BACK,
        {"X": "E8"}, chapter=chapter, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def parametric(name: str, build: str) -> str:
    return f"layer = {name}({build}, dtype=np.float64); layer.params = dict(W=W, b=b)"


def criterion(name: str, known: str) -> Unit:
    return Unit(
        name, f"cost = {name}()", "out = dict(Y=cost(X, y))", {"Y": known}, {"Y": "E3"}, "X=5,4", "",
        "out = dict(X=cost.backward(dY))", {"X": "E4"},
    )  # fmt: skip


ENTRYWISE = tuple(f"{k}.{f}" for k in ("Activation",) for f in ("backward",))
CONV = "convolution(X, W, b, stride=1, pad=1)"
CNN = [
    Unit(
        "Linear", parametric("Linear", "*W.shape"), CALL, {"Y": "X @ W + b"}, {"Y": "E1"},
        "X=5,3 W=3,7 b=1,7", "X=4,4 W=4,4 b=1,4", BACK, {"W": "E5", "b": "E6", "X": "E7"},
    ),
    module("ReLU", "np.maximum(X, 0)", functions=("ReLU", *ENTRYWISE)),
    module("LeakyReLU", "np.where(X > 0, X, 0.1 * X)", "0.1", functions=("LeakyReLU", *ENTRYWISE)),
    module("Sigmoid", "1 / (1 + np.exp(-X))", functions=("Sigmoid", *ENTRYWISE)),
    module("Tanh", "np.tanh(X)", functions=("Tanh", *ENTRYWISE)),
    module("Softmax", "softmax(X, 1)"),
    module("Flatten", "X.reshape(len(X), -1)", "", "X=2,3,2,2"),
    module("Dropout", "np.where(Y1 != 0, 2 * X, 0) + ((Y1 == 0).all() or (Y1 != 0).all())",
           "0.5, np.random.default_rng(0)", "X=5,4"),
    criterion("CrossEntropyLoss", ce(ROWS)),
    criterion("MeanSquareLoss", "((X - y) ** 2).mean()"),
    Unit(
        "update", "", "model = Net([Linear(3, 5, dtype=np.float64)], MeanSquareLoss)\n"
        "layer = model.layers[0]; layer.params, layer.grads = dict(W=W.copy()), dict(W=dW)\n"
        "model.velocity = [dict(W=V.copy())]; model.update_weights(0.3, 0.65)\n"
        "out = dict(V=model.velocity[0]['W'], W=layer.params['W'])",
        {"V": "0.65 * V - 0.3 * dW", "W": "W + V1"}, {"V": "E9", "W": "E9"},
        "W=3,5 V=3,5 dW=3,5", functions=("Net.update_weights",),
    ),
    Unit(
        "step", "layers = [Linear(3, 6, dtype=np.float64), Tanh(), Linear(6, 4, dtype=np.float64)]\n"
        "model = Net(layers, CrossEntropyLoss)\n"
        "for layer, W, b in ((layers[0], W1, b1), (layers[2], W2, b2)):\n"
        "    layer.params = dict(W=W.copy(), b=b.copy())\n", "out = dict(Y=model.loss(model(X), y))", {}, {}, "X=5,3 W1=3,6 b1=1,6 W2=6,4 b2=1,4", "",
        "model.step(X, y, 1.0, 0.0)\nafter = [layers[0].params['W'], layers[0].params['b'], layers[2].params['W'], layers[2].params['b']]\n"
        "steps = [dY * (a - b) for a, b in zip((W1, b1, W2, b2), after)]\n"
        "out = dict(zip(['W1', 'b1', 'W2', 'b2'], steps))",
        dict.fromkeys(("W1", "b1", "W2", "b2"), "step"), needs=ALL,
    ),
    Unit(
        "Conv2D", parametric("Conv2D", "W.shape[1], len(W), W.shape[2:], padding=1"), CALL,
        {"Y": CONV}, {"Y": "E1"}, "X=2,3,4,5 W=2,3,3,2 b=2", "X=2,2,4,4 W=2,2,3,3 b=2", BACK,
        {"W": "E5", "b": "E6", "X": "E7"}, {"b": "W"}, chapter="convolution",
    ),
    module("MaxPool2D", "pooled(X, 2, np.max)", "2", "X=2,3,4,5", "pooling"),
    module("AvgPool2D", "pooled(X, 2, np.mean)", "2", "X=2,3,4,5", "pooling"),
    Unit(
        "BatchNorm2D", "layer = BatchNorm2D(3, dtype=np.float64)\n"
        "layer.params = dict(gamma=gamma, beta=beta)", CALL, {"Y": "normalised(X, gamma, beta)"},
        {"Y": "E2"}, "X=5,3,2,2 gamma=3 beta=3", "", BACK,
        {"gamma": "E5", "beta": "E6", "X": "E8"}, {"X": "gamma beta"}, chapter="norm",
    ),
]  # fmt: skip

UNITS = {"functional": FUNCTIONAL, "net": NET, "cnn": CNN}
CHAPTERS = ("convolution", "pooling", "norm")


# --- known answers ------------------------------------------------------------


def softmax(X: Array, axis: int) -> Array:
    """exp(X) divided by its sum along an axis."""
    e = np.exp(X - X.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def convolution(X: Array, W: Array, b: Array, stride: int, pad: int) -> Array:
    """Window by window, as it is defined."""
    X = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    (_, _, h, w), (_, _, kh, kw) = X.shape, W.shape
    rows, columns = range(0, h - kh + 1, stride), range(0, w - kw + 1, stride)

    def one(i: int, j: int) -> Array:
        return (X[:, None, :, i : i + kh, j : j + kw] * W).sum((2, 3, 4)) + b

    return np.stack([np.stack([one(i, j) for j in columns], -1) for i in rows], -2)


def pooled(X: Array, size: int, how: object) -> Array:
    """The largest or the mean of each window."""
    h, w = X.shape[2] // size, X.shape[3] // size
    windows = X[:, :, : h * size, : w * size].reshape(*X.shape[:2], h, size, w, size)
    return how(windows, axis=(3, 5))  # type: ignore[operator]


def normalised(X: Array, gamma: Array, beta: Array) -> Array:
    """Each channel to mean 0 and variance 1, then free."""
    mean, var = X.mean((0, 2, 3), keepdims=True), X.var((0, 2, 3), keepdims=True)
    g, b = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    return g * (X - mean) / np.sqrt(var + 1e-5) + b
