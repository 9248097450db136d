"""Toy sets that need no file: for tests and first experiments."""

import numpy as np
import numpy.typing as npt

from datasets import checks
from datasets.batches import one_hot

__all__ = ["xor", "spirals", "blobs"]

Array = npt.NDArray[np.floating]


def xor(dtype: npt.DTypeLike = np.float32) -> tuple[Array, Array]:
    """The four points of exclusive-or, X (4, 2), y (4, 2): no straight line separates them."""
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    return X, one_hot([0, 1, 1, 0], 2, dtype)


def spirals(
    n: int, rng: np.random.Generator, noise: float = 0.05, dtype: npt.DTypeLike = np.float32
) -> tuple[Array, Array]:
    """Two intertwined spirals of n points each, X (2n, 2) in about [-1, 1], y (2n, 2).

    After Lang and Witbrock, "Learning to tell two spirals apart" (1988).
    """
    checks.count("spirals expects n", n)
    radius = np.sqrt(rng.uniform(0.01, 1, 2 * n))
    labels = np.repeat([0, 1], n)
    angle = 3 * np.pi * radius + np.pi * labels
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    X += noise * rng.standard_normal(X.shape)
    return X.astype(dtype), one_hot(labels, 2, dtype)


def blobs(
    n: int, K: int, D: int, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> tuple[Array, Array]:
    """K well-separated Gaussian clouds of n points each, X (K n, D), y (K n, K).

    Centre k lies 8 standard deviations out along axis k % D, on alternate sides;
    K is at most 2 D. Raises ValueError beyond that.
    """
    for size in (n, K, D):
        checks.count("blobs expects n, K and D", size)
    if K > 2 * D:
        raise ValueError(f"blobs finds room for {2 * D} clouds in {D} dimensions, got K = {K}")
    centres = np.zeros((K, D))
    centres[np.arange(K), np.arange(K) % D] = np.where(np.arange(K) < D, 8, -8)
    labels = np.repeat(np.arange(K), n)
    X = centres[labels] + rng.standard_normal((K * n, D))
    return X.astype(dtype), one_hot(labels, K, dtype)
