"""Judge a case: differences, then rules, then names for what is wrong."""

import numpy as np

from gradcheck import core, purity
from gradcheck.case import Array, Case, Checked, check_case, choose_upstream, directions, upstream
from gradcheck.core import Result
from gradcheck.explain import explain
from gradcheck.report import Report, Row

__all__ = ["judge", "judge_widely"]


def judge(case: Case, seed: int = 0, accumulates: bool = False, seconds: float = np.inf) -> Report:
    """The report on one case. Raises CannotCheck where no verdict is possible."""
    rng = np.random.default_rng(seed)
    written = purity.mutations(case, choose_upstream(case, case.forward(), rng))
    checked = check_case(case, rng, seconds)
    report = Report(case.name, breaches=written, notes=list(case.notes))
    for name, result in checked.results.items():
        if case.loose:
            result = _forgive_epsilon(name, result, case.loose, report.notes)
        row = Row(name, case.arrays[name].shape, result, sampled=checked.sampled)
        if not row.ok:
            row.cause = case.hints.get(name) or explain(case, name, checked)
        report.rows.append(row)
    if not written and not case.definition:
        report.breaches += purity.breaches(case, checked.dy, rng, accumulates)
    if not report.ok:
        report.blame = _blame(case, rng, {row.name for row in report.rows if not row.ok})
    return report


def _blame(case: Case, rng: np.random.Generator, wrong: set[str]) -> str | None:
    """Each layer of a net alone, under the upstream gradient it gets there, then a random one."""
    guilty: dict[str, str] = {}  # by class: the same mistake sits in all layers of a class
    for live in (True, False) if case.parts else ():
        for name, part in case.parts() if case.parts and not guilty else ():
            part.dy = part.dy if live else None
            said = None if name.split()[-1] in guilty else _accusation(part, rng)
            if said:
                guilty[name.split()[-1]] = f"{name} alone is wrong: {said}"
    if guilty:
        return "; ".join(guilty.values())
    if case.accuse and wrong:
        return f"look at {case.accuse(wrong)}"
    return "every layer alone is right: look at how the net joins them" if case.parts else None


def _accusation(part: Case, rng: np.random.Generator) -> str | None:
    """What is wrong with one layer: directions first, since most layers are right."""
    checked = check_case(part, rng, seconds=0)
    if any(r.wrong.any() for r in checked.results.values()):
        checked = check_case(part, rng)
    bad = [k for k, r in checked.results.items() if r.wrong.any()]
    if bad:
        return f"d{bad[0]}, {explain(part, bad[0], checked) or 'no known pattern'}"
    return next(iter(purity.breaches(part, checked.dy, rng)), None)


def _forgive_epsilon(name: str, r: Result, loose: float, notes: list[str]) -> Result:
    """log(p + 1e-7) has not quite the gradient p - y: harmless, and said."""
    if not r.wrong.any() or r.backprop.shape != r.numeric.shape:
        return r
    off = float((abs(r.backprop - r.numeric) / (abs(r.numeric) + r.noise / loose)).max())
    if not off < loose:  # relative to each entry: an epsilon shrinks a whole row by one factor
        return r
    notes.append(
        f"d{name} is right to {-np.log10(off):.0f} digits: it leaves out an epsilon of the loss, "
        "as in log(p + 1e-7)"
    )
    return r._replace(wrong=np.zeros_like(r.wrong))


# --- beyond one point ---------------------------------------------------------


def judge_widely(
    case: Case, seed: int = 0, accumulates: bool = False, seconds: float = np.inf
) -> Report:
    """As judge, and for a layer also where it saturates (inputs up to +-10) and where they tie."""
    report = judge(case, seed, accumulates, seconds)
    X = case.arrays.get("X")
    if not report.ok or not case.takes_upstream or X is None or case.parts:
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
