"""The commands of the plants: hunt, and plants itself."""

import sys
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


def choices(targets: list[str], rng: np.random.Generator) -> tuple[Plant, list[Plant]]:
    """A plant, and five to choose from: those of its own function, then of its own file."""
    field = [p for p in PLANTS if p.target in targets]
    mixed = [field[int(k)] for k in rng.permutation(len(field))]
    plant = mixed[0]
    mixed.sort(key=lambda p: (p != plant, p.function != plant.function, p.file != plant.file))
    return plant, [mixed[int(k)] for k in rng.permutation(5)]


def play(plant: Plant, offered: list[Plant], ask: Callable[[str], str], say: Callable) -> int:
    """One round of the hunt: the numbers, five offers, hints; 3 points, one less for each hint."""
    from gradcheck.plants.planting import causes, examine

    reports, points, answer = examine(plant), 3, "abcde"[offered.index(plant)]
    for report in reports:
        bad = [
            f"d{row.name} {row.shape}: {row.sentences()[0]}" for row in report.rows if not row.ok
        ]
        say("\n".join(f"{report.name}: {said}" for said in bad or report.breaches))
    for letter, p in zip("abcde", offered, strict=False):
        say(f"  {letter}  {p.file}, {p.function}: {p.name.partition('-')[2].replace('-', ' ')}")
    hints = [*[report.blame for report in reports if report.blame][:1], *causes(reports)[:1]]
    while (guess := ask("a to e, or h for a hint: ").strip().lower()) == "h":
        points -= 1 if hints else 0
        say(hints.pop(0) if hints else "no more hints")
    points = max(0, points) if guess == answer else 0
    say(f"{'Right' if guess == answer else f'It was {answer}'}, {points} points.")
    say("\n".join([*causes(reports)[:1], *diff(plant)]))
    return points


def ask(prompt: str) -> str:
    typer.echo(prompt, nl=False)
    return sys.stdin.readline()  # nothing at its end


def hunt(
    target: Annotated[str | None, typer.Argument(metavar="NET", show_default=False,
        help="functional, net or cnn.  [default: all]")] = None,
    rounds: Annotated[int, option("--rounds", metavar="N", min=1, help="[default: 3]")] = 3,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Guess a hidden mistake from its numbers. Five offers, hints, a score."""
    rng, points = np.random.default_rng(seed), 0
    targets = [known(target)] if target else list(TARGETS)
    for n in range(1, rounds + 1):
        say(f"--- round {n} of {rounds}")
        points += play(*choices(targets, rng), ask, say)
    say(f"{points} of {3 * rounds} points")


def plants(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False,
        help="Plant this one and see it found.  [default: list all]")] = "",
    to: Annotated[Path | None, option("--to", metavar="DIR", help="Write the file there.")] = None,
) -> None:  # fmt: skip
    """Plant a mistake in our code, and see it found; exit 1 when it is."""
    found = {p.name: p for p in PLANTS}
    if name in ("", "list"):
        say("\n".join(f"{p.name:36} {p.file}, {p.function}" for p in PLANTS))
    elif name not in found:
        near = ", ".join(known for known in found if name.lower() in known)
        raise CannotCheck(f"no plant {name!r}; {near or '`plants` lists them'}")
    elif to is not None:
        to.mkdir(parents=True, exist_ok=True)
        path = to / Path(found[name].file).name
        write(mutate(found[name].source, found[name]), path)
        say(f"written: {path}")
    else:
        from gradcheck.plants.planting import examine

        reports = examine(found[name])
        say("\n".join([*diff(found[name]), "", *map(str, reports)]))
        say(f"\n{'FOUND' if reports else 'NOT FOUND'}  {name}")
        raise typer.Exit(1 if reports else 0)


def write(text: str, to: Path) -> None:
    """A new file; one that exists is never written over."""
    try:
        with open(to, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise CannotCheck(f"{to} exists: move it away, or name another with --to") from None


COMMANDS: dict[str, Callable[..., None]] = {"hunt": hunt, "plants": plants}
