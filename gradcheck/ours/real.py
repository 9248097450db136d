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

__all__ = ["real_case", "judge_real", "every_entry", "float32_gap"]


def real_case(target: str, n: int, seed: int = 0, dtype: Any = np.float64) -> Case:
    """784-100-10 as a function and as objects; the convolutional net of python -m cnn, halved."""
    from datasets import load_mnist

    X, y = (a[:n].astype(dtype) for a in load_mnist(train_size=n)[:2])
    rng, name = np.random.default_rng(seed), f"{target}, 784-100-10 on {n} digits"
    if target == "functional":
        params = functional_net.init(784, 100, 10, rng, dtype)
        return adapters.functional_case(params, X, y, name)
    if target == "net":
        model = net.perceptron([784, 100, 10], seed=seed, dtype=dtype)
        return adapters.net_case(model, X.T.copy(), y.T.copy(), name)
    convnet = cnn.Net(halved_layers({"dtype": dtype, "rng": rng}), cnn.CrossEntropyLoss)
    return adapters.net_case(convnet, X.reshape(n, 1, 28, 28), y, f"cnn, conv 4-8 on {n} digits")


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
    results = check_case(case, rng, seconds=0).results
    rows = [Row(k, case.arrays[k].shape, r, sampled=True) for k, r in results.items()]
    gap = float32_gap(target, seed)
    said = [f"float32 gradients differ from float64 ones by {gap:.1e} of the largest entry"]
    return Report(case.name, rows, notes=said) if gap < 1e-4 else Report(case.name, rows, said)


def float32_gap(target: str, seed: int = 0) -> float:
    """Differences cannot judge float32, but float64 backprop, once it is right, can."""
    wide, narrow = (real_case(target, 20, seed, dtype) for dtype in (np.float64, np.float32))
    for name, p in narrow.arrays.items():
        wide.arrays[name][...] = p
    right, short = wide.backward(np.ones(())), narrow.backward(np.ones((), np.float32))
    return max(float(abs(right[k] - short[k]).max() / abs(right[k]).max()) for k in right)


def every_entry(
    target: str, progress: Callable[[Iterator, int], Iterator], seed: int = 0
) -> Report:
    """All 79,510 weights of 784-100-10 (or all of the convolutional net), each by itself."""
    case = real_case(target, 4, seed)
    grads, report = case.backward(np.ones(())), Report(case.name)
    for name, p in [(name, p) for name, p in case.arrays.items() if name != "X"]:
        ticks = iter(progress(iter(range(2 * p.size)), 2 * p.size))

        def loss(ticks: Iterator = ticks) -> Array:
            next(ticks, None)
            return case.forward()

        result = core.compare(loss, p, np.asarray(grads[name]), 1.0)
        report.rows.append(Row(name, p.shape, result))
    return report
