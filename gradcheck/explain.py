"""Name the mistake: guesses, each a sentence and two arrays that agree if it is true.

A guess compares the wrong gradient a, or something made of it, with something made of the right
one, n. The first that agrees names the mistake. It must explain the whole error, all but a
thousandth of it: unstructured differences match no guess, and silence is better than a wrong name.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations

import numpy as np

from gradcheck.case import Array, Case, Checked
from gradcheck.core import STEP, CannotCheck, shifted

__all__ = ["explain"]

TRIED = 300_000  # so many pairs of an entry and an output are differenced once more
Guess = tuple[str, Array, Array]
YES = np.ones(1)  # a guess that was decided by other means agrees with itself


def explain(case: Case, name: str, checked: Checked) -> str | None:
    """The first guess that holds for the gradient of one array; None: no known pattern."""
    clue = Clue(case, name, checked)
    if checked.sampled or not clue.n.size:
        return None
    guesses = (EVERY if clue.n.size >= 4 else (nothing, linear)) if clue.alike else (shape, linear)
    with np.errstate(all="ignore"), suppress(CannotCheck):  # forward may refuse other values
        made = (pair for guess in guesses for pair in guess(clue))
        return next((said for said, one, other in made if clue.same(one, other)), None)
    return None  # forward refused


class Clue:
    """A wrong gradient a of the array x, the right one n, and all that may explain the rest."""

    def __init__(self, case: Case, name: str, checked: Checked):
        self.case, self.name, self.results = case, name, checked.results
        result = checked.results[name]
        self.a, self.n = np.asarray(result.backprop, float), result.numeric
        self.noise, self.wrong = result.noise, result.wrong
        self.alike = self.a.shape == self.n.shape
        self.gap = abs(self.a - self.n).max(initial=0) if self.alike else np.inf
        self.x, self.dy = case.arrays[name], np.asarray(checked.dy)
        self.sizes = {k: v for k, v in case.sizes.items() if isinstance(v, int) and v > 1}
        known = {name: self.x, **case.arrays, **case.constants}
        self.arrays = {k: np.asarray(v, float) for k, v in known.items()}
        self.outputs = tuple(range(self.x.ndim, self.x.ndim + self.dy.ndim))  # axes of slopes()
        self.small = self.outputs and self.x.size * self.dy.size <= TRIED

    def same(self, u: Array, v: Array) -> bool:
        """Are these the same numbers, as far as differences can tell?"""
        if u.shape != v.shape or not np.isfinite(u).all():
            return False
        size = abs(v).max(initial=0)
        slack = np.fmin(1e-5 * size, 1e-3 * self.gap) + 3 * self.noise
        return bool(slack < size and (abs(1.0 * u - v) <= slack).all())

    def axis(self, *axes: int, of: Array | None = None) -> str:
        """ "axis 0 (the batch)"; where two sizes are equal, the batch has the batch's axis."""
        if len(axes) > 1:
            return f"axes {axes}"
        size, batch = (self.n if of is None else of).shape[axes[0]], axes[0] == self.case.batch_axis
        names = [name for name, value in self.sizes.items() if value == size]
        names.sort(key=lambda name: (name == "batch") != batch)
        return f"axis {axes[0]}" + "".join(f" (the {name})" for name in names[:1])

    def slopes(self) -> Array:
        """(*x, *dy): what each output adds to the gradient of each entry of x."""
        out = np.zeros(self.x.shape + self.dy.shape)
        for i in np.ndindex(self.x.shape):
            up, down = (shifted(self.case.forward, self.x, i, h, self.dy) for h in (STEP, -STEP))
            out[i] = (up - down) / (2 * STEP)
        return out

    def if_it_were(self, array: Array, values: Array) -> Array:
        """What the gradient would be if the array had other values."""
        before = array.copy()
        try:
            array[...] = values.copy()
            return self.slopes().sum(self.outputs)
        finally:
            array[...] = before


def subsets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)]


def fit(u: Array, v: Array, axes: tuple[int, ...] | None = None) -> Array:
    """The factor c for which c v comes nearest to u; along axes, one for each of the rest."""
    power = (v * v).sum(axes, keepdims=True)
    return (u * v).sum(axes, keepdims=True) / np.maximum(power, 1e-300)


def nothing(clue: Clue) -> Iterator[Guess]:
    """Nothing, nothing finite, or something where nothing belongs."""
    if not np.isfinite(clue.a).all():
        yield "some entries are nan or inf: a division by 0, or a log?", YES, YES
    if not clue.a.any():
        yield "all zero: never computed, lost on the way, or always reset", YES, YES
    if (abs(clue.n) <= clue.noise).all():
        yield "it is dY, past a step that is flat: straight-through on purpose?", clue.a, clue.dy
        yield f"the output does not depend on {clue.name}, yet its gradient is not 0", YES, YES


def shape(clue: Clue) -> Iterator[Guess]:
    """Not summed, summed over the wrong axis, or turned."""
    a, n = clue.a, clue.n
    for axes in subsets(a.ndim):
        yield f"not summed over {clue.axis(*axes, of=a)}", a.sum(axes).ravel(), n.ravel()
    yield "the transpose of the right gradient", a.T, n
    if clue.dy.ndim > 1 and n.size != a.size == clue.dy.shape[clue.case.batch_axis] > 1:
        yield "one number for each sample: summed over the wrong axis", YES, YES
    yield f"the right numbers in another shape: {n.shape} is needed", a.ravel(), n.ravel()


def fitted(clue: Clue) -> Iterator[Guess]:
    """One constant factor, something added, a limit, a few digits."""
    a, n, c = clue.a, clue.n, fit(clue.a, clue.n).item()
    if 1e-6 < abs(c) < 1e6:
        why = [words for value, words in factors(clue) if abs(c / value - 1) < 1e-5]
        said = [*why, "a constant factor is lost, or one too many"][0]
        yield f"every entry is {c:.6g} times the right one: {said}", a, c * n
    for name, q in clue.arrays.items():
        if q.shape == n.shape and abs(c := fit(a - n, q).item()) > 1e-6:
            own = "weight decay that the loss does not contain"
            said = own if name == clue.name else f"{name} is left out, or added once too often"
            yield f"right plus {c:.6g} {name}: {said}", a - n, c * q
    low, high = a.min(), a.max()
    if 2 < (a == low).sum() + (a == high).sum() < a.size:
        yield f"clipped to {low:.6g} ... {high:.6g}", a, n.clip(low, high)
    digits = -np.log10(abs(a - n).max() / max(abs(n).max(), 1e-300))
    if 2.7 < digits < 8 and clue.wrong.mean() > 0.5:
        yield f"right to {digits:.0f} digits: an epsilon, a rounded constant, or float32?", YES, YES


def factors(clue: Clue) -> Iterator[tuple[float, str]]:
    """What the case knows, the sign, twos, the sizes that have a name, and all others."""
    yield from ((value, k) for k, value in clue.case.sizes.items() if not isinstance(value, int))
    yield -1.0, "the sign"
    twice = "counted twice, or the 2 of a square too often"
    half = "a factor 2 is missing (the derivative of a square), or a 1/2 too many"
    known = [] if 2 in clue.sizes.values() else [(2.0, twice), (0.5, half)]
    arrays, sizes = {**clue.arrays, "dY": clue.dy}.items(), [*clue.sizes.items()]
    sizes += [(f"axis {k} of {name}", size) for name, q in arrays for k, size in enumerate(q.shape)]
    sizes += [(f"the size of {name}", q.size) for name, q in arrays]
    for name, size in sizes:
        mean = "a mean where the sum belongs (or the mean is taken twice)"
        known += [(size, f"{name}: a sum where the mean belongs (1/{name} is missing)")]
        known += [(1 / max(size, 1), f"1/{name}: {mean}")]
    for name, size in clue.sizes.items():
        known += [(size**0.5, f"the square root of {name}: is a scale missing?")]
    yield from known
    yield from ((-value, f"the sign, and {words}") for value, words in known)


def linear(clue: Clue) -> Iterator[Guess]:
    """Other gradients; dY through weights, as if no activation were in between; their sums."""
    others = [(k, r.numeric) for k, r in clue.results.items() if k != clue.name]
    made = [(f"the gradient of {k}", "are the two mixed up?", g) for k, g in others]
    paths, matrices = [("dY", clue.dy)], [(k, q) for k, q in clue.arrays.items() if q.ndim == 2]
    for _ in range(3):
        made += [(path, "the local derivative is missing", g) for path, g in paths]
        pairs = [(p, g, k, q) for p, g in paths for k, q in matrices if g.ndim == 2]
        paths = [(f"{k}' {p}", q.T @ g) for p, g, k, q in pairs if len(q) == len(g)]
        paths += [(f"{p} {k}'", g @ q.T) for p, g, k, q in pairs if q.shape[1] == g.shape[1]]
    for words, why, v in made:
        yield f"it is {words}: {why}", clue.a, v
        for axes in subsets(v.ndim):
            summed = f"it is {words}, summed over {clue.axis(*axes, of=v)}: {why}"
            yield summed, clue.a.ravel(), v.sum(axes).ravel()


def activation(clue: Clue) -> Iterator[Guess]:
    """Where the output has the shape of the input: dY times something else than the slope."""
    a, x, dy = clue.a, clue.x, clue.dy
    if x.shape != dy.shape or not clue.small:
        return
    y = np.array(clue.case.forward())
    yield "it is the upstream gradient itself: the local derivative is missing", a, dy
    yield "the mask is taken from the upstream gradient, not from the input", a, dy * (dy > 0)
    yield "the mask is inverted: it is dY where the input is below zero", a, dy * (x < 0)
    yield "it is upstream times input", a, dy * x
    yield "it is dY times y, where y is the output", a, dy * y
    yield "it is dY times 1 - y, where y is the output", a, dy * (1 - y)
    for given in (x * (1 - x), 1 - x * x):
        yield "a formula in terms of the output is given the input", a, dy * given
    yield "right without the upstream gradient: upstream is ignored", a * dy, clue.n
    own = clue.slopes().reshape(x.size, x.size).diagonal().reshape(x.shape)
    yield "only the diagonal of the Jacobian: outputs depend on other inputs, too", a, own
    yield "the derivative is taken at the output, not the input", a, clue.if_it_were(x, y)


def softmax(clue: Clue) -> Iterator[Guess]:
    """Applied once too often, or not divided by its own sum."""
    a, n, x = clue.a, clue.n, clue.x
    for axis in range(n.ndim):
        e, whole = np.exp(x - x.max(axis, keepdims=True)), np.exp(x - x.max())
        p = e / e.sum(axis, keepdims=True)
        twice = p * (n - (n * p).sum(axis, keepdims=True))
        yield "the derivative of the softmax is applied once too often", a, twice
        for q, but in ((whole / whole.sum(), ", but by the sum over everything"), (e, "")):
            for error in (q - y for y in clue.case.constants.values() if np.shape(y) == n.shape):
                said = f"exp is not divided by its sum over {clue.axis(axis)}{but}"
                yield said, a, fit(a, error) * error


def order(clue: Clue) -> Iterator[Guess]:
    """The right numbers, or their sums, in the wrong places."""
    for axes in subsets(clue.n.ndim):
        where, sums = clue.axis(*axes), clue.n.sum(axes, keepdims=True)
        yield f"summed over {where} as well, and the same for all", clue.a, sums + 0 * clue.n
        front = [np.moveaxis(g, axes, range(len(axes))) for g in (clue.a, clue.n)]
        ours, right = (g.reshape(-1, sums.size) for g in front)
        if len(ours) <= 100 and ours.any(1).all():
            found = abs(ours[:, None] - right).max(2).argmin(1)
            if sums.size > 1 or len(set(found)) == len(found):
                listed = ", ".join(map(str, found[:12])) + ", ..." * (len(found) > 12)
                said = f"each index of {where} holds what belongs to another one: [{listed}]"
                yield f"{said} (transposed, flipped, shifted?)", ours, right[found]


def normalised(clue: Clue) -> Iterator[Guess]:
    """Batchnorm and its kin: a missing term is constant (mean), or grows with x (variance)."""
    a, n, x = clue.a, clue.n, clue.x
    for axes in subsets(n.ndim) if n.ndim > 1 else ():
        sums = n.sum(axes, keepdims=True)
        if abs(sums).max() < 1e-6 * abs(n).sum(axes).max() and n.size >= 4 * sums.size:
            xc, rest = x - x.mean(axes, keepdims=True), a - n
            mean, slope = rest.mean(axes, keepdims=True) + 0 * rest, fit(rest, xc, axes) * xc
            terms = {"mean": mean, "variance": slope, "mean and the variance": mean + slope}
            for lost, term in terms.items():
                said = f"the {lost} over {clue.axis(*axes)} treated as constant"
                yield f"{said}: a term of the normalisation is missing or wrong", rest, term


def counted(clue: Clue) -> Iterator[Guess]:
    """Would it be right if only some outputs counted?"""
    C = clue.slopes() if clue.small else np.zeros(0)
    for axis in (*clue.outputs, None) if C.size else ():  # None: all outputs side by side
        table = C.reshape(*clue.x.shape, -1) if axis is None else np.moveaxis(C, axis, -1)
        share, picks = abs(table) > 1e-3 * abs(table).max(), {}
        count, first, last = table.shape[-1], share.argmax(-1), share[..., ::-1].argmax(-1)
        if axis is not None:
            where = clue.axis(axis - clue.x.ndim, of=clue.dy)
            picks = {f"only index {k} of {where}": 0 * first + k for k in range(count)}
        picks["where several outputs share an entry only the last"] = count - 1 - last
        picks["where several outputs share an entry only the first"] = first
        for words, pick in picks.items():
            taken = np.take_along_axis(table, pick[..., None], -1)
            said = "= for += (a loop, windows, an index twice), or nothing comes from later steps?"
            yield f"{words} counts: {said}", clue.a, taken.reshape(*clue.x.shape, -1).sum(-1)


def otherwise(clue: Clue) -> Iterator[Guess]:
    """Would it be right if another array were different? Not the data itself."""
    arrays = clue.case.arrays.items() if clue.small else ()
    for name, q in ((k, q) for k, q in arrays if k not in ("X", clue.name)):
        changes = {"left out (as if it were 1)": np.ones(q.shape)}
        if q.ndim == 2 and q.shape[0] == q.shape[1]:
            changes["transposed"] = q.T
        for k in range(1, q.ndim - 1):
            changes[f"flipped along its last {k} axes"] = np.flip(q, tuple(range(-k, 0)))
        for words, other in changes.items():
            yield f"would be right if {name} were {words}", clue.a, clue.if_it_were(q, other)


def places(clue: Clue) -> Iterator[Guess]:
    """Wrong in some entries only: on one side of zero, at some index, always in the same way."""
    wrong, how = clue.wrong, in_common(clue)
    if wrong.all() or wrong.sum() < 4:
        return
    if clue.x.shape == clue.dy.shape:
        yield f"right where its input is above zero, wrong below it{how}", wrong, clue.x < 0
        yield f"right where its input is below zero, wrong above it{how}", wrong, clue.x > 0
    for axis in range(wrong.ndim):
        hit = wrong.any(tuple(k for k in range(wrong.ndim) if k != axis), keepdims=True)
        index = np.flatnonzero(hit).tolist()
        if not hit.all():
            early = wrong.ndim > 2 and index == [*range(hit.size - 1)]
            why = ": what flows back from later steps is wrong?" if early else how
            said = f"wrong only at {index} of {clue.axis(axis)}{why}"
            yield said, wrong, np.broadcast_to(hit, wrong.shape)
    if how:
        yield f"wrong in {wrong.sum()} entries, the others are right{how}", YES, YES


def in_common(clue: Clue) -> str:
    """What the wrong entries have in common."""
    a, n = clue.a[clue.wrong], clue.n[clue.wrong]
    if (abs(n) <= clue.noise).all():
        return " (there it should be zero)"
    c = fit(a, n).item()
    alike = clue.same(a - n, (c - 1) * n)
    how = f"{c:.4g} times the right one" if abs(c) > 1e-6 else "0"
    return f" (there it is {how})" if alike else ""


EVERY = (
    nothing, fitted, activation, linear, softmax, order, normalised, counted, otherwise, places,
)  # fmt: skip
