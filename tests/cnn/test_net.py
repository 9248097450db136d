"""The Net: the document's four steps, training, inference, mistakes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnn.activations import ReLU
from cnn.layers import BatchNorm2D, Conv2D, Dropout, Flatten, Linear, MaxPool2D
from cnn.losses import CrossEntropyLoss, MeanSquareLoss
from cnn.net import Net
from datasets import blobs, minibatches, one_hot


def small_cnn(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    layers = [
        Conv2D(2, 3, 3, padding=1, rng=rng),
        MaxPool2D(2),
        ReLU(),
        BatchNorm2D(3),
        Flatten(),
        Linear(3 * 4 * 3, 5, rng),
    ]
    return Net(layers, CrossEntropyLoss).astype(dtype)


def small_batch(seed=0, N=6):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, 2, 8, 7)).astype(np.float32), rng.integers(0, 5, N)


def weights(net):
    return [
        W.copy() for layer in net.layers for W in (*layer.params.values(), *layer.state.values())
    ]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_four_steps_of_the_document():
    X = np.random.default_rng(0).standard_normal((20, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    net = Net([Linear(2, 4), ReLU(), Linear(4, 2)], CrossEntropyLoss)
    losses = []
    for _ in range(300):
        out = net(X)
        loss = net.loss(out, y)
        net.backward()
        net.update_weights(lr=0.5)
        losses.append(loss)
    assert losses[-1] < losses[0] / 3


def test_the_loss_may_be_an_object_or_a_class():
    assert isinstance(Net([ReLU()], MeanSquareLoss).loss, MeanSquareLoss)
    loss = MeanSquareLoss("none")
    assert Net([ReLU()], loss).loss is loss


def test_update_is_momentum():
    net, (X, y) = small_cnn(), small_batch()
    V = [np.zeros_like(W) for layer in net.layers for W in layer.params.values()]
    for lr, momentum in ((0.1, 0.9), (0.2, 0.5), (0.1, 0.0), (0.3, 0.9)):
        net.loss(net(X), y)
        net.backward()
        W = [W for layer in net.layers for W in layer.params.values()]
        dW = [layer.grads[key] for layer in net.layers for key in layer.params]
        V = [momentum * v - lr * g for v, g in zip(V, dW, strict=True)]
        wanted = [w + v for w, v in zip(W, V, strict=True)]
        net.update_weights(lr, momentum)
        for w, expected in zip(W, wanted, strict=True):
            np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-6)


def test_backward_leaves_out_only_the_gradient_of_the_input():
    net, (X, y) = small_cnn(dtype=np.float64), small_batch()
    net.loss(net(X), y)
    net.backward()
    grads = [dict(layer.grads) for layer in net.layers]
    dX = net.input_gradient()
    for layer, wanted in zip(net.layers, grads, strict=True):
        assert layer.grads.keys() == layer.params.keys() == wanted.keys()
        assert equal(layer.grads.values(), wanted.values())
    direction, h = np.random.default_rng(1).standard_normal(X.shape), 1e-6
    up, down = (net.loss.forward(net(X + step * direction), y) for step in (h, -h))
    assert np.vdot(dX, direction) == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_layers_without_params_in_front_are_left_out_of_backward():
    net = Net([Flatten(), Linear(12, 3), ReLU()], CrossEntropyLoss)
    X = np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype(np.float32)
    net.loss(net(X), [0, 1, 2, 0])
    net.backward()
    assert net.layers[1].grads["W"].shape == (12, 3)
    assert net.input_gradient().shape == X.shape
    assert net.input_gradient().dtype == np.float32


def test_training_learns_and_yields_loss_and_hits():
    rng = np.random.default_rng(0)
    X, y = blobs(50, 3, 2, rng)
    net = Net([Linear(2, 8, rng), ReLU(), Linear(8, 3, rng)], CrossEntropyLoss)
    steps = [net.step(*batch, lr=0.1, momentum=0.9) for batch in minibatches(X, y, 20, rng)]
    assert len(steps) == 8  # the last batch of 10 counts, too
    assert all(type(loss) is float and 0 <= right <= 20 for loss, right in steps)
    assert steps[-1][0] < steps[0][0] / 2
    assert net.accuracy(X, y) > 0.95
    assert net.accuracy(X, y.argmax(axis=1)) == net.accuracy(X, y)
    assert net.accuracy(X, y) == np.mean(net.predict(X).argmax(axis=1) == y.argmax(axis=1))


@pytest.mark.parametrize("option", ["lr", "momentum", "seed"])
def test_every_rate_and_the_seed_change_the_result(option):
    def trained(lr=0.1, momentum=0.5, seed=0):
        net = small_cnn(seed)
        for batch in (small_batch(0), small_batch(1)):
            net.step(*batch, lr, momentum)
        return weights(net)

    assert equal(trained(), trained())
    assert not equal(
        trained(), trained(**{option: {"lr": 0.2, "momentum": 0.6, "seed": 1}[option]})
    )


def test_divergence_says_so_and_goes_back_to_the_start_of_the_epoch():
    net, (X, y) = small_cnn(), small_batch(N=12)
    net.train(X, y, 0.1, 0.9, epochs=1, batch_size=4)
    before, velocity = weights(net), net.get_velocity()
    with pytest.raises(FloatingPointError, match=r"at step \d+ with lr = 1e\+30: .*try a tenth"):
        net.train(X, y, 1e30, epochs=1, batch_size=4)
    with pytest.raises(FloatingPointError, match="the weights became nan or inf with lr = 1e"):
        net.train(X, y, 1e40, epochs=1, batch_size=12)  # no later loss can tell
    assert equal(weights(net), before)
    assert equal(net.get_velocity().values(), velocity.values())
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="finite scores"):
        net.accuracy(X * np.nan, y)


def test_train_takes_steps_over_shuffled_batches():
    one, two, (X, y) = small_cnn(), small_cnn(), small_batch(N=10)
    losses = one.train(X, y, [0.1, 0.05], 0.9, epochs=2, batch_size=4)
    rng, expected = np.random.default_rng(0), []
    for lr in (0.1, 0.05):
        steps = [two.step(*batch, lr, 0.9) for batch in minibatches(X, y, 4, rng)]
        expected.append(np.dot([loss for loss, _ in steps], [4, 4, 2]) / 10)
    assert losses == pytest.approx(expected) and equal(weights(one), weights(two))


def test_inference_writes_nothing_and_does_not_depend_on_the_blocks(monkeypatch):
    net, (X, _) = small_cnn(), small_batch(N=23)
    before, wanted = weights(net), net.forward(X)
    assert all(not layer.local for layer in net.layers)
    monkeypatch.setattr("cnn.net.BLOCK", 5)
    np.testing.assert_allclose(net.forward(X), wanted, rtol=1e-5, atol=1e-6)
    assert equal(weights(net), before)
    assert net.forward(X).dtype == np.float32
    np.testing.assert_array_equal(net.predict(X), net.forward(X))


def test_pixels_may_stay_integers():
    net = small_cnn()
    X = np.random.default_rng(0).integers(0, 255, (4, 2, 8, 7), np.uint8)
    np.testing.assert_array_equal(net(X), net(X.astype(np.float32)))


def test_weights_come_out_under_the_names_of_a_weight_file_and_go_in():
    net, other = small_cnn(seed=0), small_cnn(seed=1)
    net.step(*small_batch(), lr=0.1, momentum=0.9)
    stored = net.get_weights()
    assert {key: W.shape for key, W in stored.items()} == {
        "layer_1/W": (3, 2, 3, 3),
        "layer_1/b": (3,),
        "layer_2/gamma": (3,),
        "layer_2/beta": (3,),
        "layer_2/running_mean": (3,),
        "layer_2/running_var": (3,),
        "layer_3/W": (36, 5),
        "layer_3/b": (5,),
    }
    other.set_weights(stored)
    other.set_velocity(net.get_velocity())
    for twin in (net, other):
        twin.step(*small_batch(1), lr=0.1, momentum=0.9)
    assert equal(weights(net), weights(other))
    assert not equal(stored.values(), net.get_weights().values())  # they were copies
    assert not any(V.any() for V in small_cnn().get_velocity().values())
    with pytest.raises(ValueError, match=r"set_weights: .* layer_3/b of shape \(5,\)"):
        net.set_weights({**stored, "layer_3/b": np.ones(4)})
    with pytest.raises(ValueError, match=r"set_velocity: .* no layer_2/running_mean"):
        net.set_velocity(stored)


def test_astype_copies():
    net = small_cnn()
    wide = net.astype(np.float64)
    assert all(W.dtype == np.float64 for W in weights(wide))
    wide.layers[0].params["W"][...] = 0
    assert net.layers[0].params["W"].all()
    X, _ = small_batch()
    assert wide(X).dtype == wide.forward(X).dtype == np.float64


def test_two_threads_with_a_net_each():
    def run(seed):
        net = small_cnn(seed)
        for step in range(20):
            net.step(*small_batch(step), lr=0.05, momentum=0.9)
        return weights(net)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, (0, 1)))
    assert equal(together[0], run(0)) and equal(together[1], run(1))


def test_dropout_acts_in_training_and_not_at_inference():
    rng = np.random.default_rng(0)
    net = Net([Linear(20, 30, rng), Dropout(0.5, rng), Linear(30, 3, rng)], CrossEntropyLoss)
    X = rng.standard_normal((5, 20))
    assert not np.array_equal(net(X), net(X))
    np.testing.assert_array_equal(net.forward(X), net.forward(X))


def test_summary_lists_the_layers(capsys):
    small_cnn().summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "Conv2D(2,", "3,", "3)", "57"]
    assert lines[-1].split() == ["total", str(57 + 6 + 185)]


def test_mistakes_name_the_layer_and_its_position():
    net = Net([ReLU(), Linear(8, 4), Linear(392, 10)], CrossEntropyLoss)
    message = r"^layer 3, Linear\(392, 10\): expects 392 columns, got X of shape \(5, 4\)$"
    for method in (net, net.forward, net.predict):
        with pytest.raises(ValueError, match=message):
            method(np.ones((5, 8)))
        with pytest.raises(TypeError, match=r"^layer 1, ReLU\(\): expects real numbers, got X of"):
            method(np.array([["a"]]))
        with pytest.raises(ValueError, match=r"^layer 1, ReLU\(\): expects at least one sample"):
            method(np.ones((0, 8)))
    with pytest.raises(ValueError, match="Net expects at least one layer, got none"):
        Net([], CrossEntropyLoss)
    with pytest.raises(
        TypeError, match=r"Net expects layers, got <class '.*Linear'> at position 1"
    ):
        Net([Linear], CrossEntropyLoss)
    with pytest.raises(TypeError, match=r"Net expects a loss from cnn.losses, got 'mse'"):
        Net([ReLU()], "mse")
    with pytest.raises(RuntimeError, match="backward expects a call first, got none"):
        small_cnn().backward()
    with pytest.raises(RuntimeError, match="update_weights expects a backward first, got none"):
        small_cnn().update_weights(0.1)
    net, (X, y) = small_cnn(), small_batch()
    net.loss(net(X[:3]), y[:3])
    net(X)
    with pytest.raises(ValueError, match=r"Linear\(36, 5\): backward expects dY of shape \(6, 5\)"):
        net.backward()
    with pytest.raises(ValueError, match=r"accuracy: expects labels \(6,\) or .* shape \(5,\)"):
        net.accuracy(X, y[:5])
    with pytest.raises(TypeError, match=r"accuracy: expects integer labels or .*, got float64"):
        net.accuracy(X, y.astype(float))
    with pytest.raises(ValueError, match=r"expects rows of scores \(N, K\), got shape \(2, 2, 3"):
        Net([ReLU()], MeanSquareLoss).accuracy(np.ones((2, 2, 3)), [0, 1])


def test_one_hot_targets_train_like_labels():
    X, y = small_batch()
    a, b = small_cnn(), small_cnn()
    a.step(X, y, lr=0.1, momentum=0.9)
    b.step(X, one_hot(y, 5), lr=0.1, momentum=0.9)
    assert equal(weights(a), weights(b))
