"""More images, larger batches, longer runs; memory, start-up, and what surrounds the arithmetic."""

import inspect
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np

import functional_net
import net
from benchmarks import timing
from benchmarks.floor import Gemms
from benchmarks.timing import ROOT, Task
from benchmarks.workloads import OURS, Contender, part, workload
from datasets.run.loop import Run

__all__ = ["SIZES", "BATCHES", "images", "batches", "around", "memory", "starts"]

SIZES = (1000, 5000, 20_000, 60_000)
BATCHES = (32, 64, 128, 256, 512)
NETS = {"functional_net.py": "W1", "net.py": "W3", "cnn": "W4"}  # and the layers that they get
COMMANDS = ("functional_net.py", "net.py", "-m cnn")


# --- time per image -------------------------------------------------------------


def per_image(
    name: str, kind: type[Contender], sizes: list[tuple[int, int]], rounds: int
) -> list[list[float]]:
    """Microseconds per image of epochs over n images in batches, for each (n, batch)."""
    tasks: dict[str, Task] = {}
    counts = []
    for n, batch in sizes:
        work = part(workload(NETS[name], whole=True), n, batch)
        epochs = max(1, 5000 // n)  # short ones are repeated, or the clock would blur them
        tasks[f"{n} {batch}"] = epochs_of(kind(work, work.weights()), epochs)
        counts.append(n * epochs)
    times = timing.interleaved(tasks, rounds).values()
    return [[1e6 * t / n for t in own] for own, n in zip(times, counts, strict=True)]


def epochs_of(who: Contender, epochs: int) -> Task:
    def task() -> None:
        for _ in range(epochs):
            who.run()

    return task


def row(name: str, sizes: list[tuple[int, int]], rounds: int, floor: bool = False) -> list[str]:
    """Of one of our networks or, as the floor, of nothing but its matrix products."""
    times = per_image(name, Gemms if floor else OURS[name], sizes, rounds)
    cells = [f"{median(own):.1f}" for own in times]
    within = [timing.ratio(own, times[0]) for own in times]  # machines drift from round to round
    title = f"matrix products of `{name}`" if floor else f"`{name}`"
    return [title, *cells, f"{max(within) / min(within):.2f}"]


def images(rounds: int, sizes: tuple[int, ...] = SIZES) -> str:
    """Microseconds per image against the number of images."""
    head = ["microseconds per image", *(f"{n:,} images" for n in sizes), "most / least"]
    batch = {name: workload(NETS[name]).batch for name in OURS}
    return timing.table(
        head, [row(name, [(n, batch[name]) for n in sizes], rounds) for name in OURS]
    )


def batches(rounds: int, n: int = 5120) -> str:
    """Microseconds per image against the size of the batch."""
    head = ["microseconds per image", *(f"batch {B}" for B in BATCHES), "most / least"]
    sizes = [(n, B) for B in BATCHES]
    return timing.table(
        head, [row(name, sizes, rounds, floor) for name in OURS for floor in (False, True)]
    )


# --- what surrounds the arithmetic ------------------------------------------------


class Terminal(io.StringIO):
    """Swallows a progress bar that believes to be seen."""

    def isatty(self) -> bool:
        return True


def watched(batch: int) -> Run:
    """The Run of a command with default options."""
    options: dict[str, Any] = dict.fromkeys(inspect.signature(functional_net.main).parameters)
    options |= {"epochs": 1, "batch_size": batch}
    ctx: Any = SimpleNamespace(params=options, args=[], get_parameter_source=lambda _: None)
    return Run(ctx, np.random.default_rng(0))


def around(rounds: int, n: int = 60_000) -> str:
    """Seconds of an epoch with and without shuffling, hits and progress bar."""
    work = part(workload("W1"), n, 20)
    weights = work.weights()
    model = net.perceptron(work.sizes)
    model.set_weights(net.from_weights(weights))
    start = functional_net.from_weights(weights)
    zeros = functional_net.zeros(start)
    ordered = [(work.X[i : i + 20], work.y[i : i + 20]) for i in range(0, n, 20)]

    def functional_alone() -> None:
        params, velocity = start, zeros
        for X, y in ordered:
            Z1, A1, logits = functional_net.forward(params, X)
            _, dlogits = functional_net.cross_entropy(logits, y)
            steps = functional_net.backward(params, X, Z1, A1, 0.1 * dlogits)
            params, velocity = functional_net.move(params, velocity, steps, 0.1)

    def object_alone() -> None:
        for X, y in ordered:
            model.loss(model.forward(X.T), y.T)
            model.backward(0.1)
            model.move(model.dW, 0.1)

    def whole(steps: Callable[..., Iterator[Any]]) -> None:
        run = watched(20)
        with redirect_stdout(Terminal()):
            for _ in run.watch(steps(run.batches(work.X, work.y))):
                pass

    tasks: dict[str, Task] = {
        "functional_net.py": lambda: whole(
            lambda some: functional_net.train_epoch(start, zeros, some, 0.1, 0.1)
        ),
        "functional_net.py alone": functional_alone,
        "net.py": lambda: whole(lambda some: model.train_epoch(some, 0.1, 0.1)),
        "net.py alone": object_alone,
    }
    times = timing.interleaved(tasks, rounds)
    lines = []
    for name in ("functional_net.py", "net.py"):
        with_all, alone = times[name], times[f"{name} alone"]
        share = 1 - 1 / timing.ratio(with_all, alone)
        cells = [timing.seconds(median(own)) for own in (with_all, alone)]
        lines.append([f"`{name}`", *cells, f"{share:.1%}"])
    head = ["W1", "epoch as the command runs it", "arithmetic alone"]
    shares = timing.table([*head, "shuffling, hits and progress bar"], lines)
    return f"{shares}\n\nThe two times are medians; the share is the median over rounds of both."


# --- memory and start-up ----------------------------------------------------------


def peak(command: str) -> float | None:
    """The largest memory in MB that a command ever had, from /proc; None where there is none."""
    words = [sys.executable, *command.split()]
    largest = None
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            if status.exists() and "VmHWM" in (text := status.read_text()):
                largest = int(text.split("VmHWM:")[1].split()[0]) / 1024
            time.sleep(0.02)
    return largest


def memory() -> str:
    """Peak memory of training on all of MNIST, for one epoch and for three."""
    lines = []
    for command in COMMANDS:
        found = [peak(f"{command} --epochs {epochs}") for epochs in (1, 3)]
        lines.append([f"`python {command}`", *(f"{MB:.0f} MB" if MB else "?" for MB in found)])
    return timing.table(["peak memory", "1 epoch", "3 epochs"], lines)


LOAD = """
import time
from datasets import load_mnist
import h5py
begin = time.perf_counter()
load_mnist()
print(time.perf_counter() - begin)
"""


def starts(times: int) -> str:
    """How long -h takes, and load_mnist in a fresh process."""
    lines = []
    for command in COMMANDS:
        found = []
        for _ in range(times):
            begin = time.perf_counter()
            words = [sys.executable, *command.split(), "-h"]
            subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
            found.append(time.perf_counter() - begin)
        lines.append([f"`python {command} -h`", *map(timing.seconds, (median(found), min(found)))])
    loads = [
        float(subprocess.check_output([sys.executable, "-c", LOAD], cwd=ROOT, text=True))
        for _ in range(times)
    ]
    lines.append(["`load_mnist()`", *map(timing.seconds, (median(loads), min(loads)))])
    return timing.table(["start", "median", "min"], lines)
