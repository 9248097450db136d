"""The three networks as cases: how forward is called, and where the gradients are.

The functions of functional_net are looked up at every call, so that a patch (see plants) takes
effect. What net and cnn build of objects differs in three things: a layer, a loss or a net of cnn
is called in training, one of net has a forward; weights are entries of dictionaries or attributes;
samples are rows or columns.
"""

import copy
from functools import partial
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck.case import Array, Case, argument_copy
from gradcheck.judge import Parts, blame_parts

__all__ = [
    "functional_backward", "functional_loss", "functional_case", "layer_case", "loss_case",
    "net_case", "functional_update", "net_update", "cnn_update",
]  # fmt: skip

# --- functions: weights are arguments -----------------------------------------


def functional_backward(params: Any, X: Array, name: str = "backward") -> Case:
    """backward and input_gradient alone, under a random gradient of the logits."""

    def backward(dy: Array) -> dict[str, Array]:
        Z1, A1, _ = functional_net.forward(params, X)
        grads = functional_net.backward(params, X, Z1, A1, dy)
        return {"X": functional_net.input_gradient(params, Z1, dy), **grads._asdict()}

    arrays = {"X": X, **params._asdict()}
    functions = lambda: functional_net.forward(params, X)[-1], backward
    return Case(name, arrays, lambda: functions, tuple(arrays), {"batch": len(X)}, blame=accused)


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
    cost, case = getattr(functional_net, loss), functional_backward(params, X, name)
    forward, backward = case.open()
    whole = lambda: np.array(cost(forward(), y)[0]), lambda dy: backward(cost(forward(), y)[1] * dy)
    case.open, case.constants = lambda: whole, {"y": y}
    case.sizes = {"classes": y.shape[1], "batch": len(X)}

    def parts() -> Parts:
        yield f"the loss ({loss})", functional_loss(forward().copy(), y, loss), np.ones(())

    case.blame = lambda wrong, rng: blame_parts(parts, rng) or accused(wrong, rng)
    return case


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


# --- objects: of net, and of cnn, which are called ----------------------------


def run(thing: Any, *args: Any) -> Any:
    """The training pass of a layer, a loss or a net."""
    return thing(*args) if callable(thing) else thing.forward(*args)


def axis_of(thing: Any) -> int:
    return 0 if callable(thing) else 1  # the axis of the samples


def title(thing: Any) -> str:
    return repr(thing) if callable(thing) else type(thing).__name__


def weights(layer: Any) -> dict[str, tuple[Array, Array]]:
    """Each weight with its gradient, as they are now."""
    if callable(layer):
        return {name: (W, layer.grads.get(name)) for name, W in layer.params.items()}
    return {name: (W, dW) for name, (W, _, dW) in zip("Wb", layer.arrays(), strict=False)}


def fresh(layer: Any) -> Any:
    """A layer that shares the weights, but nothing that it remembers."""
    live = copy.copy(layer)
    if callable(layer):
        live.grads, live.state = dict(layer.grads), copy.deepcopy(layer.state)
    for name, (W, _) in {} if callable(layer) else weights(layer).items():
        setattr(live, "d" + name, np.zeros_like(W))
    return live


def layer_case(layer: Any, X: Array, name: str = "") -> Case:
    """One layer alone, in its training pass."""

    def open_() -> tuple:
        live = fresh(layer)

        def backward(dy: Array) -> dict[str, Array]:
            return {"X": live.backward(dy), **{k: dW for k, (_, dW) in weights(live).items()}}

        return lambda: run(live, argument_copy(X)), backward

    axis = axis_of(layer)
    sizes = {"inputs": X.size // X.shape[axis], "batch": X.shape[axis]}
    if X.ndim == 4:
        sizes = {"pixels": X[0, 0].size, "channels": X.shape[1], "batch": len(X)}
    if hasattr(layer, "kernel"):
        sizes = {"window": int(np.prod(layer.kernel)), **sizes}
    arrays = {"X": X, **{k: W for k, (W, _) in weights(layer).items()}}
    return Case(name or title(layer), arrays, open_, sizes=sizes, batch_axis=axis)


def loss_case(loss: Any, X: Array, y: Array, name: str = "") -> Case:
    """A loss object: run with scores and targets, then backward."""

    def backward(dy: Array) -> dict[str, Array]:
        return {"X": loss.backward(dy) if callable(loss) else loss.backward() * dy}

    axis, functions = axis_of(loss), (lambda: np.array(run(loss, X, y)), backward)
    sizes = {"classes": X.shape[1 - axis], "batch": X.shape[axis]}
    constants = {"y": y if y.shape == X.shape else np.eye(X.shape[1])[y]}
    name = name or title(loss)
    return Case(name, {"X": X}, lambda: functions, ("X",), sizes, axis, constants)


def net_case(model: Any, X: Array, y: Array, name: str = "net") -> Case:
    """A FeedForwardNet or a Net in float64 with its loss."""
    axis, layers = axis_of(model), list(enumerate(model.layers, int(callable(model))))
    owners = {f"layer {i} {k}": (layer, k) for i, layer in layers for k in weights(layer)}
    states = [(layer, copy.deepcopy(layer.state)) for _, layer in layers if callable(layer)]

    def forward() -> Array:
        for layer, state in states:
            layer.state = copy.deepcopy(state)  # dropout draws the same mask every time
        return np.array(model.loss(run(model, X), y))

    def backward(dy: Array) -> dict[str, Array]:
        model.backward()  # what training calls; input_gradient is for us
        grads = {name: weights(layer)[k][1] * dy for name, (layer, k) in owners.items()}
        return {"X": model.input_gradient() * dy, **grads}

    sizes = {"classes": run(model, X).shape[1 - axis], "batch": X.shape[axis]}
    arrays = {"X": X, **{name: weights(layer)[k][0] for name, (layer, k) in owners.items()}}
    case = Case(name, arrays, lambda: (forward, backward), ("X",), sizes, axis, {"y": y})
    case.blame = partial(joined, model, X, y)
    return case


def joined(model: Any, X: Array, y: Array, wrong: set[str], rng: np.random.Generator) -> str:
    """The layers that are wrong alone; else what joins them."""
    alone = blame_parts(partial(parts, model, X, y), rng)
    return alone or "every layer alone is right: look at how the net joins them"


def parts(model: Any, X: Array, y: Array) -> Parts:
    """The loss and every layer alone, with the input and the upstream gradient they really get."""
    layers, inputs = list(enumerate(model.layers, int(callable(model)))), [X]
    for layer in model.layers:
        inputs.append(run(layer, inputs[-1]))
    loss = model.loss if callable(model) else model.cost
    run(loss, inputs[-1], y)
    dY = loss.backward()
    yield f"the loss ({title(loss)})", loss_case(loss, inputs.pop().copy(), y), np.ones(())
    for (i, layer), x in zip(reversed(layers), reversed(inputs), strict=True):
        part, live = layer_case(layer, x.copy()), dY.copy()
        run(layer, x)
        dY = layer.backward(dY)
        yield f"layer {i} ({title(layer)})", part, live


# --- one update, from each implementation -------------------------------------

Update = tuple[Array, Array]


def functional_update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> Update:
    """One step of functional_net.update, on four equal arrays."""
    params, velocity, grads = (functional_net.Params(a, a, a, a) for a in (W, V, dW))
    params, velocity = functional_net.update(params, velocity, grads, lr, momentum)
    return params.W1, velocity.W1


def net_update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> Update:
    """One step of a FullyConnectedLayer."""
    layer = net.FullyConnectedLayer(len(W))
    layer.W, layer.VW, layer.dW = W, V, dW
    layer.b, layer.Vb, layer.db = (a[:, :1].copy() for a in (W, V, dW))
    layer.update(lr, momentum)
    return layer.W, layer.VW


def cnn_update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> Update:
    """One step of a Net."""
    model = cnn.Net([cnn.Linear(3, 5)], cnn.MeanSquareLoss)
    model.layers[0].params, model.layers[0].grads = {"W": W}, {"W": dW}
    model.velocity = [{"W": V}]
    model.update_weights(lr, momentum)
    return model.layers[0].params["W"], model.velocity[0]["W"]
