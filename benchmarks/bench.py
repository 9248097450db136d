"""Time our networks beside every peer that is installed, on the workloads W1 to W7.

    python benchmarks/bench.py [--workload W4] [--peer PyTorch] [--threads 1] [--quick]
    python benchmarks/bench.py --scaling

All take turns, round by round, in one process; the same first weights and the same batches.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import scaling, timing
from benchmarks.floor import Bare, Gemms
from benchmarks.peers import PEERS
from benchmarks.timing import ROOT, Task
from benchmarks.workloads import NAMES, OURS, Contender, Workload, workload
from datasets.run import console

RESULTS = ROOT / "benchmarks" / "results.md"
FLOOR = "matrix products alone"
BARE = "NumPy, every trick"
STEPS = 5  # whose losses have to agree before a time counts
HEADS = {"default": "Default threads", "1": "One thread each"}
SCALES = (
    "Measured by `python benchmarks/bench.py --scaling`: functional_net.py and cnn with the layers "
    "and the batches of W1 and W4, net.py with those of W3. The second table uses 5,120 "
    "images. The last column compares times of the same rounds."
)
Times = dict[str, dict[str, list[float]]]  # workload: name: seconds of every round


# --- who takes part -------------------------------------------------------------


def installed(wanted: list[str]) -> tuple[dict[str, type[Contender]], list[str]]:
    """The peers that can be imported, and a line for each that cannot."""
    module = {"PyTorch NHWC": "torch", "PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}
    found, missing = {}, []
    for name in wanted:
        try:
            __import__(module[name])
            found[name] = PEERS[name]
        except ImportError:
            missing.append(f"{name} is not installed (pip install {module[name]})")
    return found, missing


def fits(name: str, work: Workload) -> bool:
    """Who can do what: functional_net has two layers, scikit-learn no convolution."""
    if name == "functional_net.py":
        return work.name == "W1"
    if name in ("net.py", BARE, "scikit-learn"):
        return work.is_mlp
    return name not in ("cnn", "PyTorch NHWC") or not work.is_mlp


def contenders(work: Workload, peers: dict[str, type[Contender]]) -> dict[str, Contender]:
    weights = work.weights()
    known: dict[str, type[Contender]] = {**OURS, BARE: Bare, **peers}
    return {name: kind(work, weights) for name, kind in known.items() if fits(name, work)}


# --- the same work --------------------------------------------------------------


def first_losses(contender: Contender) -> list[float]:
    """Of the first steps; for inference the mean score of each class."""
    if contender.work.kind == "inference":
        return contender.infer().mean(axis=0).tolist()
    return contender.train(islice(contender.shuffled(np.random.default_rng(0)), STEPS))


def agree(everybody: dict[str, Contender]) -> None:
    """Raises ValueError unless all have the losses of the first, within float32's rounding."""
    losses = {name: first_losses(contender) for name, contender in everybody.items()}
    (first, expected), *others = losses.items()
    for name, got in others:
        if not np.allclose(got, expected, rtol=everybody[name].rtol, atol=1e-5):
            work = everybody[name].work.name
            raise ValueError(
                f"{work}: {name} does other work than {first}: "
                f"losses {np.round(got, 5).tolist()}, expected {np.round(expected, 5).tolist()}"
            )


# --- times ----------------------------------------------------------------------


def task(contender: Contender) -> Task:
    """What is timed."""
    if contender.work.kind == "epoch" or isinstance(contender, Gemms):
        return contender.run
    if contender.work.kind == "inference":
        return contender.infer
    batches = list(contender.shuffled(contender.rng))
    return lambda: contender.train(batches)


def measure(work: Workload, peers: dict[str, type[Contender]], rounds: int) -> dict:
    """Seconds of an epoch, a step or the inference: one per round, for everybody."""
    everybody = contenders(work, peers)
    agree(everybody)
    everybody[FLOOR] = Gemms(work, {})
    times = timing.interleaved({name: task(who) for name, who in everybody.items()}, rounds)
    return {name: [t / work.per_run for t in own] for name, own in times.items()}


def rows(times: dict[str, list[float]]) -> Iterator[list[str]]:
    """Name, median, min, max, and how many times as long PyTorch takes."""
    for name, own in times.items():
        cells = [timing.seconds(value) for value in (median(own), min(own), max(own))]
        yield [name, *cells, against(times, name)]


def against(times: dict[str, list[float]], name: str, peer: str = "PyTorch") -> str:
    if name not in times or peer not in times:
        return "-"
    return f"{timing.ratio(times[peer], times[name]):.2f}"


def run(names: list[str], wanted: list[str], rounds: int, quick: bool) -> Times:
    """Measure and print one workload after the other, in this process."""
    peers, missing = installed(wanted)
    for line in missing:
        print(line)
    times = {}
    for name in names:
        work = workload(name, quick)
        print(f"\n{name}  {work.title}", flush=True)
        times[name] = measure(work, peers, rounds)
        for row in rows(times[name]):
            print("  {:24}{:>10}{:>10}{:>10}{:>8}".format(*row), flush=True)
        if name == "W1":
            share = timing.ratio(times[name]["functional_net.py"], times[name]["net.py"])
            print(f"  functional_net.py takes {share:.2f} times as long as net.py")
    return times


def scale(rounds: int, quick: bool) -> list[str]:
    """Print and return the tables of scaling.py."""
    sizes = scaling.SIZES[:2] if quick else scaling.SIZES
    parts = [
        lambda: scaling.images(rounds, sizes),
        lambda: scaling.batches(rounds),
        lambda: scaling.around(rounds, 6000 if quick else 60_000),
        lambda: scaling.starts(rounds),
        *([] if quick else [scaling.memory]),
    ]
    tables = []
    for part in parts:
        tables.append(part())
        print(f"\n{tables[-1]}", flush=True)
    return tables


# --- results.md -----------------------------------------------------------------


def summary(by_threads: dict[str, Times], quick: bool) -> str:
    """The README's table: our times, and how many times as long the others take."""
    first = next(iter(by_threads))
    seen = {name for times in by_threads[first].values() for name in times}
    others = [name for name in [*PEERS, BARE, FLOOR] if name in seen]
    head = ["workload", "implementation", "time", *(f"{name} takes" for name in others)]
    single = len(by_threads) > 1 and "PyTorch" in others
    lines = []
    for name, times in by_threads[first].items():
        for ours in (own for own in OURS if own in times):
            cells = [f"{name}: {workload(name, quick).title}", f"`{ours}`"]
            cells += [timing.seconds(median(times[ours]))]
            cells += [against(times, ours, other) for other in others]
            lines.append(cells + [against(by_threads["1"][name], ours)] * single)
    head += ["PyTorch takes, one thread each"] * single
    return timing.table(head, lines)


def details(times: Times) -> str:
    """Everybody's median, min and max."""
    head = ["workload", "implementation", "median", "min", "max", "PyTorch / it"]
    return timing.table(head, [[name, *row] for name, own in times.items() for row in rows(own)])


def write(path: Path, by_threads: dict[str, Times], rounds: int, quick: bool) -> None:
    """The tables as Markdown."""
    text = [
        f"Measured by `python benchmarks/bench.py --rounds {rounds}` on {timing.machine()}. "
        "A peer that takes 2 needs twice our time, the median over the rounds."
    ]
    for key, times in by_threads.items():
        if "W1" in times:
            own = (times["W1"][name] for name in ("functional_net.py", "net.py"))
            text += [f"{HEADS[key]}, W1: functional_net.py / net.py = {timing.ratio(*own):.2f}."]
    text += [f"## {HEADS[key]}\n\n{details(times)}" for key, times in by_threads.items()]
    timing.put(path, "summary", summary(by_threads, quick))
    timing.put(path, "times", "\n\n".join(text))


# --- command line ---------------------------------------------------------------


def in_fresh_process(threads: str, options: list[str]) -> Any:
    """What a --worker finds in a Python that started with these threads: BLAS reads them then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "times.json"
        words = [sys.executable, __file__, *options, "--worker", str(path)]
        done = subprocess.run(words, env=timing.environment(threads))
        if done.returncode:
            raise SystemExit(done.returncode)
        return json.loads(path.read_text(encoding="utf-8"))


def choice(value: list[str] | None, allowed: list[str], what: str) -> list[str]:
    """The values asked for, or all of them."""
    for word in value or []:
        if word not in [*allowed, "none"]:
            raise typer.BadParameter(
                f"{what} is expected to be of {', '.join(allowed)}, got {word}"
            )
    return [word for word in value or allowed if word != "none"]


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Option("--workload", metavar="W1", help="Only this one; repeatable."),
    ] = None,
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            metavar="NAME",
            help="PyTorch, PyTorch NHWC, JAX, scikit-learn or none; repeatable.",
        ),
    ] = None,
    threads: Annotated[
        str, typer.Option("--threads", metavar="N", help="default, 1, or both one after the other.")
    ] = "both",
    rounds: Annotated[int, console.number("--rounds", 1, "How often each is timed.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the epochs.")] = False,
    scales: Annotated[
        bool, typer.Option("--scaling", help="Instead: more images, larger batches, memory, start.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE.md",
            help="Write here.  [default: benchmarks/results.md, if all]",
        ),
    ] = None,
    worker: Annotated[Path | None, typer.Option("--worker", hidden=True)] = None,
) -> None:
    """Time our networks beside PyTorch, JAX and scikit-learn, those that are installed."""
    names = choice(names, list(NAMES), "--workload")
    wanted = choice(wanted, list(PEERS), "--peer")
    settings = choice([threads], ["default", "1", "both"], "--threads")
    if worker:
        found = scale(rounds, quick) if scales else run(names, wanted, rounds, quick)
        worker.write_text(json.dumps(found), encoding="utf-8")
        return
    options = [f"--rounds={rounds}", *(["--quick"] if quick else [])]
    complete = names == list(NAMES) and not quick
    path = to or (RESULTS if complete else None)
    if scales:
        setting = "1" if threads == "1" else "default"
        found = in_fresh_process(setting, [*options, "--scaling"])
        if path:
            facts = f"{HEADS[setting]}, {rounds} rounds, {timing.machine()}."
            timing.put(path, "scaling", "\n\n".join(["## Scaling", SCALES, facts, *found]))
        return
    options += [f"--workload={name}" for name in names]
    options += [f"--peer={name}" for name in wanted or ["none"]]
    by_threads = {}
    for setting in ["default", "1"] if threads == "both" else settings:
        print(f"\n{HEADS[setting]}", flush=True)
        by_threads[setting] = in_fresh_process(setting, options)
    print(f"\n{timing.machine()}")
    if path:
        write(path, by_threads, rounds, quick)
        print(f"written: {path}")


if __name__ == "__main__":
    console.run(app)
