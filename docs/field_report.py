"""The gradient checker on public code, written into a page: docs/field_report.py FOLDER.

Writes docs/field_report.md. FOLDER holds clones of the code bases in docs/field_report.toml
(git clone https://github.com/OWNER/NAME, one each; those that are missing are left out). Nothing
is fetched. A line of field_report.toml is a layer, a loss or a pair of functions with the options
of one command. Where the checker says WRONG, what stands behind the | says how to read the output
and its gradients, and `confirm` compares them with a central difference that uses no part of
gradcheck.
"""

import ast
import importlib
import importlib.abc
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Annotated, Any
from unittest.mock import MagicMock

import numpy as np
import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402

DOCS = ROOT / "docs"
REPORT = DOCS / "field_report.md"
CLONES = typer.Argument(
    metavar="FOLDER", exists=True, file_okay=False, help="Where the clones are."
)

# Names that Python 3.10 and NumPy 2 dropped: some of the code bases need them when imported.
OLD_NAMES = (
    "import collections.abc, numpy; numpy.mat = numpy.asmatrix; "
    "collections.Hashable = collections.abc.Hashable; "
)
CHECK = OLD_NAMES + "import runpy; runpy.run_module('gradcheck', run_name='__main__')"
CONFIRM = OLD_NAMES + "from docs.field_report import *; print('\\n' + confirm({!r}, {!r}))"
# What these code bases import to plot, print, load or compile, and what may be absent.
DECORATION = """matplotlib terminaltables progressbar mpl_toolkits skimage nnfs past sklearn gym PIL
    numba tqdm nnet.convnet.conv nnet.convnet.pool"""


@dataclass
class Tried:
    """One line of field_report.toml, and what came of it."""

    file: str
    command: str
    reading: str
    verdict: str = ""  # right, wrong or none
    said: str = ""  # the causes of the wrong arrays, or why there is no verdict
    wrong: str = ""  # these arrays
    confirmed: str = "-"

    @property
    def name(self) -> str:
        return self.command.split()[0]

    def values(self, flag: str) -> list[str]:
        words = self.command.split()
        return [value for name, value in pairwise(words) if name == flag]

    @property
    def title(self) -> str:
        args = [value for value in self.values("--args") if "np." not in value]
        return f"{self.name}({args[0]})" if args else self.name


def code_bases() -> dict[str, list[Tried]]:
    """The lines under each OWNER/NAME of field_report.toml."""
    text = (DOCS / "field_report.toml").read_text(encoding="utf-8")
    return {
        owner: [Tried(file, *line.partition(" | ")[::2]) for file in files for line in files[file]]
        for owner, files in tomllib.loads(text).items()
    }


def in_python(code: str, *words: str) -> subprocess.CompletedProcess:
    """Run code in a process of its own: the imports of two code bases must not meet."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def check(clone: Path, one: Tried) -> None:
    """Fill in what the command says, read from its --json, and the difference of our own."""
    done = in_python(CHECK, f"{clone / one.file}:{one.name}", *one.command.split()[1:], "--json")
    try:
        said = json.loads(done.stdout)
    except ValueError:
        said = {"verdict": "none", "reason": (done.stderr.strip().splitlines() or ["?"])[-1]}
    one.verdict = said["verdict"]
    if one.verdict == "none":
        one.said = said["reason"].replace(f"{clone}/", "")
        return
    report = said["reports"][0]
    wrong = [row for row in report["arrays"] if not row["ok"]]
    one.wrong = ", ".join(row["name"] for row in wrong) or "a rule"
    causes = [row["cause"] or "no known pattern" for row in wrong] + report["broken rules"]
    one.said = "; ".join(dict.fromkeys(causes))
    if one.verdict == "wrong" and one.reading:
        done = in_python(CONFIRM.format(str(clone), vars(one)))
        one.confirmed = (done.stderr.strip() or done.stdout.strip() or "?").splitlines()[-1]


# --- the difference of our own ------------------------------------------------


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A stand-in for a package that only plots, prints or loads."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        known = {name, name.split(".")[0]} & set(DECORATION.split())
        return importlib.util.spec_from_loader(name, self, is_package=True) if known else None

    def create_module(self, spec: Any) -> Any:
        return MagicMock(__path__=[], __spec__=spec)

    def exec_module(self, module: Any) -> None:
        pass


def inputs(one: Tried) -> dict[str, Any]:
    """a, b, c...: what --input says, with numbers of our own."""
    rng, made = np.random.default_rng(7), []
    for text in one.values("--input"):
        shape, _, kind = text.partition(":")
        size = tuple(map(int, shape.split(",")))
        real = rng.permuted(np.linspace(-1.9, 2.1, int(np.prod(size)))).reshape(size)
        made.append(rng.integers(int(kind[3:]), size=size) if kind[:3] == "int" else real)
    return dict(zip("abcde", made, strict=False))


def confirm(clone: str, line: dict[str, Any]) -> str:
    """The relative gap between each gradient and a central difference, along random signs."""
    one, rng = Tried(**line), np.random.default_rng(1)
    sys.path.insert(0, clone)
    sys.meta_path.append(Absent())
    code = vars(importlib.import_module(one.file.removesuffix(".py").replace("/", ".")))
    output, *gradients = (part.strip() for part in one.reading.split(" ; "))

    def fresh() -> dict[str, Any]:
        np.random.seed(3)  # noqa: NPY002  the code of others draws from it
        first, last = one.name.split(",")[0], one.name.split(",")[-1]
        env = {**code, "np": np, **inputs(one), "f": code[first], "g": code[last]}
        if isinstance(code[first], type):
            env["layer"] = eval(f"{first}({''.join(one.values('--args'))})", env)
            eval(output, env)  # what a first call builds is there now
        return env

    dY = rng.normal(size=np.shape(eval(output, fresh())))
    pairs = [part.partition(" = ") for part in gradients]
    return ", ".join(f"{gap(fresh, output, x, dx, dY, rng):.1e}" for x, _, dx in pairs)


def gap(fresh: Any, output: str, name: str, gradient: str, dY: Any, rng: Any) -> float:
    """The worst of three directions for one array."""
    worst, h = 0.0, 1e-6
    for _ in range(3):
        env = fresh()
        eval(output, env)
        sign = rng.choice([-1.0, 1.0], np.shape(eval(name, env)))
        backprop = (eval(gradient, {**env, "dY": np.copy(dY)}) * sign).sum()
        ends = []
        for step in (h, -h):
            env = fresh()
            held = eval(name, env)
            held[...] = held + step * sign
            ends.append(np.array(eval(output, env), float))
        numeric = ((ends[0] - ends[1]) / (2 * h) * dY).sum()
        worst = max(worst, abs(backprop - numeric) / max(abs(backprop), abs(numeric)))
    return float(worst)


# --- the page -----------------------------------------------------------------


def line_of(clone: Path, one: Tried) -> int:
    """Where the gradient is computed: the backward function, or the class's method of that kind."""
    tree = ast.parse((clone / one.file).read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef)
    found = next(n for n in tree.body if isinstance(n, kinds) and n.name == one.name.split(",")[-1])
    for node in found.body if isinstance(found, ast.ClassDef) else []:
        if isinstance(node, ast.FunctionDef) and re.search("back|grad|deriv|bprop", node.name):
            return node.lineno
    return found.lineno


def finding(clone: Path, link: str, one: Tried) -> str:
    """One finding: file and line, arrays, cause, and the difference that confirms it."""
    place = f"{clone.name}, {one.file.split('/')[-1]}:{(line := line_of(clone, one))}"
    cells = [f"[{place}]({link}/{one.file}#L{line})", f"`{one.title}`"]
    cells += [one.wrong, one.said, one.confirmed]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def checked(folder: Path) -> Iterator[tuple[str, Path, str, str, list[Tried]]]:
    """Name, clone, commit and date of each code base that is there, with its lines checked."""
    for name, tried in code_bases().items():
        clone = folder / name.split("/")[1]
        if not clone.is_dir():
            console.warn(f"{name}: no clone in {folder}, left out")
            continue
        log = ["git", "-C", str(clone), "log", "-1", "--format=%h %cs"]
        commit, date = subprocess.check_output(log, text=True).split()
        for one in tried:
            check(clone, one)
        yield name, clone, commit, date, tried


def page(folder: Path) -> str:
    """The report on all clones that are there."""
    bases, findings, silent, total = [], [], [], Counter[str]()
    for name, clone, commit, date, tried in checked(folder):
        kinds: dict[str, list[Tried]] = {"right": [], "wrong": [], "none": []}
        for one in tried:
            kinds[one.verdict].append(one)
        counts = {verdict: len(lines) for verdict, lines in kinds.items()}
        total.update(counts)
        link = f"https://github.com/{name}"
        shown = [f"[{name}]({link}/tree/{commit})", commit, date, len(tried), *counts.values()]
        bases.append(f"| {' | '.join(map(str, shown))} |")
        findings += [finding(clone, f"{link}/blob/{commit}", one) for one in kinds["wrong"]]
        silent += [f"- {name} `{one.file}` {one.title}: {one.said}" for one in kinds["none"]]
        console.say(f"{name} {commit}: {counts['right']} of {len(tried)} right")
    text = (DOCS / "field_report_page.md").read_text(encoding="utf-8")
    return Template(text).substitute(
        python=".".join(map(str, sys.version_info[:2])),
        numpy=np.__version__,
        count=len(bases),
        tried=total.total(),
        right=total["right"],
        bases="\n".join(bases),
        findings="\n".join(findings),
        silent="\n".join(silent),
    )


def main(
    folder: Annotated[Path, CLONES],
    to: Annotated[Path, typer.Option(metavar="FILE.md", help="The page to write.")] = REPORT,
) -> None:
    """Check layers of well-known public code, and write docs/field_report.md."""
    to.write_text(page(folder.resolve()), encoding="utf-8")
    console.say(f"written to {to}")


if __name__ == "__main__":
    console.run(main)
