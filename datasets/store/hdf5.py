"""HDF5 files that nobody vouches for, read within bounds; and HDF5 files written whole.

A process of its own finds where the bytes of each array lie (datasets.store.layout); here they
are read and inflated, and what they fill is no more than a file of that size should.
"""

import base64
import io
import json
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from datasets.store.files import atomic, printable, regular_file

if TYPE_CHECKING:
    import h5py

__all__ = ["File", "Stored", "write_h5"]

SECONDS_MAX = 20  # to find where the arrays lie; it takes 0.2 on an idle machine
SMALL, LARGE = 256 * 2**20, 16 * 2**30  # bytes of memory that any file, and the largest, may fill
PER_BYTE = 400  # bytes of memory that a file in between may fill for each of its own
GZIP = 1  # as HDF5 numbers its filters; the other one that is read is shuffle

Index = tuple[slice, ...]
Rows = npt.NDArray[np.integer]


class File:
    """What an HDF5 file holds under some keys: File(path, ["train_data"])["train_data"].read().

    A name in a key may hold *. trusted saves the other process: for a file of our own.
    Raises FileNotFoundError and OSError for a file that cannot be opened, ValueError, which
    names it, for one that is damaged or would fill more memory than it should.
    """

    def __init__(self, path: str | Path, keys: list[str], trusted: bool = False):
        self.name, self.path = printable(path), regular_file(path)
        with self.path.open("rb") as file:
            self.size = self.unread = os.fstat(file.fileno()).st_size
        self.left = min(max(SMALL, PER_BYTE * self.size), LARGE)
        answer = self._layout(keys, trusted)
        self.found = ", ".join(map(printable, answer["found"])) or "nothing"
        self.arrays: dict[str, Stored | str] = {
            key: entry.get("refused") or Stored(self, key, entry)
            for key, entry in answer["arrays"].items()
        }

    def __getitem__(self, key: str) -> "Stored":
        """The array behind a key, its bytes not yet read."""
        entry = self.arrays.get(key)
        if entry is None:
            raise ValueError(f"{self.name}: expected {key}, found {self.found}")
        if isinstance(entry, str):
            raise ValueError(f"{self.name}: {printable(key)} {printable(entry)}")
        return entry

    def spend(self, what: str, size: int) -> None:
        """Take size bytes of the memory that this file may fill; ValueError if that is too much."""
        self.left -= size
        if self.left < 0:
            raise ValueError(
                f"{self.name}: {what} takes {size:,} bytes, "
                f"more than a file of {self.size:,} bytes may fill"
            )

    def _layout(self, keys: list[str], trusted: bool) -> dict[str, Any]:
        if trusted:
            from datasets.store.layout import layout

            answer = layout(str(self.path), keys)
        else:
            answer = _ask(self.path, keys)
        if answer.get("locked"):
            raise ValueError(f"{self.name}: another program is writing this file")
        if "error" in answer:
            raise ValueError(f"{self.name}: not a whole HDF5 file ({printable(answer['error'])})")
        return answer


def _ask(path: Path, keys: list[str]) -> dict[str, Any]:
    program = Path(__file__).with_name("layout.py")
    words = [sys.executable, "-P", str(program), os.path.abspath(path), *keys]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # a pool of threads takes a while
    try:
        done = subprocess.run(words, capture_output=True, timeout=SECONDS_MAX, env=environment)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"error": f"the HDF5 library looked at it for {SECONDS_MAX} seconds"}
    except ValueError:
        return {"error": "the HDF5 library crashed on it"}


class Stored:
    """An array in a file: its shape and dtype are known, its bytes are not yet read."""

    def __init__(self, file: File, key: str, entry: dict[str, Any]):
        self.path, self.where = file.path, f"{file.name}: {printable(key)}"
        self.shape: tuple[int, ...] = tuple(entry["shape"])
        self.dtype = np.dtype(entry["dtype"])
        self.chunk: tuple[int, ...] = tuple(entry["chunk"])
        self.filters: list[int] = entry["filters"]
        self.pieces: list[list[int]] = entry["pieces"]  # [first indices..., address, bytes, mask]
        self.inside = base64.b64decode(entry["inside"])  # a small array among the structure
        self.chunk_bytes = math.prod(self.chunk) * self.dtype.itemsize
        held = max(math.prod(self.shape) * self.dtype.itemsize, len(self.pieces) * self.chunk_bytes)
        file.spend(f"{printable(key)}, {self.shape} of {self.dtype},", held)
        self._check(file)

    def _check(self, file: File) -> None:
        # Every part is there once, and its bytes belong to no other part.
        n_parts = math.prod(-(-n // max(m, 1)) for n, m in zip(self.shape, self.chunk, strict=True))
        if (
            not len({tuple(piece[:-3]) for piece in self.pieces}) == len(self.pieces) == n_parts
            or any(min(piece) < 0 for piece in self.pieces)
            or any(
                i % m or i >= n
                for piece in self.pieces
                for i, m, n in zip(piece[:-3], self.chunk, self.shape, strict=True)
            )
        ):
            raise ValueError(f"{self.where} is not whole, parts of it were never written")
        if not self.inside:
            file.unread -= sum(size for *_, size, _ in self.pieces)
            if file.unread < 0 or any(at + size > file.size for *_, at, size, _ in self.pieces):
                raise ValueError(f"{self.where} lies outside the file or shares bytes with another")

    def read(self) -> npt.NDArray[Any]:
        """The whole array, in the byte order of this machine."""
        whole = np.empty(self.shape, self.dtype.newbyteorder("="))
        for place, block in self.blocks():
            whole[place] = block
        return whole

    def blocks(self, rows: Rows | None = None) -> Iterator[tuple[Index, npt.NDArray[Any]]]:
        """Every part of the array once, as (place, values).

        With rows, ascending indices along the first axis, place counts among those rows, and
        parts that hold none of them are not read.
        """
        sizes = self.chunk, self.shape
        with io.BytesIO(self.inside) if self.inside else self.path.open("rb") as file:
            for *first, address, size, mask in self.pieces:
                ends = [min(i + m, n) for i, m, n in zip(first, *sizes, strict=True)]
                place = tuple(map(slice, first, ends))
                if rows is None:
                    yield place, self._part(file, address, size, mask, place)
                    continue
                i, j = np.searchsorted(rows, (first[0], ends[0]))
                if i < j:
                    block = self._part(file, address, size, mask, place)
                    yield (slice(i, j), *place[1:]), block[rows[i:j] - first[0]]

    def _part(
        self, file: BinaryIO, address: int, size: int, mask: int, place: Index
    ) -> npt.NDArray[Any]:
        """The values of one part, without what a chunk holds beyond the edge of the array."""
        file.seek(address)
        data, lengths = file.read(size), [axis.stop - axis.start for axis in place]
        try:
            for i, code in reversed([*enumerate(self.filters)]):
                if not mask >> i & 1:
                    data = self._inflated(data) if code == GZIP else self._unshuffled(data)
            dtype = np.dtype(np.uint8) if self.dtype.kind == "b" else self.dtype
            full = len(data) == self.chunk_bytes
            part = np.frombuffer(data, dtype).reshape(self.chunk if full else lengths)
        except (ValueError, zlib.error) as error:
            raise ValueError(f"{self.where} is damaged ({error})") from None
        return part[tuple(map(slice, lengths))].astype(self.dtype.newbyteorder("="), copy=False)

    def _inflated(self, data: bytes) -> bytes:
        # A byte more than wanted is enough to tell that there is too much.
        inflated = zlib.decompressobj().decompress(data, self.chunk_bytes + 1)
        if len(inflated) != self.chunk_bytes:
            raise ValueError(f"a chunk of {self.chunk_bytes:,} bytes holds others")
        return inflated

    def _unshuffled(self, data: bytes) -> bytes:
        # Stored are the first bytes of all numbers, then the second ones, and so on.
        width = self.dtype.itemsize
        return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()


@contextmanager
def write_h5(path: str | Path) -> Iterator["h5py.File"]:
    """An HDF5 file to fill; written to path, whole or not at all, when the block ends well."""
    import h5py

    image = io.BytesIO()  # then plain bytes go to disk: of a full one h5py makes a dozen errors
    with h5py.File(image, "w") as file:
        yield file
    with atomic(path) as name:
        Path(name).write_bytes(image.getbuffer())
