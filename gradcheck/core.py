"""Is this the gradient? Every entry of every array against a central difference.

    d loss / d p[i]  =  (loss(p[i] + h) - loss(p[i] - h)) / 2h  +  O(h^2)

This file knows no network: it moves one number and looks at what the loss does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CannotCheck", "Result", "check", "compare", "settled", "slopes", "close", "rounding"]

STEP = 1e-5  # truncation grows as h^2, rounding as 1/h; in float64 they meet about here
RTOL = 1e-7  # beyond the noise, correct code needs 3.5e-11 (29,000 entries); mistakes far more
EPS = float(np.finfo(np.float64).eps)

RIGHT = "right"
KINK = "kink"  # a kink of relu, max or abs explains the difference: no mistake
CORNER = "corner"  # exactly on a kink and outside of its two slopes: to be judged beside it
WRONG = "wrong"


class CannotCheck(ValueError):
    """No verdict is possible (nan, float32, chance, ...); the message says why."""


class Result(NamedTuple):
    backprop: np.ndarray  # what the backward pass says
    numeric: np.ndarray  # what the differences say
    noise: float  # how far rounding alone may move numeric
    words: np.ndarray  # RIGHT, KINK, CORNER or WRONG for every entry

    @property
    def wrong(self) -> np.ndarray:
        return (self.words == WRONG) | (self.words == CORNER)

    @property
    def kinks(self) -> np.ndarray:
        return self.words == KINK

    @property
    def corners(self) -> np.ndarray:
        return self.words == CORNER

    @property
    def curved(self) -> np.ndarray:
        """Right only once the curvature, the h^2 of the difference, is taken off."""
        right = self.words == RIGHT
        return right & ~close(self.backprop, self.numeric, self.noise) if right.any() else right

    @property
    def error(self) -> float:
        """Worst error of the entries that no kink and no curvature explains; right below RTOL."""
        if self.backprop.shape != self.numeric.shape:
            return np.inf
        size = np.maximum(abs(self.backprop), abs(self.numeric))
        error = abs(self.backprop - self.numeric) / (size + self.noise / RTOL)
        return float(np.max(error, initial=0, where=~self.kinks & ~self.curved))


def check(loss: Callable[[], Any], params: dict, grads: dict, dy: Any = 1.0) -> dict[str, Result]:
    """Compare grads[name] with the slope of (loss() * dy).sum() along every entry of params[name].

    loss() reads the arrays in params, which are moved in place and put back bit for bit.
    Draw dy at random: under ones, a softmax backward that returns zeros passes.
    Raises CannotCheck where differences would prove nothing.
    """
    first, again = np.array(loss()), np.array(loss())  # copies: a loss may reuse its memory
    for name, a in {"the loss": first, "dy": np.asarray(dy, float), **params}.items():
        if not isinstance(a, np.ndarray):
            raise CannotCheck(f"{name} is a {type(a).__name__}: an array is moved in place")
        if a.dtype != np.float64:
            raise CannotCheck(f"{name} is {a.dtype}: differences need float64 (7 digits drown)")
        if not np.isfinite(a).all():
            raise CannotCheck(f"{name} is not finite: it holds nan or inf")
    if not np.array_equal(first, again):
        raise CannotCheck("the loss is not deterministic: two calls on the same numbers differ")
    if np.ndim(dy) and np.shape(dy) != first.shape:
        raise CannotCheck(f"dy has shape {np.shape(dy)}, the loss {first.shape}")
    if missing := [name for name in params if name not in grads]:
        raise CannotCheck(f"no gradient is given for {', '.join(missing)}")
    found = {name: compare(loss, p, np.asarray(grads[name]), dy) for name, p in params.items()}
    return refuse_drowned(found)


def refuse_drowned(results: dict[str, Result]) -> dict[str, Result]:
    """The results, unless rounding drowns all: then agreement would mean nothing."""
    largest = max((float(abs(r.backprop).max(initial=0)) for r in results.values()), default=0.0)
    noise = max((r.noise for r in results.values()), default=0.0)
    drowned = 0 < largest < 1000 * noise and noise > 1e-6  # usual are 1 and 1e-10
    if drowned and not any(r.wrong.any() for r in results.values()):
        raise CannotCheck(
            f"rounding moves the slopes by {noise:.1g}, the largest gradient is {largest:.1g}: "
            "scale the loss or the arrays"
        )
    return results


def compare(loss: Callable[[], Any], p: np.ndarray, grad: np.ndarray, dy: Any = 1.0) -> Result:
    """A central difference for every entry; only the entries that fail are looked at again."""
    numeric, noise = np.zeros(p.shape), rounding(loss, p, dy) / STEP
    for i in np.ndindex(p.shape):
        numeric[i] = (shifted(loss, p, i, STEP, dy) - shifted(loss, p, i, -STEP, dy)).sum()
    if not np.isfinite(numeric).all():
        raise CannotCheck(f"the loss is nan or inf when an entry moves by {STEP:g}")
    numeric /= 2 * STEP  # the outputs are differenced, then summed: 3-4 times less noise
    if grad.shape != p.shape:  # never broadcast: (1, 3) for (5, 3) is a mistake
        return Result(grad, numeric, noise, np.full(p.shape, WRONG))
    words = np.where(close(grad, numeric, noise), RIGHT, WRONG).astype("<U6")
    for i in map(tuple, np.argwhere(words == WRONG)):
        words[i] = settled(slopes(loss, p, i, dy), grad[i], noise)
    return Result(grad, numeric, noise, words)


def close(a: Any, n: Any, noise: float) -> Any:
    """Relative, with the noise as floor: where the true gradient is 0, only noise is left."""
    return abs(a - n) <= noise + RTOL * np.maximum(abs(a), abs(n))


def shifted(loss: Callable[[], Any], p: np.ndarray, i: Any, step: Any, dy: Any) -> np.ndarray:
    """loss() * dy with p[i] moved by step; i = ... moves the whole array along a direction."""
    here = p[i].copy()
    try:
        p[i] = here + step
        return np.array(loss()) * dy
    finally:
        p[i] = here


def rounding(loss: Callable[[], Any], p: np.ndarray, dy: Any) -> float:
    """Ten times what the last bit does to the loss: by its own size, and when p's bits flip."""
    y, rng = np.array(loss()) * dy, np.random.default_rng(0)
    bits = [EPS * np.maximum(1, abs(p)) * rng.choice([-1, 1], p.shape) for _ in range(4)]
    flips = [abs(shifted(loss, p, ..., bit, dy) - y).sum() for bit in bits]
    least = EPS / 1000  # log(1 + p) forgets a small p: even a loss of exactly 0 has noise
    return 10 * max(EPS * float(abs(y).sum()), *flips, least)


def slopes(loss: Callable[[], Any], p: np.ndarray, i: Any, dy: Any, way: Any = 1.0) -> Callable:
    """h -> the slopes to the left and to the right of p[i] (i = ...: along the direction way)."""

    def left_right(h: float) -> np.ndarray:
        below, y, above = (shifted(loss, p, i, s * h * way, dy) for s in (-1, 0, 1))
        return np.array([(y - below).sum(), (above - y).sum()]) / h

    return left_right


def settled(slopes: Callable, grad: Any, noise: float) -> str:
    """RIGHT, KINK, CORNER or WRONG, for an entry that failed at the usual step.

    Never "some shorter step agrees": the noise grows as 1/h, and wrong gradients would pass.
    """
    first = sides = slopes(STEP)
    for shorter in (10, 100, 1000):
        longer, sides = sides, slopes(STEP / shorter)
        n, wide = sides.mean(), noise * shorter
        moved = abs(n - first.mean()) > noise + wide
        if moved and close(grad, n, wide):  # the slope itself moved
            return RIGHT if _bends(longer, sides, wide) else KINK  # else: the step straddled one
        # On a kink the two slopes stay apart, on a bend the gap closes to 1/10.
        gap, before = _gap(sides), _gap(longer)
        apart = gap > max(before / 2, 4 * wide)
        if shorter == 10:
            slack = wide + abs(sides - first).max()  # what a bend does to a one-sided slope
            corner = apart and gap > slack
            between = sides.min() - slack <= grad <= sides.max() + slack
            if not moved and not corner:
                return _settled_smooth(slopes, first.mean(), grad, noise)
        if shorter == 100 and before > 8 * wide:  # and the gap is larger than the noise here
            corner = corner and apart
    return (KINK if between else CORNER) if corner else WRONG


def _settled_smooth(slopes: Callable, n: Any, grad: Any, noise: float) -> str:
    """Where there is no kink, only h^2 may excuse an entry; a step of 2h shows it thrice."""
    curvature = (slopes(2 * STEP).mean() - n) / 3
    return RIGHT if close(grad, n - curvature, 2 * noise) else WRONG


def _bends(longer: np.ndarray, sides: np.ndarray, wide: float) -> bool:
    """Smooth: the gap between left and right slope closes as the step does, to about 1/10."""
    return bool(abs(_gap(sides) - _gap(longer) / 10) <= 2 * wide + _gap(longer) / 30)


def _gap(sides: np.ndarray) -> float:
    return float(abs(sides[1] - sides[0]))
