"""What datasets promises: MNIST bit for bit, other files checked, batches that drop nothing."""

import gzip
import hashlib
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

import datasets
from datasets import (
    at_epoch,
    blobs,
    checks,
    load_data,
    load_images,
    load_mnist,
    minibatches,
    one_hot,
    spirals,
    xor,
)
from datasets.read.idx import import_idx, read_idx

README = Path(datasets.__file__).with_name("README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def small_file(path: Path, **changes) -> Path:
    """An HDF5 file with 6 training and 3 test pictures of 4 x 5 pixels, 3 classes."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_data": rng.integers(0, 256, (6, 4, 5), np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2], np.uint8),
        "test_data": rng.integers(0, 256, (3, 4, 5), np.uint8),
        "test_labels": np.array([0, 1, 2], np.uint8),
    } | changes
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            if array is not None:
                file[key] = array
    return path


# --- MNIST ---------------------------------------------------------------------


@pytest.mark.parametrize("key", ["train_data", "train_labels", "test_data", "test_labels"])
def test_the_committed_file_has_the_digests_of_the_readme(key):
    with h5py.File(datasets.MNIST) as file:
        digest = hashlib.sha256(file[key][()].tobytes()).hexdigest()
    assert re.search(rf"`{key}` .*`{digest}`", README)


def test_mnist_is_60000_and_10000_rows_of_784_pixels_from_0_to_1(mnist):
    X_train, y_train, X_test, y_test = mnist
    assert X_train.shape == (60000, 784) and X_test.shape == (10000, 784)
    assert y_train.shape == (60000, 10) and y_test.shape == (10000, 10)
    assert {array.dtype for array in mnist} == {np.dtype(np.float32)}
    assert X_train.min() == X_test.min() == 0 and X_train.max() == X_test.max() == 1
    assert (y_train.sum(axis=1) == 1).all() and (y_train.max(axis=1) == 1).all()


def test_the_networks_offer_load_data():
    import functional_net
    import net

    assert functional_net.load_data is net.load_data is load_data is load_mnist


def test_images_are_the_rows_as_pictures(mnist):
    X, y, _, _ = load_images(train_size=100)
    assert X.shape == (100, 1, 28, 28)
    assert np.array_equal(X.reshape(100, 784), mnist[0][::600])  # evenly spaced
    assert np.array_equal(y, mnist[1][::600])


# --- files of one's own --------------------------------------------------------


def test_any_size_and_number_of_classes_loads(tmp_path):
    X_train, y_train, X_test, y_test = load_mnist(small_file(tmp_path / "a.h5"))
    assert X_train.shape == (6, 20) and y_train.shape == (6, 3)
    assert X_test.shape == (3, 20) and y_test.shape == (3, 3)


@pytest.mark.parametrize("channels_last", [True, False])
def test_rgb_becomes_channels_first(tmp_path, channels_last):
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (6, 4, 5, 3)), rng.integers(0, 256, (3, 4, 5, 3))
    train, test = train.astype(np.uint8), test.astype(np.uint8)
    axes = (0, 1, 2, 3) if channels_last else (0, 3, 1, 2)
    data = {"train_data": train.transpose(axes), "test_data": test.transpose(axes)}
    X = load_images(small_file(tmp_path / "a.h5", **data))[0]
    assert np.allclose(X, train.transpose(0, 3, 1, 2) / 255)


@pytest.mark.parametrize(
    ("pixels", "scale"), [(np.uint8, 255), (np.int64, 255), (np.uint16, 65535), (np.float64, 1)]
)
def test_pixels_end_between_0_and_1(tmp_path, pixels, scale):
    train = (np.random.default_rng(0).random((6, 4, 5)) * scale).astype(pixels)
    path = small_file(tmp_path / "a.h5", train_data=train)
    assert np.allclose(load_images(path)[0][:, 0], train / scale)


@pytest.mark.parametrize(
    ("pixels", "highest", "white"),
    [(np.uint8, 1, 1), (np.uint8, 16, 16), (np.uint16, 255, 255), (np.uint16, 4095, 4095),
     (np.int32, 65535, 65535)],
)  # fmt: skip
def test_white_is_told_by_the_pixels_and_said_where_it_is_not_that_of_the_dtype(
    tmp_path, pixels, highest, white
):
    data = np.random.default_rng(0).integers(0, highest + 1, (9, 4, 5)).astype(pixels)
    data[0, 0, 0] = highest
    path = small_file(tmp_path / "a.h5", train_data=data[:6], test_data=data[6:])
    with pytest.warns(UserWarning, match=f"the largest pixel is {highest}, {white} counts as wh"):
        X_train, _, X_test, _ = load_images(path)
    assert np.allclose(np.concatenate([X_train, X_test])[:, 0], data / white)


def test_classes_that_no_training_picture_has_are_said(tmp_path):
    labels = {"train_labels": np.array([1, 3, 1, 3, 1, 3]), "test_labels": np.array([1, 3, 1])}
    with pytest.warns(UserWarning, match="4 classes, from 0 to 3, but no training picture of 0, 2"):
        y = load_images(small_file(tmp_path / "a.h5", **labels))[1]
    assert y.shape == (6, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_data": None}, "expected test_data, found test_labels, train_data"),
        ({"train_data": np.zeros(6)}, r"train_data is expected to be .* got \(6,\)"),
        ({"train_data": np.zeros((0, 4, 5))}, r"train_data is expected to be .* got \(0, 4, 5\)"),
        ({"test_data": np.zeros((3, 5, 4))}, r"one shape, got \(1, 4, 5\)|one shape, got \(4, 5\)"),
        ({"train_labels": np.zeros(5, int)}, r"expected to be 6 integers, got int64 of shape \(5,"),
        ({"train_labels": np.zeros(6)}, "expected to be 6 integers, got float64"),
        ({"train_labels": np.arange(6) - 1}, "labels start at 0, got -1"),
        (
            {"train_labels": np.full(6, 2**60)},
            "from 2 to 9 classes of 9 pictures, got labels up to 11529",
        ),
        (
            {"train_data": np.full((6, 4, 5), 7.0)},
            "floats in .0, 1. or int.* got float64 from 7 to 7",
        ),
        ({"train_data": np.full((6, 4, 5), np.nan)}, "got float64 from nan to nan"),
        ({"train_data": np.full((6, 4, 5), -3)}, r"0 to 255 \(or 65535\), got int64 from -3 to -3"),
        ({"train_data": np.full((6, 4, 5), b"ab")}, "train_data is expected to be an array of num"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        load_mnist(small_file(tmp_path / "a.h5", **changes))
    assert "\n" not in str(error.value) and "a.h5" in str(error.value)


def test_train_size_beyond_the_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="from 1 to 6, got 7"):
        load_mnist(small_file(tmp_path / "a.h5"), train_size=7)


def test_a_missing_an_empty_and_a_foreign_file_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_mnist(tmp_path / "none.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(ValueError, match="the file is empty"):
        load_mnist(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("digits")
    with pytest.raises(ValueError, match="not a whole HDF5 file"):
        load_mnist(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="expected a file"):
        load_mnist(tmp_path)


def test_a_file_cut_anywhere_is_refused_or_complete(tmp_path):
    whole = small_file(tmp_path / "a.h5").read_bytes()
    cut = tmp_path / "cut.h5"
    for end in np.random.default_rng(0).integers(1, len(whole), 60):
        cut.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"not a whole HDF5 file"):
            load_mnist(cut)


# --- hostile HDF5: nothing outside the file is ever read ------------------------


def secret(tmp_path: Path) -> Path:
    return small_file(tmp_path / "secret.h5")


def test_links_to_other_files_are_not_followed(tmp_path):
    other = secret(tmp_path)
    for link in (h5py.ExternalLink(str(other), "/train_data"), h5py.SoftLink("/test_data")):
        path = small_file(tmp_path / "a.h5", train_data=link)
        with pytest.raises(ValueError, match="train_data is a link to another place"):
            load_mnist(path)


def test_external_and_virtual_storage_are_not_read(tmp_path):
    path = small_file(tmp_path / "a.h5", train_data=None, test_data=None)
    raw = tmp_path / "passwords"
    raw.write_bytes(bytes(120))
    with h5py.File(path, "a") as file:
        file.create_dataset("train_data", (6, 4, 5), np.uint8, external=[(str(raw), 0, 120)])
        layout = h5py.VirtualLayout((3, 4, 5), np.uint8)
        layout[:] = h5py.VirtualSource(secret(tmp_path), "test_data", (3, 4, 5))
        file.create_virtual_dataset("test_data", layout)
    with pytest.raises(ValueError, match="train_data is stored in another file"):
        load_mnist(path)
    with h5py.File(path, "a") as file:
        del file["train_data"]
        file["train_data"] = np.zeros((6, 4, 5), np.uint8)
    with pytest.raises(ValueError, match="test_data is stored in another file"):
        load_mnist(path)


def test_a_tiny_file_that_claims_a_terabyte_is_refused(tmp_path):
    path = small_file(tmp_path / "a.h5", train_data=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("train_data", (2**30, 32, 32), np.uint8, compression="gzip")
    with pytest.raises(ValueError, match=r"train_data, .* takes 1,099,511,627,776 bytes, more"):
        load_mnist(path)


def test_true_is_white(tmp_path):
    pixels = np.random.default_rng(0).random((6, 4, 5)) < 0.5
    path = small_file(tmp_path / "bool.h5", train_data=pixels)
    assert np.array_equal(load_mnist(path)[0], pixels.reshape(6, 20))


# --- IDX -----------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    "spelled", ["{}", "{}.gz", "{0}/{0}", "set-{}.gz"]
)  # whether they are packed is told by the first bytes
@pytest.mark.parametrize("packed", [False, True])
def test_import_idx_keeps_every_pixel(tmp_path, packed, spelled):
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (1003, 28, 28)),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 1003),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (7, 28, 28)),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 7),
    }
    for name, array in arrays.items():
        data = gzip.compress(idx(array)) if packed else idx(array)
        path = tmp_path / spelled.format(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    import_idx(tmp_path, tmp_path / "new" / "set.h5")
    with pytest.raises(ValueError, match="expected another file to write, this one is to be read"):
        import_idx(tmp_path, tmp_path / spelled.format("train-labels-idx1-ubyte"))
    with h5py.File(tmp_path / "new" / "set.h5") as file:
        for key, array in zip(file, (arrays[name] for name in sorted(arrays)), strict=True):
            assert np.array_equal(file[key], array)


def write_set(folder: Path, prefix: str, dot: str = "-", test: str = "t10k") -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 3)).astype(np.uint8)
    for half in ("train", test):
        (folder / f"{prefix}{half}-images{dot}idx3-ubyte").write_bytes(idx(images))
        (folder / f"{prefix}{half}-labels{dot}idx1-ubyte").write_bytes(idx(np.arange(5)))
    return images


def test_other_spellings_of_the_names_are_found(tmp_path):
    images = write_set(tmp_path, "", ".")
    import_idx(tmp_path, tmp_path / "set.h5")
    assert np.array_equal(load_images(tmp_path / "set.h5")[0][:, 0] * 255, images)


def test_emnist_is_turned_upright_and_it_is_said(tmp_path):
    images = write_set(tmp_path, "emnist-letters-", test="test")
    told = import_idx(tmp_path, tmp_path / "set.h5")
    assert told["train_data"] == "(5, 3, 3), transposed: EMNIST stores columns"
    X = load_images(tmp_path / "set.h5")[0]
    assert np.allclose(X[:, 0] * 255, images.transpose(0, 2, 1))
    write_set(tmp_path, "emnist-digits-", test="test")
    with pytest.raises(ValueError, match=r"expected one train-images-idx3-ubyte, found emnist-dig"):
        import_idx(tmp_path, tmp_path / "set.h5")


def test_a_small_idx_file_that_inflates_to_gigabytes_is_refused(tmp_path):
    data = bytes([0, 0, 8, 3]) + struct.pack(">3I", 100_000, 28, 28)
    (tmp_path / "x").write_bytes(gzip.compress(data + bytes(10**5)))
    with pytest.raises(ValueError, match=r"the header claims \(100000, 28, 28\), more than"):
        read_idx(tmp_path / "x", 3)


def test_a_damaged_idx_file_says_what_was_expected(tmp_path):
    path = tmp_path / "x"
    good = idx(np.zeros((3, 2, 2)))
    cases = {
        good[:-1]: "expected 12 bytes after the header, got 11",
        good + b"x": "expected 12 bytes after the header, got more",
        idx(np.zeros(3)): r"with 3 dimensions \(first bytes 0 0 8 3\), got first bytes .0, 0, 8, 1",
        bytes([0, 0, 8, 3]) + b"\xff" * 12: "the header claims",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message):
            read_idx(path, 3)
    (tmp_path / "x.gz").write_bytes(gzip.compress(good)[:-9])
    with pytest.raises(ValueError, match="damaged gzip file"):
        read_idx(tmp_path / "x.gz", 3)
    with pytest.raises(FileNotFoundError, match=r"expected a file train-images-idx3-ubyte or"):
        import_idx(tmp_path, tmp_path / "y.h5")


# --- one_hot and minibatches ----------------------------------------------------


def test_one_hot_and_argmax_are_inverse():
    labels = np.random.default_rng(0).integers(0, 7, 50)
    Y = one_hot(labels, 7)
    assert Y.dtype == np.float32 and np.array_equal(Y.argmax(axis=1), labels)
    assert np.array_equal(Y, one_hot(labels[:, None], 7)) and Y.sum() == 50


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "integer labels, got float64"),
        ([0, 3], ValueError, "labels from 0 to 2, got labels from 0 to 3"),
        ([-1, 0], ValueError, "got labels from -1 to 0"),
        ([[0, 1]], ValueError, r"shape \(N,\), got \(1, 2\)"),
    ],
)
def test_one_hot_refuses(labels, error, message):
    with pytest.raises(error, match=message):
        one_hot(np.array(labels), 3)


@pytest.mark.parametrize("N", [1, 9, 10, 11])
@pytest.mark.parametrize("batch_size", [1, 5, 10, 100])
def test_an_epoch_sees_every_sample_once(N, batch_size):
    X = np.arange(N)[:, None]
    batches = list(minibatches(X, 10 * X, batch_size, np.random.default_rng(0)))
    seen = np.concatenate([x for x, _ in batches])
    assert sorted(seen[:, 0]) == list(range(N))
    assert all(np.array_equal(y, 10 * x) for x, y in batches)
    assert {len(x) for x, _ in batches[:-1]} <= {batch_size}


def test_epochs_are_shuffled_anew_and_a_seed_repeats_them():
    X = np.arange(100)[:, None]
    rng = np.random.default_rng(1)
    first, second = (np.concatenate([x for x, _ in minibatches(X, X, 7, rng)]) for _ in "ab")
    again = np.concatenate([x for x, _ in minibatches(X, X, 7, np.random.default_rng(1))])
    assert not np.array_equal(first, second) and np.array_equal(first, again)


def test_start_goes_on_in_the_same_shuffle():
    X = np.arange(20)[:, None]
    whole = list(minibatches(X, X, 3, np.random.default_rng(1)))
    rest = list(minibatches(X, X, 3, np.random.default_rng(1), start=4))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(whole[4:], rest, strict=True))


def test_minibatches_refuses():
    rng, X = np.random.default_rng(0), np.zeros((3, 2))
    with pytest.raises(ValueError, match="as many X as y, got 3 and 2"):
        minibatches(X, X[:2], 1, rng)
    with pytest.raises(ValueError, match="at least one sample"):
        minibatches(X[:0], X[:0], 1, rng)
    with pytest.raises(ValueError, match="1 or more, got 0"):
        minibatches(X, X, 0, rng)


# --- schedules, checks and toy sets ----------------------------------------------


def test_the_last_value_of_a_schedule_holds_on():
    assert [at_epoch((3, 2, 1), epoch) for epoch in range(5)] == [3, 2, 1, 1, 1]
    assert at_epoch(0.5, 9) == 0.5
    with pytest.raises(ValueError, match="at least one value"):
        at_epoch([], 0)


def test_a_diverged_loss_is_told_with_advice():
    checks.loss(1e30, 1, 0.1)
    for loss in (float("nan"), float("inf")):
        with pytest.raises(FloatingPointError, match=r"step 7 with lr = 100: .*lr = 10$"):
            checks.loss(loss, 7, 100)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X, y: ((X * 255).astype(np.uint8), y), TypeError, "floats .*got X uint8"),
        (lambda X, y: (X, y.argmax(axis=1)), TypeError, "one-hot y.*got X float64 and y int64"),
        (lambda X, y: (X[:, :2], y), ValueError, r"X of shape \(N, 3\), got \(8, 2\)"),
        (lambda X, y: (X[:0], y[:0]), ValueError, r"X of shape \(N, 3\), got \(0, 3\)"),
        (lambda X, y: (X, y[:, :3]), ValueError, r"y of shape \(8, 4\), got \(8, 3\)"),
        (lambda X, y: (X * np.inf, y), ValueError, "finite X, got nan or inf"),
        (lambda X, y: (X, 2 * y), ValueError, "one-hot, got others"),
        (lambda X, y: (X, y * [3, 1, 1, 1] - [2, 0, 0, 0]), ValueError, "one-hot, got others"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change, error, message):
    X, y = blobs(2, 4, 3, np.random.default_rng(0), np.float64)
    checks.samples("train", X, y, 3, 4, np.float32)
    with np.errstate(invalid="ignore"):
        X, y = change(X, y)
    with pytest.raises(error, match=message):
        checks.samples("train", X, y, 3, 4, np.float32)


def test_toy_sets_have_the_promised_shapes():
    rng = np.random.default_rng(0)
    assert [a.shape for a in xor()] == [(4, 2), (4, 2)]
    assert [a.shape for a in spirals(30, rng)] == [(60, 2), (60, 2)]
    X, y = blobs(30, 5, 3, rng)
    centres = (y.T @ X) / 30  # (K, D)
    assert (np.linalg.norm(X[:, None] - centres, axis=2).argmin(axis=1) == y.argmax(axis=1)).all()
    with pytest.raises(ValueError, match="room for 4 clouds in 2 dimensions, got K = 5"):
        blobs(3, 5, 2, rng)
