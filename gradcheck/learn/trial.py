"""What is wrong with one function or layer of a learner's file.

The judge is the checker, in this process: it compares the learner's gradients with differences
of the learner's own forward pass, which has been compared with known answers before.
"""

import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from gradcheck.case import Array, Case, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.judge import judge_widely
from gradcheck.learn import units
from gradcheck.learn.learner import Learner, Trouble
from gradcheck.learn.units import OUTPUTS, STEP, Unit
from gradcheck.ours.equations import tags
from gradcheck.ours.momentum import update_case
from gradcheck.report import Report

__all__ = ["SCOPES", "Found", "judged"]

SCOPES = itertools.count()
Given = dict[str, Array]
Found = dict[str, list[str]]  # equation: what is wrong with it, or []; not there: not judged


def judged(learner: Learner, unit: Unit, blanks: set[str]) -> Found:
    """With different sizes; with equal ones what a wrong shape, raising, kept from being judged."""
    try:
        trial = Trial(learner, unit, blanks, unit.arrays)
        found = trial.found()
        if trial.trouble and learner.process:  # an endless loop has ended it
            again = Trial(learner, unit, blanks, re.sub("(?<=[=,])[2-9]", "3", unit.arrays)).found()
            if any(again.values()):
                found = {e: found.get(e, []) + says if says else [] for e, says in again.items()}
        return found
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return {unit.equations[0]: [f"this cannot be judged: {error}"[:200]]}


class Trial:
    """One unit of a learner's file, at one choice of sizes."""

    def __init__(self, learner: Learner, unit: Unit, blanks: set[str], sizes: str):
        self.learner, self.unit, self.blanks = learner, unit, blanks
        rng = np.random.default_rng(learner.seed)
        shapes = dict(part.split("=") for part in sizes.split())
        self.arrays: Given = {
            name: distinct_values(tuple(map(int, shape.split(","))), rng, 2)
            for name, shape in shapes.items()
        }
        self.trouble = False
        self.axis = 1 if unit.target == "net" else 0
        self.labels = self.one_hot() if {"E3", STEP} & set(unit.equations) else {}

    def one_hot(self) -> Given:
        X, b2 = self.arrays["X"], self.arrays.get("b2")
        N, classes = X.shape[self.axis], X.shape[1 - self.axis] if b2 is None else b2.size
        y = np.eye(classes)[np.arange(N) * 2 % classes]
        return {"y": y.T.copy() if self.axis else y}

    def found(self) -> Found:
        """What is wrong with each equation that can be judged."""
        own = self.unit.equations
        try:
            found = self.outputs()
        except Trouble as trouble:
            return self.raised(trouble, own)
        if any(e not in found or found[e] for e in own if e in OUTPUTS) or not self.unit.backward:
            return found
        try:
            return found | self.gradients()
        except Trouble as trouble:
            return found | self.raised(trouble, [e for e in own if e not in OUTPUTS])
        except CannotCheck as error:
            return found | {own[-1]: [str(error)]}

    def raised(self, trouble: Trouble, own: list[str]) -> Found:
        """The line that raised may carry a number; else a blank, or the first is to blame."""
        self.trouble = True
        text = self.learner.path.read_text(encoding="utf-8", errors="replace").splitlines()
        row = text[trouble.line - 1] if trouble.line and trouble.line <= len(text) else ""
        numbers = [e for e in tags(row) if e in self.unit.equations]
        return {e: [str(trouble)] for e in numbers or own[: not self.blanks]}

    def ask(self, code: str, **given: Array) -> Any:
        return self.learner.ask(next(SCOPES), code, {**self.arrays, **self.labels, **given})

    # --- forward ----------------------------------------------------------------

    def outputs(self) -> Found:
        """Are the outputs the known ones? They must be before a difference means anything."""
        out = self.ask(f"{self.unit.build}\n{self.unit.forward}")
        scope = {**vars(units), **self.arrays, **self.labels}
        if self.labels:
            scope["N"] = self.arrays["X"].shape[self.axis]
        says: dict[str, list[str] | None] = {}
        for name, known in self.unit.known.items():
            value = out.get(name)
            says[name] = compared(name, value, known, {**scope, f"{name}1": value})
            if says[name] == []:  # what is made of a wrong one is not judged
                scope |= {name if name not in scope else f"{name}1": value}
        found = merged((self.unit.number(name, False), said) for name, said in says.items())
        if found.get("E9"):
            found["E9"] += self.explain_update()
        return found

    def explain_update(self) -> list[str]:
        """E9 is linear in W, V and dW: which factor is another one tells the mistake."""

        def update(W: Array, V: Array, dW: Array, lr: float, momentum: float) -> tuple:
            out = self.ask(self.unit.forward, W=W, V=V, dW=dW)
            return out["W"], out["V"]

        try:
            report = judge_widely(update_case(update, np.random.default_rng(0)))
        except (Trouble, ValueError, TypeError):
            return []
        return list(dict.fromkeys(f"looks like: {row.cause}" for row in report.rows if row.cause))

    # --- backward ---------------------------------------------------------------

    def gradients(self) -> Found:
        """Every gradient beside differences of the learner's own forward pass."""
        names = self.unit.gradients
        case = self.case(names)
        grads = case.backward(np.ones(case.forward().shape))
        there = [k for k in names if k in grads]
        wrong = troubles(judge_widely(self.case(there), 1)) if there else {}
        wrong = wrong or by_differences(case, there)
        says = {k: wrong.get(k, []) if k in there else None for k in names}
        for name, made_of in self.unit.after.items():
            if any(k in wrong for k in made_of.split()):
                says[name] = None
        inside = self.inside(says) if self.unit.owner == "backward" else {}
        return inside | merged((self.unit.number(k, True), said) for k, said in says.items())

    def case(self, names: list[str]) -> Case:
        """The unit as the checker knows it."""
        moved = {name: self.arrays[name] for name in sorted(names, key=lambda k: k != "X")}
        sizes = {"batch": self.arrays["X"].shape[self.axis]}
        if self.labels:
            sizes = {"classes": self.labels["y"].shape[1 - self.axis], **sizes}
        inputs = tuple(k for k in moved if k == "X")
        return Case(
            self.unit.owner, moved, lambda: self.open(moved), inputs, sizes, self.axis, self.labels
        )

    def open(self, moved: Given) -> tuple:
        """forward and backward of a new object."""
        scope, build = next(SCOPES), [self.unit.build]

        def forward() -> Array:
            code = "\n".join([*build, self.unit.forward])
            build.clear()
            given = {**self.arrays, **self.labels, **moved}
            return list(self.learner.ask(scope, code, given).values())[-1]

        def backward(dy: Array) -> Given:
            out = self.learner.ask(scope, self.unit.backward, {"dY": dy})
            return {name: out[name] for name in moved if isinstance(out.get(name), np.ndarray)}

        return forward, backward

    # --- E7 and E8 of functional_net, whose results nobody sees --------------------

    def inside(self, says: dict[str, list[str] | None]) -> Found:
        """E7 and E8 by dW1 and db1, which are made of dZ1.

        Where all of Z1 is 1 the mask changes nothing, and dZ1 is dA1. When dZ1 is wrong, says
        keeps of dW1 and db1 only whether they are made of it as they should.
        """
        if [] in (says["W1"], says["b1"]):
            return {"E7": [], "E8": []}
        sentences = [line for said in says.values() for line in said or []]
        rng = np.random.default_rng(self.learner.seed)
        (N, K), H = (len(self.arrays["X"]), self.arrays["b2"].size), self.arrays["b1"].size
        dy = rng.uniform(0.5, 1.5, (N, K)) * rng.choice([-1, 1], (N, K))
        Z = rng.uniform(0.5, 1.5, (N, H)) * rng.choice([-1, 1], (N, H))
        dA, shown, ones = dy @ self.arrays["W2"].T, self.dZ1(Z, dy), self.dZ1(np.ones((N, H)), dy)
        if any(close(dZ, dA * (Z > 0)).all() for dZ in shown.values()):
            return {"E7": [], "E8": []}
        says |= {"W1": None, "b1": None}
        if len(shown) == 2:
            out = self.step_back(self.arrays["X"], Z, dy)
            made = {"W1": self.arrays["X"].T @ shown["b1"], "b1": shown["W1"].sum(0)[None]}
            says |= {k: [] for k, right in made.items() if close(out[k], right).all()}
        if any((close(dZ, dA) | (dZ == 0)).all() for dZ in ones.values()):
            return {"E7": [], "E8": sentences}
        masked = any(close(shown[k], ones[k] * (Z > 0)).all() for k in shown if k in ones)
        return {"E7": sentences, **({"E8": []} if masked else {})} if ones else {}

    def step_back(self, X: Array, Z: Array, dy: Array) -> Given:
        return self.ask(self.unit.backward, X=X, Z1=Z, A1=np.maximum(Z, 0), dY=dy)

    def dZ1(self, Z: Array, dy: Array) -> Given:
        """dZ1 (N, H) as it shows in batches of one: db1 is its row, dW1 is x times it."""
        X, found = self.arrays["X"], dict[str, Array]()
        outs = [self.step_back(X[n : n + 1], Z[n : n + 1], dy[n : n + 1]) for n in range(len(Z))]
        for name, scale in (("b1", np.ones(len(X))), ("W1", X[:, 0])):
            if all(isinstance(out[name], np.ndarray) for out in outs):
                rows = [out[name][0] / x for out, x in zip(outs, scale, strict=True)]
                found |= {name: np.array(rows)} if np.shape(rows) == Z.shape else {}
        return found


def close(u: Array, v: Array) -> Array:
    return abs(u - v) <= 1e-9 * max(1.0, float(abs(v).max()))


def compared(name: str, value: Array | None, known: str, scope: dict) -> list[str] | None:
    """What is wrong with an output; None where it, or what it is made of, is not there."""
    try:
        expected = np.asarray(eval(known, scope), float)
    except (NameError, TypeError, ValueError):
        return None
    if value is None:
        return None
    if value.shape != expected.shape:
        return [f"{name} has shape {value.shape}, expected {expected.shape}"]
    gap = np.nan_to_num(abs(value - expected), nan=np.inf)
    if gap.max(initial=0) <= 1e-9 * max(1.0, abs(expected).max(initial=0)):
        return []
    at = tuple(map(int, np.unravel_index(gap.argmax(), gap.shape)))
    where = f" at {at}" if at else ""
    return [f"{name}{where}: got {value[at]:.6g}, expected {expected[at]:.6g}"]


def merged(parts: Iterable[tuple[str, list[str] | None]]) -> Found:
    """Several arrays of one equation: it is right once all are there, and nothing is wrong."""
    by: dict[str, list] = {}
    for equation, says in parts:
        by.setdefault(equation, []).append(says)
    found: Found = {}
    for equation, own in by.items():
        wrong = list(dict.fromkeys(line for says in own for line in says or []))
        if wrong or None not in own:
            found[equation] = wrong
    return found


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


def by_differences(case: Case, names: list[str]) -> dict[str, list[str]]:
    """A formula is smooth to the last digits; what differences leave of the digits is noise."""
    rng, seen = np.random.default_rng(1), []
    dy = rng.uniform(0.5, 1.5, case.forward().shape)
    before = {k: p.copy() for k, p in case.arrays.items()}
    ways = {k: rng.uniform(-1e-8, 1e-8, p.shape) for k, p in before.items()}
    for side in (-1, 1, 0):
        for k, p in case.arrays.items():
            p[...] = before[k] + side * ways[k]
        seen.append(case.backward(dy))
    said = "right, but not to the last digits: differences instead of a formula?"
    left, right, middle = seen
    noise = {k: abs(left[k] + right[k] - 2 * middle[k]).max() for k in names}
    return {k: [said] for k in names if noise[k] > 1e-13 * (1 + abs(middle[k]).max())}
