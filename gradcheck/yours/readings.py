"""The ways in which an interface may be meant, the likeliest first.

Most interfaces can be read in one way only. Where roles have to be guessed (is y a label? is
g(x) a derivative, or does it take dY?) each is a question with several answers (questions.py). The
first reading under which all is right is the verdict, since then it is right, and the report says
which reading that was. Where none is right, the one that explains the numbers most simply is taken.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.case import check_case, forgive_epsilon
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, module_scope, tensor_advice
from gradcheck.yours.inputs import Input, Options
from gradcheck.yours.load import guarded, quiet, remember_generators
from gradcheck.yours.own import Own
from gradcheck.yours.probe import RESET, prepared
from gradcheck.yours.questions import (
    LAST_RESORT,
    LIKE_BACKWARD,
    LIKE_DERIVATIVE,
    QUESTIONS,
    Question,
)
from gradcheck.yours.signature import is_code
from gradcheck.yours.walk import copied, is_real

__all__ = ["own_layer", "own_functions"]

FORWARD = (
    "forward", "forward_pass", "forward_propagation", "forward_prop", "fprop", "fwd",
    "feed_forward", "feedforward", "propagate", "_forward", "call", "apply", "activate", "compute",
    "transform", "calculate", "evaluate", "loss", "calc", "function", "__call__",
)  # fmt: skip
BACKWARD = (
    "backward", "backward_pass", "backward_propagation", "backward_prop", "backpropagation",
    "backprop", "bprop", "bwd", "back", "backpropagate", "_backward", "input_grad", "vjp",
)  # fmt: skip
LIKE_FORWARD = re.compile(r"forw|fprop|feed|activ|eval|out|loss|cost|^f$|^__call__$", re.I)


def own_layer(thing: Any, inputs: list[Input], options: Options, title: str = "") -> Own:
    """An object that has something like forward and backward."""
    scope = module_scope(thing)
    remember_generators(scope)
    thing = copied(thing)
    if options.setup:
        with guarded(f"--setup {options.setup!r}"):
            exec(options.setup, {**scope, "np": np, "layer": thing})
    thing = prepared(thing)
    forwards, backwards = _forwards(thing, options.forward), _backwards(thing, options.backward)
    backwards = [n for n in backwards if n != forwards[0]]
    if not backwards and not any(f in ("loss", options.forward) for f in forwards):
        advice = tensor_advice(getattr(thing, "__dict__", {}).values())
        raise CannotCheck(_no_method(thing, "backward") + advice)
    calls = [
        Call(thing, f, b or None, inputs, options, scope, b)
        for b in backwards or [""]
        for f in forwards
    ]
    return _best(calls, title or type(thing).__name__)


def own_functions(
    forward: Any, backward: Any, inputs: list[Input], options: Options, names: list[str]
) -> Own:
    """Two functions, or one (backward None) that returns (loss, gradients)."""
    scope = getattr(forward, "__globals__", {})
    remember_generators(scope)
    first, second = [*names, "", ""][:2]
    call = Call(
        None, options.forward or forward, options.backward or backward, inputs, options, scope
    )
    call.word = second or getattr(backward, "__name__", "")
    return _best([call], first or getattr(forward, "__name__", "function"))


# --- methods ------------------------------------------------------------------


def _forwards(thing: Any, given: str | None) -> list[str]:
    """The likeliest, and another for where it cannot be called: __call__, if there is one."""
    found = _given(thing, given) or _usual(thing, FORWARD)
    found = found or [n for n in _public(thing) if LIKE_FORWARD.search(n)]
    if not found:
        raise CannotCheck(_no_method(thing, "forward"))
    return [found[0], "__call__"] if "__call__" in found[1:] else found[:2]


def _backwards(thing: Any, given: str | None) -> list[str]:
    """By their usual names, then all that are called like a derivative."""
    public = [n for n in _public(thing) if not RESET.fullmatch(n)]
    likely = _usual(thing, BACKWARD) or [n for n in public if LIKE_BACKWARD.search(n)]
    like = [n for n in public if LIKE_DERIVATIVE.search(n)]
    return _given(thing, given) or [*likely, *like]


def _usual(thing: Any, names: tuple[str, ...]) -> list[str]:
    return [n for n in names if _is_method(thing, n)]


def _given(thing: Any, name: str | None) -> list[str]:
    """The method, or the code, that --forward or --backward names."""
    if name and not is_code(name) and not _is_method(thing, name):
        have = ", ".join(_public(thing)) or "none"
        raise CannotCheck(f"{type(thing).__name__} has no method {name!r}; it has {have}")
    return [name] if name else []


def _public(thing: Any) -> list[str]:
    return [n for n in dir(thing) if not n.startswith("__") and _is_method(thing, n)]


def _is_method(thing: Any, name: str) -> bool:
    """Callable, and no class (dtype = np.float64), and no property, which may raise."""
    found = inspect.getattr_static(thing, name, None)
    found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
    return callable(found) and not isinstance(found, type)


def _no_method(thing: Any, what: str) -> str:
    have = ", ".join(_public(thing)) or "none"
    code = f'--{what} NAME, or code: --{what} "layer.{"f(X)" if what == "forward" else "b(dY)"}"'
    return f"{type(thing).__name__} has no {what} method; it has {have} ({code})"


# --- the best reading ---------------------------------------------------------


def _best(calls: list[Call], title: str) -> Own:
    """The first reading in which all is right; else the one of the simplest explanation."""
    for given in calls[0].inputs:
        if len(calls[0].inputs) == 1 and isinstance(given.value, float):
            given.value = np.array(given.value)
        if is_real(given.value) and not np.isfinite(given.value).all():
            raise CannotCheck("an input is not finite: it holds nan or inf")
    found: list[tuple[tuple, Own]] = []
    troubles: list[CannotCheck] = []
    for start in calls:
        for call in _readings(start, QUESTIONS, found, troubles):
            try:
                with quiet():
                    own = Own(call.copy(), title).build()
                    found.append((_score(own), own))
            except CannotCheck as error:
                troubles.append(error)
                continue
            if found[-1][0][0] == 1:
                return own
        if found:  # other methods are read only where the likeliest cannot be called
            return max(found, key=lambda scored: scored[0])[1]
    raise troubles[0] if troubles else CannotCheck(f"{title}: no way to call it was found")


def _readings(
    call: Call, questions: tuple[Question, ...], found: list, troubles: list[CannotCheck]
) -> Iterator[Call]:
    """Every combination of answers; the further answers of a last resort only where none is found.

    found: what was built from the readings so far; troubles: why a question has no answer.
    """
    if not questions:
        yield call
        return
    ask, before = questions[0], len(found)
    try:
        for answer in ask(call):
            yield from _readings(answer, questions[1:], found, troubles)
            if ask in LAST_RESORT and len(found) > before:
                return
    except CannotCheck as error:
        troubles.append(error)


def _score(own: Own) -> tuple:
    """(share of right arrays, minus the strangeness of the factor): 1 is all right."""
    case = own.case()
    checked = check_case(case, np.random.default_rng(0), seconds=0)
    wrong = [r for r in forgive_epsilon(case, checked, []).values() if r.wrong.any()]
    return 1 - len(wrong) / len(checked.results), -sum(_strangeness(r) for r in wrong)


def _strangeness(result: Any) -> float:
    """0 for the sign, small for 1/2 or 1/N, 10 for what no factor explains."""
    a, n = result.backprop, result.numeric
    if a.shape != n.shape or not np.isfinite(a).all() or not a.any() or not n.any():
        return 10.0
    c = float((a * n).sum() / (n * n).sum())
    fits = abs(a - c * n).max() < 1e-5 * abs(n).max()
    return abs(np.log(abs(c))) if fits and c else 10.0
