"""python -m cnn: picture folders and HDF5 files, every option, mistakes, no work is lost."""

import csv
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from cnn import __main__ as command
from datasets import load_weights
from datasets.run.report import learnt_nothing, most_confused


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """30 RGB pictures of 8 x 9 pixels in 3 class folders; each class is bright in its channel."""
    root = tmp_path_factory.mktemp("folder")
    rng = np.random.default_rng(0)
    for k, name in enumerate(["blue sky", "grass", "rose"]):
        (root / name).mkdir()
        for i in range(10):
            pixels = rng.integers(0, 100, (8, 9, 3), np.uint8)
            pixels[..., 2 - k] += 100
            Image.fromarray(pixels).save(root / name / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """90 + 30 grey pictures of 6 x 6 pixels in an HDF5 file; class k is bright in row 2 k."""
    path = tmp_path_factory.mktemp("file") / "rows.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as out:
        for half, N in (("train", 90), ("test", 30)):
            labels = np.arange(N) % 3
            pixels = rng.integers(0, 100, (N, 6, 6))
            pixels[np.arange(N), 2 * labels] += 100
            out[f"{half}_data"], out[f"{half}_labels"] = pixels.astype(np.uint8), labels
    return path


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run the command as from the shell: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["cnn", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            command.app()
        return exit.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def trained(call, folder):
    """The bytes of the weights after training on the folder."""

    def trained(*words):
        words = ("--epochs", 2, "--batch_size", 9, *words)
        code, _, err = call("--dataset", folder, "--save", "w.h5", *words)
        assert not code and not err
        return b"".join(W.tobytes() for W in load_weights("w.h5").values())

    return trained


def test_channels_size_and_classes_come_from_the_folder(call, folder):
    code, out, err = call("--dataset", folder, "--epochs", 5, "--batch_size", 9, "--save", "w.h5")
    assert not code and not err
    lines = out.splitlines()
    assert "epoch 5/5" in lines[5]
    assert lines[6].startswith("validation accuracy 100.00% (3 of 3)")
    assert any(f"is {name}" in lines[7] for name in ("blue sky", "grass", "rose"))
    assert "most confused" not in out  # since nothing was
    stored = load_weights("w.h5")
    assert stored["layer_1/W"].shape == (8, 3, 3, 3)
    assert stored["layer_5/W"].shape == (16 * 2 * 2, 3)


def test_an_hdf5_file_brings_its_own_validation_images(call, file):
    for option in ("--dataset", "--data"):
        code, out, err = call(option, file, "--epochs", 6, "--batch_size", 10)
        assert not code and not err
        assert "test accuracy 100.00% (30 of 30)" in out


def test_every_option_changes_the_result_and_a_seed_repeats_it(trained):
    changes = [("--lr", 0.1), ("--momentum", 0.5), ("--batch-size", 7), ("--seed", 1),
               ("--epochs", 3), ("--train_size", 20), ("--val_split", 0.3),
               ("--image_size", 8, 8), ("--lr", "0.02,0.1")]  # fmt: skip
    assert trained() == trained()
    assert len({trained(*change) for change in [(), *changes]}) == 1 + len(changes)


def test_mixed_sizes_and_bad_files(call, folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "mixed" / name).mkdir(parents=True)
        for i in range(4):
            size = (9 + i % 2, 8)
            Image.new("RGB", size, (60 * i, 0, 0)).save(tmp_path / f"mixed/{name}/{i}.png")
    code, out, err = call("--dataset", "mixed", "--epochs", 1)
    assert not code and not err and "pictures of 2 sizes are brought to" in out
    assert not call("--dataset", "mixed", "--image_size", 8, 8, "--epochs", 1)[0]
    (tmp_path / "mixed/a/text.png").write_text("no picture")
    words = ("--dataset", "mixed", "--image_size", 8, 8, "--epochs", 1)
    code, _, err = call(*words)
    assert code == 2 and "text.png" in err
    code, out, _ = call(*words, "--skip_bad")
    assert not code and "left out: " in out and "text.png" in out


def test_resume_goes_on_bit_for_bit(call, folder):
    words = ("--dataset", folder, "--image_size", 8, 8, "--batch_size", 9, "--lr", "0.1,0.05,0.2")
    call(*words, "--epochs", 3, "--save", "whole.h5", "--history", "whole.csv")
    call(*words, "--epochs", 1, "--checkpoint", "c.h5", "--history", "parts.csv")
    code, out, err = call(
        "--resume", "c.h5", "--dataset", folder, "--epochs", 3, "--save", "parts.h5"
    )
    assert not code and not err and "epoch 2/3" in out and "epoch 1/3" not in out
    whole, parts = load_weights("whole.h5"), load_weights("parts.h5")
    assert all(np.array_equal(whole[key], parts[key]) for key in {*whole, *parts})
    assert any(key.endswith("running_var") for key in parts)
    rows = []
    for name in ("whole.csv", "parts.csv"):
        with open(name, newline="") as lines:
            rows.append([{**row, "seconds": ""} for row in csv.DictReader(lines)])
    assert rows[0] == rows[1] and len(rows[0]) == 3
    assert list(rows[0][0]) == ["epoch", "loss", "accuracy", "validation_accuracy", "seconds"]


def test_load_gives_the_accuracy_that_was_saved(call, file):
    _, out, _ = call("--data", file, "--epochs", 2, "--save", "w.h5")
    accuracy = out[out.index("test accuracy") :].split(" after")[0]
    code, out, _ = call("--data", file, "--load", "w.h5")
    assert not code and accuracy in out and "epoch" not in out


def test_the_perceptron_of_a_weight_file_is_built(call, file):
    """A file with W (in, out) first is one of functional_net.py or net.py."""
    from datasets import load_mnist, save_weights

    X, y = load_mnist(file)[2:]
    rng = np.random.default_rng(0)
    W1, W2 = rng.standard_normal((36, 7), np.float32), rng.standard_normal((7, 3), np.float32)
    b1, b2 = rng.standard_normal(7, np.float32), rng.standard_normal(3, np.float32)
    names = ("layer_1/W", "layer_1/b", "layer_2/W", "layer_2/b")
    save_weights("w.h5", dict(zip(names, (W1, b1, W2, b2), strict=True)))
    scores = np.maximum(X @ W1 + b1, 0) @ W2 + b2
    right = np.count_nonzero(scores.argmax(axis=1) == y.argmax(axis=1))
    code, out, _ = call("--data", file, "--load", "w.h5")
    assert not code and f"({right} of 30)" in out


def test_pictures_and_own_pictures(call, folder, tmp_path):
    own = folder / "rose" / "003.png"
    words = ("--dataset", folder, "--epochs", 5, "--batch_size", 9)
    code, out, err = call(*words, "--pictures", "pics", "--predict", own)
    assert not code and not err and f"{own}: rose (" in out
    assert {path.name for path in (tmp_path / "pics").iterdir()} == {
        "filters.png", "mistakes.png", "confusion.png", "curves.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "nowhere"], "nowhere: no such file"),
        (["--image_size", "8", "8"], "--image_size is for a folder of pictures, got MNIST"),
        (["--image_size", "3", "3"], "two poolings expect images of 4x4 or more, got 3x3"),
        (["--image_size", "0", "8"], "'--image_size'"),
        (["--val_split", "1"], "'--val_split': expected a number above 0 and below 1, got 1"),
        (["--val_split", "x"], "'--val_split': expected a number above 0 and below 1, got x"),
        (["--val_split", "0.1"], "--val_split is for a folder of pictures, got MNIST"),
        (["--skip_bad"], "--skip_bad is for a folder of pictures, got MNIST"),
        (["--epochs", "0"], "'--epochs'"),
        (["--batch_size", "1.5"], "'--batch_size'"),
        (["--train_size", "28"], "train_size is expected to be from 1 to 27, got 28"),
        (["--lr", "nan"], "'--lr': expected a finite number above 0, got nan"),
        (["--momentum", "1"], "'--momentum': expected a number from 0 to below 1, got 1"),
        (["--load", "nowhere.h5"], "nowhere.h5: no such file"),
        (["--resume", "nowhere.h5"], "nowhere.h5: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(call, folder, words, message):
    if "MNIST" not in message and "--dataset" not in words:
        words = ["--dataset", str(folder), *words]
    code, out, err = call(*words)
    assert code == 2 and message in err and err.count("\n") == 1
    assert "accuracy" not in out


def test_weights_of_another_architecture_are_refused(call, folder, file):
    call("--dataset", folder, "--epochs", 1, "--save", "w.h5")
    code, _, err = call("--data", file, "--load", "w.h5")
    told = "these weights tell 3 classes (blue sky, grass, rose) apart, the images are 3 classes"
    assert code == 2 and f"w.h5: {told} (0, 1, 2)" in err


def test_divergence_stops_with_advice(call, folder):
    code, out, err = call("--dataset", folder, "--lr", "1e30", "--batch_size", 9)
    assert code == 1 and "epoch 1: the loss became" in err and "try a tenth" in err
    assert "test accuracy" not in out


def test_own_pictures_are_seen_as_those_of_the_folder(call, tmp_path):
    """Dark on light, the class is the place: as MNIST shows digits, all would be the same."""
    for name, column in (("left", 4), ("right", 18)):
        (tmp_path / "squares" / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.full((28, 28), 250, np.uint8)
            pixels[i : i + 6, column : column + 6] = 10
            Image.fromarray(pixels).save(tmp_path / "squares" / name / f"{i}.png")
    own = tmp_path / "squares/left/5.png", tmp_path / "squares/right/5.png"
    words = ("--dataset", "squares", "--epochs", 10, "--batch_size", 5, "--predict", *own)
    code, out, _ = call(*words)
    assert not code and f"{own[0]}: left (" in out and f"{own[1]}: right (" in out


def test_nothing_is_written_into_the_folder_that_is_learnt(call, folder):
    picture = folder / "rose" / "000.png"
    before = picture.read_bytes()
    code, _, err = call("--dataset", folder, "--save", picture, "--epochs", 1)
    assert code == 2 and "which is what is to be read" in err and picture.read_bytes() == before


def test_a_resumed_run_keeps_its_split(call, folder):
    call("--dataset", folder, "--epochs", 1, "--batch_size", 9, "--checkpoint", "c.h5")
    for option in (("--seed", 1), ("--val_split", 0.4)):
        for epochs in (1, 2):
            code, _, err = call(
                "--resume", "c.h5", "--dataset", folder, "--epochs", epochs, *option
            )
            assert code == 2 and "c.h5: the run learnt other images than those of now" in err


def test_a_run_that_learnt_nothing_is_told_and_no_other():
    one, many = np.zeros(50, int), np.arange(50) % 10
    guessed = [{"epoch": 1, "loss": 2.31, "accuracy": 0.1}]
    assert "every image is taken for one class" in learnt_nothing(guessed, one, 10)
    assert "no better than guessing" in learnt_nothing(guessed, many, 10)
    for better in ({"loss": 2.0}, {"accuracy": 0.4}):
        assert not learnt_nothing([guessed[0] | better], many, 10)


def test_most_confused():
    names, truth = ["cat", "dog", "weasel"], np.repeat([0, 1, 2], [7, 5, 8])
    guess = np.repeat([0, 1, 1, 0, 2], [5, 2, 5, 3, 5])
    assert most_confused(truth, guess, names) == [
        "most confused  taken for  times",
        "weasel         cat            3",
        "cat            dog            2",
    ]
    assert most_confused(truth, truth, names) == []


def test_help_teaches_in_ascii(call):
    code, out, _ = call("-h")
    assert not code and out.isascii()
    for option in ("--dataset", "--image_size", "--val_split", "--skip_bad", "--resume"):
        assert option in out
