"""What README says of Keras, PyTorch and nnscope, tried in the tools themselves."""

import importlib.util
import os

import numpy as np
import pytest

import cnn
import net

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's packages


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


C, H, W, F, K = 3, 12, 8, 4, 5  # an image, the filters of the convolution, the classes


def trained() -> tuple[cnn.Net, list[np.ndarray]]:
    """conv, pool, ReLU, batch norm, linear; and the arrays in the order of the file."""
    layers: list[cnn.Layer] = [
        cnn.Conv2D(C, F, 3, padding="same"), cnn.MaxPool2D(), cnn.ReLU(), cnn.BatchNorm2D(F),
        cnn.Flatten(), cnn.Linear(F * H // 2 * W // 2, K),
    ]  # fmt: skip
    model = cnn.Net(layers, cnn.CrossEntropyLoss)
    weights = {
        key: (array + RNG.uniform(0.1, 0.5, array.shape)).astype(np.float32)
        for key, array in model.get_weights().items()
    }
    model.set_weights(weights)
    names = ("W", "b"), ("gamma", "beta", "running_mean", "running_var"), ("W", "b")
    return model, [
        weights[f"layer_{i}/{name}"] for i, layer in enumerate(names, 1) for name in layer
    ]


@needs("keras", "torch")
def test_a_convnet_in_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    model, (filters, b, gamma, beta, mean, var, W2, b2) = trained()
    layers = keras.layers
    theirs = keras.Sequential([
        keras.Input((H, W, C)), layers.Conv2D(F, 3, padding="same"), layers.MaxPooling2D(2),
        layers.ReLU(), layers.BatchNormalization(epsilon=1e-5), layers.Flatten(), layers.Dense(K),
    ])  # fmt: skip
    conv, _, _, norm, _, dense = theirs.layers
    conv.set_weights([filters.transpose(2, 3, 1, 0), b])
    norm.set_weights([gamma, beta, mean, var])
    # Keras flattens (H, W, C), we (C, H, W).
    dense.set_weights([W2.reshape(F, H // 2, W // 2, K).transpose(1, 2, 0, 3).reshape(-1, K), b2])
    X = RNG.random((7, C, H, W), np.float32)
    out = theirs.predict(X.transpose(0, 2, 3, 1), verbose=0)
    assert np.allclose(out, model.forward(X), rtol=1e-5, atol=1e-4)


@needs("keras", "torch")
def test_a_perceptron_in_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    model = net.perceptron([6, 5, 4])
    weights = net.to_weights(model.get_weights())
    theirs = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(4)]
    )
    for i, layer in enumerate(theirs.layers, 1):
        layer.set_weights([weights[f"layer_{i}/W"], weights[f"layer_{i}/b"]])
    X = RNG.random((7, 6), np.float32)
    assert np.allclose(theirs.predict(X, verbose=0), model.forward(X.T).T, atol=1e-5)


@needs("torch")
def test_a_convnet_in_pytorch():
    import torch
    from torch import nn

    model, arrays = trained()
    filters, b, gamma, beta, mean, var, W2, b2 = map(torch.from_numpy, arrays)
    conv, norm, linear = nn.Conv2d(C, F, 3, padding="same"), nn.BatchNorm2d(F), nn.Linear(96, K)
    theirs = nn.Sequential(conv, nn.MaxPool2d(2), nn.ReLU(), norm, nn.Flatten(), linear).eval()
    with torch.no_grad():
        conv.weight[...], conv.bias[...] = filters, b
        norm.weight[...], norm.bias[...] = gamma, beta
        norm.running_mean[...], norm.running_var[...] = mean, var  # type: ignore[index]
        linear.weight[...], linear.bias[...] = W2.T, b2
        X = RNG.random((7, C, H, W), np.float32)
        out = theirs(torch.from_numpy(X)).numpy()
    assert np.allclose(out, model.forward(X), rtol=1e-5, atol=1e-4)


@needs("nnscope")
def test_nnscope_sees_the_weights_and_gradients_of_net(tmp_path):
    import nnscope

    model = net.perceptron([6, 5, 4])
    X, y = RNG.random((8, 6), np.float32), np.eye(4, dtype=np.float32)[RNG.integers(0, 4, 8)]
    scope = nnscope.Scope("digits", live=False)
    for step in range(3):
        model.train(X, y, 0.1, 1, batch_size=8)
        scope.log(step, model=model, loss=1.0)
    scope.save_html(str(tmp_path / "run.html"))
    assert (tmp_path / "run.html").stat().st_size > 10_000
    seen, own = nnscope.extract_layers(model), [x for x in model.layers if hasattr(x, "W")]
    assert len(seen) == len(own) == 2
    for view, layer in zip(seen, own, strict=True):
        assert np.array_equal(view.W, layer.W.T) and np.array_equal(view.b, layer.b.ravel())
        assert np.array_equal(view.dW, layer.dW.T) and np.any(layer.dW)
        assert np.array_equal(view.db, layer.db.ravel())
