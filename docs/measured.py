"""What the gradient checker says about each row: the worst relative error, measured now."""

from functools import cache

import numpy as np

import cnn
import functional_net as fn
import net
from gradcheck.case import Case, distinct_values
from gradcheck.judge import judge
from gradcheck.ours import adapters

__all__ = ["worst_errors"]

N, D, H, K = 5, 7, 3, 11  # primes that differ: no transpose and no factor can hide
Errors = tuple[float, float, float]  # functional_net, net, cnn; a correct gradient stays below 1e-7


@cache
def worst_errors(row: str) -> Errors:
    """The worst error in functional_net, net and cnn; inf where a rule of the checker is broken."""
    return tuple(worst(case, arrays) for case, arrays in cases()[row])  # type: ignore[return-value]


def worst(case: Case, arrays: str) -> float:
    """Over the arrays named, or over all."""
    report = judge(case)
    names = arrays.split() or [row.name for row in report.rows]
    broken = bool(report.breaches)
    return max(np.inf if broken else 0.0, *(report[name].result.error for name in names))


@cache
def cases() -> dict[str, list[tuple[Case, str]]]:
    """For each row three cases, and the arrays of them that the row is about."""
    rng = np.random.default_rng(0)
    X, y = distinct_values((N, D), rng), np.eye(K)[rng.integers(K, size=N)]
    scores = distinct_values((N, K), rng, 3)
    params = fn.init(D, H, K, rng, np.float64)
    pure = adapters.functional_backward(params, X)
    dense = net.FullyConnectedLayer(H)
    dense.build(D, rng, np.float64)
    dense_case, relu_case = adapters.net_layer(dense, X.T), adapters.net_layer(net.ReLuLayer(), X.T)
    linear_case = adapters.cnn_layer(cnn.Linear(D, H, rng, np.float64), X)
    model = net.perceptron([D, H, K], dtype=np.float64)
    modules = [cnn.Linear(D, H, rng, np.float64), cnn.ReLU(), cnn.Linear(H, K, rng, np.float64)]
    return {
        "E4": [
            (adapters.functional_loss(scores, y, "cross_entropy"), ""),
            (adapters.net_cost(net.SoftmaxCrossEntropy(), scores.T, y.T), ""),
            (adapters.cnn_loss(cnn.CrossEntropyLoss(), scores, y), ""),
        ],
        "E5": [(pure, "W1 W2"), (dense_case, "W"), (linear_case, "W")],
        "E6": [(pure, "b1 b2"), (dense_case, "b"), (linear_case, "b")],
        "E7": [(pure, "X"), (dense_case, "X"), (linear_case, "X")],
        "E8": [(pure, "X"), (relu_case, "X"), (adapters.cnn_layer(cnn.ReLU(), X), "X")],
        "E9": [
            (adapters.update_case(adapters.functional_update, rng), ""),
            (adapters.update_case(adapters.net_update, rng), ""),
            (adapters.update_case(adapters.cnn_update, rng), ""),
        ],
        "check": [
            (adapters.functional_case(params, X, y), ""),
            (adapters.net_case(model, X.T, y.T), ""),
            (adapters.cnn_case(cnn.Net(modules, cnn.CrossEntropyLoss), X, y), ""),
        ],
    }
