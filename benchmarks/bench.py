"""Time our networks beside every peer that is installed, on the workloads W1 to W7.

    python benchmarks/bench.py [--workload W4] [--peer PyTorch] [--threads 1] [--quick]

All take turns in one process, in a new order in every round: the same first weights, the same
batches, the same hits. Ours takes part twice: the ratio of the two is the noise of the machine.
"""

import importlib
import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.floor import Gemms
from benchmarks.peers import PEERS
from benchmarks.workloads import NAMES, OURS, SHAPES, Contender, Workload, workload
from benchmarks.workloads import quick as few
from datasets.run import console
from datasets.threads import limited

FLOOR, AGAIN, TWO = "matrix products alone", "ours again", "ours, --threads 2"
STEPS = 5  # whose losses and hits have to agree before a time counts
HEADS = {"default": "Default threads", "1": "One thread each"}
DETAILS = ["workload", "who", "median", "min", "max", "takes so many times as long as the first"]
Times = dict[str, dict[str, list[float]]]  # workload: name: seconds of every round
Names = Annotated[list[str] | None, typer.Option("--workload", help="Only this; repeatable.")]
Peers = Annotated[
    list[str] | None, typer.Option("--peer", help=f"{', '.join(PEERS)}, none; repeatable.")
]


# --- who takes part -------------------------------------------------------------


def installed(wanted: list[str]) -> dict[str, type[Contender]]:
    """The peers that can be imported; a line for each that cannot."""
    found = {}
    for name in wanted:
        try:
            importlib.import_module(PEERS[name].module)
            if name == "PyTorch compiled" and not any(map(shutil.which, ("g++", "clang++", "cl"))):
                raise ImportError("torch.compile needs a C++ compiler, found none")
            found[name] = PEERS[name]
        except ImportError as error:
            print(f"{name} takes no part: {error}")
    return found


def fits(name: str, kind: type[Contender], work: Workload) -> bool:
    """Who can do what; functional_net has two layers."""
    if name == "functional_net.py" and work.is_mlp:
        return len(work.sizes) == 3
    return kind.mlps if work.is_mlp else kind.images


def contenders(work: Workload, peers: dict[str, type[Contender]]) -> dict[str, Contender]:
    """Everybody who can do this work, the first of ours twice, and the bare products."""
    weights = work.weights()
    known = {**OURS, **peers}
    found = {name: kind(work, weights) for name, kind in known.items() if fits(name, kind, work)}
    ours = next(iter(found))
    return {**found, AGAIN: known[ours](work, weights), FLOOR: Gemms(work, weights)}


def agree(everybody: dict[str, Contender]) -> None:
    """Raises ValueError unless all have the losses and the hits of the first."""
    found = {name: first(who) for name, who in everybody.items() if name != FLOOR}
    (ours, (losses, hits)), *others = found.items()
    for name, (got, right) in others:
        close = np.allclose(got, losses, rtol=everybody[name].rtol, atol=1e-5)
        # Where two scores differ by rounding alone, a hit more or less is no other work.
        if not close or (right is not None and abs(right - (hits or 0)) > 2):
            raise ValueError(
                f"{everybody[ours].work.name}: {name} does other work than {ours}: losses "
                f"{np.round(got, 5).tolist()}, hits {right}; "
                f"expected {np.round(losses, 5).tolist()}, {hits}"
            )


def first(who: Contender) -> tuple[list[float], int | None]:
    """Losses and hits of the first steps; for inference the mean scores and the hits."""
    if who.work.kind != "inference":
        return who.train(STEPS)
    scores = who.infer()
    hits = np.count_nonzero(scores.argmax(axis=1) == who.work.y.argmax(axis=1))
    return scores.mean(axis=0).tolist(), int(hits)


# --- times ----------------------------------------------------------------------


def measure(works: list[Workload], peers: dict[str, type[Contender]], rounds: int) -> Times:
    """Seconds of an epoch, a step or the inference, one per round; printed as they come."""
    found = {}
    for work in works:
        print(f"\n{work.name}  {work.title}", flush=True)
        everybody = contenders(work, peers)
        agree(everybody)
        tasks = {name: who.run for name, who in everybody.items()}
        tasks[TWO] = partial(on_two, everybody[AGAIN])
        times = timing.interleaved(tasks, rounds)
        found[work.name] = {who: [t / work.per_run for t in own] for who, own in times.items()}
        for line in rows(found[work.name]):
            print("  {:24}{:>10}{:>10}{:>10}{:>22}".format(*line), flush=True)
    return found


def on_two(who: Contender) -> object:
    """A run with two BLAS threads."""
    with limited(2):
        return who.run()


def rows(times: dict[str, list[float]]) -> Iterator[list[str]]:
    """Name, median, min, max, and how many times as long it takes as the first of ours."""
    ours = next(iter(times.values()))
    for name, own in times.items():
        cells = [timing.seconds(value) for value in (median(own), min(own), max(own))]
        yield [name, *cells, "" if own is ours else timing.against(own, ours)]


# --- results.md -----------------------------------------------------------------


def summary(found: Times) -> str:
    """The README's table: our time, and how many times as long the others take."""
    head = ["workload", "ours", "PyTorch", "the best of the others", "bare products", "noise"]
    lines = []
    for name, times in found.items():
        noise = timing.interval(times[AGAIN], next(iter(times.values())))
        peers = sorted((p for p in PEERS if p in times), key=lambda p: median(times[p]))
        for ours in (own for own in OURS if own in times):
            own = times[ours]
            cells = [f"{name} {SHAPES[name][0]}", f"`{ours}` {timing.seconds(median(own))}"]
            cells += [timing.against(times["PyTorch"], own) if "PyTorch" in times else "-"]
            cells += [f"{p} {timing.against(times[p], own)}" for p in peers[:1]] or ["-"]
            cells += [f"{timing.ratio(times[FLOOR], own):.2f}", "{:.2f}-{:.2f}".format(*noise)]
            lines.append(cells)
    return timing.table(head, lines)


def one_thread(found: Times) -> str:
    """PyTorch's time divided by that of the first of ours, one thread each."""
    ratios = [
        f"{name} {timing.ratio(times['PyTorch'], next(iter(times.values()))):.2f}"
        for name, times in found.items()
        if "PyTorch" in times
    ]
    alike = ", ".join(ratios) or "no PyTorch"
    return f"PyTorch takes all cores, ours one. One thread each: {alike}."


def put(by_threads: dict[str, Times], titles: dict[str, str]) -> None:
    """The tables as Markdown, under the command that measured them."""
    command = shlex.join(word for word in sys.argv[1:] if word != "--write")
    text = [
        f"Measured by `python benchmarks/bench.py {command}` on {timing.machine()}. "
        "2.00 (1.90-2.10) means twice our time: the median over the rounds, its 95 % interval."
    ]
    text += [f"- {name}: {title}" for name, title in titles.items()]
    for threads, times in by_threads.items():
        lines = [[name, *row] for name, own in times.items() for row in rows(own)]
        text += [f"\n## {HEADS[threads]}\n\n{timing.table(DETAILS, lines)}"]
    short = f"{summary(by_threads['default'])}\n\n{one_thread(by_threads['1'])}"
    timing.put(timing.RESULTS, "summary", short)
    timing.put(timing.RESULTS, "times", "\n".join(text))


# --- command line ---------------------------------------------------------------


def choice(value: list[str] | None, allowed: list[str], what: str) -> list[str]:
    """The values asked for, or all of them."""
    for word in value or []:
        if word not in [*allowed, "none"]:
            raise typer.BadParameter(f"{what}: expected one of {', '.join(allowed)}, got {word}")
    return [word for word in value or allowed if word != "none"]


def main(
    names: Names = None,
    wanted: Peers = None,
    threads: Annotated[str, typer.Option(help="default, 1, or both one after the other.")] = "both",
    rounds: timing.Rounds = 7,
    quick: timing.Quick = False,
    write: timing.Write = False,
    worker: timing.Worker = None,
) -> None:
    """Time our networks beside PyTorch, JAX and scikit-learn, those that are installed."""
    names = choice(names, list(NAMES), "--workload")
    wanted = choice(wanted, list(PEERS), "--peer")
    [threads] = choice([threads], [*HEADS, "both"], "--threads")
    settings = list(HEADS) if threads == "both" else [threads]
    if write and threads != "both":
        raise typer.BadParameter("--write: expected --threads both, the page has both tables")
    works = [few(name) if quick else workload(name) for name in names]
    if worker:
        times = measure(works, installed(wanted), rounds)
        worker.write_text(json.dumps(times), encoding="utf-8")
        return
    words = [sys.executable, __file__, *(f"--workload={name}" for name in names)]
    words += [*(f"--peer={name}" for name in wanted or ["none"]), *["--quick"] * quick]
    by_threads = {}
    for setting in settings:  # BLAS reads its threads when Python starts
        print(f"\n{HEADS[setting]}", flush=True)
        own = timing.environment(setting)
        by_threads[setting] = timing.found_by([*words, f"--rounds={rounds}"], own)
    print(f"\n{timing.machine()}")
    if write:
        put(by_threads, {work.name: work.title for work in works})


if __name__ == "__main__":
    console.run(main)
