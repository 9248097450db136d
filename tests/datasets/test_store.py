"""Files: written whole or not at all; HDF5 that nobody vouches for, read within bounds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from datasets import load_mnist
from datasets.store import hdf5
from datasets.store.files import atomic
from datasets.store.hdf5 import File, write_h5
from datasets.store.layout import layout

X = np.random.default_rng(0).integers(0, 50, (23, 4, 6)).astype(np.int16)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, ask: Callable) -> None:
    """Files are looked at as they are outside of tests: in a process of its own."""
    monkeypatch.setattr(hdf5, "_ask", ask)


def stored(path: Path, data: np.ndarray = X, **how: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=data, **how)
    return path


def refused(path: Path, message: str, key: str = "x") -> None:
    with pytest.raises(ValueError, match=message) as told:
        File(path, [key])[key].read()
    assert str(path) in str(told.value) and str(told.value).isprintable()


# --- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"chunks": (5, 4, 6)},
        {"chunks": (7, 3, 2), "compression": "gzip"},
        {"chunks": (23, 4, 6), "compression": "gzip", "shuffle": True},
        {"chunks": (50, 4, 6), "maxshape": (None, 4, 6), "shuffle": True},
    ],
)
def test_arrays_come_back_however_they_are_stored(tmp_path, how):
    for data in (X, X.astype(">f4"), X > 20):
        found = File(stored(tmp_path / "a.h5", data, **how), ["x"])["x"]
        whole = found.read()
        assert np.array_equal(whole, data) and whole.dtype == data.dtype.newbyteorder("=")
        rows, some = np.array([0, 3, 4, 22]), np.zeros((4, 4, 6))
        for place, block in found.blocks(rows):
            some[place] = block
        assert np.array_equal(some, data[rows])


@pytest.mark.parametrize("data", [np.float64(3), np.zeros((0, 3)), np.arange(5)])
def test_scalars_empty_and_compact_arrays_come_back(tmp_path, data):
    path = stored(tmp_path / "a.h5", data)
    with h5py.File(path, "a") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space, kind = h5py.h5s.create_simple((4,)), h5py.h5t.NATIVE_INT32
        h5py.h5d.create(file.id, b"compact", kind, space, plist)
        file["compact"][:] = [4, 3, 2, 1]
    assert np.array_equal(File(path, ["x"])["x"].read(), data)
    assert File(path, ["compact"])["compact"].read().tolist() == [4, 3, 2, 1]


def test_large_arrays_without_chunks_are_read_in_parts(tmp_path):
    data = np.random.default_rng(0).random((700, 1000))
    found = File(stored(tmp_path / "a.h5", data), ["x"])["x"]
    assert len(found.pieces) == 2 and np.array_equal(found.read(), data)


def test_a_process_of_its_own_finds_what_layout_finds(tmp_path, ask):
    path = stored(tmp_path / "a.h5", chunks=(7, 3, 2), compression="gzip", shuffle=True)
    with h5py.File(path, "a") as file:
        file["layer_1/W"], file["layer_1/b"] = X.astype(">f4"), 3.0
        file.create_dataset("layer_2/W", data=X, compression="lzf")
    (tmp_path / "text.h5").write_text("no HDF5")
    keys = ["x", "layer_*/*", "nothing"]
    for each in (path, tmp_path / "text.h5"):
        assert ask(each, keys) == json.loads(json.dumps(layout(str(each), keys)))


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"fletcher32": True}, "x is stored with the filter fletcher32, only gzip and shuffle are"),
        ({"scaleoffset": 0}, "x is stored with the filter scaleoffset, only gzip and shuffle are"),
        ({"compression": "lzf"}, "x is stored with the filter lzf, only gzip and shuffle are read"),
    ],
)
def test_other_filters_are_refused_by_name(tmp_path, how, message):
    refused(stored(tmp_path / "a.h5", **how), message)


def with_chunk(path: Path, data: bytes, N: int, filters: int = 1) -> Path:
    """A file whose array x of N bytes is one chunk, which holds these bytes."""
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((N,))
        for _ in range(filters):
            plist.set_deflate(9)
        space = h5py.h5s.create_simple((N,))
        x = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, plist)
        x.write_direct_chunk((0,), data)
    return path


def test_a_chunk_that_inflates_to_more_or_less_is_refused(tmp_path):
    import zlib

    for inside in (999, 1001, 10**7):
        path = with_chunk(tmp_path / "a.h5", zlib.compress(bytes(inside)), 1000)
        refused(path, "x is damaged .a chunk of 1,000 bytes holds others")
    path = with_chunk(tmp_path / "a.h5", zlib.compress(zlib.compress(bytes(1000))), 1000, 2)
    refused(path, "x is compressed twice, which is not read")
    refused(with_chunk(tmp_path / "a.h5", b"no gzip", 1000), "x is damaged .Error -3")
    path = with_chunk(tmp_path / "a.h5", zlib.compress(bytes(10**6)), 10**9)
    refused(path, "x, .1000000000,. of uint8, takes 1,000,000,000 bytes, more than a file of ")


def test_hard_links_count_as_often_as_they_are_there(tmp_path):
    path = stored(tmp_path / "a.h5", np.zeros((2000, 10000), np.uint8), compression="gzip")
    with h5py.File(path, "a") as file:
        for i in range(20):
            file[f"layer_{i}/W"] = file["x"]
    with pytest.raises(ValueError, match="lies outside the file or shares bytes with another"):
        File(path, ["layer_*/*"])
    refused(stored(tmp_path / "b.h5", chunks=(23, 4, 6)), "expected y, found x", "y")


def test_chunks_that_were_never_written_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (40,), np.uint8, chunks=(10,))[:20] = 1
    refused(tmp_path / "a.h5", "x is not whole, parts of it were never written")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "the HDF5 library crashed on"),
        ("import time; time.sleep(60)", "the HDF5 library looked at it for 1 seconds"),
    ],
)
@pytest.mark.usefixtures("child")
def test_a_crash_and_a_hang_of_the_library_cost_a_sentence(tmp_path, monkeypatch, program, message):
    path = stored(tmp_path / "a.h5")
    (tmp_path / "layout.py").write_text(program)
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "hdf5.py"))
    monkeypatch.setattr(hdf5, "SECONDS_MAX", 1)
    refused(path, message)


@pytest.mark.usefixtures("child")
def test_a_file_that_another_program_writes_is_not_called_damaged(tmp_path):
    stored(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a"):
        refused(tmp_path / "a.h5", r"a\.h5: another program is writing this file$")


def test_names_from_the_file_drive_no_terminal(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["\x1b[31mred\n"] = 1
    refused(tmp_path / "a.h5", r"expected x, found \\x1b\[31mred\\n$")


def test_any_mnist_loads_in_seconds(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        for half, N in (("train", 30_000), ("test", 10_000)):
            data = np.zeros((N, 28, 28), np.uint8)
            data[:, 3] = np.random.default_rng(0).integers(0, 256, (N, 28))
            file.create_dataset(f"{half}_data", data=data, chunks=data.shape, compression=1)
            file[f"{half}_labels"] = np.arange(N) % 10
    start = time.process_time()
    assert load_mnist(tmp_path / "one.h5")[0].shape == (30_000, 784)
    assert time.process_time() - start < 1.5  # 0.3; each block of rows anew would take 3


# --- what is written ------------------------------------------------------------------------


def test_a_crash_while_writing_leaves_the_old_file_whole(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "w.h5") as name:
        Path(name).write_bytes(b"half")
        1 / 0  # noqa: B018
    assert (tmp_path / "w.h5").read_bytes() == b"old" and os.listdir(tmp_path) == ["w.h5"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_mode_of_a_file_that_is_replaced_is_kept(tmp_path):
    path = tmp_path / "w.h5"
    for mode in (0o600, 0o640):
        path.touch()
        path.chmod(mode)
        with write_h5(path) as file:
            file["x"] = 1
        assert path.stat().st_mode & 0o777 == mode


KILLED = """
import os, signal, sys
from pathlib import Path
from datasets.store.files import atomic
with atomic(sys.argv[1]) as name:
    Path(name).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_writer_leaves_behind_goes_with_the_next_write(tmp_path):
    path, root = tmp_path / "w.h5", Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", KILLED, str(path)]
    for _ in range(2):
        assert subprocess.run(words, cwd=root).returncode == -signal.SIGKILL
        assert len(os.listdir(tmp_path)) == 1  # the second one takes the place of the first
    with atomic(path) as one, atomic(path) as two:  # two writers do not share a name
        Path(one).write_bytes(b"one")
        Path(two).write_bytes(b"two")
    assert path.read_bytes() == b"one" and os.listdir(tmp_path) == ["w.h5"]


def test_a_save_leaves_other_files_of_the_user_alone(tmp_path):
    """What an earlier writer left behind is removed, and nothing else that ends in .tmp."""
    mine, left = tmp_path / ".w.h5.backup.tmp", tmp_path / ".w.h5.unfinished-abcdefgh.tmp"
    mine.write_text("precious")
    left.write_text("of a writer that was killed")
    with atomic(tmp_path / "w.h5") as name:
        Path(name).write_text("new")
    assert mine.read_text() == "precious" and not left.exists()
