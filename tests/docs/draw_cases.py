"""Drawings for the tests of docs/draw.html, and what NumPy makes of them."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

import functional_net as fn
from docs.draw import LEVELS, levels, one_hidden_layer, unit

Array = npt.NDArray[np.floating]
SIDE, BORDER = 140, 5  # as in draw_ui.js
LR, MOMENTUM = 0.05, 0.9


def params_of(path: Any) -> fn.Params:
    """The weights as the page has them, in float64."""
    arrays = one_hidden_layer(path)
    assert all(np.abs(levels(W)).max() < LEVELS for W in arrays.values())
    return fn.Params(*(levels(W) * unit(W) for W in arrays.values()))


def strokes(rng: np.random.Generator) -> list[list[dict[str, Any]]]:
    """Drawings as lists of strokes: any, thick, thin, in corners, tiny, a dot, symmetric, none."""
    drawings: list[list[dict[str, Any]]] = [[]]
    for _ in range(40):
        for width in (2, 4, 9, 16, 24):
            drawings.append(scribble(rng, width, (15, 125)))
        for low in (0, 110):
            drawings.append(scribble(rng, rng.uniform(2, 12), (low, low + 30)))
        middle = rng.uniform(10, 130)
        drawings.append(scribble(rng, rng.uniform(2, 4), (middle, middle + 8)))
    for x in (20.0, 70.0, 119.5):
        drawings.append([{"width": 9, "points": [[x, 70]]}])
        drawings.append([{"width": 10, "points": [[x, 20], [x, 120]]}])
        drawings.append([{"width": 10, "points": [[20, x], [120, x]]}])
    return drawings


def scribble(
    rng: np.random.Generator, width: float, between: tuple[float, float]
) -> list[dict[str, Any]]:
    return [
        {"width": float(width), "points": rng.uniform(*between, (rng.integers(2, 8), 2)).tolist()}
        for _ in range(rng.integers(1, 4))
    ]


def wanted(params: fn.Params, X: Array, target: int) -> dict[str, Array]:
    """What functional_net computes of one row X, under the names of draw_numbers.js."""
    Z1, A1, logits = fn.forward(params, X)
    y = np.zeros_like(logits)
    y[0, target] = 1
    loss, dlogits = fn.cross_entropy(logits, y)
    grads = fn.backward(params, X, Z1, A1, dlogits)
    found = {
        "Z1": Z1,
        "A1": A1,
        "logits": logits,
        "P": fn.softmax(logits),
        "loss": np.array(loss),
        "dlogits": dlogits,
        "dX": fn.input_gradient(params, Z1, dlogits),
    }
    new, velocity = params, fn.zeros(params)
    for _ in range(3):
        Z1, A1, logits = fn.forward(new, X)
        _, dlogits = fn.cross_entropy(logits, y)
        steps = fn.backward(new, X, Z1, A1, dlogits)
        new, velocity = fn.update(new, velocity, steps, LR, MOMENTUM)
    for kind, arrays in {"d": grads, "new": new, "V": velocity}.items():
        found |= {kind + name: W for name, W in arrays._asdict().items()}
    return found


def decoded(text: str) -> Array:
    return np.frombuffer(base64.b64decode(text), np.float64)


def compare(params: fn.Params, found: dict[str, Any], u: Array, v: Array) -> None:
    """Raise AssertionError unless the page's numbers equal functional_net's to 1e-9.

    An array of W1's size comes whole or as its products with random u and v: an entry that
    is wrong changes both.
    """
    X = decoded(found["X"])[None]
    right = wanted(params, X, found["target"])
    assert found["guess"] == right["logits"].argmax()
    for name, W in right.items():
        pairs = {name: W}
        if name not in found:
            pairs = {f"{name} @ v": W @ v.T, f"u @ {name}": u @ W}
        for key, value in pairs.items():
            scale = np.abs(value).max()
            np.testing.assert_allclose(
                decoded(found[key]), value.ravel(), rtol=1e-9, atol=1e-11 * scale, err_msg=key
            )
    measured, backprop = decoded(found["checked"]).reshape(-1, 2).T
    np.testing.assert_allclose(measured, backprop, rtol=1e-5, atol=1e-9)
