"""Marks: what is right, wrong, not yet there, or waits for another equation.

The judge is the checker, in this process: it compares the learner's gradients with differences
of the learner's own forward pass, which has been compared with known answers before.
"""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.case import Array, Case, distinct_values
from gradcheck.core import STEP, CannotCheck
from gradcheck.judge import judge_widely
from gradcheck.learn import chain, units
from gradcheck.learn.learner import Blank, Learner, Trouble
from gradcheck.learn.units import UNITS, Unit
from gradcheck.ours.momentum import update_case
from gradcheck.report import Report

__all__ = ["Mark", "Marks", "mark_file", "target_of", "blanks_of", "lines"]

RIGHT, WRONG, NOT_YET, WAITS = "right", "wrong", "not yet", "waits for"
STEPS = itertools.count()  # numbers for scopes
LARGEST = 1_000_000  # bytes of a file
Given = dict[str, Array]


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


# --- reading, without running anything ------------------------------------------


def target_of(source: str) -> str | None:
    """Which exercise a file is: by its classes and functions."""
    try:
        names = {getattr(node, "name", "") for node in ast.parse(source).body}
    except (SyntaxError, ValueError):
        names = set(re.findall(r"^(?:class|def) (\w+)", source, re.M))
    tell = {"cnn": {"Linear", "Net"}, "net": {"FeedForwardNet", "FullyConnectedLayer"}}
    for target, some in {**tell, "functional": {"forward", "backward", "cross_entropy"}}.items():
        if names & some:
            return target
    return None


def blanks_of(source: str) -> set[tuple[str, str]]:
    """(equation, function) of every `...` that is left, where its line has a number."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    found, text = set(), source.splitlines()
    for name, function in functions(tree):
        for node in ast.walk(function):
            value = getattr(node, "value", None)
            first = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value
            if (
                isinstance(first, ast.Constant)
                and first.value is ...
                and isinstance(node, ast.stmt)
            ):
                found |= {(e, name) for e in tags(text[node.lineno - 1 : node.end_lineno])}
    return found


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for f in inside:
            if isinstance(f, ast.FunctionDef):
                yield prefix + f.name, f


def tags(text: list[str]) -> list[str]:
    return [f"E{n}" for line in text for n in re.findall(r"#.*\(E([1-9])\)", line)]


def belongs(unit: Unit, function: str) -> bool:
    places = unit.functions or (unit.owner,)
    return any(f"{function}.".startswith(f"{place}.") for place in places)


# --- one unit -------------------------------------------------------------------


class Attempt:
    """One unit of a learner's file, at one choice of sizes."""

    def __init__(self, learner: Learner, unit: Unit, blanks: set[str], columns: bool, square: bool):
        self.learner, self.unit, self.blanks = learner, unit, blanks
        rng = np.random.default_rng(learner.seed)
        shapes = dict(part.split("=") for part in (unit.square if square else unit.arrays).split())
        self.arrays: Given = {
            name: distinct_values(tuple(map(int, shape.split(","))), rng, 2)
            for name, shape in shapes.items()
        }
        self.axis = 1 if columns else 0
        self.known = self.constants()
        self.verdicts: dict[str, tuple[str, list[str]]] = {}
        self.seen: dict[bytes, Array] = {}  # outputs, by the arrays they were computed from
        self.around: set[bytes] = set()

    def constants(self) -> Given:
        """Labels for a loss and for a step: one-hot."""
        arrays = self.arrays
        if "E3" not in self.unit.outputs.values() and self.unit.owner != "step":
            return {}
        N = arrays["X"].shape[self.axis]
        classes = arrays["b2"].size if "b2" in arrays else arrays["X"].shape[1 - self.axis]
        y = np.eye(classes)[np.arange(N) * 2 % classes]
        return {"y": y.T.copy() if self.axis else y}

    def settle(self, equation: str, verdict: str, *says: str) -> None:
        """The first verdict that is not "right" stands; a blank is a blank."""
        if equation in self.blanks:
            verdict, says = NOT_YET, ()
        if self.verdicts.get(equation, (RIGHT, []))[0] == RIGHT:
            self.verdicts[equation] = verdict, list(says)

    def wait(self, equations: Any, also: Any = ()) -> None:
        """What could not be looked at waits for the first that stands in its way."""
        wrong = [e for e, (verdict, _) in self.verdicts.items() if verdict == WRONG]
        for equation in equations:
            stops = [e for e in (*also, *self.blanks) if e != equation] or wrong
            if stops:
                self.settle(equation, f"{WAITS} {min(stops)}")
            else:
                self.settle(equation, NOT_YET, "nothing came back for it")

    def borrow(self, other: "Attempt") -> None:
        """Different sizes name a factor better: take over what was said of the same equation."""
        for equation, (verdict, says) in other.verdicts.items():
            named = any(line.startswith("looks like") for line in says)
            if verdict == WRONG == self.verdicts.get(equation, ("",))[0] and named:
                self.verdicts[equation] = verdict, says

    # --- forward ----------------------------------------------------------------

    def forward(self) -> bool:
        """Are the outputs the known ones? They must be before a difference means anything."""
        outputs = self.unit.outputs
        try:
            out = self.learner.ask(
                next(STEPS), f"{self.unit.build}\n{self.unit.forward}", self.given()
            )
        except Trouble as trouble:
            self.raised(trouble, list(outputs.values()) or equations(self.unit)[:1])
            self.wait(equations(self.unit))
            return False
        for name, equation in outputs.items():
            value = out.get(name, Blank())
            if isinstance(value, Blank):
                self.wait([equation])
                continue
            try:
                expected = np.asarray(self.expected(name, out), float)
            except (NameError, TypeError, ValueError):  # made of an output that is blank, or odd
                self.wait([equation])
                continue
            verdict, *says = compared(name, value, expected)
            if verdict == WRONG and self.unit.owner == "update":
                says += self.explain_update()
            self.settle(equation, verdict, *says)
        return all(self.verdicts[e][0] == RIGHT for e in outputs.values())  # none: all known

    def explain_update(self) -> list[str]:
        """E9 is linear in W, V and dW: which factor is another one tells the mistake."""

        def update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple:
            given = {**self.arrays, "W": W, "V": V, "dW": dW}
            out = self.learner.ask(next(STEPS), self.unit.forward, given)
            return out["W"], out["V"]

        try:
            report = judge_widely(update_case(update, np.random.default_rng(0)))
        except (Trouble, ValueError, TypeError):
            return []
        return list(dict.fromkeys(f"looks like: {row.cause}" for row in report.rows if row.cause))

    def given(self) -> Given:
        return {**self.arrays, **self.known}

    def expected(self, name: str, out: dict[str, Any]) -> Any:
        """The known answer, from the arrays and from what the learner computed before it."""
        before = {k: v for k, v in out.items() if isinstance(v, np.ndarray)}
        scope = {**vars(units), **before, **self.given(), **{f"{k}1": v for k, v in before.items()}}
        if self.known:
            scope["N"] = self.arrays["X"].shape[self.axis]
        return eval(self.unit.known[name], scope)

    def raised(self, trouble: Trouble, first: list[str]) -> None:
        """The line that raised may carry a number; else the first equation is to blame."""
        text = self.learner.path.read_text(encoding="utf-8", errors="replace").splitlines()
        numbers = tags(text[trouble.line - 1 : trouble.line]) if trouble.line else []
        guilty = [e for e in numbers if e in equations(self.unit)] or first[:1]
        for equation in guilty:
            self.settle(equation, WRONG, placed(trouble))

    # --- backward ---------------------------------------------------------------

    def backward(self) -> None:
        """Every gradient beside differences of the learner's own forward pass."""
        gradients = self.unit.gradients
        case = self.case(list(gradients))
        try:
            grads = case.backward(np.ones(case.forward().shape))
            present = [k for k in gradients if k in grads]
            wrong = troubles(judge_widely(self.case(present), 1)) if present else {}
            wrong = wrong or self.by_differences(case, present)
        except CannotCheck as error:
            self.settle(equations(self.unit)[-1], WRONG, str(error))
            return
        except Trouble as trouble:
            self.raised(trouble, [e for e in equations(self.unit) if e in gradients.values()])
            self.wait(gradients.values())
            return
        self.wait([gradients[k] for k in gradients if k not in present])
        for name in present:
            says, equation = wrong.get(name, []), gradients[name]
            made_of = [k for k in self.unit.after.get(name, "").split() if k in wrong]
            if says and made_of:
                self.wait([equation], [gradients[k] for k in made_of])
            else:
                self.settle(equation, WRONG if says else RIGHT, *says)

    def by_differences(self, case: Case, names: list[str]) -> dict[str, list[str]]:
        """A formula is linear in dY to the last digits; a gradient made by differences is not."""
        shape = case.forward().shape
        if not shape:
            return {}
        a, b = np.random.default_rng(1).uniform(0.5, 1.5, (2, *shape))
        one, two, both = (case.backward(dy) for dy in (a, b, a + b))
        said = "right, but not to the last digits: differences instead of a formula?"
        gap = {k: abs(one[k] + two[k] - both[k]).max() / (abs(both[k]).max() + 1) for k in names}
        return {k: [said] for k in names if gap[k] > 1e-12}

    def case(self, names: list[str]) -> Case:
        """The unit as the checker knows it."""
        moved = {name: self.arrays[name] for name in sorted(names, key=lambda k: k != "X")}
        N = self.arrays["X"].shape[self.axis] if "X" in self.arrays else 0
        sizes = {"classes": self.known["y"].shape[1 - self.axis]} if self.known else {}
        inputs = tuple(k for k in ("X",) if k in moved)
        sizes = {**sizes, "batch": N}
        owner, constants = self.unit.owner, dict(self.known)
        return Case(owner, moved, lambda: self.open(moved), inputs, sizes, self.axis, constants)

    def open(self, moved: Given) -> tuple:
        """forward and backward of a new object; an output that is known is not asked for again."""
        scope, waiting, fresh = next(STEPS), [], True

        def forward() -> Array:
            nonlocal fresh
            waiting.append(self.question(scope, fresh, moved))
            first, fresh, point = fresh, False, key(moved)
            if first and point in self.seen:
                return self.seen[point].copy()
            y = last(self.learner.ask_all(waiting)[-1])
            waiting.clear()
            if first:
                self.seen[point] = y
            return y.copy()

        def backward(dy: Array) -> Given:
            self.look_around(moved)
            question = scope, self.unit.backward, {**self.given(), "dY": dy}
            out = self.learner.ask_all([*waiting, question])[-1]
            waiting.clear()
            return {name: out[name] for name in moved if isinstance(out.get(name), np.ndarray)}

        return forward, backward

    def question(self, scope: int, fresh: bool, moved: Given) -> tuple[int, str, Given]:
        build = self.unit.build if fresh else ""
        given = {name: array.copy() for name, array in {**self.given(), **moved}.items()}
        return scope, f"{build}\n{self.unit.forward}", given

    def look_around(self, moved: Given) -> None:
        """Ask for the outputs around this point at once: the differences will want them."""
        if key(moved) in self.around:
            return
        self.around.add(key(moved))
        points, questions, copy = [], [], {name: array.copy() for name, array in moved.items()}
        for name, array in copy.items():
            for i in np.ndindex(array.shape):
                for step in (STEP, -STEP):
                    array[i] = moved[name][i] + step
                    points.append(key(copy))
                    questions.append(self.question(next(STEPS), True, copy))
                array[i] = moved[name][i]
        self.seen.update(zip(points, map(last, self.learner.ask_all(questions)), strict=True))


def key(arrays: Given) -> bytes:
    return b"".join(array.tobytes() for array in arrays.values())


def last(out: dict[str, Array]) -> Array:
    """The output that is differentiated."""
    return list(out.values())[-1]


def compared(name: str, value: Array, expected: Array) -> tuple[str, ...]:
    """The verdict on an output, and what it should have been in one place."""
    if value.shape != expected.shape:
        return WRONG, f"{name} has shape {value.shape}, expected {expected.shape}"
    gap = np.nan_to_num(abs(value - expected), nan=np.inf)
    if gap.max(initial=0) <= 1e-9 * max(1.0, abs(expected).max(initial=0)):
        return (RIGHT,)
    at = tuple(map(int, np.unravel_index(gap.argmax(), gap.shape)))
    where = f" at {at}" if at else ""
    return WRONG, f"{name}{where}: got {value[at]:.6g}, expected {expected[at]:.6g}"


def troubles(report: Report) -> dict[str, list[str]]:
    """What is said of each array: rows of the table, and rules that were broken."""
    found: dict[str, list[str]] = {}
    for row in report.rows:
        if not row.ok:
            head = f"BAD d{row.name} {row.shape}"
            found.setdefault(row.name.split(",")[0], []).extend([head, *row.sentences()])
    names = [row.name for row in report.rows]
    for breach in report.breaches:
        about = [k for k in re.findall(r"\bd(\w+)", breach) if k in names] or names[:1]
        for name in about:
            found.setdefault(name, []).append(breach)
    return found


# --- the file -------------------------------------------------------------------


def mark_unit(
    learner: Learner, unit: Unit, source: str, columns: bool, before: list[Mark]
) -> list[Mark]:
    """The marks of one unit, in the order of a training step."""
    blanks = {e for e, name in blanks_of(source) if belongs(unit, name)}
    attempt = Attempt(learner, unit, blanks, columns, square=False)
    if missing := [m for m in before if m.equation in unit.needs and not m.right]:
        first = [m for m in missing if not m.verdict.startswith(WAITS)] or missing
        attempt.wait(equations(unit), [m.equation for m in first])
    else:
        judge(attempt)
    if any(v == WRONG for v, _ in attempt.verdicts.values()) and unit.square:
        second = Attempt(learner, unit, blanks, columns, square=True)
        judge(second)
        if any(v == WRONG for v, _ in second.verdicts.values()):
            second.borrow(attempt)
            attempt = second  # in equal sizes less depends on it
    return [
        Mark(e, unit.owner, *attempt.verdicts[e], unit.chapter) for e in sorted(attempt.verdicts)
    ]


def judge(attempt: Attempt) -> None:
    """Forward, then backward; what is odd beyond judging is wrong."""
    unit = attempt.unit
    try:
        judge_parts(attempt)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        attempt.settle(equations(unit)[0], WRONG, f"this cannot be judged: {error}"[:200])
        attempt.wait(equations(unit))


def judge_parts(attempt: Attempt) -> None:
    unit = attempt.unit
    if attempt.forward() and unit.backward:
        attempt.backward()
        if unit.owner == "backward":
            chain.share_out(attempt)
    elif unit.backward:
        attempt.wait(unit.gradients.values())


class Marks(list[Mark]):
    """The marks of a file; remark says so where it does not run at all."""

    remark = ""


def mark_file(path: Path, target: str | None = None, seconds: float = 60.0) -> Marks:
    """All marks of a file. Raises CannotCheck where nothing says which exercise it is."""
    if path.stat().st_size > LARGEST:
        raise CannotCheck(f"{path}: expected a file of at most 1 MB, got {path.stat().st_size:,}")
    source = path.read_text(encoding="utf-8", errors="replace")
    target, marks = target or target_of(source), Marks()
    if target is None:
        raise CannotCheck(f"{path}: expected an exercise; --as functional (net, cnn) says which")
    with Learner(path, seconds) as learner:
        try:
            learner.ask(next(STEPS), "out = {}", {})
        except Trouble as trouble:
            marks.remark = f"the file does not run: {placed(trouble)}"
        for unit in UNITS[target]:
            if marks.remark:
                marks += unmarked(unit, source)
            else:
                marks += mark_unit(learner, unit, source, target == "net", marks)
    chapters = ("", *units.CHAPTERS)
    marks.sort(key=lambda m: (chapters.index(m.chapter), m.equation))
    return marks


def unmarked(unit: Unit, source: str) -> list[Mark]:
    """Of a file that does not run nothing is right: blanks are blanks, the rest is wrong."""
    blanks = {e for e, name in blanks_of(source) if belongs(unit, name)}
    verdict = {e: NOT_YET if e in blanks else WRONG for e in equations(unit)}
    return [Mark(e, unit.owner, verdict[e], [], unit.chapter) for e in verdict]


def placed(trouble: Trouble) -> str:
    return f"line {trouble.line}: {trouble.code}: {trouble}" if trouble.line else str(trouble)


def equations(unit: Unit) -> list[str]:
    inside = {"E7", "E8"} if unit.owner == "backward" else set()
    return sorted({*unit.outputs.values(), *unit.gradients.values(), *inside})


def lines(marks: Marks) -> Iterator[str]:
    """As they are printed."""
    chapter, wide = "", max(len(m.owner) for m in marks)
    for mark in marks:
        if mark.chapter != chapter:
            chapter = mark.chapter
            yield f"--- {chapter}"
        yield f"  {mark.equation:<4}  {mark.owner:<{wide}}  {mark.verdict}"
        yield from (f"          {line}" for line in mark.says)
    if marks.remark:
        yield marks.remark
    yield f"{sum(m.right for m in marks)} of {len(marks)} right"
