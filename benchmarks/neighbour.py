"""What one busy neighbour process costs: training alone and beside it, turn by turn.

    python benchmarks/neighbour.py [--threads 2] [--write]

Exit 1 if W1, W2 or W4 lose more than 1.3 times with the threads that are the default.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.workloads import FLAT, OURS, Contender, workload
from benchmarks.workloads import quick as few
from datasets.run import console
from datasets.threads import limited

BUSY = "print('ready', flush=True)\nwhile True: pass"
LOSS = 1.3
ASKED = ("W1", "W2", "W4")  # that must not lose more; the loss of the others is told
WHO = {"functional_net.py": ("W1",), "net.py": ("W1", "W2", "W3"), "cnn": ("W4", "W5", "W7")}
HEAD = ("workload", "who", "alone", "beside it", "loss")


@contextmanager
def neighbour() -> Iterator[subprocess.Popen]:
    """A process that does nothing but be busy, for as long as the block lasts."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
        if process.stdout:
            process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def measure(who: Contender, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a run alone and beside a busy process, one per round."""
    alone, beside = [], []
    who.run()
    for _ in range(rounds):
        alone.append(timing.took(who.run))
        with neighbour():
            beside.append(timing.took(who.run))
    return alone, beside


def row(ours: str, name: str, quick: bool, rounds: int) -> tuple[float, list[str]]:
    """How many times as long a workload takes beside the neighbour, and a line of the table."""
    work = few(name) if quick else workload(name, 60_000 if name in FLAT else None)
    alone, beside = measure(OURS[ours](work, work.weights()), rounds)
    times = [timing.seconds(median(own) / work.per_run) for own in (alone, beside)]
    line = [name, f"`{ours}`", *times, timing.against(beside, alone)]
    print("{:4}{:22}{:>10}{:>10}{:>20}".format(*line), flush=True)
    return timing.ratio(beside, alone), line


def main(
    threads: Annotated[
        int | None, typer.Option(min=1, help="BLAS threads.  [default: what training takes]")
    ] = None,
    rounds: timing.Rounds = 7,
    quick: timing.Quick = False,
    write: timing.Write = False,
) -> None:
    """Time training alone and beside a busy process."""
    pairs = [(ours, name) for ours, names in WHO.items() for name in names]
    with limited(threads) if threads else nullcontext():
        losses, lines = zip(*(row(*pair, quick, rounds) for pair in pairs), strict=True)
    worst = max(loss for loss, (_, name) in zip(losses, pairs, strict=True) if name in ASKED)
    good, setting = worst <= LOSS, threads or "default"
    print(f"{', '.join(ASKED)} lose at most {worst:.2f} times: {'good' if good else 'TOO MUCH'}")
    if write:
        text = f"## Beside 1 busy process, {setting} threads\n\nBy `python benchmarks/neighbour.py`"
        text += f", {rounds} rounds, {os.cpu_count()} cores.\n\n{timing.table(HEAD, lines)}"
        timing.put(timing.RESULTS, f"neighbour {setting}", text)
    raise SystemExit(0 if good or threads else 1)


if __name__ == "__main__":
    console.run(main)
