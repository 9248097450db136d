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


class CannotCheck(ValueError):
    """No verdict is possible (nan, float32, chance, ...); the message says why."""


class Result(NamedTuple):
    backprop: np.ndarray  # what the backward pass says
    numeric: np.ndarray  # what the differences say
    noise: float  # how far rounding alone may move numeric
    wrong: np.ndarray  # True where the two disagree
    kinks: np.ndarray  # True where they differ because of a kink, which is no mistake
    corners: np.ndarray  # True where wrong, but exactly on a kink: to be judged beside it

    @property
    def error(self) -> float:
        """Worst error of the entries that no kink explains; below RTOL means right."""
        if self.backprop.shape != self.numeric.shape:
            return np.inf
        size = np.maximum(abs(self.backprop), abs(self.numeric))
        error = abs(self.backprop - self.numeric) / (size + self.noise / RTOL)
        return float(np.max(error, initial=0, where=~self.kinks))


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
    return audible(found)


def audible(results: dict[str, Result]) -> dict[str, Result]:
    """The results, unless rounding drowns all: then agreement would mean nothing."""
    loudest = max((float(abs(r.backprop).max(initial=0)) for r in results.values()), default=0.0)
    noise = max((r.noise for r in results.values()), default=0.0)
    drowned = 0 < loudest < 1000 * noise and noise > 1e-6  # usual are 1 and 1e-10
    if drowned and not any(r.wrong.any() for r in results.values()):
        raise CannotCheck(
            f"rounding moves the slopes by {noise:.1g}, the largest gradient is {loudest:.1g}: "
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
    kinks, corners = np.zeros(p.shape, bool), np.zeros(p.shape, bool)
    if grad.shape != p.shape:  # never broadcast: (1, 3) for (5, 3) is a mistake
        return Result(grad, numeric, noise, ~kinks, kinks, corners)
    wrong = ~close(grad, numeric, noise)
    for i in map(tuple, np.argwhere(wrong)):
        kinks[i], corners[i] = settled(slopes(loss, p, i, dy), grad[i], noise)
    return Result(grad, numeric, noise, wrong & ~kinks, kinks, corners)


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


def settled(slopes: Callable, grad: Any, noise: float) -> tuple[bool, bool]:
    """Two answers: does a kink of relu, max or abs explain a failed entry? Is it right on one?"""
    first = sides = slopes(STEP)
    for shorter in (10, 100, 1000):
        longer, sides = sides, slopes(STEP / shorter)
        n, wide = sides.mean(), noise * shorter
        moved = abs(n - first.mean()) > noise + wide
        if moved and close(grad, n, wide):  # never "a shorter step agrees": its noise is wider
            return True, False  # the slope itself moved: the long step straddled a kink
        # On a kink the two slopes stay apart, on a bend the gap closes to 1/10.
        gap, before = abs(np.diff(sides))[0], abs(np.diff(longer))[0]
        apart = gap > max(before / 2, 4 * wide)
        if shorter == 10:
            slack = wide + abs(sides - first).max()  # what a bend does to a one-sided slope
            corner = apart and gap > slack
            between = sides.min() - slack <= grad <= sides.max() + slack
            if not moved and not corner:  # smooth: only h^2 may excuse it, and 2h shows that thrice
                bend = (slopes(2 * STEP).mean() - first.mean()) / 3
                return bool(close(grad, first.mean() - bend, 2 * noise)), False
        if shorter == 100 and before > 8 * wide:  # and it is loud enough to be heard here
            corner = corner and apart
    return bool(corner and between), bool(corner and not between)
