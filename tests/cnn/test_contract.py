"""The contract of every layer: the call remembers, forward does not; dtypes, memory, mistakes."""

from copy import deepcopy

import numpy as np
import pytest

from cnn import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2D,
    MeanSquareLoss,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

IMAGES = (5, 3, 8, 7)
LAYERS = {
    "linear": (lambda rng, dtype: Linear(11, 7, rng, dtype), (5, 11)),
    "conv": (lambda rng, dtype: Conv2D(3, 2, 3, padding=1, rng=rng, dtype=dtype), IMAGES),
    "conv2": (lambda rng, dtype: Conv2D(3, 2, 3, stride=2, rng=rng, dtype=dtype), IMAGES),
    "max": (lambda rng, dtype: MaxPool2D(), IMAGES),
    "max3": (lambda rng, dtype: MaxPool2D(3, stride=2), IMAGES),
    "avg": (lambda rng, dtype: AvgPool2D(), IMAGES),
    "batchnorm": (lambda rng, dtype: BatchNorm2D(3, dtype=dtype), IMAGES),
    "flatten": (lambda rng, dtype: Flatten(), IMAGES),
    "dropout": (lambda rng, dtype: Dropout(0.4, rng), IMAGES),
    "relu": (lambda rng, dtype: ReLU(), IMAGES),
    "leaky": (lambda rng, dtype: LeakyReLU(), IMAGES),
    "sigmoid": (lambda rng, dtype: Sigmoid(), IMAGES),
    "tanh": (lambda rng, dtype: Tanh(), IMAGES),
    "softmax": (lambda rng, dtype: Softmax(), (5, 7)),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def build(name, dtype=np.float64):
    """A layer and a read-only X for it."""
    rng = np.random.default_rng(0)
    make, shape = LAYERS[name]
    X = rng.standard_normal(shape).astype(dtype)
    X.setflags(write=False)
    return make(rng, dtype), X


def same(a, b):
    """Equal to the bit, through dicts and lists."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b)


@each_layer
def test_forward_and_local_grad_write_nothing(name):
    layer, X = build(name)
    layer(X + 1)
    before = deepcopy(vars(layer))
    first = layer.forward(X), layer.local_grad(X)
    assert same(vars(layer), before)
    assert same(first, (layer.forward(X), layer.local_grad(X)))


@each_layer
def test_the_call_remembers_what_local_grad_returns(name):
    layer, X = build(name)
    wanted = layer.local_grad(X)
    Y = layer(X)
    assert same(layer.local, wanted)
    if name not in ("batchnorm", "dropout"):  # these two differ at inference by design
        np.testing.assert_array_equal(layer.forward(X), Y)


@each_layer
def test_backward_leaves_dY_alone_and_can_be_repeated(name):
    layer, X = build(name)
    dY = np.random.default_rng(1).standard_normal(layer(X).shape)
    dY.setflags(write=False)
    first = layer.backward(dY), dict(layer.grads)
    layer.forward(X - 1)  # inference in between disturbs nothing
    assert same(first, (layer.backward(dY), layer.grads))
    assert not np.any(layer.backward(0 * dY))


@each_layer
def test_gradients_writes_the_grads_of_backward(name):
    layer, X = build(name)
    dY = np.random.default_rng(1).standard_normal(layer(X).shape)
    layer.backward(dY)
    wanted, layer.grads = layer.grads, {}
    layer.gradients(dY)
    assert same(layer.grads, wanted)
    assert layer.grads.keys() == layer.params.keys()


@each_layer
@each_dtype
def test_the_dtype_stays(name, dtype):
    layer, X = build(name, dtype)
    assert layer.forward(X).dtype == layer(X).dtype == dtype
    assert layer.backward(np.ones_like(layer(X))).dtype == dtype
    assert all(g.dtype == dtype for g in layer.grads.values())
    assert all(v.dtype in (dtype, np.int64) for v in layer.state.values())


@each_layer
def test_float32_agrees_with_float64(name):
    (narrow, X), (wide, _) = build(name, np.float32), build(name, np.float64)
    Y = narrow(X)
    dY = np.random.default_rng(1).standard_normal(Y.shape).astype(np.float32)
    if name != "dropout":
        np.testing.assert_allclose(Y, wide(X), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(narrow.backward(dY), wide.backward(dY), rtol=1e-4, atol=1e-5)


@each_layer
def test_memory_order_does_not_matter(name):
    layer, X = build(name)
    Y = layer(X)
    dY = np.random.default_rng(1).standard_normal(Y.shape)
    wanted = Y, layer.backward(dY), dict(layer.grads)
    layer, _ = build(name)
    for order in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
        layer.state = build(name)[0].state
        got = layer(order(X)), layer.backward(order(dY)), dict(layer.grads)
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(got[1], wanted[1], rtol=1e-12, atol=1e-12)
        for key, gradient in wanted[2].items():
            np.testing.assert_allclose(got[2][key], gradient, rtol=1e-12, atol=1e-12)


@each_layer
def test_an_upstream_of_another_dtype_does_not_change_ours(name):
    layer, X = build(name, np.float32)
    dY = np.random.default_rng(1).standard_normal(layer(X).shape)
    assert layer.backward(dY).dtype == np.float32
    assert all(g.dtype == np.float32 for g in layer.grads.values())


@each_layer
def test_one_sample_works(name):
    layer, X = build(name)
    Y = layer(X[:1])
    assert len(Y) == 1
    assert layer.backward(np.ones_like(Y)).shape == X[:1].shape


@each_layer
def test_weights_replaced_by_float64_arrays_set_the_dtype(name):
    layer, X = build(name, np.float32)
    for key, W in layer.params.items():
        layer.params[key] = W.astype(np.float64)
    if layer.params:
        assert layer(X).dtype == layer.forward(X).dtype == np.float64
        assert layer.backward(np.ones(layer.out_shape)).dtype == np.float64


@each_layer
def test_integers_become_floats(name):
    layer, X = build(name, np.float32)
    X = np.round(3 * X).astype(np.int64)
    Y = layer.forward(X)
    assert Y.dtype == np.float32
    np.testing.assert_array_equal(Y, layer.forward(X.astype(np.float32)))


@each_layer
def test_backward_before_a_call(name):
    layer, X = build(name)
    with pytest.raises(RuntimeError, match="backward expects a call first, got none"):
        layer.backward(X)


@each_layer
def test_wrong_dY(name):
    layer, X = build(name)
    layer(X)
    with pytest.raises(ValueError, match=r"backward expects dY of shape \(5, .*\), got \(1, 2\)"):
        layer.backward(np.ones((1, 2)))


@each_layer
def test_wrong_dtypes_and_no_samples(name):
    layer, X = build(name)
    for method in (layer, layer.forward, layer.local_grad):
        with pytest.raises(TypeError, match="expects real numbers, got X of dtype <U"):
            method(X.astype(str))
        with pytest.raises(TypeError, match="expects real numbers, got X of dtype complex128"):
            method(X.astype(complex))
        with pytest.raises(ValueError, match=r"expects at least one sample, got X of shape \(0, "):
            method(X[:0])
        with pytest.raises(ValueError, match=r"expects .*, got X of shape \(\)"):
            method(5.0)


WRONG_SHAPES = [
    ("linear", (5, 12), r"Linear\(11, 7\): expects 11 columns, got X of shape \(5, 12\)"),
    ("linear", (11,), r"expects 11 columns, got X of shape \(11,\)"),
    ("conv", (5, 2, 8, 7), r"Conv2D\(3, 2, 3\): expects images \(N, 3, H, W\), got X of shape"),
    ("conv", (3, 8, 7), r"expects images \(N, 3, H, W\), got X of shape \(3, 8, 7\)"),
    ("conv2", (5, 3, 2, 7), r"expects images of \(3, 3\) or more, padding included, got X of"),
    ("max3", (5, 3, 8, 2), r"MaxPool2D\(3\): expects images \(N, C, H, W\) of \(3, 3\) or more"),
    ("avg", (5, 3), r"AvgPool2D\(2\): expects images \(N, C, H, W\) of \(2, 2\) or more, got"),
    ("batchnorm", (5, 2, 8, 7), r"BatchNorm2D\(3\): expects images \(N, 3, H, W\), got X of"),
    ("flatten", (5,), r"Flatten\(\): expects samples with at least one axis each, got X of"),
    ("softmax", (5,), r"Softmax\(\): expects rows of scores \(N, K\), got X of shape \(5,\)"),
]


@pytest.mark.parametrize(("name", "shape", "message"), WRONG_SHAPES)
def test_wrong_shapes(name, shape, message):
    layer, _ = build(name)
    for method in (layer, layer.forward, layer.local_grad):
        with pytest.raises(ValueError, match=message):
            method(np.ones(shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0, 3), r"Linear expects an integer or two, 1 or more, got \(0, 3\)"),
        (lambda: Linear(2.5, 3), r"Linear expects an integer or two, 1 or more, got \(2.5, 3\)"),
        (lambda: Conv2D(1, 0), r"Conv2D channels expects an integer or two, 1 or more"),
        (lambda: Conv2D(1, 1, (3, 3, 3)), r"Conv2D kernel_size expects an integer or two"),
        (lambda: Conv2D(1, 1, stride=0), r"Conv2D stride expects .* got 0"),
        (lambda: Conv2D(1, 1, padding=-1), r"Conv2D padding expects .* 0 or more, got -1"),
        (lambda: Conv2D(1, 1, padding="valid"), r"Conv2D padding expects .* got 'valid'"),
        (lambda: Conv2D(1, 1, stride=2, padding="same"), r'"same" expects stride 1, got 2'),
        (lambda: MaxPool2D(0), r"MaxPool2D kernel_size expects .* 1 or more, got 0"),
        (lambda: AvgPool2D(2, stride=1.5), r"AvgPool2D stride expects .* got 1.5"),
        (lambda: BatchNorm2D(0), r"BatchNorm2D expects an integer .* got 0"),
        (lambda: Dropout(1), r"Dropout expects a share from 0 to below 1, got 1"),
        (lambda: MeanSquareLoss("sum"), 'expected to be "mean" or "none", got \'sum\''),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_without_a_generator_get_different_weights():
    a, b = Linear(3, 4), Linear(3, 4)
    assert not np.array_equal(a.params["W"], b.params["W"])
    a, b = (Linear(3, 4, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a.params["W"], b.params["W"])


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [(lambda **k: Linear(200, 300, **k), 200), (lambda **k: Conv2D(20, 50, 5, **k), 500)],
)
def test_the_variance_of_the_weights_is_gain_over_fan_in(make, fan_in):
    for gain in (1, 2):
        W = make(rng=np.random.default_rng(0), gain=gain).params["W"]
        assert abs(W.var() * fan_in / gain - 1) < 0.05
        assert W.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(3, 2, gain=-1), "Linear expects a gain above 0, got -1"),
        (lambda: Conv2D(1, 2, gain=float("nan")), "Conv2D expects a gain above 0, got nan"),
        (lambda: BatchNorm2D(3, epsilon=0), "BatchNorm2D expects an epsilon above 0, got 0"),
        (lambda: BatchNorm2D(3, momentum=2), "BatchNorm2D expects a momentum from 0 to 1, got 2"),
        (lambda: LeakyReLU("x"), "LeakyReLU expects a finite alpha, got 'x'"),
        (lambda: Dropout(None), "Dropout expects a share from 0 to below 1, got None"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_nothing_is_kept_that_backward_does_not_need():
    X = np.ones((10, 3, 8, 8), np.float32)
    kept = MaxPool2D()
    kept(X)
    assert sum(m.nbytes for m in kept.local["winners"]) == X.size  # one byte a pixel
    conv = Conv2D(3, 2, padding=1)
    conv(X)
    assert conv.local["P"].shape == (10, 3, 10, 10)  # X and its padding, no columns
    assert conv.local["W"] is conv.params["W"]
    assert ReLU().local_grad(X)["slope"].dtype == bool
    assert CrossEntropyLoss().local_grad(np.ones((3, 4)), [0, 1, 2]).keys() == {"dX"}


def random_input(rng):
    """Anything: any number of axes, sizes and dtype, ends of the range, nan, lists, nothing."""
    shape = tuple(rng.integers(0, [6, 4, 9, 9, 3])[: rng.integers(0, 6)])
    X = rng.choice([-1e30, -1.0, 0.0, 1e-40, 2.0, np.inf, np.nan], shape)
    with np.errstate(all="ignore"):
        dtype = rng.choice(["f2", "f4", "f8", "i1", "u8", "bool", "c16", "U3", "O", ">f4"])
        return X.tolist() if rng.random() < 0.1 else np.asarray(X).astype(dtype)


@each_layer
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fuzz_only_the_documented_errors_come_out(name):
    rng = np.random.default_rng(0)
    layer, good = build(name, np.float32)
    accepted = 0
    with np.errstate(all="ignore"):
        for _ in range(300):
            X = random_input(rng)
            try:
                Y = layer(X)
                accepted += 1
                assert Y.dtype.kind == "f" and layer.backward(np.ones_like(Y)).shape == np.shape(X)
            except (ValueError, TypeError) as error:
                assert str(error).startswith(f"{layer}: expects "), error
            layer.state = build(name, np.float32)[0].state
    assert np.isfinite(layer.forward(good)).all()
    assert accepted >= (20 if name in ("relu", "leaky", "sigmoid", "tanh", "dropout") else 0)
