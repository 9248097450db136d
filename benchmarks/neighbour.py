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
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.bench import pick
from benchmarks.workloads import OURS, Contender, workload
from datasets.run import console
from datasets.threads import limited

BUSY = "print('ready', flush=True)\nwhile True: pass"
LOSS = 1.3
ASKED = ("W1", "W2", "W4")  # that must not lose more; the loss of the others is told
WHO = {"functional_net.py": ("W1",), "net.py": ("W1", "W2", "W3"), "cnn": ("W4", "W5", "W7")}


@contextmanager
def neighbours(n: int) -> Iterator[None]:
    """n processes that do nothing but be busy, for as long as the block lasts."""
    words = [sys.executable, "-c", BUSY]
    busy = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(n)]
    try:
        for process in busy:
            if process.stdout:
                process.stdout.readline()
        yield
    finally:
        for process in busy:
            process.kill()
            process.communicate()


def measure(who: Contender, n: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a run alone and beside n busy processes, one per round."""
    alone, beside = [], []
    who.run()
    for _ in range(rounds):
        alone.append(timing.took(who.run))
        with neighbours(n):
            beside.append(timing.took(who.run))
    return alone, beside


def row(ours: str, name: str, quick: bool, *settings: Any) -> tuple[float, list[str]]:
    """How many times as long a workload takes beside the neighbours, and a line of the table."""
    work = workload(name, 60_000) if name in ("W1", "W2", "W3") and not quick else pick(name, quick)
    alone, beside = measure(OURS[ours](work, work.weights()), *settings)
    times = [timing.seconds(median(own) / work.per_run) for own in (alone, beside)]
    line = [name, f"`{ours}`", *times, timing.against(beside, alone)]
    print("{:4}{:22}{:>10}{:>10}{:>20}".format(*line), flush=True)
    return timing.ratio(beside, alone), line


def main(
    threads: Annotated[
        int | None, typer.Option(min=1, help="BLAS threads.  [default: what training takes]")
    ] = None,
    n: Annotated[int, typer.Option("--neighbours", min=1, help="Busy processes.")] = 1,
    rounds: timing.Rounds = 7,
    quick: timing.Quick = False,
    write: timing.Write = False,
) -> None:
    """Time training alone and beside a busy process."""
    pairs = [(ours, name) for ours, names in WHO.items() for name in names]
    with limited(threads) if threads else nullcontext():
        losses, lines = zip(*(row(*pair, quick, n, rounds) for pair in pairs), strict=True)
    worst = max(loss for loss, (_, name) in zip(losses, pairs, strict=True) if name in ASKED)
    good = worst <= LOSS
    print(f"{', '.join(ASKED)} lose at most {worst:.2f} times: {'good' if good else 'TOO MUCH'}")
    if write:
        title = f"## Beside {n} busy process{'es' * (n > 1)}, {threads or 'default'} threads"
        facts = f"By `python benchmarks/neighbour.py`, {rounds} rounds, {os.cpu_count()} cores."
        table = timing.table(["workload", "who", "alone", "beside it", "loss"], lines)
        timing.put(
            timing.RESULTS, f"neighbour {threads or 'default'}", f"{title}\n\n{facts}\n\n{table}"
        )
    raise SystemExit(0 if good or threads else 1)


if __name__ == "__main__":
    console.run(main)
