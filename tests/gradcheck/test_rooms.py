"""What of gradcheck is installed, and that a clone runs its own code and tells its mistakes."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import functional_net

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "gradcheck"


def imports(path):
    """(module, is it imported at the top of the file) for everything a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{a.name}" for a in node.names]
            yield from ((n if node.module == "gradcheck" else node.module, id(node) in top)
                        for n in names)  # fmt: skip


INSTALLED = [HOME, HOME / "yours"]


def test_what_is_installed_needs_numpy_and_typer_alone():
    for path in [p for folder in INSTALLED for p in folder.glob("*.py")]:
        for module, at_top in imports(path):
            known = {"numpy", "typer", "gradcheck", "rich"} - ({"rich"} if at_top else set())
            assert module.split(".")[0] in known | sys.stdlib_module_names, module
            assert not (at_top and module.startswith(("gradcheck.ours", "gradcheck.plants")))


def test_only_the_checker_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools"] == {
        "packages": ["gradcheck", "gradcheck.yours"],
        "py-modules": [],
    }
    assert settings["project"]["scripts"] == {"gradcheck": "gradcheck.__main__:main"}


# --- the clone's own code -----------------------------------------------------


@pytest.fixture
def installed(tmp_path):
    """What pip puts into site-packages, in a folder of its own."""
    for folder in INSTALLED:
        target = tmp_path / "site" / folder.relative_to(ROOT)
        target.mkdir(parents=True)
        for path in folder.glob("*.py"):
            shutil.copy(path, target)
    return tmp_path / "site"


def run(code_or_args, cwd, **environment):
    line = [sys.executable, *code_or_args]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120, env=env)


LAYER = """
class Twice:
    def forward(self, x): return 2 * x
    def backward(self, dy): return 2 * dy
"""


def test_the_installed_checker_works_in_any_folder(installed, tmp_path):
    (tmp_path / "mine.py").write_text(LAYER)
    script = ["-c", "from gradcheck.__main__ import main; main()"]
    words = ["-X", "importtime", *script, "mine.py:Twice", "--input", "5,3"]
    done = run(words, tmp_path, PYTHONPATH=str(installed))
    modules = set(re.findall(r"\S+$", done.stderr, re.M))
    assert done.returncode == 0 and "RIGHT" in done.stdout, done.stderr
    assert "gradcheck.judge" in modules and "datasets" not in modules
    done = run([*script, "functional"], tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 2 and "the three networks are in the clone" in done.stderr


def test_a_clone_runs_its_own_code_and_no_installed_copy(installed):
    stale = (installed / "gradcheck" / "core.py").read_text() + "\nraise SystemExit('stale')\n"
    (installed / "gradcheck" / "core.py").write_text(stale)
    target = "tests/gradcheck/test_rooms.py:Twice"
    done = run(["-m", "gradcheck", target, "--input", "5,3"], ROOT, PYTHONPATH=str(installed))
    assert done.returncode == 0 and "RIGHT" in done.stdout, done.stderr


def test_the_script_of_an_installed_copy_hands_over_to_the_clone(installed, tmp_path):
    main = installed / "gradcheck" / "__main__.py"
    main.write_text(main.read_text().replace("with_command(sys.argv", "stale(sys.argv"))
    script = tmp_path / "gradcheck"
    script.write_text("from gradcheck.__main__ import main\nmain()\n")
    args = [str(script), "tests/gradcheck/test_rooms.py:Twice", "--input", "5,3"]
    done = run(args, ROOT, PYTHONPATH=str(installed))
    assert done.returncode == 0 and "RIGHT" in done.stdout, done.stderr


class Twice:
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


# --- our own files, edited by a student ---------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("A1.T @ d", "A1 @ d", r"functional_net.py:\d+: .*A1 @ d.*: ValueError: matmul"),
        ("dW2 = A1.T", "dW2 = nope.T", r"functional_net.py:\d+: dW2 = nope.*: NameError: name"),
        ("dW2 = A1.T", "raise NotImplementedError\n    dW2 = A1.T",
         r"functional_net.py:\d+: raise NotImplementedError: NotImplementedError"),
    ],
)  # fmt: skip
def test_a_mistake_in_our_files_is_one_line_with_file_and_line(
    call, tmp_path, monkeypatch, old, new, said
):
    file, edited = edited_file(tmp_path, old, new), {"__name__": "functional_net"}
    exec(compile(file.read_text(encoding="utf-8"), file, "exec"), edited)
    monkeypatch.setattr(functional_net, "backward", edited["backward"])
    code, _, err = call("functional")
    assert code == 2 and err.count("\n") == 1 and re.match(f"gradcheck: {said}", err), err


def test_a_file_that_does_not_compile_is_one_line_too(tmp_path):
    edited_file(tmp_path, "dW2 = A1.T", "dW2 = = A1.T")
    for name in ("cnn", "gradcheck", "datasets", "net.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = run(["-m", "gradcheck", "functional"], tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(
        r"gradcheck: functional_net.py:\d+: dW2 = = .*: invalid syntax\n", done.stderr
    )


def edited_file(folder, old, new):
    """A copy of functional_net.py with one place changed."""
    source = (ROOT / "functional_net.py").read_text(encoding="utf-8")
    assert source.count(old) >= 1
    (folder / "functional_net.py").write_text(source.replace(old, new, 1), encoding="utf-8")
    return folder / "functional_net.py"
