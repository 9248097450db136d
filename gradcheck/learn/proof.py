# ruff: noqa: E501  (tables of files)
"""Does the marking deserve trust? Submissions of which the right mark is known beforehand."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradcheck.learn.grading import in_parallel
from gradcheck.learn.handout import handout, plantable, solved
from gradcheck.learn.marking import Mark, mark_file
from gradcheck.learn.units import STEP, UNITS
from gradcheck.ours.equations import tags
from gradcheck.plants.plant import Plant

__all__ = ["Submission", "submissions", "agrees", "proof"]


SECONDS = 40.0  # for one file; it may loop
ALL, NONE, SOME = "all right", "none right", "some wrong"


@dataclass(frozen=True)
class Submission:
    """A file, and what its mark must be: ALL, NONE, SOME wrong, or where it is wrong."""

    name: str
    target: str
    source: str
    expected: str | frozenset[str]


def agrees(submission: Submission, marks: list[Mark]) -> bool:
    """All right, none right, or one equation wrong where it must be and right where it is not."""
    wrong = {m.equation for m in marks if m.verdict == "wrong"}
    if submission.expected == ALL:
        return bool(marks) and all(m.right for m in marks)
    if submission.expected == NONE:
        return not any(m.right for m in marks)
    if submission.expected == SOME:
        return bool(wrong)
    known = all(
        f"{m.equation} {m.owner}" in submission.expected for m in marks if m.verdict == "wrong"
    )
    others = [m for m in marks if not m.right and m.verdict != "wrong"]
    waiting = all(m.verdict == f"waits for {min(wrong)}" for m in others)
    return known and waiting and 0 < len(wrong) <= 1 + ("swapped" in submission.name)


# --- right, in other words ------------------------------------------------------

STYLES = {  # target: name: {what stands there: what says the same}
    "functional": {
        "renamed": {"dA1": "grad_hidden", "dZ1": "grad_pre", "shifted": "s"},
        "einsum": {
            "A1.T @ dlogits": "np.einsum('nh,nk->hk', A1, dlogits)",
            "X.T @ dZ1": "np.einsum('nd,nh->dh', X, dZ1)",
            "X @ params.W1": "np.einsum('nd,dh->nh', X, params.W1)",
        },
        "loops": {
            "A1.T @ dlogits": "sum(np.outer(a, d) for a, d in zip(A1, dlogits))",
            "dlogits.sum(axis=0, keepdims=True)": "np.array([[sum(c) for c in dlogits.T]])",
        },
        "where": {"dA1 * (Z1 > 0)": "np.where(Z1 > 0, dA1, 0)", "np.maximum(Z1, 0)": "Z1 * (Z1 > 0)"},
        "dot": {
            "dlogits @ params.W2.T": "np.dot(dlogits, params.W2.transpose())",
            "A1 @ params.W2 +": "np.matmul(A1, params.W2) +",
        },
        "more lines": {
            "    dW1 = X.T @ dZ1": "    left = X.T\n    print('12 of 12 right')\n    dW1 = left @ dZ1",
            "(exp / total - y) / N": "np.subtract(exp / total, y) * (1 / N)",
        },
    },
    "net": {
        "einsum": {"dY @ self.X.T": "np.einsum('hn,dn->hd', dY, self.X)"},
        "in place": {"self.db = dY.sum(axis=1, keepdims=True)": "self.db = dY.sum(1)[:, None]"},
        "where": {"dY * (self.X > 0)": "np.where(self.X > 0, dY, 0)"},
        "dot": {"self.W.T @ dY": "np.dot(dY.T, self.W).T"},
        "loops": {"self.W @ X + self.b": "np.stack([self.W @ x + self.b[:, 0] for x in X.T], 1)"},
        "formulas": {"1 - self.Y * self.Y": "(1 - self.Y) * (1 + self.Y)"},
    },
    "cnn": {
        "einsum": {"X.T @ dY": "np.einsum('nd,nh->dh', X, dY)"},
        "dot": {"dY @ W.T": "np.dot(W, dY.T).T", "X @ W + b": "np.add(np.dot(X, W), b)"},
        "formulas": {"1 - Y * Y": "(1 + Y) * (1 - Y)", "Y * (1 - Y)": "Y - Y * Y"},
    },
}  # fmt: skip


def styled(target: str, name: str) -> str:
    """The solved file in another style. Raises ValueError for a style that changes nothing."""
    text = solved(target)
    for old, new in STYLES[target][name].items():
        if old not in text:
            raise ValueError(f"the style {name} expects {old}, which does not stand in {target}")
        text = text.replace(old, new)
    return text


# --- neither right nor honest ---------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
HOME = repr(str(ROOT))
CHEATS = {  # what is put at the end of an untouched hand-out
    "prints a verdict": "print('12 of 12 right')\nprint('RIGHT')",
    "exits": "import sys\nsys.exit(0)",
    "exits at once": "import os\nos._exit(0)",
    "loops forever": "while True: pass",
    "sleeps": "import time\ntime.sleep(10_000)",
    "needs 10 GB": "import numpy\nhog = numpy.ones(1_250_000_000)",
    "eats memory": "import numpy\nhog = [numpy.ones(10**8) for _ in range(100)]",
    "prints without end": "while True: print('x' * 10**6)",
    "imports the answer": "from functional_net import *\nfrom net import *\nfrom cnn import *",
    "finds the answer": f"import sys\nsys.path.insert(0, {HOME})\nfrom functional_net import *",
    "reads the answer": f"exec(open({HOME} + '/functional_net.py').read().partition('app =')[0])",
    "rewrites the checker": f"open({HOME} + '/gradcheck/core.py', 'a').write('# gotcha')",
    "starts a program": "import subprocess\nsubprocess.run(['python', '-c', 'pass'])",
    "removes our files": f"import os\nos.remove({HOME} + '/gradcheck/core.py')",
    "patches numpy": "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.asarray = lambda *a, **k: 0",
    "answers itself": "import os\nfor k in range(3, 30):\n    try: os.write(k, b'{\"out\": {\"Y\": 0, \"X\": null}}\\n' * 99)\n    except OSError: pass",
    "is always equal": "class Yes(float):\n    def __eq__(self, other): return True\nforward = backward = update = lambda *a, **k: Yes()",
    "zeros everywhere": "def forward(params, X): return [np.zeros((len(X), k)) for k in (7, 7, 4)]",
    "zeros": "def backward(params, X, Z1, A1, dlogits): return Params(*[0 * p for p in params])",
    "recursion": "def forward(*a): return forward(*a)",
    "deep": "x = " + "(" * 150 + ")" * 150,
    "threads": "import threading\nfor _ in range(20): threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()",
}  # fmt: skip
BROKEN = {
    "empty": "", "only a comment": "# nothing yet\n", "no python": "this is no python (\n",
    "other program": "print('hello')\n", "all raise": "def forward(*a): raise NotImplementedError\n",
    "comments": "# E1 = X @ W + b\n# E2\n" * 50, "null bytes": "x = 1\0\n", "class only": "class Params: pass\n", "pass": "def forward(params, X): pass\n",
}  # fmt: skip
DIFFERENCES = """
def backward(params, X, Z1, A1, dlogits):
    loss = lambda p: (forward(p, X)[-1] * dlogits).sum()
    grads = []
    for k, W in enumerate(params):
        dW = np.zeros_like(W)
        for i in np.ndindex(W.shape):
            up, down = ([V.copy() for V in params] for _ in range(2))
            up[k][i] += 1e-5
            down[k][i] -= 1e-5
            dW[i] = (loss(Params(*up)) - loss(Params(*down))) / 2e-5
        grads.append(dW)
    return Params(*grads)
"""


def own(plant: Plant, changed: str) -> frozenset[str]:
    """The equation on the changed line, "E5 Linear"; without a number all of its function's."""
    pairs = zip(solved(plant.target).splitlines(), changed.splitlines(), strict=False)
    numbers = tags(next(before for before, after in pairs if before != after))
    held = [u for u in UNITS[plant.target] if u.holds(plant.function)]
    found = {f"{e} {u.owner}" for u in held for e in u.equations if e in (numbers or u.equations)}
    return frozenset(found or {f"{STEP} {STEP}"})


def submissions(targets: tuple[str, ...] = ("functional", "net", "cnn")) -> Iterator[Submission]:
    """Plants, right ones in several styles, blanks, cheats and what is no solution at all."""
    for target in targets:
        yield Submission(f"{target}, solved", target, solved(target), ALL)
        yield Submission(f"{target}, untouched", target, handout(target), NONE)
        for name in STYLES[target]:
            yield Submission(f"{target}, {name}", target, styled(target, name), ALL)
        for plant, text in plantable(target).items():
            yield Submission(plant.name, target, text, own(plant, text))
        for name, source in BROKEN.items():
            yield Submission(f"{target}, {name}", target, source, NONE)
        for name, end in CHEATS.items():
            yield Submission(f"{target}, {name}", target, f"{handout(target)}\n{end}\n", NONE)
    if "functional" in targets:
        rest = solved("functional").replace("\napp = ", f"\n{DIFFERENCES}\napp = ")
        yield Submission("functional, differences", "functional", rest, SOME)


def proof(targets: tuple[str, ...], say: Callable[[str], object] = print) -> Iterator[str]:
    """One line for each submission that got another mark than it must, and the count."""
    files, good = list(submissions(targets)), 0
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.py" for n in range(len(files))]
        for path, submission in zip(paths, files, strict=True):
            path.write_text(submission.source, encoding="utf-8")
        marked = in_parallel(lambda path, one: mark_file(path, one.target, SECONDS), paths, files)
        for submission, marks in zip(files, marked, strict=True):
            good += (ok := agrees(submission, marks))
            say(f"{'ok ' if ok else 'BAD'} {submission.name}: {summary(marks)}")
            if not ok:
                yield f"{submission.name}: expected {submission.expected}, got {summary(marks)}"
    yield f"{good} of {len(files)} submissions got the mark that they must get"


def summary(marks: list[Mark]) -> str:
    wrong = [f"{m.equation} {m.owner}" for m in marks if m.verdict == "wrong"]
    right = f"{sum(m.right for m in marks)} of {len(marks)} right"
    return f"{right}, wrong: {', '.join(wrong)}" if wrong else right
