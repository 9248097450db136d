"""The commands: every option changes the result, every mistake is one line, no work is lost."""

import csv
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import net
from datasets import load_weights, save_weights, start
from datasets.bar import Bar
from datasets.run import report
from datasets.run.run import Run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["functional_net", "net"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """90 + 30 pictures of 4 x 4 pixels: class k has its bright pixels in row k."""
    path = tmp_path_factory.mktemp("data") / "rows.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for half, N in (("train", 90), ("test", 30)):
            labels = np.arange(N) % 3
            pixels = rng.integers(0, 100, (N, 4, 4))
            pixels[np.arange(N), labels] += 100
            file[f"{half}_data"], file[f"{half}_labels"] = pixels.astype(np.uint8), labels
    return path


@pytest.fixture
def call(data, capsys, monkeypatch, tmp_path):
    """Run a command as from the shell: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *words: object) -> tuple[object, str, str]:
        module = importlib.import_module(command)
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            module.app()
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return call


@pytest.fixture
def weights(call, data, tmp_path):
    """The bytes of the weights that a command saves."""

    def weights(command: str, *words: object) -> bytes:
        path = tmp_path / "w.h5"
        code, _, err = call(command, "--data", data, "--save", path, "--epochs", 3, *words)
        assert not err and not code
        return b"".join(array.tobytes() for array in load_weights(path).values())

    return weights


# --- options ----------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_it_learns_and_says_so(call, data, command):
    code, out, err = call(command, "--data", data, "--epochs", 8)
    assert not code and not err
    lines = out.splitlines()
    assert lines[0].endswith(" parameters") and lines[1].startswith("epoch 1/8  loss ")
    assert lines[9].startswith("test accuracy 100.00% (30 of 30) after 8 epochs in ")
    assert lines[10].startswith("example: test image 0 is 0, predicted 0 (")
    assert out.isascii()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_changes_the_result_and_a_seed_repeats_it(weights, command):
    changes = [("--lr", 0.2), ("--lr", "0.1,0.2"), ("--momentum", 0.3), ("--momentum", "0.1,0.3"),
               ("--batch_size", 7), ("--batch-size", 8), ("--seed", 5), ("--train_size", 60),
               ("--epochs", 4)]  # fmt: skip
    if command == "functional_net":
        changes.append(("--hidden-neurons", 50))
    assert weights(command) == weights(command)
    assert len({weights(command, *change) for change in [(), *changes]}) == 1 + len(changes)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "nan"], "'--lr': expected a finite number above 0, got nan"),
        (["--lr", "0"], "'--lr': expected a finite number above 0, got 0"),
        (["--lr", "inf"], "'--lr': expected a finite number above 0, got inf"),
        (["--lr", "0.1,"], "'--lr': expected a finite number above 0, or several"),
        (["--lr", "fast"], "'--lr': expected a finite number above 0, or several"),
        (["--momentum", "1"], "'--momentum': expected a number from 0 to below 1, got 1"),
        (["--momentum", "-0.1"], "'--momentum': expected a number from 0 to below 1, got -0.1"),
        (["--epochs", "0"], "'--epochs'"),
        (["--epochs", "two"], "'--epochs'"),
        (["--batch_size", "0"], "'--batch_size'"),
        (["--seed", "-1"], "'--seed'"),
        (["--train_size", "91"], "train_size is expected to be from 1 to 90, got 91"),
        (["--data", "nowhere.h5"], "nowhere.h5: no such file"),
        (["--load", "nowhere.h5"], "nowhere.h5: no such file"),
        (["--resume", "nowhere.h5"], "nowhere.h5: no such file"),
        (["--frobnicate"], "No such option"),
        (["picture.png"], "expected options only, got the argument 'picture.png'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(call, data, command, words, message):
    words = words if "--data" in words else [*words, "--data", data]
    code, out, err = call(command, *words)
    assert code == 2 and message in err
    assert err.count("\n") == 1 and err.startswith(f"{command}.py: ")
    assert "accuracy" not in out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_in_ascii(call, command):
    code, out, _ = call(command, "-h")
    assert not code and out.isascii() and "--batch_size" in out and "--lr" in out


# --- training that goes wrong -------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_divergence_stops_with_advice_and_keeps_the_last_good_weights(call, data, command):
    base = ("--data", data, "--seed", 1)
    call(command, *base, "--epochs", 1, "--save", "good.h5")
    code, out, err = call(command, *base, "--epochs", 3, "--lr", "0.1,1e30", "--save", "w.h5")
    if command == "functional_net":
        call(command, *base, "--epochs", 1, "--lr", "0.1", "--save", "good.h5")
    assert code == 1 and "accuracy" not in out.splitlines()[-1].replace("  accuracy", "")
    assert "epoch 2: the loss became" in err and "try a tenth" in err and err.count("\n") == 1
    assert "the weights after epoch 1 are in w.h5" in err
    for key, array in load_weights("good.h5").items():
        assert np.array_equal(array, load_weights("w.h5")[key])


# --- weights travel -----------------------------------------------------------------


def test_weights_of_one_command_give_the_same_accuracy_in_the_other(call, data):
    _, out, _ = call("functional_net", "--data", data, "--epochs", 2, "--save", "w.h5")
    accuracy = out[out.index("test accuracy") :].split(" after")[0]
    for command in COMMANDS:
        code, out, _ = call(command, "--data", data, "--load", "w.h5")
        assert not code and accuracy in out and "epoch" not in out


def test_functional_net_has_one_hidden_layer(call, data):
    for sizes in ([16, 3], [16, 5, 4, 3]):
        model = net.perceptron(sizes)
        save_weights("w.h5", net.to_weights(model.get_weights()))
        assert not call("net", "--data", data, "--load", "w.h5")[0]
        code, _, err = call("functional_net", "--data", data, "--load", "w.h5")
        assert code == 2 and err.count("\n") == 1
        assert f"w.h5: this network has 1 hidden layer, the file {len(sizes) - 2}" in err


@pytest.mark.parametrize("option", [("--lr", 1), ("--batch_size", 3), ("--history", "h.csv")])
def test_load_alone_takes_no_options_of_training(call, data, option):
    call("net", "--data", data, "--epochs", 1, "--save", "w.h5")
    code, _, err = call("net", "--data", data, "--load", "w.h5", *option)
    assert code == 2 and f"{option[0]} is for training: --load trains if --epochs is given" in err
    assert not call("net", "--data", data, "--load", "w.h5", "--epochs", 1, *option)[0]


def test_load_trains_on_when_epochs_are_given(call, data):
    call("net", "--data", data, "--epochs", 1, "--save", "w.h5")
    _, out, _ = call("net", "--data", data, "--load", "w.h5", "--epochs", 1)
    assert "epoch 1/1" in out


# --- no work is lost ----------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_resume_goes_on_bit_for_bit(call, data, command):
    options = ("--data", data, "--momentum", 0.5, "--lr", "0.1,0.05,0.2", "--seed", 3)
    call(command, *options, "--epochs", 4, "--save", "whole.h5", "--history", "whole.csv")
    call(command, *options, "--epochs", 2, "--checkpoint", "c.h5", "--history", "parts.csv")
    code, out, err = call(
        command, "--resume", "c.h5", "--data", data, "--epochs", 4, "--save", "parts.h5"
    )
    assert not code and not err and "epoch 3/4" in out and "epoch 2/4" not in out
    assert same_weights("whole.h5", "parts.h5")
    assert history("whole.csv") == history("parts.csv") and len(history("parts.csv")) == 4


def pressing_ctrl_c(step: int, stop: signal.Signals = signal.SIGINT, epoch: int = 1):
    """Run.note, that sends a signal in a step of an epoch, by default of the second."""
    note = Run.note

    def pressed(run: Run, loss: float, right: int) -> None:
        note(run, loss, right)
        if (run.progress.epoch, run.progress.step) == (epoch, step):
            signal.raise_signal(stop)

    return pressed


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("epoch", "step"), [(0, 3), (1, 1), (1, 9)])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(
    call, data, command, epoch, step, monkeypatch
):
    options = ("--data", data, "--batch_size", 10, "--epochs", 3)
    call(command, *options, "--save", "whole.h5", "--history", "whole.csv")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "note", pressing_ctrl_c(step, epoch=epoch))
        code, out, _ = call(command, *options, "--save", "parts.h5", "--history", "parts.csv")
    assert code == 130 and not Path("parts.h5").exists()
    assert out.splitlines()[-1].endswith(f"go on with --resume {command}_stopped.h5")
    code, _, _ = call(command, "--resume", f"{command}_stopped.h5", "--data", data)
    assert not code and same_weights("whole.h5", "parts.h5")
    assert history("whole.csv") == history("parts.csv")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows knows no SIGHUP")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_hangup_stops_a_run_unless_nohup_ignores_it(call, data, ignored, monkeypatch):
    monkeypatch.setattr(Run, "note", pressing_ctrl_c(5, signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        code, out, _ = call("net", "--data", data, "--batch_size", 10, "--epochs", 3)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (not code and "epoch 3/3" in out) if ignored else code == 130


@pytest.fixture
def stopped(call, data, monkeypatch):
    """A checkpoint of net.py within its second epoch, in batches of 10."""
    with monkeypatch.context() as patch:
        patch.setattr(Run, "note", pressing_ctrl_c(5))
        call("net", "--data", data, "--batch_size", 10, "--epochs", 3)
        call("net", "--data", data, "--batch_size", 10, "--epochs", 3, "--seed", 1)
    return "net_stopped.h5"


def test_a_second_stopped_run_leaves_the_first_one_alone(call, data, stopped):
    for path in (stopped, "net_stopped_2.h5"):
        assert not call("net", "--resume", path, "--data", data)[0]
    assert not same_weights(stopped, "net_stopped_2.h5")


def test_a_run_stopped_within_an_epoch_goes_on_with_its_batches_and_its_images(
    call, data, stopped, tmp_path
):
    code, _, err = call("net", "--resume", stopped, "--data", data, "--batch_size", 1)
    assert code == 2 and "in batches of 10, it cannot go on with --batch_size 1" in err
    with h5py.File(data) as old, h5py.File(tmp_path / "other.h5", "w") as new:
        for key in old:
            new[key] = old[key][()]
        new["train_data"][0] = 255 - new["train_data"][0]
    code, _, err = call("net", "--resume", stopped, "--data", "other.h5")
    assert code == 2 and f"{stopped}: the run learnt other images than those of now" in err


def test_a_stopped_run_ends_no_earlier_than_it_was_stopped(call, data, stopped):
    code, _, err = call("net", "--resume", stopped, "--data", data, "--epochs", 1)
    assert code == 2 and "stopped within epoch 2, it cannot end after --epochs 1" in err


def test_what_is_saved_when_a_resumed_run_diverges_is_named(call, data, stopped):
    words = ("--data", data, "--lr", "1e30", "--save", "w.h5")
    code, _, err = call("net", "--resume", stopped, *words)
    assert code == 1 and "the weights within epoch 2, step 5 are in w.h5" in err
    assert same_weights("w.h5", stopped)


def test_a_resumed_run_writes_to_its_own_checkpoint(call, data, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    call("net", "--data", data, "--epochs", 1, "--checkpoint", "c.h5", "--save", "w.h5")
    monkeypatch.chdir(tmp_path)
    _, out, _ = call("net", "--resume", "there/c.h5", "--data", data, "--epochs", 2)
    assert f"--save {tmp_path / 'there' / 'w.h5'}, as the checkpoint says" in out
    assert not Path("c.h5").exists() and not Path("w.h5").exists()
    assert same_weights("there/c.h5", "there/w.h5")


def test_ctrl_c_outside_of_training_stops_at_once(call, data, monkeypatch):
    call("net", "--data", data, "--epochs", 1, "--save", "w.h5")
    monkeypatch.setattr(report, "_pictures", lambda *_: signal.raise_signal(signal.SIGINT))
    code, out, err = call("net", "--data", data, "--load", "w.h5", "--pictures", "p")
    assert code == 130 and err == "net.py: stopped\n" and "pictures are in" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to a process")
@pytest.mark.parametrize("words", [["functional_net.py"], ["net.py"], ["-m", "cnn"]])
def test_ctrl_c_while_numpy_is_imported_ends_the_program_in_silence(tmp_path, words):
    (tmp_path / "numpy.py").write_text(
        "import time\nprint('importing', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise ImportError('broken')"
    )
    program = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdout.readline() == "importing\n"
    program.send_signal(signal.SIGINT)
    assert program.communicate() == ("", "") and program.returncode == -signal.SIGINT


def test_other_programs_that_import_this_keep_their_ctrl_c():
    for words in (["python", "mine.py"], ["python", "-m", "pytest"], ["python"], ["python", "-c"]):
        assert not start.is_command(words)
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_DFL


DAMAGES = [
    {"epoch": -5},
    {"epoch": float("inf")},
    {"step": -5},
    {"hits": 1.5},
    {"rng": -1},
    {"rng": {"bit_generator": "PCG64", "state": {"state": 2**200, "inc": 1}}},
    {"history": ["a"]},
    {"history": [{"seconds": "x"}]},
    {"images": None},
    {"history": [{"epoch": 1, "loss": 0.5, "accuracy": 0.5}]},
    {"step": 10**6},
    {"hits": 10**9},
    {"seconds": -5},
]


def test_a_damaged_state_is_one_line(call, data, stopped):
    with h5py.File(stopped) as file:
        whole = json.loads(file["run/state"][()].tobytes())
    for change in DAMAGES:
        with h5py.File(stopped, "a") as file:
            del file["run/state"]
            file["run/state"] = np.frombuffer(json.dumps(whole | change).encode(), np.uint8)
        code, _, err = call("net", "--resume", stopped, "--data", data)
        assert code == 2 and "the state of the run is damaged" in err, change
        assert err.count("\n") == 1


def test_every_digit_of_a_rate_is_kept(call, data):
    options = ("--data", data, "--lr", "0.123456789")
    call("net", *options, "--epochs", 2, "--save", "whole.h5")
    call("net", *options, "--epochs", 1, "--checkpoint", "c.h5")
    call("net", "--resume", "c.h5", "--data", data, "--epochs", 2, "--save", "parts.h5")
    assert same_weights("whole.h5", "parts.h5")


def same_weights(one: str, two: str) -> bool:
    a, b = load_weights(one), load_weights(two)
    return all(np.array_equal(a[key], b[key]) for key in {*a, *b})


def history(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if key != "seconds"} for row in rows]


# --- pictures -----------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_pictures_and_own_pictures(call, data, command, tmp_path):
    from PIL import Image

    for k in range(2):
        pixels = np.zeros((4, 4), np.uint8)
        pixels[k] = 200
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    words = ("--data", data, "--epochs", 8, "--pictures", "new/pics", "--predict", "0.png", "1.png")
    code, out, err = call(command, *words)
    assert not code and not err
    assert "0.png: 0 (" in out and "1.png: 1 (" in out
    assert {path.name for path in Path("new/pics").iterdir()} == {
        "weights.png", "mistakes.png", "confusion.png", "curves.png",
    }  # fmt: skip


# --- what cannot be written ----------------------------------------------------------


@pytest.mark.parametrize("option", ["--save", "--checkpoint", "--history"])
def test_a_target_that_cannot_be_written_is_told_before_training(call, data, option, tmp_path):
    code, out, err = call("net", "--data", data, option, tmp_path)
    assert code == 2 and "expected a file to write, this is a folder" in err and not out


def test_a_missing_own_picture_is_told_before_training(call, data):
    code, out, err = call("net", "--data", data, "--predict", "nowhere.png")
    assert code == 2 and "nowhere.png: no such file" in err and not out


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_closed_output_loses_no_weights(call, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        code, _, err = call("net", "--data", data, "--epochs", 2, "--save", "w.h5")
        sys.stdout.close()  # what say put in its place
    assert not code and not err
    call("net", "--data", data, "--epochs", 2, "--save", "whole.h5")
    assert same_weights("w.h5", "whole.h5")


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_under_both_outputs_loses_no_weights(call, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        patch.setattr(sys, "stderr", Full())
        code, _, _ = call("net", "--data", data, "--epochs", 2, "--save", "w.h5")
        sys.stdout.close()
        sys.stderr.close()
    assert not code and load_weights("w.h5")


@pytest.mark.parametrize("columns", [20, 40, 70])
def test_the_bar_is_ascii_on_a_narrow_terminal_without_unicode(monkeypatch, columns):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    with Bar("epoch 1/5", 100) as bar:
        bar.show(50, "loss 0.1234  accuracy  99.00%    50,000 samples/s")
    screen.flush()
    assert b"epoch" in screen.buffer.getvalue()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux' /proc")
def test_a_full_disk_loses_neither_the_run_nor_the_weights(call, data, monkeypatch, tmp_path):
    import os

    real = os.fsync

    def full(handle: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{handle}")).is_relative_to(tmp_path / "full"):
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    words = ("--checkpoint", "full/c.h5", "--save", "full/w.h5", "--epochs", 2)
    code, out, err = call("net", "--data", data, *words)
    assert code == 1 and "epoch 2/2" in out
    assert "full/c.h5 could not be written, training goes on: [Errno 28] No space left" in err
    assert "full/w.h5 could not be written ([Errno 28] No space left on device)" in err
    fallback = Path(out.splitlines()[-1].removeprefix("weights are in "))
    assert fallback.name == "w.h5" and load_weights(fallback)
