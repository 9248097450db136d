"""Targets and minibatches: what stands between a data set and a training step."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from datasets import checks
from datasets.bar import Bar
from datasets.threads import limited

__all__ = ["one_hot", "minibatches"]

Array = npt.NDArray[np.floating]


def one_hot(labels: npt.ArrayLike, n_classes: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """Labels (N,) or (N, 1), integers from 0 to n_classes - 1, as rows (N, K) with a single 1.

    Raises TypeError for labels that are not integers, ValueError for a wrong shape or range.
    """
    checks.count("one_hot expects a number of classes", n_classes)
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"one_hot expects labels of shape (N,), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot expects integer labels, got {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"one_hot expects labels from 0 to {n_classes - 1}, "
            f"got labels from {labels.min()} to {labels.max()}"
        )
    Y = np.zeros((len(labels), n_classes), dtype)  # (N, K)
    Y[np.arange(len(labels)), labels] = 1
    return Y


def minibatches(
    X: Array, y: Array, batch_size: int, rng: np.random.Generator, start: int = 0, title: str = ""
) -> Iterator[tuple[Array, Array]]:
    """One epoch of shuffled batches (X_batch, y_batch), every sample once.

    The last batch holds what is left. start skips that many batches of the
    same shuffle: so an interrupted epoch goes on where it stopped. A title shows a progress bar.
    While the batches are taken, matrix products run on one thread, see datasets/threads.py.
    Raises ValueError when X and y differ in length or are empty, batch_size < 1 or start < 0.
    """
    if not (isinstance(X, np.ndarray) and isinstance(y, np.ndarray) and X.ndim and y.ndim):
        raise TypeError(
            f"minibatches expects arrays of samples, got {checks.kind(X)} and {checks.kind(y)}"
        )
    if len(X) != len(y):
        raise ValueError(f"minibatches expects as many X as y, got {len(X)} and {len(y)}")
    if not len(X):
        raise ValueError("minibatches expects at least one sample, got none")
    checks.count("minibatches expects a batch_size", batch_size)
    if start < 0:
        raise ValueError(f"minibatches expects a start of 0 or more, got {start}")
    order = rng.permutation(len(X))
    batches = _gather(X, y, order, batch_size, start * batch_size)
    return _shown(batches, title, len(X)) if title else batches


def _gather(
    X: Array, y: Array, order: npt.NDArray[np.intp], batch_size: int, first: int
) -> Iterator[tuple[Array, Array]]:
    # Rows are copied batch by batch: shuffling all of X would cost a second X.
    with limited():
        for i in range(first, len(order), batch_size):
            rows = order[i : i + batch_size]
            yield X.take(rows, axis=0), y.take(rows, axis=0)


def _shown(
    batches: Iterator[tuple[Array, Array]], title: str, N: int
) -> Iterator[tuple[Array, Array]]:
    seen = 0
    with Bar(title, N) as bar:
        for X, y in batches:
            yield X, y
            seen += len(X)
            if bar.due():
                bar.show(seen, f"{seen:,} of {N:,}")
