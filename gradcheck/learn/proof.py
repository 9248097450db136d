# ruff: noqa: E501  (tables of files)
"""Does the marking deserve trust? Submissions of which the right mark is known beforehand."""

import ast
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradcheck.learn.drill import plantable
from gradcheck.learn.handout import handout, solved
from gradcheck.learn.marking import Mark, functions, mark_file, tags
from gradcheck.plants.plant import Plant, mutate

__all__ = ["Submission", "submissions", "agrees", "proof"]


@dataclass(frozen=True)
class Submission:
    """A file, and what its mark must be: "all", "none", "some wrong", or where one is."""

    name: str
    target: str
    source: str
    expected: str


def agrees(submission: Submission, marks: list[Mark]) -> bool:
    """All right, none right, or wrong at one of the equations and right where nothing depends."""
    wrong = {m.equation for m in marks if m.verdict == "wrong"}
    others = [m for m in marks if not m.right and m.verdict != "wrong"]
    if submission.expected == "all":
        return bool(marks) and all(m.right for m in marks)
    if submission.expected == "none":
        return not any(m.right for m in marks)
    if submission.expected == "some wrong":
        return bool(wrong)
    known = len(wrong) == 1 and wrong <= set(submission.expected.split())
    return known and all(m.verdict == f"waits for {min(wrong)}" for m in others)


# --- right, in other words ------------------------------------------------------

STYLES = {  # target: name: (what stands there, what says the same)
    "functional": {
        "renamed": [(r"\bdA1\b", "grad_hidden"), (r"\bdZ1\b", "grad_pre"), (r"\bshifted\b", "s")],
        "einsum": [
            (r"A1\.T @ dlogits", "np.einsum('nh,nk->hk', A1, dlogits)"),
            (r"X\.T @ dZ1", "np.einsum('nd,nh->dh', X, dZ1)"),
            (r"X @ params\.W1", "np.einsum('nd,dh->nh', X, params.W1)"),
        ],
        "loops": [
            (r"A1\.T @ dlogits", "sum(np.outer(a, d) for a, d in zip(A1, dlogits))"),
            (r"dlogits\.sum\(axis=0, keepdims=True\)", "np.array([[sum(c) for c in dlogits.T]])"),
        ],
        "where": [
            (r"dA1 \* \(Z1 > 0\)", "np.where(Z1 > 0, dA1, 0)"),
            (r"np\.maximum\(Z1, 0\)", "Z1 * (Z1 > 0)"),
        ],
        "dot": [
            (r"dlogits @ params\.W2\.T", "np.dot(dlogits, params.W2.transpose())"),
            (r"A1 @ params\.W2 \+", "np.matmul(A1, params.W2) +"),
        ],
        "more lines": [
            (r"    dW1 = X\.T @ dZ1", "    left = X.T\n    print('12 of 12 right')\n    dW1 = left @ dZ1"),
            (r"\(exp / total - y\) / N", "np.subtract(exp / total, y) * (1 / N)"),
        ],
    },
    "net": {
        "einsum": [(r"dY @ self\.X\.T", "np.einsum('hn,dn->hd', dY, self.X)")],
        "in place": [(r"self\.db = dY\.sum\(axis=1, keepdims=True\)", "self.db = dY.sum(1)[:, None]")],
        "where": [(r"dY \* \(self\.X > 0\)", "np.where(self.X > 0, dY, 0)")],
        "dot": [(r"self\.W\.T @ dY", "np.dot(dY.T, self.W).T")],
        "loops": [(r"self\.W @ X \+ self\.b", "np.stack([self.W @ x + self.b[:, 0] for x in X.T], 1)")],
        "formulas": [(r"1 - self\.Y \* self\.Y", "(1 - self.Y) * (1 + self.Y)")],
    },
    "cnn": {
        "einsum": [(r"X\.T @ dY", "np.einsum('nd,nh->dh', X, dY)")],
        "dot": [(r"dY @ W\.T", "np.dot(W, dY.T).T"), (r"X @ W \+ b", "np.add(np.dot(X, W), b)")],
        "formulas": [(r"1 - Y \* Y", "(1 + Y) * (1 - Y)"), (r"Y \* \(1 - Y\)", "Y - Y * Y")],
    },
}  # fmt: skip


def styled(target: str, name: str) -> str:
    """The solved file in another style. Raises ValueError for a style that changes nothing."""
    text = solved(target)
    for pattern, words in STYLES[target][name]:
        text, count = re.subn(pattern, words.replace("\\", r"\\"), text)
        if not count:
            raise ValueError(
                f"the style {name} expects {pattern}, which does not stand in {target}"
            )
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
    "eats memory": "import numpy\nhog = [numpy.ones(10**8) for _ in range(100)]",
    "prints without end": "while True: print('x' * 10**6)",
    "imports the answer": "from functional_net import *\nfrom net import *\nfrom cnn import *",
    "finds the answer": f"import sys\nsys.path.insert(0, {HOME})\nfrom functional_net import *",
    "reads the answer": f"exec(open({HOME} + '/functional_net.py').read().partition('app =')[0])",
    "rewrites the checker": f"open({HOME} + '/gradcheck/core.py', 'a').write('# gotcha')",
    "starts a program": "import subprocess\nsubprocess.run(['python', '-c', 'pass'])",
    "removes our files": f"import os\nos.remove({HOME} + '/gradcheck/core.py')",
    "patches numpy": "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.asarray = lambda *a, **k: 0",
    "answers itself": "import os\nfor k in range(3, 30):\n    try: os.write(k, b'[{\"dict\": {}}]\\n' * 99)\n    except OSError: pass",
    "is always equal": "class Yes(float):\n    def __eq__(self, other): return True\nforward = backward = update = lambda *a, **k: Yes()",
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


def own_equations(plant: Plant, text: str) -> str:
    """The numbers on the changed line; else on its function, its class, or the whole step."""
    changed = mutate(text, plant).splitlines()
    rows = text.splitlines()
    first = next(n for n, (a, b) in enumerate(zip(rows, changed, strict=False)) if a != b)
    found = tags(rows[first : first + 1]) or [
        e
        for name, node in functions(ast.parse(text))
        if f"{name}.".startswith(plant.function.partition(".")[0] + ".")
        for e in tags(rows[node.lineno - 1 : node.end_lineno])
    ]
    return " ".join(
        sorted({*found, "step"} if plant.function.startswith("FeedForward") else {*found})
    )


def submissions(targets: tuple[str, ...] = ("functional", "net", "cnn")) -> Iterator[Submission]:
    """Plants, right ones in several styles, blanks, cheats and what is no solution at all."""
    for target in targets:
        text = solved(target)
        yield Submission(f"{target}, solved", target, text, "all")
        yield Submission(f"{target}, untouched", target, handout(target), "none")
        for name in STYLES[target]:
            yield Submission(f"{target}, {name}", target, styled(target, name), "all")
        for plant in plantable(target):
            own = own_equations(plant, text)
            yield Submission(plant.name, target, mutate(text, plant), own)
        for name, source in BROKEN.items():
            yield Submission(f"{target}, {name}", target, source, "none")
        for name, end in CHEATS.items():
            yield Submission(f"{target}, {name}", target, f"{handout(target)}\n{end}\n", "none")
    if "functional" in targets:
        rest = solved("functional").replace("\napp = ", f"\n{DIFFERENCES}\napp = ")
        yield Submission("functional, differences", "functional", rest, "some wrong")


def proof(targets: tuple[str, ...], say: Callable[[str], object] = print) -> Iterator[str]:
    """One line for each submission that got another mark than it must, and the count."""
    count, good = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for submission in submissions(targets):
            path = Path(folder) / "my_file.py"
            path.write_text(submission.source, encoding="utf-8")
            marks = mark_file(path, submission.target)
            count, ok = count + 1, agrees(submission, marks)
            good += ok
            say(f"{'ok ' if ok else 'BAD'} {submission.name}: {summary(marks)}")
            if not ok:
                yield f"{submission.name}: expected {submission.expected}, got {summary(marks)}"
    yield f"{good} of {count} submissions got the mark that they must get"


def summary(marks: list[Mark]) -> str:
    wrong = [f"{m.equation} {m.owner}" for m in marks if m.verdict == "wrong"]
    right = f"{sum(m.right for m in marks)} of {len(marks)} right"
    return f"{right}, wrong: {', '.join(wrong)}" if wrong else right
