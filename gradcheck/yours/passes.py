"""The same reading where mistakes hide: other batches, repeated indices, another random mask."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Life
from gradcheck.yours.own import Own
from gradcheck.yours.walk import is_real

__all__ = ["variants"]

Variants = Iterator[tuple[str, Own]]


def variants(own: Own) -> Variants:
    """A batch of one, N = D, repeated indices, a mask that drops something: what forward takes."""
    given = own.call.given
    first = next((v for v in given.values() if isinstance(v, np.ndarray)), None)
    if first is not None and first.ndim > 1:
        axis = own.axis(first)
        N, D = first.shape[axis], first.shape[1 - axis]
        for count, said in ((1, "a batch of one"), (D, f"a batch of {D}, as many as features")):
            if count != N:
                yield from _resized(own, N, count, said)
    if first is not None and first.dtype.kind in "iu":
        name = next(k for k, v in given.items() if v is first)
        yield from _with(own, {name: np.minimum(first, 1)}, "repeated indices")
    yield from _other_chance(own)


def _resized(own: Own, N: int, count: int, said: str) -> Variants:
    """Every input of N samples with count of them; the output must follow."""
    given = {}
    for name, v in own.call.given.items():
        if isinstance(v, np.ndarray) and v.ndim and v.shape[own.axis(v)] == N:
            taken = np.take(v, np.arange(count) % N, own.axis(v))
            if count > N and is_real(v) and name != own.call.label:  # no two rows alike
                taken = taken + 0.01 * distinct_values(taken.shape, np.random.default_rng(0))
            given[name] = taken
    y = np.shape(Life(own.call).forward())
    yield from _with(own, given, said, tuple(count if k == N else k for k in y))


def _with(
    own: Own, given: dict[str, Any], said: str, shape: tuple[int, ...] | None = None
) -> Variants:
    """The same reading of other inputs, if forward takes them and gives the shape expected."""
    other = replace(own, call=replace(own.call, given=own.call.given | given), notes=[])
    other.arrays = {name: other.inputs.get(name, a) for name, a in own.arrays.items()}
    try:
        y = Life(other.call).forward()
    except CannotCheck:
        return
    if shape is None or np.shape(y) == shape:
        yield said, other


def _other_chance(own: Own) -> Variants:
    """With other random numbers: those under which most outputs are 0."""
    calls = [replace(own.call, seed=seed) for seed in range(9)]
    zeros = [int((Life(call).forward() == 0).sum()) for call in calls]
    if max(zeros) > zeros[0]:
        call = calls[int(np.argmax(zeros))]
        yield "another random mask", replace(own, call=call, notes=[])
