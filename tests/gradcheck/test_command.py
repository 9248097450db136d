"""The command: its forms, helps that fit a screen, JSON, a time limit, errors."""

import json
import re

import pytest
from typer.testing import CliRunner

import gradcheck.__main__ as command
from gradcheck import check_layer
from gradcheck.console import told
from gradcheck.core import CannotCheck

FILE = """
import numpy as np
class Scale:
    def __init__(self, k): self.gamma = np.full(k, 2.0)
    def forward(self, x):
        self.x = x
        return self.gamma * x
    def backward(self, dy):
        self.dgamma = (dy * self.x).sum(axis=0)
        return self.gamma * dy
class Wrong(Scale):
    def backward(self, dy):
        super().backward(dy)
        return dy
class Forever(Scale):
    def forward(self, x):
        while True: pass
class Broken(Scale):
    def backward(self, dy): return dy @ dy
class Unbuilt(Scale):
    def __init__(self): self.W = None
    def forward(self, x): return x @ self.W
class Strange(Scale):
    def backward(self, dy): raise SystemExit("bye")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_layers.py"
    path.write_text(FILE)
    return str(path)


def invoke(*args):
    known = {c.name for c in command.app.registered_commands}
    return CliRunner().invoke(command.app, command.with_command(list(args), known))


@pytest.mark.parametrize("name", ["", *(c.name for c in command.app.registered_commands)])
def test_each_help_fits_a_screen(name):
    lines = invoke(*name.split(), "-h").output.splitlines()
    assert 3 < len(lines) <= 24 and max(map(len, lines)) <= 80, "\n".join(lines)
    assert not any(line.endswith("...") for line in lines[1:])  # nothing is cut off


def test_the_help_of_all_fits_a_screen(call):
    lines = call("-h")[1].splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80 and "  own " in "\n".join(lines)


@pytest.mark.parametrize(
    ("args", "first"),
    [
        ([], "ours"),
        (["functional"], "ours"),
        (["--seed", "3", "net"], "ours"),
        (["a.py:L", "--input", "5,3"], "own"),
        (["--input", "5,3", "a.py"], "own"),
        (["plants", "x"], "plants"),
        (["-h"], "-h"),
    ],
)
def test_the_form_is_told_by_the_arguments(args, first):
    assert command.with_command(args, {"plants", "ours", "own"})[0] == first


def test_json(file):
    done = invoke(f"{file}:Wrong", "--args", "3", "--input", "5,3", "--json")
    data = json.loads(done.stdout)
    assert done.exit_code == 1 and data["verdict"] == "wrong"
    arrays = {a["name"]: a for a in data["reports"][0]["arrays"]}
    assert arrays["gamma"]["ok"] and not arrays["X"]["ok"] and arrays["X"]["wrong entries"] == 15
    done = invoke(f"{file}:Scale", "--args", "3", "--input", "5,3", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["verdict"] == "right"
    done = invoke(f"{file}:Broken", "--args", "3", "--input", "5,3", "--json")
    assert json.loads(done.stdout)["verdict"] == "none"


def test_a_loop_without_an_end_ends(call, file):
    code, _, err = call(f"{file}:Forever", "--args", "3", "--input", "5,3", "--seconds", "0.3")
    assert code == 2 and "no verdict within 0.3 s" in err
    assert "my_layers.py:" in err and "while True: pass" in err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Broken", r"ValueError: matmul.*\(my_layers.py:\d+: def backward.*dy @ dy\)"),
        ("Strange", r"SystemExit: bye \(my_layers.py:\d+: .*raise SystemExit"),
    ],
)
def test_whatever_is_raised_is_exit_2_with_their_line(call, file, name, said):
    code, out, err = call(f"{file}:{name}", "--args", "3", "--input", "5,3")
    assert code == 2 and err.count("\n") == 1 and not out
    assert re.search(said, err), err


def test_a_layer_that_another_call_builds_names_setup(call, file):
    _, _, err = call(f"{file}:Unbuilt", "--input", "5,3")
    assert "--setup 'layer.build(3)'" in err and "my_layers.py" in err


def test_an_error_is_told_with_its_place_and_a_check_of_our_own_without():
    def fails():
        return {}["nothing"]

    with pytest.raises(KeyError) as error:
        fails()
    assert told(error.value).startswith("test_command.py:")
    assert 'return {}["nothing"]: KeyError' in told(error.value)
    assert told(CannotCheck("expected a shape")) == "expected a shape"

    def refuses():
        raise ValueError("expected 3, got 4")

    with pytest.raises(ValueError) as refusal:
        refuses()
    assert told(refusal.value) == "expected 3, got 4"


def test_a_report_in_a_notebook_is_a_table_and_in_a_test_its_text(capsys):
    class Wrong:
        def forward(self, x):
            return 2 * x

        def backward(self, dy):
            return 3 * dy

    report = check_layer(Wrong(), (5, 3))
    page = report._repr_html_()
    assert page.startswith("<table>") and "<b>BAD</b>" in page and "1.5 times" in page
    assert not report and "every entry is 1.5 times" in capsys.readouterr().out
