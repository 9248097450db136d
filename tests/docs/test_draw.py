"""docs/draw.py: what is written, for which weights; its mathematics in node, against NumPy."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from draw_cases import LR, MOMENTUM, SIDE, compare, decoded, params_of
from PIL import Image

from datasets import load_mnist, save_weights
from datasets.read.digit import as_mnist
from datasets.read.picture import decode
from datasets.run import console
from docs import draw

DOCS = Path(draw.__file__).parent
ROOT = DOCS.parent
CODE = (DOCS / "draw.js").read_text(encoding="utf-8")


def network(D: int, H: int, K: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"layer_1/W": (D, H), "layer_1/b": (H,), "layer_2/W": (H, K), "layer_2/b": (K,)}
    return {key: rng.normal(0, 0.3, shape).astype(np.float32) for key, shape in shapes.items()}


# --- the page ---------------------------------------------------------------------


def test_the_committed_page_is_current_and_small():
    page = (DOCS / "draw.html").read_text(encoding="utf-8")
    assert page == draw.build(), "run python docs/draw.py"
    assert len(page.encode()) <= 400_000


def test_the_page_fetches_nothing_but_where_a_reader_goes():
    page = draw.build()
    assert not re.search(r"\bsrc=|@import|url\(|fetch\(|XMLHttpRequest|https?://", page)
    for link in set(re.findall(r'href="([^"#$]+)', page)) - {"data:,"}:
        assert (DOCS / link).exists(), link


def test_draw_js_tells_what_functional_net_tells_in_the_same_order():
    python = (ROOT / "functional_net.py").read_text(encoding="utf-8")
    marked = r"# \((E\d)\)", r"// \((E\d)\)"
    ours = python.replace(between(python, "def squared_error", "# --- backward"), "")
    assert re.findall(marked[1], CODE) == re.findall(marked[0], ours)
    names = re.findall(r"^def (\w+)", python, re.M)
    told = [name for name in re.findall(r"^function (\w+)", CODE, re.M) if name in names]
    assert told == [name for name in names if name in told]
    assert {"zeros", "forward", "softmax", "cross_entropy", "backward", "input_gradient"} <= {*told}
    assert {"update", "step"} <= {*told}


def between(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end)]


def test_stored_weights_are_near_and_storing_them_again_changes_nothing():
    for scale in (1e-30, 1, 12345):
        W = scale * np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
        once = draw.rounded(W)
        assert np.abs(once - W).max() <= np.abs(W).max() / draw.LEVELS
        assert (draw.rounded(once) == once).all()
    assert (draw.rounded(np.zeros((2, 3), np.float32)) == 0).all()


def test_the_committed_weights_are_in_the_page_as_they_are():
    for W in draw.one_hidden_layer(draw.WEIGHTS).values():
        assert (draw.rounded(W) == W).all()


def test_the_committed_weights_are_good():
    import functional_net as fn

    params = fn.Params(*draw.one_hidden_layer(draw.WEIGHTS).values())
    assert fn.accuracy(params, *load_mnist(train_size=1)[2:]) > 0.985


def test_training_digits_are_varied_but_stay_what_they_are():
    import functional_net as fn
    from docs.draw_train import flagged_ones, varied

    params = fn.Params(*draw.one_hidden_layer(draw.WEIGHTS).values())
    rng = np.random.default_rng(9)
    X, y = load_mnist(train_size=1)[2:]
    changed = varied(X[:500], rng)
    assert changed.dtype == np.float32 and 0 <= changed.min() <= changed.max() <= 1.0001
    assert (np.abs(changed - X[:500]).mean(axis=1) > 0.01).all()
    assert fn.accuracy(params, changed, y[:500]) > 0.95
    ones = fn.predict(params, flagged_ones(40, rng)).argmax(axis=1)
    assert np.count_nonzero(ones == 1) > 36


def test_a_page_elsewhere_leads_back_to_docs(tmp_path):
    save_weights(tmp_path / "w.h5", network(784, 3, 10))
    words = ["--weights", tmp_path / "w.h5", "--to", tmp_path / "sub" / "page.html"]
    program = [sys.executable, DOCS / "draw.py", *words]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"written to {tmp_path / 'sub' / 'page.html'}\n"
    page = (tmp_path / "sub" / "page.html").read_text(encoding="utf-8")
    for link in set(re.findall(r'href="([^"#$]+)', page)) - {"data:,"}:
        assert (tmp_path / "sub" / link).exists(), link


def test_names_of_files_cannot_break_the_page(tmp_path):
    path = tmp_path / "<b>${docs}&.h5"
    save_weights(path, network(4, 3, 2))
    assert "Weights: &lt;b&gt;${docs}&amp;.h5, 4 inputs" in draw.build(path)


# --- which weights ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("D", "H", "K", "shape"),
    [
        (784, 1, 10, (1, 28, 28)),
        (64, 5, 10, (1, 8, 8)),
        (3072, 4, 7, (3, 32, 32)),
        (2, 8, 3, (1, 1, 2)),
    ],
)
def test_other_sizes(D, H, K, shape, tmp_path):
    save_weights(tmp_path / "w.h5", network(D, H, K))
    page = draw.build(tmp_path / "w.h5")
    packet = json.loads(re.search(r'id="weights">(.*?)</script>', page)[1])
    assert tuple(packet["shape"]) == shape
    assert [packet["W1"][key] for key in ("rows", "columns")] == [D, H]
    assert [packet["b2"][key] for key in ("rows", "columns")] == [1, K]


def test_weights_of_each_implementation(tmp_path):
    import functional_net as fn
    from cnn import CrossEntropyLoss, Linear, Net, ReLU
    from datasets import load_weights
    from net import FeedForwardNet, FullyConnectedLayer, InputLayer, ReLuLayer, to_weights

    rng = np.random.default_rng(0)
    model = FeedForwardNet()
    for layer in (InputLayer(64), FullyConnectedLayer(5), ReLuLayer(), FullyConnectedLayer(3)):
        model.add(layer)
    modules = Net([Linear(64, 5), ReLU(), Linear(5, 3)], CrossEntropyLoss())
    params = fn.init(64, 5, 3, rng)
    for weights in (
        fn.to_weights(params),
        to_weights(model.get_weights()),
        modules.get_weights(),
    ):
        save_weights(tmp_path / "w.h5", weights)
        found = draw.one_hidden_layer(tmp_path / "w.h5")
        assert [W.shape for W in found.values()] == [(64, 5), (1, 5), (5, 3), (1, 3)]
        for W, kept in zip(load_weights(tmp_path / "w.h5").values(), found.values(), strict=True):
            assert (W == kept).all()


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda w: w.pop("layer_2/b"), r"layer_2/W \(5, 3\)$"),
        (lambda w: w.update({"layer_3/W": np.ones((3, 3))}), r"layer_3/W \(3, 3\)$"),
        (lambda w: w.update({"layer_1/W": np.ones((4, 1, 3, 3))}), r"layer_1/W \(4, 1, 3, 3\)"),
        (lambda w: w.update({"layer_1/b": np.ones(4)}), r"layer_1/b \(4,\)"),
        (lambda w: w.update({"layer_2/W": np.ones((6, 3))}), r"layer_2/W \(6, 3\)"),
        (lambda w: w.update({"layer_2/b": np.ones((1, 3))}), r"layer_2/b \(1, 3\)"),
        (lambda w: w.update({"layer_1/W": np.ones((0, 5))}), r"layer_1/W \(0, 5\)"),
    ],
)
def test_other_networks_are_refused_in_one_line(change, shown, tmp_path):
    weights = network(16, 5, 3)
    change(weights)
    save_weights(tmp_path / "w.h5", weights)
    with pytest.raises(ValueError, match=r"the page expects one hidden layer.*" + shown):
        draw.build(tmp_path / "w.h5")


def test_a_refusal_on_the_command_line_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys):
    weights = network(16, 5, 3)
    save_weights(tmp_path / "w.h5", weights | {"layer_3/W": np.ones((3, 3))})
    for file, message in (("w.h5", "one hidden layer"), ("none.h5", "no such file")):
        words = ["--weights", tmp_path / file, "--to", tmp_path / "page.html"]
        monkeypatch.setattr(sys, "argv", ["draw.py", *map(str, words)])
        with pytest.raises(SystemExit, match="2"):
            console.run(draw.main)
        told = capsys.readouterr().err
        assert message in told and told.count("\n") == 1
        assert not (tmp_path / "page.html").exists()


# --- the mathematics, in node ---------------------------------------------------------


HARNESS = """
const { packets, cases, u, v } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const params = each(packets, ({ rows, columns, unit, levels }) => {
  const whole = new Int16Array(new Uint8Array(Buffer.from(levels, "base64")).buffer);
  return new Matrix(rows, columns, Float64Array.from(whole, (level) => level * unit));
});
const vectors = { u: new Matrix(1, u.length, u), v: new Matrix(v.length, 1, v) };
const found = cases.map((one) => {
  const pixels = Float64Array.from(Buffer.from(one.pixels, "base64"), (level) => level / 255);
  const drawing = new Matrix(one.rows, pixels.length / one.rows, pixels);
  return numbers(params, drawing, { ...one, ...vectors });
});
process.stdout.write(JSON.stringify(found));
"""


def in_node(weights: Path, pictures: list[np.ndarray], shape: tuple[int, ...]) -> list[dict]:
    """numbers() of draw_numbers.js for pictures, uint8 (rows, columns)."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    rng = np.random.default_rng(0)
    arrays = draw.one_hidden_layer(weights)
    D, H = arrays["W1"].shape
    cases = [
        {
            "pixels": base64.b64encode(picture.tobytes()).decode(),
            "rows": len(picture),
            "shape": shape,
            "target": int(rng.integers(arrays["b2"].size)),
            "lr": LR,
            "momentum": MOMENTUM,
            "whole": i % 10 == 0,
        }
        for i, picture in enumerate(pictures)
    ]
    given = {
        "packets": {name: draw.packed(W) for name, W in arrays.items()},
        "cases": cases,
        "u": U(D).tolist(),
        "v": U(H).tolist(),
    }
    files = DOCS / "draw.js", DOCS / "draw_prepare.js", ROOT / "tests" / "docs" / "draw_numbers.js"
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    program = f"{code}\n{HARNESS}"
    done = subprocess.run(
        ["node", "-e", program], input=json.dumps(given), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def U(n: int) -> np.ndarray:
    return np.random.default_rng(n).uniform(0.5, 1, n)


def on_a_sheet(digit: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    y, x = rng.integers(5, SIDE - 5 - side + 1, 2)
    levels = np.rint(digit.reshape(28, 28) * 255).astype(np.uint8)
    picture = Image.fromarray(levels).resize((side, side), Image.Resampling.BICUBIC)
    sheet[y : y + side, x : x + side] = picture
    return sheet


def test_node_digits_are_prepared_as_predict_does_and_all_numbers_are_functional_nets():
    rng = np.random.default_rng(1)
    sides = range(10, 131, 12)  # the browser's test has hundreds of drawings
    digits = load_mnist(train_size=1)[2]
    pictures = [on_a_sheet(*each, rng) for each in zip(digits, sides, strict=False)]
    params = params_of(draw.WEIGHTS)
    for picture, found in zip(pictures, in_node(draw.WEIGHTS, pictures, (1, 28, 28)), strict=True):
        seen = as_mnist(Image.fromarray(picture)).ravel()
        assert np.abs(decoded(found["X"]) - seen).max() <= 2 / 255
        compare(params, found, U(784)[None], U(100)[None])


@pytest.mark.parametrize(("D", "K"), [(64, 10), (3072, 4), (2, 3), (10_000, 2)])
def test_node_pictures_of_other_sizes_are_averaged_as_predict_does(D, K, tmp_path):
    rng = np.random.default_rng(2)
    save_weights(tmp_path / "w.h5", network(D, 6, K))
    shape = draw.image_shape((D,))
    pictures = [on_a_sheet(rng.random(784), side, rng) for side in (30, 130)]
    params = params_of(tmp_path / "w.h5")
    for picture, found in zip(pictures, in_node(tmp_path / "w.h5", pictures, shape), strict=True):
        Image.fromarray(picture).save(tmp_path / "p.png")
        seen = decode(tmp_path / "p.png", shape[0], shape[1:]) / 255
        assert np.abs(decoded(found["X"]) - seen.ravel()).max() <= 2 / 255
        compare(params, found, U(D)[None], U(6)[None])


def test_node_an_empty_sheet_is_empty_as_for_predict():
    blank = np.zeros((SIDE, SIDE), np.uint8)
    assert in_node(draw.WEIGHTS, [blank], (1, 28, 28)) == [{"empty": True}]
    with pytest.raises(ValueError, match="found no ink"):
        as_mnist(Image.fromarray(blank))
