"""Weight files and checkpoints: written whole or not at all, and never trusted when read."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_datasets import small_file

from datasets import load_weights, save_weights
from datasets.store.weights import About, load_checkpoint, load_net, match_weights

ROOT = Path(__file__).resolve().parents[2]


def some_weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"layer_1/W": (4, 3), "layer_1/b": (3,), "layer_2/W": (3, 2), "layer_2/b": (2,)}
    return {key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}


def some_checkpoint(path: Path) -> Path:
    rng = np.random.default_rng(0).bit_generator.state
    save_weights(path, some_weights(), some_weights(1), {"options": {"lr": "0.1"}, "rng": rng})
    return path


# --- round trip -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_saved_comes_back_bit_for_bit_in_order(tmp_path, dtype):
    weights = {f"layer_{i}/W": np.full((i, 2), 1 / i, dtype) for i in range(1, 12)}
    save_weights(tmp_path / "new folder" / "w.h5", weights)
    found = load_weights(tmp_path / "new folder" / "w.h5")
    assert list(found) == list(weights)  # layer_2 before layer_10
    assert all(found[key].tobytes() == weights[key].tobytes() for key in weights)
    assert {array.dtype for array in found.values()} == {np.dtype(dtype)}


def test_a_checkpoint_is_a_weight_file_and_more(tmp_path):
    path = some_checkpoint(tmp_path / "c.h5")
    assert load_weights(path).keys() == some_weights().keys()
    _, velocity, state, _ = load_checkpoint(path)
    assert np.array_equal(velocity["layer_2/W"], some_weights(1)["layer_2/W"])
    rng = np.random.default_rng(1)
    rng.bit_generator.state = state["rng"]
    assert rng.random() == np.random.default_rng(0).random()


ABOUT = About(("cat", "dog\x1b[31m"), (3, 32, 24), "fitted")


def test_what_a_network_was_trained_on_comes_back_and_drives_no_terminal(tmp_path):
    save_weights(tmp_path / "w.h5", some_weights(), about=ABOUT)
    weights, about = load_net(tmp_path / "w.h5")
    assert about == ABOUT._replace(class_names=("cat", "dog\\x1b[31m"))
    assert weights.keys() == load_weights(tmp_path / "w.h5").keys() == some_weights().keys()
    assert load_net(some_checkpoint(tmp_path / "c.h5"))[1] is None


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (b"[1, 2]", "about is damaged .expected class_names, image_shape, prepared, got .1, 2"),
        (b"not JSON", "about is expected to be JSON"),
        ({"class_names": ["a", 3]}, "class_names is expected to hold 1 to 10000 names"),
        ({"class_names": []}, "class_names is expected to hold 1 to 10000 names"),
        ({"class_names": ["a" * 300]}, "class_names is expected to hold 1 to 10000 names"),
        ({"image_shape": [2, 3, 4]}, r"image_shape is expected to be \(C, H, W\), got \[2, 3, 4"),
        ({"image_shape": [3, 10**9, 4]}, r"image_shape is expected to be \(C, H, W\)"),
        ({"prepared": "../../x"}, "prepared is expected to be one of .*got '../../x'"),
    ],
)
def test_about_is_checked_value_by_value(tmp_path, about, message):
    save_weights(tmp_path / "w.h5", some_weights(), about=ABOUT)
    text = about if isinstance(about, bytes) else json.dumps(ABOUT._asdict() | about).encode()
    rewritten(tmp_path / "w.h5", "about", np.frombuffer(text, np.uint8))
    with pytest.raises(ValueError, match=rf"w\.h5: .*{message}"):
        load_net(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="is expected to"):
        save_weights(tmp_path / "v.h5", some_weights(), about=ABOUT._replace(prepared="?"))


def test_keras_and_pytorch_orientation_is_what_the_readme_says(tmp_path):
    import net

    model = net.perceptron([5, 4, 3])
    weights = net.to_weights(model.get_weights())
    assert weights["layer_1/W"].shape == (5, 4)  # Dense.set_weights([W, b]); Linear.weight is W.T
    assert weights["layer_2/b"].shape == (3,)
    assert all(map(np.array_equal, net.from_weights(weights), model.get_weights()))


# --- written whole or not at all ---------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = some_checkpoint(tmp_path / "w.h5")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, some_weights(2))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w.h5"]


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a file to write, this is a folder"):
        save_weights(tmp_path, some_weights())


# --- never trusted -----------------------------------------------------------------------


def rewritten(path: Path, key: str, value: object) -> Path:
    with h5py.File(path, "a") as file:
        del file[key]
        if value is not None:
            file[key] = value
    return path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layer_1/W", np.full((4, 3), np.nan), "layer_1/W is expected to hold finite floats"),
        ("layer_1/W", np.zeros((4, 3), int), "layer_1/W is expected to hold floats, got int64"),
        ("layer_1/W", b"text", "layer_1/W is expected to be an array of numbers"),
        ("layer_1/W", h5py.ExternalLink("/etc/passwd", "/W"), "layer_1/W is a link to another"),
        ("layer_1", h5py.SoftLink("/layer_2"), "layer_1/W is a link|layer_1/b is a link|layer_1"),
        ("layer_1", np.zeros(3), "layer_1 is expected to be a group of arrays"),
        ("layer_1", h5py.ExternalLink("/dev/zero", "/"), "layer_1 is a link to another place"),
        ("run/state", np.frombuffer(b"[" * 10**5, np.uint8), "run/state is expected to be JSON"),
        ("run", None, "expected a checkpoint, found weights only: use --load"),
        ("run/state", np.zeros(4, np.uint8), "run/state is expected to be JSON"),
        ("run/state", np.frombuffer(b"[1]", np.uint8), "hold the options of a run"),
        ("run/velocity", None, "expected run/velocity, found layer_1, layer_2, run"),
    ],
)
def test_a_damaged_checkpoint_is_told_in_one_line(tmp_path, key, value, message):
    path = rewritten(some_checkpoint(tmp_path / "c.h5"), key, value)
    with pytest.raises(ValueError, match=message) as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value) and "c.h5" in str(error.value)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([np.ones(3)], TypeError, "expected a dictionary of weights, got list"),
        ({}, ValueError, "expected weights named layer_1/W, layer_1/b, ..., found none"),
        ({"W": np.ones(3)}, ValueError, "expected a name like layer_1/W, got 'W'"),
        ({"layer_12345/W": np.ones(3)}, ValueError, "expected a name like layer_1/W"),
        ({"layer_1/W": np.ones(3, int)}, ValueError, "expected to hold floats, got int64"),
        ({"layer_1/W": [1.0]}, ValueError, "expected to hold floats, got list"),
        ({"layer_1/W": np.full(3, np.nan)}, ValueError, "finite floats, got nan or inf"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, weights, error, message):
    save_weights(tmp_path / "w.h5", some_weights())
    with pytest.raises(error, match=message):
        save_weights(tmp_path / "w.h5", weights)
    assert load_weights(tmp_path / "w.h5").keys() == some_weights().keys()


def test_a_data_file_holds_no_weights():
    from datasets import MNIST

    with pytest.raises(ValueError, match=r"expected weights named layer_1/W, layer_1/b, .*none"):
        load_weights(MNIST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_2/b": None}, r"expects layer_2/b of shape \(2,\), the file has no layer_2/b"),
        ({"layer_3/W": np.zeros((2, 2))}, r"no layer_3/W, the file has layer_3/W of shape \(2, 2"),
        ({"layer_1/W": np.zeros((4, 5))}, r"layer_1/W of shape \(4, 3\), .* of shape \(4, 5\)"),
    ],
)
def test_another_architecture_is_told_by_its_first_difference(change, message):
    weights = {k: v for k, v in (some_weights() | change).items() if v is not None}
    with pytest.raises(ValueError, match=f"w.h5: this network .*{message}"):
        match_weights(weights, some_weights(), "w.h5")


# --- killed runs go on ---------------------------------------------------------------------


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run a command in this process, to a good end."""

    def call(module: str, *words: object) -> None:
        program = f"{module.replace('.', '/')}.py"
        monkeypatch.setattr(sys, "argv", [program, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(module).app()
        assert not ended.value.code

    return call


def killed(words: list[str], checkpoint: Path, seed: int) -> None:
    """Start a program and kill it by SIGKILL at a random moment after its first checkpoint."""
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(np.random.default_rng(seed).uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


MODULES = ("functional_net", "net", "cnn.__main__")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]
)
def test_a_killed_run_goes_on_bit_for_bit(call, tmp_path, seed):
    rng = np.random.default_rng(0)
    train = {"train_data": rng.random((600, 8, 8)), "train_labels": rng.integers(0, 3, 600)}
    test = {"test_data": rng.random((60, 8, 8)), "test_labels": np.arange(60) % 3}
    data = small_file(tmp_path / "d.h5", **train, **test)
    module, checkpoint = MODULES[seed % 3], tmp_path / "c.h5"
    options = ["--data", data, "--epochs", 25, "--seed", seed, "--momentum", 0.5]
    call(module, *options, "--save", tmp_path / "whole.h5")
    words = [*options, "--save", tmp_path / "parts.h5", "--checkpoint", checkpoint]
    killed([sys.executable, "-m", module, *map(str, words)], checkpoint, seed)
    call(module, "--resume", checkpoint)
    one, two = load_weights(tmp_path / "whole.h5"), load_weights(tmp_path / "parts.h5")
    assert all(np.array_equal(one[key], two[key]) for key in {*one, *two})
