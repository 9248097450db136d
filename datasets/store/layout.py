"""Where the arrays of an HDF5 file lie: printed as JSON by a process of its own.

The HDF5 library crashes or hangs on some damaged files; then that process ends, and the one that
asked goes on. No array is read here, so no filter runs. It is started by its path, with
python -P layout.py FILE KEY..., and imports no other file of this project.
"""

import base64
import fnmatch
import json
import math
import sys
from contextlib import suppress
from typing import Any

import h5py

__all__ = ["layout"]

MEMORY_MAX, SECONDS_MAX = 2 * 2**30, 4  # of the process
ARRAYS_MAX, CHUNKS_MAX = 20_000, 500_000
BLOCK = 4 * 2**20  # bytes of an array without chunks that are read at a time
GZIP, SHUFFLE = 1, 2  # as HDF5 numbers its filters


def layout(path: str, keys: list[str]) -> dict[str, Any]:
    """{"arrays": {key: where it lies, or why it is refused}, "found": names at the top}.

    A name in a key may hold *. Links to other places are named and not followed. For a file that
    the library refuses: {"error": its reason, "locked": does another program write the file}.
    """
    arrays: dict[str, Any] = {}
    try:
        with h5py.File(path, "r") as file:
            if file.userblock_size:  # some versions of the library count addresses from its end
                raise ValueError("it begins with a user block, as MATLAB's files do")
            for key in keys:
                _walk(file, key.split("/"), "", arrays)
            return {"arrays": arrays, "found": list(map(str, file))[:8]}
    except Exception as error:
        reason = " ".join(str(error).split())
        return {"error": reason, "locked": "unable to lock file" in reason}


def _walk(group: h5py.Group, names: list[str], prefix: str, arrays: dict[str, Any]) -> None:
    first, *rest = names
    for name in fnmatch.filter(map(str, group), first) if "*" in first else [first]:
        link, key = group.get(name, getlink=True), prefix + name
        if link is None:
            continue
        found = group[name] if isinstance(link, h5py.HardLink) else None
        if rest and isinstance(found, h5py.Group):
            _walk(found, rest, f"{key}/", arrays)
        elif found is None:
            arrays[key] = {"refused": "is a link to another place, which is not followed"}
        else:
            what = "a group of arrays" if rest else "an array of numbers"
            arrays[key] = {"refused": f"is expected to be {what}"}
            if not rest and isinstance(found, h5py.Dataset):
                arrays[key] = _dataset(found)
        if len(arrays) > ARRAYS_MAX:
            raise ValueError(f"it holds more than {ARRAYS_MAX:,} arrays")


def _dataset(found: h5py.Dataset) -> dict[str, Any]:
    try:
        _check_type(found)
        plist, chunk, inside = found.id.get_create_plist(), found.chunks, b""
        filters = _filters(plist)
        if plist.get_layout() == h5py.h5d.COMPACT:  # at most 64 KB, beside the structure
            chunk, inside = found.shape, found[()].tobytes()
            pieces = [[*(0 for _ in found.shape), 0, len(inside), 0]] if inside else []
        elif chunk:
            pieces = _chunks(found)
        else:
            chunk, pieces = _rows(found)
    except (ValueError, TypeError) as error:
        return {"refused": str(error)}
    return {
        "shape": found.shape,
        "dtype": found.dtype.str,
        "chunk": chunk,
        "filters": filters,
        "pieces": pieces,
        "inside": base64.b64encode(inside).decode(),
    }


def _check_type(found: h5py.Dataset) -> None:
    if found.dtype.kind not in "uifb":
        raise ValueError("is expected to be an array of numbers")
    if not found.id.get_type().equal(h5py.h5t.py_create(found.dtype, logical=True)):
        raise ValueError(f"holds numbers of an unusual form, unlike {found.dtype}")
    if found.external or found.is_virtual:
        raise ValueError("is stored in another file, which is not read")
    if found.shape is None:
        raise ValueError("is expected to be an array, got an empty dataspace")


def _filters(plist: h5py.h5p.PropDCID) -> list[int]:
    codes: list[int] = []
    for i in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(i)
        if code not in (GZIP, SHUFFLE):
            word = name.decode("ascii", "replace") or f"number {code}"
            raise ValueError(f"is stored with the filter {word}, only gzip and shuffle are read")
        if code in codes:
            raise ValueError("is compressed twice, which is not read")
        codes.append(code)
    return codes


def _chunks(found: h5py.Dataset) -> list[list[int]]:
    """[first index on each axis..., address, bytes, mask of filters unused] of every chunk."""
    if found.id.get_num_chunks() > CHUNKS_MAX:
        raise ValueError(f"lies in more than {CHUNKS_MAX:,} chunks")
    pieces: list[list[int]] = []
    found.id.chunk_iter(
        lambda at: pieces.append([*at.chunk_offset, at.byte_offset, at.size, at.filter_mask])
    )
    return pieces


def _rows(found: h5py.Dataset) -> tuple[tuple[int, ...], list[list[int]]]:
    """The same of an array without chunks: blocks of rows that are easy to hold."""
    address, size = found.id.get_offset(), math.prod(found.shape) * found.dtype.itemsize
    if address is None or not size or not found.shape:
        return found.shape, [] if address is None or not size else [[address, size, 0]]
    N, *rest = found.shape
    n = min(N, max(1, BLOCK * N // size))
    if N // n > CHUNKS_MAX:
        raise ValueError(f"claims {found.shape} of {found.dtype}, more than any file holds")
    others, row = [0 for _ in rest], size // N  # bytes
    pieces = [[i, *others, address + i * row, min(n, N - i) * row, 0] for i in range(0, N, n)]
    return (n, *rest), pieces


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))


if __name__ == "__main__":
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        _limit()
    json.dump(layout(sys.argv[1], sys.argv[2:]), sys.stdout)
