"""Name the mistake: guesses, each a sentence and two arrays that agree if it is true.

A guess compares the wrong gradient, or something made of it, with something made of the right
one. The first that agrees names the mistake. It must explain the whole error, all but a thousandth
of it, so that unstructured differences match no guess: silence is better than a wrong name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations
from typing import Any

import numpy as np

from gradcheck.case import Array, Case, Checked
from gradcheck.core import STEP

__all__ = ["explain"]

TRIED = 300_000  # entries of the table of contributions up to which counterfactuals are tried
Guess = tuple[str, Array, Array]
YES = np.ones(1)  # a guess that was decided by other means agrees with itself


def explain(case: Case, name: str, checked: Checked) -> str | None:
    """The first guess that holds for the gradient of one array; None: no known pattern."""
    clue = Clue(case, name, checked)
    if checked.sampled or not clue.n.size:
        return None
    with np.errstate(all="ignore"):
        for guesses in GUESSES:
            for sentence, one, other in guesses(clue):
                if clue.same(one, other):
                    return sentence
            if guesses is shape and clue.a.shape != clue.n.shape:
                return None  # the other guesses compare entry by entry
    return None


@dataclass
class Clue:
    """A wrong gradient a, the right one n, and all that may explain the difference."""

    case: Case
    name: str
    checked: Checked

    def __post_init__(self) -> None:
        result = self.checked.results[self.name]
        self.a = np.asarray(result.backprop, float)
        self.n, self.noise, self.wrong = result.numeric, result.noise, result.wrong
        self.x, self.dy = self.case.arrays[self.name], np.asarray(self.checked.dy)
        alike = self.a.shape == self.n.shape and np.isfinite(self.a).all()
        self.gap = abs(self.a - self.n).max() if alike and self.a.size else np.inf
        self.sizes = {k: v for k, v in self.case.sizes.items() if isinstance(v, int) and v > 1}

    @cached_property
    def others(self) -> dict[str, Array]:
        """The other arrays of the case, its labels, and its output where that has x's shape."""
        known = {**self.case.arrays, **self.case.constants}
        found = {k: np.asarray(v, float) for k, v in known.items() if k != self.name}
        y = np.asarray(self.case.forward())
        return {**found, "the output Y": y} if y.shape == self.x.shape else found

    @cached_property
    def contributions(self) -> Array | None:
        """(*x, *dy): what each output adds to the gradient of each entry, by differences."""
        if self.x.size * self.dy.size > TRIED or not self.dy.ndim:
            return None
        return slopes(self.case, self.x, self.dy)

    def same(self, u: Array, v: Array) -> bool:
        """Are these the same numbers, as far as differences can tell?"""
        if u.shape != v.shape or not np.isfinite(u).all():
            return False
        size = abs(v).max(initial=0)
        slack = min(1e-5 * size, 1e-3 * self.gap) + 3 * self.noise
        return bool(slack < size and (abs(u - v) <= slack).all())

    def axis(self, *axes: int, of: Array | None = None) -> str:
        """ "axis 0 (the batch)"; where two sizes are equal, the batch has the batch's axis."""
        shape = (self.n if of is None else of).shape
        if len(axes) != 1:
            return f"axes {axes}"
        names = [name for name, size in self.sizes.items() if size == shape[axes[0]]]
        batch = axes[0] == self.case.batch_axis
        names.sort(key=lambda name: (name == "batch") != batch)
        return f"axis {axes[0]} (the {names[0]})" if names else f"axis {axes[0]}"


def slopes(case: Case, x: Array, dy: Array, instead: tuple[Array, Array] | None = None) -> Array:
    """(*x, *dy): dy times the slopes of the outputs; instead: an array, and other values for it."""
    array, values = instead or (x, x)
    out, before, point = np.zeros(x.shape + dy.shape), array.copy(), x.copy()
    try:
        array[...] = values
        here = x.copy()
        for i in np.ndindex(x.shape):
            for sign in (1, -1):
                x[i] = here[i] + sign * STEP
                out[i] += sign * np.array(case.forward()) * dy / (2 * STEP)
            x[i] = here[i]
    finally:
        x[...], array[...] = point, before
    return out


def subsets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)]


def fit(u: Array, v: Array, axes: tuple[int, ...] | None = None) -> Any:
    """The factor c for which c v comes nearest to u; along axes, one for each of the rest."""
    power = (v * v).sum(axes, keepdims=axes is not None)
    return (u * v).sum(axes, keepdims=axes is not None) / np.maximum(power, 1e-300)


# --- the whole array ----------------------------------------------------------


def shape(clue: Clue) -> Iterator[Guess]:
    """Summed too little or too much, or turned."""
    a, n = clue.a, clue.n
    if a.shape == n.shape:
        return
    for axes in subsets(a.ndim):
        for keep in (False, True):
            yield f"not summed over {clue.axis(*axes, of=a)}", a.sum(axes, keepdims=keep), n
    for axes in subsets(n.ndim):
        for keep in (False, True):
            words = f"summed over {clue.axis(*axes)}, which should be kept"
            yield words, n.sum(axes, keepdims=keep), a
    yield "the transpose of the right gradient", a.T, n
    batch = clue.dy.shape[clue.case.batch_axis] if clue.dy.ndim > 1 else 0
    if a.size == batch != n.size and batch > 1:
        yield "one number for each sample: summed over the wrong axis", YES, YES
    yield f"the right numbers in another shape: {n.shape} is needed", a.ravel(), n.ravel()


def whole(clue: Clue) -> Iterator[Guess]:
    """Nothing, nothing finite, one constant factor, or something added."""
    a, n, x = clue.a, clue.n, clue.x
    if not np.isfinite(a).all():
        count = (~np.isfinite(a)).sum()
        yield f"{count} entries are nan or inf: a division by 0, or a log?", YES, YES
    if not a.any():
        yield "all zero: never computed, lost on the way, or always reset", YES, YES
    if (abs(n) <= clue.noise).all():
        yield "it is dY, past a step that is flat: straight-through on purpose?", a, clue.dy
        yield f"the output does not depend on {clue.name}, yet its gradient is not 0", YES, YES
    if n.size < 4:
        return
    c = fit(a, n)
    if 1e-6 < abs(c) < 1e6:
        yield f"every entry is {c:.6g} times the right one: {factor(clue, c)}", a, c * n
    for name, q in {clue.name: x, **clue.others}.items():
        if q.shape == n.shape and (abs(c := fit(a - n, q)) > 1e-6):
            own = "weight decay that the loss does not contain"
            said = own if q is x else f"{name} is left out, or added once too often"
            yield f"right plus {c:.6g} {name}: {said}", a - n, c * q
    low, high = a.min(), a.max()
    if 2 < (a == low).sum() + (a == high).sum() < a.size:
        yield f"clipped to {low:.6g} ... {high:.6g}", a, n.clip(low, high)


def factor(clue: Clue, c: float) -> str:
    """What a constant factor usually comes from."""
    for value, reason in known_factors(clue).items():
        if abs(c / value - 1) < 1e-5:
            return reason
        if value > 0 and abs(c / value + 1) < 1e-5:
            return f"the sign, and {reason}"
    norm = float(np.linalg.norm(clue.a))
    if abs(norm - round(norm, 1)) < 1e-6 < norm:
        return f"divided by its norm, which is {norm:.3g} now: clipped or normalised?"
    return "a constant factor is lost, or one too many"


def known_factors(clue: Clue) -> dict[float, str]:
    """Signs and twos, the sizes that have a name, their products, then all other sizes."""
    known = {-1.0: "the sign", 2.0: "counted twice, or the 2 of a square too often"}
    known[0.5] = "a factor 2 is missing (the derivative of a square), or a 1/2 too many"
    known |= {v: k for k, v in clue.case.sizes.items() if not isinstance(v, int)}
    for name, size in reversed(clue.sizes.items()):
        known[float(size)] = f"{name}: a sum where the mean belongs (1/{name} is missing)"
        known[1 / size] = f"1/{name}: a mean where the sum belongs (or the mean is taken twice)"
    for name, size in clue.sizes.items():
        known.setdefault(size**0.5, f"the square root of {name}: is a scale missing?")
        known.setdefault(size**-0.5, f"1 / the square root of {name}: a scale taken twice?")
    for (one, m), (two, k) in combinations([*clue.sizes.items()] * 2, 2):
        known.setdefault(float(m * k), f"{one} x {two}: that mean is missing")
        known.setdefault(1 / (m * k), f"1/({one} x {two}): that mean is taken too often")
    for name, q in {clue.name: clue.x, **clue.others, "dY": clue.dy}.items():
        sizes = {f"axis {k} of {name}": size for k, size in enumerate(q.shape)}
        for where, size in {**sizes, f"all of {name}": q.size}.items():
            known.setdefault(float(size), f"{size}, the size of {where}: summed over it?")
            known.setdefault(1 / max(size, 1), f"1/{size}, the size of {where}: a mean over it?")
    return known


# --- products with what is at hand --------------------------------------------


def upstream(clue: Clue) -> Iterator[Guess]:
    """The upstream gradient as it is, summed, or multiplied by the wrong thing."""
    a, n, x, dy = clue.a, clue.n, clue.x, clue.dy
    lost = "the local derivative is missing"
    if dy.shape == n.shape and n.size >= 4:
        yield f"it is the upstream gradient itself: {lost}", a, dy
        said = "the mask is taken from the upstream gradient, not from the input"
        yield said, a, np.where(dy > 0, dy, 0)
        yield said, a, np.where(dy < 0, dy, 0)
        yield "it is upstream times input", a, dy * x
        yield "right without the upstream gradient: upstream is ignored", a * dy, n
    for path, g in chains(clue):
        for axes in subsets(g.ndim):
            for keep in (False, True):
                yield f"it is {path}, summed: {lost}", a, g.sum(axes, keepdims=keep)
        for name, q in {**clue.others, clue.name: x}.items():
            for words, left, right in ((f"{name}' {path}", q.T, g), (f"{path} {name}'", g, q.T)):
                if left.ndim == right.ndim == 2 and left.shape[1] == right.shape[0]:
                    yield f"it is {words}: {lost}", a, left @ right


def chains(clue: Clue) -> Iterator[tuple[str, Array]]:
    """dY, and dY through each of the weights: what comes back if no activation is in between."""
    yield "dY", clue.dy
    for name, q in clue.others.items():
        if q.ndim == clue.dy.ndim == 2:
            if q.shape[1] == clue.dy.shape[1]:
                yield f"dY {name}'", clue.dy @ q.T
            if q.shape[0] == clue.dy.shape[0]:
                yield f"{name}' dY", q.T @ clue.dy


def borrowed(clue: Clue) -> Iterator[Guess]:
    """The gradient of another array, or made of one."""
    results = [(k, r) for k, r in clue.checked.results.items() if k != clue.name]
    for name, result in results if clue.a.size > 1 else ():
        yield f"it is the gradient of {name}: are the two swapped?", clue.a, result.numeric
        for axes in subsets(result.backprop.ndim):
            total = result.backprop.sum(axes)
            if total.size == clue.a.size:
                words = f"it is d{name} summed over {clue.axis(*axes, of=result.backprop)}"
                yield f"{words}, not dY summed", clue.a.ravel(), total.ravel()


def products(clue: Clue) -> Iterator[Guess]:
    """gamma forgotten or used twice; a softmax too many."""
    a, n, x = clue.a, clue.n, clue.x
    if n.size < 4:
        return
    for name, q in {**clue.others, clue.name: x}.items():
        for shaped in broadcasts(q, n.shape):
            yield f"{name} is missing: the gradient times {name} would be right", a * shaped, n
            yield f"{name} is multiplied in once too often", a, n * shaped
    for axis in range(n.ndim):
        e, whole = np.exp(x - x.max(axis, keepdims=True)), np.exp(x - x.max())
        p = e / e.sum(axis, keepdims=True)
        twice = p * (n - (n * p).sum(axis, keepdims=True))
        yield "the derivative of the softmax is applied once too often", a, twice
        for y in clue.case.constants.values():
            if np.shape(y) == n.shape:
                said = f"exp is not divided by its sum over {clue.axis(axis)}"
                yield f"{said}, but by the sum over everything", *scaled(a, whole / whole.sum() - y)
                yield said, *scaled(a, e - y)


def scaled(a: Array, v: Array) -> tuple[Array, Array]:
    return a, fit(a, v) * v


def broadcasts(q: Array, shape: tuple[int, ...]) -> list[Array]:
    """q laid along each axis of shape that has its length; q as it is where it fits."""
    if q.shape == shape:
        return [q]
    if q.size < 2 or q.size != max(q.shape, default=0):
        return []
    fits = [axis for axis, size in enumerate(shape) if size == q.size]
    return [q.reshape([-1 if k == axis else 1 for k in range(len(shape))]) for axis in fits]


# --- places -------------------------------------------------------------------


def order(clue: Clue) -> Iterator[Guess]:
    """The right numbers in the wrong places."""
    a, n = clue.a, clue.n
    if n.size < 4:
        return
    for turn in list(permutations(range(n.ndim)))[1:]:
        said = "the right numbers with axes swapped: a transpose is missing or too many"
        yield said, a.transpose(turn), n
    for axes in subsets(n.ndim):
        yield f"the right numbers, flipped along {clue.axis(*axes)}", np.flip(a, axes), n
        total = np.broadcast_to(n.sum(axes, keepdims=True), n.shape)
        yield f"summed over {clue.axis(*axes)} as well, and the same for all", a, total
    for axis in range(n.ndim):
        yield from slices(clue, axis)


def slices(clue: Clue, axis: int) -> Iterator[Guess]:
    """Each index of an axis holds what belongs to another one: channels, gates, neighbours."""
    a, n = np.moveaxis(clue.a, axis, 0), np.moveaxis(clue.n, axis, 0)
    if a[0].size < 2 or len(a) < 2:
        return
    from_ = [next((k for k in range(len(n)) if clue.same(u, n[k])), -1) for u in a]
    where, one = clue.axis(axis), len(set(from_)) == 1
    if -1 not in from_:
        said = f"each index of {where} holds what belongs to another one: {from_}"
        yield f"all of {where} hold what belongs to {from_[0]}" if one else said, YES, YES


def in_part(clue: Clue) -> Iterator[Guess]:
    """Wrong in some entries only: on one side of zero, in one slice, where a zero belongs."""
    a, n, x, wrong = clue.a, clue.n, clue.x, clue.wrong
    silent = abs(n) <= clue.noise
    if n.size >= 6 and 2 < silent.sum() < n.size - 2:
        said = "0 where it should not be, and not 0 where it should: is the mask inverted?"
        yield said, (a == 0).astype(float), (~silent).astype(float)
    if wrong.all() or wrong.sum() < 4:
        return
    shared = common(clue)
    how = f" ({shared})" if shared else ""
    if x.shape == wrong.shape and (clue.name in ("X", "x", "Z") or x.shape == clue.dy.shape):
        for right, bad, side in (("above", "below", x < 0), ("below", "above", x > 0)):
            words = f"right where its input is {right} zero, wrong {bad} it{how}"
            yield words, wrong.astype(float), side.astype(float)
    for axis in range(wrong.ndim):
        rest = tuple(k for k in range(wrong.ndim) if k != axis)
        hit, where = np.flatnonzero(wrong.any(rest)), clue.axis(axis)
        solid = np.take(wrong, hit, axis).mean() > 0.8
        length = wrong.shape[axis]
        if solid and len(hit) <= max(1, length // 2) and len(hit) == np.ptp(hit) + 1:
            last = " (the last)" if hit[-1] == length - 1 else " (the first)" if not hit[0] else ""
            yield f"wrong only at {list(map(int, hit))} of {where}{last}{how}", YES, YES
        if wrong.ndim > 2 < length and solid and list(hit) == list(range(length - 1)):
            words = f"right at the last index of {where} only"
            yield f"{words}: what flows back from later steps is missing or wrong", YES, YES


def scattered(clue: Clue) -> Iterator[Guess]:
    """Wrong here and there, but always in the same way."""
    if not clue.wrong.all() and clue.wrong.sum() >= 4 and (shared := common(clue)):
        said = f"wrong in {clue.wrong.sum()} entries, the others are right"
        yield f"{said} ({shared})", YES, YES


def common(clue: Clue) -> str:
    """What the wrong entries have in common."""
    w = clue.wrong
    a, n = clue.a[w], clue.n[w]
    if not a.any():
        return "there it is 0"
    if (abs(n) <= clue.noise).all():
        return "there it should be zero"
    if clue.same(a, -n):
        return "there the sign is wrong"
    if clue.dy.shape == w.shape and clue.same(a, clue.dy[w]):
        return "there it is the upstream gradient itself"
    c = fit(a, n)
    return f"there it is {c:.4g} times the right one" if clue.same(a, c * n) else ""


def normalised(clue: Clue) -> Iterator[Guess]:
    """Batchnorm and its kin: a missing term is constant (mean), or grows with x (variance)."""
    a, n, x = clue.a, clue.n, clue.x
    rest = a - n
    if n.size < 4:
        return
    for axes in sorted(subsets(n.ndim), key=len) if n.shape == clue.dy.shape and n.ndim > 1 else ():
        if abs(n.sum(axes)).max() >= 1e-6 * abs(n).sum(axes).max() or n.size / n.sum(axes).size < 4:
            continue
        xc = x - x.mean(axes, keepdims=True)
        mean = rest.mean(axes, keepdims=True) + 0 * rest
        slope = fit(rest, xc, axes) * xc
        terms = (("mean", mean), ("variance", slope))
        lost = " and the ".join(w for w, t in terms if abs(t).max() > 1e-4 * abs(rest).max())
        said = f"the {lost} over {clue.axis(*axes)} treated as constant"
        yield f"{said}: a term of the normalisation is missing or wrong", mean + slope, rest
    for axis in [k for k in range(n.ndim) if n.size >= 3 * n.shape[k] > 3]:
        others = tuple(k for k in range(n.ndim) if k != axis)
        c, std = fit(a, n, others), x.std(others, keepdims=True)
        for power in (1, -1, 2, -2):
            ratio = c * std**power
            if np.ptp(c) > 1e-4 and np.allclose(ratio, ratio.mean(), 1e-3):
                words = "the deviation" if abs(power) == 1 else "the variance"
                said = f"one factor for each index of {clue.axis(axis)}"
                yield f"{said}: {words} of its entries", a, c * n
    worst = clue.gap / max(abs(n).max(), 1e-300)
    if 1e-8 < worst < 2e-3 and clue.wrong.mean() > 0.5:
        said = f"right to {-np.log10(worst):.0f} digits: an epsilon elsewhere than in forward"
        yield f"{said}, a rounded constant, or float32 on the way", YES, YES


# --- counterfactuals ----------------------------------------------------------


def counted(clue: Clue) -> Iterator[Guess]:
    """Would it be right if only some outputs counted?"""
    C, dy = clue.contributions, clue.dy
    if C is None or clue.n.size < 2:
        return
    inside = range(clue.x.ndim, C.ndim)
    for axis in inside:
        by = np.moveaxis(C.sum(tuple(k for k in inside if k != axis)), -1, 0)
        where = clue.axis(axis - clue.x.ndim, of=dy)
        for k in reversed(range(len(by))) if len(by) > 1 else ():
            sample = axis - clue.x.ndim == clue.case.batch_axis
            only = f"only sample {k} of {len(by)}" if sample else f"only index {k} of {where}"
            yield f"{only} counts: assigned instead of added up?", clue.a, by[k]
    along = [np.moveaxis(C, axis, -1) for axis in inside]
    for table in [*along, C.reshape(*clue.x.shape, -1)]:
        for way, words in ((table[..., ::-1], "last"), (table, "first")):
            heard = abs(way) > 1e-3 * abs(table).max()
            one = np.take_along_axis(way, heard.argmax(-1)[..., None], -1)[..., 0]
            said = f"where several outputs share an entry only the {words} counts"
            total = one.sum(tuple(range(clue.x.ndim, one.ndim)))
            yield f"{said}: = for += (windows that overlap, a repeated index)?", clue.a, total


def formulas(clue: Clue) -> Iterator[Guess]:
    """Of an activation: the derivative at another point, or another derivative."""
    a, x, dy, C = clue.a, clue.x, clue.dy, clue.contributions
    if C is None or x.shape != dy.shape or x.size < 2:
        return
    own = np.einsum("ii->i", C.reshape(x.size, x.size)).reshape(x.shape)
    said = "only the diagonal of the Jacobian: each output is taken to depend on its own input"
    yield said, a, own
    for f in (x * (1 - x), 1 - x * x):
        yield "a formula in terms of the output is given the input", a, dy * f
    y = np.array(clue.case.forward())
    there = slopes(clue.case, x, dy, (x, y)).sum(tuple(range(x.ndim, C.ndim)))
    yield "the derivative is taken at the output, not at the input", a, there
    for words, f in {"y": y, "1 - y": 1 - y, "y (1 + y)": y * (1 + y)}.items():
        yield f"it is dY times {words}, where y is the output", a, dy * f


def counterfactuals(clue: Clue) -> Iterator[Guess]:
    """Would it be right if another array were different? Not the data itself."""
    x, dy, C = clue.x, clue.dy, clue.contributions
    arrays = {k: q for k, q in clue.case.arrays.items() if k not in ("X", clue.name)}
    for name, q in arrays.items() if C is not None and clue.n.size > 1 else ():
        result = clue.checked.results.get(name)
        step = 0 if result is None else np.asarray(result.backprop)
        for words, other in changes(q, step):
            if not np.array_equal(other, q):
                again = slopes(clue.case, x, dy, (q, other.copy()))
                total = again.sum(tuple(range(x.ndim, again.ndim)))
                yield f"would be right if {name} were {words}", clue.a, total


def changes(q: Array, step: Any) -> Iterator[tuple[str, Array]]:
    """Ways in which a parameter may be used wrongly in a backward pass."""
    if np.shape(step) == q.shape:
        yield "updated already: take its gradient before the step", q - step
    if q.ndim == 2 and q.shape[0] == q.shape[1]:
        yield "transposed", q.T
    if q.ndim >= 3:
        yield "flipped in its last two axes", q[..., ::-1, ::-1]
        yield "flipped along its last axis", q[..., ::-1]
    yield "left out (as if it were 0)", np.zeros_like(q)
    yield "left out (as if it were 1)", np.ones_like(q)


GUESSES = (
    borrowed, shape, whole, upstream, products, order, in_part, normalised,
    counted, formulas, counterfactuals, scattered,
)  # fmt: skip
