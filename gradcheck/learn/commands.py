"""The commands of the exercises and the plants: learn, mark, hint, grade, hunt, plants."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gradcheck.console import say
from gradcheck.core import CannotCheck
from gradcheck.learn import drill, grading, handout, hints, marking
from gradcheck.plants.plant import Plant

__all__ = ["COMMANDS"]

TARGETS = ("functional", "net", "cnn")


def option(*names: str, help: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **settings)


Target = Annotated[str, typer.Argument(metavar="NET", help="functional, net or cnn.")]
Seconds = Annotated[
    float, option("--seconds", metavar="S", min=1, help="For one file.  [default: 60]")
]
Seed = Annotated[int | None, option("--seed", metavar="N", min=0, help="Same seed, same mistake.")]


def known(target: str) -> str:
    if target not in TARGETS:
        raise CannotCheck(f"expected functional, net or cnn, got {target!r}")
    return target


# --- exercises ------------------------------------------------------------------


def learn(
    target: Target,
    only: Annotated[str | None, option("--only", metavar="NAMES",
        help="Take out just these: E5,E6, or Conv2D, or convolution, pooling, norm.")] = None,
    repair: Annotated[bool, option("--repair", help="Complete, but one line is wrong.")] = False,
    minutes: Annotated[float | None, option("--minutes", metavar="M", min=0,
        help="Count down, and mark whenever the file is saved.")] = None,
    to: Annotated[Path | None, option("--to", metavar="FILE", help="Another name.")] = None,
    prove: Annotated[bool, option("--proof",
        help="Write nothing: mark some 70 files whose marks are known.")] = False,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Write an exercise into this folder: our source with E1 to E9 taken out."""
    known(target)
    if prove:
        raise typer.Exit(show_proof(target))
    if repair and only:
        raise CannotCheck("--only takes equations out, --repair takes none: expected one of them")
    path = to or Path(handout.file_name(target))
    text = drill.repair(target, seed) if repair else handout.handout(target, only)
    handout.write(text, path)
    say(f"written: {path}. Edit it, then: python -m gradcheck mark {path}")
    if minutes is not None:
        raise typer.Exit(follow(path, 60.0, time.monotonic() + 60 * minutes))


def show_proof(target: str) -> int:
    from gradcheck.learn.proof import proof

    lines = list(proof((target,), say))
    say("\n".join(lines))
    return int(len(lines) > 1)


def mark(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="my_functional_net.py, ...")],
    watch: Annotated[bool, option("--watch", help="Again whenever it is saved.")] = False,
    seconds: Seconds = 60.0,
) -> None:
    """What is right, wrong and why, not yet, or waiting. Exit 0: all right."""
    if not file.is_file():
        raise CannotCheck(f"{file}: no such file; python -m gradcheck learn functional writes one")
    raise typer.Exit(follow(file, seconds) if watch else int(not show(file, seconds)))


def show(file: Path, seconds: float) -> bool:
    """Print the marks; True when all is right."""
    marks = marking.mark_file(file, seconds=seconds)
    say("\n".join(marking.lines(marks)))
    return all(m.right for m in marks)


def follow(file: Path, seconds: float, end: float = np.inf) -> int:
    """Mark after every save until all is right (0), or the time is over (1)."""
    seen = None
    while time.monotonic() < end:
        now = file.stat().st_mtime_ns if file.is_file() else None
        if now is not None and now != seen:
            seen = now
            if show(file, seconds):
                return 0
            left = f"{(end - time.monotonic()) / 60:.0f} minutes left, " if end < np.inf else ""
            say(f"({left}Ctrl-C ends)")
        time.sleep(0.3)
    say("The time is over.")
    return 1


def hint(
    equation: Annotated[str, typer.Argument(metavar="E1..E9", help="The equation.")],
    step: Annotated[int, option("--step", metavar="N", min=1, max=5,
        help="1 question, 2 shapes, 3 formula, 4 number, 5 the three tellings.")] = 1,
    file: Annotated[Path | None, option("--file", metavar="FILE",
        help="Yours.  [default: my_*.py]")] = None,
) -> None:  # fmt: skip
    """One step more of help; the line itself is never shown."""
    equation = equation.upper()
    if equation not in hints.HINTS:
        raise CannotCheck(f"expected E1 to E9, got {equation!r}")
    mine = file or next(iter(sorted(Path().glob("my_*.py"))), None)
    target = handout.target_of(mine.read_text("utf-8", "replace")) if mine else None
    right = False
    if step == 5 and mine and target:
        own = [m.right for m in marking.mark_file(mine) if m.equation == equation]
        right = bool(own) and all(own)
    say("\n".join(hints.hint(equation, step, target == "net", right)))


def grade(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER",
        help="Submissions: files, or a folder for each learner.")],
    to: Annotated[Path | None, option("--to", metavar="DIR",
        help="For marks.csv and results/.  [default: FOLDER/marks]")] = None,
    seconds: Seconds = 60.0,
) -> None:  # fmt: skip
    """Mark a class: CSV, Gradescope's results.json, a table of its mistakes."""
    graded = []
    for one in grading.grade(folder, seconds):
        graded.append(one)
        say(f"{one.name}: {one.right} of {len(one.marks)} {one.said}".rstrip())
    grading.save(graded, to or folder / "marks")
    say("\n".join(["", *grading.table(graded)]))


# --- plants ---------------------------------------------------------------------


def hunt(
    target: Annotated[str | None, typer.Argument(metavar="NET", show_default=False,
        help="functional, net or cnn.  [default: all]")] = None,
    rounds: Annotated[int, option("--rounds", metavar="N", min=1,
        help="How many mistakes.  [default: 3]")] = 3,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Guess a hidden mistake from its numbers: five offers, hints, a score."""
    rng, points = np.random.default_rng(seed), 0
    targets = [known(target)] if target else list(TARGETS)
    for n in range(1, rounds + 1):
        say(f"--- round {n} of {rounds}")
        points += drill.play(*drill.choices(targets, rng), ask, say)
    say(f"{points} of {3 * rounds} points")


def ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


def plants(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False,
        help="Plant this one and see it found.  [default: list all]")] = "list",
    to: Annotated[Path | None, option("--to", metavar="DIR",
        help="Only write the file with the mistake there.")] = None,
    seed: Annotated[int, option("--seed", metavar="N", min=0,
        help="Same seed, same random numbers.")] = 0,
) -> None:  # fmt: skip
    """Plant a mistake in our code, and see it found; exit 1 when it is."""
    from gradcheck.plants.mistakes import PLANTS
    from gradcheck.plants.plant import mutate

    found = next((p for p in PLANTS if p.name == name), None)
    if name == "list":
        say("\n".join(f"{p.name:36} {p.file}, {p.function}" for p in PLANTS))
    elif found is None:
        near = ", ".join(p.name for p in PLANTS if name.lower() in p.name)
        raise CannotCheck(f"no plant {name!r}; {near or '`plants` lists them'}")
    elif to is not None:
        to.mkdir(parents=True, exist_ok=True)
        path = to / Path(found.file).name
        handout.write(mutate(found.source, found), path)
        say(f"written: {path}")
    else:
        raise typer.Exit(examined(found, seed))


def examined(plant: Plant, seed: int) -> int:
    """Show the line, what the checker says and why; 1 when the mistake is found."""
    from gradcheck.plants.plant import diff
    from gradcheck.plants.planting import examine

    findings = examine(plant, seed)
    say("\n".join([*diff(plant), "", *map(str, findings.reports)]))
    if findings.trouble:
        say(f"the planted code raised {findings.trouble}")
    say(f"why: {plant.story}")
    say(f"\n{'FOUND' if findings.found else 'NOT FOUND'}  {plant.name}")
    return int(findings.found)


COMMANDS: dict[str, Callable[..., None]] = {
    "learn": learn, "mark": mark, "hint": hint, "grade": grade, "hunt": hunt, "plants": plants,
}  # fmt: skip
