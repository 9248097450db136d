"""How many threads the matrix products take while a network trains: one, unless told otherwise.

Two BLAS threads wait for each other: beside one busy neighbour process they were measured to take
3 to 30 times as long as one, and on small products they gain nothing. With one thread, the same
seed gives the same bits on any number of cores.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

__all__ = ["limited"]


class _Count:
    """How many blocks are inside limited(), and what restores the state before the first."""

    inside = 0
    before: Any = None
    lock = RLock()  # a generator that nobody iterates any more ends on whatever thread drops it


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")  # looks for NumPy's: 5 ms, once


@contextmanager
def limited(threads: int = 1) -> Iterator[None]:
    """Inside, BLAS takes so many threads; what was before is restored at the end.

    The first of several blocks decides, and the last to end restores: minibatches keeps such a
    block open while it is iterated, and two of them need not end in the order they began.
    """
    with _Count.lock:
        if not _Count.inside:
            _Count.before = _blas().limit(limits=threads)
        _Count.inside += 1
    try:
        yield
    finally:
        with _Count.lock:
            _Count.inside -= 1
            if not _Count.inside:
                _Count.before.restore_original_limits()
