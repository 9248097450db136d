"""Mistakes in some entries only: on one side of zero, at an edge, where a zero belongs."""

import numpy as np

from gradcheck.look import Array, Look, name_axes

__all__ = ["one_side", "region", "zero_or_extra"]


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
            where = name_axes((axis,), wrong.shape, look.sizes)
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
