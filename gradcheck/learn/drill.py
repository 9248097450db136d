"""Repair and hunt: a complete file with one hidden mistake, or its numbers without its line."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numpy as np

from gradcheck.learn.handout import body, head, solved
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant, PlantError, diff, mutate

__all__ = ["plantable", "repair", "choices", "play"]


@cache
def plantable(target: str) -> dict[Plant, str]:
    """The mistakes that fit into the one file of the exercise, and the file with each of them."""
    found = {}
    for plant in PLANTS:
        if plant.target == target:
            with suppress(PlantError):  # it stands in a function that the exercise leaves out
                found[plant] = mutate(solved(target), plant)
    return found


def repair(target: str, seed: int | None) -> str:
    """The whole program with one mistake in it."""
    texts = list(plantable(target).values())
    return head(target, repair=True) + body(texts[np.random.default_rng(seed).integers(len(texts))])


def choices(
    targets: list[str], rng: np.random.Generator, count: int = 5
) -> tuple[Plant, list[Plant]]:
    """The planted one among others of its own function, then of its own file."""
    field = [p for p in PLANTS if p.target in targets]
    plant = field[int(rng.integers(len(field)))]
    others = [p for p in field if p.name != plant.name]
    mixed = [others[int(k)] for k in rng.permutation(len(others))]
    mixed.sort(key=lambda p: (p.function != plant.function, p.file != plant.file))
    offered = [plant, *mixed[: count - 1]]
    return plant, [offered[int(k)] for k in rng.permutation(len(offered))]


def play(plant: Plant, offered: list[Plant], ask: Callable[[str], str], say: Callable) -> int:
    """One round of the hunt: the numbers, five offers, hints; 3 points, one less for each hint."""
    from gradcheck.plants.planting import examine

    found, points = examine(plant), 3
    for report in found.reports:
        for row in report.rows:
            if not row.ok:
                say(f"{report.name}: d{row.name} {row.shape}: {row.sentences()[0]}")
    if found.trouble:
        say(f"it raises {found.trouble}")
    hints = [*found.blames[:1], *found.causes[:1]]
    for letter, p in zip("abcde", offered, strict=False):
        say(f"  {letter}  {p.file}, {p.function}: {p.name.partition('-')[2].replace('-', ' ')}")
    answer = "abcde"[offered.index(plant)]
    while (guess := ask("a to e, or h for a hint: ").strip().lower()) == "h":
        points -= 1 if hints else 0
        say(hints.pop(0) if hints else "no more hints")
    points = max(0, points) if guess == answer else 0
    verdict = "Right" if guess == answer else f"It was {answer}"
    say(f"{verdict}, {points} points. {plant.story}")
    say("\n".join(diff(plant)))
    return points
