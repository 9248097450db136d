"""The three networks as cases: pure functions, layer objects, layers with dictionaries.

Each adapter says in a few lines how forward is called and where gradients are to be found; how long
it is, measures the interface. Modules are arguments, so that plants can hand in a changed copy.
"""

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck.case import Array, Case, spread

__all__ = ["functional_cases", "net_cases", "cnn_cases", "functional_case", "net_case", "cnn_case",
           "net_layer", "cnn_layer", "onehot"]  # fmt: skip

N, D, H, K = 5, 3, 7, 11  # pairwise different primes: a factor or a transpose cannot hide


def onehot(n: int, k: int, rng: np.random.Generator) -> Array:
    return np.eye(k)[rng.integers(k, size=n)]


# --- functional_net: weights are arguments ------------------------------------


def functional_case(params: Any, X: Array, y: Array, fn: ModuleType = functional_net,
                    loss: str = "cross_entropy", name: str = "whole net") -> Case:  # fmt: skip
    """Loss, backward and input_gradient together."""
    cost = getattr(fn, loss)

    def forward() -> Array:
        return np.array(cost(fn.forward(params, X)[-1], y)[0])

    def backward(dy: Array) -> dict[str, Array]:
        Z1, A1, logits = fn.forward(params, X)
        dlogits = cost(logits, y)[1] * dy
        grads = fn.backward(params, X, Z1, A1, dlogits)
        return {"X": fn.input_gradient(params, Z1, dlogits), **grads._asdict()}

    arrays = {"X": X, **params._asdict()}
    sizes = {"classes": y.shape[1], "batch": len(X)}
    return Case(name, arrays, lambda: (forward, backward), tuple(arrays), sizes, constants={"y": y})


def functional_loss(X: Array, y: Array, cost: Any, name: str) -> Case:
    """A loss that returns (loss, dlogits)."""
    sizes = {"classes": y.shape[1], "batch": len(X)}
    functions = lambda: np.array(cost(X, y)[0]), lambda dy: {"X": cost(X, y)[1] * dy}
    return Case(name, {"X": X}, lambda: functions, sizes=sizes, constants={"y": y})


def functional_backward(params: Any, X: Array, fn: ModuleType = functional_net) -> Case:
    """backward alone, under a random gradient of the logits."""

    def backward(dy: Array) -> dict[str, Array]:
        Z1, A1, _ = fn.forward(params, X)
        grads = fn.backward(params, X, Z1, A1, dy)
        return {"X": fn.input_gradient(params, Z1, dy), **grads._asdict()}

    arrays = {"X": X, **params._asdict()}
    functions = lambda: fn.forward(params, X)[-1], backward
    return Case("backward", arrays, lambda: functions, tuple(arrays), {"batch": len(X)})


def functional_params(rng: np.random.Generator, shape: tuple[int, int, int] = (D, H, K),
                      fn: ModuleType = functional_net) -> Any:  # fmt: skip
    d, h, k = shape
    shapes = (d, h), (1, h), (h, k), (1, k)
    return fn.Params(*[spread(s, rng) for s in shapes])


def functional_cases(rng: np.random.Generator, fn: ModuleType = functional_net) -> Iterator[Case]:
    """Both losses, backward, the net under both losses, one square net, the update."""
    for loss in ("cross_entropy", "squared_error"):
        yield functional_loss(spread((N, K), rng, 2), onehot(N, K, rng), getattr(fn, loss), loss)
    yield functional_backward(functional_params(rng, fn=fn), spread((N, D), rng), fn)
    for loss, size in (
        ("cross_entropy", (D, H, K)),
        ("squared_error", (D, H, K)),
        ("cross_entropy", (5, 5, 5)),
    ):
        params = functional_params(rng, size, fn)
        X, y = spread((N, size[0]), rng), onehot(N, size[2], rng)
        square = ", square" * (len(set(size)) == 1)
        yield functional_case(params, X, y, fn, loss, f"net, {loss}{square}")

    def update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple[Array, Array]:
        new = fn.update(
            fn.Params(W, W, W, W), fn.Params(V, V, V, V), fn.Params(dW, dW, dW, dW), lr, momentum
        )
        return new[0].W1, new[1].W1

    yield update_case(update, rng)


# --- net: weights are attributes, samples are columns -------------------------


def net_layer(layer: Any, X: Array, name: str = "", dy: Array | None = None) -> Case:
    """One layer object alone."""

    def open_() -> tuple:
        live = copy.deepcopy(layer)

        def backward(dy: Array) -> dict[str, Array]:
            dX = live.backward(dy)
            return {"X": dX, **({"W": live.dW, "b": live.db} if hasattr(live, "W") else {})}

        return lambda: live.forward(X), backward

    arrays = {"X": X, **({"W": layer.W, "b": layer.b} if hasattr(layer, "W") else {})}
    sizes = {"inputs": X.shape[0], "batch": X.shape[1]}
    return Case(name or type(layer).__name__, arrays, open_, sizes=sizes, batch_axis=1, dy=dy)


def net_cost(cost: Any, X: Array, y: Array, dy: Array | None = None) -> Case:
    """A cost object: forward(Y, y), backward()."""

    def open_() -> tuple:
        live = copy.deepcopy(cost)
        return lambda: np.array(live.forward(X, y)), lambda dy: {"X": live.backward() * dy}

    sizes = {"classes": X.shape[0], "batch": X.shape[1]}
    return Case(
        type(cost).__name__, {"X": X}, open_, sizes=sizes, batch_axis=1, constants={"y": y}, dy=dy
    )


def net_case(model: Any, X: Array, y: Array, name: str = "whole net") -> Case:
    """A FeedForwardNet in float64 with its cost."""
    weighted = {f"layer {i} {w}": getattr(layer, w) for i, layer in enumerate(model.layers)
                if hasattr(layer, "W") for w in ("W", "b")}  # fmt: skip

    def open_() -> tuple:
        live = copy.deepcopy(model)

        def backward(dy: Array) -> dict[str, Array]:
            grads = {"X": live.backward() * dy}
            for name in weighted:
                _, i, w = name.split()
                grads[name] = getattr(live.layers[int(i)], f"d{w}") * dy
            return grads

        return lambda: np.array(live.loss(live.forward(X), y)), backward

    case = Case(name, {"X": X, **weighted}, open_, sizes={"classes": len(y), "batch": X.shape[1]}, batch_axis=1,
                constants={"y": y})  # fmt: skip
    case.parts = lambda: net_parts(model, X, y)
    return case


def net_parts(model: Any, X: Array, y: Array) -> Iterator[tuple[str, Case]]:
    """Every layer alone, with the input and the upstream gradient it really gets; the cost first."""
    live, inputs = copy.deepcopy(model), [X]
    for layer in live.layers:
        inputs.append(layer.forward(inputs[-1]))
    live.loss(inputs[-1], y)
    yield f"the cost ({type(model.cost).__name__})", net_cost(model.cost, inputs[-1].copy(), y)
    dY = live.cost.backward()
    for i in reversed(range(len(model.layers))):
        yield (
            f"layer {i} ({type(model.layers[i]).__name__})",
            net_layer(model.layers[i], inputs[i].copy(), dy=dY),
        )
        dY = live.layers[i].backward(dY)


def net_model(
    rng: np.random.Generator, sizes: list, module: ModuleType = net, cost: Any = None
) -> Any:
    """A net of numbers (fully connected) and names of activations, with generic weights."""
    model = module.FeedForwardNet(cost=cost, dtype=np.float64)
    model.add(module.InputLayer(sizes[0]))
    for size in sizes[1:]:
        model.add(
            module.FullyConnectedLayer(size) if isinstance(size, int) else getattr(module, size)()
        )
    for layer in model.layers:
        if hasattr(layer, "W"):
            layer.W[...], layer.b[...] = spread(layer.W.shape, rng), spread(layer.b.shape, rng)
    return model


ACTIVATIONS = ["ReLuLayer", "LeakyReLuLayer", "SigmoidLayer", "TanhLayer", "AbsLayer"]


def net_cases(rng: np.random.Generator, module: ModuleType = net) -> Iterator[Case]:
    """Every layer, both costs, a net with all activations, the update."""
    yield net_layer(module.InputLayer(D), spread((D, N), rng, 2))
    yield net_layer(net_model(rng, [D, H], module).layers[1], spread((D, N), rng))
    square = net_layer(
        net_model(rng, [D, D], module).layers[1], spread((D, D), rng), "FullyConnected, square"
    )
    yield square
    for name in ACTIVATIONS:
        yield net_layer(getattr(module, name)(), spread((D, N), rng, 2))
    for cost in ("SoftmaxCrossEntropy", "MeanSquaredError"):
        yield net_cost(getattr(module, cost)(), spread((K, N), rng, 2), onehot(N, K, rng).T)
    deep = [
        D,
        7,
        "ReLuLayer",
        5,
        "LeakyReLuLayer",
        7,
        "SigmoidLayer",
        5,
        "TanhLayer",
        7,
        "AbsLayer",
        K,
    ]
    yield net_case(
        net_model(rng, deep, module),
        spread((D, N), rng),
        onehot(N, K, rng).T,
        "net, all activations",
    )

    def update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple[Array, Array]:
        layer = net_model(rng, [D, H], module).layers[1]
        layer.W, layer.VW, layer.dW, layer.db = W, V, dW, layer.b
        layer.update(lr, momentum)
        return layer.W, layer.VW

    yield update_case(update, rng)


# --- cnn: weights are dictionaries, images are (N, C, H, W) -------------------


def cnn_layer(layer: Any, X: Array, name: str = "", dy: Array | None = None) -> Case:
    """One layer alone, in its training pass."""

    def open_() -> tuple:
        live = copy.deepcopy(layer)

        def backward(dy: Array) -> dict[str, Array]:
            return {"X": live.backward(dy), **live.grads}

        return lambda: live(X), backward

    sizes = {"pixels": X[0, 0].size, "channels": X.shape[1], "batch": len(X)} if X.ndim == 4 else {
        "inputs": X.shape[1], "batch": len(X)}  # fmt: skip
    if hasattr(layer, "kernel"):
        sizes = {"window": int(np.prod(layer.kernel)), **sizes}
    return Case(name or repr(layer), {"X": X, **layer.params}, open_, sizes=sizes, dy=dy)


def cnn_loss(loss: Any, X: Array, y: Array, name: str = "", dy: Array | None = None) -> Case:
    def open_() -> tuple:
        live = copy.deepcopy(loss)
        return lambda: np.array(live(X, y)), lambda dy: {"X": live.backward(dy)}

    sizes = {"classes": X.shape[1], "batch": len(X)}
    return Case(
        name or repr(loss),
        {"X": X},
        open_,
        sizes=sizes,
        constants={"y": np.asarray(y, float)},
        dy=dy,
    )


def cnn_case(model: Any, X: Array, y: Array, name: str = "whole net") -> Case:
    """A Net in float64 with its loss."""
    weighted = {
        f"layer {i} {w}": p
        for i, layer in enumerate(model.layers, 1)
        for w, p in layer.params.items()
    }

    def open_() -> tuple:
        live = copy.deepcopy(model)

        def backward(dy: Array) -> dict[str, Array]:
            grads = {"X": live.input_gradient() * dy}
            for name in weighted:
                _, i, w = name.split()
                grads[name] = live.layers[int(i) - 1].grads[w] * dy
            return grads

        return lambda: np.array(live.loss(live(X), y)), backward

    sizes = {"classes": int(np.max(y)) + 1 if np.ndim(y) == 1 else y.shape[1], "batch": len(X)}
    case = Case(name, {"X": X, **weighted}, open_, sizes=sizes)
    case.parts = lambda: cnn_parts(model, X, y)
    return case


def cnn_parts(model: Any, X: Array, y: Array) -> Iterator[tuple[str, Case]]:
    """Every layer alone, with the input and the upstream gradient it really gets; the loss first."""
    live, inputs = copy.deepcopy(model), [X]
    for layer in live.layers:
        inputs.append(layer(inputs[-1]))
    live.loss(inputs[-1], y)
    yield f"the loss ({model.loss!r})", cnn_loss(model.loss, inputs[-1].copy(), y)
    dY = live.loss.backward()
    for i in reversed(range(len(model.layers))):
        yield (
            f"layer {i + 1} ({model.layers[i]!r})",
            cnn_layer(model.layers[i], inputs[i].copy(), dy=dY),
        )
        dY = live.layers[i].backward(dY)


def generic(thing: Any, rng: np.random.Generator) -> Any:
    """Layer or net with weights that are no special values: gamma = 1 would hide a forgotten gamma."""
    for layer in getattr(thing, "layers", [thing]):
        for p in layer.params.values():
            p[...] = spread(p.shape, rng)
    return thing


def cnn_cases(rng: np.random.Generator, package: ModuleType = cnn) -> Iterator[Case]:
    """Every layer, loss and activation, a whole net, the update."""
    f64: dict[str, Any] = {"dtype": np.float64}
    images = (2, 3, 5, 7)
    layers = [
        (package.Linear(D, H, **f64), (N, D)),
        (package.Linear(D, D, **f64), (D, D)),
        (package.Conv2D(3, 5, (3, 2), padding=1, **f64), images),
        (package.Conv2D(3, 3, 3, stride=2, **f64), (2, 3, 7, 5)),
        (package.MaxPool2D(2), images),
        (package.MaxPool2D(3, stride=2), (2, 3, 7, 5)),
        (package.AvgPool2D(2), images),
        (package.AvgPool2D(3, stride=2), (2, 3, 7, 5)),
        (package.BatchNorm2D(3, **f64), (5, 3, 2, 2)),
        (package.Flatten(), images),
        (package.Dropout(rng=np.random.default_rng(0)), (N, K)),
    ]
    for name in ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"):
        layers.append((getattr(package, name)(), (N, D)))
    for layer, shape in layers:
        yield cnn_layer(generic(layer, rng), spread(shape, rng, 2))
    yield cnn_loss(package.CrossEntropyLoss(), spread((N, K), rng, 2), rng.integers(K, size=N))
    yield cnn_loss(package.MeanSquareLoss(), spread((N, K), rng, 2), spread((N, K), rng))
    yield cnn_loss(
        package.MeanSquareLoss("none"),
        spread((N, K), rng, 2),
        spread((N, K), rng),
        "MeanSquareLoss, none",
    )
    yield cnn_case(
        cnn_model(rng, package),
        spread((3, 2, 8, 8), rng),
        rng.integers(5, size=3),
        "net, conv to loss",
    )

    def update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple[Array, Array]:
        model = package.Net([package.Linear(D, H, **f64)], package.MeanSquareLoss)
        layer = model.layers[0]
        layer.params, layer.grads, model.velocity = {"W": W}, {"W": dW}, [{"W": V}]
        model.update_weights(lr, momentum)
        return layer.params["W"], model.velocity[0]["W"]

    yield update_case(update, rng)


def cnn_model(rng: np.random.Generator, package: ModuleType = cnn, classes: int = 5) -> Any:
    """Conv, pool, ReLU, batchnorm, Linear: the architecture of python -m cnn, small."""
    f64: dict[str, Any] = {"dtype": np.float64}
    layers = [
        package.Conv2D(2, 3, 3, padding=1, **f64), package.MaxPool2D(2), package.ReLU(),
        package.BatchNorm2D(3, **f64), package.Flatten(), package.Linear(48, classes, **f64),
    ]  # fmt: skip
    return generic(package.Net(layers, package.CrossEntropyLoss), rng)


# --- the update step ----------------------------------------------------------


def update_case(
    update: Any, rng: np.random.Generator, lr: float = 0.3, momentum: float = 0.7
) -> Case:
    """E9 as a case. V' = momentum V - lr dW, W' = W + V' is linear, so we know its derivatives:
    they stand in `backward`, and the differences measure those of the code.
    """  # fmt: skip
    arrays = {"W": spread((D, N), rng), "V": spread((D, N), rng), "dW": spread((D, N), rng)}

    def forward() -> Array:
        return np.concatenate(update(*[a.copy() for a in arrays.values()], lr, momentum))

    def backward(dy: Array) -> dict[str, Array]:
        dW, dV = np.split(dy, 2)
        return {"W": dW, "V": momentum * (dW + dV), "dW": -lr * (dW + dV)}

    case = Case("update (E9)", arrays, lambda: (forward, backward), tuple(arrays), definition=True)
    case.reasons = {
        1 / lr: "lr is multiplied in twice", lr: "lr is missing", -1.0: "the sign: the step goes uphill",
        1 / (1 - momentum): "1 - momentum in front of the gradient, which E9 does not have",
        1 / momentum: "momentum is multiplied in twice", momentum: "momentum is missing (taken as 1)",
        lr / momentum: "momentum stands where lr belongs", momentum / lr: "lr stands where momentum belongs",
    }  # fmt: skip
    return case
