"""What is checked of our own code: every layer, loss and net of the three implementations, small.

Sizes are pairwise different primes, so that a factor names what it is and a transpose cannot hide,
plus one square case. Inputs are evenly spaced and shuffled: no ties, no kinks, both signs.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck.case import Array, Case, distinct_values
from gradcheck.ours import adapters
from gradcheck.ours.momentum import update_case

__all__ = [
    "CASES", "functional_cases", "net_cases", "cnn_cases",
    "onehot", "net_model", "functional_params", "generic",
]  # fmt: skip

Random = np.random.Generator
N, D, H, K = 5, 3, 7, 11
F64: dict[str, Any] = {"dtype": np.float64}


def onehot(n: int, k: int, rng: Random) -> Array:
    """n random targets of k classes, (n, k)."""
    return np.eye(k)[rng.integers(k, size=n)]


# --- functional_net -----------------------------------------------------------


def functional_params(rng: Random, sizes: tuple[int, int, int] = (D, H, K)) -> Any:
    """Generic weights, biases included: zeros would sit on kinks and hide mistakes."""
    d, h, k = sizes
    shapes = (d, h), (1, h), (h, k), (1, k)
    return functional_net.Params(*[distinct_values(shape, rng) for shape in shapes])


def functional_cases(rng: Random) -> Iterator[Case]:
    """Both losses, backward (also square), the net under both losses, the update."""
    losses = "cross_entropy", "squared_error"
    for loss in losses:
        yield adapters.functional_loss(distinct_values((N, K), rng, 2), onehot(N, K, rng), loss)
    for name, sizes in (("backward", (D, H, K)), ("backward, square", (N, N, N))):
        X, params = distinct_values((N, sizes[0]), rng), functional_params(rng, sizes)
        yield adapters.functional_backward(params, X, name)
    for loss in losses:
        X, y, params = distinct_values((N, D), rng), onehot(N, K, rng), functional_params(rng)
        yield adapters.functional_case(params, X, y, f"net, {loss}", loss)
    yield update_case(adapters.functional_update, rng)


# --- net ----------------------------------------------------------------------

ACTIVATIONS = "ReLuLayer", "LeakyReLuLayer", "SigmoidLayer", "TanhLayer", "AbsLayer"


def net_model(rng: Random, sizes: list[Any], cost: Any = None) -> Any:
    """A net of numbers (fully connected) and names of activations, with generic weights."""
    model = net.FeedForwardNet(cost=cost, dtype=np.float64)
    model.add(net.InputLayer(sizes[0]))
    for size in sizes[1:]:
        number = isinstance(size, int)
        model.add(net.FullyConnectedLayer(size) if number else getattr(net, size)())
    for layer in model.layers:
        for array, _, _ in layer.arrays():
            array[...] = distinct_values(array.shape, rng)
    return model


def net_cases(rng: Random) -> Iterator[Case]:
    """Every layer, both costs, a net with all activations, the update."""
    yield adapters.net_layer(net.InputLayer(D), distinct_values((D, N), rng, 2))
    for name, size in (("FullyConnectedLayer", H), ("FullyConnected, square", D)):
        X = distinct_values((D, N if size == H else D), rng)
        yield adapters.net_layer(net_model(rng, [D, size]).layers[1], X, name)
    for name in ACTIVATIONS:
        yield adapters.net_layer(getattr(net, name)(), distinct_values((D, N), rng, 2))
    for name in ("SoftmaxCrossEntropy", "MeanSquaredError"):
        yield adapters.net_cost(
            getattr(net, name)(), distinct_values((K, N), rng, 2), onehot(N, K, rng).T
        )
    deep: list[int | str] = [D]
    for size, name in zip((7, 5, 7, 5, 7), ACTIVATIONS, strict=True):
        deep += [size, name]
    X, y = distinct_values((D, N), rng), onehot(N, K, rng).T
    yield adapters.net_case(net_model(rng, [*deep, K]), X, y, "net, cross-entropy")
    squared = net_model(rng, [D, H, "TanhLayer", K], net.MeanSquaredError())
    yield adapters.net_case(squared, X.copy(), y, "net, squared error")
    yield update_case(adapters.net_update, rng)


# --- cnn ----------------------------------------------------------------------


def generic(thing: Any, rng: Random) -> Any:
    """Weights that are no special values: gamma = 1 would hide a forgotten gamma."""
    for layer in getattr(thing, "layers", [thing]):
        for p in layer.params.values():
            p[...] = distinct_values(p.shape, rng)
    return thing


def cnn_layers() -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Every layer with the shape of its input; windows that overlap, crop and meet edges."""
    images, odd = (2, 3, 5, 7), (2, 3, 7, 5)
    yield cnn.Linear(D, H, **F64), (N, D)
    yield cnn.Linear(D, D, **F64), (D, D)
    yield cnn.Conv2D(3, 5, (3, 2), padding=1, **F64), images
    yield cnn.Conv2D(3, 3, 3, stride=2, **F64), odd
    yield cnn.MaxPool2D(2), images
    yield cnn.MaxPool2D(3, stride=2), odd
    yield cnn.AvgPool2D(2), images
    yield cnn.AvgPool2D(3, stride=2), odd
    yield cnn.BatchNorm2D(3, **F64), (5, 3, 2, 2)
    yield cnn.Flatten(), images
    yield cnn.Dropout(rng=np.random.default_rng(0)), (N, K)
    for name in ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"):
        yield getattr(cnn, name)(), (N, D)


def cnn_model(rng: Random) -> Any:
    """Conv, pool, ReLU, batchnorm, Linear: the layers of python -m cnn, small."""
    layers = [
        cnn.Conv2D(2, 3, 3, padding=1, **F64),
        cnn.MaxPool2D(2),
        cnn.ReLU(),
        cnn.BatchNorm2D(3, **F64),
        cnn.Flatten(),
        cnn.Linear(27, K, **F64),
    ]
    return generic(cnn.Net(layers, cnn.CrossEntropyLoss), rng)


def cnn_other(rng: Random) -> Any:
    """A net of the layers that cnn_model leaves out."""
    layers = [
        cnn.Conv2D(2, 3, 3, **F64),
        cnn.LeakyReLU(),
        cnn.AvgPool2D(2),
        cnn.Flatten(),
        cnn.Linear(12, H, **F64),
        cnn.Tanh(),
        cnn.Dropout(rng=np.random.default_rng(1)),
        cnn.Linear(H, H, **F64),
        cnn.Sigmoid(),
        cnn.Linear(H, N, **F64),
        cnn.Softmax(),
    ]
    return generic(cnn.Net(layers, cnn.MeanSquareLoss), rng)


def cnn_cases(rng: Random) -> Iterator[Case]:
    """Every layer, activation and loss, two nets, the update."""
    for layer, shape in cnn_layers():
        yield adapters.cnn_layer(generic(layer, rng), distinct_values(shape, rng, 2))
    X = distinct_values((N, K), rng, 2)
    yield adapters.cnn_loss(cnn.CrossEntropyLoss(), X, rng.integers(K, size=N))
    yield adapters.cnn_loss(cnn.MeanSquareLoss(), X.copy(), distinct_values((N, K), rng))
    none = cnn.MeanSquareLoss("none")
    yield adapters.cnn_loss(none, X.copy(), distinct_values((N, K), rng), "MeanSquareLoss, none")
    X, labels = distinct_values((3, 2, 6, 6), rng), rng.integers(K, size=3)
    yield adapters.cnn_case(cnn_model(rng), X, labels, "net, cross-entropy")
    yield adapters.cnn_case(
        cnn_other(rng), X.copy(), distinct_values((3, N), rng), "net, squared error"
    )
    yield update_case(adapters.cnn_update, rng)


CASES = {"functional": functional_cases, "net": net_cases, "cnn": cnn_cases}
