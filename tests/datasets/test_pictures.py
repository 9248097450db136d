"""The pictures: laws that hold whatever the layout, and nothing that stops them."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.draw import confusion
from datasets.draw.canvas import labels, shortened, ticks, wide
from datasets.draw.colours import BLUE, BLUES, ORANGE, ORANGES, PAPER, SIGNED, coloured, ink_on
from datasets.draw.confusion import confusion_picture
from datasets.draw.curves import curves
from datasets.draw.sheets import filters_sheet, mistakes_sheet, weights_sheet

RNG = np.random.default_rng(0)


def drawn(path: Path, draw, *arguments) -> np.ndarray:
    """The pixels (H, W, 3) of the PNG that draw writes."""
    draw(*arguments, path / "picture.png")
    with Image.open(path / "picture.png") as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        pixels = np.asarray(picture).astype(np.int16)
    assert (pixels[[0, -1]] == PAPER).all() and pixels[:, [0, -1]].min() == 255  # a white margin
    return pixels


def box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, height and width of the part that is True."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    return (
        int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1,
    )  # fmt: skip


def count(pixels: np.ndarray, colour) -> int:
    return int((pixels == np.array(colour)).all(axis=-1).sum())


def colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The colours of (..., 3), each as one number, and how often they are there."""
    return np.unique(pixels.astype(int) @ [1 << 16, 1 << 8, 1], return_counts=True)


def history(epochs: int, **columns) -> list[dict[str, float]]:
    rows = [{"epoch": n, "loss": 1 / n, "accuracy": 1 - 0.5 / n} for n in range(1, epochs + 1)]
    return [row | {key: value[i] for key, value in columns.items()} for i, row in enumerate(rows)]


# --- weights ----------------------------------------------------------------------------


def one_weight(tmp_path: Path, at: tuple[int, int], value: float = 1.0) -> np.ndarray:
    W = np.zeros((3 * 4 * 7, 6))
    W[at] = value
    return drawn(tmp_path, weights_sheet, W, (3, 4, 7))


def test_a_weight_is_a_square_where_its_pixel_is(tmp_path):
    blank = drawn(tmp_path, weights_sheet, np.zeros((84, 6)), (3, 4, 7))
    seen = {
        at: box((one_weight(tmp_path, at) != blank).any(axis=-1))
        for at in ((0, 0), (1, 0), (7, 0), (28, 0), (56, 0), (0, 1))
    }
    assert {(height, width) for _, _, height, width in seen.values()} == {(8, 8)}
    (top, left), right, below, green, blue, other = (place[:2] for place in seen.values())
    assert right == (top, left + 8) and below == (top + 8, left)
    assert green[0] == blue[0] == other[0] == top  # the channels, then the next neuron
    assert green[1] - left == blue[1] - green[1] > 7 * 8 and other[1] - left > 3 * (green[1] - left)


def test_the_sign_is_told_by_the_hue_and_the_amount_by_the_lightness(tmp_path):
    plus, minus, half = (one_weight(tmp_path, (0, 0), value) for value in (1, -1, 0.5))
    top, left, _, _ = box((plus != minus).any(axis=-1))
    orange, blue, light = (sheet[top, left] for sheet in (plus, minus, half))
    assert orange[0] > orange[2] and blue[0] < blue[2] and light.sum() > orange.sum()


def test_all_neurons_share_one_scale(tmp_path):
    W = np.full((9, 2), 0.5)
    W[:, 1] = 1
    before = drawn(tmp_path, weights_sheet, W, (1, 3, 3))
    assert (drawn(tmp_path, weights_sheet, W[:, ::-1], (1, 3, 3)) != before).any()
    assert count(before, SIGNED[3]) >= (3 * 14) ** 2 <= count(before, SIGNED[4])


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (3, 52, 52, 100), (1, 1, 1, 3), (1, 2, 900, 2)])
def test_sheets_of_any_size(tmp_path, shape):
    W = RNG.normal(size=(int(np.prod(shape[:3])), shape[3])).astype(np.float32)
    H, width, _ = drawn(tmp_path, weights_sheet, W, shape[:3]).shape
    assert H < 4000 and 600 < width < 1100


def test_long_sheets_are_cut_and_say_so(tmp_path):
    W = RNG.normal(size=(300, 700, 3, 3))
    cut, whole = (drawn(tmp_path, filters_sheet, W[:n, :c]) for n, c in ((300, 700), (31, 32)))
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
    sure = np.array([0.5, 0.9, 1.0, 0.7])
    sheet = drawn(tmp_path, mistakes_sheet, images, truth, guess, sure, list("abcd"))
    assert [count(sheet, [shade] * 3) > 80 * 80 for shade in shades] == [True, True, False, True]
    columns = [np.median(np.argwhere((sheet == shades[k]).all(-1))[:, 1]) for k in (1, 3, 0)]
    assert columns == sorted(columns)


@pytest.mark.parametrize("shape", [(1, 28, 28), (28, 28), (3, 300, 200), (1, 1, 1)])
def test_at_most_50_mistakes_of_any_shape(tmp_path, shape):
    images, names = RNG.random((60, *shape), np.float32), ["a very long name of a class", "\u732b"]
    sizes = {
        drawn(
            tmp_path, mistakes_sheet, images[:n], np.zeros(n, int), np.ones(n, int), np.ones(n),
            names,
        ).shape
        for n in (50, 60)
    }  # fmt: skip
    assert len(sizes) == 1


def test_a_picture_keeps_its_colours_and_its_proportions(tmp_path):
    image = np.zeros((1, 3, 10, 20), np.uint8)
    image[:, 0] = 255
    one, sure = np.array([1]), np.ones(1)
    sheet = drawn(tmp_path, mistakes_sheet, image, one * 0, one, sure, ["a", "b"])
    _, _, height, width = box((sheet == (255, 0, 0)).all(axis=-1))
    assert width == 2 * height > 50


def test_no_mistakes_is_a_picture_too(tmp_path):
    zeros = np.zeros(7, int)
    drawn(tmp_path, mistakes_sheet, np.zeros((7, 4, 4)), zeros, zeros, np.ones(7), ["a"])


def test_mistakes_refused(tmp_path):
    truth = np.zeros(2, int)
    with pytest.raises(ValueError, match=r"truths, guesses and probabilities as images, got 2"):
        mistakes_sheet(np.zeros((3, 4, 4)), truth, truth, np.ones(2), ["a"], tmp_path / "m.png")


# --- confusion --------------------------------------------------------------------------


def answers(K: int, N: int) -> tuple[np.ndarray, np.ndarray]:
    truth = RNG.integers(0, K, N)
    return truth, np.where(RNG.random(N) < 0.7, truth, RNG.integers(0, K, N))


def test_right_answers_are_blue_mistakes_orange_and_more_is_darker():
    counts = np.array([[1000, 1, 7], [0, 10, 1], [30, 0, 0]])
    shades = confusion._shades(counts).astype(int)
    hue, lightness = shades[..., 2] - shades[..., 0], shades.sum(axis=-1)
    assert (np.sign(hue) == np.sign(counts) * (2 * np.eye(3) - 1)).all()
    for cells in (np.eye(3, dtype=bool), ~np.eye(3, dtype=bool)):
        order = np.argsort(counts[cells], kind="stable")
        assert (np.diff(lightness[cells][order]) <= 0).all()
    assert lightness[0, 1] < lightness[1, 0] - 30  # a single mistake beside 1,000 right answers


@pytest.mark.parametrize("K", [2, 10, 20, 120])
def test_any_number_of_classes(tmp_path, K):
    truth, guess = answers(K - 1, 5000)  # of the last class there is no picture
    names = ["very long \u00e9\u4e2d " * (k % 7) + str(k) for k in range(K)]
    picture = drawn(tmp_path, confusion_picture, truth, guess, names)
    assert 4 * K < min(picture.shape[:2]) and max(picture.shape) < 1900
    shades = confusion._shades(confusion._counts(truth, guess, np.arange(K), K))
    drawn_often = [shade for shade, times in zip(*colours(picture), strict=True) if times >= 9]
    assert np.isin(colours(shades)[0], drawn_often).all()  # with a number over it or without


def test_the_order_of_the_pictures_does_not_matter(tmp_path):
    (truth, guess), order = answers(5, 300), RNG.permutation(300)
    one = drawn(tmp_path, confusion_picture, truth, guess, list("abcde"))
    two = drawn(tmp_path, confusion_picture, truth[order], guess[order], list("abcde"))
    assert (one == two).all()


def test_of_many_classes_those_with_mistakes_are_drawn(tmp_path):
    K = 10_000
    names, (truth, guess) = [f"class {k}" for k in range(K)], answers(K, 3 * K)
    start = time.process_time()
    assert max(drawn(tmp_path, confusion_picture, truth, guess, names).shape) < 2000
    assert time.process_time() - start < 5  # one by one they would take minutes
    guess = truth.copy()
    guess[:80], truth[:80] = 9000, np.arange(80)  # 80 classes, all taken for another one
    classes = confusion._classes(truth, guess, K)
    assert len(classes) == 100 and {*range(80), 9000} <= set(classes.tolist())
    counts = confusion._counts(truth, guess, classes, K)
    assert counts.sum() - np.trace(counts) == 80


def test_no_picture_at_all_and_none_wrong(tmp_path):
    drawn(tmp_path, confusion_picture, np.zeros(0, int), np.zeros(0, int), ["a", "b"])
    drawn(tmp_path, confusion_picture, np.arange(3), np.arange(3), ["a", "b", "c"])


def test_confusion_refused(tmp_path):
    zero = np.zeros(3, int)
    for truth, guess, names in ((zero, zero, "a"), (zero, zero[:2], "ab"), (zero, zero + 2, "ab")):
        with pytest.raises(ValueError, match=r"expects 3 truths and guesses from 0 to \d, for two"):
            confusion_picture(truth, guess, list(names), tmp_path / "c.png")


# --- curves -----------------------------------------------------------------------------


def panels(picture: np.ndarray) -> list[np.ndarray]:
    """Loss and accuracy, without the title and the legend above."""
    return [picture[70:, :500], picture[70:, 500:]]


def test_a_line_falls_where_the_numbers_fall(tmp_path):
    picture = drawn(tmp_path, curves, history(8))
    assert count(picture, ORANGE) == 0
    for panel, falls in zip(panels(picture), (True, False), strict=True):
        rows, columns = np.nonzero((panel == BLUE).all(axis=-1))
        assert (rows[columns.argmax()] > rows[columns.argmin()]) == falls


@pytest.mark.parametrize("held_out", ["test_accuracy", "validation_accuracy", "test_loss"])
def test_what_was_held_out_is_orange_and_broken(tmp_path, held_out):
    trained = held_out.split("_")[1]
    levels = {trained: [0.9, 0.9], held_out: [0.8, 0.8]}
    panel = panels(drawn(tmp_path, curves, history(2, **levels)))[trained == "accuracy"]
    unbroken, broken = (
        np.count_nonzero(np.diff((panel == colour).all(-1).any(axis=0)))
        for colour in (BLUE, ORANGE)
    )
    assert unbroken == 2 and broken > 40


def test_lines_of_the_same_numbers_lie_on_each_other(tmp_path):
    same = drawn(tmp_path, curves, history(5, test_accuracy=[0.5, 0.75, 5 / 6, 7 / 8, 0.9]))
    far = drawn(tmp_path, curves, history(5, test_accuracy=[0.3] * 5))
    blue = [count(panels(picture)[1], BLUE) for picture in (same, far)]
    assert blue[0] < blue[1] / 2  # hidden by what is drawn over it


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_any_number_of_epochs(tmp_path, epochs):
    shown = drawn(tmp_path, curves, history(epochs, test_accuracy=RNG.random(epochs)))
    assert count(shown, BLUE) and count(shown, ORANGE)


def test_odd_values_leave_gaps(tmp_path):
    nan, inf = float("nan"), float("inf")
    gaps = history(4, test_accuracy=[0.5, nan, inf, 0.7], loss=[1e300, nan, 0, 1])
    only = {"accuracy": 0.0}
    for rows in (gaps, [{"loss": nan}] * 2, [only, only | {"test_accuracy": None}]):
        drawn(tmp_path, curves, rows)
    drawn(tmp_path, curves, history(3, loss=[1e-9, 2e-9, 3e-9], accuracy=[0.1, 0.1, 0.1]))


def test_curves_need_an_epoch(tmp_path):
    with pytest.raises(ValueError, match=r"expects a history of at least one epoch, got none"):
        curves([], tmp_path / "h.png")


# --- what they share --------------------------------------------------------------------


def test_ticks_are_round_and_inside():
    for _ in range(500):
        low = RNG.normal() * 10.0 ** RNG.integers(-6, 6)
        high = low + 10.0 ** RNG.uniform(-4, 6)
        found = ticks(low, high, 5)
        step = (high - low) * 1e-6
        assert 2 <= len(found) <= 6 and low - step <= found[0] and found[-1] <= high + step
        size = float(np.diff(found).mean())
        lead = size / 10.0 ** np.floor(np.log10(size * 1.001))
        assert min(abs(lead - n) for n in (1, 2, 5)) < 0.01
    assert ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(0.5, 12.5, 8) == [2, 4, 6, 8, 10, 12]


def test_colours_run_through_their_anchors_and_differ_in_lightness():
    assert (coloured([0, 0.25, 0.5, 0.75, 1], SIGNED) == SIGNED).all()
    assert (coloured([-5, 7], BLUES) == (BLUES[0], BLUES[-1])).all()
    lightness = coloured(np.linspace(0, 1, 50), ORANGES) @ [0.3, 0.59, 0.11]
    assert (np.diff(lightness) < 0).all()  # an amount can be read without seeing any hue


def test_ink_can_be_read_on_every_colour():
    def luminance(colour) -> float:  # WCAG 2
        c = np.asarray(colour) / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for anchors in (BLUES, ORANGES, SIGNED):
        for shade in coloured(np.linspace(0, 1, 60), anchors):
            pair = sorted([luminance(shade), luminance(ink_on(shade))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) > 3.5


def test_names_become_what_the_font_can_write():
    names = ["Zo\u00eb", "Stra\u00dfe", "\u732b", "", "ok", "a\u732b"]
    assert labels(names) == ["Zoe", "Strasse", "class 2", "class 3", "ok", "a?"]


def test_names_are_shortened_to_the_room():
    for room in range(10, 100, 7):
        short = shortened("a long name", room, 13)
        assert wide(short, 13) <= room and (short == "a long name" or short.endswith(".."))


# --- files ------------------------------------------------------------------------------


def test_folders_are_made_and_the_old_file_stays_whole_on_failure(tmp_path, monkeypatch):
    path = tmp_path / "new" / "deep" / "c.png"
    confusion_picture(np.arange(2), np.arange(2), ["a", "b"], path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"c.png: cannot be written .No space left on device."):
        confusion_picture(np.arange(2), np.ones(2, int), ["a", "b"], path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.c.png: cannot be written \("):
        curves(history(2), tmp_path / "file" / "c.png")
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(OSError, match=r"dir.png: cannot be written \("):
        curves(history(2), tmp_path / "dir.png")
