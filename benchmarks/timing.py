"""What the benchmarks share: interleaved rounds, clean environments, tables in Markdown files."""

import json
import os
import platform
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import typer

__all__ = [
    "ROOT", "RESULTS", "THREADS", "Task", "Rounds", "Seeds", "Quick", "Write", "Worker",
    "environment", "found_by", "interleaved", "took", "ratio", "interval", "against",
    "seconds", "table", "put", "machine",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.md"
Task = Callable[[], object]

# Options that several commands have.
Rounds = Annotated[int, typer.Option(min=2, help="How often each is timed.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ...")]
Quick = Annotated[bool, typer.Option("--quick", help="Few images, to see whether all runs.")]
Write = Annotated[bool, typer.Option("--write", help="Write the page of this measurement anew.")]
Worker = Annotated[Path | None, typer.Option(hidden=True)]  # where a process of ours leaves figures

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# A wrong kernel or cache size, forced from outside, can cost a factor of three.
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
XLA_ONE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def environment(threads: str) -> dict[str, str]:
    """Our environment for a process with "1" thread or the "default" ones: nothing forced."""
    env = {key: value for key, value in os.environ.items() if key not in THREADS + FORCED}
    if threads == "1":
        env |= dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": XLA_ONE}
    return env | {"JAX_PLATFORMS": "cpu"}


def found_by(words: Sequence[str], env: dict[str, str] | None = None) -> Any:
    """The figures that a command leaves, as JSON, in the file named by its option --worker."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        done = subprocess.run([*words, "--worker", str(path)], env=env)
        if done.returncode:
            raise SystemExit(done.returncode)
        return json.loads(path.read_text(encoding="utf-8"))


# --- times ----------------------------------------------------------------------


def interleaved(tasks: dict[str, Task], rounds: int) -> dict[str, list[float]]:
    """Seconds of every task, one value per round.

    Machines drift, so every round runs all tasks, in a new random order, and only times of the
    same round are compared. One round before the first does not count.
    """
    shuffle = random.Random(0).shuffle
    names = list(tasks)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for i in range(rounds + 1):
        shuffle(names)
        for name in names:
            seconds = took(tasks[name])
            if i:
                times[name].append(seconds)
    return times


def took(task: Task) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as long slow took: the median over the rounds."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def interval(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float]:
    """95 % of the medians of rounds drawn anew with replacement (bootstrap; Efron, 1979)."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    draw = random.Random(0).choices
    cuts = quantiles([median(draw(ratios, k=len(ratios))) for _ in range(2000)], n=40)
    return cuts[0], cuts[-1]


def against(slow: Sequence[float], fast: Sequence[float]) -> str:
    """How many times as long slow took, and within which bounds."""
    return "{:.2f} ({:.2f}-{:.2f})".format(ratio(slow, fast), *interval(slow, fast))


# --- text -----------------------------------------------------------------------


def seconds(value: float) -> str:
    """1.23 s, 4.56 ms or 7.8 us."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def put(path: Path, name: str, text: str) -> None:
    """Write text between <!-- name --> and <!-- /name --> of a file, at its end if they are new."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    block = f"<!-- {name} -->\n{text.strip()}\n<!-- /{name} -->\n"
    found = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->\n", re.S)
    new = found.sub(lambda _: block, old, count=1) if found.search(old) else f"{old}\n{block}"
    path.write_text(new.lstrip(), encoding="utf-8")


def machine() -> str:
    """Processor, cores, Python, NumPy, and which BLAS does the matrix products."""
    import numpy as np
    from threadpoolctl import threadpool_info

    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    facts = [named[1] if named else platform.processor() or platform.machine()]
    facts += [f"{os.cpu_count()} cores", platform.system()]
    facts += [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    facts += [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'kernel unknown')})"
        for pool in threadpool_info()
        if pool["user_api"] == "blas" and "numpy" in pool["filepath"]
    ]
    return ", ".join(facts)
