"""More images, larger batches, more columns at a time; memory and start-up of the commands.

    python benchmarks/scaling.py [--rounds 7] [--write]

functional_net.py with the layers and batches of W1, net.py with those of W3, cnn of W4.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.floor import Gemms
from benchmarks.workloads import OURS, SHAPES, Contender, part, workload
from cnn import kernels
from datasets import load_mnist
from datasets.run import console

NETS = {"functional_net.py": "W1", "net.py": "W3", "cnn": "W4"}
COMMANDS = ("functional_net.py", "net.py", "-m cnn")


# --- time per image -------------------------------------------------------------


def row(name: str, kind: type[Contender], sizes: list[tuple[int, int]], rounds: int) -> list[str]:
    """Microseconds per image of an epoch over n images in batches, for each (n, batch)."""
    whole = workload(NETS[name], max(n for n, _ in sizes))
    works = [part(whole, n, batch) for n, batch in sizes]
    tasks: dict[str, timing.Task] = {
        str(size): kind(work, work.weights()).run for size, work in zip(sizes, works, strict=True)
    }
    found = timing.interleaved(tasks, rounds).values()
    each = [[1e6 * t / n for t in own] for own, (n, _) in zip(found, sizes, strict=True)]
    within = [timing.ratio(own, each[0]) for own in each]  # machines drift from round to round
    title = f"matrix products of `{name}`" if kind is Gemms else f"`{name}`"
    return [title, *(f"{median(own):.1f}" for own in each), f"{max(within) / min(within):.2f}"]


def images(rounds: int, sizes: tuple[int, ...]) -> str:
    """Microseconds per image against the number of images."""
    batch = {name: SHAPES[NETS[name]][3] for name in OURS}
    head = ["microseconds per image", *(f"{n:,} images" for n in sizes), "most / least"]
    found = [row(name, OURS[name], [(n, batch[name]) for n in sizes], rounds) for name in OURS]
    return timing.table(head, found)


def batches(rounds: int, sizes: tuple[int, ...], n: int) -> str:
    """Microseconds per image against the size of the batch, also of the matrix products alone."""
    head = [f"{n:,} images", *(f"batch {B}" for B in sizes), "most / least"]
    pairs = [(name, kind) for name in OURS for kind in (OURS[name], Gemms)]
    found = [row(name, kind, [(n, B) for B in sizes], rounds) for name, kind in pairs]
    return timing.table(head, found)


def columns(rounds: int, sizes: tuple[float, ...], n: int) -> str:
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


def peak(command: str, epochs: int) -> str:
    """The most memory that a command ever had, as Linux counts it; "?" elsewhere."""
    words = [sys.executable, *command.split(), "--epochs", str(epochs)]
    with subprocess.Popen(words, cwd=timing.ROOT, stdout=subprocess.DEVNULL) as process:
        if sys.platform != "linux":
            return "?"
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return f"{usage.ru_maxrss / 1024:.0f} MB"


def helped(command: str) -> None:
    """Have the command answer -h."""
    words = [sys.executable, *command.split(), "-h"]
    subprocess.run(words, cwd=timing.ROOT, capture_output=True, check=True)


def middle(task: timing.Task, times: int) -> str:
    """The median time of a task."""
    return timing.seconds(median(timing.took(task) for _ in range(times)))


def commands(times: int) -> str:
    """What each command needs to answer -h, and for one epoch and three of all of MNIST."""
    lines = [
        [f"`python {each}`", middle(partial(helped, each), times), peak(each, 1), peak(each, 3)]
        for each in COMMANDS
    ]
    table = timing.table(["command", "-h", "memory, 1 epoch", "3 epochs"], lines)
    return f"{table}\n\n`load_mnist()` takes {middle(load_mnist, times)}."


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
