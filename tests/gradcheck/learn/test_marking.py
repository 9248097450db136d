"""Marks: what is right, wrong, not yet there or waiting; and what no trick can change."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from gradcheck.core import CannotCheck
from gradcheck.learn import grading
from gradcheck.learn.handout import ROOT, handout, solved, target_of
from gradcheck.learn.hints import HINTS, hint
from gradcheck.learn.learner import Learner, Trouble
from gradcheck.learn.marking import lines, mark_file
from gradcheck.learn.proof import CHEATS, proof, submissions
from gradcheck.ours.equations import EQUATIONS, places, source


def marks_of(tmp_path, text, target="functional", seconds=60.0):
    path = tmp_path / "my_file.py"
    path.write_text(text, encoding="utf-8")
    return mark_file(path, target, seconds)


def verdicts(marks):
    return {f"{m.equation} {m.owner}": m.verdict for m in marks}


@pytest.mark.parametrize("target", ["functional", "net"])
def test_the_untouched_handout_scores_nothing_and_the_solved_one_all(tmp_path, target):
    assert not any(m.right for m in marks_of(tmp_path, handout(target), target))
    assert all(m.right for m in marks_of(tmp_path, solved(target), target))


def test_equations_are_marked_one_by_one_and_say_what_they_wait_for(tmp_path):
    text = handout("functional", "E1,E5,E8")
    found = verdicts(marks_of(tmp_path, text))
    assert found["E1 forward"] == "not yet" and found["E2 forward"] == "waits for E1"
    assert found["E3 cross_entropy"] == found["E9 update"] == "right"
    assert found["E5 backward"] == "not yet" and found["E6 backward"] == "waits for E1"
    found = verdicts(marks_of(tmp_path, handout("functional", "E8")))
    assert found["E8 backward"] == "not yet" and found["E7 backward"] == "waits for E8"
    assert found["step step"] == "waits for E8"


def test_a_wrong_line_is_told_with_the_table_and_its_name(tmp_path):
    text = solved("functional").replace("A1.T @ dlogits", "A1.T @ dlogits / len(X)")
    said = "\n".join(lines(marks_of(tmp_path, text)))
    assert "E5    backward       wrong" in said and "looks like: every entry is 0." in said
    assert "1/batch" in said and "E6    backward       right" in said and "10 of 12 right" in said


def test_a_line_of_two_is_told_though_the_other_is_blank(tmp_path):
    text = handout("functional", "E5").replace("dW2 = ...", "dW2 = dlogits.T @ A1")
    found = marks_of(tmp_path, text)
    mark = next(m for m in found if m.equation == "E5")
    assert mark.verdict == "not yet" and "the transpose of the right gradient" in mark.says[-1]
    assert not any(m.says for m in marks_of(tmp_path, handout("functional")))


def test_an_error_is_told_with_line_and_source(tmp_path):
    text = solved("functional").replace("A1 = np.maximum(Z1, 0)", "A1 = np.maximun(Z1, 0)")
    found = marks_of(tmp_path, text)
    said = next(m.says[0] for m in found if m.verdict == "wrong")
    assert "A1 = np.maximun(Z1, 0)" in said and "AttributeError" in said
    assert {m.equation for m in found if m.verdict == "wrong"} == {"E2"}
    remark = marks_of(tmp_path, solved("functional") + "\nnonsense\n").remark
    assert "the file does not run: line" in remark and "NameError" in remark


def test_what_is_one_loop_denies_nothing_to_the_others(tmp_path):
    text = solved("functional").replace(
        "    error = logits - y", "    while True: __import__('time').sleep(1)\n    error = 1"
    )
    found = verdicts(marks_of(tmp_path, text, seconds=8.0))
    assert found["E3 squared_error"] == "wrong" and found["E4 squared_error"] == "waits for E3"
    assert found["E3 cross_entropy"] == found["E5 backward"] == found["E9 update"] == "right"


@pytest.mark.parametrize(
    "name", ["exits at once", "answers itself", "rewrites the checker", "is always equal"]
)
def test_a_cheat_scores_nothing_and_changes_nothing(tmp_path, name):
    before = (ROOT / "gradcheck" / "core.py").read_bytes()
    found = marks_of(tmp_path, f"{handout('functional')}\n{CHEATS[name]}\n", seconds=20.0)
    assert not any(m.right for m in found)
    assert (ROOT / "gradcheck" / "core.py").read_bytes() == before


@pytest.mark.parametrize(
    ("target", "formula", "differences", "guilty"),
    [
        ("net", "dY * (1 - self.Y * self.Y)",
         "dY * (np.tanh(self.X + 1e-5) - np.tanh(self.X - 1e-5)) / 2e-5", "E8 TanhLayer"),
        ("functional", "dlogits = error / len(y)",
         "f = lambda e: (e * e).sum(axis=1, keepdims=True) / (2 * len(y))\n"
         "    dlogits = np.concatenate([f(error + 1e-5 * w) - f(error - 1e-5 * w)"
         " for w in np.eye(error.shape[1])], 1) / 2e-5", "E4 squared_error"),
    ],
)  # fmt: skip
def test_differences_in_place_of_a_formula_are_told(tmp_path, target, formula, differences, guilty):
    text = solved(target).replace(
        "        self.Y = np.tanh(X)", "        self.X = X\n        self.Y = np.tanh(X)"
    )
    assert formula in text
    found = marks_of(tmp_path, text.replace(formula, differences), target)
    wrong = {f"{m.equation} {m.owner}": m.says for m in found if m.verdict == "wrong"}
    assert list(wrong) == [guilty] and "differences instead of a formula?" in wrong[guilty][0]


def test_the_process_refuses_and_says_so(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("")
    with Learner(path, 20.0) as learner:
        for code, said in (
            ("open('x.txt', 'w')", "writing to .* is refused"),
            (f"open({str(ROOT / 'net.py')!r})", "only your own file is read"),
            (f"open({str(ROOT / 'docs' / 'side_by_side.html')!r})", "only your own file is read"),
            ("import os; os.system('true')", "os.system is refused"),
            ("X[0] = 1", "read-only"),
            ("import sys; sys.exit(0)", "SystemExit"),
        ):
            with pytest.raises(Trouble, match=said):
                learner.ask(0, code, {"X": np.zeros(3)})


def test_what_marks_runs_none_of_our_networks(tmp_path):
    """Every function of the three networks and of datasets raises: all is right all the same."""
    code = """
import ast, sys, importlib.util, importlib.machinery
from pathlib import Path
ROOT = Path.cwd()
class Raising(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, **_):
        tree = ast.parse(data)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.body = [ast.parse("raise RuntimeError('ours')").body[0]]
        return compile(ast.fix_missing_locations(tree), path, "exec")
class Finder:
    def find_spec(self, name, path=None, target=None):
        first = name.split(".")[0]
        if first not in ("functional_net", "net", "cnn", "datasets"):
            return None
        file = ROOT.joinpath(*name.split("."))
        package = file.is_dir()
        file = file / "__init__.py" if package else file.with_suffix(".py")
        return importlib.util.spec_from_file_location(name, file, loader=Raising(name, str(file)),
            submodule_search_locations=[str(file.parent)] if package else None)
sys.meta_path.insert(0, Finder())
from gradcheck.learn.marking import mark_file
from gradcheck.learn.handout import solved
path = Path(sys.argv[1])
path.write_text(solved("functional"))
found = mark_file(path, "functional")
assert sum(m.right for m in found) == 12, list(found)
assert not {"functional_net", "net", "cnn", "datasets"} & set(sys.modules)
"""
    words = [sys.executable, "-c", code, tmp_path / "a.py"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_says_which_exercise_an_empty_file_is(tmp_path):
    assert target_of("") is None and target_of("def backward(): pass") == "functional"
    with pytest.raises(CannotCheck, match="expected an exercise, as `learn functional` writes it"):
        marks_of(tmp_path, "", None)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["functional", "net", "cnn"])
def test_200_submissions_get_the_mark_that_they_must_get(target):
    *bad, _ = proof((target,), lambda line: None)
    assert not bad, "\n".join(bad)


def test_there_are_200_submissions_with_different_names():
    names = [s.name for s in submissions()]
    assert len(names) >= 200 and len(set(names)) == len(names)


# --- hints ----------------------------------------------------------------------


@pytest.mark.parametrize("equation", EQUATIONS)
def test_a_hint_goes_step_by_step_and_never_shows_the_line(equation):
    said = list(hint(equation, 4, columns=False, right=False))
    assert [line.partition(":")[0] for line in said[:4]] == [
        "the question", "the shapes", "the formula", "a number",
    ]  # fmt: skip
    for place in places(equation):
        line = source(place.path)[place.line - 1].partition("  #")[0].strip()
        made = re.sub(r"^(return|\S+ \S?=) ", "", line)
        assert len(made) < 7 or made not in "\n".join(said)
    assert "once" in list(hint(equation, 5, False, False))[-1]
    assert f"docs/side_by_side.html#{equation}" in list(hint(equation, 5, False, True))[-1]
    assert set(HINTS) == set(EQUATIONS)


# --- a class --------------------------------------------------------------------


def test_a_class_is_marked_each_by_itself(tmp_path):
    wrong = solved("functional").replace("A1.T @ dlogits", "A1.T @ dlogits / len(X)")
    files = {
        "ada": solved("functional"), "ben": wrong, "cy": wrong + "\n# =1+1\n", "dee": "",
        "eve": f"{handout('functional')}\nimport os\nos._exit(0)\n",
        "=fay": "import time\ntime.sleep(100)\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "gus").mkdir()
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "marks.csv").write_text("of last time")
    graded = list(grading.grade(tmp_path, seconds=12.0))
    assert [g.name for g in graded] == sorted([*files, "gus"])
    by = {g.name: g for g in graded}
    assert {name: g.right for name, g in by.items()} == {
        "ada": 12, "ben": 10, "cy": 10, "dee": 0, "eve": 0, "=fay": 0, "gus": 0,
    }  # fmt: skip
    assert "the process ended by itself" in by["eve"].said and "too long" in by["=fay"].said
    assert "no python file" in by["gus"].said
    told = "\n".join(grading.table(graded))
    assert "    2  1/batch" in told
    grading.save(graded, tmp_path / "out")
    rows = (tmp_path / "out" / "marks.csv").read_text().splitlines()
    assert rows[0].startswith("name,right,of,E1 forward") and len(rows) == 8
    assert rows[1].startswith("'=fay,0,") and rows[2].startswith("ada,12,12,right")
    result = json.loads((tmp_path / "out" / "results" / "ben.json").read_text())
    assert sum(t["score"] for t in result["tests"]) == 10 and len(result["tests"]) == 12
    assert sum(t["max_score"] for t in result["tests"]) == 12


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(CannotCheck, match="expected files or folders with submissions"):
        list(grading.grade(tmp_path))


ODD = {
    "a dictionary of its own": "dict = list",
    "nan": "def forward(params, X): return X * np.nan, X * np.nan, X * np.nan",
    "complex": "def update(*a): return [x * 1j for x in a[0]], a[1]",
    "strings": "def cross_entropy(logits, y): return 'a', 'b'",
    "too many": "def backward(*a): return Params(*[np.zeros((3000, 3000))] * 4)",
    "a million lines": "x = 0\n" * 200_000,
}


def test_what_is_odd_is_wrong_and_never_an_error_of_ours(tmp_path):
    for name, text in ODD.items():
        (tmp_path / f"{name}.py").write_text(f"{handout('functional')}\n{text}\n")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    graded = {g.name: g for g in grading.grade(tmp_path, seconds=20.0)}
    assert graded.keys() == {*ODD, "latin"} and not any(g.right for g in graded.values())
    assert "does not run" in graded["latin"].said
    assert "at most 1 MB" in graded["a million lines"].said
    assert all(graded[name].marks for name in [*ODD][:-1])
