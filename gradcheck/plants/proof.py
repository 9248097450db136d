"""What the checker is worth: mistakes found, correct code left in peace. The README's table."""

import itertools
import re
import time
from collections.abc import Iterator

import numpy as np

from gradcheck.case import Array, Case
from gradcheck.judge import judge
from gradcheck.ours import specimens
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant
from gradcheck.plants.planting import causes, examine
from gradcheck.report import Report

__all__ = ["correct_cases", "false_alarms", "named", "blamed", "proof"]

POINTS = "ordinary", "tiny", "large", "tied", "blank"


def correct_cases(seed: int) -> Iterator[tuple[str, Case]]:
    """Our layers, losses, nets and updates again and again, at awkward points."""
    rng, points = np.random.default_rng(seed), itertools.cycle(POINTS)
    while True:
        for case in itertools.chain(*(cases(rng) for cases in specimens.CASES.values())):
            point = next(points)
            move(case, point, rng)
            yield point, case


def move(case: Case, point: str, rng: np.random.Generator) -> None:
    """Large sharpens a softmax, tied and blank inputs lie on the kinks of max and ReLU."""
    scale = {"tiny": 1e-2, "large": 30.0}.get(point, 1.0)
    for name, array in case.arrays.items():
        array[...] = scale * rng.normal(size=array.shape)
        if point == "blank" and name.split()[-1].startswith("b"):
            array[...] = 0
    X = next(iter(case.arrays.values()))
    if point == "tied":
        X[...] = rng.integers(-1, 2, X.shape)
    if point == "blank":
        samples = np.moveaxis(X, case.batch_axis, 0)  # if all were blank, a variance would be 0
        samples[: len(samples) // 2] = 0


def false_alarms(count: int, seed: int = 0) -> tuple[dict[str, Array], list[str]]:
    """{point: [cases, arrays, entries, kinks settled, false alarms]}, and what was wrongly said."""
    rows, wrong = {point: np.zeros(5, int) for point in POINTS}, []
    for point, case in itertools.islice(correct_cases(seed), count):
        report = judge(case, seed)
        entries = sum(row.result.numeric.size for row in report.rows)
        rows[point] += [1, len(report.rows), entries, report.kinks, not report.ok]
        wrong += [] if report.ok else [str(report)]
    return rows, wrong


def named(plant: Plant, found: list[Report]) -> bool:
    return bool(plant.cause) and any(re.search(plant.cause, cause) for cause in causes(found))


def blamed(plant: Plant, found: list[Report]) -> bool:
    """By the blame pass; a mistake outside of any layer by the name of the case that failed."""
    return any(plant.blame in f"{report.blame} {report.name}" for report in found)


def table(head: str, rows: dict[str, Array]) -> Iterator[str]:
    """Markdown, with the sums below."""
    yield f"| {head} |"
    yield "| --- |" + " ---: |" * head.count("|")
    for name, numbers in rows.items():
        yield f"| {name} | " + " | ".join(f"{k:,}" for k in numbers) + " |"
    sums = np.sum(list(rows.values()), axis=0)
    yield "| **all** | " + " | ".join(f"**{k:,}**" for k in sums) + " |"


def proof(count: int, seed: int = 0) -> Iterator[str]:
    """Both tables, and how long they took."""
    start, rows = time.perf_counter(), {target: np.zeros(4, int) for target in specimens.CASES}
    for plant in PLANTS:
        found = examine(plant)
        rows[plant.target] += [1, bool(found), named(plant, found), blamed(plant, found)]
    yield from table("planted in | mistakes | found | cause named | layer blamed", rows)
    yield ""
    rows, wrong = false_alarms(count, seed)
    head = "correct code, values | cases | arrays | entries | on a kink, settled | false alarms"
    yield from table(head, rows)
    yield from wrong
    yield f"\n{time.perf_counter() - start:.0f} s"
