"""Fill the marked parts of README.md from sources and measurements; none is typed by hand."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets import console  # noqa: E402
from docs.excerpt import excerpt  # noqa: E402

README = ROOT / "README.md"
OUTPUT = ROOT / "docs" / "two_commands.txt"
COMMANDS = ("functional_net.py --lr 0.1 --hidden_neurons 100", "net.py --epochs 2")
ORDER = {
    "functional_net.py": "the whole story in pure functions: forward, loss, backward, update",
    "net.py": "the same story in objects; samples are columns",
    "gradcheck/core.py": "how to know that a gradient is right",
    "cnn/activations.py": "layers that remember in the call, and forget in forward",
    "cnn/layers.py": "convolution, pooling, batch normalisation",
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
    "digits": lambda: totals(text("benchmarks/digits.md")),
}


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
    """Run the two commands and keep what they print."""
    shown = []
    for command in COMMANDS:
        words = [sys.executable, *command.split()]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        shown += [f"$ python {command}", done.stdout]
    OUTPUT.write_text("\n".join(shown), encoding="utf-8")


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    run: Annotated[bool, typer.Option("--run", help="Run the two commands first.")] = False,
) -> None:
    """Write the marked parts of README.md anew."""
    if run:
        measure()
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    console.say("README.md is up to date")


if __name__ == "__main__":
    console.run(app)
