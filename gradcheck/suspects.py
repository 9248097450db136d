"""Name the mistake by trying it: would the gradient be right if the forward pass were different?

Exact and cheap on small arrays: change one thing, differentiate numerically again, compare.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from gradcheck import core
from gradcheck.case import Array, Case
from gradcheck.look import Look

__all__ = ["try_suspects"]

Change = tuple[str, Callable[[Array], Array]]


def try_suspects(case: Case, look: Look, seconds: float = 2.0) -> str | None:
    """The first counterfactual under which the wrong gradient would be the right one."""
    if look.a.shape != look.n.shape or look.n.size < 2:
        return None
    start = time.perf_counter()
    for suspect in (one_sample, derivative_at_output, own_entry_only, transformed):
        for sentence in suspect(case, look):
            if sentence or time.perf_counter() - start > seconds:
                return sentence
    return None


def numeric(case: Case, look: Look, dy: Array) -> Array:
    """The gradient by differences, under whatever has been changed."""
    p, out = look.array, np.zeros(look.array.shape)
    for i in np.ndindex(p.shape):
        sides = (core.shifted(case.forward, p, i, s * core.STEP, dy) for s in (1, -1))
        out[i] = (next(sides) - next(sides)).sum() / (2 * core.STEP)
    return out


@contextmanager
def instead(array: Array, values: Array) -> Iterator[None]:
    before = array.copy()
    array[...] = values
    try:
        yield
    finally:
        array[...] = before


def one_sample(case: Case, look: Look) -> Iterator[str | None]:
    """Only one sample counts: = where += belongs in a loop over the batch."""
    dy, axis = look.dy, case.batch_axis
    if dy.ndim < 2 or look.array.shape[: axis + 1][axis:] == dy.shape[axis : axis + 1]:
        return  # it has one entry per sample itself
    for k in reversed(range(dy.shape[axis])):
        alone = np.zeros_like(dy)
        index = (slice(None),) * (axis % dy.ndim) + (k,)
        alone[index] = dy[index]
        if look.same(look.a, numeric(case, look, alone)):
            yield f"only sample {k} of {dy.shape[axis]} counts: assigned instead of added up?"
        yield None


def derivative_at_output(case: Case, look: Look) -> Iterator[str | None]:
    """f'(Y) where f'(X) belongs, and the formula in Y fed with X."""
    x, dy = look.array, look.dy
    if look.name not in case.inputs or x.shape != dy.shape:
        return
    y = case.forward()
    if look.same(look.a, dy * x * (1 - x)) or look.same(look.a, dy * (1 - x * x)):
        yield "a formula in terms of the output is given the input: y (1 - y) or 1 - y^2 needs y"
    with instead(x, y):
        again = numeric(case, look, dy)
    if look.same(look.a, again):
        yield "the derivative is taken at the output, not at the input"


def own_entry_only(case: Case, look: Look) -> Iterator[str | None]:
    """The diagonal of a Jacobian: softmax as if y[i] depended on x[i] alone."""
    p, dy = look.array, look.dy
    if p.shape != dy.shape:
        return
    out = np.zeros(p.shape)
    for i in np.ndindex(p.shape):
        sides = (core.shifted(case.forward, p, i, s * core.STEP, dy)[i] for s in (1, -1))
        out[i] = (next(sides) - next(sides)) / (2 * core.STEP)
    if look.same(look.a, out):
        yield "only the diagonal of the Jacobian: each output is taken to depend on its own input"


def changes(q: Array) -> Iterator[Change]:
    """Ways in which a parameter may be used wrongly in a backward pass."""
    if q.ndim == 2 and q.shape[0] == q.shape[1]:
        yield "transposed", np.transpose
    if q.ndim >= 3:
        if q.shape[-1] == q.shape[-2]:
            yield "transposed in its last two axes", lambda w: w.swapaxes(-1, -2)
        yield "flipped in its last two axes", lambda w: w[..., ::-1, ::-1]
        yield "flipped along its last axis", lambda w: w[..., ::-1]
        yield "flipped along its second last axis", lambda w: w[..., ::-1, :]
        if q.shape[0] == q.shape[1]:
            yield "swapped in its first two axes", lambda w: w.swapaxes(0, 1)
    yield "left out (as if it were 0)", np.zeros_like
    yield "reversed along its first axis", lambda w: w[::-1]


def _advice(words: str) -> str:
    return ": take its gradient before the step" if words == "updated already" else ""


def transformed(case: Case, look: Look) -> Iterator[str | None]:
    """Would be right if another array were flipped, transposed, left out."""
    for name, q in case.arrays.items():
        if name in (look.name, next(iter(case.arrays))):  # not the data itself
            continue
        step = case.backward(look.dy)[name]
        known = (
            [("updated already", lambda w, step=step: w - step)] if step.shape == q.shape else []
        )
        for words, change in [*known, *changes(q)]:
            if np.array_equal(change(q), q):
                continue
            with instead(q, change(q).copy()), np.errstate(all="ignore"):
                again = numeric(case, look, look.dy)
            if look.same(look.a, again):
                yield f"would be right if {name} were {words}{_advice(words)}"
            yield None
