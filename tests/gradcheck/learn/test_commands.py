"""The hunt, and the commands of the exercises."""

import io
import sys

import numpy as np
import pytest

from gradcheck.learn.handout import solved
from gradcheck.plants import commands
from gradcheck.plants.mistakes import PLANTS


@pytest.fixture
def run(call, tmp_path, monkeypatch):
    """The command, in an empty folder; nobody answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return call


def test_the_offers_do_not_give_the_answer_away():
    """As many of the five as there are lie in the function that is broken."""
    alone = 0
    for seed in range(300):
        plant, offered = commands.choices(["functional", "net", "cnn"], np.random.default_rng(seed))
        assert plant in offered and len({p.name for p in offered}) == 5
        near = sum(p.function == plant.function and p.file == plant.file for p in offered)
        there = sum(p.function == plant.function and p.file == plant.file for p in PLANTS)
        assert near == min(5, there)
        alone += near == 1
        here = sum(p.file == plant.file for p in PLANTS)
        assert sum(p.file == plant.file for p in offered) == min(5, here)
    assert alone < 120  # functions with a single plant


def test_a_round_counts_hints_and_explains():
    plant = next(p for p in PLANTS if p.name == "functional-dW1-twice")
    said, replies = [], iter(["h", "h", "a"])
    points = commands.play(plant, [plant, *PLANTS[:4]], lambda _: next(replies), said.append)
    text = "\n".join(said)
    assert points == 1 and "look at layer 1" in text and "counted twice" in text
    assert "+    dW1 = 2 * X.T @ dZ1" in text and "no known pattern" not in text
    said.clear()
    assert commands.play(plant, [PLANTS[0], plant], lambda _: "a", said.append) == 0
    assert "It was b, 0 points" in "\n".join(said)


def test_a_learner_goes_from_a_handout_to_a_mark(run, tmp_path):
    code, out, _ = run("learn", "functional", "--only", "E5")
    assert code == 0 and "written: my_functional_net.py" in out
    code, _, err = run("learn", "functional")
    assert code == 2 and "my_functional_net.py exists: move it away" in err
    code, out, _ = run("mark", "my_functional_net.py")
    assert code == 1 and "E5    backward       not yet" in out and "10 of 12 right" in out
    code, out, _ = run("hint", "E5", "--step", "5")
    assert code == 0 and "the three tellings: once E5 is right" in out
    (tmp_path / "my_functional_net.py").write_text(solved("functional"))
    code, out, _ = run("mark", "my_functional_net.py")
    assert code == 0 and "12 of 12 right" in out
    code, out, _ = run("hint", "E5", "--step", "5")
    assert "net.py" in out and "docs/side_by_side.html#E5" in out
    code, out, _ = run("mark", "my_functional_net.py", "--watch")
    assert code == 0


def test_a_repair_is_complete_wrong_and_counts_down(run, tmp_path):
    code, out, _ = run("learn", "functional", "--repair", "--seed", "3", "--minutes", "0")
    assert code == 1 and "The time is over" in out
    code, out, _ = run("mark", "my_functional_net.py")
    assert code == 1 and " wrong" in out and "not yet" not in out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["mark", "gone.py"], "gone.py: no such file"),
        (["learn", "torch"], "expected functional, net or cnn, got 'torch'"),
        (["learn", "net", "--only", "E5", "--repair"], "--only takes equations out"),
        (["hint", "E10"], "expected E1 to E9, got 'E10'"),
        (["hint", "E5", "--file", "nope.py"], "nope.py: No such file"),
        (["grade", "."], "expected files or folders with submissions"),
        (["grade", "nope"], "nope: No such file"),
        (["plants", "nothing-like-it"], "no plant 'nothing-like-it'; `plants` lists them"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence_and_exit_2(run, args, said):
    code, out, err = run(*args)
    assert code == 2 and said in err and not out


def test_plants_can_be_listed_written_and_seen(run, tmp_path):
    code, out, _ = run("plants")
    assert code == 0 and len(out.splitlines()) == len(PLANTS)
    code, out, _ = run("plants", "net-relu-inverted", "--to", "here")
    assert code == 0 and "self.X < 0" in (tmp_path / "here" / "net.py").read_text()
    code, out, _ = run("plants", "functional-db1-zero")
    assert code == 1 and "FOUND" in out and "looks like: all zero" in out


def test_a_hunt_ends_when_nobody_answers(run, tmp_path):
    code, out, _ = run("hunt", "functional", "--rounds", "1", "--seed", "2")
    assert code == 0 and "0 of 3 points" in out
