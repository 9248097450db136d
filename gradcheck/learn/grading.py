"""A class: every submission of a folder, each marked in a process of its own."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from gradcheck.core import CannotCheck
from gradcheck.learn.handout import target_of
from gradcheck.learn.marking import Mark, mark_file

__all__ = ["Graded", "grade", "save", "table"]


@dataclass
class Graded:
    """One submission: who, the marks, and a line where it could not be marked at all."""

    name: str
    marks: list[Mark] = field(default_factory=list)
    said: str = ""

    @property
    def right(self) -> int:
        return sum(mark.right for mark in self.marks)


def submissions(folder: Path) -> Iterator[tuple[str, Path]]:
    """A file is a submission; so is a folder, by the file in it that holds an exercise."""
    for entry in sorted(folder.iterdir()):
        if entry.suffix == ".py" and entry.is_file():
            yield entry.stem, entry
        elif entry.is_dir() and entry.name[0] not in "._" and not (entry / "marks.csv").exists():
            files = sorted(entry.rglob("*.py"))
            named = [f for f in files if f.name.startswith("my_")]
            yield (
                entry.name,
                (named or [f for f in files if text_target(f)] or [entry / "(none)"])[0],
            )


def text_target(path: Path) -> str | None:
    return target_of(path.read_text(encoding="utf-8", errors="replace"))


def grade(folder: Path, seconds: float = 60.0) -> Iterator[Graded]:
    """The marks of each, in the order of their names, up to four at once."""
    found = list(submissions(folder))
    if not found:
        raise CannotCheck(f"{folder}: expected files or folders with submissions, got none")
    targets = {path: text_target(path) for _, path in found if path.is_file()}
    kinds = Counter(filter(None, targets.values()))
    usual = kinds.most_common(1)[0][0] if kinds else "functional"

    def one(name: str, path: Path) -> Graded:
        if path not in targets:
            return Graded(name, said=f"no python file of an exercise in {path.parent.name}")
        try:
            marks = mark_file(path, targets[path] or usual, seconds)
            return Graded(name, marks, marks.remark)
        except Exception as error:  # one odd file must not stop the others
            return Graded(name, said=f"{type(error).__name__}: {error}"[:200])

    yield from in_parallel(one, *zip(*found, strict=True))


def in_parallel(call: Callable, *arguments: Iterable) -> Iterator:
    """The results of the calls, in order; what is marked runs in processes of its own."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(call, *arguments)


# --- what a teacher keeps -------------------------------------------------------


def save(graded: list[Graded], to: Path) -> None:
    """marks.csv, and results/NAME.json in the form that Gradescope reads."""
    to.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(f"{m.equation} {m.owner}" for g in graded for m in g.marks))
    with open(to / "marks.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "right", "of", *columns, "remark"])
        for g in graded:
            cells = {f"{m.equation} {m.owner}": m.verdict for m in g.marks}
            remark = g.said or "; ".join(dict.fromkeys(reasons(g)))
            row = [g.name, g.right, len(columns), *(cells.get(c, "") for c in columns), remark]
            rows.writerow([harmless(cell) for cell in row])
    (to / "results").mkdir(exist_ok=True)
    for g in graded:
        text = json.dumps(results(g), indent=1)
        (to / "results" / f"{g.name}.json").write_text(text, encoding="utf-8")


def harmless(cell: object) -> object:
    """A spreadsheet runs what begins with =, + or @: a learner's words must not."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def results(graded: Graded) -> dict:
    """Gradescope's results.json: a test for each equation."""
    tests = [
        {
            "name": f"{m.equation} {m.owner}", "score": float(m.right), "max_score": 1.0,
            "status": "passed" if m.right else "failed", "output": "\n".join([m.verdict, *m.says]),
        }
        for m in graded.marks
    ]  # fmt: skip
    said = graded.said or f"{graded.right} of {len(graded.marks)} right"
    out = {"output": said, "tests": tests, "visibility": "visible"}
    return out if tests else {**out, "score": 0.0}


def reasons(graded: Graded) -> Iterator[str]:
    """The causes in one submission, with the numbers of this file left out."""
    for mark in graded.marks:
        for line in mark.says if mark.verdict == "wrong" else ():
            if line.startswith("looks like: "):
                yield re.sub(r"^every entry is \S+ times the right one: ", "", line[12:])


def table(graded: list[Graded]) -> Iterator[str]:
    """How many have each equation right, and which mistakes the class made."""
    yield f"{'name':<24} right"
    for g in graded:
        yield f"{g.name[:24]:<24} {g.right} of {len(g.marks)}  {g.said}".rstrip()
    counts: Counter[str] = Counter()
    for g in graded:
        counts.update(set(reasons(g)))
    yield ""
    yield "mistakes of the class" if counts else "no mistake with a known pattern"
    for cause, count in counts.most_common():
        yield f"{count:>5}  {cause}"
