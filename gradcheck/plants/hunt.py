"""A game: one mistake is planted in a copy of our code; the numbers are shown, the line is not."""

import numpy as np

from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.planting import Plant, diff, examine

__all__ = ["play", "choices"]


def choices(targets: list[str], seed: int | None) -> tuple[Plant, list[Plant]]:
    """The planted one, and five to choose from."""
    rng = np.random.default_rng(seed)
    field = [p for p in PLANTS if p.target in targets]
    picked = [field[int(k)] for k in rng.permutation(len(field))[:5]]
    return picked[0], [picked[int(k)] for k in rng.permutation(len(picked))]


def play(targets: list[str], seed: int | None) -> None:
    """Show what is wrong, ask which mistake it is, then show the line."""
    plant, offered = choices(targets, seed)
    for report in examine(plant).reports:
        for row in report.rows:
            row.cause = None
        report.blame, report.breaches = None, []
        print(report)
    print("\nWhich mistake is it?")
    for letter, p in zip("abcde", offered, strict=True):
        print(f"  {letter}  {p.name}")
    try:
        guess = input("a, b, c, d or e: ").strip().lower()
    except EOFError:
        guess = ""
    answer = "abcde"[offered.index(plant)]
    verdict = (
        "Right" if guess == answer else f"It was {answer}" if guess else f"The answer: {answer}"
    )
    print(f"{verdict}, {plant.name}:\n")
    print("\n".join(diff(plant)))
