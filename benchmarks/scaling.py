"""More images, larger batches, more columns at a time; memory and start-up of the commands.

    python benchmarks/scaling.py [--rounds 7] [--write]

functional_net.py with the layers and batches of W1, net.py with those of W3, cnn of W4.
"""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.floor import Gemms
from benchmarks.workloads import OURS, SHAPES, Contender, part, workload
from cnn import kernels
from datasets.run import console

NETS = {"functional_net.py": "W1", "net.py": "W3", "cnn": "W4"}
ENOUGH = 5000  # images in a row, or the clock would blur short epochs
COMMANDS = ("functional_net.py", "net.py", "-m cnn")
LOAD = "import time, h5py; from datasets import load_mnist as f; t = time.time(); f(); "


# --- time per image -------------------------------------------------------------


def row(name: str, kind: type[Contender], sizes: list[tuple[int, int]], rounds: int) -> list[str]:
    """Microseconds per image of an epoch over n images in batches, for each (n, batch)."""
    whole = workload(NETS[name], max(n for n, _ in sizes))
    tasks: dict[str, timing.Task] = {}
    for n, batch in sizes:
        work = part(whole, n, batch)
        who, times = kind(work, work.weights()), max(1, ENOUGH // n)
        tasks[str((n, batch))] = partial(repeated, who, times)
    counts = [n * max(1, ENOUGH // n) for n, _ in sizes]
    found = timing.interleaved(tasks, rounds).values()
    each = [[1e6 * t / n for t in own] for own, n in zip(found, counts, strict=True)]
    within = [timing.ratio(own, each[0]) for own in each]  # machines drift from round to round
    title = f"matrix products of `{name}`" if kind is Gemms else f"`{name}`"
    return [title, *(f"{median(own):.1f}" for own in each), f"{max(within) / min(within):.2f}"]


def repeated(who: Contender, times: int) -> None:
    """Short epochs, often enough for the clock."""
    for _ in range(times):
        who.run()


def images(rounds: int, sizes: tuple[int, ...]) -> str:
    """Microseconds per image against the number of images."""
    batch = {name: SHAPES[NETS[name]][3] for name in OURS}
    head = ["microseconds per image", *(f"{n:,} images" for n in sizes), "most / least"]
    found = [row(name, OURS[name], [(n, batch[name]) for n in sizes], rounds) for name in OURS]
    return timing.table(head, found)


def batches(rounds: int, sizes: tuple[int, ...], n: int = 5120) -> str:
    """Microseconds per image against the size of the batch, also of the matrix products alone."""
    head = [f"{n:,} images", *(f"batch {B}" for B in sizes), "most / least"]
    pairs = [(name, kind) for name in OURS for kind in (OURS[name], Gemms)]
    found = [row(name, kind, [(n, B) for B in sizes], rounds) for name, kind in pairs]
    return timing.table(head, found)


def columns(rounds: int, sizes: tuple[float, ...], n: int = 256) -> str:
    """Milliseconds of a step against the bytes of columns that kernels.CACHE allows at a time."""
    rows = []
    for name in ("W4", "W5", "W7"):
        work = workload(name, n)
        who = OURS["cnn"](work, work.weights())
        tasks: dict[str, timing.Task] = {str(MB): partial(allowed, MB, who) for MB in sizes}
        times = timing.interleaved(tasks, rounds).values()
        rows.append([name, *(f"{1e3 * median(own) / work.per_run:.1f}" for own in times)])
    return timing.table(["ms per step", *(f"{MB:g} MB" for MB in sizes)], rows)


def allowed(MB: float, who: Contender) -> None:
    """An epoch with so many bytes of columns at a time."""
    with patch.object(kernels, "CACHE", int(MB * 2**20)):
        who.run()


# --- memory and start-up ----------------------------------------------------------


def peak(command: str) -> str:
    """The most memory that a command ever had, from /proc; "?" where there is none."""
    largest, words = "?", [sys.executable, *command.split()]
    with subprocess.Popen(words, cwd=timing.ROOT, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            if status.exists() and "VmHWM" in (text := status.read_text()):
                largest = f"{int(text.split('VmHWM:')[1].split()[0]) / 1024:.0f} MB"
            time.sleep(0.02)
    return largest


def start(words: list[str], times: int) -> float:
    """Median seconds of a command."""
    run = partial(subprocess.run, cwd=timing.ROOT, capture_output=True, check=True)
    return median(timing.took(partial(run, [sys.executable, *words])) for _ in range(times))


def commands(times: int) -> str:
    """What each command needs to answer -h, and for one epoch and three of all of MNIST."""
    head = ["command", "-h", "memory, 1 epoch", "3 epochs"]
    lines = [
        [
            f"`python {command}`",
            timing.seconds(start([*command.split(), "-h"], times)),
            *(peak(f"{command} --epochs {epochs}") for epochs in (1, 3)),
        ]
        for command in COMMANDS
    ]
    load = [
        float(subprocess.check_output([sys.executable, "-c", f"{LOAD}print(time.time() - t)"],
                                      cwd=timing.ROOT)) for _ in range(times)
    ]  # fmt: skip
    return f"{timing.table(head, lines)}\n\n`load_mnist()` takes {timing.seconds(median(load))}."


def main(
    rounds: timing.Rounds = 7, quick: timing.Quick = False, write: timing.Write = False
) -> None:
    """How time and memory grow with images, batches and epochs."""
    sizes = (100, 200) if quick else (1000, 5000, 20_000, 60_000)
    tables = [
        images(rounds, sizes),
        batches(rounds, (32, 64) if quick else (32, 64, 128, 256, 512), 128 if quick else 5120),
        columns(rounds, (0.25, 1) if quick else (0.25, 0.5, 1, 2, 4, 8), 32 if quick else 256),
        *([] if quick else [commands(rounds)]),
    ]
    print("\n\n".join(tables))
    if write:
        facts = f"By `python benchmarks/scaling.py --rounds {rounds}` on {timing.machine()}."
        timing.put(timing.RESULTS, "scaling", "\n\n".join(["## Scaling", facts, *tables]))


if __name__ == "__main__":
    console.run(main)
