"""The side-by-side page: cells are cut, symbols are found, numbers are computed, all is current."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import cnn
import net
from datasets.run import console
from docs import cells, drawing, mathml, measured, page, rows, side_by_side, worked
from docs.rows import COLUMNS, ROWS, Row
from gradcheck.ours import equations
from gradcheck.ours.equations import EQUATIONS

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ["init", "forward", "loss", "backward", "update", "train", "accuracy", "command line"]
PLACES = [(row, column) for row in ROWS for column in COLUMNS]


@pytest.fixture(scope="module")
def html() -> str:
    return page.build()


# --- what is cut --------------------------------------------------------------


def test_rows_come_in_the_order_of_a_step():
    assert [row.key for row in ROWS] == ["init", *EQUATIONS, "train", "accuracy", "check"]


@pytest.mark.parametrize("place", ["functional_net.py", "net.py", "cnn"])
def test_every_implementation_carries_every_equation(place):
    assert all(equations.places(equation, place) for equation in EQUATIONS)


def test_every_cell_holds_code_and_its_equation():
    for row, column in PLACES:
        pieces = page.cells_of(row, column)
        assert all(len(cell.code.splitlines()) > 1 for cell in pieces), (row.key, column)
        assert any(cell.marked for cell in pieces) == bool(row.equation), (row.key, column)
        for cell in pieces:
            code = cell.code.splitlines()
            assert all(f"# ({row.equation})" in code[n] for n in cell.marked)


def test_every_symbol_of_the_row_stands_in_every_cell():
    for row, column in PLACES:
        spellings = {symbol.key: symbol.spellings(column) for symbol in row.table}
        found = set()
        for cell in page.cells_of(row, column):
            marks = cells.occurrences(cell.code, spellings)
            found |= {cell.code[start:end] for start, end, _ in marks}
        wanted = {word for words in spellings.values() for word in words}
        assert wanted == found, f"docs/rows.py, {row.key}: {column} does not say {wanted - found}"


def sections(path: str) -> list[tuple[int, str]]:
    """Line and name of every rule, `# --- name ---`."""
    rules = enumerate(equations.source(path), start=1)
    return [(n, m[1]) for n, text in rules if (m := re.match(r"\s*# --- (.+?) -{3,}$", text))]


@pytest.mark.parametrize("path", ["functional_net.py", "net.py"])
def test_sections_come_in_one_order(path):
    names = [name for _, name in sections(path) if name in SECTIONS]
    assert names == SECTIONS


@pytest.mark.parametrize("path", sorted((ROOT / "cnn").glob("*.py")), ids=lambda p: p.name)
def test_sections_of_cnn_come_in_the_same_order_in_every_class(path):
    source = path.read_text(encoding="utf-8")
    for part in re.split(r"(?m)^class ", source):
        names = [n for n in re.findall(r"# --- (.+?) -{3,}", part) if n in SECTIONS]
        assert names == sorted(names, key=SECTIONS.index)


def test_the_sections_around_the_equations_lie_where_they_say():
    named = {"init": "init", "train": "train", "accuracy": "accuracy"}
    for row, column in PLACES:
        for cell in page.cells_of(row, column) if row.key in named else ():
            if "Layer" in cell.name or (cell.name == "hits" and column == "cnn"):
                continue  # a layer's methods stand together, not under the net's rules
            above = [name for line, name in sections(cell.path) if line <= cell.line]
            assert above[-1] == named[row.key], cell.place


# --- how it is cut ------------------------------------------------------------

SAMPLE = '''
class Layer:
    def forward(self, X: int, scale: float = 2.0) -> int:
        """Doubles.

        More.
        """
        # why
        Y = X * 2  # (E1)  (N,)
        return Y

    def backward(self, dY): return dY


def other(X):
    return X  # (E2)
'''


@pytest.fixture
def sample(tmp_path, monkeypatch):
    (tmp_path / "sample.py").write_text(SAMPLE)
    monkeypatch.setattr(equations, "ROOT", tmp_path)
    equations.source.cache_clear()
    equations.functions.cache_clear()
    yield "sample.py"
    equations.source.cache_clear()
    equations.functions.cache_clear()


def test_a_cell_is_the_function_around_the_tag_without_types_and_docstring(sample):
    (cell,) = cells.cut("sample.py::Layer", "E1")
    assert cell.name == "Layer.forward"
    assert cell.promise == "Doubles."
    assert cell.code.splitlines() == [
        "def forward(self, X, scale=2.0):",
        "    # why",
        "    Y = X * 2  # (E1)  (N,)",
        "    return Y",
    ]
    assert cell.marked == {2}
    assert (cell.place, cell.link) == ("sample.py:9", "sample.py#L9")


def test_a_file_gives_every_function_that_carries_the_tag(sample):
    assert [cell.name for cell in cells.cut("sample.py", "E2")] == ["other"]


def test_a_function_can_be_named_without_carrying_a_tag(sample):
    (cell,) = cells.cut("sample.py::other", "E7")
    assert not cell.marked


def test_what_is_not_there_is_an_error(sample):
    for piece, equation in ("sample.py::Layer", "E5"), ("sample.py::Nobody", ""), ("cnn::No", ""):
        with pytest.raises(LookupError, match=f"{piece}: there is no such function"):
            cells.cut(piece, equation)


def test_places_are_the_lines_that_carry_the_equation(sample):
    assert equations.places("E1", "sample.py") == [("sample.py", "Layer.forward", 9)]
    assert equations.places("E1", "sample.py::other") == []
    assert len(equations.places("E2", "sample.py::other")) == 1


def test_a_class_is_found_in_whichever_file_of_a_folder_it_stands(sample, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.py").write_text("def other(): return 0")
    (tmp_path / "folder" / "b.py").write_text(SAMPLE)
    (cell,) = cells.cut("folder::Layer", "E1")
    assert cell.place == "folder/b.py:9"


def test_symbols_are_whole_words_outside_comments_and_the_longest_wins():
    code = 'self.dW = dW2 @ X["dW"] + dW  # dW'
    found = cells.occurrences(code, {"dW": ["self.dW", "dW"], "2": ["dW2"]})
    assert [(code[a:b], symbol) for a, b, symbol in found] == [
        ("self.dW", "dW"), ("dW2", "2"), ("dW", "dW"),
    ]  # fmt: skip


def test_a_renamed_variable_is_noticed():
    row = next(row for row in ROWS if row.key == "E5")
    (cell,) = page.cells_of(row, "net")
    renamed = cell.code.replace("self.dW", "self.weight_update")
    spellings = {symbol.key: symbol.spellings("net") for symbol in row.table}
    assert "dW" in {symbol for _, _, symbol in cells.occurrences(cell.code, spellings)}
    assert "dW" not in {symbol for _, _, symbol in cells.occurrences(renamed, spellings)}


def test_highlighting_loses_no_letter_of_the_code():
    for row, column in PLACES:
        for cell in page.cells_of(row, column):
            spellings = {symbol.key: symbol.spellings(column) for symbol in row.table}
            shown = text_of(cells.coloured(cell, spellings))
            assert shown.splitlines() == cell.code.splitlines()


def text_of(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    return "".join(found)


# --- formulas -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("X.T", '<mrow data-s="X"><msup><mi>X</mi><mi mathvariant="normal">T</mi></msup></mrow>'),
        (
            "a / (b + 1)",
            "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow>",
        ),
        ("sum_n(x_n)", "<munder><mo>∑</mo><mi>n</mi></munder><msub><mi>x</mi><mrow><mi>n</mi>"),
        ("dX * Y", "<mo>⊙</mo>"),
        ("V <- V", "<mo>←</mo>"),
        ("f'(x)", '<mi>f</mi><mo lspace="0" rspace="0">′</mo>'),
        ("sqrt(a)", "<msqrt><mrow><mi>a</mi></mrow></msqrt>"),
    ],
)
def test_formulas_become_mathml(text, shown):
    assert shown in mathml.formula(text, {"X": "X"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a / (b + 1)", "a/(b+1)"),
        ("a - (b - c)", "a−(b−c)"),
        ("a - b - c", "a−b−c"),
        ("(a - b) * c", "(a−b)c"),
        ("-log(a) = log(b) - c", "−log(a)=log(b)−c"),
        ("(A @ B) @ C = A @ (B @ C)", "(AB)C=A(BC)"),
        ("sum_n(a - b)", "∑n(a−b)"),
        ("sum_n(a * b)", "∑nab"),
        ("max(a, 0)", "max(a,0)"),
        ("(A @ B).T", "(AB)T"),
        ("a -> b -> c", "a→b→c"),
    ],
)
def test_brackets_stand_where_they_must(text, shown):
    assert text_of(mathml.inline(text, {})) == shown


def test_what_is_no_formula_is_an_error():
    with pytest.raises(ValueError, match=r"a formula cannot hold '\[1, 2\]'"):
        mathml.formula("X = [1, 2]", {})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_symbol_stands_in_a_formula(row: Row):
    names = {word: key for symbol in row.table for word, key in symbol.names.items()}
    shown = "".join(mathml.formula(text, names) for text in row.formulas.values())
    marked = set(re.findall(r'data-s="(.+?)"', shown))
    assert {symbol.key for symbol in row.table} - marked <= UNWRITTEN.get(row.key, set())


# what a row shows in its table and cells, but not in its formula
UNWRITTEN = {
    "E3": {"y"},
    "train": {"forward", "backward", "update"},
    "check": {"dlogits", "dX"},
}


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (-1.0, "−1"), (1 / 3, "0.3333"), (-1e-9, "0")]
)
def test_numbers_have_four_decimals_at_most(value, text):
    assert mathml.number(value) == text


def test_prose_is_ascii():
    assert (ROOT / "docs" / "rows.toml").read_text(encoding="utf-8").isascii()


# --- worked numbers -----------------------------------------------------------


def test_the_worked_net_has_a_neuron_that_is_on_and_one_that_is_off():
    numbers = worked.compute()
    assert (numbers["Z1"] > 0).tolist() == [[True, False], [True, True]]
    assert numbers["accuracy"] == 0.5
    assert numbers["logits_new"].argmax(axis=1).tolist() == [0, 1]  # both right after one step


def test_every_line_that_is_printed_is_evaluated_against_the_code():
    numbers = worked.compute()
    with pytest.raises(ArithmeticError, match="the worked numbers differ at dW2 = A1 @ dlogits"):
        worked.line("dW2 = A1 @ dlogits", numbers, {})


def test_a_pencil_can_follow():
    """Every array of a line is given, stands in an earlier line, or is printed in its row."""
    given = {"X", "y", "W1", "b1", "W2", "b2", "N", "lr", "momentum", "V"}
    measured = {"up_far", "down_far", "up_near", "down_near", "width_far", "width_near"}
    for line in [line for row in ROWS for line in row.worked]:
        target, _, expression = line.rpartition(" = ")
        words = set(re.findall(r"[A-Za-z]\w*", expression.replace(".T", "")))
        if target:
            unknown = words - set(worked.FUNCTIONS) - given - measured
            assert not unknown, f"{line}: {unknown} comes from nowhere"
        given |= {target, *words}


def net_step() -> dict:
    """The same step in columns, turned into rows for the comparison."""
    model = net.perceptron([3, 2, 2], dtype=np.float64)
    model.set_weights([W.T for W in worked.START])
    Y = model.forward(worked.X.T)
    numbers = {"logits": Y.T, "loss": model.loss(Y, worked.y.T), "dX": model.input_gradient().T}
    for n, layer in enumerate(model.layers[1::2], start=1):
        numbers |= {f"dW{n}": layer.dW.T.copy(), f"db{n}": layer.db.T.copy()}
    model.update(worked.LR, worked.MOMENTUM)
    new = zip(worked.START._fields, model.get_weights(), strict=True)
    return numbers | {f"{name}_new": W.T for name, W in new}


def cnn_step() -> dict:
    """The same step in modules."""
    layers = cnn.Linear(3, 2), cnn.ReLU(), cnn.Linear(2, 2)
    model = cnn.Net(layers, cnn.CrossEntropyLoss).astype(np.float64)
    model.set_weights(worked.fn.to_weights(worked.START))
    out = model(worked.X)
    numbers = {"logits": out, "loss": model.loss(out, worked.y), "dX": model.input_gradient()}
    for n, layer in enumerate(model.layers[::2], start=1):
        numbers |= {f"dW{n}": layer.grads["W"], f"db{n}": layer.grads["b"]}
    model.update_weights(worked.LR, worked.MOMENTUM)
    new = zip(worked.START._fields, model.get_weights().values(), strict=True)
    return numbers | {f"{name}_new": np.atleast_2d(W) for name, W in new}


@pytest.mark.parametrize("step", [net_step, cnn_step])
def test_net_and_cnn_get_the_same_numbers(step):
    numbers, found = worked.compute(), step()
    assert found.keys() >= {"logits", "loss", "dX", "dW1", "db2", "W1_new", "b2_new"}
    for name, value in found.items():
        np.testing.assert_allclose(value, numbers[name], rtol=0, atol=1e-12, err_msg=name)


def test_the_slope_that_was_measured_is_the_gradient():
    numbers = worked.compute()
    lines = next(row.worked for row in ROWS if row.key == "check")
    for line in lines[:2]:
        worked.line(line, numbers, {})
    far, near = (numbers[f"slope_{how}"] - numbers["dW2"][0, 0] for how in ("far", "near"))
    assert abs(far) < 0.003
    assert far / near == pytest.approx(25, rel=0.02)  # "a fifth of h, a twenty-fifth of the error"


def test_what_is_told_of_the_numbers_is_so():
    n = worked.compute()
    told = {row.key: row.told for row in ROWS}
    costs = -np.log((n["P"] * n["y"]).sum(axis=1))
    assert [f"{cost:.4f}" for cost in costs] == re.findall(r"costs (\d\.\d{4})", told["E3"])
    assert n["dlogits"][1, 0] / n["dlogits"][0, 1] == pytest.approx(np.e)  # "2.7183 times as large"
    assert n["dW1"][0, 1] == 0 and n["Z1"][0, 1] < 0
    assert (np.diff(n["losses"]) < 0).all() and n["losses"].size == 4
    worked.line(ROWS[9].worked[-1], n, {})
    assert np.allclose(n["V_again"], 1.5 * n["V_new"])  # "one and a half times as long"


def test_the_answers_are_right():
    answer = {row.key: row.question.strip().partition("\n\n")[2] for row in ROWS}
    assert "14" in answer["E1"] and sum(W.size for W in worked.START) == 14
    assert f"{784 * 100 + 100 + 100 * 10 + 10:,}" in answer["E1"]
    b1 = worked.START.b1 + np.array([[0, 2.5]])
    Z1 = worked.X @ worked.START.W1 + b1
    assert Z1[:, 1].tolist() == [1, 4.5] and "1\nand 4.5" in answer["E2"]
    assert f"{np.log(10):.4f}" in answer["E3"]
    zero = worked.fn.zeros(worked.START)
    Z1, A1, logits = worked.fn.forward(zero, worked.X)
    dlogits = worked.fn.cross_entropy(logits, worked.y[[0, 0]])[1]
    grads = worked.fn.backward(zero, worked.X, Z1, A1, dlogits)
    assert [name for name, dW in grads._asdict().items() if dW.any()] == ["b2"]  # the row of init
    assert "3,000" in answer["train"] and 60_000 / 20 == 3_000


def test_the_drawing_shows_every_number_of_the_net():
    numbers = worked.compute()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", drawing.net(numbers))
    for name in "W1", "W2":
        assert {mathml.number(w) for w in numbers[name].flat} <= set(texts)
    for b in (*numbers["b1"][0], *numbers["b2"][0]):
        assert mathml.number(b) in [text.removeprefix("+") for text in texts]
    assert len(texts) == 6 + 4 + 4 + 7 + 3  # weights, biases, values, names


# --- the errors ---------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in ROWS if row.checked], ids=lambda row: row.key)
def test_the_gradients_of_all_rows_are_right_and_measured(row: Row):
    assert all(0 < error < measured.BOUND / 2 for error in measured.worst_errors()[row.key])


def test_a_wrong_gradient_is_called_wrong(monkeypatch):
    monkeypatch.setattr(measured, "worst_errors", lambda: {"E5": [1e-9, 0.5, 1e-9]})
    row = next(row for row in ROWS if row.key == "E5")
    assert 'class="wrong"' in page.error(row, "net") and "5e-01" in page.error(row, "net")
    assert 'class="wrong"' not in page.error(row, "cnn")


# --- the page -----------------------------------------------------------------


def test_the_committed_page_is_current(html):
    committed = (ROOT / "docs" / "side_by_side.html").read_text(encoding="utf-8")
    assert html == committed, "run: python docs/side_by_side.py"


def test_the_page_asks_nothing_of_the_network(html):
    assert not re.findall(
        r"""(?:src|action|srcset)=|url\(|@import|https?:|fetch\(|import\(""", html
    )


def test_links_lead_to_the_lines_they_name(html):
    for name in re.findall(r'href="([\w.]+)"', html):
        assert (ROOT / "docs" / name).is_file(), name
    links = re.findall(r'href="\.\./([^"#]+)#L(\d+)">([^<]+)<', html)
    assert len(links) > 40
    for path, line, shown in links:
        assert shown == f"{path}:{line}"
        assert 0 < int(line) <= len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_ids_are_unique_and_every_jump_lands(html):
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


@pytest.mark.parametrize(
    ("to", "code", "told"),
    [("page.html", 0, "written to"), ("missing/page.html", 2, "missing"), (".", 2, "directory")],
)
def test_the_page_can_be_written_elsewhere(tmp_path, to, code, told, html, monkeypatch, capsys):
    monkeypatch.setattr(page, "build", lambda: html)
    monkeypatch.setattr(sys, "argv", ["side_by_side.py", "--to", str(tmp_path / to)])
    with pytest.raises(SystemExit) as exit:
        console.run(side_by_side.main)
    assert (exit.value.code or 0) == code
    out, err = capsys.readouterr()
    assert told in (err if code else out) and err.count("\n") == (code > 0)
    assert (tmp_path / to).is_file() == (code == 0)
    assert code or (tmp_path / to).read_text(encoding="utf-8") == html


def test_rows_and_introduction_are_told_in_paragraphs():
    assert len(rows.paragraphs(rows.INTRODUCTION)) == 3
    assert all(rows.paragraphs(row.why) and row.told.strip() for row in ROWS)
    assert all(rows.paragraphs(row.question)[0].endswith("?") for row in ROWS)
    assert all(len(rows.paragraphs(row.question)) >= 2 for row in ROWS)
