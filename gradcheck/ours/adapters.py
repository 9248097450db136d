"""The three networks as cases: how forward is called, and where the gradients are.

The length of an adapter measures the interface of what it adapts. Functions are looked up in
their modules at every call, so that a patch (see plants) takes effect.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck.case import Array, Case, argument_copy
from gradcheck.judge import Parts, blame_parts

__all__ = [
    "functional_backward", "functional_loss", "functional_case", "functional_update",
    "net_layer", "net_cost", "net_case", "net_update",
    "cnn_layer", "cnn_loss", "cnn_case", "cnn_update",
]  # fmt: skip

# --- functional_net: weights are arguments ------------------------------------


def functional_backward(params: Any, X: Array, name: str = "backward") -> Case:
    """backward and input_gradient alone, under a random gradient of the logits."""

    def backward(dy: Array) -> dict[str, Array]:
        Z1, A1, _ = functional_net.forward(params, X)
        grads = functional_net.backward(params, X, Z1, A1, dy)
        return {"X": functional_net.input_gradient(params, Z1, dy), **grads._asdict()}

    arrays = {"X": X, **params._asdict()}
    functions = lambda: functional_net.forward(params, X)[-1], backward
    sizes = {"batch": len(X)}
    return Case(name, arrays, lambda: functions, tuple(arrays), sizes, blame=accused)


def functional_loss(X: Array, y: Array, name: str) -> Case:
    """cross_entropy or squared_error: a loss that returns (loss, gradient)."""
    cost = getattr(functional_net, name)
    functions = lambda: np.array(cost(X, y)[0]), lambda dy: {"X": cost(X, y)[1] * dy}
    sizes = {"classes": y.shape[1], "batch": len(X)}
    return Case(name, {"X": X}, lambda: functions, sizes=sizes, constants={"y": y})


def functional_case(
    params: Any, X: Array, y: Array, name: str = "net", loss: str = "cross_entropy"
) -> Case:
    """Loss, backward and input_gradient together."""
    cost, inside = getattr(functional_net, loss), functional_backward(params, X)
    forward, backward = inside.open()

    def whole(dy: Array) -> dict[str, Array]:
        return backward(cost(forward(), y)[1] * dy)

    inside.name, inside.constants = name, {"y": y}
    inside.sizes = {"classes": y.shape[1], "batch": len(X)}
    inside.open = lambda: (lambda: np.array(cost(forward(), y)[0]), whole)

    def parts() -> Parts:
        yield f"the loss ({loss})", functional_loss(forward().copy(), y, loss), np.ones(())

    inside.blame = lambda wrong, rng: blame_parts(parts, rng) or accused(wrong, rng)
    return inside


def accused(wrong: set[str], rng: np.random.Generator) -> str:
    """Pure functions have no layers to be checked alone: which arrays are wrong tells the line."""
    if wrong <= {"W2", "b2"}:
        return f"look at layer 2, the line of d{min(wrong)}"
    if wrong == {"X"}:
        return "look at input_gradient"
    if len(wrong) == 1:
        return f"look at layer 1, the line of d{min(wrong)}"
    if wrong <= {"W1", "b1", "X"}:
        return "look at the hidden layer: dA1 or dZ1 (E7, E8), of which dW1 and db1 are made"
    return "look at both layers: something that dW1 and dW2 share"


def joined(parts: Callable[[], Parts], wrong: set[str], rng: np.random.Generator) -> str:
    """The layers that are wrong alone; else what joins them."""
    return blame_parts(parts, rng) or "every layer alone is right: look at how the net joins them"


def chain(
    layers: dict[str, Any], X: Array, run: Callable, loss: Callable, alone: Callable
) -> Parts:
    """The loss and every layer alone, with the input and the upstream gradient they really get."""
    inputs = [X]
    for layer in layers.values():
        inputs.append(run(layer, inputs[-1]))
    name, case, dY = loss(inputs.pop())
    yield name, case, np.ones(())
    for (name, layer), x in zip(reversed(layers.items()), reversed(inputs), strict=True):
        part, live = alone(layer, x.copy()), dY.copy()
        run(layer, x)
        dY = layer.backward(dY)
        yield name, part, live


# --- net: weights are attributes, samples are columns -------------------------


def weights_of(layer: Any) -> tuple[str, ...]:
    """The names of its weights; a gradient is named d in front of them."""
    return ("W", "b") if layer.arrays() else ()


def net_layer(layer: Any, X: Array, name: str = "") -> Case:
    """One layer object alone."""
    weights = weights_of(layer)

    def open_() -> tuple:
        live = copy.copy(layer)  # shallow: the weights are shared, what it remembers is not
        for w in weights:
            setattr(live, "d" + w, np.zeros_like(getattr(layer, w)))

        def backward(dy: Array) -> dict[str, Array]:
            return {"X": live.backward(dy), **{w: getattr(live, "d" + w) for w in weights}}

        return lambda: live.forward(argument_copy(X)), backward

    arrays = {"X": X, **{w: getattr(layer, w) for w in weights}}
    sizes = {"inputs": X.shape[0], "batch": X.shape[1]}
    return Case(name or type(layer).__name__, arrays, open_, sizes=sizes, batch_axis=1)


def net_cost(cost: Any, X: Array, y: Array) -> Case:
    """A cost object: forward(Y, y), then backward()."""
    functions = lambda: np.array(cost.forward(X, y)), lambda dy: {"X": cost.backward() * dy}
    sizes = {"classes": X.shape[0], "batch": X.shape[1]}
    name, constants = type(cost).__name__, {"y": y}
    return Case(name, {"X": X}, lambda: functions, sizes=sizes, batch_axis=1, constants=constants)


def net_case(model: Any, X: Array, y: Array, name: str = "net") -> Case:
    """A FeedForwardNet in float64 with its cost."""
    owners = {f"layer {i} {w}": (k, w) for i, k in enumerate(model.layers) for w in weights_of(k)}

    def backward(dy: Array) -> dict[str, Array]:
        model.backward()  # what training calls; input_gradient is for us
        grads = {name: getattr(layer, "d" + w) * dy for name, (layer, w) in owners.items()}
        return {"X": model.input_gradient() * dy, **grads}

    functions = lambda: np.array(model.loss(model.forward(X), y)), backward
    arrays = {"X": X, **{name: getattr(layer, w) for name, (layer, w) in owners.items()}}
    case = Case(name, arrays, lambda: functions, batch_axis=1, constants={"y": y})
    case.sizes = {"classes": len(y), "batch": X.shape[1]}
    case.blame = partial(joined, partial(net_parts, model, X, y))
    return case


def net_parts(model: Any, X: Array, y: Array) -> Parts:
    """The cost and every layer alone."""

    def cost(Y: Array) -> tuple[str, Case, Array]:
        model.loss(Y, y)
        case = net_cost(model.cost, Y.copy(), y)
        return f"the cost ({case.name})", case, model.cost.backward()

    layers = {f"layer {i} ({type(k).__name__})": k for i, k in enumerate(model.layers)}
    return chain(layers, X, lambda layer, x: layer.forward(x), cost, net_layer)


# --- cnn: weights are dictionaries, images are (N, C, H, W) -------------------


def cnn_layer(layer: Any, X: Array, name: str = "") -> Case:
    """One layer alone, in its training pass."""

    def open_() -> tuple:
        live = copy.copy(layer)  # shallow: the weights are shared, what it remembers is not
        live.grads, live.state = dict(layer.grads), copy.deepcopy(layer.state)
        return lambda: live(argument_copy(X)), lambda dy: {"X": live.backward(dy), **live.grads}

    sizes = {"inputs": X[0].size, "batch": len(X)}
    if X.ndim == 4:
        sizes = {"pixels": X[0, 0].size, "channels": X.shape[1], "batch": len(X)}
    if hasattr(layer, "kernel"):
        sizes = {"window": int(np.prod(layer.kernel)), **sizes}
    return Case(name or repr(layer), {"X": X, **layer.params}, open_, sizes=sizes)


def cnn_loss(loss: Any, X: Array, y: Array, name: str = "") -> Case:
    """A loss object: called with scores and targets, then backward(dY)."""
    functions = lambda: np.array(loss(X, y)), lambda dy: {"X": loss.backward(dy)}
    sizes = {"classes": X.shape[1], "batch": len(X)}
    constants = {"y": y if y.shape == X.shape else np.eye(X.shape[1])[y]}
    return Case(name or repr(loss), {"X": X}, lambda: functions, sizes=sizes, constants=constants)


def cnn_case(model: Any, X: Array, y: Array, name: str = "net") -> Case:
    """A Net in float64 with its loss."""
    layers = list(enumerate(model.layers, 1))
    owners = {f"layer {i} {w}": (layer, w) for i, layer in layers for w in layer.params}
    states = [copy.deepcopy(layer.state) for layer in model.layers]

    def forward() -> Array:
        for layer, state in zip(model.layers, states, strict=True):
            layer.state = copy.deepcopy(state)  # dropout draws the same mask every time
        return np.array(model.loss(model(X), y))

    def backward(dy: Array) -> dict[str, Array]:
        model.backward()  # what training calls; input_gradient is for us
        grads = {name: layer.grads[w] * dy for name, (layer, w) in owners.items()}
        return {"X": model.input_gradient() * dy, **grads}

    arrays = {"X": X, **{name: layer.params[w] for name, (layer, w) in owners.items()}}
    case = Case(name, arrays, lambda: (forward, backward))
    case.sizes = {"classes": model(X).shape[1], "batch": len(X)}
    case.blame = partial(joined, partial(cnn_parts, model, X, y))
    return case


def cnn_parts(model: Any, X: Array, y: Array) -> Parts:
    """The loss and every layer alone."""

    def loss(Y: Array) -> tuple[str, Case, Array]:
        model.loss(Y, y)
        return (
            f"the loss ({model.loss!r})",
            cnn_loss(model.loss, Y.copy(), y),
            model.loss.backward(),
        )

    layers = {f"layer {i} ({layer!r})": layer for i, layer in enumerate(model.layers, 1)}
    return chain(layers, X, lambda layer, x: layer(x), loss, cnn_layer)


# --- one update, from each implementation -------------------------------------


def functional_update(
    W: Array, V: Array, dW: Array, lr: float, momentum: float
) -> tuple[Array, Array]:
    """One step of functional_net.update, on four equal arrays."""
    params, velocity, grads = (functional_net.Params(a, a, a, a) for a in (W, V, dW))
    params, velocity = functional_net.update(params, velocity, grads, lr, momentum)
    return params.W1, velocity.W1


def net_update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple[Array, Array]:
    """One step of a FullyConnectedLayer."""
    layer = net.FullyConnectedLayer(len(W))
    layer.W, layer.VW, layer.dW = W, V, dW
    layer.b, layer.Vb, layer.db = (a[:, :1].copy() for a in (W, V, dW))
    layer.update(lr, momentum)
    return layer.W, layer.VW


def cnn_update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple[Array, Array]:
    """One step of a Net."""
    model = cnn.Net([cnn.Linear(3, 5)], cnn.MeanSquareLoss)
    model.layers[0].params, model.layers[0].grads = {"W": W}, {"W": dW}
    model.velocity = [{"W": V}]
    model.update_weights(lr, momentum)
    return model.layers[0].params["W"], model.velocity[0]["W"]
