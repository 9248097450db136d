"""Mistakes planted in our own code are found, named and blamed; correct code is left in peace."""

import numpy as np
import pytest

import functional_net
import net
from gradcheck.judge import judge_widely
from gradcheck.ours import real, specimens
from gradcheck.ours.real import judge_real
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant, PlantError, diff, mutate
from gradcheck.plants.planting import examine, planted
from gradcheck.plants.proof import blamed, false_alarms, named


@pytest.mark.parametrize("target", ["functional", "net", "cnn"])
def test_our_own_gradients_are_right(target):
    for case in specimens.CASES[target](np.random.default_rng(1)):
        report = judge_widely(case)
        assert report.ok, report


@pytest.mark.parametrize("target", ["functional", "net", "cnn"])
def test_the_real_nets_are_right_on_real_digits(target):
    report = judge_real(target)
    assert report.ok, report


def test_float32_gradients_that_stray_too_far_are_told(monkeypatch):
    for gap, ok in ((1e-6, True), (1e-3, False)):
        monkeypatch.setattr(real, "float32_gap", lambda target, seed, gap=gap: gap)
        assert judge_real("functional").ok == ok


def test_there_are_enough_plants_with_different_names():
    assert len(PLANTS) >= 95 and len({p.name for p in PLANTS}) == len(PLANTS)
    assert sum(bool(p.cause) for p in PLANTS) >= 85


def test_every_plant_changes_one_place():
    for plant in PLANTS:
        added = [line for line in diff(plant)[1:] if line.startswith("+")]
        assert len(added) >= 1 and mutate(plant.source, plant) != plant.source, plant.name


def test_a_plant_whose_line_is_gone_is_an_error_and_never_counts_as_found():
    gone = Plant("gone", "net.py", "ReLuLayer.backward", "no such text", "", "")
    with pytest.raises(PlantError, match=r"stands 0 times in ReLuLayer.backward"):
        mutate(gone.source, gone)
    with (
        pytest.raises(PlantError, match=r"no ReLuLayer.sideways"),
        planted(Plant("gone", "net.py", "ReLuLayer.sideways", "", "", "")),
    ):
        pass


def test_a_plant_stands_inside_the_block_and_nowhere_else():
    plant = next(p for p in PLANTS if p.name == "functional-dW1-twice")
    before, layer = functional_net.backward, net.ReLuLayer.backward
    with planted(plant):
        assert functional_net.backward is not before and net.ReLuLayer.backward is layer
    assert functional_net.backward is before
    with pytest.raises(KeyError), planted(plant):
        raise KeyError
    assert functional_net.backward is before


def survives(plant):
    """The mistake was found, named as expected, and its layer blamed."""
    found = examine(plant)
    assert found, "not found"
    assert not plant.cause or named(plant, found), (plant.cause, found)
    assert blamed(plant, found), (plant.blame, found)


QUICK = PLANTS[::9]  # of each target some


@pytest.mark.parametrize("plant", QUICK, ids=lambda p: p.name)
def test_a_planted_mistake_is_found_named_and_blamed(plant):
    survives(plant)


@pytest.mark.slow
@pytest.mark.parametrize("plant", [p for p in PLANTS if p not in QUICK], ids=lambda p: p.name)
def test_every_planted_mistake_is_found_named_and_blamed(plant):
    survives(plant)


def test_correct_nets_and_layers_raise_no_false_alarm():
    table, wrong = false_alarms(43, seed=1)  # each case once
    assert not wrong, wrong[0]
    assert sum(row[0] for row in table.values()) == 43 and table["blank"][3] > 0


@pytest.mark.slow
def test_a_thousand_correct_nets_and_layers_raise_no_false_alarm():
    table, wrong = false_alarms(1000)
    assert not wrong, wrong[0]
    assert sum(row[0] for row in table.values()) == 1000
