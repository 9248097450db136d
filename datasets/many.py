"""One training run on many processes: mpiexec -n 4 python functional_net.py

The gradient of a batch is a mean over its samples. So every process (a rank of MPI) takes a share
of the samples, one Allreduce per step brings the gradients together, and all ranks, which hold
the same weights, take the same step. Without mpiexec nothing of this happens.
"""

import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["joined", "alone", "leads", "share", "mean", "totals"]

Array = npt.NDArray[np.floating]
Arrays = TypeVar("Arrays", bound=Sequence[Array])

STARTED = ("PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE")  # what mpiexec sets


class _World:
    comm: Any = None  # of all ranks, while they train together


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes that mpiexec started are one run, and only rank 0 is heard.

    A rank that ends with an error ends the others, too, after its own words on stderr.
    """
    if not any(name in os.environ for name in STARTED):
        yield
        return
    try:
        from mpi4py import MPI
    except ImportError:
        raise SystemExit('mpiexec needs mpi4py: python -m pip install ".[mpi]"') from None
    comm, words = MPI.COMM_WORLD, io.StringIO()
    _World.comm = comm if comm.size > 1 else None
    heard = sys.stdout, sys.stderr
    if comm.rank:
        sys.stdout, sys.stderr = io.StringIO(), words
    try:
        yield
    except SystemExit as end:
        sys.stdout, sys.stderr = heard
        if end.code not in (0, None, 130):  # 130: all ranks leave together
            time.sleep(comm.rank and 1)  # if all fail alike, rank 0 tells it and ends the others
            if comm.rank:
                print(f"rank {comm.rank}: {words.getvalue().strip()}", file=sys.stderr)
            sys.stderr.flush()
            comm.Abort(end.code if isinstance(end.code, int) else 1)
        raise
    finally:
        _World.comm, (sys.stdout, sys.stderr) = None, heard


def alone() -> bool:
    """Is this process a whole run?"""
    return _World.comm is None


def leads() -> bool:
    """Is this the rank that prints and writes files?"""
    return alone() or _World.comm.rank == 0


def share(X: Array, y: Array) -> tuple[Array, Array]:
    """The rows of a batch that this rank takes; all, where there are fewer rows than ranks."""
    if alone() or len(X) < _World.comm.size:
        return X, y
    own = slice(_World.comm.rank, None, _World.comm.size)
    return X[own], y[own]


def mean(arrays: Arrays, n: int) -> Arrays:
    """Each array, the mean over this rank's n samples, becomes the mean over those of all ranks.

    In place; alone, the arrays stay as they are. One Allreduce brings them and n together.
    """
    if alone():
        return arrays
    dtype = max(A.dtype for A in arrays)
    packed = np.concatenate([*(n * A.ravel() for A in arrays), [n]], dtype=dtype)
    total, begin = _sum(packed), 0
    for A in arrays:
        A[...] = total[begin : begin + A.size].reshape(A.shape) / total[-1]
        begin += A.size
    return arrays


def _sum(values: Array) -> Array:
    total = np.empty_like(values)
    _World.comm.Allreduce(values, total)
    return total


def totals(*values: float) -> list[float]:
    """Each number, summed over the ranks."""
    return list(values) if alone() else _sum(np.array(values, np.float64)).tolist()
