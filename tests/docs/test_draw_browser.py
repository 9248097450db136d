"""docs/draw.html in a real browser: its numbers on many drawings, and a reader's way through it."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from draw_cases import LR, MOMENTUM, compare, decoded, params_of, strokes
from PIL import Image

import functional_net as fn
from datasets import load_mnist
from datasets.read.digit import as_mnist
from docs import draw

pytestmark = pytest.mark.slow  # a Chromium for each width; test_draw.py has the mathematics in node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WIDTHS = [390, 1024, 1440]


def page_with(*scripts: str) -> str:
    page = (ROOT / "docs" / "draw.html").read_text(encoding="utf-8")
    added = "".join(f"<script>{script}</script>" for script in scripts)
    return page.replace("</body>", f"{added}</body>")


def script(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


# --- the numbers --------------------------------------------------------------------

DRAW_ALL = """
const { cases, u, v } = GIVEN;
const vectors = { u: new Matrix(1, u.length, u), v: new Matrix(v.length, 1, v) };
function digit_on_paper({ levels, side, x, y }) { // what reading() would read, were a digit drawn
  const bytes = Uint8Array.from(atob(levels), (letter) => letter.charCodeAt(0));
  const digit = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
  const picture = new ImageData(28, 28);
  bytes.forEach((level, i) => picture.data.set([level, level, level, 255], 4 * i));
  digit.getContext("2d").putImageData(picture, 0, 0);
  ink(reader, 1);
  reader.drawImage(digit, x, y, side, side);
  const { data } = reader.getImageData(0, 0, SIDE, SIDE);
  return matrix(SIDE, SIDE, (r, c) => data[4 * (r * SIDE + c)] / 255);
}
const found = cases.map((one) => {
  strokes = one.strokes ?? [];
  const drawing = one.digit ? digit_on_paper(one.digit) : reading();
  const all = { ...one, ...vectors, shape: file.shape };
  return { png: small.toDataURL().split(",")[1], ...numbers(first_params, drawing, all) };
});
const out = document.createElement("pre");
out.className = "found";
out.hidden = true; // megabytes of text would take minutes to lay out
out.textContent = JSON.stringify(found);
document.body.append(out);
"""


@pytest.fixture(scope="module")
def random_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.uniform(0.5, 1, (1, 784)), rng.uniform(0.5, 1, (1, 100))


def cases() -> list[dict]:
    """More than 500 drawings: strokes of all kinds, and test digits of many sizes."""
    rng = np.random.default_rng(3)
    drawn: list[dict] = [{"strokes": each} for each in strokes(rng)]
    for row in load_mnist(train_size=1)[2][:240]:
        side = float(rng.uniform(12, 130))
        x, y = rng.uniform(5, 135 - side, 2)
        levels = base64.b64encode(np.rint(row * 255).astype(np.uint8).tobytes()).decode()
        drawn.append({"digit": {"levels": levels, "side": side, "x": float(x), "y": float(y)}})
    for i, one in enumerate(drawn):
        target = int(rng.integers(10))
        one |= {"target": target, "lr": LR, "momentum": MOMENTUM, "whole": i % 44 == 0}
    return drawn


@pytest.fixture(scope="module")
def answers(browse, random_rows) -> list[dict]:
    """What the page says of each of cases()."""
    u, v = (row[0].tolist() for row in random_rows)
    given = json.dumps({"cases": cases(), "u": u, "v": v})
    (text,) = browse(page_with(script("draw_numbers.js"), f"const GIVEN = {given};{DRAW_ALL}"))
    return json.loads(text)


def picture_of(answer: dict) -> Image.Image:
    """The picture as the reader could save it."""
    return Image.open(io.BytesIO(base64.b64decode(answer["png"]))).convert("L")


def test_there_are_more_than_500_drawings():
    assert len(cases()) > 500


def test_drawings_are_prepared_as_predict_does(answers):
    params = fn.from_weights(draw.load_weights(draw.WEIGHTS))
    for answer in answers:
        if answer.get("empty"):
            with pytest.raises(ValueError, match="found no ink"):
                as_mnist(picture_of(answer))
            continue
        seen = as_mnist(picture_of(answer))
        assert np.abs(decoded(answer["X"]) - seen.ravel()).max() <= 2 / 255
        assert answer["guess"] == fn.predict(params, seen.reshape(1, -1)).argmax()
    assert 1 <= sum(answer.get("empty", False) for answer in answers) < len(answers) / 20


def test_the_numbers_of_each_drawing_are_those_of_functional_net(answers, random_rows):
    params = params_of(draw.WEIGHTS)
    for answer in answers:
        if not answer.get("empty"):
            compare(params, answer, *random_rows)


def test_the_command_says_the_same_of_saved_pictures(answers, tmp_path):
    told = {}
    step = max(1, len(answers) // 20)
    for i in range(1, len(answers), step):
        if answers[i].get("empty"):
            continue
        picture_of(answers[i]).save(tmp_path / f"{i}.png")
        told[f"{i}.png"] = answers[i]["guess"], decoded(answers[i]["P"]).max()
    words = [sys.executable, "functional_net.py", "--load", draw.WEIGHTS, "--predict"]
    done = subprocess.run(
        [*words, *(tmp_path / name for name in told)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = re.findall(r"(\d+\.png): (\d) \((\d+\.\d)%\)", done.stdout)
    assert len(said) == len(told) > 10
    for name, digit, percent in said:
        guess, p = told[name]
        assert int(digit) == guess and abs(float(percent) - 100 * p) < 0.11


# --- the reader ------------------------------------------------------------------------

AROUND = """<!DOCTYPE html><meta charset=utf-8><body>
<iframe width="{width}" height="900" srcdoc="{page}"></iframe>"""


@pytest.fixture(scope="module", params=WIDTHS)
def findings(browse, request) -> dict:
    """What draw_checks.js found at a width."""
    from html import escape

    page = escape(page_with(script("draw_checks.js")))
    (text,) = browse(AROUND.format(width=request.param, page=page))
    return json.loads(text)


def test_a_reader_can_use_the_page(findings):
    assert len(findings["checked"]) > 30 and min(findings["checked"].values()) > 0
    assert not findings["wrong"], "\n".join(findings["wrong"][:20])


def test_an_answer_takes_less_than_50_ms(findings):
    assert findings["milliseconds"] < 50
