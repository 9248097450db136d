"""Pictures of one's own: a line each whatever they are, and doubts where a digit is unlikely."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from datasets.read.digit import doubts
from datasets.run.predict import FEW, as_digit, as_picture, own_pictures, predict_pictures

NAMES = [f"class {k}" for k in range(10)]


def paper(*strokes: tuple[int, ...], width: int = 10) -> Image.Image:
    """Dark lines (x, y, x, y, ...) on light paper of 200 x 200."""
    sheet = Image.new("L", (200, 200), 240)
    for points in strokes:
        ImageDraw.Draw(sheet).line(points, 20, width)
    return sheet


ONE, SEVEN = (100, 50, 100, 150), (70, 50, 130, 50, 90, 150)


@pytest.fixture
def saved(tmp_path):
    def save(name: str, picture: Image.Image | bytes) -> Path:
        if isinstance(picture, bytes):
            (tmp_path / name).write_bytes(picture)
        else:
            picture.save(tmp_path / name)
        return tmp_path / name

    return save


def wide_is_7(X: np.ndarray) -> np.ndarray:
    """A network that takes what is wide for class 7, else for class 1."""
    assert X.shape == (1, 1, 28, 28) and X.dtype == np.float32
    k = 7 if (X[0, 0].max(axis=0) > 0.5).sum() > 8 else 1
    return np.eye(10, dtype=np.float32)[[k]] * 0.9 + 0.01


# --- one line each ----------------------------------------------------------------------


def test_a_line_each_and_a_summary_in_which_nothing_stops_the_rest(saved, capsys):
    good = {"a.png": paper(ONE), "b.png": paper(SEVEN), "c.png": paper(SEVEN)}
    bad = {"blank.png": paper(), "text.png": b"no picture", "empty.png": b""}
    paths = [saved(name, picture) for name, picture in (bad | good).items()]
    assert predict_pictures(paths, wide_is_7, NAMES, as_digit) == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    for path, line in zip(paths, lines[:3], strict=False):
        assert line.startswith(f"not read: {path}: ")
    for path, line, k in zip(paths[3:], lines[3:], (1, 7, 7), strict=False):
        assert line == f"{path}: class {k} (91.0%)"
    assert lines[-1] == "3 of 6 pictures read; classes: class 7 (2), class 1 (1)"


def test_few_are_shown_large_and_many_on_request(saved, capsys):
    paths = [saved(f"{i}.png", paper(ONE)) for i in range(FEW + 1)]
    for n, large, shown in ((FEW, None, FEW), (FEW, False, 0), (FEW + 1, None, 0), (4, True, 4)):
        predict_pictures(paths[:n], wide_is_7, NAMES, as_digit, large)
        assert capsys.readouterr().out.count("the network sees") == shown


def test_pictures_of_a_folder_are_only_resized(saved, capsys):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 20, 3)).astype(np.uint8)
    image, against = as_picture((3, 40, 20))(saved("p.png", Image.fromarray(pixels)))
    assert np.array_equal(image, pixels.transpose(2, 0, 1) / np.float32(255)) and not against
    assert as_picture((1, 8, 8))(saved("q.png", paper(ONE)))[0].shape == (1, 8, 8)


def test_none_that_can_be_read_is_an_error(saved, capsys):
    with pytest.raises(ValueError, match="expected pictures to classify, none of 1 could be read"):
        predict_pictures([saved("blank.png", paper())], wide_is_7, NAMES, as_digit)
    assert "found no ink" in capsys.readouterr().out


def test_before_a_training_only_a_missing_file_or_no_picture_at_all_is_an_error(saved, tmp_path):
    good, bad = saved("a.png", paper(ONE)), saved("b.png", b"text")
    assert own_pictures(good, [str(bad)]) == [good, bad] and own_pictures(None, []) == []
    with pytest.raises(ValueError, match=r"b.png: not a PNG"):
        own_pictures(bad, [str(bad)])
    with pytest.raises(FileNotFoundError, match=r"c.png: no such file"):
        own_pictures(good, [str(tmp_path / "c.png")])


def test_names_that_would_drive_a_terminal_are_escaped(saved, capsys):
    path = saved("a\x1b[31m.png", paper(ONE))
    predict_pictures([path, saved("b\x1b[31m.png", b"x")], wide_is_7, NAMES, as_digit)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
def test_a_photograph_of_a_phone_is_told_with_the_way_out(saved, brand):
    path = saved("IMG_1.HEIC", b"\0\0\0\x18ftyp" + brand + bytes(100))
    with pytest.raises(ValueError, match=r"IMG_1.HEIC: a HEIC or AVIF .* save it as JPEG or PNG"):
        own_pictures(path, [])


# --- doubts -----------------------------------------------------------------------------


@pytest.mark.parametrize("strokes", [[ONE], [SEVEN], [(60, 100, 140, 100, 140, 160), ONE]])
def test_a_digit_raises_no_doubt(strokes):
    assert doubts(paper(*strokes)) == []


@pytest.mark.parametrize(
    ("strokes", "reason"),
    [
        ([(60, 50, 60, 150), (110, 50, 140, 50, 120, 150)], "several pieces side by side"),
        ([(30, 100, 170, 100, 170, 130)], "it is wider than a digit"),
        ([(100, 0, 100, 120)], "its ink touches the edge"),
        ([ONE, (0, 120, 200, 120)], "a line from edge to edge, as on ruled paper"),
    ],
)
def test_what_is_probably_not_one_digit_is_doubted_and_still_classified(
    saved, capsys, strokes, reason
):
    assert reason in doubts(paper(*strokes))
    paths = [saved(f"{i}.png", paper(*which)) for i, which in enumerate((strokes, [ONE]))]
    predict_pictures(paths, wide_is_7, NAMES, as_digit)
    out = capsys.readouterr().out
    assert "%); probably not one digit: " in out and reason in out
    assert "2 of 2 pictures read, 1 of them probably not one digit; classes: " in out


def test_a_speck_of_dirt_is_no_second_piece():
    assert doubts(paper(ONE, (150, 100, 152, 102), width=4)) == []
