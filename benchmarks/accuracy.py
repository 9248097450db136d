"""Train each command with several seeds and tell what came out: the README's table of results."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402

TABLE = ROOT / "benchmarks" / "accuracy.md"
COMMANDS = ("functional_net.py", "net.py --epochs 2", "-m cnn --epochs 1")
LINES = re.compile(r"^([\d,]+) parameters.*^test accuracy ([\d.]+)% .* in ([\d.]+) s", re.M | re.S)


def train(command: str, seed: int) -> tuple[str, float, float]:
    """Parameters, test accuracy in percent and seconds of one run, whose output is passed on."""
    words = [sys.executable, *command.split(), "--seed", str(seed)]
    print(f"\n$ python {command} --seed {seed}", flush=True)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        output = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
            output += line
    found = LINES.search(output)
    if not found:
        raise SystemExit(f"python {command} ended without a test accuracy")
    return found[1], float(found[2]), float(found[3])


def row(command: str, seeds: int) -> str:
    """The table's line for one command."""
    runs = [train(command, seed) for seed in range(seeds)]
    accuracies, seconds = [run[1] for run in runs], [run[2] for run in runs]
    low, high = min(accuracies), max(accuracies)
    accuracy = f"{low:.2f} %" if low == high else f"{low:.2f} to {high:.2f} %"
    return f"| `python {command}` | {runs[0][0]} | {accuracy} | {median(seconds):.1f} s |"


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    seeds: Annotated[int, console.number("--seeds", 1, "Seeds 0, 1, ...")] = 5,
    epochs: Annotated[
        int | None, console.number("--epochs", 1, "Train only the two MLPs, so long.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write benchmarks/accuracy.md.")] = False,
) -> None:
    """Train with several seeds and print a table of accuracies and times."""
    commands: tuple[str, ...] = COMMANDS
    if epochs:
        commands = (f"functional_net.py --epochs {epochs}", f"net.py --epochs {epochs}")
    rows = [row(command, seeds) for command in commands]
    shown = "seed 0" if seeds == 1 else f"seeds 0 to {seeds - 1}"
    options = f"--seeds {seeds}" + (f" --epochs {epochs}" if epochs else "")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if threads := os.environ.get("OPENBLAS_NUM_THREADS"):
        machine += f", OPENBLAS_NUM_THREADS={threads}"
    table = "\n".join(
        [
            f"| command | parameters | test accuracy, {shown} | time (median) |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Measured by `python benchmarks/accuracy.py {options}` on {machine}.",
        ]
    )
    print(f"\n{table}")
    if write:
        TABLE.write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    console.run(app)
