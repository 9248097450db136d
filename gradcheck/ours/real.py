"""The real nets on real digits: along random directions, or every entry one by one."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import cnn
import functional_net
import net
from gradcheck import core
from gradcheck.case import Array, Case, check_case, distinct_values
from gradcheck.ours import adapters
from gradcheck.report import Report, Row

__all__ = ["digits", "real_case", "judge_real", "every_entry", "float32_gap"]

SIZES = 784, 100, 10


def digits(n: int) -> tuple[Array, Array]:
    """The first n images of MNIST (n, 784) and their one-hot labels (n, 10), in float64."""
    from datasets import load_mnist

    X, y, _, _ = load_mnist(train_size=n)
    return X[:n].astype(np.float64), y[:n].astype(np.float64)


def real_case(target: str, n: int, seed: int = 0, dtype: Any = np.float64) -> Case:
    """784-100-10 as a function and as objects; the convolutional net of python -m cnn, halved."""
    rng, (X, y) = np.random.default_rng(seed), digits(n)
    X, y = X.astype(dtype), y.astype(dtype)
    name = f"{target}, 784-100-10 on {n} digits"
    if target == "functional":
        return adapters.functional_case(functional_net.init(*SIZES, rng, dtype), X, y, name)
    if target == "net":
        model = net.FeedForwardNet(seed=seed, dtype=dtype)
        layers = net.FullyConnectedLayer(100), net.ReLuLayer(), net.FullyConnectedLayer(10)
        for layer in (net.InputLayer(784), *layers):
            model.add(layer)
        return adapters.net_case(model, X.T.copy(), y.T.copy(), name)
    images = X.reshape(n, 1, 28, 28)
    convnet = cnn.Net(halved_layers({"dtype": dtype, "rng": rng}), cnn.CrossEntropyLoss)
    return adapters.cnn_case(convnet, images, y, f"cnn, conv 4-8 on {n} digits")


def halved_layers(keep: dict[str, Any]) -> list[Any]:
    """The layers of python -m cnn with half the channels."""
    layers: list[Any] = []
    for inside, outside in ((1, 4), (4, 8)):
        layers += [cnn.Conv2D(inside, outside, padding="same", **keep), cnn.MaxPool2D()]
        layers += [cnn.ReLU(), cnn.BatchNorm2D(outside, dtype=keep["dtype"])]
    return [*layers, cnn.Flatten(), cnn.Linear(392, 10, **keep)]


def judge_real(target: str, seed: int = 0) -> Report:
    """8 random directions for every array; then float32 backprop beside float64 backprop."""
    case, rng = real_case(target, 20, seed), np.random.default_rng(seed)
    for name, p in case.arrays.items():
        if name.split()[-1].startswith("b"):  # at 0, blank images sit on the kink of the ReLU
            p += 0.1 * distinct_values(p.shape, rng)
    checked = check_case(case, rng, seconds=0)
    report = Report(case.name)
    for name, result in checked.results.items():
        report.rows.append(Row(name, case.arrays[name].shape, result, sampled=True))
    gap = float32_gap(target, seed)
    sentence = f"float32 gradients differ from float64 ones by {gap:.1e} of the largest entry"
    (report.notes if gap < 1e-4 else report.breaches).append(sentence)
    return report


def float32_gap(target: str, seed: int = 0) -> float:
    """Differences cannot judge float32, but float64 backprop, once it is right, can."""
    wide, narrow = (real_case(target, 20, seed, dtype) for dtype in (np.float64, np.float32))
    for name, p in narrow.arrays.items():
        wide.arrays[name][...] = p
    one = np.ones(())
    right, short = wide.backward(one), narrow.backward(one.astype(np.float32))
    return max(float(abs(right[k] - short[k]).max() / abs(right[k]).max()) for k in right)


def every_entry(
    target: str, progress: Callable[[Iterator, int], Iterator], seed: int = 0
) -> Report:
    """All 79,510 weights of 784-100-10 (or all of the convolutional net), each by itself."""
    case = real_case(target, 4, seed)
    weights = {name: p for name, p in case.arrays.items() if name != "X"}
    case.forward()
    grads = case.backward(np.ones(()))
    report = Report(case.name)
    for name, p in weights.items():
        total = 2 * p.size
        ticks = iter(progress(iter(range(total)), total))

        def loss(ticks: Iterator = ticks) -> Array:
            next(ticks, None)
            return case.forward()

        result = core.compare(loss, p, np.asarray(grads[name]), 1.0)
        report.rows.append(Row(name, p.shape, result))
    return report
