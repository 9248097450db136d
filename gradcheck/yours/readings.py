"""The ways in which an interface may be meant, the likeliest first.

Most interfaces can be read in one way only. Where roles have to be guessed (is y a label? is
g(x) a derivative, or does it take dY?) the readings are tried in order; the first under which all
is right is the verdict, since then it is right, and the report says which reading that was.
Where none is right, the one that explains the numbers most simply is reported.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, check_case, forgive_epsilon
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Autograd, Call, Life, module_scope, tensor_class
from gradcheck.yours.inputs import Input
from gradcheck.yours.labels import KINDS, domains, flat_below_zero, labellings, may_be_label
from gradcheck.yours.load import guarded, quiet, remember_generators
from gradcheck.yours.own import Options, Own
from gradcheck.yours.probe import built, prepared, refuse_float32, reset_methods
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


def own_layer(thing: Any, inputs: list[Input], options: Options, title: str = "") -> Own:
    """An object that has something like forward and backward."""
    title = title or type(thing).__name__
    _refuse_nan(inputs)
    remember_generators(module_scope(thing))
    thing = copied(thing)
    if options.setup:
        with guarded(f"--setup {options.setup!r}"):
            exec(options.setup, {**module_scope(thing), "np": np, "layer": thing})
    thing = prepared(thing)
    forwards = _methods(thing, FORWARD, LIKE_FORWARD, options.forward, "forward")
    backwards = _methods(thing, BACKWARD, LIKE_BACKWARD, options.backward, "backward")
    if not options.backward:
        backwards += [n for n in _public(thing) if LIKE_DERIVATIVE.search(n)]
    backwards = [n for n in backwards if n not in forwards[:1]]
    if not backwards and (tensor := tensor_class(thing)):
        thing, forwards, backwards = Autograd(thing, forwards[0], tensor), ["forward"], ["backward"]
    if not backwards and not any(f in ("loss", options.forward) for f in forwards):
        raise CannotCheck(_no_method(thing, "backward"))
    if "__call__" in forwards[1:]:  # for where the first cannot be called
        forwards = [forwards[0], "__call__"]
    pairs: list[tuple] = [(f, b) for b in backwards or [""] for f in forwards[:2]]
    return _best(pairs, lambda f, b: _readings(thing, f, b or None, inputs, options, title), title)


def own_functions(
    forward: Any, backward: Any, inputs: list[Input], options: Options, names: list[str]
) -> Own:
    """Two functions, or one (backward None) that returns (loss, gradients)."""
    _refuse_nan(inputs)
    remember_generators(getattr(forward, "__globals__", {}))
    forward, backward = options.forward or forward, options.backward or backward
    title = names[0] if names else getattr(forward, "__name__", "function")
    word = names[1] if len(names) > 1 else getattr(backward, "__name__", "")
    return _best(
        [(forward, backward)],
        lambda f, b: _readings(None, f, b, inputs, options, title, word),
        title,
    )


def _refuse_nan(inputs: list[Input]) -> None:
    if len(inputs) == 1 and isinstance(inputs[0].value, float):
        inputs[0].value = np.array(inputs[0].value)
    if not all(np.isfinite(i.value).all() for i in inputs if is_real(i.value)):
        raise CannotCheck("an input is not finite: it holds nan or inf")


# --- methods ------------------------------------------------------------------


def _public(thing: Any) -> list[str]:
    names = [n for n in dir(thing) if not n.startswith("__") and n not in vars(object)]
    return [n for n in names if _is_method(thing, n)]


def _is_method(thing: Any, name: str) -> bool:
    """Callable, and no class (dtype = np.float64), and no property, which may raise."""
    found = inspect.getattr_static(thing, name, None)
    found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
    return callable(found) and not isinstance(found, type)


def _methods(
    thing: Any, usual: tuple[str, ...], like: re.Pattern, given: str | None, what: str
) -> list[str]:
    """Methods by their usual names, else by what their names contain."""
    if given and is_code(given):
        return [given]
    if given:
        if not _is_method(thing, given):
            have = ", ".join(_public(thing)) or "none"
            raise CannotCheck(f"{type(thing).__name__} has no method {given!r}; it has {have}")
        return [given]
    found = [n for n in usual if _is_method(thing, n)]
    found = found or [n for n in _public(thing) if like.search(n)]
    if not found and what == "forward":
        raise CannotCheck(_no_method(thing, what))
    return found


def _no_method(thing: Any, what: str) -> str:
    have = ", ".join(_public(thing)) or "none"
    code = f'--{what} NAME, or code: --{what} "layer.{"f(X)" if what == "forward" else "b(dY)"}"'
    return f"{type(thing).__name__} has no {what} method; it has {have} ({code})"


# --- readings -----------------------------------------------------------------

Builder = Callable[[], Own]


def _readings(
    thing: Any, f: Any, b: Any, inputs: list[Input], options: Options, title: str, word: str = ""
) -> Iterator[Builder]:
    """Every reading of one pair of functions, as something that builds it."""
    done: set[str] = set()  # labels with which a reading could be built: no others are made up
    for label, values in labellings(thing, f, inputs, options):
        for kind, given in domains(thing, values, label, options.seed):
            if label in done and kind == "given":
                break
            try:
                scope = module_scope(thing) if thing is not None else f.__globals__
                call, y = _started(Call(thing, f, b, given, label=label, scope=scope))
            except CannotCheck as error:
                yield _raiser(error)
                continue
            if not may_be_label(label, given, y):
                break
            said = [KINDS[kind]] if kind in KINDS else []
            yield from _builders(call, y, options, title, said, word or str(b), done)
            if not done and (flags := _flags_off(call)):
                flagged = replace(call, given=call.given | dict.fromkeys(flags, True))
                said = [*said, f"forward is called with {', '.join(flags)} = True"]
                yield from _builders(flagged, y, options, title, said, word or str(b), done)
            if kind != "given" or not (label and flat_below_zero(call)):
                break  # the first values that forward takes


def _flags_off(call: Call) -> list[str]:
    """Arguments of forward that are False by default: without save_cache=True nothing is kept."""
    ps = [] if is_code(call.forward) else arguments(call.function("forward", call.thing))
    return [p.name for p in ps if p.default is False and p.name not in call.given]


def _builders(
    call: Call, y: Array, options: Options, title: str, said: list[str], word: str, done: set[str]
) -> Iterator[Builder]:
    for plan, reduction, more in _plans(call, y, word):
        own = replace(call, plan=plan, reduction=reduction)
        yield _builder(own, options, title, [*said, *more], done)


def _raiser(error: CannotCheck) -> Builder:
    def fail() -> Own:
        raise error

    return fail


def _builder(call: Call, options: Options, title: str, notes: list[str], done: set[str]) -> Builder:
    def build() -> Own:
        own_call = replace(call, thing=copied(call.thing), given=_copies(call.given))
        own = Own(own_call, options, title, notes=list(notes)).build()
        done.add(call.label)
        return own

    return build


def _copies(given: dict[str, Any]) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in given.items()}


def _started(call: Call) -> tuple[Call, Array]:
    """With the parameters that the first call builds, and what one forward pass gives."""
    y = Life(call).forward()
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    call = built(call)
    refuse_float32(call, Life(call).forward())
    return replace(call, resets=reset_methods(call, [])), y


# --- what backward wants ------------------------------------------------------


def _plans(call: Call, y: Array, word: str) -> Iterator[tuple[dict[str, str], str, list[str]]]:
    """(argument of backward -> source, how outputs are reduced to a loss, what to say of it)."""
    if call.backward is None or is_code(call.backward):
        yield {}, "", []
        return
    life = Life(call)
    life.forward()
    function = call.function("backward", call.thing)
    known, unknown = bind_backward(function, life.defaults | call.given, bool(life.rest))
    for roles in _roles(call, life, y, unknown, word):
        plan = known | dict(zip(unknown, roles, strict=True))
        said = [
            f"{name} of backward is taken for {_in_words(role)}"
            for name, role in zip(unknown, roles, strict=True)
            if role != "dY" and (len(unknown) > 1 or role != "cache")
        ]
        yield from _reduced(call, y, plan, word, said)
    required = {p.name for p in arguments(function) if p.default is p.empty}
    if any(n not in required and source.startswith("in ") for n, source in known.items()):
        yield from _reduced(call, y, {n: s for n, s in known.items() if n in required}, word, [])
    inputs = [n for n, source in known.items() if source.startswith("in ")]
    if not unknown and len(inputs) > 1 and inputs[-1] != call.label and y.ndim:
        yield known | {inputs[-1]: "dY"}, "", [f"{inputs[-1]} of backward is taken for dY"]


def _in_words(role: str) -> str:
    if role.startswith("in "):
        return f"the {role[3:]} of forward"
    names = {"out": "the output", "cache": "what forward returned besides the output"}
    return names.get(role, role.replace("held ", "self."))


def _roles(
    call: Call, life: Life, y: Array, unknown: list[str], word: str
) -> Iterator[tuple[str, ...]]:
    """What the arguments of backward may be whose names tell nothing."""
    k, first = len(unknown), f"in {call.first}"
    loss = y.ndim == 0 or bool(call.label) or y.shape == call.shape[:1] != call.shape
    more, spare = len(life.outputs) > 1, bool(life.rest)
    derivative = bool(LIKE_DERIVATIVE.search(word)) and not LIKE_BACKWARD.search(word)
    if k == 0:
        yield ()
    elif k == 1:
        cached = [("cache",)] if spare or more else []
        local = (
            []
            if call.thing is not None and LIKE_BACKWARD.search(word) and not loss
            else [(first,), ("out",)]
        )
        held = [(f"held {p}",) for p in _like_input(call, life)] if loss else []
        yield from [*local, ("dY",), *cached] if derivative else [("dY",), *cached, *local, *held]
    else:
        yield from _several_roles(call, k, first, more, spare, len(life.outputs))


def _several_roles(
    call: Call, k: int, first: str, more: bool, spare: bool, outputs: int
) -> Iterator[tuple[str, ...]]:
    """Two arguments and more: upstreams, what forward returned, took, or gave."""
    up = tuple("dY" + str(n or "") for n in range(k))
    if k <= outputs:
        yield up
    if spare or more:
        yield (*up[: k - 1], "cache")
    others = [f"in {n}" for n, v in call.given.items() if isinstance(v, np.ndarray)]
    if k == 2:
        yield from [("dY", first), ("dY", "out"), (first, "dY")]
        if call.label:
            yield from [(first, f"in {call.label}"), ("out", f"in {call.label}")]
    if k == len(others):
        yield tuple(others)
    if k == len(others) + 1:
        yield ("dY", *others)


def _like_input(call: Call, life: Life) -> list[Any]:
    """What the object remembers in the shape of its input: its own probabilities."""
    shape = call.shape
    before = {path for path, _ in walk(call.thing)}
    found = [p for p, a in walk(life.thing) if np.shape(a) == shape and p not in before]
    return sorted(found, key=lambda p: not re.search(r"out|y|p|a$", str(p[-1]), re.I))[:3]


def _reduced(
    call: Call, y: Array, plan: dict[str, str], word: str, said: list[str]
) -> Iterator[tuple[dict[str, str], str, list[str]]]:
    """Without an upstream gradient: f', or a loss that is a sum or a mean of the output."""
    labelled = [f"{call.label} is taken for the label"] if call.label else []
    if any(source.startswith("dY") for source in plan.values()):
        yield plan, "", [*said, *labelled]
        return
    shape = call.shape
    if not y.ndim:
        yield plan, "", [*said, *labelled]
    elif y.shape == shape and not (call.label and call.thing is not None):
        yield plan, "derivative", ["read as f and f': the gradient is upstream x f'", *labelled]
    if y.ndim and (call.label or y.shape != shape):
        for how in ("sum", "mean", "mean of samples"):
            note = f"no upstream gradient is taken: the loss is the {how} of the output"
            yield plan, how, [note, *said, *labelled]


# --- the best reading ---------------------------------------------------------


def _best(pairs: list[tuple], readings: Callable, title: str) -> Own:
    """The first reading in which all is right; else the one of the simplest explanation."""
    best: tuple[tuple, Own] | None = None
    trouble: CannotCheck | None = None
    for f, b in pairs:
        if best is not None:
            break  # other methods are read only where the likeliest cannot be called
        try:
            for build in readings(f, b):
                try:
                    with quiet():
                        own = build()
                        score = _score(own)
                except CannotCheck as error:
                    trouble = trouble or error
                    continue
                if score[0] == 1:
                    return own
                if best is None or score > best[0]:
                    best = score, own
        except CannotCheck as error:
            trouble = trouble or error
    if best is None:
        raise trouble or CannotCheck(f"{title}: no way to call it was found")
    return best[1]


def _score(own: Own) -> tuple:
    """(share of right arrays, minus the strangeness of the factor): 1 is all right."""
    checked = check_case(own.case(), np.random.default_rng(0), seconds=0)
    results = list(forgive_epsilon(checked.results, []).values())
    right = [not r.wrong.any() for r in results]
    return sum(right) / len(right), -sum(_strangeness(r) for r in results if r.wrong.any())


def _strangeness(result: Any) -> float:
    """0 for the sign, small for 1/2 or 1/N, 10 for what no factor explains."""
    a, n = result.backprop, result.numeric
    if a.shape != n.shape or not np.isfinite(a).all() or not a.any() or not n.any():
        return 10.0
    c = float((a * n).sum() / (n * n).sum())
    fits = abs(a - c * n).max() < 1e-5 * abs(n).max()
    return abs(np.log(abs(c))) if fits and c else 10.0
