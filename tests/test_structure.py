"""Who may import whom, and that importing does nothing else."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"functional_net", "net", "cnn", "gradcheck", "datasets"}
LIBRARIES = {"numpy", "h5py", "PIL", "typer", "rich", "pygments", "threadpoolctl", "mpi4py"}

# The rooms, and the rooms that each may import besides itself. gradcheck's are files and folders.
MAY_IMPORT = {
    "functional_net": {"datasets", "datasets.run"},
    "net": {"datasets", "datasets.run"},
    "cnn": {"datasets", "datasets.run", "datasets.store"},
    "datasets": set(),
    "datasets.store": {"datasets"},
    "datasets.read": {"datasets", "datasets.store"},
    "datasets.draw": {"datasets", "datasets.store"},
    "datasets.export": {"datasets", "datasets.store"},
    "datasets.run": {"datasets", "datasets.store", "datasets.read", "datasets.draw"},
}
DOORS = {"datasets/__init__.py", "datasets/__main__.py", "gradcheck/__init__.py"}
CHECKER = [
    {"core"}, {"console"}, {"case"}, {"rules", "explain", "taylor", "report", "yours"},
    {"judge"}, {"ours"}, {"plants"}, {"learn"}, {"__main__"},
]  # fmt: skip  # each may import those before it, and those from ours on the networks
SOURCES = [
    path
    for path in ROOT.rglob("*.py")
    if not {".venv", "build"} & set(path.relative_to(ROOT).parts)
]


def room(module: str) -> str:
    """datasets.read for datasets.read.mnist, cnn for cnn.layers, gradcheck.core for itself."""
    first, *rest = module.split(".")
    inside = rest and (first == "gradcheck" or (ROOT / first / rest[0]).is_dir())
    return f"{first}.{rest[0]}" if inside else first


@cache
def nodes(path: Path) -> list[ast.AST]:
    """All nodes of a file's syntax tree that the tests ask for."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom | ast.keyword)]


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def allowed(own: str) -> set[str]:
    """The rooms that a room may import."""
    if not own.startswith("gradcheck."):
        return MAY_IMPORT[own] | {own}
    height = next(i for i, rooms in enumerate(CHECKER) if own.split(".")[1] in rooms)
    below = {f"gradcheck.{name}" for rooms in CHECKER[:height] for name in rooms}
    networks = {"functional_net", "net", "cnn", "datasets"} if height >= 5 else set()
    return below | networks | {own, "gradcheck"}


def forbidden(path: Path) -> set[str]:
    """The modules that a file imports and may not."""
    name = path.relative_to(ROOT).as_posix()
    own = room(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    roots = {module: module.split(".")[0] for module in imported(path)}
    never = {m for m in roots if roots[m] in ("argparse", "pickle", "numba", "optparse")}
    if own.split(".")[0] not in OURS:
        return never
    known = OURS | LIBRARIES | sys.stdlib_module_names
    known |= {"onnx"} if own == "datasets.export" else set()
    strange = {m for m in roots if roots[m] not in known}
    if name in DOORS:
        return never | strange
    ours = {m for m in roots if roots[m] in OURS and is_module(m)}
    return never | strange | {m for m in ours if room(m) not in allowed(own)}


def may_unpickle(path: Path) -> bool:
    """Does a file say allow_pickle=..., and not False?"""
    said = [node.value for node in nodes(path) if isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"]  # fmt: skip
    return not all(isinstance(value, ast.Constant) and value.value is False for value in said)


def test_imports_follow_the_picture_and_no_load_could_unpickle():
    for path in SOURCES:
        assert not forbidden(path), path
        assert not may_unpickle(path), path


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_the_core_of_the_checker_knows_numpy_alone():
    roots = {name.split(".")[0] for name in imported(ROOT / "gradcheck" / "core.py")}
    assert roots <= {"numpy"} | set(sys.stdlib_module_names)


QUIET = f"""
import importlib, sys
import numpy
for module in {sorted(OURS)}:
    for name in [name for name in sys.modules if name.split(".")[0] in {OURS}]:
        del sys.modules[name]
    importlib.import_module(module)
    heavy = {{"h5py", "PIL", "rich.progress", "gradcheck.ours"}} & sys.modules.keys()
    others = {OURS} & sys.modules.keys() - {{module}}
    assert not heavy and others <= ({{"datasets"}} if module != "gradcheck" else set()), module
"""


def test_importing_prints_nothing_and_leaves_what_is_heavy_for_later():
    done = subprocess.run([sys.executable, "-c", QUIET], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_top_level_holds_what_it_should():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert top <= {
        "functional_net.py", "net.py", "cnn", "gradcheck", "tests", "datasets", "benchmarks",
        "docs", "Makefile", "README.md", "pyproject.toml", "LICENSE", ".gitignore", ".ci",
        ".github",
    }  # fmt: skip
