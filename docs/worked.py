"""Worked numbers: one step of a 3-2-2 net on two samples, small enough for a pencil.

functional_net.py computes them (a test: net.py and cnn get the same), and every line that the
page prints, "dW2 = A1.T @ dlogits", is evaluated and has to give what the code gave.
"""

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

import functional_net as fn
from docs.mathml import CLOSE, COMMA, OPEN, SPACE, Formula, matrix, number, parse

__all__ = ["compute", "line", "X", "START"]

Array = np.ndarray
Numbers = dict[str, Any]

X = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]])  # (N, D)
y = np.array([[1.0, 0.0], [0.0, 1.0]])  # (N, K)  classes 0 and 1
START = fn.Params(
    W1=np.array([[1.0, -2.0], [-0.5, 0.5], [0.5, 1.0]]),  # (D, H)
    b1=np.array([[0.5, -0.5]]),  # (1, H)
    W2=np.array([[1.0, -1.0], [0.5, 1.0]]),  # (H, K)
    b2=np.array([[0.5, 0.5]]),  # (1, K)
)
LR, MOMENTUM = 0.1, 0.5


# --- the numbers --------------------------------------------------------------


def compute() -> Numbers:
    """Every array of a step, from functional_net."""
    Z1, A1, logits = fn.forward(START, X)
    loss, dlogits = fn.cross_entropy(logits, y)
    grads = fn.backward(START, X, Z1, A1, dlogits)
    after, velocity = fn.update(START, fn.zeros(START), grads, LR, MOMENTUM)
    numbers = {"X": X, "y": y, "Z1": Z1, "A1": A1, "logits": logits, "loss": loss}
    numbers |= {"dlogits": dlogits, "dX": fn.input_gradient(START, Z1, dlogits)}
    numbers |= START._asdict() | {f"d{name}": dW for name, dW in grads._asdict().items()}
    numbers |= {f"{name}_new": W for name, W in after._asdict().items()}
    numbers |= {"P": fn.softmax(logits), "V": 0 * START.W2, "V_new": velocity.W2}
    numbers |= {"logits_new": fn.predict(after, X), "accuracy": fn.accuracy(START, X, y)}
    numbers |= {"N": 2, "lr": LR, "momentum": MOMENTUM, "losses": losses(4)}
    numbers |= {**moved("far", 0.5), **moved("near", 0.1), "backprop": grads.W2[0, 0]}
    return {name: np.asarray(value) for name, value in numbers.items()}


def losses(steps: int) -> list[list[float]]:
    """The losses of the first steps, each with the same two samples."""
    params, velocity, found = START, fn.zeros(START), []
    for _ in range(steps):
        params, velocity, loss, _ = fn.step(params, velocity, X, y, LR, MOMENTUM)
        found.append(loss)
    return [found]


def moved(how: str, h: float) -> dict[str, float]:
    """The loss with W2[0, 0] moved up and down by h."""
    numbers = {f"width_{how}": 2 * h}
    for side, step in ("up", h), ("down", -h):
        params = START._replace(W2=START.W2 + np.array([[step, 0], [0, 0]]))
        numbers[f"{side}_{how}"] = fn.cross_entropy(fn.predict(params, X), y)[0]
    return numbers


def agree(what: str, ours: Any, theirs: Any) -> None:
    if np.shape(ours) != np.shape(theirs) or not np.allclose(ours, theirs, rtol=0, atol=1e-12):
        raise ArithmeticError(f"the worked numbers differ at {what}: {ours} and {theirs}")


# --- the lines ----------------------------------------------------------------

FUNCTIONS: dict[str, Any] = {
    "softmax": fn.softmax,
    "max": np.maximum,
    "log": np.log,
    "mean": np.mean,
    "argmax": lambda A: A.argmax(axis=1, keepdims=True),
    "sum_n": lambda A: A.sum(axis=0, keepdims=True),  # over the samples
    "sum_k": lambda A: A.sum(axis=1, keepdims=True),  # over the classes
}
LABELS = {
    "V_again": "V, if dW2 came again",
    "losses": "loss, step 1 to 4",
    "backprop": "dW2[0, 0]",
    **{f"{name}_{how}": text for how in ("far", "near") for name, text in
       {"up": "loss(p + h)", "down": "loss(p - h)", "width": "2 h", "slope": "slope"}.items()},
}  # fmt: skip


def line(text: str, numbers: Numbers, symbols: Mapping[str, str]) -> str:
    """The line with every array written out, its name below; symbols: name -> symbol.

    A value that the code has must agree. A line without "=", "X, y", shows arrays as they are.
    """
    target, _, expression = text.rpartition(" = ")
    written = Written(symbols, numbers)
    if not target:
        return flow([written.name(name) for name in expression.split(", ")], "eq list")
    value = np.asarray(eval(expression, {"__builtins__": {}}, {**FUNCTIONS, **numbers}))
    if target in numbers:
        agree(text, value, numbers[target])
    numbers[target] = value
    tree = parse(expression)
    parts = [*written.visit(tree), "<mo>=</mo>", written.name(target)]
    return flow(parts) + entry(tree, target, numbers)


def flow(parts: list[str], kind: str = "eq") -> str:
    """A line that may break between its parts, but not before a comma or a closing bracket."""
    text = "\n".join(parts).replace(f"{OPEN}\n", OPEN + SPACE)
    for closing in CLOSE, COMMA:
        text = text.replace(f"\n{closing}", SPACE + closing)
    pieces = "".join(f'<math displaystyle="true">{part}</math>' for part in text.split("\n"))
    return f'<div class="{kind}">{pieces}</div>'


class Written(Formula):
    """A formula with numbers in place of names, and the signs of the code."""

    def __init__(self, symbols: Mapping[str, str], numbers: Numbers):
        super().__init__(symbols)
        self.numbers = numbers

    def sign(self, op: ast.AST, left: ast.expr) -> str:
        own = {ast.Mult: "∗", ast.MatMult: "@", ast.Eq: "=="}.get(type(op))
        return f"<mo>{own}</mo>" if own else super().sign(op, left)

    def name(self, text: str) -> str:
        base = text.removesuffix(".T")
        if base not in self.numbers:
            return f"<mi>{text}</mi>"
        value = self.numbers[base].T if text != base else self.numbers[base]
        label = LABELS.get(base, base.replace("_new", ", new")) + text[len(base) :]
        if self.below:  # "2" with "N" below it, under a fraction bar, would read as 2 / N
            return f"<mtext>{label} =&nbsp;</mtext><mn>{number(float(value))}</mn>"
        symbol = self.symbols.get(base.removesuffix("_new").removesuffix("_again"))
        mark = f' data-s="{symbol}"' if symbol else ""
        return f"<mrow{mark}>{matrix(value, f'<mtext>{label}</mtext>')}</mrow>"


def entry(tree: ast.expr, target: str, numbers: Numbers) -> str:
    """The first entry of a matrix product, plus a bias or not, term by term."""
    match tree:
        case ast.BinOp(ast.BinOp(left, ast.MatMult(), right), ast.Add(), ast.Name(bias)):
            last = [numbers[bias][0, 0]]
        case ast.BinOp(left, ast.MatMult(), right):
            last = []
        case _:
            return ""
    A, B = (eval(ast.unparse(side), {}, dict(numbers)) for side in (left, right))
    terms = [f"{factor(a)} · {factor(w)}" for a, w in zip(A[0], B[:, 0], strict=True)]
    terms += map(factor, last)
    total = number(numbers[target][0, 0])
    return f'<p class="entry">{target}[0, 0] = {" + ".join(terms)} = {total}</p>'


def factor(value: float) -> str:
    text = number(value)
    return f"({text})" if text.startswith("−") else text
