"""Every layer against its naive twin: values and all gradients, on random shapes."""

import math

import naive
import numpy as np
import pytest

from cnn import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

SEEDS = range(12)


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


def random_images(rng, N, C, H, W, memory="NCHW"):
    """Images in one of the memory orders that layers are handed."""
    if memory == "CHWN":
        return rng.standard_normal((C, H, W, N)).transpose(3, 0, 1, 2)
    return rng.standard_normal((N, C, H, W))


def agrees(layer, X, Y, backward, rng):
    """The layer's output, dX and grads are those of the twin, for a random upstream."""
    close(layer(X), Y)
    dY = rng.standard_normal(Y.shape)
    wanted = backward(dY)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    close(layer.backward(dY), wanted[0])
    for name, gradient in zip(layer.params, wanted[1:], strict=True):
        close(layer.grads[name], gradient)
        assert layer.grads[name].shape == layer.params[name].shape


@pytest.mark.parametrize("seed", SEEDS)
def test_linear(seed):
    rng = np.random.default_rng(seed)
    N, D, K = rng.integers(1, 8, 3)
    layer = Linear(D, K, rng, np.float64)
    layer.params["b"][...] = rng.standard_normal((1, K))
    X = rng.standard_normal((N, D))
    agrees(layer, X, *naive.linear(X, **layer.params), rng)


@pytest.mark.parametrize("seed", range(30))
def test_conv(seed):
    rng = np.random.default_rng(seed)
    N, C, F, KH, KW, SH, SW = rng.integers(1, [5, 4, 5, 5, 5, 4, 4])
    pads = tuple(rng.integers(0, 3, 2))
    least = [max(0, KH - 2 * pads[0]), max(0, KW - 2 * pads[1])]
    H, W = rng.integers(1, 10, 2) + least
    if seed % 2:
        SH = SW = 1
    layer = Conv2D(C, F, (KH, KW), (SH, SW), pads, rng, np.float64)
    layer.params["b"][...] = rng.standard_normal(F)
    X = random_images(rng, N, C, H, W, "CHWN" if seed % 3 else "NCHW")
    twin = naive.conv2d(X, **layer.params, stride=(SH, SW), pads=[(p, p) for p in pads])
    agrees(layer, X, *twin, rng)
    close(layer.forward(X), twin[0])


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, (2, 5), (5, 1)])
def test_conv_same_padding_keeps_the_size(kernel):
    rng = np.random.default_rng(0)
    layer = Conv2D(2, 3, kernel, padding="same", rng=rng, dtype=np.float64)
    X = random_images(rng, 2, 2, 6, 5)
    KH, KW = (kernel, kernel) if isinstance(kernel, int) else kernel
    pads = [((K - 1) // 2, K // 2) for K in (KH, KW)]
    agrees(layer, X, *naive.conv2d(X, **layer.params, stride=(1, 1), pads=pads), rng)
    assert layer(X).shape == (2, 3, 6, 5)


@pytest.mark.parametrize("cache", [1, 2000, 2**40])
def test_conv_does_not_depend_on_the_cache(cache, monkeypatch):
    rng = np.random.default_rng(1)
    X, dY = rng.standard_normal((7, 2, 6, 5)), rng.standard_normal((7, 3, 6, 5))
    layer = Conv2D(2, 3, padding=1, rng=rng, dtype=np.float64)
    wanted = layer(X), layer.backward(dY), layer.grads["W"], layer.grads["b"]
    monkeypatch.setattr("cnn.kernels.CACHE", cache)
    got = layer(X), layer.backward(dY), layer.grads["W"], layer.grads["b"]
    for a, b in zip(got, wanted, strict=True):
        close(a, b)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling(kind, seed):
    rng = np.random.default_rng(seed)
    N, C, KH, KW, SH, SW = rng.integers(1, [4, 4, 4, 4, 5, 5])
    H, W = KH + rng.integers(0, 7), KW + rng.integers(0, 7)
    X = random_images(rng, N, C, H, W, "CHWN" if seed % 3 else "NCHW")
    if seed % 2:
        X = np.round(X)  # many ties
    stride = (SH, SW) if seed % 4 else (KH, KW)
    layer = {"max": MaxPool2D, "avg": AvgPool2D}[kind]((KH, KW), stride)
    agrees(layer, X, *naive.pool2d(X, (KH, KW), stride, kind), rng)


def test_pooling_steps_by_its_kernel_and_crops():
    X = np.arange(35.0).reshape(1, 1, 5, 7)
    assert MaxPool2D()(X).shape == AvgPool2D()(X).shape == (1, 1, 2, 3)
    np.testing.assert_array_equal(MaxPool2D(2)(X)[0, 0], [[8, 10, 12], [22, 24, 26]])


def test_max_pooling_gives_a_tie_to_the_first_pixel_only():
    pool = MaxPool2D(2)
    pool(np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(pool.backward(np.ones((1, 1, 1, 1)))[0, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("seed", SEEDS)
def test_batchnorm(seed):
    rng = np.random.default_rng(seed)
    N, C, H, W = rng.integers(1, 6, 4)
    layer = BatchNorm2D(C, dtype=np.float64)
    layer.params["gamma"][...] = rng.standard_normal(C)
    layer.params["beta"][...] = rng.standard_normal(C)
    X = 3 + 2 * random_images(rng, N, C, H, W, "CHWN" if seed % 2 else "NCHW")
    agrees(layer, X, *naive.batchnorm(X, **layer.params, epsilon=1e-5), rng)


def test_batchnorm_forward_takes_the_running_statistics():
    rng = np.random.default_rng(0)
    layer, X = BatchNorm2D(2, dtype=np.float64), 5 + 3 * rng.standard_normal((6, 2, 4, 4))
    close(layer.forward(X), X / np.sqrt(1 + 1e-5))  # mean 0, variance 1 at the start
    for _ in range(400):
        layer(X)
    mean, var = X.mean(axis=(0, 2, 3)), X.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.state["running_mean"], mean)
    np.testing.assert_allclose(layer.state["running_var"], var)
    wanted = (X - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer.forward(X), wanted)


def test_batchnorm_may_begin_with_the_statistics_of_the_first_batch():
    first, second = np.random.default_rng(0).standard_normal((2, 6, 2, 4, 4)) * 3 + 5
    layer = BatchNorm2D(2, dtype=np.float64, from_first=True)
    layer(first)
    close(layer.state["running_mean"], first.mean(axis=(0, 2, 3)))
    close(layer.state["running_var"], first.var(axis=(0, 2, 3), ddof=1))
    layer(second)  # from now on as without
    mean = 0.9 * first.mean(axis=(0, 2, 3)) + 0.1 * second.mean(axis=(0, 2, 3))
    close(layer.state["running_mean"], mean)


def test_batchnorm_in_float32_survives_a_large_mean():
    X = (1e4 + np.random.default_rng(0).standard_normal((50, 1, 8, 8))).astype(np.float32)
    Y = BatchNorm2D(1)(X)
    assert abs(Y.std() - 1) < 0.01


TWINS = {
    "ReLU": (ReLU(), lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "LeakyReLU": (LeakyReLU(0.1), lambda x: x if x > 0 else 0.1 * x, lambda x: 1 if x > 0 else 0.1),
    "Sigmoid": (
        Sigmoid(),
        lambda x: 1 / (1 + math.exp(-x)),
        lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
    ),
    "Tanh": (Tanh(), math.tanh, lambda x: 1 / math.cosh(x) ** 2),
}


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("name", TWINS)
def test_activations(name, shape):
    rng = np.random.default_rng(0)
    layer, f, slope = TWINS[name]
    X = 3 * rng.standard_normal(shape)
    agrees(layer, X, *naive.entrywise(X, f, slope), rng)
    close(layer.forward(X), layer(X))


def test_softmax():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 5))
    agrees(Softmax(), X, *naive.softmax(X), rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_overflow_at_ten_thousand(dtype):
    X = np.array([[-1e4, 1e4, 0.0], [1e4, 1e4, -1e4]], dtype)
    with np.errstate(all="raise"):
        for layer in (Sigmoid(), Tanh(), Softmax(), ReLU(), LeakyReLU()):
            assert np.isfinite(layer(X)).all()
            assert np.isfinite(layer.backward(np.ones_like(X))).all()
    np.testing.assert_array_equal(Sigmoid()(X)[0], [0, 1, 0.5])
    np.testing.assert_array_equal(Softmax()(X), [[0, 1, 0], [0.5, 0.5, 0]])


def test_flatten():
    X = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    layer = Flatten()
    np.testing.assert_array_equal(layer(X), X.reshape(2, 60))
    np.testing.assert_array_equal(layer.backward(X.reshape(2, 60)), X)


def test_dropout():
    layer, X = Dropout(0.3, np.random.default_rng(0)), np.ones((200, 100), np.float32)
    Y = layer(X)
    np.testing.assert_array_equal(np.unique(Y), np.float32([0, 1 / 0.7]))
    assert abs(Y.mean() - 1) < 0.02  # four standard deviations
    np.testing.assert_array_equal(layer.backward(X), Y)
    assert not np.array_equal(layer(X), Y)  # another mask in each call
    np.testing.assert_array_equal(layer.forward(X), X)
