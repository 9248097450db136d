"""Fill the marked parts of README.md from sources and measurements; none is typed by hand."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402
from docs.excerpt import excerpt  # noqa: E402

README = ROOT / "README.md"
COMMANDS = ("functional_net.py --lr 0.1 --hidden_neurons 100", "net.py --epochs 2")
ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # more of them round differently
PLANT = "-m gradcheck --plant functional-mean-in-db1"
ORDER = {
    "functional_net.py": "the whole story in pure functions: forward, loss, backward, update",
    "net.py": "the same story in objects; samples are columns",
    "gradcheck/core.py": "how to know that a gradient is right",
    "cnn/layer.py": "what every layer promises: the call remembers, forward leaves no trace",
    "cnn/activations.py": "the simplest layers",
    "cnn/layers.py": "convolution, pooling, batch normalisation",
    "cnn/losses.py": "cross-entropy and squared error",
    "cnn/net.py": "a list of layers becomes a network",
    "cnn/kernels.py": "why the convolution is fast, in small named pieces",
}


def text(name: str) -> str:
    """A file of the repository, as it is."""
    return (ROOT / name).read_text(encoding="utf-8").strip()


def order() -> str:
    """The reading order, with the length of each file."""
    return "\n".join(
        f"{i}. [{name}]({name}), {len(text(name).splitlines())} lines: {why}"
        for i, (name, why) in enumerate(ORDER.items(), start=1)
    )


PARTS = {
    "two commands": lambda: f"```text\n{text('docs/two_commands.txt')}\n```",
    "accuracy": lambda: text("benchmarks/accuracy.md"),
    "lines": order,
    "E5": excerpt,
    "plant": lambda: f"```text\n{first_report(text('docs/plant.txt'))}\n```",
    "proof": lambda: text("benchmarks/proof.md"),
    "speed": lambda: between("summary", text("benchmarks/results.md")),
    "digits": lambda: totals(text("benchmarks/digits.md")),
}


def between(name: str, document: str) -> str:
    """What stands between the marks of that name."""
    return document.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def first_report(output: str) -> str:
    """The planted line, the first report, and the last line."""
    lines = output.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("  => look at")) + 1
    return "\n".join([*lines[:end], "...", lines[-1]])


def totals(table: str) -> str:
    """The head of the table of own digits, its sums, and the command that measured it."""
    lines = table.splitlines()
    rows = [line.replace("**", "") for line in lines if "**" in line or "MNIST, the" in line]
    return "\n".join([*lines[:2], *rows, "", *lines[-1:]])


def filled(readme: str) -> str:
    """The text with every marked part made anew. Raises ValueError where one is missing."""
    for name, part in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        now = part().replace("\\", r"\\")
        readme, found = re.subn(pattern, rf"\g<1>{now}\n\g<2>", readme, flags=re.S)
        if found != 1:
            raise ValueError(f"README.md: expected one part {name!r}, found {found}")
    return readme


def measure() -> None:
    """Run the two commands and the planted mistake, and keep what they print."""
    shows = ("two_commands.txt", COMMANDS, 0), ("plant.txt", (PLANT,), 1)  # 1: a mistake is found
    for file, commands, code in shows:
        shown = []
        for command in commands:
            words = [sys.executable, *command.split()]
            done = subprocess.run(words, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True)
            if done.returncode != code:
                raise SystemExit(f"{command}: expected exit {code}, got {done.returncode}")
            shown += [f"$ python {command}", done.stdout]
        (ROOT / "docs" / file).write_text("\n".join(shown), encoding="utf-8")


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    run: Annotated[bool, typer.Option("--run", help="Run the shown commands first.")] = False,
) -> None:
    """Write the marked parts of README.md anew."""
    if run:
        measure()
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    console.say("README.md is up to date")


if __name__ == "__main__":
    console.run(app)
