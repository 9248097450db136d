"""The side-by-side page: cells are cut, symbols are found, numbers are computed, all is current."""

import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from datasets.run import console
from docs import cells, excerpt, mathml, measured, page, rows, side_by_side, terminal, worked
from docs.rows import COLUMNS, ROWS, Row

ROOT = Path(__file__).resolve().parents[2]
EQUATIONS = [f"E{n}" for n in range(1, 10)]
SECTIONS = ["init", "forward", "loss", "backward", "update", "train", "accuracy", "command line"]
EVERY_CELL = pytest.mark.parametrize(
    ("row", "column"),
    [(row, column) for row in ROWS for column in COLUMNS],
    ids=lambda each: getattr(each, "key", each),
)


@pytest.fixture(scope="module")
def html() -> str:
    return page.build()


def measured_away(html: str) -> str:
    """The page without the errors, whose last digits belong to the machine."""
    return re.sub(r"<data value=.*?</data>", "<data></data>", html)


# --- what is cut --------------------------------------------------------------


def test_rows_come_in_the_order_of_a_step():
    assert [row.key for row in ROWS] == ["init", *EQUATIONS, "train", "accuracy", "check"]


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("place", ["functional_net.py", "net.py", "cnn"])
def test_every_implementation_carries_every_equation(place, equation):
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    assert any(f"# ({equation})" in file.read_text(encoding="utf-8") for file in files)


@EVERY_CELL
def test_every_cell_holds_code_and_its_equation(row: Row, column: str):
    pieces = page.cells_of(row, column)
    assert all(len(cell.code.splitlines()) > 1 for cell in pieces)
    assert any(cell.marked for cell in pieces) == bool(row.equation)
    for cell in pieces:
        code = cell.code.splitlines()
        assert all(f"# ({row.equation})" in code[n] for n in cell.marked)


@EVERY_CELL
def test_code_fits_a_column_of_the_page(row: Row, column: str):
    for cell in page.cells_of(row, column):
        for line in cell.code.splitlines():
            complaint = line.strip().startswith("raise ")  # the one kind of line that may wrap
            assert complaint or len(line) <= cells.WIDTH, f"{cell.place}: {line}"


@EVERY_CELL
def test_every_symbol_of_the_row_stands_in_every_cell(row: Row, column: str):
    spellings = {symbol.key: symbol.spellings(column) for symbol in row.symbols}
    found = set()
    for cell in page.cells_of(row, column):
        marks = cells.occurrences(cell.code, spellings)
        found |= {cell.code[start:end] for start, end, _ in marks}
    wanted = {word for words in spellings.values() for word in words}
    assert wanted == found, f"docs/rows.py, {row.key}: {column} does not say {wanted - found}"


@pytest.mark.parametrize("path", ["functional_net.py", "net.py"])
def test_sections_come_in_one_order(path):
    names = [name for _, name in cells.sections(path) if name in SECTIONS]
    assert names == SECTIONS


@pytest.mark.parametrize("path", sorted((ROOT / "cnn").glob("*.py")), ids=lambda p: p.name)
def test_sections_of_cnn_come_in_the_same_order_in_every_class(path):
    source = path.read_text(encoding="utf-8")
    for part in re.split(r"(?m)^class ", source):
        names = [n for n in re.findall(r"# --- (.+?) -{3,}", part) if n in SECTIONS]
        assert names == sorted(names, key=SECTIONS.index)


def test_the_sections_around_the_equations_lie_where_they_say():
    named = {"init": "init", "train": "train", "accuracy": "accuracy"}
    for row in ROWS:
        for column in COLUMNS:
            for cell in page.cells_of(row, column) if row.key in named else ():
                if "Layer" in cell.name or (cell.name == "hits" and column == "cnn"):
                    continue  # a layer's methods stand together, not under the net's rules
                above = [name for line, name in cells.sections(cell.path) if line <= cell.line]
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
    monkeypatch.setattr(cells, "ROOT", tmp_path)
    cells.source.cache_clear()
    cells.functions.cache_clear()
    yield "sample.py"
    cells.source.cache_clear()
    cells.functions.cache_clear()


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
    with pytest.raises(LookupError, match=r"sample.py: Layer has no line with \(E5\)"):
        cells.cut("sample.py::Layer", "E5")
    with pytest.raises(LookupError, match=r"sample.py: Nobody has no such function"):
        cells.cut("sample.py::Nobody")
    with pytest.raises(LookupError, match=r"cnn: no file defines Nobody"):
        cells.cut("cnn::Nobody")


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
    spellings = {symbol.key: symbol.spellings("net") for symbol in row.symbols}
    assert "dW" in {symbol for _, _, symbol in cells.occurrences(cell.code, spellings)}
    assert "dW" not in {symbol for _, _, symbol in cells.occurrences(renamed, spellings)}


def test_highlighting_loses_no_letter_of_the_code():
    for row in ROWS:
        for column in COLUMNS:
            for cell in page.cells_of(row, column):
                spellings = {symbol.key: symbol.spellings(column) for symbol in row.symbols}
                assert (
                    text_of(cells.highlight(cell, spellings)).splitlines() == cell.code.splitlines()
                )


def text_of(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    return "".join(found)


# --- formulas -----------------------------------------------------------------


def test_formulas_become_mathml():
    symbols = {"dW": "dW", "X": "X", "dw": "dW"}
    assert mathml.inline("X'", symbols) == (
        '<math><mrow><mrow data-s="X"><msup><mi>X</mi><mo>⊤</mo></msup></mrow></mrow></math>'
    )
    fraction = "<mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac>"
    assert fraction in mathml.formula("a / (b + 1)", {})
    assert "<mo>/</mo>" in mathml.inline("a / (b + 1)", {})
    assert mathml.inline("dw_dh", symbols).count('data-s="dW"') == 1
    assert "<munder><mo>∑</mo><mrow><mi>n</mi></mrow></munder>" in mathml.formula("sum_n x_n", {})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_letter_of_a_formula_is_read(row: Row):
    for text in row.formulas.values():
        assert "".join(mathml.TOKEN.findall(text)) == text.replace(" ", "")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_symbol_stands_in_a_formula(row: Row):
    names = {word: key for symbol in row.symbols for word, key in symbol.names.items()}
    shown = "".join(mathml.formula(text, names) for text in row.formulas.values())
    marked = set(re.findall(r'data-s="(.+?)"', shown))
    assert {symbol.key for symbol in row.symbols} - marked <= UNWRITTEN.get(row.key, set())


# what a row shows in its table and cells, but not in its formula
UNWRITTEN = {
    "E3": {"y"},
    "train": {"forward", "backward", "update"},
    "check": {"dlogits", "dX"},
}


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (-1.0, "-1"), (1 / 3, "0.3333"), (-1e-9, "0")]
)
def test_numbers_have_four_decimals_at_most(value, text):
    assert mathml.number(value) == text


def test_prose_is_ascii():
    assert (ROOT / "docs" / "rows.py").read_text(encoding="utf-8").isascii()


# --- worked numbers -----------------------------------------------------------


def test_the_worked_net_has_a_neuron_that_is_on_and_one_that_is_off():
    numbers = worked.compute()
    assert (numbers["Z1"] > 0).tolist() == [[True, False], [True, True]]
    assert numbers["accuracy"] == 0.5
    assert numbers["logits_next"].argmax(axis=1).tolist() == [0, 1]  # both right after one step


def test_every_line_that_is_printed_is_evaluated_against_the_code():
    numbers = worked.compute()
    with pytest.raises(ArithmeticError, match="the worked numbers differ at dW2 = A1 @ dlogits"):
        worked.evaluate("dW2 = A1 @ dlogits", numbers)


def test_net_and_cnn_have_to_agree(monkeypatch):
    wrong = {**worked.cnn_step(), "dW1": np.zeros((3, 2))}
    monkeypatch.setattr(worked, "cnn_step", lambda: wrong)
    with pytest.raises(ArithmeticError, match="the worked numbers differ at dW1"):
        worked.compute()


def test_the_slope_that_was_measured_is_the_gradient():
    numbers = worked.compute()
    lines = next(row.worked for row in ROWS if row.key == "check")
    far, near = (worked.evaluate(line, numbers)[2] - numbers["dW2"][0, 0] for line in lines[:2])
    assert abs(far) < 0.003
    assert far / near == pytest.approx(25, rel=0.02)  # "a fifth of h, a twenty-fifth of the error"


def test_what_is_told_of_the_numbers_is_so():
    n = worked.compute()
    told = {row.key: row.told for row in ROWS}
    costs = -np.log((n["P"] * n["y"]).sum(axis=1))
    assert [f"{cost:.4f}" for cost in costs] == re.findall(r"costs (\d\.\d{4})", told["E3"])
    assert n["dlogits"][1, 0] / n["dlogits"][0, 1] == pytest.approx(np.e)  # "2.7183 times as large"
    assert n["dW1"][0, 1] == 0 and n["dZ1"][0, 1] == 0
    assert (np.diff(n["losses"]) < 0).all() and n["losses"].size == 6
    old, new = worked.MOMENTUM * n["V_new"][0, 0], worked.LR * n["dW2_next"][0, 0]
    assert abs(old) > abs(new)


# --- the errors ---------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in ROWS if row.checked], ids=lambda row: row.key)
def test_the_gradients_of_all_rows_are_right_and_measured(row: Row):
    assert all(0 < error < 1e-7 for error in measured.worst_errors(row.key))


def test_a_wrong_gradient_is_called_wrong(monkeypatch):
    monkeypatch.setattr(measured, "worst_errors", lambda key: (1e-9, 0.5, 1e-9))
    row = next(row for row in ROWS if row.key == "E5")
    assert 'class="wrong"' in page.error(row, "net")
    assert 'class="wrong"' not in page.error(row, "cnn")


# --- the page -----------------------------------------------------------------


def test_the_committed_page_is_current(html):
    committed = (ROOT / "docs" / "side_by_side.html").read_text(encoding="utf-8")
    assert measured_away(html) == measured_away(committed), "run: python docs/side_by_side.py"


def test_the_page_asks_nothing_of_the_network(html):
    assert not re.findall(
        r"""(?:src|action|srcset)=|url\(|@import|https?:|fetch\(|import\(""", html
    )


def test_links_lead_to_the_lines_they_name(html):
    links = re.findall(r'href="\.\./([^"#]+)#L(\d+)">([^<]+)<', html)
    assert len(links) > 40
    for path, line, shown in links:
        assert shown == f"{path}:{line}"
        assert 0 < int(line) <= len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_ids_are_unique_and_every_jump_lands(html):
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_the_page_can_be_written_elsewhere(tmp_path, monkeypatch, capsys):
    to = tmp_path / "page.html"
    assert command(monkeypatch, "--to", str(to)) == 0
    assert capsys.readouterr().out.strip() == f"written to {to}"
    assert to.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, "--to", str(tmp_path / "missing" / "page.html")) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "missing" in told


def command(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["docs/side_by_side.py", *arguments])
    with pytest.raises(SystemExit) as stopped:
        console.run(side_by_side.app)
    return stopped.value.code or 0


def test_the_command_runs_as_a_program_and_helps_at_once():
    script = [sys.executable, "docs/side_by_side.py", "-h"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--terminal" in done.stdout


# --- terminal and README ------------------------------------------------------


@pytest.mark.parametrize(("width", "beside"), [(200, True), (110, True), (109, False), (60, False)])
def test_the_terminal_shows_the_same_rows(width, beside):
    from rich.console import Console

    out = io.StringIO()
    terminal.show(Console(file=out, width=width))
    text = out.getvalue()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= width
    assert [row.title for row in ROWS if row.title[:30] in text] == [row.title for row in ROWS]
    heads = [line for line in text.splitlines() if "functional_net" in line and " cnn " in line]
    assert bool(heads) == beside


def test_the_readme_shows_the_current_row():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = re.search(r"<!-- E5 -->\n(.*?)<!-- /E5 -->", readme, re.S)
    assert part, "README.md: expected the marks <!-- E5 --> and <!-- /E5 -->"
    assert part[1].strip() == excerpt.excerpt(), "run: python docs/readme.py"


HEADS = ["", "---", "formula, `'` transposes", "code", "from"]


def test_the_excerpt_holds_one_line_per_implementation_and_fact():
    lines = excerpt.excerpt().splitlines()
    assert [line.split("|")[1].strip() for line in lines] == HEADS
    assert all(line.count("|") == 5 for line in lines)
    assert "`dW2 = A1.T @ dlogits`" in lines[3]


def test_rows_and_introduction_are_told_in_paragraphs():
    assert len(rows.paragraphs(rows.INTRODUCTION)) == 3
    assert all(rows.paragraphs(row.why) and row.told.strip() for row in ROWS)
