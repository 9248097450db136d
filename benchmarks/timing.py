"""What the benchmarks share: interleaved rounds, clean environments, tables in Markdown files."""

import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

__all__ = [
    *("ROOT", "THREADS", "FORCED", "Task"),
    *("environment", "interleaved", "ratio", "seconds", "table", "put", "machine"),
]

ROOT = Path(__file__).resolve().parents[1]
Task = Callable[[], object]

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# A wrong kernel or cache size, forced from outside, can cost a factor of three.
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def environment(threads: str) -> dict[str, str]:
    """Our environment for a process with "1" thread or the "default" ones: nothing forced."""
    env = {key: value for key, value in os.environ.items() if key not in THREADS + FORCED}
    if threads == "1":
        env |= dict.fromkeys(THREADS, "1")
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return env | {"JAX_PLATFORMS": "cpu"}


def interleaved(tasks: dict[str, Task], rounds: int) -> dict[str, list[float]]:
    """Seconds of every task, one value per round.

    Machines drift; so each round runs all tasks, every round begins with another one, and
    only times of the same rounds are compared. One round before them does not count.
    """
    names = list(tasks)
    times: dict[str, list[float]] = {name: [] for name in names}
    for task in tasks.values():
        task()
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            begin = time.perf_counter()
            tasks[name]()
            times[name].append(time.perf_counter() - begin)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as long slow took: the median over the rounds."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


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
    if found.search(old):
        new = found.sub(lambda _: block, old, count=1)
    else:
        new = f"{old}\n{block}".lstrip()
    path.write_text(new, encoding="utf-8")


def machine() -> str:
    """Processor, cores, Python, NumPy, and which BLAS does the matrix products."""
    import numpy as np

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        model = found[1]
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()},"
        f" NumPy {np.__version__}, {_blas()}"
    )


def _blas() -> str:
    import numpy as np

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']} (pip install threadpoolctl names its kernel)"
    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'kernel unknown')})"
        for pool in found
    )
