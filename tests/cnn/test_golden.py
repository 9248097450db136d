"""Parity with PyTorch, without PyTorch: the arrays that golden/make_golden.py wrote."""

from pathlib import Path

import numpy as np
import pytest

from cnn import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    CrossEntropyLoss,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2D,
    MeanSquareLoss,
    Net,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)

GOLDEN = Path(__file__).parent / "golden"


def load(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


LAYERS = {
    "linear": Linear(7, 5),
    "conv": Conv2D(2, 3, 3),
    "conv_padding": Conv2D(2, 3, 3, padding=1),
    "conv_stride": Conv2D(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)),
    "conv_same": Conv2D(2, 3, (4, 3), padding="same"),
    "conv_large": Conv2D(2, 3, 5, stride=3, padding=2),
    "max_pool": MaxPool2D(2),
    "max_pool_overlap": MaxPool2D(3, stride=2),
    "avg_pool": AvgPool2D(2),
    "avg_pool_overlap": AvgPool2D((3, 2), stride=(2, 1)),
    "batchnorm": BatchNorm2D(2, dtype=np.float64),
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "softmax": Softmax(),
}


def test_every_golden_layer_is_compared():
    assert {key.split("/")[0] for key in load("layers")} == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    layer = LAYERS[name]
    golden = {k.split("/")[1]: v for k, v in load("layers").items() if k.startswith(name + "/")}
    for key in layer.params:
        layer.params[key] = golden[key]
    close(layer(golden["X"]), golden["Y"])
    close(layer.backward(golden["dY"]), golden["dX"])
    for key in layer.params:
        close(layer.grads[key], golden["d" + key])
    for key in layer.state:
        close(layer.state[key], golden[key])
    close(layer.forward(golden["X"]), golden.get("inference", golden["Y"]))


def test_losses():
    golden = load("losses")
    X = golden["X"]
    for name, loss, y in (
        ("cross_entropy", CrossEntropyLoss(), golden["labels"]),
        ("mean_square", MeanSquareLoss(), golden["y"]),
    ):
        close(loss(X, y), golden[name])
        close(loss.backward(), golden[name + "_dX"])
    close(MeanSquareLoss("none")(X, golden["y"]), golden["squares"])


def test_momentum_steps_of_a_whole_net():
    """PyTorch's momentum, V <- momentum V + dW, W <- W - lr V, is ours while lr is constant."""
    golden = load("training")
    net = Net(
        [
            *(Conv2D(1, 3, 3, padding=1), MaxPool2D(2), ReLU(), BatchNorm2D(3)),
            *(Conv2D(3, 4, 3, stride=2), LeakyReLU(), AvgPool2D(2), BatchNorm2D(4)),
            *(Flatten(), Linear(4, 6), Tanh(), Linear(6, 5)),
        ],
        CrossEntropyLoss,
    ).astype(np.float64)

    def arrays(when):
        for i, layer in enumerate(net.layers):
            for values in (layer.params, layer.state):
                for key in values:
                    yield values, key, golden[f"{when}/{i}/{key}"]

    for values, key, wanted in arrays("before"):
        values[key][...] = wanted
    batches = zip(golden["X"], golden["y"], strict=True)
    losses = [net.step(X, y, lr=0.1, momentum=0.9)[0] for X, y in batches]
    close(losses, golden["losses"])
    for values, key, wanted in arrays("after"):
        close(values[key], wanted)
