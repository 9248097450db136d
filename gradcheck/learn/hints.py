# ruff: noqa: E501  (a table)
"""Hints in steps: the question, the shapes, the formula, a number; never the line itself."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gradcheck.ours.equations import places

__all__ = ["HINTS", "hint", "tellings"]


class Hint(NamedTuple):
    """What can be said of an equation, step by step."""

    question: str
    shapes: str  # samples in rows
    formula: str  # of one entry: which product or sum that is, the learner finds
    number: str


HINTS = {
    "E1": Hint(
        "Each neuron weighs all inputs, adds them up, and adds a number of its own. What comes out?",
        "X (N, D)  W (D, H)  b (1, H)  ->  Y (N, H)",
        "y[n, h] = sum over d of x[n, d] w[d, h], plus b[h]",
        "x = (1, 2), w = (3, -1), b = 0.5: y = 1 * 3 + 2 * (-1) + 0.5 = 1.5",
    ),
    "E2": Hint(
        "The activation looks at each entry alone (a pooling at each window). What does it give?",
        "X (N, H)  ->  Y (N, H)",
        "ReLU: y = x where x > 0, else 0; sigmoid: y = 1 / (1 + exp(-x)); |x| without its sign",
        "x = (1.5, -0.5): a ReLU gives (1.5, 0)",
    ),
    "E3": Hint(
        "How wrong are the scores? One number for the whole batch, and the mean is taken here alone.",
        "scores (N, K)  y (N, K)  ->  a number",
        "cross-entropy: mean over n of log(sum over k of exp(s[n, k])) - s[n, target]; "
        "squared error: mean over n of half the squared length of s - y",
        "scores (1, 0), target 0: log(e + 1) - 1 = 0.3133",
    ),
    "E4": Hint(
        "How does the loss change when one score rises a little?",
        "P, y (N, K)  ->  dY (N, K)",
        "cross-entropy: ds[n, k] = (probability - 1 if k is the target) / N, without the 1 elsewhere",
        "scores (1, 0), target 0, N = 1: P = (0.7311, 0.2689), so dY = (-0.2689, 0.2689)",
    ),
    "E5": Hint(
        "A weight acts once for every sample, multiplied by its input. How do the effects add up?",
        "X (N, D)  dY (N, H)  ->  dW (D, H)",
        "dw[d, h] = sum over n of x[n, d] dy[n, h]",
        "two samples, x = (2, 5), dy = (3, -1): dw = 2 * 3 + 5 * (-1) = 1",
    ),
    "E6": Hint(
        "The bias was added to the output of every sample. How do the effects add up?",
        "dY (N, H)  ->  db (1, H)",
        "db[h] = sum over n of dy[n, h]", "two samples, dy = (3, -1): db = 3 + (-1) = 2",
    ),
    "E7": Hint(
        "An input acts through all weights that start at it. What reaches it from behind?",
        "dY (N, H)  W (D, H)  ->  dX (N, D)",
        "dx[n, d] = sum over h of dy[n, h] w[d, h]",
        "dy = (3, -1), the weights from this input w = (2, 4): dx = 3 * 2 + (-1) * 4 = 2",
    ),
    "E8": Hint(
        "The activation had a slope at each entry. What passes through it?",
        "dY (N, H)  X or Y (N, H)  ->  dX (N, H)",
        "dx = dy f'(x): of a ReLU f' is 1 above 0 and 0 below; of y = sigmoid(x) it is y (1 - y)",
        "x = (1.5, -0.5), dy = (3, 3), ReLU: dx = (3, 0)",
    ),
    "E9": Hint(
        "The velocity keeps a share of what it was and is pulled downhill; then the weights move.",
        "W, V, dW of one shape",
        "v' = momentum v - lr dw, then w' = w + v'",
        "v = 1, dw = 2, lr = 0.1, momentum = 0.5: v' = 0.5 - 0.2 = 0.3, w grows by 0.3",
    ),
}  # fmt: skip

STEPS = ("the question", "the shapes", "the formula", "a number", "the three tellings")


def hint(equation: str, step: int, columns: bool, right: bool) -> Iterator[str]:
    """The steps up to this one; the last only once the equation is right."""
    told = HINTS[equation]
    shapes = re.sub(r"\((\w+), (\w+)\)", r"(\2, \1)", told.shapes) if columns else told.shapes
    steps = [told.question, shapes, told.formula, told.number]
    for name, text in list(zip(STEPS, steps, strict=False))[:step]:
        yield f"{name}: {text}"
    if step == len(STEPS) and right:
        yield from tellings(equation)
    elif step == len(STEPS):
        yield f"{STEPS[-1]}: once {equation} is right"
    else:
        yield f"(next, {STEPS[step]}: hint {equation} --step {step + 1})"


def tellings(equation: str) -> Iterator[str]:
    """Where the three implementations say it, and the page that shows them beside each other."""
    for place in places(equation):
        yield f"  {place.path}:{place.line}  {place.function}"
    yield f"  docs/side_by_side.html#{equation}"
