"""A wrong gradient with all that may explain it, and the words for its axes."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gradcheck.core import Result

__all__ = ["Look", "subsets", "name_axes", "broadcasts"]

Array = np.ndarray


class Look(NamedTuple):
    """A wrong gradient and all that may explain it."""

    name: str
    result: Result
    array: Array  # the parameter or input itself
    others: dict[str, Array]  # the other arrays of the case, and its labels
    sizes: Mapping[str, float]  # {"batch": 5, ...}
    dy: Array

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


def subsets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)]


def name_axes(axes: tuple[int, ...], shape: tuple[int, ...], sizes: Mapping[str, float]) -> str:
    names = [name for name, size in sizes.items() if len(axes) == 1 and size == shape[axes[0]]]
    word = "axis " + str(axes[0]) if len(axes) == 1 else f"axes {axes}"
    return f"{word} (the {names[0]})" if names else word


def broadcasts(q: Array, shape: tuple[int, ...]) -> list[Array]:
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
