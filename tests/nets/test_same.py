"""One trajectory: the three implementations agree to rounding, on other seeds and sizes, too."""

import numpy as np
import pytest

from benchmarks.same import difference, trajectories
from datasets import load_mnist
from functional_net import Params, accuracy


@pytest.fixture(scope="module")
def mnist():
    return load_mnist(train_size=8000)


@pytest.mark.parametrize(("hidden", "batch_size", "seed"), [(100, 20, 0), (7, 33, 1), (1, 1, 2)])
def test_200_steps_in_float64_agree_to_1e10(mnist, hidden, batch_size, seed):
    X, y = (array.astype(np.float64) for array in mnist[:2])
    found = trajectories(X, y, hidden, batch_size, seed, steps=200)
    losses, weights = found.pop("functional_net")
    assert losses[0] > losses[-1] or hidden == 1
    for other_losses, other_weights in found.values():
        assert difference(losses, other_losses) < 1e-10
        assert all(difference(a, b) < 1e-10 for a, b in zip(weights, other_weights, strict=True))


def test_a_float32_epoch_ends_within_a_tenth_of_a_point(mnist):
    found = trajectories(*mnist[:2], hidden=100, batch_size=20, seed=0)
    params = [Params(*map(np.atleast_2d, weights)) for _, weights in found.values()]
    accuracies = [accuracy(each, *mnist[2:]) for each in params]
    assert min(accuracies) > 0.88 and max(accuracies) - min(accuracies) < 0.001
