"""How far more machines help: measured on 1 and 2 ranks, a model from that, up to 10,000 ranks.

    python benchmarks/many.py [--latency 20] [--bandwidth 1.25] [--batch 1024]

A step on R ranks takes  fixed + sample * ceil(batch / R) + messages, where the messages of an
Allreduce take  2 ceil(log2 R) latency + 2 (R - 1) / R bytes / bandwidth  (Thakur, Rabenseifner
and Gropp, 2005). fixed and sample are measured on one rank, the messages within this machine on
two; then the model predicts the steps on two ranks, which were measured, too: that is its error.
"""

import json
import math
import shutil
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.workloads import Object, part, workload
from datasets import many
from datasets.run import console
from datasets.threads import limited

BATCHES = (64, 128, 256, 512, 1024, 2048)
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 10_000)


class Model(NamedTuple):
    """Seconds of a step: fixed, for each sample, and for the messages of an Allreduce."""

    fixed: float
    sample: float
    latency: float  # of a message
    byte: float  # seconds per byte sent
    size: int  # bytes of the gradients

    def step(self, batch: int, ranks: int) -> float:
        work = self.fixed + self.sample * math.ceil(batch / ranks)
        messages = 2 * math.ceil(math.log2(ranks)) * self.latency
        return work + messages + 2 * (ranks - 1) / ranks * self.size * self.byte

    def over(self, latency: float, bandwidth: float) -> "Model":
        """The same over a network: its latency, and its bytes on top of the copying here."""
        return self._replace(latency=latency, byte=self.byte + 1 / bandwidth)

    def best(self, batch: int) -> int:
        """With how many ranks a step takes least: more stop helping."""
        return min(range(1, 10_001), key=lambda ranks: self.step(batch, ranks))


def fitted(steps: dict[int, float], nothing: float, gradients: float, size: int) -> Model:
    """From steps on one rank, and an Allreduce on two of one number and of all gradients."""
    n = np.array(list(steps))
    # A step of 64 samples counts as much as one of 2048: relative errors.
    lines = np.stack([np.ones(len(n)), n], axis=1) / np.array([*steps.values()])[:, None]
    fixed, sample = np.linalg.lstsq(lines, np.ones(len(n)), rcond=None)[0]
    byte = max(0.0, gradients - nothing) / size
    return Model(max(0.0, fixed), sample, nothing / 2, byte, size)


# --- measuring, on each rank ------------------------------------------------------


def middle(task: timing.Task, times: int) -> float:
    """The median of some runs, in seconds; the first one does not count."""
    return median([timing.took(task) for _ in range(times + 1)][1:])


def measure(rounds: int) -> dict[str, object]:
    """Steps of net.py on W3's layers in larger and larger batches, and bare Allreduces."""
    whole, steps = workload("W3", max(BATCHES)), {}
    for batch in BATCHES:
        work = part(whole, batch, batch)
        who = Object(work, work.weights())
        steps[batch] = middle(partial(who.step, *many.share(work.X, work.y)), 10 * rounds)
    grads = [W.copy() for W in who.model.get_weights()]
    one = [np.zeros(1, np.float32)]
    return {
        "steps": list(steps.items()),
        "nothing": middle(lambda: many.mean(one, 1), 100 * rounds),
        "gradients": middle(lambda: many.mean(grads, 1), 10 * rounds),
        "size": sum(W.nbytes for W in grads),
    }


def on(ranks: int, rounds: int) -> dict:
    """What rank 0 of so many has measured."""
    mpiexec = shutil.which("mpiexec") or shutil.which("mpiexec", path=Path(sys.executable).parent)
    if not mpiexec:
        raise typer.BadParameter('expected mpiexec: python -m pip install ".[mpi]"')
    words = [mpiexec, "-n", str(ranks), sys.executable, __file__, "--rounds", str(rounds)]
    found = timing.found_by(words)
    return {**found, "steps": dict(found["steps"])}


# --- tables -----------------------------------------------------------------------


def check(model: Model, one: dict[int, float], two: dict[int, float]) -> tuple[str, float]:
    """Measured and predicted steps on two ranks, and the median of the errors."""
    errors = [abs(model.step(batch, 2) / t - 1) for batch, t in two.items()]
    rows = []
    for (batch, t), error in zip(two.items(), errors, strict=True):
        times = (one[batch], t, model.step(batch, 2))
        rows.append([batch, *map(timing.seconds, times), f"{one[batch] / t:.2f}", f"{error:.0%}"])
    head = ["batch", "1 rank", "2 ranks", "model", "speed-up", "error of the model"]
    return timing.table(head, rows), median(errors)


def forecast(model: Model, batch: int) -> str:
    """The speed-up for a batch of fixed size, and for one that grows with the ranks."""
    head = ["ranks", f"speed-up, batch {batch:,}", f"images per second, {batch:,} on each rank"]
    rows = []
    for ranks in RANKS:
        speedup = model.step(batch, 1) / model.step(batch, ranks)
        grown = ranks * batch / model.step(ranks * batch, ranks)
        rows.append([f"{ranks:,}", f"{speedup:.1f}", f"{grown:,.0f}"])
    return timing.table(head, rows)


def told(one: dict, two: dict, latency: float, bandwidth: float, batch: int) -> str:
    """All that follows from what one and two ranks have measured."""
    model = fitted(one["steps"], two["nothing"], two["gradients"], one["size"])
    table, error = check(model, one["steps"], two["steps"])
    net = model.over(latency / 1e6, bandwidth * 1e9)
    best = net.best(batch)
    gain = net.step(batch, 1) / net.step(batch, best)
    return (
        f"784-100-50-10, {model.size / 1000:.0f} kB of gradients. A step takes "
        f"{timing.seconds(model.fixed)} and {timing.seconds(model.sample)} for each image; an "
        f"Allreduce between two ranks of this machine {timing.seconds(two['gradients'])}.\n\n"
        f"{table}\n\nThe model is off by {error:.0%} (median). Over a network of {latency:g} "
        f"microseconds and {bandwidth:g} GB/s it predicts:\n\n{forecast(net, batch)}\n\n"
        f"A batch of {batch:,} is fastest on {best:,} ranks ({gain:.1f} times); more stop helping."
    )


def main(
    latency: Annotated[float, typer.Option(min=0, help="Of the network, microseconds.")] = 20,
    bandwidth: Annotated[float, typer.Option(min=1e-6, help="Of the network, GB/s.")] = 1.25,
    batch: Annotated[int, typer.Option(min=1, help="Images of a step to be predicted.")] = 1024,
    rounds: Annotated[int, typer.Option(min=1, help="More of them, quieter times.")] = 5,
    write: timing.Write = False,
    worker: timing.Worker = None,
) -> None:
    """Measure net.py on W3's layers on 1 and 2 ranks, and predict more of them on a network."""
    if worker:
        with limited():
            found = measure(rounds)
            if many.leads():
                worker.write_text(json.dumps(found), encoding="utf-8")
        return
    text = told(on(1, rounds), on(2, rounds), latency, bandwidth, batch)
    print(text)
    if write:
        facts = f"By `python benchmarks/many.py` on {timing.machine()}."
        timing.put(timing.RESULTS, "many", f"## Many machines\n\n{facts}\n\n{text}")


if __name__ == "__main__":
    console.run(main)
