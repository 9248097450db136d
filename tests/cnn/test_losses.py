"""The losses: values, gradients, forms of the targets, mistakes."""

import naive
import numpy as np
import pytest

from cnn.losses import CrossEntropyLoss, MeanSquareLoss
from datasets import one_hot


@pytest.mark.parametrize("seed", range(20))
def test_cross_entropy(seed):
    rng = np.random.default_rng(seed)
    N, K = rng.integers(1, 8, 2)
    X, labels = 3 * rng.standard_normal((N, K)), rng.integers(0, K, N)
    loss = CrossEntropyLoss()
    value, dX = naive.cross_entropy(X, labels)
    assert loss(X, labels) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), dX, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(loss.backward(-2.5), -2.5 * dX, rtol=1e-10, atol=1e-14)


def test_cross_entropy_takes_labels_a_column_or_one_hot_rows():
    X, labels = np.random.default_rng(0).standard_normal((4, 3)), np.array([2, 0, 1, 1])
    loss = CrossEntropyLoss()
    wanted = loss(X, labels), loss.backward()
    forms = [labels.tolist(), labels[:, None], labels.astype(np.uint8), one_hot(labels, 3)]
    for y in [*forms, one_hot(labels, 3, bool), one_hot(labels, 3, np.int64)]:
        assert (loss(X, y), loss.backward().tolist()) == (wanted[0], wanted[1].tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_stable(dtype):
    X = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype)
    loss = CrossEntropyLoss()
    with np.errstate(all="raise"):
        assert loss(X, [1, 1]) == pytest.approx((2e4 + np.log(2)) / 2, rel=1e-6)
        dX = loss.backward()
    np.testing.assert_allclose(dX, [[0.5, -0.5, 0], [0, -0.25, 0.25]], atol=1e-7)
    assert dX.dtype == dtype
    assert type(loss(X, [1, 1])) is float


def test_mean_square():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2, 4, 3))
    loss = MeanSquareLoss()
    total = sum((X[n, d] - y[n, d]) ** 2 for n, d in np.ndindex(X.shape))
    assert loss(X, y) == pytest.approx(total / 12, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), 2 / 12 * (X - y))


def test_mean_square_without_reduction_gives_the_squares():
    rng = np.random.default_rng(0)
    X, y, dY = rng.standard_normal((3, 4, 3))
    loss = MeanSquareLoss(reduction="none")
    np.testing.assert_allclose(loss(X, y), (X - y) ** 2)
    np.testing.assert_allclose(loss.backward(dY), 2 * (X - y) * dY)


@pytest.mark.parametrize("loss", [CrossEntropyLoss(), MeanSquareLoss(), MeanSquareLoss("none")])
def test_forward_and_local_grad_write_nothing(loss):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 3)), one_hot([0, 1, 2, 0], 3)
    X.setflags(write=False), y.setflags(write=False)
    np.testing.assert_array_equal(loss.forward(X, y), loss.forward(X, y))
    assert not loss.local
    with pytest.raises(RuntimeError, match=r"Loss.*: backward expects a call first, got none"):
        loss.backward()
    wanted = loss.local_grad(X, y)["dX"]
    loss(X, y)
    np.testing.assert_array_equal(loss.backward(), wanted)
    loss.local = {}


ONE_HOT_WRONG = "one-hot rows with a single 1, got others"


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0, 1, 2], ValueError, r"expects labels \(2,\) or one-hot \(2, 3\), got y of shape \(3,"),
        ([[0, 1]], ValueError, r"expects labels .* got y of shape \(1, 2\)"),
        ([0.0, 1.0], TypeError, r"expects integer labels or one-hot rows, got float64"),
        (["a", "b"], TypeError, r"expects integer labels .* got <U1"),
        ([0, 3], ValueError, r"expects labels from 0 to 2, got 0 to 3"),
        ([-1, 0], ValueError, r"expects labels from 0 to 2, got -1 to 0"),
        ([[1, 0, 1], [1, 0, 0]], ValueError, ONE_HOT_WRONG),
        ([[0, 0, 0], [1, 0, 0]], ValueError, ONE_HOT_WRONG),
        ([[0.5, 0, 0], [1, 0, 0]], ValueError, ONE_HOT_WRONG),
        ([["a", "b", "c"]] * 2, TypeError, r"got <U1"),
    ],
)
def test_wrong_targets(y, error, message):
    with pytest.raises(error, match=message):
        CrossEntropyLoss()(np.ones((2, 3)), y)


@pytest.mark.parametrize("loss", [CrossEntropyLoss(), MeanSquareLoss()])
def test_wrong_scores(loss):
    with pytest.raises(ValueError, match=r"Loss\(\): expects rows \(N, D\), got X of shape \(3,\)"):
        loss(np.ones(3), [0, 1, 2])
    with pytest.raises(ValueError, match=r"expects rows \(N, D\), got X of shape \(0, 3\)"):
        loss(np.ones((0, 3)), [])
    with pytest.raises(TypeError, match="expects real numbers, got X of dtype complex128"):
        loss(np.ones((2, 3), complex), [0, 1])


def test_mean_square_never_broadcasts():
    with pytest.raises(ValueError, match=r"expects y of shape \(4, 1\), got \(4,\)"):
        MeanSquareLoss()(np.ones((4, 1)), np.ones(4))
    with pytest.raises(TypeError, match=r"expects real numbers, got y of dtype <U1"):
        MeanSquareLoss()(np.ones((1, 1)), [["a"]])
