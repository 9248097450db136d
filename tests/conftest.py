"""Under every test: NumPy's errors are raised, and looking at a file starts no process."""

from collections.abc import Iterator

import numpy as np
import pytest

from datasets.store import hdf5
from datasets.store.layout import layout

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # an optional package
    collect_ignore_glob = ["*/test_laws.py"]
else:
    settings.register_profile(
        "the same examples on every day",
        derandomize=True, database=None, deadline=None, max_examples=30,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    settings.load_profile("the same examples on every day")


@pytest.fixture(autouse=True)
def numpy_errors() -> Iterator[None]:
    """Overflow, division by zero and invalid operations are errors."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        yield


@pytest.fixture(autouse=True)
def ask(monkeypatch: pytest.MonkeyPatch):
    """HDF5 files are looked at in this process: one of their own takes 0.2 s.

    Returns what is used otherwise, for the tests of that: monkeypatch.setattr(hdf5, "_ask", ask).
    """
    in_a_process = hdf5._ask
    monkeypatch.setattr(hdf5, "_ask", lambda path, keys: layout(str(path), keys))
    return in_a_process
