"""What is checked of our own code: every layer, loss and net of the three implementations, small.

Sizes are pairwise different primes, so that a factor names what it is and a transpose cannot hide,
plus one square case. Inputs are evenly spaced and shuffled: no ties, no kinks, both signs.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck import adapters
from gradcheck.case import Array, Case, distinct_values

__all__ = [
    "CASES",
    "functional_cases",
    "net_cases",
    "cnn_cases",
    "onehot",
    "net_model",
    "cnn_model",
    "functional_params",
    "generic",
]

Random = np.random.Generator
N, D, H, K = 5, 3, 7, 11
F64: dict[str, Any] = {"dtype": np.float64}


def onehot(n: int, k: int, rng: Random) -> Array:
    return np.eye(k)[rng.integers(k, size=n)]


# --- functional_net -----------------------------------------------------------


def functional_params(
    rng: Random, sizes: tuple[int, int, int] = (D, H, K), fn: ModuleType = functional_net
) -> Any:
    """Generic weights, biases included: zeros would sit on kinks and hide mistakes."""
    d, h, k = sizes
    return fn.Params(*[distinct_values(shape, rng) for shape in ((d, h), (1, h), (h, k), (1, k))])


def functional_cases(rng: Random, fn: ModuleType = functional_net) -> Iterator[Case]:
    """Both losses, backward (also square), the net under both losses, the update."""
    for loss in ("cross_entropy", "squared_error"):
        cost = getattr(fn, loss)
        yield adapters.functional_loss(
            distinct_values((N, K), rng, 2), onehot(N, K, rng), cost, loss
        )
    for sizes in ((D, H, K), (N, N, N)):
        X, params = distinct_values((N, sizes[0]), rng), functional_params(rng, sizes, fn)
        square = ", square" * (len(set(sizes)) == 1)
        yield adapters.functional_backward(params, X, fn, f"backward{square}")
    for loss in ("cross_entropy", "squared_error"):
        X, y, params = (
            distinct_values((N, D), rng),
            onehot(N, K, rng),
            functional_params(rng, fn=fn),
        )
        yield adapters.functional_case(params, X, y, f"net, {loss}", fn, loss)
    yield adapters.update_case(adapters.functional_update(fn), rng)


# --- net ----------------------------------------------------------------------


def net_model(
    rng: Random, sizes: list[int | str], module: ModuleType = net, cost: Any = None
) -> Any:
    """A net of numbers (fully connected) and names of activations, with generic weights."""
    model = module.FeedForwardNet(cost=cost, dtype=np.float64)
    model.add(module.InputLayer(sizes[0]))
    for size in sizes[1:]:
        number = isinstance(size, int)
        model.add(module.FullyConnectedLayer(size) if number else getattr(module, str(size))())
    for layer in model.layers:
        for w in layer.params:
            array = getattr(layer, w)
            array[...] = distinct_values(array.shape, rng)
    return model


def net_cases(rng: Random, module: ModuleType = net) -> Iterator[Case]:
    """Every layer, both costs, a net with all activations, the update."""
    yield adapters.net_layer(module.InputLayer(D), distinct_values((D, N), rng, 2))
    for name, size in (("FullyConnectedLayer", H), ("FullyConnected, square", D)):
        X = distinct_values((D, N if size == H else D), rng)
        yield adapters.net_layer(net_model(rng, [D, size], module).layers[1], X, name)
    for name in ("ReLuLayer", "LeakyReLuLayer", "SigmoidLayer", "TanhLayer", "AbsLayer"):
        yield adapters.net_layer(getattr(module, name)(), distinct_values((D, N), rng, 2))
    for name in ("SoftmaxCrossEntropy", "MeanSquaredError"):
        cost = getattr(module, name)()
        yield adapters.net_cost(cost, distinct_values((K, N), rng, 2), onehot(N, K, rng).T)
    deep: list[int | str] = [
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
    X, y = distinct_values((D, N), rng), onehot(N, K, rng).T
    yield adapters.net_case(net_model(rng, deep, module), X, y, "net, cross-entropy")
    squared = net_model(rng, [D, H, "TanhLayer", K], module, module.MeanSquaredError())
    yield adapters.net_case(squared, X.copy(), y, "net, squared error")
    yield adapters.update_case(adapters.net_update(module), rng)


# --- cnn ----------------------------------------------------------------------


def generic(thing: Any, rng: Random) -> Any:
    """Weights that are no special values: gamma = 1 would hide a forgotten gamma."""
    for layer in getattr(thing, "layers", [thing]):
        for p in layer.params.values():
            p[...] = distinct_values(p.shape, rng)
    return thing


def cnn_layers(package: ModuleType) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Every layer with the shape of its input; windows that overlap, crop and meet edges."""
    images, odd = (2, 3, 5, 7), (2, 3, 7, 5)
    yield package.Linear(D, H, **F64), (N, D)
    yield package.Linear(D, D, **F64), (D, D)
    yield package.Conv2D(3, 5, (3, 2), padding=1, **F64), images
    yield package.Conv2D(3, 3, 3, stride=2, **F64), odd
    yield package.MaxPool2D(2), images
    yield package.MaxPool2D(3, stride=2), odd
    yield package.AvgPool2D(2), images
    yield package.AvgPool2D(3, stride=2), odd
    yield package.BatchNorm2D(3, **F64), (5, 3, 2, 2)
    yield package.Flatten(), images
    yield package.Dropout(rng=np.random.default_rng(0)), (N, K)
    for name in ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"):
        yield getattr(package, name)(), (N, D)


def cnn_model(rng: Random, package: ModuleType = cnn) -> Any:
    """Conv, pool, ReLU, batchnorm, Linear: the layers of python -m cnn, small."""
    layers = [
        package.Conv2D(2, 3, 3, padding=1, **F64),
        package.MaxPool2D(2),
        package.ReLU(),
        package.BatchNorm2D(3, **F64),
        package.Flatten(),
        package.Linear(27, K, **F64),
    ]
    return generic(package.Net(layers, package.CrossEntropyLoss), rng)


def cnn_other(rng: Random, package: ModuleType = cnn) -> Any:
    """A net of the layers that cnn_model leaves out."""
    layers = [
        package.Conv2D(2, 3, 3, **F64),
        package.LeakyReLU(),
        package.AvgPool2D(2),
        package.Flatten(),
        package.Linear(12, H, **F64),
        package.Tanh(),
        package.Dropout(rng=np.random.default_rng(1)),
        package.Linear(H, H, **F64),
        package.Sigmoid(),
        package.Linear(H, N, **F64),
        package.Softmax(),
    ]
    return generic(package.Net(layers, package.MeanSquareLoss), rng)


def cnn_cases(rng: Random, package: ModuleType = cnn) -> Iterator[Case]:
    """Every layer, activation and loss, two nets, the update."""
    for layer, shape in cnn_layers(package):
        yield adapters.cnn_layer(generic(layer, rng), distinct_values(shape, rng, 2))
    X = distinct_values((N, K), rng, 2)
    yield adapters.cnn_loss(package.CrossEntropyLoss(), X, rng.integers(K, size=N))
    yield adapters.cnn_loss(package.MeanSquareLoss(), X.copy(), distinct_values((N, K), rng))
    none = package.MeanSquareLoss("none")
    yield adapters.cnn_loss(none, X.copy(), distinct_values((N, K), rng), "MeanSquareLoss, none")
    X, labels = distinct_values((3, 2, 6, 6), rng), rng.integers(K, size=3)
    yield adapters.cnn_case(cnn_model(rng, package), X, labels, "net, cross-entropy")
    X = X.copy()
    yield adapters.cnn_case(
        cnn_other(rng, package), X, distinct_values((3, N), rng), "net, squared error"
    )
    yield adapters.update_case(adapters.cnn_update(package), rng)


CASES = {"functional": functional_cases, "net": net_cases, "cnn": cnn_cases}
