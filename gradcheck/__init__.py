"""Is a gradient right? Which entry is not, and what does the mistake look like?

    core     one rule for every entry of every array (read this first: two minutes)
    case     what is checked: arrays, forward, backward
    rules    what differences cannot see           explain   names for mistakes
    judge    differences, rules, names: one report taylor    Taylor test, steps
    yours    your own layers and functions
    ours     our three networks                    plants    mistakes put into our own code

`python -m gradcheck -h` is the command. Importing this package imports no network.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.case import Constant, distinct_values
from gradcheck.core import CannotCheck, Result, check
from gradcheck.report import Report

__all__ = [
    "check", "check_layer", "check_function", "Report", "Result", "CannotCheck", "Constant",
]  # fmt: skip


def check_layer(
    layer: Any, *inputs: Any, accumulates: bool = False, seconds: float = 10.0, **options: Any
) -> Report:
    """Check a layer object; inputs are arrays or shapes. The report is true if all is right.

    What would take longer than seconds is checked along random directions, not entry by entry.
    options are those of the command: forward, backward, setup, columns, mean, seed.

    >>> import numpy as np
    >>> class Scale:
    ...     def __init__(self): self.gamma = np.ones(3)
    ...     def forward(self, X):
    ...         self.X = X
    ...         return self.gamma * X
    ...     def backward(self, dY):
    ...         self.dgamma = (dY * self.X).mean(axis=0)
    ...         return self.gamma * dY
    >>> report = check_layer(Scale(), (5, 3))
    >>> [row.name for row in report.rows if not row.ok]
    ['gamma']
    """
    from gradcheck.judge import judge_own
    from gradcheck.yours import Options, own_layer

    settings = Options(**options)
    if isinstance(layer, type):
        raise CannotCheck(f"expected an object, got the class {layer.__name__}: build one first")

    def judged() -> Report:
        own = own_layer(layer, _inputs(inputs, settings.seed), settings)
        return judge_own(own, settings.seed, accumulates, seconds)

    return _in_python(judged)


def check_function(
    forward: Any, backward: Any, *inputs: Any, seconds: float = 10.0, **options: Any
) -> Report:
    """Check a pair of functions; backward None: forward returns (loss, gradients) itself.

    >>> import numpy as np
    >>> def affine(x, w): return x @ w, (x, w)
    >>> def affine_backward(dy, cache): return dy @ cache[1].T, cache[0].T @ dy
    >>> bool(check_function(affine, affine_backward, (5, 3), (3, 4)))
    True
    >>> wrong = lambda dy, cache: (dy @ cache[1].T, -cache[0].T @ dy)
    >>> print(check_function(affine, wrong, (5, 3), (3, 4))["w"].cause)
    every entry is -1 times the right one: the sign
    """
    from gradcheck.judge import judge_own
    from gradcheck.yours import Options, own_functions

    settings = Options(**options)

    def judged() -> Report:
        own = own_functions(forward, backward, _inputs(inputs, settings.seed), settings, [])
        return judge_own(own, settings.seed, seconds=seconds)

    return _in_python(judged)


SAID_IN_PYTHON = {  # what a message tells to type on the command line
    r"--(forward|backward|setup) (?=['\"])": r"\1=",
    r"--(forward|backward) NAME": r"\1='NAME'",
    r"--(accumulates|mean|columns)": r"\1=True",
    r"--seconds (\d+)": r"seconds=\1",
    r"--input (\d+):int(\d+)": r"np.arange(\1) % \2",
    r"--input (\d+),(\d+)(?!:)": r"(\1, \2)",
    r"--input [\d,]+:const": "X.view(gradcheck.Constant)",
    r"--input \w*=2": "2, as it is",
    r"(\d+) --input": r"\1 inputs",
    r"--input": "input",
}


def _in_python(judged: Callable[[], Report]) -> Report:
    """The report; what it and the errors advise is said as in Python."""
    from gradcheck.yours import quiet, undisturbed

    def said(text: str) -> str:
        for typed, written in SAID_IN_PYTHON.items():
            text = re.sub(typed, written, text)
        return text

    try:
        with quiet(), undisturbed():
            report = judged()
    except CannotCheck as error:
        raise CannotCheck(said(str(error))) from error.__cause__
    report.breaches[:], report.notes[:] = map(said, report.breaches), map(said, report.notes)
    return report


def _inputs(inputs: tuple, seed: int) -> list:
    """Random arrays where shapes were given, (5, 3); all else as it is."""
    from gradcheck.yours import Input

    rng, arrays = np.random.default_rng(seed), []
    for x in inputs:
        is_shape = isinstance(x, tuple) and all(isinstance(k, int) for k in x)
        if is_shape and min(x, default=1) < 1:
            raise CannotCheck(f"expected a shape of positive sizes, got {x}")
        if isinstance(x, np.ndarray) and not x.size:
            raise CannotCheck(f"expected an array with entries, got shape {x.shape}")
        arrays.append(Input(distinct_values(x, rng, 2.5) if is_shape else x, made=is_shape))
    return arrays
