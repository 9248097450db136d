"""The pictures: what they show can be measured in their pixels, and nothing stops them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.draw import canvas
from datasets.draw.canvas import (
    BLUE,
    BLUES,
    ORANGE,
    ORANGES,
    PAPER,
    SIGNED,
    coloured,
    labels,
    ticks,
)
from datasets.draw.sheets import (
    confusion_picture,
    curves,
    filters_sheet,
    mistakes_sheet,
    weights_sheet,
)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        return np.asarray(picture).astype(int)


def count(picture: np.ndarray, colour) -> int:
    return int((picture == np.array(colour)).all(axis=-1).sum())


def history(epochs: int, **columns) -> list[dict[str, float]]:
    rows = [{"epoch": n, "loss": 1 / n, "accuracy": 1 - 0.5 / n} for n in range(1, epochs + 1)]
    return [row | {key: value[i] for key, value in columns.items()} for i, row in enumerate(rows)]


# --- weights ----------------------------------------------------------------------------


def test_a_weight_shows_where_it_acts_and_with_its_sign(tmp_path):
    W = np.zeros((4 * 7, 2))
    W[0, 0], W[27, 1] = 1, -1  # first pixel of neuron 0, last pixel of neuron 1
    weights_sheet(W, (1, 4, 7), tmp_path / "w.png")
    sheet = pixels(tmp_path / "w.png")[122:, 64:]  # the tiles
    plus, minus = (np.argwhere((sheet == SIGNED[k]).all(axis=-1)) for k in (4, 0))
    assert len(plus) == len(minus) == 8 * 8  # 8 picture pixels a weight
    assert (plus.min(axis=0) < minus.min(axis=0)).all()
    assert count(sheet, SIGNED[2]) == 54 * 8 * 8  # all others are zero: white


def test_one_scale_for_all_neurons(tmp_path):
    W = np.full((9, 2), 0.5)
    W[:, 1] = 1
    weights_sheet(W, (1, 3, 3), tmp_path / "w.png")
    sheet = pixels(tmp_path / "w.png")[122:, 64:]
    assert count(sheet, SIGNED[3]) == count(sheet, SIGNED[4]) == (3 * 14) ** 2


def test_colour_images_have_three_tiles_a_neuron(tmp_path):
    W = np.zeros((3, 2, 2, 1))
    W[2] = 1  # blue
    weights_sheet(W.reshape(12, 1), (3, 2, 2), tmp_path / "w.png")
    sheet = pixels(tmp_path / "w.png")[122:, 64:]
    assert count(sheet, SIGNED[4]) * 2 == count(sheet, SIGNED[2])
    assert np.argwhere((sheet == SIGNED[4]).all(-1)).min(0)[1] > 2 * 28  # the third tile


@pytest.mark.parametrize(
    ("shape", "n", "rows"), [((1, 28, 28), 1, 1), ((3, 52, 52), 100, 20), ((1, 1, 1), 3, 1)]
)
def test_sheets_of_any_size(tmp_path, shape, n, rows):
    W = np.random.default_rng(0).normal(size=(np.prod(shape), n)).astype(np.float32)
    weights_sheet(W, shape, tmp_path / "w.png")
    H, W_, _ = pixels(tmp_path / "w.png").shape
    assert 600 < W_ < 1100 and rows * shape[1] < H


def test_long_sheets_are_cut_and_say_so(tmp_path):
    rng = np.random.default_rng(0)
    filters_sheet(rng.normal(size=(300, 700, 3, 3)), tmp_path / "f.png")
    filters_sheet(rng.normal(size=(31, 32, 3, 3)), tmp_path / "less.png")
    cut, whole = pixels(tmp_path / "f.png"), pixels(tmp_path / "less.png")
    assert cut.shape == whole.shape and (cut[:40] != whole[:40]).any()  # another title


def test_weights_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expects W \(D, H\) with D = \(1, 2, 2\), got \(5, 3\)"):
        weights_sheet(np.zeros((5, 3)), (1, 2, 2), tmp_path / "w.png")
    with pytest.raises(ValueError, match=r"filters_sheet expects W \(F, C, KH, KW\), got \(5, 3\)"):
        filters_sheet(np.zeros((5, 3)), tmp_path / "w.png")
    with pytest.raises(ValueError, match=r"Convolution filters: expected finite numbers, got nan"):
        filters_sheet(np.full((1, 1, 3, 3), np.nan), tmp_path / "w.png")
    assert list(tmp_path.iterdir()) == []


# --- mistakes ---------------------------------------------------------------------------


def test_the_surest_mistakes_come_first_and_right_guesses_never(tmp_path):
    shades = np.array([50, 100, 150, 200], np.uint8)
    images = np.ones((4, 28, 28), np.uint8) * shades[:, None, None]
    truth, guess = np.array([0, 1, 2, 3]), np.array([1, 0, 2, 0])
    mistakes_sheet(images, truth, guess, np.array([0.5, 0.9, 1.0, 0.7]), None, tmp_path / "m.png")
    sheet = pixels(tmp_path / "m.png")
    left = [np.argwhere((sheet == shade).all(-1)) for shade in shades]
    assert [len(at) > 80 * 80 for at in left] == [True, True, False, True]
    columns = [np.median(left[k][:, 1]) for k in (1, 3, 0)]
    assert columns == sorted(columns)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 52, 52), (28, 28), (3, 300, 200), (1, 1, 1)])
def test_mistakes_of_any_shape(tmp_path, shape):
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    as_floats = rng.random((90, *shape), np.float32)
    names = ["a very long name of a class", "\u732b", "x"]
    mistakes_sheet(as_floats, truth, guess, rng.random(90), names, tmp_path / "m.png")
    H, W, _ = pixels(tmp_path / "m.png").shape
    assert (H, W) == (60 + 5 * 172, 28 + 10 * 116)  # the worst 50


def test_no_mistakes_is_a_picture_too(tmp_path):
    zeros = np.zeros(7, int)
    mistakes_sheet(np.zeros((7, 4, 4)), zeros, zeros, np.ones(7), None, tmp_path / "m.png")
    assert pixels(tmp_path / "m.png").shape[0] == 60


def test_mistakes_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"as many truths, guesses and probabilities as images, got 2"
    ):
        mistakes_sheet(
            np.zeros((3, 4, 4)), *[np.zeros(2, int)] * 2, np.ones(2), None, tmp_path / "m"
        )


# --- confusion --------------------------------------------------------------------------


def test_the_diagonal_is_blue_and_a_single_mistake_is_seen(tmp_path):
    confusion_picture(np.array([[1000, 1], [0, 10]]), ["cat", "dog"], tmp_path / "c.png")
    picture = pixels(tmp_path / "c.png")[:-70]  # without the legend
    assert count(picture, BLUES[-1]) > 2000  # 1000 in the darkest blue
    assert count(picture, ORANGES[0]) > 2000  # 1 in the lightest orange
    assert count(picture, (246, 246, 246)) > 2000  # 0 in neither
    tenth = coloured(np.log(10) / np.log(1000), BLUES)  # a logarithmic scale
    assert count(picture, tenth) > 2000


@pytest.mark.parametrize("K", [2, 10, 20, 120])
def test_any_number_of_classes(tmp_path, K):
    matrix = np.random.default_rng(0).integers(0, 30000, (K, K))
    matrix[0] = 0  # a class without a picture
    names = ["very long \u00e9\u4e2d " * (k % 7) + str(k) for k in range(K)]
    confusion_picture(matrix, names, tmp_path / "c.png")
    H, W, _ = pixels(tmp_path / "c.png").shape
    assert 4 * K < H < 1900 and 4 * K < W < 1900


def test_an_empty_matrix_and_a_perfect_one(tmp_path):
    confusion_picture(np.zeros((3, 3), int), None, tmp_path / "c.png")
    confusion_picture(np.eye(3, dtype=np.uint8), None, tmp_path / "c.png")


def test_confusion_refused(tmp_path):
    for bad in (
        np.zeros((2, 3), int),
        np.zeros((1, 1), int),
        np.zeros((2, 2)),
        -np.eye(2, dtype=int),
    ):
        with pytest.raises(ValueError, match=r"expects counts \(K, K\), K >= 2, got"):
            confusion_picture(bad, None, tmp_path / "c.png")
    with pytest.raises(ValueError, match=r"expected 2 names of classes, got 3"):
        confusion_picture(np.eye(2, dtype=int), ["a", "b", "c"], tmp_path / "c.png")


# --- curves -----------------------------------------------------------------------------


def test_training_is_blue_and_falls_where_the_loss_falls(tmp_path):
    curves(history(8), tmp_path / "h.png")
    picture = pixels(tmp_path / "h.png")
    assert count(picture, ORANGE) == 0
    loss, accuracy = picture[80:340, 76:480], picture[80:340, 576:980]
    for panel, falls in ((loss, True), (accuracy, False)):
        rows, columns = np.nonzero((panel == BLUE).all(axis=-1))
        assert (rows[columns.argmax()] > rows[columns.argmin()]) == falls


@pytest.mark.parametrize("held_out", ["test_accuracy", "validation_accuracy"])
def test_what_was_held_out_is_orange_and_broken(tmp_path, held_out):
    levels = {"accuracy": [0.9, 0.9], held_out: [0.8, 0.8]}
    curves(history(2, **levels), tmp_path / "h.png")
    panel = pixels(tmp_path / "h.png")[80:340, 576:980]
    unbroken, broken = (
        np.count_nonzero(np.diff((panel == colour).all(-1).any(axis=0)))
        for colour in (BLUE, ORANGE)
    )
    assert unbroken == 2 and broken > 40


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_any_number_of_epochs(tmp_path, epochs):
    test_accuracy = np.random.default_rng(0).random(epochs)
    curves(history(epochs, test_accuracy=test_accuracy), tmp_path / "h.png")
    assert pixels(tmp_path / "h.png").shape == (390, 1000, 3)


def test_odd_values_leave_gaps(tmp_path):
    nan, inf = float("nan"), float("inf")
    curves(
        history(4, test_accuracy=[0.5, nan, inf, 0.7], loss=[1e300, nan, 0, 1]), tmp_path / "h.png"
    )
    curves([{"loss": nan}, {"loss": nan}], tmp_path / "h.png")
    curves([{"accuracy": 0.0}, {"accuracy": 0.0, "test_accuracy": None}], tmp_path / "h.png")
    curves(history(3, loss=[1e-9, 2e-9, 3e-9], accuracy=[0.1, 0.1, 0.1]), tmp_path / "h.png")


def test_curves_need_an_epoch(tmp_path):
    with pytest.raises(
        ValueError, match=r"curves expects a history of at least one epoch, got none"
    ):
        curves([], tmp_path / "h.png")


# --- what they share --------------------------------------------------------------------


def test_ticks_are_round_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(500):
        low = rng.normal() * 10.0 ** rng.integers(-6, 6)
        high = low + 10.0 ** rng.uniform(-4, 6)
        found = ticks(low, high, 5)
        step = (high - low) * 1e-6
        assert 2 <= len(found) <= 6 and low - step <= found[0] and found[-1] <= high + step
        size = float(np.diff(found).mean())
        lead = size / 10.0 ** np.floor(np.log10(size * 1.001))
        assert min(abs(lead - n) for n in (1, 2, 5)) < 0.01
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1] and ticks(0.5, 12.5, 8) == [
        2,
        4,
        6,
        8,
        10,
        12,
    ]


def test_colours_run_through_their_anchors_and_differ_in_lightness():
    assert (coloured([0, 0.25, 0.5, 0.75, 1], SIGNED) == SIGNED).all()
    assert (coloured([-5, 7], BLUES) == (BLUES[0], BLUES[-1])).all()
    lightness = coloured(np.linspace(0, 1, 50), ORANGES) @ [0.3, 0.59, 0.11]
    assert (np.diff(lightness) < 0).all()  # an amount can be read without seeing any hue


def test_ink_can_be_read_on_every_colour():
    def luminance(colour) -> float:  # WCAG 2
        c = np.asarray(colour) / 255
        return float(
            np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
            @ [0.2126, 0.7152, 0.0722]
        )

    for anchors in (BLUES, ORANGES, SIGNED):
        for shade in coloured(np.linspace(0, 1, 60), anchors):
            pair = sorted([luminance(shade), luminance(canvas.ink_on(shade))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) > 3.5


def test_names_become_what_the_font_can_write():
    assert labels(["Zo\u00eb", "Stra\u00dfe", "\u732b", "", "ok"], 5) == [
        "Zoe",
        "Strasse",
        "class 2",
        "class 3",
        "ok",
    ]
    assert labels(None, 2) == ["0", "1"]


def test_folders_are_made_and_the_old_file_stays_whole_on_failure(tmp_path, monkeypatch):
    path = tmp_path / "new" / "deep" / "c.png"
    confusion_picture(np.eye(2, dtype=int), None, path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"c.png: cannot be written .No space left on device."):
        confusion_picture(np.ones((2, 2), int), None, path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.c.png: cannot be written \("):
        confusion_picture(np.eye(2, dtype=int), None, tmp_path / "file" / "c.png")
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(OSError, match=r"dir.png: cannot be written \("):
        confusion_picture(np.eye(2, dtype=int), None, tmp_path / "dir.png")


def test_white_is_paper(tmp_path):
    confusion_picture(np.eye(2, dtype=int), None, tmp_path / "c.png")
    assert (pixels(tmp_path / "c.png")[[0, -1]] == PAPER).all()
