"""The commands of the exercises: learn, mark, hint, grade, hunt, plant."""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gradcheck.learn import drill, grading, handout, hints, marking

__all__ = ["COMMANDS"]

TARGETS = ("functional", "net", "cnn")
Target = Annotated[
    str, typer.Argument(metavar="functional|net|cnn", help="Rows, columns, modules.")
]
Kind = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="functional, net or cnn, if it is not said."),
]
Seconds = Annotated[
    float, typer.Option("--seconds", min=1, help="What one file may take, in seconds.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Same seed, same mistake.")]


def say(line: str) -> None:
    """ASCII, whatever stands in a learner's file."""
    typer.echo(line.encode("ascii", "backslashreplace").decode())


def known(target: str | None) -> str | None:
    if target is not None and target not in TARGETS:
        raise typer.BadParameter(f"expected functional, net or cnn, got {target!r}")
    return target


def learn(
    target: Target,
    only: Annotated[str | None, typer.Option("--only", metavar="NAMES",
        help="What to take out: E5,E6, or a layer, Conv2D, or convolution, pooling, norm.")] = None,
    repair: Annotated[bool, typer.Option("--repair",
        help="Nothing is taken out, but one line is wrong.")] = False,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0,
        help="Count down, and mark whenever the file is saved.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Another name.")] = None,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Write an exercise into this folder: our source with E1 to E9 taken out."""
    known(target)
    if repair and only:
        raise typer.BadParameter("--only takes equations out, --repair none: expected one of them")
    path = to or Path(handout.file_name(target))
    try:
        text = drill.repair(target, seed) if repair else handout.handout(target, only)
        handout.write(text, path)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    say(f"written: {path}. Edit it, then: python -m gradcheck mark {path}")
    if minutes is not None:
        raise typer.Exit(follow(path, target, 60.0, time.monotonic() + 60 * minutes))


def mark(
    file: Annotated[Path, typer.Argument(help="my_functional_net.py, my_net.py, my_cnn.py.")],
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever it is saved.")] = False,
    target: Kind = None,
    seconds: Seconds = 60.0,
) -> None:
    """Say for each equation: right, wrong and why, not yet, or what it waits for."""
    if not file.is_file():
        raise typer.BadParameter(f"{file}: no such file; python -m gradcheck learn writes one")
    if watch:
        raise typer.Exit(follow(file, known(target), seconds, np.inf))
    raise typer.Exit(0 if show(file, known(target), seconds) else 1)


def show(file: Path, target: str | None, seconds: float) -> bool:
    """Print the marks; True when all is right."""
    try:
        marks = marking.mark_file(file, target, seconds)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    for line in marking.lines(marks):
        say(line)
    return all(m.right for m in marks)


def follow(file: Path, target: str | None, seconds: float, end: float) -> int:
    """Mark after every save until all is right (0), the time is over or Ctrl-C (1)."""
    seen = None
    while time.monotonic() < end:
        try:
            now = file.stat().st_mtime_ns if file.is_file() else None
            if now != seen and now is not None:
                seen = now
                if show(file, target, seconds):
                    return 0
                left = f"{(end - time.monotonic()) / 60:.0f} minutes left, " if end < np.inf else ""
                say(f"({left}Ctrl-C ends)")
            time.sleep(0.3)
        except KeyboardInterrupt:
            return 1
    say("The time is over.")
    return 1


def hint(
    equation: Annotated[str, typer.Argument(metavar="E1..E9", help="The equation.")],
    step: Annotated[int, typer.Option("--step", min=1, max=5,
        help="1 the question, 2 the shapes, 3 the formula, 4 a number, 5 the three tellings.")] = 1,
    file: Annotated[Path | None, typer.Option("--file", help="Yours.  [default: my_*.py]")] = None,
) -> None:  # fmt: skip
    """One step more of help with an equation; the line itself is never shown."""
    equation = equation.upper()
    if equation not in hints.HINTS:
        raise typer.BadParameter(f"expected E1 to E9, got {equation!r}")
    found = file or next(iter(sorted(Path().glob("my_*.py"))), None)
    target = marking.target_of(found.read_text("utf-8", "replace")) if found else None
    right = False
    if step == 5 and found and target:
        own = [m.right for m in marking.mark_file(found, target) if m.equation == equation]
        right = bool(own) and all(own)
    for line in hints.hint(equation, step, target == "net", right):
        say(line)


def grade(
    folder: Annotated[Path, typer.Argument(help="Submissions: files, or a folder each.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER",
        help="For marks.csv and results/NAME.json.  [default: FOLDER/marks]")] = None,
    target: Kind = None,
    seconds: Seconds = 60.0,
) -> None:  # fmt: skip
    """Mark a class, and show which mistakes it made; exit 0 when every file was looked at."""
    try:
        graded = []
        for one in grading.grade(folder, known(target), seconds):
            graded.append(one)
            say(f"{one.name}: {one.said or f'{one.right} of {len(one.marks)}'}")
        grading.save(graded, to or folder / "marks")
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    say("")
    for line in grading.table(graded):
        say(line)


def hunt(
    target: Annotated[str | None, typer.Argument(metavar="[functional|net|cnn]")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How many mistakes.")] = 3,
    seed: Seed = None,
) -> None:
    """Guess a hidden mistake from its numbers: five offers, hints, a score."""
    rng, points = np.random.default_rng(seed), 0
    for n in range(1, rounds + 1):
        say(f"\n--- round {n} of {rounds}")
        plant, offered = drill.choices([known(target)] if target else list(TARGETS), rng)
        points += drill.round_(plant, offered, ask, say)
    say(f"{points} of {3 * rounds} points")


def ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


def plant(
    name: Annotated[str, typer.Argument(metavar="NAME", help="`list` lists them.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR",
        help="Write the file with the mistake there.")] = None,
) -> None:  # fmt: skip
    """Plant a mistake in our own code and show what the checker says; exit 1 when it is found."""
    from gradcheck.plants.mistakes import PLANTS
    from gradcheck.plants.plant import diff, mutate

    if name == "list":
        for p in PLANTS:
            say(f"{p.name:36} {p.file}, {p.function}")
        return
    one = next((p for p in PLANTS if p.name == name), None)
    if one is None:
        near = ", ".join(p.name for p in PLANTS if name.lower() in p.name)
        raise typer.BadParameter(f"no plant {name!r}; {near or 'plant list lists them'}")
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
        handout.write(mutate(one.source, one), to / Path(one.file).name)
        say(f"written: {to / Path(one.file).name}")
        return
    raise typer.Exit(judged(one, diff(one)))


def judged(one: Any, lines: list[str]) -> int:
    from gradcheck.plants.planting import examine

    found = examine(one)
    for line in [*lines, "", *map(str, found.reports), one.story]:
        say(line)
    if found.trouble:
        say(f"the planted code raised {found.trouble}")
    say(f"FOUND  {one.name}" if found.found else f"NOT FOUND  {one.name}")
    return 1 if found.found else 0


COMMANDS = {
    "learn": learn, "mark": mark, "hint": hint, "grade": grade, "hunt": hunt, "plant": plant,
}  # fmt: skip
