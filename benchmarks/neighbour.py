"""What one busy neighbour process costs: training alone and beside it, turn by turn.

    python benchmarks/neighbour.py [--threads 2] [--write]

Exit 1 if W1, W2 or W4 lose more than 1.3 times with the threads that are the default.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.bench import RESULTS, pick
from benchmarks.workloads import OURS, Contender, workload
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


def seconds(task: timing.Task) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def measure(who: Contender, n: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a run alone and beside n busy processes, one per round."""
    alone, beside = [], []
    who.run()
    for _ in range(rounds):
        alone.append(seconds(who.run))
        with neighbours(n):
            beside.append(seconds(who.run))
    return alone, beside


def main(
    threads: Annotated[
        int | None, typer.Option(min=1, help="BLAS threads.  [default: what training takes]")
    ] = None,
    n: Annotated[int, typer.Option("--neighbours", min=1, help="Busy processes.")] = 1,
    rounds: Annotated[int, typer.Option(min=2, help="How often each is timed.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="Few images.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Into benchmarks/results.md.")] = False,
) -> None:
    """Time training alone and beside a busy process."""
    lines, worst = [], 0.0
    for ours, names in WHO.items():
        for name in names:
            work = pick(name, quick)
            if work.is_mlp and not quick:
                work = workload(name, 60_000)
            with limited(threads) if threads else nullcontext():
                alone, beside = measure(OURS[ours](work, work.weights()), n, rounds)
            loss, bounds = timing.ratio(beside, alone), timing.interval(beside, alone)
            if name in ASKED:
                worst = max(worst, loss)
            times = [timing.seconds(median(own) / work.per_run) for own in (alone, beside)]
            shown = f"{loss:.2f} ({bounds[0]:.2f}-{bounds[1]:.2f})"
            lines.append([name, f"`{ours}`", *times, shown])
            print("{:4}{:22}{:>10}{:>10}{:>20}".format(*lines[-1]), flush=True)
    good = worst <= LOSS
    print(f"{', '.join(ASKED)} lose at most {worst:.2f} times: {'good' if good else 'TOO MUCH'}")
    if write:
        title = f"## Beside {n} busy process{'es' * (n > 1)}, {threads or 'default'} threads"
        facts = f"By `python benchmarks/neighbour.py`, {rounds} rounds, {os.cpu_count()} cores."
        table = timing.table(["workload", "who", "alone", "beside it", "loss"], lines)
        timing.put(RESULTS, f"neighbour {threads or 'default'}", f"{title}\n\n{facts}\n\n{table}")
    raise SystemExit(0 if good or threads else 1)


if __name__ == "__main__":
    typer.run(main)
