"""Rates that may change: one value per epoch, the last one holds on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Schedule", "at_epoch", "number", "short"]

Schedule = float | Sequence[float] | npt.NDArray


def at_epoch(value: Schedule, epoch: int) -> float:
    """The value of a schedule at an epoch, from 0: the last value of a list holds on."""
    if isinstance(value, str) or np.ndim(value) > 1:
        raise TypeError(f"a schedule is expected to be a number or a list, got {short(value)}")
    if epoch < 0:
        raise ValueError(f"an epoch is expected to be 0 or more, got {epoch}")
    values: Any = value if np.ndim(value) else [value]
    if not len(values):
        raise ValueError("a schedule is expected to hold at least one value, got none")
    return number(values[min(epoch, len(values) - 1)])


def number(value: float) -> float:
    """The value as Python's float; TypeError for what is no number."""
    try:
        if not np.ndim(value):  # NumPy makes a number of an array of one, and deprecates that
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"a rate is expected to be a number, got {short(value)}")


def short(value: object) -> str:
    """A value in an error message: one line, not too long."""
    return " ".join(repr(value).split())[:60]
