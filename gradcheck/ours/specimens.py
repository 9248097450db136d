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

__all__ = ["CASES", "functional_cases", "net_cases", "cnn_cases"]

Random = np.random.Generator
N, D, H, K = 5, 3, 7, 11
F64: dict[str, Any] = {"dtype": np.float64}
LOSSES = "cross_entropy", "squared_error"
ACTIVATIONS = "ReLuLayer", "LeakyReLuLayer", "SigmoidLayer", "TanhLayer", "AbsLayer"


def onehot(n: int, k: int, rng: Random) -> Array:
    """n random targets of k classes, (n, k)."""
    return np.eye(k)[rng.integers(k, size=n)]


def functional_cases(rng: Random) -> Iterator[Case]:
    """Both losses, backward (also square), the net under both losses, the update."""

    def params(d: int, h: int, k: int) -> Any:
        shapes = (d, h), (1, h), (h, k), (1, k)
        return functional_net.Params(*[distinct_values(shape, rng) for shape in shapes])

    for loss in LOSSES:
        yield adapters.functional_loss(distinct_values((N, K), rng, 2), onehot(N, K, rng), loss)
    for name, sizes in (("backward", (D, H, K)), ("backward, square", (N, N, N))):
        X = distinct_values((N, sizes[0]), rng)
        yield adapters.functional_backward(params(*sizes), X, name)
    for loss in LOSSES:
        X, y = distinct_values((N, D), rng), onehot(N, K, rng)
        yield adapters.functional_case(params(D, H, K), X, y, f"net, {loss}", loss)
    yield update_case(adapters.functional_update, rng)


def columns_net(rng: Random, sizes: list[Any], cost: Any = None) -> Any:
    """A net of numbers (fully connected) and names of activations, with generic weights."""
    model = net.FeedForwardNet(cost=cost, **F64)
    model.add(net.InputLayer(sizes[0]))
    for size in sizes[1:]:
        number = isinstance(size, int)
        model.add(net.FullyConnectedLayer(size) if number else getattr(net, size)())
    return generic(model, rng)


def net_cases(rng: Random) -> Iterator[Case]:
    """Every layer, both costs, a net with all activations, the update."""
    yield adapters.layer_case(net.InputLayer(D), distinct_values((D, N), rng, 2))
    for name, size, n in (("FullyConnectedLayer", H, N), ("FullyConnected, square", D, D)):
        layer = columns_net(rng, [D, size]).layers[1]
        yield adapters.layer_case(layer, distinct_values((D, n), rng), name)
    for name in ACTIVATIONS:
        yield adapters.layer_case(getattr(net, name)(), distinct_values((D, N), rng, 2))
    for cost in (net.SoftmaxCrossEntropy(), net.MeanSquaredError()):
        yield adapters.loss_case(cost, distinct_values((K, N), rng, 2), onehot(N, K, rng).T)
    deep = [part for pair in zip((7, 5, 7, 5, 7), ACTIVATIONS, strict=True) for part in pair]
    X, y = distinct_values((D, N), rng), onehot(N, K, rng).T
    yield adapters.net_case(columns_net(rng, [D, *deep, K]), X, y, "net, cross-entropy")
    squared = columns_net(rng, [D, H, "TanhLayer", K], net.MeanSquaredError())
    yield adapters.net_case(squared, X.copy(), y, "net, squared error")
    yield update_case(adapters.net_update, rng)


def generic(thing: Any, rng: Random) -> Any:
    """Weights that are no special values: gamma = 1 would hide a forgotten gamma."""
    for layer in getattr(thing, "layers", [thing]):
        for W, _ in adapters.weights(layer).values():
            W[...] = distinct_values(W.shape, rng)
    return thing


def cnn_layers() -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Every layer with the shape of its input; windows that overlap, crop and meet edges."""
    images, odd = (2, 3, 5, 7), (2, 3, 7, 5)
    yield cnn.Linear(D, H, **F64), (N, D)
    yield cnn.Linear(D, D, **F64), (D, D)
    yield cnn.Conv2D(3, 5, (3, 2), padding=1, **F64), images
    yield cnn.Conv2D(3, 3, 3, stride=2, **F64), odd
    for pool in (cnn.MaxPool2D, cnn.AvgPool2D):
        yield pool(2), images
        yield pool(3, stride=2), odd
    yield cnn.BatchNorm2D(3, **F64), (5, 3, 2, 2)
    yield cnn.Flatten(), images
    yield cnn.Dropout(rng=np.random.default_rng(0)), (N, K)
    for name in ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"):
        yield getattr(cnn, name)(), (N, D)


def cnn_nets() -> Iterator[Any]:
    """The layers of python -m cnn, small, then all others."""
    first, second = cnn.Conv2D(2, 3, 3, padding=1, **F64), cnn.Conv2D(2, 3, 3, **F64)
    own = [cnn.MaxPool2D(2), cnn.ReLU(), cnn.BatchNorm2D(3, **F64), cnn.Flatten()]
    yield cnn.Net([first, *own, cnn.Linear(27, K, **F64)], cnn.CrossEntropyLoss)
    linear = [cnn.Linear(i, o, **F64) for i, o in ((12, H), (H, H), (H, N))]
    dropout, squash = cnn.Dropout(rng=np.random.default_rng(1)), (cnn.Tanh(), cnn.Sigmoid())
    middle = [linear[0], squash[0], dropout, linear[1], squash[1], linear[2], cnn.Softmax()]
    pooled = [second, cnn.LeakyReLU(), cnn.AvgPool2D(2), cnn.Flatten()]
    yield cnn.Net([*pooled, *middle], cnn.MeanSquareLoss)


def cnn_cases(rng: Random) -> Iterator[Case]:
    """Every layer, activation and loss, two nets, the update."""
    for layer, shape in cnn_layers():
        yield adapters.layer_case(generic(layer, rng), distinct_values(shape, rng, 2))
    X = distinct_values((N, K), rng, 2)
    yield adapters.loss_case(cnn.CrossEntropyLoss(), X, rng.integers(K, size=N))
    for reduction in ("mean", "none"):
        y, name = distinct_values((N, K), rng), f"MeanSquareLoss, {reduction}"
        yield adapters.loss_case(cnn.MeanSquareLoss(reduction), X.copy(), y, name)
    X, labels = distinct_values((3, 2, 6, 6), rng), rng.integers(K, size=3)
    own, other = (generic(model, rng) for model in cnn_nets())
    yield adapters.net_case(own, X, labels, "net, cross-entropy")
    y = distinct_values((3, N), rng)
    yield adapters.net_case(other, X.copy(), y, "net, squared error")
    yield update_case(adapters.cnn_update, rng)


CASES = {"functional": functional_cases, "net": net_cases, "cnn": cnn_cases}
