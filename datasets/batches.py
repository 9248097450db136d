"""Targets and minibatches: what stands between a data set and a training step."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["one_hot", "minibatches", "at_epoch", "check_shape", "check_samples", "check_loss"]

Array = npt.NDArray[np.floating]
Schedule = float | Sequence[float]


def one_hot(labels: npt.ArrayLike, n_classes: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """Labels (N,) or (N, 1), integers from 0 to n_classes - 1, as rows (N, K) with a single 1.

    Raises TypeError for labels that are not integers, ValueError for a wrong shape or range.
    """
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
    X: Array, y: Array, batch_size: int, rng: np.random.Generator, start: int = 0
) -> Iterator[tuple[Array, Array]]:
    """One epoch of shuffled batches (X_batch, y_batch), every sample once.

    The last batch holds what is left. start skips that many batches of the
    same shuffle: so an interrupted epoch goes on where it stopped.
    Raises ValueError when X and y differ in length or are empty, or batch_size < 1.
    """
    if len(X) != len(y):
        raise ValueError(f"minibatches expects as many X as y, got {len(X)} and {len(y)}")
    if not len(X):
        raise ValueError("minibatches expects at least one sample, got none")
    if batch_size < 1:
        raise ValueError(f"batch_size is expected to be 1 or more, got {batch_size}")
    order = rng.permutation(len(X))
    return _gather(X, y, order, batch_size, start * batch_size)


def _gather(
    X: Array, y: Array, order: npt.NDArray[np.intp], batch_size: int, first: int
) -> Iterator[tuple[Array, Array]]:
    # Rows are copied batch by batch: shuffling all of X would cost a second X.
    for i in range(first, len(order), batch_size):
        rows = order[i : i + batch_size]
        yield X.take(rows, axis=0), y.take(rows, axis=0)


def at_epoch(value: Schedule, epoch: int) -> float:
    """The value of a schedule at an epoch, from 0: the last value of a list holds on."""
    if isinstance(value, Sequence):
        if not value:
            raise ValueError("a schedule is expected to hold at least one value, got none")
        return float(value[min(epoch, len(value) - 1)])
    return float(value)


def check_shape(what: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise ValueError, "{what} of shape {expected}, got {got}", when they differ."""
    if got != expected:
        raise ValueError(f"{what} of shape {expected}, got {got}")


def check_samples(X: Array, y: Array, D: int, K: int) -> None:
    """Refuse what a network of D inputs and K outputs cannot learn from, X (N, D) and y (N, K).

    Raises TypeError for pixels that are not floats, ValueError for a wrong shape, for nan
    or inf, and for rows of y that do not sum to 1.
    """
    if X.dtype.kind != "f" or y.dtype.kind != "f":
        raise TypeError(
            f"training expects floats (pixels / 255, one-hot y), got X {X.dtype} and y {y.dtype}"
        )
    if X.ndim != 2 or X.shape[1] != D or not len(X):
        raise ValueError(f"training expects X of shape (N, {D}), got {X.shape}")
    if y.shape != (len(X), K):
        raise ValueError(f"training expects y of shape ({len(X)}, {K}), got {y.shape}")
    if not (math.isfinite(X.min()) and math.isfinite(X.max())):
        raise ValueError("training expects finite X, got nan or inf")
    if not (y.min() >= 0 and np.allclose(y.sum(axis=1), 1)):
        raise ValueError("training expects rows of y that are one-hot, got others")


def check_loss(loss: float, step: int, lr: float) -> None:
    """Raise FloatingPointError, with advice, when a training loss is nan or inf."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss became {loss} at step {step} with lr = {lr:g}: "
            f"training has diverged, try a tenth, lr = {lr / 10:g}"
        )
