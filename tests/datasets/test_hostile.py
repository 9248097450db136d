"""What nobody should hand in, and somebody will: one line each, and nothing good is lost."""

import importlib
import itertools
import os
import re
import sys
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

import cnn
import datasets
import functional_net as fn
import net
from datasets import MNIST, load_mnist, load_weights
from datasets.draw.shapes import draw_shapes
from datasets.read.idx import import_idx
from datasets.store.files import check_target

COMMANDS = ["functional_net", "net", "cnn.__main__"]
each_command = pytest.mark.parametrize("command", COMMANDS)


def image_set(path: Path, **changes: object) -> Path:
    """30 + 12 grey pictures of 6 x 6 pixels in three classes, or what is put in their place."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for half, N in (("train", 30), ("test", 12)):
            pixels = rng.integers(0, 256, (N, 6, 6)).astype(np.uint8)
            file[f"{half}_data"] = changes.get(f"{half}_data", pixels)
            file[f"{half}_labels"] = changes.get(f"{half}_labels", np.arange(N) % 3)
    return path


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """Run a command in an empty folder that holds d.h5: (exit code, output, error output)."""
    monkeypatch.chdir(tmp_path)
    image_set(tmp_path / "d.h5")

    def call(command: str, *words: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            importlib.import_module(command).app()
        return exit.value.code, *capsys.readouterr()

    return call


# --- the commands -------------------------------------------------------------------


@each_command
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--save", "d.h5"], "--save: expected its own place, got d.h5, which is what is to b"),
        (["--checkpoint", "./d.h5"], "which is what is to be read"),
        (["--history", "d.h5"], "which is what is to be read"),
        (["--save", MNIST], "which is what is to be read"),
        (["--save", "a.h5", "--checkpoint", "a.h5"], "--checkpoint: .* which is that of --save"),
        (["--save", "a.h5", "--history", "./a.h5"], "--history: .* which is that of --save"),
        (["--load", "a.h5", "--resume", "c.h5"], "expected either --load or --resume, got both"),
        (["--pictures", "d.h5"], "which is what is to be read"),
        (["--pictures", "p", "--save", "p"], "--pictures: .* which is that of --save"),
        (["--pictures", "d.h5/p"], "cannot be written"),
    ],
)
def test_nothing_that_is_read_is_written_over(call, command, words, message):
    before = Path("d.h5").read_bytes()
    if "--resume" in words:
        call(command, "--data", "d.h5", "--epochs", 1, "--save", "a.h5", "--checkpoint", "c.h5")
    code, out, err = call(command, "--data", "d.h5", "--epochs", 1, *words)
    assert code == 2 and err.count("\n") == 1 and not out
    assert re.search(message, err)
    assert Path("d.h5").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_devices_pipes_and_protected_files_stay_what_they_are(call, tmp_path):
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    for option, path in itertools.product(
        ["--save", "--checkpoint", "--history"], ["pipe", "loop"]
    ):
        code, out, err = call("net", "--data", "d.h5", option, path)
        assert (
            code == 2 and not out and "expected a file to write, this is a device or a pipe" in err
        )
    with pytest.raises(PermissionError, match="/dev/null: expected a file to write, this is a dev"):
        check_target("/dev/null")
    Path("w.h5").write_bytes(b"mine")
    Path("w.h5").chmod(0o444)
    if not os.access("w.h5", os.W_OK):  # root may
        with pytest.raises(PermissionError, match=r"w\.h5: the file is write-protected"):
            check_target("w.h5")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right on Windows")
def test_a_link_goes_on_leading_to_the_file(call):
    Path("disk").mkdir()
    os.symlink("disk/w.h5", "w.h5")
    call("net", "--data", "d.h5", "--epochs", 1, "--save", "w.h5")
    assert Path("w.h5").is_symlink() and load_weights("disk/w.h5")


def test_long_names_are_told_before_training_or_work(call):
    code, out, err = call("net", "--data", "d.h5", "--save", "a" * 300)
    assert code == 2 and not out and "cannot be written (File name too long)" in err
    code, _, err = call("net", "--data", "d.h5", "--epochs", 1, "--save", "a" * 250)
    assert not code and not err and load_weights("a" * 250)


@each_command
def test_names_that_break_lines_and_drive_terminals_are_escaped(call, command):
    for option in ("--data", "--load", "--resume"):
        code, out, err = call(command, "--data", "d.h5", option, "no\nfile\x1b[31m.h5")
        assert code == 2 and not out
        assert err.endswith("no\\nfile\\x1b[31m.h5: no such file\n") and err.count("\n") == 1


@each_command
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": np.zeros(30, int), "test_labels": np.zeros(12, int)}, "from 2 to 42 cl"),
        (
            {"train_labels": np.full(30, 10**6)},
            "from 2 to 42 classes of 42 pictures, got ",
        ),
        ({"train_data": np.zeros((30, 5, 6, 6), np.uint8)}, r"expected to be \(N, H, W\)"),
        ({"train_data": np.zeros((30, 0, 6), np.uint8)}, r"expected to be \(N, H, W\)"),
    ],
)
def test_image_sets_that_no_network_can_learn(call, command, changes, message):
    image_set(Path("odd.h5"), **changes)
    code, out, err = call(command, "--data", "odd.h5")
    assert code == 2 and not out and err.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        load_mnist("odd.h5")


@each_command
def test_an_epoch_that_ends_in_garbage_is_neither_judged_nor_saved(call, command):
    words = ("--data", "d.h5", "--batch_size", 100, "--epochs", 1, "--save", "w.h5")
    code, out, err = call(command, *words, "--lr", 1e39)
    assert code == 1 and "training has diverged" in err and err.count("\n") == 1
    assert "test accuracy" not in out and not Path("w.h5").exists()


@each_command
def test_ctrl_c_saves_elsewhere_what_cannot_be_saved_here(call, command, monkeypatch):
    import signal

    from datasets.run.run import Run
    from datasets.store import weights

    real, count = weights.save_weights, Run.note

    def save(path: Path, *parts: object) -> None:
        if "stopped" in str(path) and not path.is_absolute():
            raise PermissionError(13, "Permission denied")
        real(path, *parts)

    def press_ctrl_c(run: Run, loss: float, hits: int) -> None:
        count(run, loss, hits)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("datasets.run.targets.save_weights", save)
    monkeypatch.setattr(Run, "note", press_ctrl_c)
    code, out, err = call(command, "--data", "d.h5", "--batch_size", 10)
    assert code == 130 and "could not be written" in err
    assert load_weights(out.splitlines()[-1].split("go on with --resume ")[1])


def test_what_is_written_at_the_end_is_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match="at most 4,294,967,296 bytes of pictures are drawn, got"):
        draw_shapes(10**7, 52, RNG)
    with pytest.raises(IsADirectoryError, match="expected a file to write, this is a folder"):
        import_idx(tmp_path / "no such folder", tmp_path)


@each_command
def test_closed_streams_are_no_reason_to_fail(call, command, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "argv", [command, "--data", "d.h5", "--epochs", "1", "--save", "w.h5"])
    with pytest.raises(SystemExit) as exit:
        importlib.import_module(command).app()
    sys.stdout.close(), sys.stderr.close()
    assert not exit.value.code and load_weights("w.h5")


# --- the library: random shapes and dtypes into every public function -----------------

TRIES = 60 * int(os.environ.get("FUZZ", "1"))  # calls of each function; FUZZ=50 tries more
N, D, H, K = 4, 3, 5, 2
ODD = (None, "text", b"bytes", 3, -2, 2.5, True, {}, {"a": 1}, [], [1, 2], [[1, 2], [3]], object)


def some_array(rng: np.random.Generator) -> np.ndarray:
    """Any number of axes, sizes, dtype, memory order; ends of the range, nan, nothing at all."""
    shape = tuple(rng.choice([0, 1, 2, 3, 4, 5, 7], rng.integers(0, 5)))
    X = rng.choice([-1e30, -1.0, 0.0, 1e-40, 0.5, 2.0, np.inf, np.nan], shape)
    dtype = rng.choice(["f2", "f4", "f8", "f8", "i1", "u8", "bool", "c16", "U3", "O", ">f4"])
    X = np.asarray(X, order=rng.choice(["C", "F"])).astype(dtype)
    X.setflags(write=rng.random() < 0.5)
    return X


def something(rng: np.random.Generator) -> object:
    if rng.random() < 0.3:
        return ODD[rng.integers(len(ODD))]
    X = some_array(rng)
    return X.tolist() if rng.random() < 0.1 else X


def network(dtype: type = np.float64) -> net.FeedForwardNet:
    model = net.FeedForwardNet(dtype=dtype)
    for layer in (net.InputLayer(D), net.FullyConnectedLayer(H), net.ReLuLayer()):
        model.add(layer)
    model.add(net.FullyConnectedLayer(K))
    return model


def modules() -> cnn.Net:
    return cnn.Net([cnn.Linear(D, H), cnn.ReLU(), cnn.Linear(H, K)], cnn.CrossEntropyLoss)


X = np.random.default_rng(0).standard_normal((N, D))
y = np.eye(K)[[0, 1, 1, 0]]
PARAMS = fn.init(D, H, K, np.random.default_rng(0), np.float64)
Z1, A1, LOGITS = fn.forward(PARAMS, X)
DLOGITS = fn.cross_entropy(LOGITS, y)[1]
MODEL, NET = network(), modules()
RNG = np.random.default_rng(0)


def stepped(model: cnn.Net, *rates: object) -> None:
    model.loss(model(X), y)
    model.backward()
    model.update_weights(*rates)


# A function, the arguments that it likes; one or more of them are replaced by others.
CALLS = {
    "fn.predict": (partial(fn.predict, PARAMS), X),
    "fn.train": (partial(fn.train, PARAMS), X, y, 0.1, 0.1, 1, 2),
    "fn.accuracy": (partial(fn.accuracy, PARAMS), X, y),
    "net.FeedForwardNet": (net.FeedForwardNet, None, 0, np.float32),
    "net.InputLayer": (net.InputLayer, 3),
    "net.FullyConnectedLayer": (net.FullyConnectedLayer, 3),
    "net.add": (lambda layer: network().add(layer), net.ReLuLayer()),
    "net.forward": (MODEL.forward, X.T),
    "net.predict": (MODEL.predict, X),
    "net.probabilities": (MODEL.probabilities, X),
    "net.loss": (MODEL.loss, LOGITS.T, y.T),
    "net.test": (MODEL.test, X, y),
    "net.evaluate": (MODEL.evaluate, X, y),
    "net.train": (lambda *rest: network().train(*rest), X, y, 0.1, 1, 2, 0.1),
    "net.fit": (lambda *rest: network().fit(*rest), X, y, 1, 2, 0.1, 0.1),
    "net.set_weights": (lambda *W: network().set_weights(list(W)), *MODEL.get_weights()),
    "cnn.Net": (cnn.Net, [cnn.Linear(D, K)], cnn.CrossEntropyLoss),
    "cnn.call": (NET, X),
    "cnn.forward": (NET.forward, X),
    "cnn.predict": (NET.predict, X),
    "cnn.accuracy": (NET.accuracy, X, y),
    "cnn.update_weights": (lambda *rates: stepped(modules(), *rates), 0.1, 0.1),
    "cnn.train": (lambda *rest: modules().train(*rest), X, y, 0.1, 0.1, 1, 2),
    "cnn.set_weights": (
        lambda W: modules().set_weights(NET.get_weights() | {"layer_1/W": W}),
        NET.get_weights()["layer_1/W"],
    ),
    "cnn.CrossEntropyLoss": (cnn.CrossEntropyLoss(), LOGITS, y),
    "cnn.MeanSquareLoss": (cnn.MeanSquareLoss(), LOGITS, y),
    "cnn.Linear": (cnn.Linear, 3, 2),
    "cnn.Conv2D": (cnn.Conv2D, 1, 2, 3, 1, 0),
    "cnn.MaxPool2D": (cnn.MaxPool2D, 2, 2),
    "cnn.BatchNorm2D": (cnn.BatchNorm2D, 2),
    "cnn.Dropout": (cnn.Dropout, 0.5),
    "one_hot": (datasets.one_hot, np.arange(3), 3),
    "minibatches": (lambda *rest: list(datasets.minibatches(*rest, RNG)), X, y, 2),
    "at_epoch": (lambda rates: datasets.at_epoch(rates, 0), [0.1, 0.2]),
    "blobs": (lambda *sizes: datasets.blobs(*sizes, RNG), 3, 2, 2),
    "spirals": (lambda n: datasets.spirals(n, RNG), 3),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fuzz_only_errors_of_one_line_come_out(name):
    function, *likes = CALLS[name]
    rng, refused = np.random.default_rng(0), 0
    with np.errstate(all="ignore"):
        function(*likes)
        for _ in range(TRIES):
            likes_not = rng.random(len(likes)) < 0.5
            likes_not[rng.integers(len(likes))] = True
            words = [
                something(rng) if odd else like for odd, like in zip(likes_not, likes, strict=True)
            ]
            try:
                function(*words)
            except (ValueError, TypeError, FloatingPointError) as error:
                refused += 1
                assert str(error) and "\n" not in str(error)
    assert refused > TRIES / 3
