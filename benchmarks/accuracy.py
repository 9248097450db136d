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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timing import ROOT, Seeds, Write, table
from datasets.run import console

COMMANDS = ("functional_net.py", "net.py --epochs 2", "-m cnn --epochs 1")
LINES = re.compile(r"^([\d,]+) parameters.*^test accuracy ([\d.]+)% .* in ([\d.]+) s", re.M | re.S)


def train(command: str, seed: int) -> tuple[str, float, float]:
    """Parameters, test accuracy in percent and seconds of one run, whose output is passed on."""
    print(f"\n$ python {command} --seed {seed}", flush=True)
    words = [sys.executable, *command.split(), "--seed", str(seed)]
    output = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    print(output, end="", flush=True)
    if not (found := LINES.search(output)):
        raise SystemExit(f"python {command} ended without a test accuracy")
    return found[1], float(found[2]), float(found[3])


def row(command: str, seeds: int) -> list[str]:
    """The table's line for one command."""
    parameters, accuracies, seconds = zip(*(train(command, n) for n in range(seeds)), strict=True)
    low, high = f"{min(accuracies):.2f}", f"{max(accuracies):.2f}"
    span = low if low == high else f"{low} to {high}"
    return [f"`python {command}`", parameters[0], f"{span} %", f"{median(seconds):.1f} s"]


def main(
    seeds: Seeds = 5,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train only the two MLPs, so long.")
    ] = None,
    write: Write = False,
) -> None:
    """Train with several seeds and print a table of accuracies and times."""
    commands: tuple[str, ...] = COMMANDS
    options = f"--seeds {seeds}"
    if epochs:
        commands = tuple(f"{name} --epochs {epochs}" for name in ("functional_net.py", "net.py"))
        options += f" --epochs {epochs}"
    shown = "seed 0" if seeds == 1 else f"seeds 0 to {seeds - 1}"
    head = ["command", "parameters", f"test accuracy, {shown}", "time (median)"]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    text = table(head, [row(command, seeds) for command in commands])
    text += f"\n\nMeasured by `python benchmarks/accuracy.py {options}` on {machine}."
    print(f"\n{text}")
    if write:
        (ROOT / "benchmarks" / "accuracy.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
