"""Fill the marked parts of README.md and docs/*.md from sources and measurements."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402
from docs.page import cells_of  # noqa: E402
from docs.rows import COLUMNS, ROWS  # noqa: E402

PAGES = ("README.md", "docs/use.md", "docs/checker.md")
COMMANDS = ("functional_net.py --lr 0.1 --hidden_neurons 100", "net.py --epochs 2")
ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # more of them round differently
PLANT = "-m gradcheck plants functional-mean-in-db1"


def text(name: str) -> str:
    """A file of the repository, as it is."""
    return (ROOT / name).read_text(encoding="utf-8").strip()


def block(name: str) -> str:
    """A file of the repository as a block of code."""
    return f"```text\n{text(name)}\n```"


def lengths(order: str) -> str:
    """The reading order as it stands on the page, with the length of each file counted anew."""
    return re.sub(
        r"\((.+?)\), [\d,]+ lines",
        lambda link: f"({link[1]}), {len(text(link[1]).splitlines())} lines",
        order,
    )


def excerpt(key: str = "E5") -> str:
    """One row of the side-by-side page: for each implementation the lines that carry it."""
    row = next(row for row in ROWS if row.key == key)
    table = ["| file | samples are | the line | where |", "|---|---|---|---|"]
    for column, style in COLUMNS.items():
        cells = [cell for cell in cells_of(row, column) if cell.marked]
        lines = [cell.code.splitlines()[n].partition("  #")[0].strip()
                 for cell in cells for n in sorted(cell.marked)]  # fmt: skip
        code = "<br>".join(f"`{line}`" for line in lines)
        links = ", ".join(f"[{cell.name}]({cell.link})" for cell in cells)
        table.append(f"| `{column}` | {style.split()[-1]} | {code} | {links} |")
    return "\n".join(table)


def totals(table: str) -> str:
    """The head of the table of own digits, its sums, and the command that measured it."""
    lines = table.splitlines()
    rows = [line.replace("**", "") for line in lines if "**" in line or "MNIST, the" in line]
    return "\n".join([*lines[:2], *rows, "", *lines[-1:]])


PART = re.compile(r"<!-- (.+?) -->\n(.*?)\n?<!-- /\1 -->", re.S)
PARTS: dict[str, Callable[[str], str]] = {  # what stands there now -> what should
    "two commands": lambda old: block("docs/two_commands.txt"),
    "accuracy": lambda old: text("benchmarks/accuracy.md"),
    "lines": lengths,
    "E5": lambda old: excerpt(),
    "plant": lambda old: block("docs/plant.txt"),
    "proof": lambda old: text("benchmarks/proof.md"),
    "speed": lambda old: dict(PART.findall(text("benchmarks/results.md")))["summary"],
    "digits": lambda old: totals(text("benchmarks/digits.md")),
}


def filled(page: str) -> str:
    """The page with every marked part made anew. Raises ValueError for a mark nobody knows."""

    def part(mark: re.Match) -> str:
        if mark[1] not in PARTS:
            raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {mark[1]!r}")
        return f"<!-- {mark[1]} -->\n{PARTS[mark[1]](mark[2])}\n<!-- /{mark[1]} -->"

    return PART.sub(part, page)


def first_report(output: str) -> str:
    """The planted line, the first report, and the last line."""
    lines = output.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("  => look at")) + 1
    return "\n".join([*lines[:end], "...", lines[-1]])


def shown(command: str, code: int = 0) -> str:
    """The command and what it prints. Raises SystemExit where it ends with another exit code."""
    words = [sys.executable, *command.split()]
    done = subprocess.run(words, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True)
    if done.returncode != code:
        raise SystemExit(f"{command}: expected exit {code}, got {done.returncode}: {done.stderr}")
    return f"$ python {command}\n{done.stdout}"


def main(
    run: Annotated[bool, typer.Option("--run", help="Run the shown commands first.")] = False,
) -> None:
    """Write the marked parts of README.md and docs anew."""
    if run:
        outputs = {
            "two_commands.txt": "\n".join(map(shown, COMMANDS)),
            "plant.txt": first_report(shown(PLANT, code=1)),  # 1: a mistake is found
        }
        for name, output in outputs.items():
            (ROOT / "docs" / name).write_text(output, encoding="utf-8")
    for name in PAGES:
        (ROOT / name).write_text(filled(text(name)) + "\n", encoding="utf-8")
        console.say(f"{name} is up to date")


if __name__ == "__main__":
    console.run(main)
