"""Who may import whom, and that importing does nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"functional_net", "net", "cnn", "gradcheck", "datasets"}
LIBRARIES = {"numpy", "h5py", "PIL", "typer", "rich", "pygments"}
MAY_IMPORT = {
    "functional_net": {"datasets"},
    "net": {"datasets"},
    "cnn": {"datasets", "cnn"},
    "datasets": {"datasets"},
    "gradcheck": {"gradcheck", "functional_net", "net", "cnn", "datasets"},
}
SOURCES = [
    path
    for path in ROOT.rglob("*.py")
    if not {".venv", "build"} & set(path.relative_to(ROOT).parts)
]


def unit(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it; relative imports stay in its package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_picture(path):
    roots = {name.split(".")[0] for name in imported(path)}
    assert not roots & {"argparse", "pickle", "numba", "optparse"}
    if unit(path) in MAY_IMPORT:
        assert roots & OURS <= MAY_IMPORT[unit(path)]
        extra = {"onnx"} if path.parent.name == "export" else set()
        assert roots - OURS <= LIBRARIES | extra | set(sys.stdlib_module_names)


def test_the_core_of_the_checker_knows_numpy_alone():
    roots = {name.split(".")[0] for name in imported(ROOT / "gradcheck" / "core.py")}
    assert roots <= {"numpy"} | set(sys.stdlib_module_names)


QUIET = """
import sys
{statement}
late = {{"h5py", "PIL", "rich.progress", "gradcheck.adapters"}} & set(sys.modules)
assert not late, late
import numpy
numpy.random.seed(0)
"""


@pytest.mark.parametrize("module", sorted(OURS))
def test_importing_prints_nothing_and_leaves_what_is_heavy_for_later(module):
    code = QUIET.format(statement=f"import {module}")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_pickle_and_no_load_that_could_unpickle():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False


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
