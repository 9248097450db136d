"""docs/files.md: what it says of Keras and PyTorch is evaluated, and gives the same scores."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnn

ROOT = Path(__file__).resolve().parents[2]
FILES = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
(KERAS_CONVOLUTION,) = re.findall(r"`Conv2D\.set_weights\(\[(.+?), b\]\)`", FILES)
(BEHIND_FLATTEN,) = re.findall(r"sorted_anew = (.+)", FILES)
(EPSILON,) = re.findall(r"`BatchNormalization\(epsilon=(.+?)\)`", FILES)
N, C, F, SIZE, K = 5, 2, 3, 6, 4


@pytest.fixture
def net() -> cnn.Net:
    """A convolutional net with weights and statistics that are all different."""
    rng = np.random.default_rng(0)
    half = SIZE // 2
    layers = [
        *(cnn.Conv2D(C, F, 3, padding=1), cnn.MaxPool2D(2), cnn.ReLU(), cnn.BatchNorm2D(F)),
        *(cnn.Flatten(), cnn.Linear(F * half * half, K)),
    ]
    made = cnn.Net(layers, cnn.CrossEntropyLoss)
    made.set_weights({name: rng.uniform(0.1, 1, W.shape) for name, W in made.get_weights().items()})
    return made


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((N, C, SIZE, SIZE)).astype(np.float32)


def by_layer(net: cnn.Net) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a weight file, by layer."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, W in net.get_weights().items():
        layer, _, key = name.partition("/")
        layers.setdefault(layer, {})[key] = W
    return layers


def for_keras(net: cnn.Net) -> list[list[np.ndarray]]:
    """What set_weights of the convolution, the normalisation and the dense layer are given."""
    conv, norm, dense = by_layer(net).values()
    height = width = SIZE // 2
    kernel = eval(KERAS_CONVOLUTION, {"W": conv["W"]})
    sorted_anew = eval(
        BEHIND_FLATTEN, {"W": dense["W"], "C": F, "height": height, "width": width, "K": K}
    )
    return [[kernel, conv["b"]], list(norm.values()), [sorted_anew, dense["b"]]]


def keras_in_numpy(X: np.ndarray, weights: list[list[np.ndarray]]) -> np.ndarray:
    """The scores, computed as Keras documents it, with the channels last."""
    (kernel, b), (gamma, beta, mean, var), (W, c) = weights
    X = np.pad(X.transpose(0, 2, 3, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(X, (3, 3), axis=(1, 2))
    Y = np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + b
    Y = Y.reshape(N, SIZE // 2, 2, SIZE // 2, 2, F).max(axis=(2, 4))
    Y = (np.maximum(Y, 0) - mean) / np.sqrt(var + float(EPSILON)) * gamma + beta
    return Y.reshape(N, -1) @ W + c


def test_weights_go_to_keras_as_the_table_says(net, images):
    expected = net.forward(images)
    weights = for_keras(net)
    assert np.allclose(keras_in_numpy(images, weights), expected, rtol=1e-5)
    weights[-1][0] = by_layer(net)["layer_3"]["W"]  # not sorted anew: this is what must be said
    assert not np.allclose(keras_in_numpy(images, weights), expected, rtol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_keras_gives_the_same_scores(net, images):
    keras: Any = pytest.importorskip("keras")
    layers = [
        keras.layers.Conv2D(F, 3, padding="same"),
        keras.layers.MaxPooling2D(2),
        keras.layers.ReLU(),
        keras.layers.BatchNormalization(epsilon=float(EPSILON)),
        keras.layers.Flatten(),
        keras.layers.Dense(K),
    ]
    model = keras.Sequential([keras.Input((SIZE, SIZE, C)), *layers])
    assert keras.layers.BatchNormalization().epsilon == 1e-3  # "unless you say otherwise"
    for layer, weights in zip((layers[0], layers[3], layers[5]), for_keras(net), strict=True):
        layer.set_weights(weights)
    scores = model.predict(images.transpose(0, 2, 3, 1), verbose=0)
    assert np.allclose(scores, net.forward(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_pytorch_gives_the_same_scores(net, images):
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(C, F, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.BatchNorm2d(F),
        nn.Flatten(), nn.Linear(F * (SIZE // 2) ** 2, K),
    ).eval()  # fmt: skip
    conv, norm, dense = by_layer(net).values()
    arrays = {"0.weight": conv["W"], "0.bias": conv["b"]}
    arrays |= {"3.weight": norm["gamma"], "3.bias": norm["beta"]}
    arrays |= {f"3.{name}": norm[name] for name in ("running_mean", "running_var")}
    arrays |= {"5.weight": dense["W"].T, "5.bias": dense["b"]}
    state = {name: torch.tensor(np.ascontiguousarray(W)) for name, W in arrays.items()}
    assert set(model.load_state_dict(state, strict=False).missing_keys) <= {"3.num_batches_tracked"}
    with torch.no_grad():
        scores = model(torch.tensor(images)).numpy()
    assert np.allclose(scores, net.forward(images), rtol=1e-4, atol=1e-5)
