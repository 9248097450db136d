"""as_mnist: a digit in any guise comes back as MNIST has it; what is no digit is told in a line."""

import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from datasets import MNIST
from datasets.read.digit import as_mnist, bars, show
from datasets.store.hdf5 import File

FUZZ = int(os.environ.get("FUZZ", "1"))  # multiplies the number of damaged pictures


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """12 digits of MNIST, uint8."""
    return File(MNIST, ["test_data"], trusted=True)["test_data"].read()[:12]


def larger(digit: np.ndarray, times: int) -> np.ndarray:
    size = (28 * times, 28 * times)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC))


def noisy(digit: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, digit.shape)
    return (digit + noise).clip(0, 255).astype(np.uint8)


def on_canvas(digit: np.ndarray) -> np.ndarray:
    canvas = np.zeros((200, 150), np.uint8)
    canvas[60:88, 90:118] = digit
    return canvas


def under_a_lamp(digit: np.ndarray) -> np.ndarray:
    ink = larger(digit, 6) / 255
    y, x = np.indices(ink.shape) / len(ink)
    paper = 0.9 - 0.3 * x - 0.1 * y  # brighter at the top left
    return noisy(255 * paper * (1 - 0.7 * ink), 5)


def moved(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean difference of two pictures, the best over shifts of one pixel: ink is centred on one."""
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return min(np.abs(np.roll(found, by, (0, 1)) - wanted).mean() for by in shifts)


# --- the same digit in other guises: mean difference per pixel, where the ink itself is 0.13 ----


@pytest.mark.parametrize(
    ("guise", "mean", "worst"),
    [
        (lambda digit: digit, 0.002, 0.01),
        (lambda digit: 255 - digit, 0.002, 0.01),
        (on_canvas, 0.002, 0.01),
        (lambda digit: 255 - on_canvas(digit), 0.002, 0.01),
        (lambda digit: digit // 3 + 100, 0.002, 0.01),  # little contrast
        (lambda digit: larger(digit, 6), 0.025, 0.07),
        (lambda digit: 255 - larger(digit, 3), 0.027, 0.065),
        (lambda digit: noisy(larger(digit, 8), 12), 0.033, 0.09),
        (under_a_lamp, 0.033, 0.08),
    ],
    ids=["same", "dark", "canvas", "dark-canvas", "pale", "large", "dark-large", "noisy", "lamp"],
)
def test_a_digit_of_mnist_comes_back(digits, guise, mean, worst):
    errors = [moved(as_mnist(Image.fromarray(guise(digit))), digit / 255) for digit in digits]
    assert np.mean(errors) < mean and max(errors) < worst


def test_it_is_as_mnist_was_made(digits):
    for digit in digits:
        found = as_mnist(Image.fromarray(larger(digit, 5)))
        assert found.shape == (28, 28) and found.dtype == np.float32
        assert found.min() == 0 and found.max() == 1
        rows, columns = found.any(axis=1), found.any(axis=0)
        assert max(rows.sum(), columns.sum()) == 20
        middle = (found * np.indices((28, 28)) + found * 0.5).sum(axis=(1, 2)) / found.sum()
        assert (np.floor(middle) == 14).all()


def test_a_thin_pen_on_a_large_sheet_does_not_fade():
    sheet = Image.new("L", (3000, 2000), 255)
    ImageDraw.Draw(sheet).line([(1000, 300), (1600, 300), (1200, 1700)], 60, 12)  # a 7
    seven = as_mnist(sheet)
    assert np.count_nonzero(seven > 0.5) > 50 and seven[4:8, 8:18].max() > 0.9


@pytest.mark.parametrize("trouble", ["table", "corner", "fading", "jpeg"])
def test_photographs_of_paper(digits, trouble):
    y, x = np.indices((344, 344)) / 344 - 0.5
    for digit in digits[:3]:
        sheet = 230 - 0.7 * np.pad(larger(digit, 8), 60)
        wanted = as_mnist(Image.fromarray(sheet.astype(np.uint8)))
        if trouble == "table":
            sheet[:, :30] = 40
        elif trouble == "corner":
            sheet[x + y < -0.75] *= 0.4  # a shadow
        elif trouble == "fading":
            sheet *= 1 - 0.8 * (x**2 + y**2)  # towards the corners
        picture = Image.fromarray(sheet.astype(np.uint8))
        if trouble == "jpeg":
            picture.save(buffer := BytesIO(), "JPEG", quality=30)
            picture = Image.open(buffer)
        assert moved(as_mnist(picture), wanted) < 0.025


def test_specks_are_not_part_of_the_digit(digits):
    sheet = 255 - np.pad(larger(digits[0], 8), 200)
    clean = as_mnist(Image.fromarray(sheet))
    for y, x in ((10, 10), (600, 590), (30, 500)):
        sheet[y : y + 6, x : x + 6] = 0
    assert np.abs(as_mnist(Image.fromarray(sheet)) - clean).max() < 0.1


def test_transparent_pictures_with_black_or_white_ink(digits, tmp_path):
    wanted = as_mnist(Image.fromarray(digits[0]))
    for ink in (0, 255):
        rgba = np.full((28, 28, 4), ink, np.uint8)
        rgba[..., 3] = digits[0]
        Image.fromarray(rgba).save(tmp_path / "d.png")
        assert np.abs(as_mnist(tmp_path / "d.png") - wanted).max() < 0.02


def test_files_of_other_modes_and_orientations(digits, tmp_path):
    wanted = as_mnist(Image.fromarray(larger(digits[0], 4)))
    Image.fromarray(larger(digits[0], 4).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert np.abs(as_mnist(str(tmp_path / "deep.png")) - wanted).max() < 0.02
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(larger(digits[0], 4)).transpose(Image.Transpose.ROTATE_90)
    turned.convert("RGB").save(tmp_path / "turned.jpg", quality=98, exif=exif)
    assert moved(as_mnist(tmp_path / "turned.jpg"), wanted) < 0.02


@pytest.mark.parametrize("size", [(1, 3), (3, 1), (2, 2), (5, 400), (400, 5)])
def test_pictures_of_odd_sizes(size):
    pixels = np.zeros(size, np.uint8)
    pixels[size[0] // 2, size[1] // 2] = 255
    found = as_mnist(Image.fromarray(pixels))
    assert found.max() == 1 and np.isfinite(found).all()


# --- what is no digit -------------------------------------------------------------------


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_sheet(shade, tmp_path):
    blank = Image.new("L", (40, 30), shade)
    with pytest.raises(
        ValueError, match=r"^picture: found no ink, expected a digit on a plain ground"
    ):
        as_mnist(blank)
    blank.save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"blank.png: found no ink"):
        as_mnist(tmp_path / "blank.png")


def test_noise_and_a_slope_of_light_are_no_ink():
    rng = np.random.default_rng(0)
    slope = np.add.outer(np.arange(60), np.arange(80)) + 50.0
    for deviation in (0, 4, 15, 40):
        sheet = (slope + rng.normal(0, deviation, slope.shape)).clip(0, 255).astype(np.uint8)
        with pytest.raises(ValueError, match=r"found no ink"):
            as_mnist(Image.fromarray(sheet))


def test_one_pixel_and_an_invisible_picture():
    for picture in (Image.new("L", (1, 1), 255), Image.new("RGBA", (9, 9), (0, 0, 0, 0))):
        with pytest.raises(ValueError, match=r"found no ink"):
            as_mnist(picture)


def test_files_that_are_no_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.png: no such file"):
        as_mnist(tmp_path / "nothing.png")
    (tmp_path / "text.png").write_text("seven")
    with pytest.raises(ValueError, match=r"text.png: not a PNG, JPEG, BMP, GIF, WebP or TIFF"):
        as_mnist(tmp_path / "text.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match=r"empty.png: the file is empty"):
        as_mnist(tmp_path / "empty.png")
    with pytest.raises(ValueError, match=r"expected a file, this is a folder"):
        as_mnist(tmp_path)
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"bomb.png: too large"):
        as_mnist(tmp_path / "bomb.png")


def test_random_pixels_end_in_a_digit_or_in_no_ink():
    rng = np.random.default_rng(0)
    for _ in range(60 * FUZZ):
        pixels = rng.integers(0, 256, rng.integers(1, 40, 2), dtype=np.uint8)
        if rng.random() < 0.5:
            pixels = (pixels > 250).astype(np.uint8) * 255
        try:
            assert np.isfinite(as_mnist(Image.fromarray(pixels))).all()
        except ValueError as error:
            assert "found no ink" in str(error)


# --- as text ------------------------------------------------------------------------------


def test_show_is_ascii_and_densest_where_it_is_lightest():
    image = np.zeros((28, 28))
    image[4:6, 3], image[10:12, 20] = 1, 0.3
    lines = show(image).split("\n")
    assert len(lines) == 16 and {len(line) for line in lines} == {30}
    assert lines[3][4] == "@" and lines[6][21] in ":-=+*" and lines[8][1:-1].isspace()
    assert show(image).isascii() and show(np.ones((3, 2))) == "+--+\n|@@|\n|**|\n+--+"


def test_bars_mark_the_winner():
    assert bars(np.array([0.25, 0.75]), ["cat", "horse"], width=4) == (
        "  cat |#   |  25.00%\nhorse |### |  75.00% <--"
    )
    assert bars(np.full(10, 0.1)).count("<--") == 1


def test_text_refused():
    with pytest.raises(ValueError, match=r"show expects a picture \(H, W\), got \(784,\)"):
        show(np.zeros(784))
    with pytest.raises(ValueError, match=r"bars expects 3 finite probabilities, got shape \(2,\)"):
        bars(np.zeros(2), ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"bars expects 2 finite probabilities, got shape \(2,\)"):
        bars(np.array([1, np.nan]))
