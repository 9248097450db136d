"""Marks: what is right, wrong, not yet there, or waits for another equation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradcheck.core import CannotCheck
from gradcheck.learn.handout import numbered, target_of
from gradcheck.learn.learner import Learner, Trouble
from gradcheck.learn.trial import SCOPES, Found, judged
from gradcheck.learn.units import CHAPTERS, UNITS, Unit

__all__ = ["Mark", "Marks", "mark_file", "lines"]

RIGHT, WRONG, NOT_YET, WAITS = "right", "wrong", "not yet", "waits for"
LARGEST = 1_000_000  # bytes of a file


@dataclass
class Mark:
    """The verdict on one equation of one function or layer."""

    equation: str
    owner: str
    verdict: str
    says: list[str]  # what is wrong, line by line
    chapter: str = ""

    @property
    def right(self) -> bool:
        return self.verdict == RIGHT


class Marks(list[Mark]):
    """The marks of a file; remark says so where it does not run at all."""

    remark = ""


def verdicts(unit: Unit, found: Found, blanks: set[str], missing: list[str]) -> Iterator[Mark]:
    """Of each equation; missing are those of other units that must be right first."""
    wrong = [e for e, says in found.items() if says]
    for e in unit.equations:
        stops = [other for other in (*missing, *blanks) if other != e] or wrong
        says = found.get(e, [])
        if e in blanks:
            verdict = NOT_YET
        elif e in found:
            verdict = WRONG if says else RIGHT
        elif stops:
            verdict = f"{WAITS} {min(stops)}"
        else:
            verdict, says = NOT_YET, ["nothing came back for it"]
        yield Mark(e, unit.owner, verdict, says, unit.chapter)


def mark_unit(learner: Learner, unit: Unit, numbers: dict, marks: Marks) -> Iterator[Mark]:
    """The marks of one unit, after those of the units before it."""
    blanks, filled = ({e for e, f in numbers[blank] if unit.holds(f)} for blank in (True, False))
    missing = [m for m in marks if m.equation in unit.needs and not m.right]
    first = [m for m in missing if not m.verdict.startswith(WAITS)] or missing
    found: Found = {}
    if marks.remark:
        found = {e: [""] for e in unit.equations}
    elif not missing:
        found = judged(learner, unit, blanks)
    said = {e: says for e, says in found.items() if e not in blanks or e in filled}
    yield from verdicts(unit, said, blanks, [m.equation for m in first])


def mark_file(path: Path, target: str | None = None, seconds: float = 60.0) -> Marks:
    """The marks of a learner's file. Raises CannotCheck where it is no exercise.

    Nothing but the file is executed, in a process of its own, for that many seconds at most.
    """
    if path.stat().st_size > LARGEST:
        raise CannotCheck(f"{path}: expected a file of at most 1 MB, got {path.stat().st_size:,}")
    source = path.read_text(encoding="utf-8", errors="replace")
    target, numbers, marks = target or target_of(source), numbered(source), Marks()
    if target is None:
        raise CannotCheck(f"{path}: expected an exercise, as `learn functional` writes it")
    with Learner(path, seconds) as learner:
        try:
            learner.ask(next(SCOPES), "out = {}", {})
        except Trouble as trouble:
            marks.remark = f"the file does not run: {trouble}"
        for unit in UNITS[target]:
            marks += mark_unit(learner, unit, numbers, marks)
    marks.sort(key=lambda m: (CHAPTERS.index(m.chapter), m.equation))
    return marks


def lines(marks: Marks) -> Iterator[str]:
    """As they are printed."""
    chapter, wide = "", max(len(m.owner) for m in marks)
    for mark in marks:
        if mark.chapter != chapter:
            chapter = mark.chapter
            yield f"--- {chapter}"
        yield f"  {mark.equation:<4}  {mark.owner:<{wide}}  {mark.verdict}"
        yield from (f"          {line}" for line in mark.says if line)
    if marks.remark:
        yield marks.remark
    yield f"{sum(m.right for m in marks)} of {len(marks)} right"
