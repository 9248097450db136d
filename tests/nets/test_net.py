"""net: layers that hold their weights, and a network that Keras users find their way in."""

import numpy as np
import pytest

import net
from datasets import blobs, load_mnist, minibatches, spirals, xor
from net import (
    AbsLayer,
    FeedForwardNet,
    FullyConnectedLayer,
    InputLayer,
    LeakyReLuLayer,
    MeanSquaredError,
    ReLuLayer,
    SigmoidLayer,
    SoftmaxCrossEntropy,
    TanhLayer,
)


def small(*layers, cost=None, seed=0, dtype=np.float64) -> FeedForwardNet:
    """3 inputs, 2 outputs, and layers between."""
    model = FeedForwardNet(cost, seed, dtype)
    for layer in (InputLayer(3), *layers, FullyConnectedLayer(2)):
        model.add(layer)
    return model


# --- layers ---------------------------------------------------------------------

X = np.array([[-2.0, -0.5], [0.5, 3.0]])


@pytest.mark.parametrize(
    ("layer", "Y", "slope"),
    [
        (ReLuLayer(), np.where(X > 0, X, 0), X > 0),
        (LeakyReLuLayer(0.1), np.where(X > 0, X, 0.1 * X), np.where(X > 0, 1, 0.1)),
        (AbsLayer(), abs(X), np.sign(X)),
        (TanhLayer(), np.tanh(X), 1 / np.cosh(X) ** 2),
        (SigmoidLayer(), 1 / (1 + np.exp(-X)), np.exp(-X) / (1 + np.exp(-X)) ** 2),
    ],
    ids=repr,
)
def test_activations_are_their_formulas(layer, Y, slope):
    dY = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert layer.forward(X) == pytest.approx(Y)
    assert layer.backward(dY) == pytest.approx(dY * slope)


@pytest.mark.parametrize("layer", [SigmoidLayer(), TanhLayer()], ids=repr)
def test_activations_do_not_overflow(layer):
    Y = layer.forward(np.array([[-1e4, 1e4]], np.float32))
    assert Y.dtype == np.float32 and Y[0, 1] == 1 and np.isfinite(Y).all()
    assert not layer.backward(np.ones_like(Y)).any()


def test_costs_of_known_values():
    Y = np.log([[0.5, 0.1], [0.25, 0.1], [0.25, 0.8]])
    y = np.eye(3)[:, [0, 2]]
    cost = SoftmaxCrossEntropy()
    assert cost.forward(Y, y) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert cost.backward() * 2 == pytest.approx(np.exp(Y) - y)
    assert cost.forward(np.array([[1e4], [-1e4]]), np.array([[0.0], [1.0]])) == pytest.approx(2e4)
    square = MeanSquaredError()
    assert square.forward(np.array([[1.0, 0], [0, 3]]), np.eye(2)) == pytest.approx(1)
    assert square.backward().tolist() == [[0, 0], [0, 1]]


# --- the network ----------------------------------------------------------------


def test_samples_are_columns_in_forward_and_rows_in_predict():
    model = small(FullyConnectedLayer(4), ReLuLayer())
    X = np.random.default_rng(0).standard_normal((5, 3))
    assert model.forward(X.T).shape == (2, 5)
    assert np.array_equal(model.predict(X), model.forward(X.T).T)
    assert model.probabilities(X).sum(axis=1) == pytest.approx(np.ones(5))


def test_init_scales_with_fan_in_and_doubles_before_a_relu():
    for layer, variance in ((ReLuLayer(), 2), (LeakyReLuLayer(), 2), (TanhLayer(), 1)):
        model = FeedForwardNet()
        model.add(InputLayer(800))
        model.add(FullyConnectedLayer(900))
        model.add(layer)
        assert model.layers[1].W.std() == pytest.approx((variance / 800) ** 0.5, rel=0.01)


def weights(model) -> np.ndarray:
    return flat(model.get_weights())


def flat(arrays) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays])


def gradients(model) -> np.ndarray:
    layers = [layer for layer in model.layers if layer.arrays()]
    return flat(array for layer in layers for array in (layer.dW, layer.db))


def test_the_momentum_step_is_e9():
    model = small(FullyConnectedLayer(4), ReLuLayer())
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3, 3)), np.eye(2)[:, [0, 1, 1]]
    model.set_velocity([rng.standard_normal(V.shape) for V in model.get_velocity()])
    model.loss(model.forward(X), y)
    model.backward()
    W, V, dW = flat(model.get_weights()), flat(model.get_velocity()), gradients(model)
    model.update(lr=0.1, momentum=0.9)
    new_W, new_V = flat(model.get_weights()), flat(model.get_velocity())
    assert new_V == pytest.approx(0.9 * V - 0.1 * dW) and new_W == pytest.approx(W + new_V)


def test_a_step_is_forward_loss_backward_update():
    whole, parts = (small(FullyConnectedLayer(4), ReLuLayer()) for _ in range(2))
    X, y = np.random.default_rng(0).standard_normal((3, 3)), np.eye(2)[[0, 1, 1]]
    for _ in range(2):
        loss, right = whole.step(X, y, 0.1, 0.9)
        Y = parts.forward(X.T)
        assert (loss, right) == (parts.loss(Y, y.T), parts.hits(Y, y.T))
        parts.backward()
        parts.update(0.1, 0.9)
    assert np.array_equal(flat(whole.get_weights()), flat(parts.get_weights()))


def test_input_gradient_is_backward_and_dx():
    model = small(FullyConnectedLayer(4), ReLuLayer())
    y = np.eye(2)[:, [0, 1, 1]]
    model.loss(model.forward(np.random.default_rng(0).standard_normal((3, 3))), y)
    assert model.input_gradient().shape == (3, 3)
    whole = gradients(model)
    for layer in (model.layers[1], model.layers[3]):
        layer.dW = layer.db = np.full(1, np.inf)
    model.backward()
    assert np.array_equal(whole, gradients(model))


@pytest.mark.parametrize("cost", [SoftmaxCrossEntropy, MeanSquaredError])
def test_it_learns_what_no_line_separates(cost):
    for (X, y), rounds in ((xor(), 100), (spirals(50, np.random.default_rng(0), noise=0), 150)):
        model = FeedForwardNet(cost())
        for layer in (InputLayer(2), FullyConnectedLayer(64), ReLuLayer(), FullyConnectedLayer(2)):
            model.add(layer)
        model.train(X, y, 0.1, rounds, momentum=0.9)
        assert model.test(X, y) > 0.97


@pytest.mark.parametrize("layer", [LeakyReLuLayer, SigmoidLayer, TanhLayer, AbsLayer])
def test_every_activation_learns(layer):
    X, y = blobs(20, 3, 4, np.random.default_rng(0))
    model = FeedForwardNet()
    for part in (InputLayer(4), FullyConnectedLayer(8), layer(), FullyConnectedLayer(3)):
        model.add(part)
    history = model.fit(X, y, epochs=20)
    assert model.test(X, y) == 1
    assert history.history["loss"][-1] < history.history["loss"][0] / 2
    assert history.history["accuracy"][-1] == 1


def test_a_slope_must_be_a_number():
    with pytest.raises(ValueError, match="LeakyReLuLayer expects a finite alpha, got nan"):
        LeakyReLuLayer(float("nan"))


def test_it_learns_mnist_within_seconds():
    X, y, X_test, y_test = load_mnist(train_size=5000)
    model = net.perceptron([784, 100, 50, 10])
    model.train(X, y, 0.1, 2)
    assert model.test(X_test, y_test) > 0.88
    assert model.forward(X[:1].T).dtype == np.float32


def test_keras_habits(capsys):
    X, y = blobs(10, 2, 3, np.random.default_rng(0))
    model = small(FullyConnectedLayer(4), ReLuLayer(), dtype=np.float32)
    history = model.fit(X, y, 8, 3)  # batch_size, epochs
    assert {name: len(values) for name, values in history.history.items()} == {
        "loss": 3,
        "accuracy": 3,
    }
    one, two, other = (small(FullyConnectedLayer(4), ReLuLayer()) for _ in range(3))
    one.fit(X, y, 8, 3, 0.2, 0.5)
    two.train(X, y, 0.2, 3, 8, 0.5)
    other.fit(X, y, 8, 3, 0.2, 0.1)
    assert np.array_equal(weights(one), weights(two))
    assert not np.array_equal(weights(one), weights(other))
    loss, accuracy = model.evaluate(X, y)
    assert accuracy == (model.predict(X).argmax(axis=1) == y.argmax(axis=1)).mean()
    assert loss == pytest.approx(net.SoftmaxCrossEntropy().forward(model.forward(X.T), y.T))
    model.fit(X, y, verbose=1, validation_data=(X[:4], y[:4]))
    assert capsys.readouterr().out.startswith("epoch 1/1  loss 0.")
    validated = model.fit(X, y, validation_data=(X[:4], y[:4])).history
    assert [validated["val_loss"][0], validated["val_accuracy"][0]] == [
        *model.evaluate(X[:4], y[:4])
    ]
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["1", "FullyConnectedLayer(4)", "(4,", "N)", "16"]
    assert lines[-1].split() == ["total", "26"]
    FeedForwardNet().summary()
    assert capsys.readouterr().out.splitlines()[-1].split() == ["total", "0"]


def test_weights_come_out_and_go_in():
    one, two = small(seed=1), small(seed=2)
    assert not np.array_equal(weights(one), weights(two))
    two.set_weights(one.get_weights())
    assert np.array_equal(weights(one), weights(two))
    with pytest.raises(ValueError, match=r"arrays of shapes .*\(2, 3\).*, got \[\(2,\)\]"):
        two.set_weights([np.zeros(2)])


def test_a_seed_repeats_a_run_and_every_option_matters():
    X, y = blobs(20, 2, 3, np.random.default_rng(0))

    def trained(seed=0, cost=None, **options):
        model = small(FullyConnectedLayer(4), ReLuLayer(), seed=seed, cost=cost)
        settings = {"learning_rate": 0.1, "epochs": 2, "batch_size": 7, "momentum": 0.1} | options
        model.train(X, y, **settings)
        return weights(model).tobytes()

    assert trained() == trained() == trained(learning_rate=[0.1, 0.1], momentum=(0.1,))
    changes = (
        {"learning_rate": 0.2},
        {"momentum": 0.2},
        {"epochs": 3},
        {"batch_size": 8},
        {"seed": 1},
        {"learning_rate": [0.1, 0.2]},
        {"cost": MeanSquaredError()},
    )
    assert len({trained(**change) for change in ({}, *changes)}) == 1 + len(changes)


def test_a_diverging_run_stops_and_gives_back_the_last_good_weights():
    X, y = blobs(20, 2, 3, np.random.default_rng(0))
    model = small(FullyConnectedLayer(4), ReLuLayer(), dtype=np.float32)
    model.train(X, y, 0.1, 1, momentum=0.9)
    good = model.get_weights() + model.get_velocity()
    with pytest.raises(FloatingPointError, match=r"at step \d+ with lr = 1e\+39: .*try a tenth"):
        model.train(X, y, 1e39, 1)
    with pytest.raises(FloatingPointError, match=r"the weights became nan or inf with lr = 1e\+39"):
        model.train(X, y, 1e39, 1, batch_size=40)  # one step: no later loss can tell
    for array, before in zip(model.get_weights() + model.get_velocity(), good, strict=True):
        assert np.array_equal(array, before)


def test_the_history_weighs_a_smaller_last_batch_by_its_samples():
    X, y = (array[:23] for array in blobs(12, 2, 3, np.random.default_rng(0)))
    one, two = (small(FullyConnectedLayer(4), ReLuLayer()) for _ in range(2))
    history = one.train(X, y, 0.1, 1, batch_size=10).history
    steps = [two.step(*batch, 0.1, 0.1) for batch in minibatches(X, y, 10, two.rng)]
    losses, hits = zip(*steps, strict=True)
    assert history["loss"] == [pytest.approx(np.dot(losses, [10, 10, 3]) / 23)]
    assert history["accuracy"] == [sum(hits) / 23]


def test_columns_of_any_memory_order_give_the_same_result():
    model = small(FullyConnectedLayer(4), ReLuLayer())
    X = np.random.default_rng(0).standard_normal((3, 8))
    frozen = np.asfortranarray(X)
    frozen.setflags(write=False)
    spread = np.zeros((3, 16))[:, ::2]
    spread[:] = X
    assert model.forward(frozen) == pytest.approx(model.forward(X))
    assert model.forward(spread) == pytest.approx(model.forward(X))


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (
            lambda: FeedForwardNet().add(ReLuLayer()),
            ValueError,
            "layer 0: expected an InputLayer f",
        ),
        (lambda: small(InputLayer(3)), ValueError, "layer 1: expected a layer other than InputL"),
        (lambda: FullyConnectedLayer(0), ValueError, "size of 1 or more, got 0"),
        (lambda: InputLayer(-1), ValueError, "size of 1 or more, got -1"),
        (lambda: FeedForwardNet().forward(np.zeros((3, 1))), ValueError, "expected an InputLayer"),
        (
            lambda: small().forward(np.zeros((28, 28, 5))),
            ValueError,
            r"layer 0, InputLayer\(3\): expects 3 rows, got X of shape \(28, 28, 5\)",
        ),
        (lambda: small().forward(np.zeros((3, 2), int)), TypeError, "expects floats, got X of int"),
        (lambda: small().predict(np.zeros(3)), ValueError, r"X of shape \(N, 3\), got \(3,\)"),
        (lambda: small().backward(), RuntimeError, "backward expects a loss first, got none"),
        (lambda: small().train(np.zeros((4, 2)), np.eye(2)), ValueError, r"X of shape \(N, 3\)"),
        (lambda: small().test(np.zeros((2, 3)), np.eye(3)[:2]), ValueError, r"y of shape \(2, 2\)"),
        (
            lambda: small().loss(np.zeros((2, 4)), np.zeros((2, 3))),
            ValueError,
            r"the loss expects y of shape \(2, 4\), got \(2, 3\)",
        ),
    ],
)
def test_mistakes_are_told(use, error, message):
    with pytest.raises(error, match=message):
        use()
