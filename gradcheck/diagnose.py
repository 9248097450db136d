"""Name the mistake from the numbers: what a wrong gradient looks like beside the right one.

Each finder answers with a sentence or with None. A sentence says what the numbers show, then what
usually causes that. Unstructured differences get no sentence: silence is better than a guess.
"""

from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from gradcheck.core import Result

__all__ = ["Look", "FINDERS", "diagnose"]

Array = np.ndarray


class Look(NamedTuple):
    """A wrong gradient and all that may explain it."""

    name: str
    result: Result
    array: Array  # the parameter or input itself
    others: dict[str, Array]  # the other arrays of the case, and its labels
    sizes: dict[str, int]  # {"batch": 5, ...}
    dy: Array
    reasons: dict[float, str] = {}

    @property
    def a(self) -> Array:
        return self.result.backprop

    @property
    def n(self) -> Array:
        return self.result.numeric

    def same(self, u: Array, v: Array, digits: float = 1e-5) -> bool:
        """Are these the same numbers, as far as differences can tell?"""
        if u.shape != v.shape or not np.isfinite(u).all():
            return False
        size = abs(v).max(initial=0)
        return bool(size > 0 and (abs(u - v) <= digits * size + 3 * self.result.noise).all())


def diagnose(look: Look) -> str | None:
    """The first sentence that fits, or None: no known pattern."""
    return next(filter(None, (finder(look) for finder in FINDERS)), None)


# --- the shape is wrong -------------------------------------------------------


def wrong_shape(look: Look) -> str | None:
    """The numbers may still be recognisable: summed too little, too much, or turned."""
    a, n = look.a, look.n
    if a.shape == n.shape:
        return None
    for axes in _subsets(a.ndim):
        for keep in (False, True):
            if look.same(a.sum(axis=axes, keepdims=keep), n):
                return f"not summed over {_axes(axes, a.shape, look.sizes)}"
    for axes in _subsets(n.ndim):
        for keep in (False, True):
            if look.same(a, n.sum(axis=axes, keepdims=keep)):
                return f"summed over {_axes(axes, n.shape, look.sizes)}, which should be kept"
    for order in permutations(range(a.ndim)):
        if look.same(a.transpose(order), n):
            return "the transpose of the right gradient"
    if a.size == n.size and look.same(a.reshape(n.shape), n):
        return f"the right numbers in another shape: reshape to {n.shape}"
    return None


# --- the whole array ----------------------------------------------------------


def not_finite(look: Look) -> str | None:
    if not np.isfinite(look.a).all():
        return f"{(~np.isfinite(look.a)).sum()} entries are nan or inf: a division by 0, or a log?"
    return None


def zeros(look: Look) -> str | None:
    """Nothing came back, or something came back where nothing should."""
    if look.a.shape != look.n.shape:
        return None
    if not look.a.any():
        return "all zero: never computed, lost on the way, or always reset"
    if (abs(look.n) <= look.result.noise).all():
        return (
            f"the output does not depend on {look.name}, yet its gradient is not 0 "
            "(does forward read a copy of it, or nothing at all?)"
        )
    return None


def factor(look: Look) -> str | None:
    """a = c n for one c: needs 4 entries, or any two arrays would do."""
    a, n = look.a, look.n
    big = abs(n) > 1e-3 * abs(n).max(initial=0)
    if a.shape != n.shape or big.sum() < 4:
        return None
    c = float((a * n).sum() / (n * n).sum())
    if c == 0 or abs(c - 1) < 1e-4 or not look.same(a, c * n):
        return None
    return f"every entry is {c:.6g} times the right one: {_reason(c, look.sizes, look.reasons)}"


def _reason(c: float, sizes: dict[str, int], reasons: dict[float, str]) -> str:
    for value, reason in reasons.items():
        if abs(c / value - 1) < 1e-5:
            return reason
    known = {-1.0: "the sign", 2.0: "counted twice, or the 2 of a square too often"}
    known[0.5] = "a factor 2 is missing (the derivative of a square), or a 1/2 too many"
    for name, size in reversed(sizes.items()):
        if size > 1:
            known[float(size)] = f"{name}: a sum where the mean belongs (1/{name} is missing)"
            known[1 / size] = f"1/{name}: a mean where the sum belongs (or the mean is taken twice)"
    for (one, m), (two, k) in combinations(sizes.items(), 2):
        known.setdefault(float(m * k), f"{one} x {two}: that mean is missing")
        known.setdefault(1 / (m * k), f"1/({one} x {two}): that mean is taken too often")
    for value, reason in known.items():
        if abs(c / value - 1) < 1e-5:
            return reason
        if value > 0 and abs(c / value + 1) < 1e-5:
            return f"the sign, and {reason}"
    return "a constant factor is lost, or one too many"


def other_order(look: Look) -> str | None:
    """The right numbers in the wrong places."""
    a, n = look.a, look.n
    if a.shape != n.shape or n.size < 4:
        return None
    for order in permutations(range(n.ndim)):
        if order != tuple(range(n.ndim)) and look.same(a.transpose(order), n):
            return "the right numbers with axes swapped: a transpose is missing or too many"
    for axes in _subsets(n.ndim):
        if look.same(np.flip(a, axes), n):
            return f"the right numbers, flipped along {_axes(axes, n.shape, look.sizes)}"
    for order in permutations(range(n.ndim)):
        turned = a.transpose(order)
        if turned.size == n.size and look.same(turned.reshape(n.shape), n):
            return "the right numbers, reshaped in the wrong order of axes"
        if a.shape == n.shape and look.same(
            a.reshape(turned.shape).transpose(np.argsort(order)), n
        ):
            return "the right numbers, reshaped in the wrong order of axes"
    for axis in range(n.ndim):
        for step in range(1, n.shape[axis]):
            if look.same(np.roll(a, -step, axis), n):
                return f"the right numbers, rolled by {step} along axis {axis}"
        for step in (1, 2):
            late, early = (np.moveaxis(x, axis, 0) for x in (a, n))
            for u, v in ((late[step:], early[:-step]), (late[:-step], early[step:])):
                if u.size >= 8 and look.same(u, v):
                    return f"shifted by {step} along axis {axis}: cropped at the wrong place?"
    if n.size >= 6 and look.same(np.sort(a, axis=None), np.sort(n, axis=None), 1e-6):
        return "the right numbers in another order"
    return None


def upstream_itself(look: Look) -> str | None:
    """dX = dY, or dX = dY times something of the wrong sort."""
    a, dy, x = look.a, look.dy, look.array
    if a.shape != dy.shape or dy.size < 4 or a.shape != look.n.shape:
        return None
    if look.same(a, dy):
        return "it is the upstream gradient itself: the local derivative is missing"
    if look.same(a, np.where(dy > 0, dy, 0)) or look.same(a, np.where(dy < 0, dy, 0)):
        return "the mask is taken from the upstream gradient, not from the input"
    if look.same(a, dy * x):
        return "it is upstream times input"
    if look.same(a * dy, look.n) or look.same(a, look.n / dy):
        return "right without the upstream gradient: upstream is ignored"
    if look.same(a, look.n * dy):
        return "the upstream gradient is multiplied in twice"
    return None


def other_array(look: Look) -> str | None:
    """gamma forgotten or used twice; weight decay added."""
    a, n = look.a, look.n
    if a.shape != n.shape or n.size < 4:
        return None
    for name, q in {**look.others, look.name: look.array}.items():
        for shaped in _broadcasts(q, n.shape):
            if look.same(a * shaped, n):
                return f"{name} is missing: the gradient times {name} would be right"
            if look.same(a, n * shaped):
                return f"{name} is multiplied in once too often"
    for name, q in {look.name: look.array, **look.others}.items():
        c = float(((a - n) * q).sum() / (q * q).sum()) if q.shape == n.shape and q.any() else 0.0
        if abs(c) > 1e-6 and look.same(a - n, c * q):
            if name == look.name:
                return f"right plus {c:.6g} {name}: weight decay that the loss does not contain"
            return f"right plus {c:.6g} {name}: {name} is left out, or added once too often"
    return None


def one_factor_per_channel(look: Look) -> str | None:
    """a = c[k] n along one axis, with factors that differ."""
    a, n = look.a, look.n
    if a.shape != n.shape or n.ndim < 2:
        return None
    for axis in range(n.ndim):
        rest = tuple(k for k in range(n.ndim) if k != axis)
        if n.size / n.shape[axis] < 3 or n.shape[axis] < 2:
            continue
        square = (n * n).sum(rest, keepdims=True)
        c = (a * n).sum(rest, keepdims=True) / np.where(square > 0, square, 1)
        if np.ptp(c) > 1e-4 and look.same(a, c * n):
            factors = ", ".join(f"{v:.4g}" for v in c.ravel()[:4])
            where = _axes((axis,), n.shape, look.sizes)
            return (
                f"one factor for each index of {where} ({factors}, ...): a scale is lost or doubled"
            )
    return None


# --- some entries -------------------------------------------------------------


def one_side(look: Look) -> str | None:
    """An activation that is wrong on one side of zero."""
    x, wrong = look.array, look.result.wrong
    if wrong.shape != x.shape or (look.name not in ("X", "x", "Z") and x.shape != look.dy.shape):
        return None
    for side, other, mask in (("below", "above", x < 0), ("above", "below", x > 0)):
        if wrong.sum() >= 4 and (~wrong).sum() >= 4 and (wrong == mask).all():
            return f"right where its input is {other} zero, wrong {side} it{_how(look)}"
    return None


def _how(look: Look) -> str:
    """What the wrong entries have in common, as a clause."""
    w = look.result.wrong
    a, n, dy = look.a[w], look.n[w], look.dy[w] if look.dy.shape == w.shape else None
    if not a.any():
        return " (there it is 0)"
    if (abs(n) <= look.result.noise).all():
        return " (there it should be 0)"
    if look.same(a, -n):
        return " (there the sign is wrong)"
    if dy is not None and look.same(a, dy):
        return " (there it is the upstream gradient itself)"
    return ""


def region(look: Look) -> str | None:
    """Wrong in one slice only: an edge, one sample, one channel, one gate, one half."""
    wrong = look.result.wrong
    if look.a.shape != look.n.shape or wrong.all() or wrong.size < 4:
        return None
    for axis in range(wrong.ndim):
        rest = tuple(k for k in range(wrong.ndim) if k != axis)
        hit = np.asarray(wrong.any(rest))
        if hit.sum() > max(1, len(hit) // 2) or len(hit) < 2 or not _solid(wrong, hit, axis):
            continue
        k = np.flatnonzero(hit)
        if len(k) == k[-1] - k[0] + 1:
            at = f"index {k[0]}" if len(k) == 1 else f"indices {k[0]} to {k[-1]}"
            last = ", the last" if k[-1] == len(hit) - 1 else ", the first" if k[0] == 0 else ""
            where = _axes((axis,), wrong.shape, look.sizes)
            return f"wrong only at {at} of {where}{last}{_how(look)}"
    return None


def _solid(wrong: Array, hit: Array, axis: int) -> bool:
    return bool(np.moveaxis(wrong, axis, 0)[hit].mean() > 0.8)


def zero_or_extra(look: Look) -> str | None:
    """All wrong entries are zero, or all of them should be."""
    a, n, wrong = look.a, look.n, look.result.wrong
    if a.shape != n.shape or wrong.sum() < 4:
        return None
    if not a[wrong].any():
        return f"zero in {wrong.sum()} entries where it should not be, right elsewhere"
    if (abs(n[wrong]) <= look.result.noise).all():
        return f"{wrong.sum()} entries should be zero and are not, the others are right"
    if look.same(a[wrong], -n[wrong]):
        return f"the sign is wrong in {wrong.sum()} entries, the others are right"
    return None


def normalisation(look: Look) -> str | None:
    """Batchnorm and its kin: dX = (g - mean g - xhat mean(g xhat)) / std sums to zero.

    What a missing term leaves behind is constant (mean) or proportional to x - mean x (variance).
    """
    a, n, x = look.a, look.n, look.array
    if a.shape != n.shape or n.shape != look.dy.shape or n.ndim < 2:
        return None
    for axes in sorted(_subsets(n.ndim), key=len):
        if np.prod([n.shape[k] for k in axes]) < 4 or not _sums_to_zero(n, axes):
            continue
        xc = x - x.mean(axes, keepdims=True)
        rest, power = a - n, (xc * xc).sum(axes, keepdims=True)
        mean = rest.mean(axes, keepdims=True) + 0 * rest
        slope = (rest * xc).sum(axes, keepdims=True) / np.where(power > 0, power, 1) * xc
        if look.same(mean + slope, rest):
            size = abs(rest).max()
            terms = [
                w for w, t in (("mean", mean), ("variance", slope)) if abs(t).max() > 1e-4 * size
            ]
            where = _axes(axes, n.shape, look.sizes)
            what = " and the ".join(terms)
            verb = "are treated as constants" if terms[1:] else "is treated as constant"
            return (
                f"the {what} over {where} {verb}: a term of the normalisation is missing or wrong"
            )
    return None


def _sums_to_zero(n: Array, axes: tuple[int, ...]) -> bool:
    return bool(abs(n.sum(axes)).max() < 1e-6 * abs(n).sum(axes).max())


def digits(look: Look) -> str | None:
    """Right to a few digits: not another formula, another constant or another precision."""
    a, n = look.a, look.n
    if a.shape != n.shape or n.size < 4:
        return None
    worst = abs(a - n).max() / max(abs(n).max(), 1e-300)
    if 1e-8 < worst < 2e-3 and look.result.wrong.mean() > 0.5:
        return (
            f"right to {-np.log10(worst):.0f} digits: an epsilon in another place than in forward, "
            "or float32 on the way"
        )
    return None


FINDERS = (
    wrong_shape,
    not_finite,
    zeros,
    factor,
    upstream_itself,
    other_array,
    other_order,
    one_side,
    normalisation,
    digits,
    region,
    zero_or_extra,
    one_factor_per_channel,
)


# --- words --------------------------------------------------------------------


def _subsets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)]


def _axes(axes: tuple[int, ...], shape: tuple[int, ...], sizes: dict[str, int]) -> str:
    names = [name for name, size in sizes.items() if len(axes) == 1 and size == shape[axes[0]]]
    word = "axis " + str(axes[0]) if len(axes) == 1 else f"axes {axes}"
    return f"{word} (the {names[0]})" if names else word


def _broadcasts(q: Array, shape: tuple[int, ...]) -> list[Array]:
    """q laid along each axis of shape that has its length; q as it is where it fits."""
    if q.shape == shape:
        return [q]
    if q.size < 2 or q.size != max(q.shape, default=0):
        return []
    line = q.ravel()
    return [
        line.reshape([-1 if k == axis else 1 for k in range(len(shape))])
        for axis, size in enumerate(shape)
        if size == line.size
    ]
