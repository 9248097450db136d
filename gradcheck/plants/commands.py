"""The commands of the plants: hunt, and plants itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gradcheck.console import say
from gradcheck.core import CannotCheck
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant, diff, mutate

__all__ = ["COMMANDS", "Seed", "choices", "known", "option", "play", "write"]

TARGETS = ("functional", "net", "cnn")


def option(*names: str, help: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **settings)


Seed = Annotated[int | None, option("--seed", metavar="N", min=0, help="Same seed, same mistake.")]


def known(target: str) -> str:
    if target not in TARGETS:
        raise CannotCheck(f"expected functional, net or cnn, got {target!r}")
    return target


# --- hunt -----------------------------------------------------------------------


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


def hunt(
    target: Annotated[str | None, typer.Argument(metavar="NET", show_default=False,
        help="functional, net or cnn.  [default: all]")] = None,
    rounds: Annotated[int, option("--rounds", metavar="N", min=1,
        help="How many mistakes.  [default: 3]")] = 3,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Guess a hidden mistake from its numbers. Five offers, hints, a score."""
    rng, points = np.random.default_rng(seed), 0
    targets = [known(target)] if target else list(TARGETS)
    for n in range(1, rounds + 1):
        say(f"--- round {n} of {rounds}")
        points += play(*choices(targets, rng), ask, say)
    say(f"{points} of {3 * rounds} points")


def ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


# --- plants ---------------------------------------------------------------------


def plants(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False,
        help="Plant this one and see it found.  [default: list all]")] = "list",
    to: Annotated[Path | None, option("--to", metavar="DIR",
        help="Only write the file with the mistake there.")] = None,
    seed: Annotated[int, option("--seed", metavar="N", min=0,
        help="Same seed, same random numbers.")] = 0,
) -> None:  # fmt: skip
    """Plant a mistake in our code, and see it found; exit 1 when it is."""
    found = next((p for p in PLANTS if p.name == name), None)
    if name == "list":
        say("\n".join(f"{p.name:36} {p.file}, {p.function}" for p in PLANTS))
    elif found is None:
        near = ", ".join(p.name for p in PLANTS if name.lower() in p.name)
        raise CannotCheck(f"no plant {name!r}; {near or '`plants` lists them'}")
    elif to is not None:
        to.mkdir(parents=True, exist_ok=True)
        path = to / Path(found.file).name
        write(mutate(found.source, found), path)
        say(f"written: {path}")
    else:
        raise typer.Exit(examined(found, seed))


def examined(plant: Plant, seed: int) -> int:
    """Show the line, what the checker says and why; 1 when the mistake is found."""
    from gradcheck.plants.planting import examine

    findings = examine(plant, seed)
    say("\n".join([*diff(plant), "", *map(str, findings.reports)]))
    if findings.trouble:
        say(f"the planted code raised {findings.trouble}")
    say(f"why: {plant.story}")
    say(f"\n{'FOUND' if findings.found else 'NOT FOUND'}  {plant.name}")
    return int(findings.found)


def write(text: str, to: Path) -> None:
    """A new file; one that exists is never written over."""
    try:
        with open(to, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise CannotCheck(f"{to} exists: move it away, or name another with --to") from None


COMMANDS: dict[str, Callable[..., None]] = {"hunt": hunt, "plants": plants}
