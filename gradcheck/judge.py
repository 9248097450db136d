"""Judge a case: differences, then rules, then names for what is wrong."""

import numpy as np

from gradcheck import core, purity, suspects
from gradcheck.case import Case, Checked, check_case, choose_upstream, directions, upstream
from gradcheck.core import Result
from gradcheck.diagnose import Look, diagnose
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
            row.cause = case.hints.get(name) or _cause(case, name, checked)
        report.rows.append(row)
    if not report.ok and case.parts:
        report.blame = blame(case, rng)
    if not written and not case.definition:
        report.breaches += purity.breaches(case, checked.dy, rng, accumulates)
    return report


def blame(case: Case, rng: np.random.Generator) -> str:
    """Each layer of a net alone, with the input and upstream gradient it gets there; then a random one."""
    assert case.parts
    guilty = []
    for name, part in case.parts():
        for dy in (part.dy, None):
            part.dy = dy
            checked = check_case(part, rng)
            bad = [k for k, r in checked.results.items() if r.wrong.any()]
            if bad:
                cause = _cause(part, bad[0], checked)
                guilty.append(f"{name} alone is wrong: d{bad[0]}, {cause or 'no known pattern'}")
                break
    return "; ".join(guilty) or "every layer alone is right: look at how the net joins them"


def _forgive_epsilon(name: str, r: Result, loose: float, notes: list[str]) -> Result:
    """log(p + 1e-7) has not quite the gradient p - y: harmless, and said."""
    if not r.wrong.any() or r.backprop.shape != r.numeric.shape:
        return r
    off = abs(r.backprop - r.numeric).max() / max(abs(r.numeric).max(), 1e-300)
    if not off < loose:
        return r
    notes.append(
        f"d{name} is right to {-np.log10(off):.0f} digits: an epsilon such as log(p + 1e-7) that it leaves out"
    )
    return r._replace(wrong=np.zeros_like(r.wrong))


def _cause(case: Case, name: str, checked: Checked) -> str | None:
    """A sentence for one wrong array: from its numbers, else from a counterfactual."""
    if checked.sampled:
        return None
    others = {k: v for k, v in {**case.arrays, **case.constants}.items() if k != name}
    look = Look(
        name, checked.results[name], case.arrays[name], others, case.sizes, checked.dy, case.reasons
    )
    with np.errstate(all="ignore"):
        return diagnose(look) or suspects.try_suspects(case, look)


def judge_widely(
    case: Case, seed: int = 0, accumulates: bool = False, seconds: float = np.inf
) -> Report:
    """As judge, and for a layer also where it saturates (inputs up to +-10) and where entries tie."""
    report = judge(case, seed, accumulates, seconds)
    X = case.arrays.get("X")
    if not report.ok or not case.takes_upstream or X is None:
        return report
    before = X.copy()
    try:
        X *= 4
        wide = judge(case, seed, accumulates, seconds)
        if not wide.ok:
            wide.notes.append("this shows at inputs up to +-10; up to +-2.5 all is right")
            return wide
    except core.CannotCheck:
        pass  # it overflows there: no verdict from such a point
    finally:
        X[...] = before
    tied = _tied(case, X, np.random.default_rng(seed))
    if tied is not None:
        report.rows.append(tied)
    return report


def _tied(case: Case, X: np.ndarray, rng: np.random.Generator) -> Row | None:
    """With ties (most of an image is background) a shift of all entries tells what no single entry can.

    A max pooling that gives the gradient to every winner is right in each entry, since any value between
    the slopes is; but then the shares of a window add up to more than its gradient.
    """
    before = X.copy()
    try:
        levels = np.array([-1.37, -0.61, 0.43, 1.19])
        X[...] = rng.choice(levels if X.min() < 0 else abs(levels), X.shape)
        y = case.forward()
        if not np.isfinite(y).all():
            return None
        dy = upstream(y, rng)
        grad = np.asarray(case.backward(dy)["X"])
        ones = Ones()
        result = directions(case.forward, X, grad, dy, ones, 1)  # type: ignore[arg-type]
    except core.CannotCheck:
        return None
    finally:
        X[...] = before
    if not result.wrong.any():
        return None
    cause = (
        "right without ties, wrong where entries are equal: if this is a max, every winner of a window "
        "gets the gradient; one of them must (an image's background ties everywhere)"
    )
    return Row("X, with ties", X.shape, result, cause, sampled=True)


class Ones:
    """The direction in which all entries move together."""

    def choice(self, signs: list[float], shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape)
