"""README.md and docs/*.md: programs run as printed, tables are what the commands measured."""

import re
import runpy
import sys
from pathlib import Path

import pytest

import datasets
import net
from docs import readme

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    page: (ROOT / page).read_text(encoding="utf-8") for page in (*readme.PAGES, "docs/files.md")
}
EVERY_PAGE = pytest.mark.parametrize("page", PAGES)
SEED = (
    "from net import FeedForwardNet, InputLayer, FullyConnectedLayer, ReLuLayer\n"
    "X_train, y_train, X_test, y_test = load_data()\n"
    "model = FeedForwardNet()\n"
    "model.add(InputLayer(28*28)); model.add(FullyConnectedLayer(100)); model.add(ReLuLayer())\n"
    "model.add(FullyConnectedLayer(50)); model.add(ReLuLayer()); "
    "model.add(FullyConnectedLayer(10))\n"
    "model.train(X_train, y_train, learning_rate, epochs, batch_size=batch_size)\n"
    "test_accuracy = model.test(X_test, y_test)\n"
    "output = model.forward(X_train[:1].T)\n"
)


def run(page: str, monkeypatch) -> dict:
    """Its python blocks, on a small part of the data; the namespace goes from block to block."""
    X, y, X_test, y_test = datasets.load_mnist(train_size=4000)
    small, images = (X, y, X_test, y_test), [A.reshape(-1, 1, 28, 28) for A in (X, X_test)]
    monkeypatch.setattr(net, "load_data", lambda: small)
    monkeypatch.setattr("functional_net.load_data", lambda: small)
    monkeypatch.setattr(datasets, "load_images", lambda: (images[0], y, images[1], y_test))
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.S):
        exec(compile(block, page, "exec"), names)
    return names


def test_the_program_of_the_readme_runs_as_printed(monkeypatch):
    assert SEED in README
    names = run("README.md", monkeypatch)
    assert names["output"].shape == (10, 1)
    assert names["test_accuracy"] > 0.8


def test_the_programs_of_use_run_as_printed(monkeypatch, capsys):
    names = run("docs/use.md", monkeypatch)
    assert 0 < names["loss"] < 10
    of_functions, of_modules = map(float, capsys.readouterr().out.split())
    assert of_functions > 0.8 and of_modules > 0.8


@pytest.mark.parametrize("page", readme.PAGES)
def test_generated_parts_are_current(page):
    assert readme.filled(PAGES[page]) == PAGES[page], "run: python docs/readme.py"


def test_every_part_stands_on_some_page_and_an_unknown_one_is_an_error():
    marks = [mark for page in readme.PAGES for mark in re.findall(r"<!-- /(.+?) -->", PAGES[page])]
    assert sorted(marks) == sorted(readme.PARTS)
    with pytest.raises(ValueError, match=r"expected one of the parts two commands, .*'nonsense'"):
        readme.filled("<!-- nonsense -->\n<!-- /nonsense -->")


def test_the_readme_is_short_enough_for_a_first_visit():
    assert len(README.split()) <= 1700


@EVERY_PAGE
def test_tables_fit_the_width_that_github_shows(page):
    """About 105 letters, of which a column's padding takes 3; text wraps, code does not."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGES[page], re.M):
        shown = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", table)
        rows = [row.strip("|\n ").split("|") for row in shown.splitlines()]
        pieces = [[re.findall(r"`[^`]+`|[^\s`<]+", cell) for cell in row] for row in rows]
        columns = zip(*(row for row in pieces), strict=True)
        widths = [max(len(piece) for cell in column for piece in cell) + 3 for column in columns]
        assert sum(widths) <= 105, table


@pytest.mark.parametrize(
    "target", re.findall(r"^([a-z]+): ", (ROOT / "Makefile").read_text(), re.M)
)
def test_every_make_target_has_its_plain_form(target):
    if target not in ("help", "clean"):
        assert f"| `{target}` | `python " in PAGES["docs/use.md"]


@EVERY_PAGE
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)", PAGES[page]):
        assert link.startswith("http") or (ROOT / page).parent.joinpath(link).exists(), link


@EVERY_PAGE
def test_programs_that_are_named_exist(page):
    for script in re.findall(r"^python ((?:-m )?\S+)", PAGES[page], re.M):
        name = script.removeprefix("-m ").removesuffix(".py")
        assert name in ("venv", "pip") or (ROOT / script).exists() or (ROOT / name).is_dir()


@pytest.mark.parametrize(
    "command",
    [
        *("functional_net.py", "net.py", "-m cnn", "benchmarks/accuracy.py"),
        *(f"-m datasets {name}" for name in ("export-images", "export")),
        *(f"-m gradcheck {name}" for name in ("ours", "own", "learn", "mark", "grade", "plants")),
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_options_that_are_shown_exist(command, monkeypatch, capsys):
    first, *rest = command.removeprefix("-m ").split()
    start = runpy.run_module if command.startswith("-m ") else runpy.run_path
    monkeypatch.setattr(sys, "argv", [first, *rest, "--help"])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as exit:
        start(first, run_name="__main__")
    assert not exit.value.code
    help_text = capsys.readouterr().out
    text = re.sub(r"^gradcheck ", "python -m gradcheck own ", "\n".join(PAGES.values()), flags=re.M)
    lines = re.findall(rf"python {command} ([^\n`|#]*)", text)
    shown = {option for line in lines for option in re.findall(r"(?<!\S)--\w+", line)}
    assert lines and shown <= set(re.findall(r"--\w+", help_text))
