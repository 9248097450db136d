"""A case: arrays, and something that computes forward and backward from them.

Every adapter (a pure function, a layer object, a whole net) makes cases; judge() judges them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradcheck import core
from gradcheck.core import CannotCheck, Result

__all__ = [
    "Array", "Constant", "Case", "Checked", "Forward", "Backward", "distinct_values", "upstream",
    "choose_upstream", "frozen", "argument_copy", "random_signs", "directions", "check_case",
    "forgive_epsilon",
]  # fmt: skip

Array = np.ndarray
Forward = Callable[[], Array]  # -> y, from the arrays as they are now
Backward = Callable[[Array], dict[str, Array]]  # dy -> gradients, under the names of the arrays


class Constant(np.ndarray):
    """An input of which no gradient is expected."""


@dataclass
class Case:
    """name, the arrays whose gradients are checked, and open() -> (forward, backward).

    open() gives a fresh copy of the thing under test, so that nothing is remembered between two
    evaluations; pure functions have nothing to copy. Arrays are float64 and moved in place.
    A factor in sizes that is no whole number is named by a sentence: {"lr is missing": 0.3}.
    """

    name: str
    arrays: dict[str, Array]
    open: Callable[[], tuple[Forward, Backward]]
    inputs: tuple[str, ...] = ("X",)  # must never be written to (nor may the upstream gradient)
    sizes: Mapping[str, float] = field(default_factory=dict)  # {"batch": 5}: axes and factors
    batch_axis: int = 0
    constants: dict[str, Array] = field(default_factory=dict)  # labels, masks: shown to explain
    takes_upstream: bool = True  # False: a loss whose backward starts the chain
    notes: list[str] = field(default_factory=list)
    blame: Callable[[set[str], np.random.Generator], str | None] | None = None  # a net: which layer

    def forward(self) -> Array:
        return self.open()[0]()

    def backward(self, dy: Array) -> dict[str, Array]:
        forward, backward = self.open()
        forward()
        return {name: np.array(np.nan if g is None else g) for name, g in backward(dy).items()}


class Checked(NamedTuple):
    """What the differences say of one case at one point."""

    results: dict[str, Result]
    dy: Array
    sampled: bool = False  # True: random directions instead of every entry


def distinct_values(shape: tuple[int, ...], rng: np.random.Generator, scale: float = 1.0) -> Array:
    """Evenly spaced values in (-scale, scale), shuffled: both signs, no zero, no ties, no kinks."""
    n = int(np.prod(shape))
    values = (2 * np.arange(n) + 1 - n) / max(n, 1) + (0.37 / max(n, 1) if n % 2 else 0.0)
    return rng.permutation(values * scale).reshape(shape)


def upstream(y: Array, rng: np.random.Generator) -> Array:
    """A random gradient of y, never ones: ones hide whatever sums to zero."""
    return np.array(rng.choice([-1, 1], np.shape(y)) * rng.uniform(0.5, 1.5, np.shape(y)))


def choose_upstream(case: "Case", y: Array, rng: np.random.Generator) -> Array:
    """A random gradient of y; 1 for a loss that starts the chain."""
    return upstream(y, rng) if case.takes_upstream else np.ones(np.shape(y))


def argument_copy(a: Array) -> Array:
    """A copy to hand over, as writable as a: what is remembered of it must not follow our moves."""
    copied = np.array(a)  # a plain array, also of a Constant
    copied.flags.writeable = a.flags.writeable
    return copied


@contextmanager
def frozen(*arrays: Array) -> Iterator[None]:
    """Writing to any of these raises ValueError at the guilty line."""
    before = [a.flags.writeable for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    try:
        yield
    finally:
        for a, flag in zip(arrays, before, strict=False):
            a.flags.writeable = flag


def random_signs(shape: tuple[int, ...], rng: np.random.Generator, count: int = 8) -> list[Array]:
    """Signs never weaken a wrong entry; two equal errors cancel in half of them, hence 8.

    A step along 79,510 signs is 282 times as long as h, and bends: they are scaled half-way back.
    """
    scale = max(1, int(np.prod(shape))) ** -0.25
    return [scale * rng.choice([-1.0, 1.0], shape) for _ in range(count)]


def directions(loss: Forward, p: Array, grad: Array, dy: Any, ways: list[Array]) -> Result:
    """Slopes along directions of the whole array: 8 instead of 79,510 entries."""
    if grad.shape != p.shape:
        return Result(grad, np.zeros(len(ways)), 0.0, np.full(len(ways), core.WRONG))
    noise = core.rounding(loss, p, dy) / core.STEP
    rises = [
        core.shifted(loss, p, ..., core.STEP * way, dy)
        - core.shifted(loss, p, ..., -core.STEP * way, dy)
        for way in ways
    ]
    numeric = np.array([rise.sum() for rise in rises]) / (2 * core.STEP)
    backprop = np.array([(grad * way).sum() for way in ways])
    noise += core.EPS * 10 * float(abs(grad).sum())
    words = np.where(core.close(backprop, numeric, noise), core.RIGHT, core.WRONG).astype("<U6")
    for k in np.flatnonzero(words == core.WRONG):
        words[k] = core.settled(core.slopes(loss, p, ..., dy, ways[k]), backprop[k], noise)
    return Result(backprop, numeric, noise, words)


def check_case(
    case: Case, rng: np.random.Generator, seconds: float = np.inf, dy: Array | None = None
) -> Checked:
    """Every entry of every array of the case; directions for arrays that would take too long.

    An entry among several kinks has no one-sided answer to be compared with: the whole point is
    then moved a little, to where the function is smooth, and judged there.
    """
    start = time.perf_counter()
    y = case.forward()
    each = time.perf_counter() - start
    dy = choose_upstream(case, y, rng) if dy is None else dy.copy()
    slow = 2 * each * sum(p.size for p in case.arrays.values()) > seconds
    checked = _compare(case, dy, rng, slow)
    if any(_among_kinks(r, case.arrays[name]).any() for name, r in checked.results.items()):
        checked = _beside_the_kink(case, checked, rng, slow)
    return checked


def _compare(case: Case, dy: Array, rng: np.random.Generator, slow: bool) -> Checked:
    grads = case.backward(dy)  # before anything is moved
    missing = [name for name in case.arrays if name not in grads]
    if missing:
        raise CannotCheck(f"backward gave no gradient for {', '.join(missing)}")
    core.check(case.forward, {}, {}, dy)  # refuses nan, float32 and chance, once
    if not slow:
        return Checked(core.check(case.forward, case.arrays, grads, dy), dy)
    results = {
        name: directions(case.forward, p, np.asarray(grads[name]), dy, random_signs(p.shape, rng))
        for name, p in case.arrays.items()
    }
    return Checked(core.refuse_drowned(results), dy, True)


def _among_kinks(r: Result, p: Array) -> Array:
    """Entries exactly on a kink, or, where values are hardly larger than the step, near several."""
    tiny = abs(p).max(initial=0) < 1000 * core.STEP
    return r.wrong if tiny and r.kinks.any() else r.corners


def _beside_the_kink(case: Case, checked: Checked, rng: np.random.Generator, slow: bool) -> Checked:
    before = {name: p.copy() for name, p in case.arrays.items()}
    for p in case.arrays.values():
        p += 1e-2 * distinct_values(p.shape, rng)
    beside = _compare(case, checked.dy, rng, slow)
    for name, p in case.arrays.items():
        p[...] = before[name]
    results = {}
    for name, r in checked.results.items():
        excused = _among_kinks(r, case.arrays[name]) & (not beside.results[name].wrong.any())
        results[name] = r._replace(words=np.where(excused, core.KINK, r.words))
    return checked._replace(results=results)


# --- what is right but for an epsilon ------------------------------------------


def forgive_epsilon(case: Case, checked: Checked, notes: list[str]) -> dict[str, Result]:
    """The results, where a rounded constant, or an epsilon of a loss, log(p + 1e-7), is a note."""
    wrong = {k: r for k, r in checked.results.items() if r.wrong.any()}
    alike = {k: r for k, r in wrong.items() if r.backprop.shape == r.numeric.shape}
    forgiven = {k: r for k, r in alike.items() if _relative(r).max() < 1e-5}  # 0.333 for 1/3
    if checked.dy.ndim < 2:  # a loss
        alone = case.sizes.get("batch") == 1
        forgiven |= {k: r for k, r in alike.items() if _lacks_epsilon(r, case.arrays[k], alone)}
        most = max(map(_share, forgiven.values()), default=0.0)  # too few entries to tell: alike
        forgiven |= {k: r for k, r in alike.items() if r.numeric.size < 3 and _share(r) <= most}
    if forgiven:
        digits = -np.log10(max(map(_share, forgiven.values())))
        notes.append(
            f"{', '.join('d' + name for name in forgiven)} is right to {digits:.0f} "
            "digits: it leaves out an epsilon of the loss, as in log(p + 1e-7), or a constant is "
            "rounded"
        )
    all_right = {k: np.full(r.words.shape, core.RIGHT) for k, r in forgiven.items()}
    return checked.results | {k: wrong[k]._replace(words=w) for k, w in all_right.items()}


def _lacks_epsilon(r: Result, p: Array, alone: bool) -> bool:
    """An epsilon shrinks what flows back from each sample by its own share, epsilon / p.

    So the gradient without it is too large, all in all, and by no common factor unless one sample
    is alone. What is left without a multiple of the array itself, weight decay, must tell it, too.
    """
    error, n = (r.backprop - r.numeric).ravel(), r.numeric.ravel()
    known = [p.ravel()] if p.size == n.size else []  # not so along random directions
    known += [] if alone else [n]
    rest = _without(error, known)
    too_large = (error * n).sum() > 0.6 * np.linalg.norm(error) * np.linalg.norm(n)
    told = np.linalg.norm(rest) > 0.05 * np.linalg.norm(error)
    return _share(r) < 5e-4 and n.size > 2 and bool(too_large and told)


def _without(v: Array, known: list[Array]) -> Array:
    """What is left of v once the best sum of multiples of the known ones is taken off."""
    if not known:
        return v
    table = np.stack(known, axis=1)
    return v - table @ np.linalg.lstsq(table, v, rcond=None)[0]


def _relative(r: Result) -> Array:
    return abs(r.backprop - r.numeric) / (abs(r.numeric) + r.noise / core.RTOL)


def _share(r: Result) -> float:
    """The largest error, as a share of the largest entry."""
    return float(abs(r.backprop - r.numeric).max() / abs(r.numeric).max(initial=1e-300))
