"""What the networks ask of what they are handed: one line that says what was expected, and got."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.schedules import Schedule, at_epoch, number, short

__all__ = [
    "samples", "rows", "targets", "rates", "count", "training", "undone_if_diverging", "loss",
    "weights", "kind",
]  # fmt: skip

Array = npt.NDArray[np.floating]


def targets(what: str, y: Array, scores: Array) -> None:
    """Raise TypeError unless both are arrays, ValueError unless they are of one shape (N, K)."""
    if not (isinstance(y, np.ndarray) and is_floats(scores)):
        raise TypeError(f"{what} expects arrays, got scores {kind(scores)} and y {kind(y)}")
    if y.shape != scores.shape:
        raise ValueError(f"{what} expects y of shape {scores.shape}, got {y.shape}")
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"{what} expects one sample or more, got scores of shape {scores.shape}")


def rows(what: str, X: Array, D: int) -> None:
    """Raise TypeError unless X is an array of floats, ValueError unless it is (N, D)."""
    if not is_floats(X):
        raise TypeError(f"{what} expects an array of floats (pixels / 255), got {kind(X)}")
    if X.ndim != 2 or X.shape[1] != D:
        raise ValueError(f"{what} expects X of shape (N, {D}), got {X.shape}")


def count(what: str, n: int) -> None:
    """Raise ValueError, "{what} of 1 or more, got {n}", unless n is an integer above 0."""
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"{what} of 1 or more, got {short(n)}")


def rates(lr: float, momentum: float) -> tuple[float, float]:
    """Both as Python's floats: an np.float64 would turn float32 weights into float64.

    Raises ValueError unless lr is finite and above 0, and momentum from 0 to below 1;
    TypeError unless they are numbers.
    """
    lr, momentum = number(lr), number(momentum)
    if not 0 < lr < math.inf:
        raise ValueError(f"lr is expected to be finite and above 0, got {lr}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is expected to be from 0 to below 1, got {momentum}")
    return lr, momentum


def training(lr: Schedule, momentum: Schedule, epochs: int, batch_size: int) -> None:
    """Refuse at the start what would stop training later: a wrong rate, also of a late epoch."""
    count("training expects a number of epochs", epochs)
    count("training expects a batch_size", batch_size)
    for epoch in range(max(1, np.size(lr), np.size(momentum))):
        rates(at_epoch(lr, epoch), at_epoch(momentum, epoch))


def samples(
    what: str, X: Array, y: Array, D: int, K: int, dtype: npt.DTypeLike
) -> tuple[Array, Array]:
    """X (N, D) and y (N, K) in dtype, if a network of D inputs and K outputs can learn from them.

    Raises TypeError for pixels that are not floats, ValueError for a wrong shape, for nan
    or inf, and for rows of y that do not sum to 1.
    """
    if not (is_floats(X) and is_floats(y)):
        raise TypeError(
            f"{what} expects arrays of floats (pixels / 255, one-hot y), "
            f"got X {kind(X)} and y {kind(y)}"
        )
    if X.ndim != 2 or X.shape[1] != D or not len(X):
        raise ValueError(f"{what} expects X of shape (N, {D}), got {X.shape}")
    if y.shape != (len(X), K):
        raise ValueError(f"{what} expects y of shape ({len(X)}, {K}), got {y.shape}")
    # A product of all pixels tells nan and inf in half the time of a look at each; it may overflow.
    if not (math.isfinite(np.vdot(X, X)) or np.isfinite(X).all()):
        raise ValueError(f"{what} expects finite X, got nan or inf")
    if not (y.min() >= 0 and np.allclose(y.sum(axis=1), 1)):
        raise ValueError(f"{what} expects rows of y that are one-hot, got others")
    return X.astype(dtype, copy=False), y.astype(dtype, copy=False)


def loss(value: float, step: int, lr: float) -> None:
    """Raise FloatingPointError, with advice, when a training loss is nan or inf."""
    if not math.isfinite(value):
        raise _diverged(f"the loss became {value} at step {step}", lr)


def weights(arrays: Iterable[Array], lr: float) -> None:
    """Raise FloatingPointError, with advice, when weights are nan or inf after the last step."""
    if not all(np.isfinite(W).all() for W in arrays):
        raise _diverged("the weights became nan or inf", lr)


def _diverged(what: str, lr: float) -> FloatingPointError:
    advice = f"training has diverged, try a tenth, lr = {lr / 10:g}"
    return FloatingPointError(f"{what} with lr = {lr:g}: {advice}")


@contextmanager
def undone_if_diverging(model: Any) -> Iterator[None]:
    """Put weights and velocity back if the block raises FloatingPointError."""
    weights, velocity = model.get_weights(), model.get_velocity()
    try:
        yield
    except FloatingPointError:
        model.set_weights(weights)
        model.set_velocity(velocity)
        raise


def is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating)


def is_floats(X: object) -> bool:
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"


def kind(X: object) -> str:
    return str(X.dtype) if isinstance(X, np.ndarray) else type(X).__name__
