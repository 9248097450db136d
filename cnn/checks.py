"""What users may hand in, and one line of explanation for what they may not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnn.kernels import Array
from datasets.schedules import short

__all__ = ["Size", "pair", "floats", "labels_of"]

Size = int | Sequence[int]


def pair(size: Any, name: str, least: int = 1) -> tuple[int, int]:
    """An integer (for both) or two of them, each at least `least`; ValueError for all else."""
    both = size if isinstance(size, (tuple, list)) else (size, size)
    if len(both) != 2 or not all(isinstance(n, (int, np.integer)) and n >= least for n in both):
        raise ValueError(f"{name} expects an integer or two, {least} or more, got {short(size)}")
    return int(both[0]), int(both[1])


def floats(
    X: npt.ArrayLike, owner: object, name: str = "X", dtype: npt.DTypeLike | None = None
) -> Array:
    """X in dtype, or in its own: integers become float32. TypeError for all but real numbers."""
    X = np.asarray(X)
    if X.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: expects real numbers, got {name} of dtype {X.dtype}")
    own = X.dtype if X.dtype.kind == "f" else np.float32
    return X.astype(own if dtype is None else dtype, copy=False)


def labels_of(y: npt.ArrayLike, shape: tuple[int, ...], owner: object) -> npt.NDArray[np.intp]:
    """Labels (N,) from labels (N,) or (N, 1), or from one-hot rows of shape = (N, K).

    Raises TypeError for labels that are no integers, ValueError for a wrong shape or range.
    """
    if len(shape) != 2:
        raise ValueError(f"{owner}: expects rows of scores (N, K), got shape {shape}")
    (N, K), y = shape, np.asarray(y)
    if y.shape == (N, K) and K > 1 and y.dtype.kind in "fiub":
        labels = y.argmax(axis=1)
        if np.count_nonzero(y) != N or not (y[np.arange(N), labels] == 1).all():
            raise ValueError(f"{owner}: expects one-hot rows with a single 1, got others")
        return labels
    if y.shape not in ((N,), (N, 1), (N, K)):
        expected = f"labels ({N},) or one-hot ({N}, {K})"
        raise ValueError(f"{owner}: expects {expected}, got y of shape {y.shape}")
    if y.dtype.kind not in "iu":
        raise TypeError(f"{owner}: expects integer labels or one-hot rows, got {y.dtype}")
    labels = y.reshape(N).astype(np.intp, copy=False)
    low, high = labels.min(), labels.max()
    if low < 0 or high >= K:
        raise ValueError(f"{owner}: expects labels from 0 to {K - 1}, got {low} to {high}")
    return labels
