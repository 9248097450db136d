"""Is a gradient right? Which entry is not, and what does the mistake look like?

    core        one rule for every entry of every array (read this first: two minutes)
    case        what is checked: arrays, forward, backward
    judge       differences, rules, names: one report
    purity      rules that differences cannot see         diagnose, suspects    names for mistakes
    bring       your own layers and functions             adapters              our three networks
    plants      mistakes put into our own code            pictures              Taylor test, step sizes

`python -m gradcheck -h` is the command. Importing this package imports no network.
"""

from typing import Any

import numpy as np

from gradcheck.core import CannotCheck, Result, check
from gradcheck.report import Report

__all__ = ["check", "check_layer", "check_function", "Report", "Result", "CannotCheck"]


def check_layer(layer: Any, *inputs: Any, accumulates: bool = False, **options: Any) -> Report:
    """Check a layer object on inputs, which are arrays or shapes.

    >>> import numpy as np
    >>> class Scale:
    ...     def __init__(self): self.gamma = np.ones(3)
    ...     def forward(self, X):
    ...         self.X = X
    ...         return self.gamma * X
    ...     def backward(self, dY):
    ...         self.dgamma = (dY * self.X).mean(axis=0)
    ...         return self.gamma * dY
    >>> print(check_layer(Scale(), (5, 3)))
    Scale
           array  shape   entries  worst error
      ok   X      (5, 3)       15      1.0e-03
    """
    from gradcheck.bring import Options, layer_case
    from gradcheck.judge import judge_widely
    from gradcheck.load import quiet

    with quiet():
        return judge_widely(
            layer_case(layer, _arrays(inputs), Options(**options)), accumulates=accumulates
        )


def check_function(forward: Any, backward: Any, *inputs: Any, **options: Any) -> Report:
    """Check a pair of functions: y, or (y, cache), = forward(*inputs); gradients = backward(dy, cache)."""
    from gradcheck.bring import Options, function_case
    from gradcheck.judge import judge_widely
    from gradcheck.load import quiet

    with quiet():
        return judge_widely(function_case(forward, backward, _arrays(inputs), Options(**options)))


def _arrays(inputs: tuple) -> list:
    from gradcheck.case import spread

    rng = np.random.default_rng(0)
    shape = lambda x: isinstance(x, tuple) and all(isinstance(k, int) for k in x)  # noqa: E731
    return [spread(x, rng, 2.5) if shape(x) else x for x in inputs]
