"""Thousands of damaged and hostile files into every reader: only documented errors come out.

    python tests/datasets/test_fuzz.py SEED N KIND...

tries N files of each KIND (hdf5, picture, idx) and prints how many were refused. The test runs it,
so that a signal, a hang or gigabytes are seen; FUZZ=300 tries 54,000 files.
"""

import gzip
import io
import json
import os
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from datasets import load_mnist, load_weights, save_weights  # noqa: E402
from datasets.read.digit import as_mnist  # noqa: E402
from datasets.read.idx import read_idx  # noqa: E402
from datasets.read.picture import decode, look  # noqa: E402
from datasets.store import hdf5  # noqa: E402
from datasets.store.layout import layout  # noqa: E402
from datasets.store.weights import About, load_checkpoint, load_net  # noqa: E402

N = 60 * int(os.environ.get("FUZZ", "1"))  # files of a kind
SECONDS_MAX, MEGABYTES_MAX = 5, 1000
RNG = np.random.Generator
Reader = Callable[[Path], object]


# --- files -----------------------------------------------------------------------------------


def mutated(whole: bytes, rng: RNG) -> bytes:
    """As it was, cut, with bytes or a number changed, a piece repeated, or noise."""
    data = bytearray(whole)
    match rng.integers(8):
        case 0:
            del data[rng.integers(len(data)) :]
        case 1:
            at = rng.integers(len(data))
            data[at:at] = data[: rng.integers(min(len(data), 5000))]
        case 2:  # the header: sizes, depths, lengths
            for at in rng.integers(0, min(60, len(data)), 3):
                data[at] = rng.choice([0, 1, 127, 128, 255])
        case 3:  # a number of 8 bytes
            at = 8 * rng.integers(len(data) // 8 + 1)
            number = (0, 1, 2**31, 2**40, 2**64 - 1)[rng.integers(5)]
            data[at : at + 8] = number.to_bytes(8, "little")
        case 4 | 5 | 6:
            for at in rng.integers(0, len(data), rng.integers(1, 9)):
                data[at] = rng.integers(256)
        case _ if rng.random() < 0.1:
            return rng.bytes(rng.integers(3000))
    return bytes(data)


def some_dataset(file: h5py.File, key: str, data: np.ndarray, rng: RNG) -> None:
    """data under a key, in chunks or not, with filters that are read and some that are not."""
    read = [{}, {"compression": "gzip"}, {"shuffle": True}]
    not_read = [{"fletcher32": True}, {"compression": "lzf"},
                {"scaleoffset": {"b": None, "f": 3}.get(data.dtype.kind, 0)}]  # fmt: skip
    how = read[rng.integers(3)] | read[rng.integers(3)]
    if rng.random() < 0.03:
        how |= not_read[rng.integers(3)]
    if how or rng.random() < 0.3:
        how["chunks"] = tuple(int(rng.integers(1, n + 3)) for n in data.shape)
        how["maxshape"] = tuple(None for _ in data.shape)
    found = file.create_dataset(key, data=data, **how)
    if found.chunks and rng.random() < 0.03:  # not what the filters make
        noise = rng.bytes(int(rng.integers(50)))
        bomb = zlib.compress(bytes(10**6))
        inside = [noise + b"1", bomb, zlib.compress(bomb)][rng.integers(3)]
        found.id.write_direct_chunk(tuple(0 for _ in data.shape), inside, int(rng.integers(4)))


def some_link(file: h5py.File, key: str, rng: RNG) -> None:
    """Something else under a key: a link, itself, a group, text, an array of another kind."""
    links = [h5py.SoftLink("/train_data"), h5py.ExternalLink("/dev/zero", "/"), file["/"]]
    values = [b"text", 3, 2.5, h5py.Empty("f4"), np.zeros((2, 3), "c8"), np.zeros(3, [("a", "i4")])]
    others = [*links, *values]
    if key in file:
        del file[key]
    file[key] = others[rng.integers(len(others))]


def hdf5_file(rng: RNG) -> bytes:
    """An image set, weights and a state in one; some parts are not what they should be."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver=("earliest", "latest")[rng.integers(2)]) as file:
        shape = [(4, 4), (16,), (4, 4, 3), (3, 4, 4)][rng.integers(4)]
        kinds = ["u1", "u1", "u2", "i8", "f4", ">f8", "bool", "u8"]
        for half, n in (("train", 12), ("test", int(rng.integers(1, 7)))):
            data = rng.integers(0, rng.choice([2, 200, 70000]), (n, *shape))
            some_dataset(file, f"{half}_data", data.astype(kinds[rng.integers(8)]), rng)
            labels = np.arange(n) % 3 * rng.choice([1] * 9 + [10**6])
            some_dataset(file, f"{half}_labels", labels, rng)
        for key in ("layer_1/W", "layer_1/b", "run/velocity/layer_1/W", "run/velocity/layer_1/b"):
            some_dataset(file, key, rng.random((3, 2) if key[-1] == "W" else 2), rng)
        about = {"class_names": ["a", "b"], "image_shape": [1, 4, 4], "prepared": "fitted"}
        for key, value in (("about", about), ("run/state", {"options": {"lr": "0.1"}})):
            text = json.dumps(value).encode()
            file[key] = np.frombuffer(mutated(text, rng) if rng.random() < 0.1 else text, "u1")
        for i in range(rng.integers(12)):
            file.attrs[f"a{i}"] = "text" * i
        if rng.random() < 0.2:
            keys = ["train_data", "test_labels", "layer_1/W", "layer_1", "layer_9999/x", "run"]
            some_link(file, keys[rng.integers(6)], rng)
    return image.getvalue()


def picture_file(rng: RNG) -> bytes:
    kind = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")[rng.integers(6)]
    mode = ("RGB", "L", "1", "RGBA", "P", "CMYK", "I;16", "F")[rng.integers(8)]
    pixels = rng.integers(0, 256, (int(rng.integers(1, 20)), int(rng.integers(1, 20)), 3), "u1")
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    packed = {"compression": [None, "tiff_lzw", "tiff_deflate", "packbits"][rng.integers(4)]}
    try:
        whole = picture.convert("I" if mode == "I;16" else mode)
        whole.convert(mode).save(buffer, kind, **(packed if kind == "TIFF" else {}))
    except (OSError, ValueError):  # this format has no such mode
        buffer = io.BytesIO()
        picture.save(buffer, kind)
    return buffer.getvalue()


def idx_file(rng: RNG) -> bytes:
    shape = rng.integers(1, 9, 3) if rng.random() < 0.9 else rng.integers(0, 2**32, 3)
    head = bytes([0, 0, 8, 3]) + shape.astype(">u4").tobytes()
    data = head + rng.bytes(int(min(np.prod(shape.astype(float)), 10**4)))
    return gzip.compress(mutated(data, rng)) if rng.random() < 0.5 else data


def keep(path: Path) -> None:
    """Save the weights of a file and what they are for, and load both again."""
    weights, about = load_net(path)
    save_weights(path.with_name("again"), weights, about=about)
    again, said = load_net(path.with_name("again"))
    assert said == about and all(np.array_equal(again[key], weights[key]) for key in weights)
    assert about is None or isinstance(about, About)


KINDS: dict[str, tuple[Callable[[RNG], bytes], list[Reader]]] = {
    "hdf5": (hdf5_file, [load_mnist, load_weights, load_checkpoint, keep]),
    "picture": (picture_file, [look, as_mnist, lambda path: decode(path, 3, (8, 8))]),
    "idx": (idx_file, [lambda path: read_idx(path, 3), lambda path: read_idx(path, 1)]),
}


# --- a process that reads many files ---------------------------------------------------------


def forked(path: Path, keys: list[str]) -> dict[str, object]:
    """In the place of datasets.store.hdf5._ask: a hundred times as fast, and a crash is seen."""
    come, go = os.pipe()
    if not (child := os.fork()):
        with os.fdopen(go, "w") as answer:
            json.dump(layout(str(path), keys), answer)
        os._exit(0)
    os.close(go)
    with os.fdopen(come) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"error": "the HDF5 library crashed on it"}


def attack(kind: str, seed: int, n: int, path: Path) -> int:
    """Hand n files to a reader each; returns how many were refused."""
    rng, refused, (make, readers) = np.random.default_rng(seed), 0, KINDS[kind]
    wholes = [make(rng) for _ in range(min(n, 60))]
    for i in range(n):
        whole = wholes[rng.integers(len(wholes))]
        path.write_bytes(whole if rng.random() < 0.2 else mutated(whole, rng))
        start = time.perf_counter()
        try:
            readers[i % len(readers)](path)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error) and str(error).isprintable(), (i, repr(error))
        except Exception as error:
            raise AssertionError(f"file {i} of seed {seed}: {error!r}") from error
        assert time.perf_counter() - start < SECONDS_MAX, f"file {i} of seed {seed} takes too long"
    return refused


def main() -> None:
    import resource

    warnings.simplefilter("ignore", UserWarning)
    hdf5._ask = forked
    seed, n, *kinds = sys.argv[1:]
    with TemporaryDirectory() as folder:
        for kind in kinds:
            print(attack(kind, int(seed), int(n), Path(folder) / "x.bin"))
    scale = 2**20 if sys.platform == "darwin" else 2**10
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    assert megabytes < MEGABYTES_MAX, f"{megabytes:.0f} MB"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_damaged_files_end_in_documented_errors_only():
    words = [sys.executable, __file__, "0", str(N), *KINDS]
    done = subprocess.run(words, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]
    refused = list(map(int, done.stdout.split()))
    assert len(refused) == len(KINDS) and all(N / 5 < some < N for some in refused)


if __name__ == "__main__":
    main()
