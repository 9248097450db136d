"""Worked numbers: two steps of a 3-2-2 net on two samples, small enough for a pencil.

functional_net.py computes them, net.py and cnn have to agree, and every line that the page
prints, "dW2 = A1.T @ dlogits", is evaluated and has to give what the code gave.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

import cnn
import functional_net as fn
import net
from docs.mathml import matrix, number

__all__ = ["compute", "as_html", "as_text"]

Array = np.ndarray
Numbers = dict[str, Array]

X = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]])  # (N, D)
y = np.array([[1.0, 0.0], [0.0, 1.0]])  # (N, K)  classes 0 and 1
START = fn.Params(
    W1=np.array([[1.0, -2.0], [-0.5, 0.5], [0.5, 1.0]]),  # (D, H)
    b1=np.array([[0.5, -0.5]]),  # (1, H)
    W2=np.array([[1.0, -1.0], [0.5, 1.0]]),  # (H, K)
    b2=np.array([[0.5, 0.5]]),  # (1, K)
)
LR, MOMENTUM = 0.1, 0.5


# --- the numbers --------------------------------------------------------------


def compute() -> Numbers:
    """Every array of two steps, from functional_net; net and cnn have to agree."""
    at_rest = fn.zeros(START)
    first, after = step(START, at_rest)
    second, _ = step(*after)
    of_net, of_cnn = net_step(), cnn_step()
    for key, value in of_net.items():
        agree(key, value, of_cnn[key])
        agree(key, value, first.get(key, value))  # functional_net does not hand out dA1 and dZ1
    steps = fn.train_epoch(START, at_rest, [(X, y)] * 6, LR, MOMENTUM)
    scalars = {"N": 2, "lr": LR, "momentum": MOMENTUM, "accuracy": fn.accuracy(START, X, y)}
    return {
        **of_net,
        **first,
        **{f"{key}_next": value for key, value in second.items()},
        **{key: np.array(value) for key, value in {**scalars, **check(first["dW2"])}.items()},
        "losses": np.array([[loss for _, _, loss, _ in steps]]),
    }


def step(params: fn.Params, velocity: fn.Params) -> tuple[Numbers, tuple[fn.Params, fn.Params]]:
    """One step of functional_net: all that it computed, and the params and velocity after it."""
    Z1, A1, logits = fn.forward(params, X)
    loss, dlogits = fn.cross_entropy(logits, y)
    grads = fn.backward(params, X, Z1, A1, dlogits)
    after = fn.update(params, velocity, grads, LR, MOMENTUM)
    arrays = {"X": X, "y": y, "Z1": Z1, "A1": A1, "logits": logits, "dlogits": dlogits}
    more = {
        "P": fn.softmax(logits),
        "loss": np.array(loss),
        "dX": fn.input_gradient(params, Z1, dlogits),
        "V": velocity.W2,
        "V_new": after[1].W2,
        "W2_new": after[0].W2,
    }
    gradients = {f"d{key}": grad for key, grad in grads._asdict().items()}
    return {**arrays, **params._asdict(), **gradients, **more}, after


def net_step() -> Numbers:
    """The same first step in columns, turned into rows for the comparison."""
    model: Any = net.FeedForwardNet(dtype=np.float64)
    layers = net.FullyConnectedLayer(2), net.ReLuLayer(), net.FullyConnectedLayer(2)
    for layer in net.InputLayer(3), *layers:
        model.add(layer)
    model.set_weights([array.T for array in START])
    numbers = there_and_back(layers, X.T, lambda Y: model.loss(Y, y.T), model.cost.backward)
    for n, layer in (1, layers[0]), (2, layers[2]):
        numbers |= {f"dW{n}": layer.dW.copy(), f"db{n}": layer.db.copy()}
    model.update(LR, MOMENTUM)
    return {key: value.T for key, value in {**numbers, "W2_new": layers[2].W}.items()}


def cnn_step() -> Numbers:
    """The same first step in modules."""
    layers = cnn.Linear(3, 2), cnn.ReLU(), cnn.Linear(2, 2)
    model = cnn.Net(layers, cnn.CrossEntropyLoss).astype(np.float64)
    names = "layer_1/W", "layer_1/b", "layer_2/W", "layer_2/b"
    weights = [
        array[0] if name.endswith("b") else array for name, array in zip(names, START, strict=True)
    ]
    model.set_weights(dict(zip(names, weights, strict=True)))
    numbers = there_and_back(model.layers, X, lambda Y: model.loss(Y, y), model.loss.backward)
    for n, layer in (1, model.layers[0]), (2, model.layers[2]):
        numbers |= {f"dW{n}": layer.grads["W"], f"db{n}": layer.grads["b"]}
    model.update_weights(LR, MOMENTUM)
    return {**numbers, "W2_new": model.layers[2].params["W"]}


def there_and_back(layers: Sequence, X: Array, loss: Callable, back: Callable) -> Numbers:
    """What passes between the layers, forward and back."""
    numbers = {}
    for layer, key in zip(layers, ("Z1", "A1", "logits"), strict=True):
        X = numbers[key] = layer(X) if callable(layer) else layer.forward(X)
    numbers["loss"] = np.array(loss(X))
    dY = numbers["dlogits"] = back()
    for layer, key in zip(reversed(layers), ("dA1", "dZ1", "dX"), strict=True):
        dY = numbers[key] = layer.backward(dY)
    return numbers


def check(dW2: Array) -> dict[str, float]:
    """The loss with W2[0, 0] moved up and down, far and near, and what backward says of it."""
    numbers = {"backprop": dW2[0, 0], "h_far": 0.5, "h_near": 0.1}
    for how in "far", "near":
        for side, sign in ("up", 1), ("down", -1):
            W2 = START.W2.copy()
            W2[0, 0] += sign * numbers[f"h_{how}"]
            logits = fn.predict(START._replace(W2=W2), X)
            numbers[f"{side}_{how}"] = fn.cross_entropy(logits, y)[0]
    return numbers


def agree(what: str, ours: Array, theirs: Array) -> None:
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=1e-12):
        raise ArithmeticError(f"the worked numbers differ at {what}: {ours} and {theirs}")


# --- the lines ----------------------------------------------------------------

FUNCTIONS: dict[str, Any] = {
    "softmax": fn.softmax,
    "max": np.maximum,
    "log": np.log,
    "mean": np.mean,
    "argmax": lambda A: A.argmax(axis=1, keepdims=True),
    "sum_n": lambda A: A.sum(axis=0, keepdims=True),  # over the samples
    "sum_k": lambda A: A.sum(axis=1, keepdims=True),  # over the classes
}
SIGNS = {"*": "∗", "-": "−", "sum_n": "sum over n", "sum_k": "sum over k"}
TOKEN = re.compile(r"[A-Za-z]\w*(?:\.T)?|==|[-+*/@()>,]|\d[\d.]*")
LABELS = {
    "V_new": "V, step 1",
    "W2_new": "W2, step 1",
    "dW2_next": "dW2, step 2",
    "V_new_next": "V, step 2",
    "logits_next": "logits, step 2",
    "losses": "loss, step 1 to 6",
    **dict.fromkeys(("up_far", "up_near"), "loss(p + h)"),
    **dict.fromkeys(("down_far", "down_near"), "loss(p - h)"),
    **dict.fromkeys(("h_far", "h_near"), "h"),
    **dict.fromkeys(("slope_far", "slope_near"), "slope"),
    "backprop": "dW2[0, 0]",
}


def evaluate(text: str, numbers: Numbers) -> tuple[str, list[str], Array]:
    """Name, tokens and value of "dW2 = A1.T @ dlogits". A value that the code has must agree."""
    key, _, expression = text.partition(" = ")
    value = np.asarray(eval(expression, {"__builtins__": {}}, {**FUNCTIONS, **numbers}))
    if key in numbers:
        agree(text, value, numbers[key])
    numbers[key] = value
    return key, TOKEN.findall(expression), value


def as_html(text: str, numbers: Numbers, symbols: Mapping[str, str]) -> str:
    """The line with every array written out, its name below; symbols: name -> symbol.

    A line without "=", "X, y", shows arrays as they are.
    """
    if "=" not in text:
        shown = "".join(_array(name, numbers[name], symbols) for name in text.split(", "))
        return f'<div class="eq">{shown}</div>'
    key, tokens, value = evaluate(text, numbers)
    parts = [_part(token, numbers, symbols) for token in tokens]
    out = "".join([*parts, "<span>=</span>", _array(key, value, symbols)])
    return f'<div class="eq">{out}</div>{_entry(tokens, key, numbers)}'


def as_text(text: str, numbers: Numbers) -> str:
    """The line for a terminal."""
    if "=" not in text:
        return "\n".join(f"{name} = {_plain(numbers[name])}" for name in text.split(", "))
    return f"{text} = {_plain(evaluate(text, numbers)[2])}"


def _plain(value: Array) -> str:
    rows = [", ".join(map(number, row)) for row in np.atleast_2d(value)]
    return f"[{'; '.join(rows)}]" if value.ndim else rows[0]


def _part(token: str, numbers: Numbers, symbols: Mapping[str, str]) -> str:
    base, transposed, _ = token.partition(".T")
    if base in numbers:
        return _array(token, numbers[base].T if transposed else numbers[base], symbols)
    return f"<span>{escape(SIGNS.get(token, token))}</span>"


def _array(token: str, value: Array, symbols: Mapping[str, str]) -> str:
    base, transposed, _ = token.partition(".T")
    label = f"<mtext>{LABELS.get(base, base)}{transposed}</mtext>"
    owner = symbols.get(base.removesuffix("_next").removesuffix("_new"))
    symbol = f' data-s="{owner}"' if owner else ""
    return f"<math{symbol}>{matrix(value, label)}</math>"


def _entry(tokens: list[str], key: str, numbers: Numbers) -> str:
    """The first entry of a matrix product, term by term."""
    if "@" not in tokens:
        return ""
    A, B, b = (numbers[t.removesuffix(".T")] for t in (tokens[0], tokens[2], tokens[-1]))
    A, B = A.T if tokens[0].endswith(".T") else A, B.T if tokens[2].endswith(".T") else B
    terms = [f"{_factor(a)} · {_factor(w)}" for a, w in zip(A[0], B[:, 0], strict=True)]
    terms += [_factor(b[0, 0])] if "+" in tokens else []
    total = number(numbers[key][0, 0]).replace("-", "−")
    return f'<p class="entry">{key}[0, 0] = {" + ".join(terms)} = {total}</p>'


def _factor(value: float) -> str:
    text = number(value)
    return f"(−{text[1:]})" if text.startswith("-") else text
