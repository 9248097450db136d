"""The commands of the exercises: learn, mark, hint, grade; and those of the plants."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from gradcheck.console import say
from gradcheck.core import CannotCheck
from gradcheck.learn import grading, handout, hints, marking
from gradcheck.plants.commands import COMMANDS as plants
from gradcheck.plants.commands import Seed, known, option, write

__all__ = ["COMMANDS"]

Target = Annotated[str, typer.Argument(metavar="NET", help="functional, net or cnn.")]
Seconds = Annotated[
    float, option("--seconds", metavar="S", min=1, help="For one file.  [default: 60]")
]


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
    """Write an exercise: our source with E1 to E9 taken out."""
    known(target)
    if prove:
        raise typer.Exit(show_proof(target))
    if repair and only:
        raise CannotCheck("--only takes equations out, --repair takes none: expected one of them")
    path = to or Path(handout.file_name(target))
    text = handout.repair(target, seed) if repair else handout.handout(target, only)
    write(text, path)
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
            try:
                if show(file, seconds):
                    return 0
            except (CannotCheck, OSError) as error:
                say(str(error))  # perhaps half saved: the next save counts
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
    target = grading.text_target(mine) if mine else None
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
    """Mark a class of files. Writes CSV, Gradescope's results.json, a table of its mistakes."""
    graded = []
    for one in grading.grade(folder, seconds):
        graded.append(one)
        say(f"{one.name}: {one.right} of {len(one.marks)} {one.said}".rstrip())
    grading.save(graded, to or folder / "marks")
    say("\n".join(["", *grading.table(graded)]))


COMMANDS: dict[str, Callable[..., None]] = {
    "learn": learn, "mark": mark, "hint": hint, "grade": grade, **plants,
}  # fmt: skip
