"""Exports: the scores of the exported network are those of our own, in the tools themselves."""

import importlib.util
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cnn
import functional_net
from datasets.__main__ import app
from datasets.export.network import sample_shape, scores, steps
from datasets.export.torch import write_torch
from datasets.store.weights import About, save_weights

RNG = np.random.default_rng(0)


def installed(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


def unlike_the_start(net: cnn.Net) -> cnn.Net:
    """Weights, biases and running statistics that a wrong order or a lost array would show."""
    weights = net.get_weights()
    for key, W in weights.items():
        weights[key] = np.abs(W) + 0.5 if key.endswith("running_var") else W + 0.1
        weights[key] += 0.2 * RNG.random(W.shape, np.float32)
    net.set_weights(weights)
    return net


def convnet(C: int, H: int, W: int, kernels=(3, 3), norm: bool = True) -> cnn.Net:
    """Two blocks as in python -m cnn, and a fully connected layer."""
    layers: list[cnn.Layer] = []
    into, size = C, (H, W)
    for F, kernel in zip((4, 6), kernels, strict=True):
        layers += [cnn.Conv2D(into, F, kernel, padding="same"), cnn.MaxPool2D(), cnn.ReLU()]
        layers += [cnn.BatchNorm2D(F)] if norm else []
        into, size = F, (size[0] // 2, size[1] // 2)
    layers += [cnn.Flatten(), cnn.Linear(into * size[0] * size[1], 5)]
    return unlike_the_start(cnn.Net(layers, cnn.CrossEntropyLoss))


def perceptron(*sizes: int) -> cnn.Net:
    layers: list[cnn.Layer] = []
    for D, H in pairwise(sizes):
        layers += [cnn.Linear(D, H), cnn.ReLU()]
    return unlike_the_start(cnn.Net(layers[:-1], cnn.CrossEntropyLoss))


NETS = {
    "perceptron": (perceptron(12, 7, 5), (12,)),
    "four layers": (perceptron(9, 8, 7, 6, 3), (9,)),
    "one layer": (perceptron(4, 3), (4,)),
    "convnet": (convnet(1, 28, 28), (1, 28, 28)),
    "colour, odd sizes": (convnet(3, 15, 22), (3, 15, 22)),
    "even kernels": (convnet(2, 12, 12, (2, 4)), (2, 12, 12)),
    "oblong kernels": (convnet(1, 9, 12, ((2, 5), (1, 3))), (1, 9, 12)),
    "no batch norm": (convnet(1, 8, 8, norm=False), (1, 8, 8)),
}


@pytest.fixture(params=NETS)
def saved(request, tmp_path):
    """Options of the command for a net's file, random inputs, and the scores of the net."""
    net, shape = NETS[request.param]
    save_weights(tmp_path / "w.h5", net.get_weights())
    X = RNG.random((6, *shape), np.float32)
    size = ["--image_size", *map(str, shape[1:])] if len(shape) == 3 else []
    return [str(tmp_path / "w.h5"), *size], X, net.forward(X)


def export(options: list[str], to: Path) -> str:
    result = CliRunner().invoke(app, ["export", *options, "--to", str(to)])
    assert not result.exit_code, result
    return result.output


def close(out: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(out - expected).max() < 1e-5 * max(1, np.abs(expected).max()))


# --- what the file means ----------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_plain_numpy_gives_the_scores_of_the_net(name):
    net, shape = NETS[name]
    X = RNG.random((6, *shape), np.float32)
    found = steps(net.get_weights())
    assert close(scores(found, X), net.forward(X))
    assert sample_shape(found, shape[1:] if len(shape) == 3 else None) == shape


def test_images_are_square_where_nothing_else_is_said():
    assert sample_shape(steps(convnet(3, 52, 52).get_weights()), None) == (3, 52, 52)
    with pytest.raises(ValueError, match="does not fit images of 12 x 12: --image_size H W"):
        sample_shape(steps(convnet(1, 9, 20).get_weights()), None)


def test_arrays_that_make_no_such_network_are_refused():
    W, b = np.zeros((4, 3), np.float32), np.zeros(3, np.float32)
    for weights, message in (
        ({"layer_1/W": W}, r"layer_1: expected a layer that can be exported, got {'W': \(4, 3\)}"),
        ({"layer_1/W": W, "layer_1/b": b, "layer_2/W": W, "layer_2/b": b}, "expects 4 inputs, "),
        ({"layer_1/W": np.zeros((2, 1, 3, 3)), "layer_1/b": b[:2]}, "ends in a fully connected"),
        (
            {
                "layer_1/W": W, "layer_1/b": b,
                "layer_2/W": np.zeros((2, 3, 3, 3)), "layer_2/b": b[:2],
            },
            "layer_2: expected a layer that can be exported",
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            steps(weights)


# --- ONNX -------------------------------------------------------------------------------


@installed("onnx", "onnxruntime")
def test_onnxruntime_gives_the_same_scores(saved, tmp_path):
    import onnxruntime

    options, X, expected = saved
    said = export(options, tmp_path / "net.onnx")
    assert "linear" in said and "net.onnx" in said
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for n in (1, len(X)):
        (out,) = session.run(["scores"], {"X": X[:n]})
        assert close(out, expected[:n])


@installed("onnx", "onnxruntime")
def test_the_file_of_functional_net_is_exported(tmp_path):
    import onnxruntime

    params = functional_net.init(20, 8, 4, RNG)
    save_weights(tmp_path / "f.h5", functional_net.to_weights(params))
    export([str(tmp_path / "f.h5")], tmp_path / "f.onnx")
    X = RNG.random((3, 20), np.float32)
    (out,) = onnxruntime.InferenceSession(str(tmp_path / "f.onnx")).run(None, {"X": X})
    assert close(out, functional_net.predict(params, X))


def test_without_the_package_it_is_told_how_to_install_it(saved, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    result = CliRunner().invoke(app, ["export", *saved[0], "--to", str(tmp_path / "net.onnx")])
    assert 'python -m pip install ".[onnx]"' in str(result.exception)
    assert not (tmp_path / "net.onnx").exists()


# --- PyTorch ----------------------------------------------------------------------------


@installed("torch")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_the_script_rebuilds_the_net_in_pytorch_and_checks_it(saved, tmp_path, capsys):
    import torch

    options, X, expected = saved
    said = export(options, tmp_path / "net.pt.py")
    assert "net.pt.py" in said and "net.pt.npz" in said
    net = runpy.run_path(str(tmp_path / "net.pt.py"))["load"]()
    with torch.no_grad():
        assert close(net(torch.from_numpy(X)).numpy(), expected)
    runpy.run_path(str(tmp_path / "net.pt.py"), run_name="__main__")
    assert "PyTorch gives the same scores" in capsys.readouterr().out


@installed("torch")
def test_the_script_notices_another_number(tmp_path):
    net, shape = NETS["convnet"]
    arrays = write_torch(steps(net.get_weights()), shape, tmp_path / "net.py")
    with np.load(arrays) as file:
        changed = dict(file)
    changed["3.running_var"] = changed["3.running_var"] * 1.01
    np.savez(arrays, **changed)
    with pytest.raises(AssertionError, match="the scores differ by"):
        runpy.run_path(str(tmp_path / "net.py"), run_name="__main__")


def test_the_arrays_of_the_script_hold_the_scores_and_nothing_pickled(saved, tmp_path):
    options, _, _ = saved
    export(options, tmp_path / "net.pt.py")
    with np.load(tmp_path / "net.pt.npz", allow_pickle=False) as arrays:
        assert {"X", "scores"} < set(arrays) and len(arrays["X"]) == len(arrays["scores"])


def test_a_script_that_is_there_is_not_overwritten(saved, tmp_path):
    (tmp_path / "net.py").write_text("mine")
    result = CliRunner().invoke(app, ["export", *saved[0], "--to", str(tmp_path / "net.py")])
    assert isinstance(result.exception, FileExistsError)
    assert (tmp_path / "net.py").read_text() == "mine" and not (tmp_path / "net.npz").exists()


def test_other_endings_are_refused(saved, tmp_path):
    result = CliRunner().invoke(app, ["export", *saved[0], "--to", str(tmp_path / "net.pb")])
    assert "--to: expected a name that ends in .onnx or .py" in str(result.exception)


def test_a_file_that_knows_its_images_needs_no_size(tmp_path):
    net, shape = NETS["colour, odd sizes"]
    about = About(("ant", "bee", "cat", "dog", "elk"), shape, "fitted")
    save_weights(tmp_path / "w.h5", net.get_weights(), about=about)
    said = export([str(tmp_path / "w.h5")], tmp_path / "net.py")
    assert "inputs (N, 3, 15, 22)" in said and "classes: ant, bee, cat, dog, elk" in said
