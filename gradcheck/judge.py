"""Judge a case: differences, then rules, then names for what is wrong."""

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck import core, rules
from gradcheck.case import Array, Case, check_case, choose_upstream, directions, upstream
from gradcheck.core import RIGHT, RTOL, Result
from gradcheck.explain import explain
from gradcheck.report import Report, Row

__all__ = ["Parts", "judge", "judge_widely", "blame_parts"]

Parts = Iterator[tuple[str, Case, Array]]  # a layer of a net alone, and its upstream gradient there


def judge(case: Case, seed: int = 0, accumulates: bool = False, seconds: float = np.inf) -> Report:
    """The report on one case. Raises CannotCheck where no verdict is possible."""
    rng = np.random.default_rng(seed)
    written = rules.mutations(case, choose_upstream(case, case.forward(), rng))
    checked = check_case(case, rng, seconds)
    report = Report(case.name, breaches=written, notes=list(case.notes))
    for name, result in checked.results.items():
        if checked.dy.ndim < 2:  # a loss, or one of every sample
            result = _forgive_epsilon(name, result, report.notes)
        row = Row(name, case.arrays[name].shape, result, sampled=checked.sampled)
        if not row.ok:
            row.cause = explain(case, name, checked)
        report.rows.append(row)
    if not written:
        report.breaches += rules.breaches(case, checked.dy, rng, accumulates)
    if not report.ok and case.blame:
        report.blame = case.blame({row.name for row in report.rows if not row.ok}, rng)
    return report


def blame_parts(parts: Callable[[], Parts], rng: np.random.Generator) -> str | None:
    """Each layer of a net alone, under the upstream gradient it gets there, then a random one."""
    guilty: dict[str, str] = {}  # by class: the same mistake sits in all layers of a class
    for live in (True, False):
        for name, part, dy in parts() if not guilty else ():
            said = (
                None
                if name.split()[-1] in guilty
                else _wrong_alone(part, dy if live else None, rng)
            )
            if said:
                guilty[name.split()[-1]] = f"{name} alone is wrong: {said}"
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


def _forgive_epsilon(name: str, r: Result, notes: list[str]) -> Result:
    """A loss may hold an epsilon, log(p + 1e-7), that its gradient p - y leaves out: a note.

    It shrinks every entry a little, and not all by one factor, which would be another mistake.
    """
    if not r.wrong.any() or r.backprop.shape != r.numeric.shape:
        return r
    floor = r.noise / RTOL
    off = abs(r.backprop - r.numeric) / (abs(r.numeric) + floor)
    share = np.sign(r.numeric) * (r.backprop - r.numeric) / (abs(r.numeric) + floor)
    shrinks = share.min() > -RTOL and share.max() < 1e-3 and np.ptp(share) > share.max() / 10
    if not (off.max() < 1e-5 or shrinks):
        return r
    notes.append(
        f"d{name} is right to {-np.log10(off.max()):.0f} digits: it leaves out an epsilon of the "
        "loss, as in log(p + 1e-7)"
    )
    return r._replace(words=np.where(r.wrong, RIGHT, r.words))


# --- beyond one point ---------------------------------------------------------


def judge_widely(
    case: Case, seed: int = 0, accumulates: bool = False, seconds: float = np.inf
) -> Report:
    """As judge, and for a layer also where it saturates (inputs up to +-10) and where they tie."""
    report = judge(case, seed, accumulates, seconds)
    X = case.arrays.get("X")
    if not report.ok or not case.takes_upstream or X is None or not np.ndim(case.forward()):
        return report
    wide = _wide(case, X, seed, accumulates, seconds)
    if wide is not None and not wide.ok:
        wide.notes.append("this shows at inputs up to +-10; up to +-2.5 all is right")
        return wide
    tied = _tied(case, X, np.random.default_rng(seed))
    if tied is not None and not tied.ok:
        report.rows.append(tied)
    return report


def _wide(case: Case, X: Array, seed: int, accumulates: bool, seconds: float) -> Report | None:
    """Caps, as in min(x, 6), are not met by small inputs."""
    before = X.copy()
    X *= 4
    try:
        return judge(case, seed, accumulates, seconds)
    except core.CannotCheck:
        return None  # it overflows there: no verdict from such a point
    finally:
        X[...] = before


def _tied(case: Case, X: Array, rng: np.random.Generator) -> Row | None:
    """With ties (most of an image is background) a shift of all entries tells what no entry can.

    A max pooling that gives the gradient to every winner is right in each entry, for any value
    between the slopes is; but the shares of a window add up to more than its gradient.
    """
    before, levels = X.copy(), np.array([-1.37, -0.61, 0.43, 1.19])
    X[...] = rng.choice(levels if X.min() < 0 else abs(levels), X.shape)
    try:
        y = case.forward()
        dy = upstream(y, rng)
        if not np.isfinite(y).all():
            return None
        grad = np.asarray(case.backward(dy)["X"])
        result = directions(case.forward, X, grad, dy, [np.ones(X.shape)])
    except core.CannotCheck:
        return None
    finally:
        X[...] = before
    cause = (
        "right without ties, wrong where entries are equal: if this is a max, every winner of a "
        "window gets the gradient; one of them must (an image's background ties everywhere)"
    )
    return Row("X, with ties", X.shape, result, cause, sampled=True)
