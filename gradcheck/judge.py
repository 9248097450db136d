"""Judge a case: differences, then rules, then names for what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradcheck import core, rules
from gradcheck.case import (
    Array,
    Case,
    Checked,
    check_case,
    choose_upstream,
    directions,
    forgive_epsilon,
    upstream,
)
from gradcheck.explain import explain
from gradcheck.report import Report, Row
from gradcheck.yours.own import Own
from gradcheck.yours.passes import variants

__all__ = ["Parts", "judge", "judge_widely", "judge_own", "blame_parts"]

Parts = Iterator[tuple[str, Case, Array]]  # a layer of a net alone, and its upstream gradient there


def judge(
    case: Case,
    seed: int = 0,
    accumulates: bool = False,
    seconds: float = np.inf,
    tolerant: bool = False,
) -> Report:
    """The report on one case. Raises CannotCheck where no verdict is possible.

    tolerant: a rounded constant, right to 5 digits, is a note (in a loss always).
    """
    rng = np.random.default_rng(seed)
    written = rules.mutations(case, choose_upstream(case, case.forward(), rng))
    checked = check_case(case, rng, seconds)
    report = Report(case.name, breaches=written)
    report.rows = _rows(case, checked, report.notes, tolerant)
    if not written:
        report.breaches += rules.breaches(case, checked.dy, rng, report.notes, accumulates)
    report.notes[:0] = case.notes
    if not report.ok and case.blame:
        report.blame = case.blame({row.name for row in report.rows if not row.ok}, rng)
    return report


def _rows(
    case: Case, checked: Checked, notes: list[str], tolerant: bool, said: str = ""
) -> list[Row]:
    """One row for every array; a wrong one with its cause."""
    rows, results = [], checked.results
    if tolerant or checked.dy.ndim < 2:
        results = forgive_epsilon(case, checked, notes)
    for name, result in results.items():
        row = Row(name + said, case.arrays[name].shape, result, sampled=checked.sampled)
        if not row.ok:
            row.cause = explain(case, name, checked)
        rows.append(row)
    return rows


def blame_parts(parts: Callable[[], Parts], rng: np.random.Generator) -> str | None:
    """Each layer of a net alone, under the upstream gradient it gets there, then a random one."""
    guilty: dict[str, str] = {}  # by class: the same mistake sits in all layers of a class
    for live in (True, False):
        for name, part, dy in parts() if not guilty else ():
            kind = name.split()[-1]
            if kind not in guilty and (said := _wrong_alone(part, dy if live else None, rng)):
                guilty[kind] = f"{name} alone is wrong: {said}"
    return "; ".join(guilty.values()) or None


def _wrong_alone(part: Case, dy: Array | None, rng: np.random.Generator) -> str | None:
    """What is wrong with one layer: directions first, since most layers are right."""
    checked = check_case(part, rng, 0, dy)
    if any(r.wrong.any() for r in checked.results.values()):
        checked = check_case(part, rng, dy=dy)
    bad = [k for k, r in checked.results.items() if r.wrong.any()]
    if bad:
        return f"d{bad[0]}, {explain(part, bad[0], checked) or 'no known pattern'}"
    return next(iter(rules.breaches(part, checked.dy, rng)), None)


# --- beyond one point ---------------------------------------------------------


def judge_widely(case: Case, seed: int = 0, **how: Any) -> Report:
    """As judge, and for a layer also where it saturates (inputs up to +-10) and where they tie."""
    report = judge(case, seed, **how)
    X = first_input(case)
    if not report.ok or not case.takes_upstream or X is None or not np.ndim(case.forward()):
        return report
    wide = _elsewhere(case, X, 4 * X, seed, **how)
    if wide is not None and not wide.ok:
        wide.notes.append("this shows at inputs up to +-10; up to +-2.5 all is right")
        return wide
    report.rows += _tied(case, X, np.random.default_rng(seed))
    return report


def first_input(case: Case) -> Array | None:
    return case.arrays.get(next(iter(case.inputs), ""))


def _elsewhere(case: Case, X: Array, values: Array, seed: int, **how: Any) -> Report | None:
    """The case with other values in X. Caps, as in min(x, 6), are not met by small inputs."""
    before = X.copy()
    X[...] = values
    try:
        return judge(case, seed, **how)
    except core.CannotCheck:
        return None  # it overflows there: no verdict from such a point
    finally:
        X[...] = before


def _tied(case: Case, X: Array, rng: np.random.Generator) -> list[Row]:
    """With ties (most of an image is background) a shift of all entries tells what no entry can.

    A max pooling that gives the gradient to every winner is right in each entry, for any value
    between the slopes is; but the shares of a window add up to more than its gradient. All windows
    together, then some of them one by one: two mistakes could cancel.
    """
    before, levels, name = X.copy(), np.array([-1.37, -0.61, 0.43, 1.19]), case.inputs[0]
    X[...] = rng.choice(levels if X.min() < 0 else abs(levels), X.shape)
    try:
        y = case.forward()
        one = np.zeros(y.shape)
        alone = [np.where(np.arange(y.size).reshape(y.shape) == k, 1.0, one)
                 for k in rng.permutation(y.size)[:12]]  # fmt: skip
        for dy in (upstream(y, rng), *alone) if np.isfinite(y).all() else ():
            grad = np.asarray(case.backward(dy)[name])
            result = directions(case.forward, X, grad, dy, [np.ones(X.shape)])
            rounded = np.allclose(result.backprop, result.numeric, 1e-5, 0)  # a constant is
            if result.wrong.any() and not rounded:
                return [Row(f"{name}, with ties", X.shape, result, TIES, sampled=True)]
    except core.CannotCheck:
        pass
    finally:
        X[...] = before
    return []


TIES = (
    "right without ties, wrong where entries are equal: if this is a max, every winner of a window "
    "gets the gradient; one of them must (an image's background ties everywhere)"
)


# --- a learner's own ----------------------------------------------------------


def judge_own(own: Own, seed: int = 0, accumulates: bool = False, seconds: float = 10.0) -> Report:
    """As judge_widely; then where mistakes hide: a batch of one, another mask, ..."""
    case, how = own.case(), {"accumulates": accumulates, "seconds": seconds, "tolerant": True}
    report = judge_widely(case, seed, **how)
    report.breaches += own.breaches
    if _is_vacuous(report):
        report = _somewhere_steeper(case, report, seed, **how)
    for said, variant in variants(own) if report.ok else ():
        rows = _variant_rows(variant, said, seed, report.notes)
        report.rows += [row for row in rows if not row.ok]
        if not report.ok:
            report.notes.append(f"this shows with {said}; else all is right")
            break
    return report


def _variant_rows(variant: Own, said: str, seed: int, notes: list[str]) -> list[Row]:
    """What cannot be checked there is a note: forward ran, so that backward should."""
    case = variant.case()
    try:
        checked = check_case(case, np.random.default_rng(seed), seconds=0.5)
    except core.CannotCheck as error:
        notes += [f"with {said} {error}"] if "backward raised" in str(error) else []
        return []
    return _rows(case, checked, [], True, f", {said}")


def _is_vacuous(report: Report) -> bool:
    """Every gradient is 0, on both sides: a backward that returns zeros would pass."""
    flat = [abs(r.result.numeric).max(initial=0) <= r.result.noise for r in report.rows]
    return report.ok and bool(flat) and all(flat)


def _somewhere_steeper(case: Case, report: Report, seed: int, **how: Any) -> Report:
    X = first_input(case)
    for scale in (1e-3, 30.0):
        other = None if X is None else _elsewhere(case, X, scale * X, seed, **how)
        if other is not None and not _is_vacuous(other):
            other.notes.append(
                f"inputs are {scale:g} times the usual ones: there all gradients are 0"
            )
            return other
    report.notes.append("every gradient is 0 here, so that a backward of zeros would pass as well")
    return report
