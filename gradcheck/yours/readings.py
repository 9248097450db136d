"""The ways in which an interface may be meant, the likeliest first.

Most interfaces can be read in one way only. Where roles have to be guessed (is y a label? is
g(x) a derivative, or does it take dY?) the readings are tried in order; the first under which all
is right is the verdict, since then it is right, and the report says which reading that was.
Where none is right, the one that explains the numbers most simply is reported.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, check_case, forgive_epsilon
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life, module_scope, tensor_advice
from gradcheck.yours.inputs import Input, Options
from gradcheck.yours.labels import domains, flat_below_zero, labellings, may_be_label
from gradcheck.yours.load import guarded, quiet, remember_generators
from gradcheck.yours.own import Own
from gradcheck.yours.probe import RESET, built, prepared, refuse_float32, reset_methods
from gradcheck.yours.signature import arguments, bind_backward, is_code
from gradcheck.yours.walk import copied, is_real, walk

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
LIKE_BACKWARD = re.compile(r"back|bprop|bwd", re.I)
LIKE_DERIVATIVE = re.compile(r"grad|deriv|prime|diff|^d_?[a-z]|_d$|^df", re.I)
Reading = tuple[Call, list[str]]  # how the two are called, and what to say of it


def own_layer(thing: Any, inputs: list[Input], options: Options, title: str = "") -> Own:
    """An object that has something like forward and backward."""
    remember_generators(module_scope(thing))
    thing = copied(thing)
    if options.setup:
        with guarded(f"--setup {options.setup!r}"):
            exec(options.setup, {**module_scope(thing), "np": np, "layer": thing})
    thing = prepared(thing)
    forwards = _methods(thing, FORWARD, LIKE_FORWARD, options.forward)
    if not forwards:
        raise CannotCheck(_no_method(thing, "forward"))
    backwards = _methods(thing, BACKWARD, LIKE_BACKWARD, options.backward)
    if not options.backward:
        backwards += [
            n for n in _public(thing) if LIKE_DERIVATIVE.search(n) and not RESET.fullmatch(n)
        ]
    backwards = [n for n in backwards if n != forwards[0]]
    if not backwards and not any(f in ("loss", options.forward) for f in forwards):
        advice = tensor_advice(getattr(thing, "__dict__", {}).values())
        raise CannotCheck(_no_method(thing, "backward") + advice)
    if "__call__" in forwards:  # for where the first cannot be called
        forwards = [forwards[0], "__call__"]
    scope = module_scope(thing)
    pairs = [
        Call(thing, f, b or None, {}, scope=scope) for b in backwards or [""] for f in forwards[:2]
    ]
    return _best(pairs, inputs, options, title or type(thing).__name__)


def own_functions(
    forward: Any, backward: Any, inputs: list[Input], options: Options, names: list[str]
) -> Own:
    """Two functions, or one (backward None) that returns (loss, gradients)."""
    scope = getattr(forward, "__globals__", {})
    remember_generators(scope)
    pair = Call(None, options.forward or forward, options.backward or backward, {}, scope=scope)
    title = names[0] if names else getattr(forward, "__name__", "function")
    word = names[1] if len(names) > 1 else getattr(backward, "__name__", "")
    return _best([pair], inputs, options, title, word)


# --- methods ------------------------------------------------------------------


def _public(thing: Any) -> list[str]:
    return [n for n in dir(thing) if not n.startswith("__") and _is_method(thing, n)]


def _is_method(thing: Any, name: str) -> bool:
    """Callable, and no class (dtype = np.float64), and no property, which may raise."""
    found = inspect.getattr_static(thing, name, None)
    found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
    return callable(found) and not isinstance(found, type)


def _methods(thing: Any, usual: tuple[str, ...], like: re.Pattern, given: str | None) -> list[str]:
    """Methods by their usual names, else by what their names contain."""
    if not given:
        found = [n for n in usual if _is_method(thing, n)]
        return found or [n for n in _public(thing) if like.search(n)]
    if not is_code(given) and not _is_method(thing, given):
        have = ", ".join(_public(thing)) or "none"
        raise CannotCheck(f"{type(thing).__name__} has no method {given!r}; it has {have}")
    return [given]


def _no_method(thing: Any, what: str) -> str:
    have = ", ".join(_public(thing)) or "none"
    code = f'--{what} NAME, or code: --{what} "layer.{"f(X)" if what == "forward" else "b(dY)"}"'
    return f"{type(thing).__name__} has no {what} method; it has {have} ({code})"


# --- the best reading ---------------------------------------------------------


def _best(
    pairs: list[Call], inputs: list[Input], options: Options, title: str, word: str = ""
) -> Own:
    """The first reading in which all is right; else the one of the simplest explanation."""
    if len(inputs) == 1 and isinstance(inputs[0].value, float):
        inputs[0].value = np.array(inputs[0].value)
    if not all(np.isfinite(i.value).all() for i in inputs if is_real(i.value)):
        raise CannotCheck("an input is not finite: it holds nan or inf")
    best: list[tuple[tuple, Own]] = []
    troubles: list[CannotCheck] = []
    for pair in pairs:
        done: set[str] = set()
        for call, notes in _readings(
            pair, inputs, options, word or str(pair.backward), done, troubles
        ):
            try:
                with quiet():
                    own = Own(call.copy(), options, title, notes=notes).build()
                    best.append((_score(own), own))
            except CannotCheck as error:
                troubles.append(error)
                continue
            done.add(call.label)
            if best[-1][0][0] == 1:
                return own
        if best:  # other methods are read only where the likeliest cannot be called
            return max(best, key=lambda scored: scored[0])[1]
    raise troubles[0] if troubles else CannotCheck(f"{title}: no way to call it was found")


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


# --- readings -----------------------------------------------------------------


def _readings(
    pair: Call,
    inputs: list[Input],
    options: Options,
    word: str,
    done: set[str],
    troubles: list[CannotCheck],
) -> Iterator[Reading]:
    """Every reading of one pair of functions.

    done: labels with which a reading could be built, so that no others are made up; troubles: why
    forward could not be called.
    """
    try:
        for label, values in labellings(pair, inputs, options):
            for said, given in domains(pair.thing, values, label, options.seed):
                if label in done and not said:
                    break
                try:
                    call, y = _started(replace(pair, given=given, label=label))
                except CannotCheck as error:
                    troubles.append(error)
                    continue
                if not may_be_label(label, given, y):
                    break
                yield from _plans(call, y, word, said)
                if not done and (flags := _flags_off(call)):
                    on = replace(call, given=call.given | dict.fromkeys(flags, True))
                    more = f"forward is called with {', '.join(flags)} = True"
                    yield from _plans(on, y, word, [*said, more])
                if said or not (label and flat_below_zero(call)):
                    break  # the first values that forward takes
    except CannotCheck as error:
        troubles.append(error)


def _flags_off(call: Call) -> list[str]:
    """Arguments of forward that are False by default: without save_cache=True nothing is kept."""
    ps = [] if is_code(call.forward) else arguments(call.function("forward", call.thing))
    return [p.name for p in ps if p.default is False and p.name not in call.given]


def _started(call: Call) -> tuple[Call, Array]:
    """With the parameters that the first call builds, and what one forward pass gives."""
    y = Life(call).forward()
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    call = built(call)
    refuse_float32(call, Life(call).forward())
    return replace(call, resets=reset_methods(call)), y


# --- what backward wants ------------------------------------------------------


def _plans(call: Call, y: Array, word: str, said: list[str]) -> Iterator[Reading]:
    """Which argument of backward gets what."""
    if call.backward is None or is_code(call.backward):
        yield call, said
        return
    life = Life(call)
    life.forward()
    function = call.function("backward", call.thing)
    known, unknown = bind_backward(function, life.defaults | call.given, bool(life.rest))
    for roles in _roles(call, life, y, len(unknown), word):
        guesses = dict(zip(unknown, roles, strict=True))
        more = [
            f"{name} of backward is taken for {_in_words(role)}"
            for name, role in guesses.items()
            if role != "dY" and (len(unknown) > 1 or role != "cache")
        ]
        yield from _reduced(replace(call, plan=known | guesses), y, [*said, *more])
    inputs = [n for n, source in known.items() if source.startswith("in ")]
    required = {p.name for p in arguments(function) if p.default is p.empty}
    if not required.issuperset(inputs):
        plan = {n: source for n, source in known.items() if n in required}
        yield from _reduced(replace(call, plan=plan), y, said)
    if not unknown and len(inputs) > 1 and inputs[-1] != call.label and y.ndim:
        more = [f"{inputs[-1]} of backward is taken for dY"]
        yield replace(call, plan=known | {inputs[-1]: "dY"}), [*said, *more]


def _in_words(role: str) -> str:
    names = {"out": "the output", "cache": "what forward returned besides the output"}
    if role.startswith("held "):
        return "what the object holds in " + role[5:]
    return names.get(role, f"the {role.removeprefix('in ')} of forward")


def _like_input(call: Call, life: Life) -> list[Any]:
    """What a loss remembers in the shape of its input: its own probabilities."""
    before = {path for path, _ in walk(call.thing)}
    alike = [p for p, a in walk(life.thing) if np.shape(a) == call.shape and p not in before]
    return sorted(alike, key=lambda p: not re.search(r"out|y|p|a$", str(p[-1]), re.I))[:3]


def _roles(call: Call, life: Life, y: Array, k: int, word: str) -> Iterator[tuple[str, ...]]:
    """What the k arguments of backward may be whose names tell nothing, the likeliest first."""
    X, label = f"in {call.first}", f"in {call.label}"
    cache = bool(life.rest) or len(life.outputs) > 1
    if k == 1:
        loss = not y.ndim or bool(call.label) or y.shape == call.shape[:1] != call.shape
        a_method = call.thing is not None and LIKE_BACKWARD.search(word) and not loss
        local = [] if a_method else [(X,), ("out",)]
        from_above = [("dY",), ("cache",)] if cache else [("dY",)]
        slope = LIKE_DERIVATIVE.search(word) and not LIKE_BACKWARD.search(word)
        yield from [*local, *from_above] if slope else [*from_above, *local]
        yield from [(f"held {p}",) for p in _like_input(call, life)] if loss else []
        return
    above = tuple("dY" + str(n or "") for n in range(k))
    arrays = tuple(f"in {n}" for n, v in call.given.items() if isinstance(v, np.ndarray))
    tried = [
        above if k <= len(life.outputs) else None,
        (*above[:-1], "cache") if cache and k else None,
        *[("dY", X), ("dY", "out"), (X, "dY")],
        *[(X, label), ("out", label)][: 2 * bool(call.label)],
        arrays,
        ("dY", *arrays),
    ]
    yield from dict.fromkeys(roles for roles in tried if roles is not None and len(roles) == k)


def _reduced(call: Call, y: Array, said: list[str]) -> Iterator[Reading]:
    """Without an upstream gradient: f', or a loss that is a sum or a mean of the output."""
    labelled = [f"{call.label} is taken for the label"] if call.label else []
    if not y.ndim or call.upstreams:
        yield call, [*said, *labelled]
        return
    if y.shape == call.shape and not (call.label and call.thing is not None):
        slope = "read as f and f': the gradient is upstream x f'"
        yield replace(call, reduction="derivative"), [slope, *said, *labelled]
    for how in ("sum", "mean", "mean of samples") if call.label or y.shape != call.shape else ():
        note = f"no upstream gradient is taken: the loss is the {how} of the output"
        yield replace(call, reduction=how), [note, *said, *labelled]
