"""Hand-outs are our own sources with the equations taken out, and give no answer away."""

import ast
import re

import pytest

from gradcheck.core import CannotCheck
from gradcheck.learn.handout import (
    chosen,
    handout,
    numbered,
    plantable,
    repair,
    solved,
    target_of,
)
from gradcheck.learn.units import STEP, UNITS
from gradcheck.ours.equations import EQUATIONS, places, source
from gradcheck.plants.commands import write

TARGETS = ("functional", "net", "cnn")
FILES = {"functional": "functional_net.py", "net": "net.py", "cnn": "cnn"}


def code(line):
    """Without its comment and without spaces."""
    return re.sub(r"\s", "", line.partition("#")[0])


@pytest.mark.parametrize("target", TARGETS)
def test_no_handout_contains_a_solution_line(target):
    text = {code(line) for line in handout(target).splitlines()}
    joins = {"dY=self.loss.backward()", "dY=layer.backward(dY)"}  # how the net joins its layers
    for equation in EQUATIONS:
        for place in places(equation, FILES[target]):
            line = code(source(place.path)[place.line - 1])
            assert line not in text or line in joins, place


@pytest.mark.parametrize("target", TARGETS)
def test_every_line_that_carries_a_number_is_a_blank_and_all_else_stands(target):
    blanks = numbered(handout(target))[True]
    assert {equation for equation, _ in blanks} == set(EQUATIONS)
    assert not numbered(solved(target))[True]
    rows = solved(target).splitlines()
    kept = [row for row in handout(target).splitlines() if row in rows]
    assert len(kept) > 0.9 * len(rows)


@pytest.mark.parametrize("target", TARGETS)
def test_a_blank_keeps_name_number_and_shapes_and_says_what_is_asked(target):
    rows = handout(target).splitlines()
    for number, row in enumerate(rows):
        if m := re.search(r"\.\.\..*# \((E\d)\)", row):
            assert rows[number - 1].strip().startswith(f"# {m[1]}: ")
    if target == "functional":
        assert "    dW2 = ...  # (E5)  (H, K)" in rows


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_are_python_and_say_what_they_are(target):
    for text in (handout(target), solved(target), repair(target, 1)):
        ast.parse(text)
        assert target_of(text) == target


def test_some_equations_layers_or_chapters_can_be_chosen():
    assert {e for e, _ in numbered(handout("functional", "E5,E6"))[True]} == {"E5", "E6"}
    assert {f for _, f in numbered(handout("cnn", "pooling"))[True]} == {
        "MaxPool2D.forward", "MaxPool2D.backward", "AvgPool2D.forward", "AvgPool2D.backward",
    }  # fmt: skip
    assert chosen("net", "TanhLayer.E8") == {("E8", "TanhLayer")}
    with pytest.raises(CannotCheck, match="--only expects E1 to E9, or forward, got 'E0'"):
        chosen("functional", "E0")


def test_no_two_modules_of_the_one_file_define_the_same_name():
    names = [getattr(node, "name", None) for node in ast.parse(solved("cnn")).body]
    named = [name for name in names if name]
    twice = {name for name in named if named.count(name) > 1}
    assert not twice


def test_nearly_all_plants_fit_into_the_files_of_the_exercises():
    assert sum(len(plantable(target)) for target in TARGETS) >= 93


def test_a_repair_differs_in_one_place_and_another_seed_gives_another():
    rows = solved("net").splitlines()
    texts = [repair("net", seed) for seed in range(6)]
    for text in texts:
        assert 0 < len([r for r in text.splitlines()[12:] if r not in rows]) <= 2
    assert len(set(texts)) > 2


def test_a_file_that_exists_is_never_written_over(tmp_path):
    path = tmp_path / "my_net.py"
    path.write_text("mine")
    with pytest.raises(CannotCheck, match=r"my_net\.py exists: move it away"):
        write("new", path)
    assert path.read_text() == "mine"


def test_every_unit_belongs_to_functions_that_are_there():
    for target in TARGETS:
        tree = ast.parse(solved(target))
        known = {getattr(node, "name", "") for node in tree.body}
        for unit in UNITS[target]:
            assert unit.equations, unit.owner
            for place in unit.functions or (unit.owner,):
                assert place.partition(".")[0] in known or unit.owner == STEP
