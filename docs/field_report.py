"""What the checker says of well-known public code: python docs/field_report.py FOLDER.

Writes docs/field_report.md. FOLDER holds clones of the code bases in docs/field_report.txt
(git clone https://github.com/OWNER/NAME, one each; those that are missing are left out). Nothing
is fetched. A line of field_report.txt is a layer, a loss or a pair of functions with the options of
one command; where the checker says WRONG, what stands behind the | says how to read the output and
its gradients, and `confirm` compares them with a central difference that uses no part of gradcheck.
"""

import ast
import importlib
import importlib.abc
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import MagicMock

import numpy as np
import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402

LINES = ROOT / "docs" / "field_report.txt"
REPORT = ROOT / "docs" / "field_report.md"

# Names that Python 3.10 and NumPy 2 dropped: some of the code bases need them when imported.
OLD_NAMES = (
    "import collections.abc, numpy; numpy.mat = numpy.asmatrix; "
    "collections.Hashable = collections.abc.Hashable; "
)
CHECK = OLD_NAMES + "import runpy; runpy.run_module('gradcheck', run_name='__main__')"
# What these code bases import to plot, print, load or compile, and what may be absent.
DECORATION = """matplotlib terminaltables progressbar mpl_toolkits skimage nnfs past sklearn gym PIL
    numba tqdm nnet.convnet.conv nnet.convnet.pool"""


@dataclass
class Tried:
    """One line of field_report.txt, and what came of it."""

    file: str
    name: str
    options: list[str]
    reading: str
    verdict: str = ""  # right, wrong or none
    said: str = ""  # the causes of the wrong arrays, or why there is no verdict
    arrays: list[str] = field(default_factory=list)  # the wrong ones
    confirmed: str = ""

    def values(self, flag: str) -> list[str]:
        pairs = zip(self.options[::2], self.options[1::2], strict=True)
        return [value for name, value in pairs if name == flag]

    @property
    def title(self) -> str:
        args = [value for value in self.values("--args") if "np." not in value]
        return f"{self.name}({args[0]})" if args else self.name


def code_bases() -> Iterator[tuple[str, list[Tried]]]:
    """OWNER/NAME and its lines."""
    for part in LINES.read_text(encoding="utf-8").strip().split("\n\n"):
        owner, *lines = part.splitlines()
        file, tried = "", []
        for line in lines:
            command, _, reading = line.strip().partition(" | ")
            name, *options = command.split()
            if name.endswith(":"):
                file = name[:-1]
            else:
                tried.append(Tried(file, name, options, reading))
        yield owner, tried


def check(clone: Path, one: Tried) -> None:
    """What the command says, read from its --json."""
    target = f"{clone / one.file}:{one.name}"
    command = [sys.executable, "-c", CHECK, target, *one.options, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
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
    one.arrays = [row["name"] for row in wrong]
    causes = [row["cause"] or "no known pattern" for row in wrong] + report["broken rules"]
    one.said = "; ".join(dict.fromkeys(causes))


# --- the difference of our own ------------------------------------------------


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A stand-in for a package that only plots, prints or loads."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        known = {name, name.split(".")[0]} & {*DECORATION.split()}
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


def confirm(clone: Path, one: Tried) -> str:
    """The relative gap between each gradient and a central difference, along random signs."""
    sys.path.insert(0, str(clone))
    sys.meta_path.append(Absent())
    code = vars(importlib.import_module(one.file.removesuffix(".py").replace("/", ".")))
    output, *gradients = (part.strip() for part in one.reading.split(" ; "))

    def fresh(seed: int = 3) -> dict[str, Any]:
        np.random.seed(seed)  # noqa: NPY002  the code of others draws from it
        first, last = one.name.split(",")[0], one.name.split(",")[-1]
        env = {**code, "np": np, **inputs(one), "f": code[first], "g": code[last]}
        if isinstance(code[first], type):
            env["layer"] = eval(f"{first}({''.join(one.values('--args'))})", env)
            eval(output, env)  # what a first call builds is there now
        return env

    rng = np.random.default_rng(1)
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


def line_of(clone: Path, one: Tried) -> int:
    """Where the gradient is computed: the backward function, or the class's method of that kind."""
    tree = ast.parse((clone / one.file).read_text(encoding="utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef)
    found = next(n for n in tree.body if isinstance(n, kinds) and n.name == one.name.split(",")[-1])
    for node in found.body if isinstance(found, ast.ClassDef) else []:
        if isinstance(node, ast.FunctionDef) and re.search("back|grad|deriv|bprop", node.name):
            return node.lineno
    return found.lineno


# --- the page -----------------------------------------------------------------

PAGE = """# What the checker says of public code

Written by `python docs/field_report.py FOLDER`; FOLDER holds clones of the code bases below
(`git clone https://github.com/OWNER/NAME`). Nothing is fetched, and none of their code is here.
One command each, `python -m gradcheck FILE.py:NAME` with the options of docs/field_report.txt,
under Python {python} and NumPy {numpy}. Two names that newer versions dropped are put back
(`collections.Hashable`, `np.mat`); packages that only plot or print need not be installed.

*Right*: every gradient agrees with central differences, and no rule is broken. A *finding* is a
place where backward is not the derivative of forward. That can be a convention (a mean over the
batch inside a layer, a penalty that the returned loss leaves out) as well as a slip. *Difference*:
the relative gap between the code's gradient and a central difference along random signs, computed
without the checker (`confirm` in docs/field_report.py); for a right gradient it is below 1e-6.

| code base | commit | date | tried | right | findings | no verdict |
|---|---|---|---:|---:|---:|---:|
{bases}

Together {tried} layers, losses and pairs of {count} code bases, {right} of them right.

## Findings

| where | what | wrong | the checker: looks like | difference |
|---|---|---|---|---|
{findings}

## No verdict, and why

{silent}

## What was not tried

Code for a GPU, autograds (micrograd, dezero, neunet: a Tensor class is checked from Python with
`gradcheck.check`), training loops, layers that another object builds and that need more than a
line of `--setup`, and extensions that must be compiled first. The shapes are small and pairwise
different: a mistake that needs another shape, a longer sequence or a larger value is not seen.

## Reported in public, rebuilt in our own words

Each is a test in tests/gradcheck/test_field.py: WRONG at these arrays, and at no other.

{reported}
"""


def run_all(folder: Path) -> Iterator[tuple[str, str, str, list[Tried]]]:
    """Name, commit and date of each clone that is there, with its lines checked."""
    for name, tried in code_bases():
        clone = folder / name.split("/")[1]
        if not clone.is_dir():
            console.warn(f"{name}: no clone in {folder}, left out")
            continue
        log = ["git", "-C", str(clone), "log", "-1", "--format=%h %cs"]
        done = subprocess.run(log, capture_output=True, text=True, check=True)
        commit, date = done.stdout.split()
        for one in tried:
            check(clone, one)
            if one.verdict == "wrong" and one.reading:
                one.confirmed = outside(clone, one)
        right = sum(one.verdict == "right" for one in tried)
        console.say(f"{name} {commit}: {right} of {len(tried)} right")
        yield name, commit, date, tried


def outside(clone: Path, one: Tried) -> str:
    """confirm in a process of its own: the imports of two code bases must not meet."""
    code = (
        f"{OLD_NAMES}from pathlib import Path; from docs.field_report import Tried, confirm; "
        f"print('\\n' + confirm(Path({str(clone)!r}), {one!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    return (done.stderr.strip() or done.stdout.strip() or "?").splitlines()[-1]


def page(folder: Path) -> str:
    """The report."""
    found = list(run_all(folder))
    each = [(name, commit, one) for name, commit, _, tried in found for one in tried]
    silent = [(name, one) for name, _, one in each if one.verdict == "none"]
    return PAGE.format(
        python=".".join(map(str, sys.version_info[:2])),
        numpy=np.__version__,
        bases="\n".join(base(*entry) for entry in found),
        tried=len(each),
        count=len(found),
        right=sum(one.verdict == "right" for *_, one in each),
        findings="\n".join(finding(folder, *e) for e in each if e[2].verdict == "wrong"),
        silent="\n".join(f"- {n} `{one.file}` {one.title}: {one.said}" for n, one in silent),
        reported="\n".join(reported()),
    )


def base(name: str, commit: str, date: str, tried: list[Tried]) -> str:
    """One code base in the table."""
    counts = [
        sum(one.verdict == verdict for one in tried) for verdict in ("right", "wrong", "none")
    ]
    link = f"[{name}](https://github.com/{name}/tree/{commit})"
    return f"| {' | '.join(map(str, [link, commit, date, len(tried), *counts]))} |"


def finding(folder: Path, name: str, commit: str, one: Tried) -> str:
    """One finding: file and line, arrays, cause, and the difference that confirms it."""
    line = line_of(folder / name.split("/")[1], one)
    link = f"https://github.com/{name}/blob/{commit}/{one.file}#L{line}"
    where = f"[{name.split('/')[1]}, {one.file.split('/')[-1]}:{line}]({link})"
    wrong = ", ".join(one.arrays) or "a rule"
    cells = [where, f"`{one.title}`", wrong, one.said, one.confirmed or "-"]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def reported() -> Iterator[str]:
    """The mistakes of tests/gradcheck/test_field.py, one line each."""
    path = ROOT / "tests" / "gradcheck" / "test_field.py"
    spec = importlib.util.spec_from_file_location("field_cases", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is missing")
    tests = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tests
    spec.loader.exec_module(tests)
    for case in tests.CASES:
        words = re.sub(r"(?<!^)([A-Z])", lambda found: " " + found[1].lower(), case.what)
        short = case.source.removeprefix("https://github.com/")
        yield f"- {words} ({', '.join(sorted(case.wrong))}): [{short}]({case.source})"


def main(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the clones are.")],
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE.md", help="The page to write.")
    ] = REPORT,
) -> None:
    """Check layers of well-known public code, and write docs/field_report.md."""
    to.write_text(page(folder.resolve()), encoding="utf-8")
    console.say(f"written to {to}")


if __name__ == "__main__":
    console.run(main)
