"""What the gradient checker says about each row: the worst relative error, measured now."""

from functools import cache

import numpy as np

import cnn
import functional_net as fn
import net
from gradcheck.case import Case
from gradcheck.judge import judge
from gradcheck.ours import adapters

__all__ = ["BOUND", "worst_errors"]

N, D, H, K = 5, 7, 3, 11  # primes that differ: no transpose and no factor can hide
BOUND = 2e-8  # no error lies near it, so the page is the same on every machine
ARRAYS = {"E5": "W", "E6": "b", "E7": "X", "E8": "X", "check": ""}  # a letter of their names


@cache
def worst_errors() -> dict[str, list[float]]:
    """For each row the worst error in functional_net, net and cnn."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, D)), np.eye(K)[rng.integers(K, size=N)]
    params, scores = fn.init(D, H, K, rng, np.float64), 3 * rng.standard_normal((N, K))
    model = net.perceptron([D, H, K], dtype=np.float64)
    layers = [cnn.Linear(D, H, rng, np.float64), cnn.ReLU(), cnn.Linear(H, K, rng, np.float64)]
    losses = [
        adapters.functional_loss(scores, y, "cross_entropy"),
        adapters.loss_case(net.SoftmaxCrossEntropy(), scores.T, y.T),
        adapters.loss_case(cnn.CrossEntropyLoss(), scores, y),
    ]
    nets = [
        errors(adapters.functional_case(params, X, y)),
        errors(adapters.net_case(model, X.T, y.T)),
        errors(adapters.net_case(cnn.Net(layers, cnn.CrossEntropyLoss), X, y)),
    ]
    worst = {"E4": [max(errors(loss).values()) for loss in losses]}
    for row, letter in ARRAYS.items():
        worst[row] = [max(e for name, e in net.items() if letter in name) for net in nets]
    return worst


def errors(case: Case) -> dict[str, float]:
    """The worst error of each array; inf where a rule of the checker is broken."""
    report = judge(case)
    return {row.name: np.inf if report.breaches else row.result.error for row in report.rows}
