"""Mistakes planted in our own code are found, named and blamed; correct code is left in peace."""

import numpy as np
import pytest

from gradcheck import real, specimens
from gradcheck.core import Result
from gradcheck.diagnose import diagnose
from gradcheck.hunt import choices
from gradcheck.judge import judge_widely
from gradcheck.look import Look
from gradcheck.plant_list import PLANTS
from gradcheck.plants import Plant, PlantError, diff, examine, grow, planted_source
from gradcheck.proof import blamed, false_alarms, named
from gradcheck.real import judge_real


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
    assert len(PLANTS) >= 60 and len({p.name for p in PLANTS}) == len(PLANTS)
    assert sum(bool(p.cause) for p in PLANTS) >= 45


@pytest.mark.parametrize("plant", PLANTS, ids=lambda p: p.name)
def test_every_plant_changes_one_place(plant):
    added = [line for line in diff(plant)[1:] if line.startswith("+")]
    assert len(added) >= 1 and planted_source(plant)


def test_a_plant_whose_line_is_gone_is_an_error_and_never_counts_as_found():
    gone = Plant("gone", "net.py", "ReLuLayer.backward", "no such text", "", "")
    with pytest.raises(PlantError, match=r"stands 0 times in ReLuLayer.backward"):
        planted_source(gone)
    with pytest.raises(PlantError, match=r"no ReLuLayer.sideways"):
        planted_source(Plant("gone", "net.py", "ReLuLayer.sideways", "", "", ""))


def test_planting_leaves_our_own_modules_alone():
    before = specimens.net.ReLuLayer.backward
    planted = grow(next(p for p in PLANTS if p.file == "net.py"))
    assert planted is not specimens.net and specimens.net.ReLuLayer.backward is before


def survives(plant):
    """The mistake was found, named as expected, and its layer blamed."""
    h = examine(plant, quick=True)
    assert h.found, "not found"
    assert not plant.cause or named(plant, h.causes), (plant.cause, h.causes)
    assert blamed(plant, h.blames, [r.name for r in h.reports]), (plant.blame, h.blames)


QUICK = [p for k, p in enumerate(PLANTS) if p.target == "functional" or k % 9 == 0]


@pytest.mark.parametrize("plant", QUICK, ids=lambda p: p.name)
def test_a_planted_mistake_is_found_named_and_blamed(plant):
    survives(plant)


@pytest.mark.slow
@pytest.mark.parametrize("plant", [p for p in PLANTS if p not in QUICK], ids=lambda p: p.name)
def test_every_planted_mistake_is_found_named_and_blamed(plant):
    survives(plant)


def test_correct_nets_and_layers_raise_no_false_alarm():
    table, wrong = false_alarms(10, seed=1)
    assert not wrong, wrong[0]
    assert sum(row[0] for row in table.values()) == 10 and table["tied pooling"][3] > 0


@pytest.mark.slow
def test_a_thousand_correct_nets_and_layers_raise_no_false_alarm():
    table, wrong = false_alarms(1000)
    assert not wrong, wrong[0]
    assert sum(row[0] for row in table.values()) == 1000


def test_no_cause_is_claimed_for_noise():
    rng = np.random.default_rng(0)
    claimed = 0
    for k in range(300):
        shape = tuple(rng.integers(3, 8, size=int(rng.integers(1, 4))))
        n, a, array, dy = rng.normal(size=(4, *shape))
        result = Result(a, n, 1e-9, np.full(shape, "wrong"))
        others = {"W": rng.normal(size=shape), "b": rng.normal(size=shape[-1:])}
        look = Look("X", result, array, others, {"features": 3, "batch": 5}, dy)
        claimed += diagnose(look) is not None
    assert claimed == 0


def test_the_hunt_offers_the_answer_among_five():
    plant, offered = choices(["net", "cnn"], seed=1)
    assert plant in offered and len(set(offered)) == 5 and plant.target != "functional"
