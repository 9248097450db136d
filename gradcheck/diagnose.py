"""Name the mistake from the numbers: what a wrong gradient looks like beside the right one.

Each finder answers with a sentence or with None. A sentence says what the numbers show, then what
usually causes that. Unstructured differences get no sentence: silence is better than a guess.
"""

from collections.abc import Mapping
from itertools import combinations, permutations

import numpy as np

from gradcheck.look import Array, Look, broadcasts, name_axes, subsets
from gradcheck.partly import one_side, region, zero_or_extra

__all__ = ["FINDERS", "diagnose"]


def diagnose(look: Look) -> str | None:
    """The first sentence that fits, or None: no known pattern."""
    return next(filter(None, (finder(look) for finder in FINDERS)), None)


# --- the shape is wrong -------------------------------------------------------


def wrong_shape(look: Look) -> str | None:
    """The numbers may still be recognisable: summed too little, too much, or turned."""
    a, n = look.a, look.n
    if a.shape == n.shape:
        return None
    for axes in subsets(a.ndim):
        for keep in (False, True):
            if look.same(a.sum(axis=axes, keepdims=keep), n):
                return f"not summed over {name_axes(axes, a.shape, look.sizes)}"
    for axes in subsets(n.ndim):
        for keep in (False, True):
            if look.same(a, n.sum(axis=axes, keepdims=keep)):
                return f"summed over {name_axes(axes, n.shape, look.sizes)}, which should be kept"
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
    return f"every entry is {c:.6g} times the right one: {_reason(c, look.sizes)}"


def _reason(c: float, sizes: Mapping[str, float]) -> str:
    for reason, value in sizes.items():
        if isinstance(value, float) and abs(c / value - 1) < 1e-5:
            return reason
    known = {-1.0: "the sign", 2.0: "counted twice, or the 2 of a square too often"}
    known[0.5] = "a factor 2 is missing (the derivative of a square), or a 1/2 too many"
    sizes = {name: size for name, size in sizes.items() if not isinstance(size, float)}
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
    for axes in subsets(n.ndim):
        if look.same(np.flip(a, axes), n):
            return f"the right numbers, flipped along {name_axes(axes, n.shape, look.sizes)}"
    for order in permutations(range(n.ndim)):
        turned = a.transpose(order)
        back = a.reshape(turned.shape).transpose(np.argsort(order))
        if look.same(turned.reshape(n.shape), n) or look.same(back, n):
            return "the right numbers, reshaped in the wrong order of axes"
    if said := next(filter(None, (_moved(look, axis) for axis in range(n.ndim))), None):
        return said
    if n.size >= 6 and look.same(np.sort(a, axis=None), np.sort(n, axis=None), 1e-6):
        return "the right numbers in another order"
    return None


def _moved(look: Look, axis: int) -> str | None:
    """Rolled, or shifted with something lost at an end, along one axis."""
    a, n = (np.moveaxis(x, axis, 0) for x in (look.a, look.n))
    for step in range(1, len(n)):
        if look.same(np.roll(a, -step, 0), n):
            return f"the right numbers, rolled by {step} along axis {axis}"
    for step in (1, 2):
        for u, v in ((a[step:], n[:-step]), (a[:-step], n[step:])):
            if u.size >= 8 and look.same(u, v):
                return f"shifted by {step} along axis {axis}: cropped at the wrong place?"
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
        for shaped in broadcasts(q, n.shape):
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
            where = name_axes((axis,), n.shape, look.sizes)
            return (
                f"one factor for each index of {where} ({factors}, ...): a scale is lost or doubled"
            )
    return None


def normalisation(look: Look) -> str | None:
    """Batchnorm and its kin: dX = (g - mean g - xhat mean(g xhat)) / std sums to zero.

    What a missing term leaves behind is constant (mean) or proportional to x - mean x (variance).
    """
    a, n, x = look.a, look.n, look.array
    if a.shape != n.shape or n.shape != look.dy.shape or n.ndim < 2:
        return None
    for axes in sorted(subsets(n.ndim), key=len):
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
            where = name_axes(axes, n.shape, look.sizes)
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
