"""What a checkpoint remembers of a run, and what it is believed."""

import itertools
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy.typing as npt

__all__ = ["count", "amount", "fingerprint", "text", "unused"]


def count(value: Any) -> int:
    """A number from a checkpoint as an integer of 0 or more."""
    if type(value) is not int or value < 0:
        raise ValueError(f"expected 0 or more, got {value!r}")
    return value


def amount(value: Any) -> float:
    """A number from a checkpoint that is finite and 0 or more."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"expected a number of 0 or more, got {value!r}")
    return float(value)


def fingerprint(X: npt.NDArray, y: npt.NDArray) -> int:
    """A number that tells one training set from another: all targets, up to 100 samples."""
    some = X[:: len(X) // 100 + 1]
    return zlib.crc32(some.tobytes(), zlib.crc32(y.tobytes()))


def text(value: Any) -> str:
    """An option for the checkpoint; a path counts from everywhere."""
    return os.path.abspath(value) if isinstance(value, Path) else str(value)


def unused(stem: str) -> Path:
    """stem.h5, or the first of stem_2.h5, stem_3.h5, ... that is not there."""
    names = (Path(f"{stem}_{n}.h5" if n > 1 else f"{stem}.h5") for n in itertools.count(1))
    return next(path for path in names if not path.exists())
