"""functional_net: pure functions, that is: same arguments, same bits, and nothing changed."""

import inspect
from pathlib import Path

import numpy as np
import pytest

import functional_net as fn
from datasets import blobs, load_mnist, minibatches, spirals, xor

D, H, K, N = 5, 7, 3, 4


def frozen(values):
    """The same arrays, read-only: a function that writes to one raises at the guilty line."""
    if isinstance(values, np.ndarray):
        values.setflags(write=False)
    elif isinstance(values, tuple):
        for value in values:
            frozen(value)
    return values


def arguments(dtype=np.float64):
    """One value for each name that an argument of functional_net has."""
    rng = np.random.default_rng(0)
    params, velocity, grads = (fn.init(D, H, K, rng, dtype) for _ in range(3))
    X = rng.standard_normal((N, D)).astype(dtype)
    y = np.eye(K, dtype=dtype)[[0, 1, 2, 0]]
    Z1, A1, logits = fn.forward(params, X)
    _, dlogits = fn.cross_entropy(logits, y)
    values = {"D": D, "H": H, "K": K, "dtype": dtype, "params": params, "velocity": velocity}
    values |= {"grads": grads, "X": X, "y": y, "Z1": Z1, "A1": A1, "logits": logits}
    values |= {"dlogits": dlogits, "lr": 0.1, "momentum": 0.9, "epochs": 2, "batch_size": 3}
    values |= {"loss": fn.cross_entropy, "weights": fn.to_weights(params), "verbose": 0}
    return {name: frozen(value) for name, value in values.items()}


FUNCTIONS = [
    function
    for name, function in vars(fn).items()
    if inspect.isfunction(function) and function.__module__ == fn.__name__ and name != "main"
]


def flat(result) -> list[np.ndarray]:
    """All arrays and numbers of a result, in order; an iterator is run to its end."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, np.ndarray | float | int):
        return [np.asarray(result)]
    return [array for part in result for array in flat(part)]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_every_function_is_pure(function):
    values = arguments()
    names = inspect.signature(function).parameters
    results = []
    for _ in range(2):
        values["rng"] = np.random.default_rng(3)
        results.append(flat(function(**{name: values[name] for name in names})))
    assert results[0] and len(results[0]) == len(results[1])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*results, strict=True))


def test_a_step_is_forward_loss_backward_update():
    values = arguments()
    params, velocity = values["params"], values["velocity"]
    *stepped, loss, right = fn.step(params, velocity, values["X"], values["y"], 0.1, 0.9)
    grads = fn.backward(*(values[name] for name in ("params", "X", "Z1", "A1", "dlogits")))
    expected = fn.update(params, velocity, grads, 0.1, 0.9)
    assert all(map(np.array_equal, flat(stepped), flat(expected)))
    assert loss == fn.cross_entropy(values["logits"], values["y"])[0]
    assert right == fn.hits(values["logits"], values["y"])


def test_training_takes_steps_over_shuffled_batches():
    values = arguments()
    X, y, params = values["X"], values["y"], values["params"]
    trained = fn.train(params, X, y, [0.1, 0.05], 0.9, epochs=2, batch_size=3)
    velocity, rng = fn.zeros(params), np.random.default_rng(0)
    for lr in (0.1, 0.05):
        for batch in minibatches(X, y, 3, rng):
            params, velocity, _, _ = fn.step(params, velocity, *batch, lr, 0.9)
    assert all(map(np.array_equal, trained, params))


def test_float32_stays_float32():
    values = arguments(np.float32)
    params, velocity, _, _ = fn.step(
        values["params"], values["velocity"], values["X"], values["y"], 0.1, 0.9
    )
    assert {array.dtype for array in (*params, *velocity)} == {np.dtype(np.float32)}
    trained = fn.train(values["params"], values["X"], values["y"], np.float64(0.1), np.float64(0.9))
    assert {array.dtype for array in trained} == {np.dtype(np.float32)}


def test_init_scales_with_fan_in():
    params = fn.init(1000, 800, 600, np.random.default_rng(0))
    assert params.W1.std() == pytest.approx((2 / 1000) ** 0.5, rel=0.01)  # He: a ReLU follows
    assert params.W2.std() == pytest.approx((1 / 800) ** 0.5, rel=0.01)
    assert not params.b1.any() and not params.b2.any()


# --- the losses -----------------------------------------------------------------


def test_cross_entropy_of_known_probabilities():
    y = np.eye(3)[[0, 2]]
    loss, dlogits = fn.cross_entropy(np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), y)
    assert loss == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert dlogits * 2 == pytest.approx(np.array([[-0.5, 0.25, 0.25], [0.1, 0.1, -0.2]]))


def test_squared_error_of_known_values():
    loss, dlogits = fn.squared_error(np.array([[1.0, 0.0], [0.0, 3.0]]), np.eye(2))
    assert loss == pytest.approx((0 + 4) / 2 / 2) and dlogits.tolist() == [[0, 0], [0, 1]]


def test_losses_do_not_overflow():
    logits, y = np.array([[1e4, -1e4], [1e4, -1e4]]), np.eye(2)
    loss, dlogits = fn.cross_entropy(logits, y)
    assert loss == pytest.approx(1e4) and np.isfinite(dlogits).all()
    assert fn.softmax(logits).tolist() == [[1, 0], [1, 0]]


def test_softmax_does_not_see_a_shift():
    logits = np.random.default_rng(0).standard_normal((4, 3))
    assert fn.softmax(logits + 100) == pytest.approx(fn.softmax(logits))


# --- training -------------------------------------------------------------------


def test_the_momentum_step_is_e9():
    values = arguments()
    params, velocity = fn.update(
        values["params"], values["velocity"], values["grads"], lr=0.1, momentum=0.9
    )
    for W, V, dW, new_W, new_V in zip(
        values["params"], values["velocity"], values["grads"], params, velocity, strict=True
    ):
        assert new_V == pytest.approx(0.9 * V - 0.1 * dW) and new_W == pytest.approx(W + new_V)


@pytest.mark.parametrize("loss", [fn.cross_entropy, fn.squared_error])
def test_it_learns_what_no_line_separates(loss):
    X, y = xor()
    params = fn.init(2, 16, 2, np.random.default_rng(0))
    params = fn.train(params, X, y, 0.1, 0.9, epochs=100, batch_size=4, loss=loss)
    assert fn.accuracy(params, X, y) == 1
    X, y = spirals(50, np.random.default_rng(0), noise=0)
    params = fn.init(2, 64, 2, np.random.default_rng(0))
    params = fn.train(params, X, y, 0.1, 0.9, epochs=150, batch_size=20, loss=loss)
    assert fn.accuracy(params, X, y) > 0.97


def test_it_learns_mnist_within_a_second():
    X, y, X_test, y_test = load_mnist(train_size=5000)
    params = fn.init(784, 50, 10, np.random.default_rng(0))
    params = fn.train(params, X, y, lr=0.1, momentum=0.5, epochs=2, batch_size=20)
    assert fn.accuracy(params, X_test, y_test) > 0.88


def test_a_seed_repeats_a_run_and_every_rate_matters():
    X, y = blobs(20, 3, 4, np.random.default_rng(0))

    def trained(**options):
        settings = {"lr": 0.1, "momentum": 0.1, "epochs": 2, "batch_size": 7, "seed": 0} | options
        params = fn.init(4, 5, 3, np.random.default_rng(1))
        rng = np.random.default_rng(settings.pop("seed"))
        return fn.train(params, X, y, rng=rng, **settings).W1.tobytes()

    assert trained() == trained() == trained(lr=[0.1, 0.1], momentum=(0.1,))
    changes = (
        {"lr": 0.2},
        {"momentum": 0.2},
        {"epochs": 3},
        {"batch_size": 8},
        {"seed": 1},
        {"lr": [0.1, 0.2]},
        {"momentum": [0.1, 0.2]},
        {"loss": fn.squared_error},
    )
    results = {trained(**change) for change in ({}, *changes)}
    assert len(results) == 1 + len(changes)


def test_a_diverging_run_stops_at_once():
    X, y = blobs(20, 3, 4, np.random.default_rng(0))
    params = fn.init(4, 5, 3, np.random.default_rng(1))
    with pytest.raises(FloatingPointError, match=r"at step \d+ with lr = 1e\+30: .*try a tenth"):
        fn.train(params, X, y, lr=1e30)
    with pytest.raises(FloatingPointError, match="the weights became nan or inf with lr = 1e"):
        fn.train(params, X, y, lr=1e39, epochs=1, batch_size=60)  # no later loss can tell


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((4, D + 1)), np.eye(K)[[0, 1, 2, 0]], r"X of shape \(N, 5\), got \(4, 6\)"),
        (np.zeros((4, D)), np.eye(K), r"y of shape \(4, 3\), got \(3, 3\)"),
        (np.full((4, D), np.nan), np.eye(K)[[0, 1, 2, 0]], "finite X"),
    ],
)
def test_train_refuses_what_does_not_fit(X, y, message):
    with pytest.raises(ValueError, match=message):
        fn.train(fn.init(D, H, K, np.random.default_rng(0)), X, y)


def test_predict_names_the_shape_that_it_wants():
    with pytest.raises(ValueError, match=r"predict expects X of shape \(N, 5\), got \(5,\)"):
        fn.predict(arguments()["params"], np.zeros(5))


def test_no_name_is_global_and_no_line_is_wider_than_the_page():
    lines = Path(fn.__file__).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.strip().startswith("global ")]
