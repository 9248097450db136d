"""Targets and minibatches: what stands between a data set and a training step."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "one_hot",
    "minibatches",
    "at_epoch",
    "check_targets",
    "check_rows",
    "check_samples",
    "check_count",
    "check_rates",
    "check_remembered",
    "check_training",
    "check_loss",
]

Array = npt.NDArray[np.floating]
Schedule = float | Sequence[float] | npt.NDArray


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
    if not (isinstance(X, np.ndarray) and isinstance(y, np.ndarray) and X.ndim and y.ndim):
        raise TypeError(f"minibatches expects arrays of samples, got {_kind(X)} and {_kind(y)}")
    if len(X) != len(y):
        raise ValueError(f"minibatches expects as many X as y, got {len(X)} and {len(y)}")
    if not len(X):
        raise ValueError("minibatches expects at least one sample, got none")
    check_count("minibatches expects a batch_size", batch_size)
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
    if isinstance(value, str) or np.ndim(value) > 1:
        raise TypeError(f"a schedule is expected to be a number or a list, got {_short(value)}")
    values: Any = value if np.ndim(value) else [value]
    if not len(values):
        raise ValueError("a schedule is expected to hold at least one value, got none")
    return _number(values[min(epoch, len(values) - 1)])


def check_targets(what: str, y: Array, scores: Array) -> None:
    """Raise TypeError unless both are arrays, ValueError unless they are of one shape (N, K)."""
    if not (isinstance(y, np.ndarray) and _is_floats(scores)):
        raise TypeError(f"{what} expects arrays, got scores {_kind(scores)} and y {_kind(y)}")
    if y.shape != scores.shape:
        raise ValueError(f"{what} expects y of shape {scores.shape}, got {y.shape}")
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"{what} expects one sample or more, got scores of shape {scores.shape}")


def check_rows(what: str, X: Array, D: int) -> None:
    """Raise TypeError unless X is an array of floats, ValueError unless it is (N, D)."""
    if not _is_floats(X):
        raise TypeError(f"{what} expects an array of floats (pixels / 255), got {_kind(X)}")
    if X.ndim != 2 or X.shape[1] != D:
        raise ValueError(f"{what} expects X of shape (N, {D}), got {X.shape}")


def check_count(what: str, n: int) -> None:
    """Raise ValueError, "{what} of 1 or more, got {n}", unless n is an integer above 0."""
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"{what} of 1 or more, got {_short(n)}")


def check_rates(lr: float, momentum: float) -> tuple[float, float]:
    """Both as Python's floats: an np.float64 would turn float32 weights into float64.

    Raises ValueError unless lr is finite and above 0, and momentum from 0 to below 1;
    TypeError unless they are numbers.
    """
    lr, momentum = _number(lr), _number(momentum)
    if not 0 < lr < math.inf:
        raise ValueError(f"lr is expected to be finite and above 0, got {lr}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is expected to be from 0 to below 1, got {momentum}")
    return lr, momentum


def check_training(lr: Schedule, momentum: Schedule, epochs: int, batch_size: int) -> None:
    """Refuse at the start what would stop training later: a wrong rate, also of a late epoch."""
    check_count("training expects a number of epochs", epochs)
    check_count("training expects a batch_size", batch_size)
    for epoch in range(max(1, np.size(lr), np.size(momentum))):
        check_rates(at_epoch(lr, epoch), at_epoch(momentum, epoch))


def check_remembered(what: str, cost: object) -> None:
    """Raise RuntimeError unless a loss was computed before its gradient is asked for."""
    if not vars(cost):
        raise RuntimeError(f"{what} expects a loss first, got none")


def _number(value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"a rate is expected to be a number, got {_short(value)}") from None


def _is_floats(X: object) -> bool:
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"


def _kind(X: object) -> str:
    return str(X.dtype) if isinstance(X, np.ndarray) else type(X).__name__


def _short(value: object) -> str:
    return " ".join(repr(value).split())[:60]


def check_samples(X: Array, y: Array, D: int, K: int) -> None:
    """Refuse what a network of D inputs and K outputs cannot learn from, X (N, D) and y (N, K).

    Raises TypeError for pixels that are not floats, ValueError for a wrong shape, for nan
    or inf, and for rows of y that do not sum to 1.
    """
    if not (_is_floats(X) and _is_floats(y)):
        raise TypeError(
            "training expects arrays of floats (pixels / 255, one-hot y), "
            f"got X {_kind(X)} and y {_kind(y)}"
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
