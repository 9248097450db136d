"""The ways in which an interface may be meant, the likeliest first.

Most interfaces can be read in one way only. Where roles have to be guessed (is y a label? is
g(x) a derivative, or does it take dY?) the readings are tried in order; the first under which all
is right is the verdict, since then it is right, and the report says which reading that was.
Where none is right, the one that explains the numbers most simply is reported.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, check_case, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import (
    STRONG,
    Autograd,
    Call,
    Life,
    arguments,
    bind_backward,
    bind_forward,
    is_code,
    module_scope,
    tensor_class,
)
from gradcheck.yours.load import Input, guarded, quiet, remember_generators
from gradcheck.yours.own import Options, Own
from gradcheck.yours.probe import built, prepared, refuse_float32, reset_methods
from gradcheck.yours.walk import copied, is_real, same, walk

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
KINDS = {
    "positive": "inputs are taken from (0, 1), as for probabilities",
    "whole": "the input is whole numbers (indices): it has no gradient",
}


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
        raise CannotCheck(_no_method(thing, "backward", inputs, forwards[0]))
    if (
        "__call__" in forwards and forwards[0] != "__call__"
    ):  # only where the first cannot be called
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
    return [n for n in names if callable(getattr(thing, n, None))]


def _methods(
    thing: Any, usual: tuple[str, ...], like: re.Pattern, given: str | None, what: str
) -> list[str]:
    """Methods by their usual names, else by what their names contain."""
    if given and is_code(given):
        return [given]
    if given:
        if not callable(getattr(thing, given, None)):
            have = ", ".join(_public(thing)) or "none"
            raise CannotCheck(f"{type(thing).__name__} has no method {given!r}; it has {have}")
        return [given]
    found = [n for n in usual if callable(getattr(thing, n, None))]
    found = [n for n in found if n != "__call__" or "__call__" in dir(type(thing))]
    found = found or [n for n in _public(thing) if like.search(n)]
    if not found and what == "forward":
        raise CannotCheck(_no_method(thing, what, []))
    return found


def _no_method(thing: Any, what: str, inputs: list[Input], forward: str = "") -> str:
    """What it has instead; an autograd is told how it can be checked."""
    said = ""
    if forward and inputs:
        try:
            Life(
                Call(thing, forward, lambda: None, bind_forward(getattr(thing, forward), inputs)[0])
            ).forward()
        except CannotCheck as error:
            said = str(error) if "forward returned" in str(error) else ""
    have = ", ".join(_public(thing)) or "none"
    code = f'--{what} NAME, or code: --{what} "layer.{"f(X)" if what == "forward" else "b(dY)"}"'
    return f"{type(thing).__name__} has no {what} method; it has {have} ({said or code})"


# --- readings -----------------------------------------------------------------

Builder = Callable[[], Own]


def _readings(
    thing: Any, f: Any, b: Any, inputs: list[Input], options: Options, title: str, word: str = ""
) -> Iterator[Builder]:
    """Every reading of one pair of functions, as something that builds it."""
    rows = [v.shape[0] for _, v in walk(thing) if is_real(v) and v.ndim == 2]
    done: set[str] = set()  # labels with which a reading could be built: no others are made up
    for label, values in _labellings(thing, f, inputs, options):
        for kind, given in _domains(values, label, min(rows, default=3), options.seed):
            call = Call(thing, f, b, given, label=label, scope=_scope(thing, f))
            if label in done and kind == "given":
                break
            try:
                call, y = _started(call)
            except CannotCheck as error:
                yield _raiser(error)
                continue
            if not _may_be_label(label, given, y):
                break
            notes = [KINDS[kind]] if kind in KINDS else []
            for plan, reduction, said in _plans(call, y, word or str(b)):
                own = replace(call, plan=plan, reduction=reduction)
                yield _builder(own, options, title, [*notes, *said], done)
            if kind != "given" or not (label and _flat_below_zero(call)):
                break  # the first values that forward takes


def _may_be_label(label: str, given: dict[str, Any], y: Array) -> bool:
    """Only a loss has one: a number, or one for every sample."""
    if not label or STRONG.fullmatch(label) or not y.ndim:
        return True
    other = next((v for k, v in given.items() if is_real(v) and k != label), y)
    return y.ndim < other.ndim and y.shape == other.shape[:1]


def _flat_below_zero(call: Call) -> bool:
    """A loss that clips its input: probabilities are meant."""
    X = call.given.get(call.first)
    if X is None or not (X < 0).any():
        return False
    clipped = replace(call, given=call.given | {call.first: np.maximum(X, 0)})
    return same(Life(call).forward(), Life(clipped).forward())


def _raiser(error: CannotCheck) -> Builder:
    def fail() -> Own:
        raise error

    return fail


def _builder(call: Call, options: Options, title: str, notes: list[str], done: set[str]) -> Builder:
    def build() -> Own:
        own_call = replace(call, thing=copied(call.thing), given=_copies(call.given))
        own = Own(own_call, options, title, notes=list(notes)).build()
        done.add(call.label) if call.label else None
        return own

    return build


def _copies(given: dict[str, Any]) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in given.items()}


def _scope(thing: Any, f: Any) -> dict[str, Any]:
    """The names that code may use: of its file, and of its inputs."""
    if thing is not None:
        return module_scope(thing)
    return dict(getattr(f, "__globals__", {}))


def _started(call: Call) -> tuple[Call, Array]:
    """With the parameters that the first call builds, and what one forward pass gives."""
    y = Life(call).forward()
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    call = built(call)
    refuse_float32(call, Life(call).forward())
    return replace(call, resets=reset_methods(call, [])), y


def _labellings(
    thing: Any, f: Any, inputs: list[Input], options: Options
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(which argument is a label, the values of all): none, the one named so, the last."""
    function = getattr(thing, f) if isinstance(f, str) and not is_code(f) else f
    if is_code(function):
        method = next((getattr(thing, n) for n in FORWARD if hasattr(thing, n)), None)
        names = (
            [p.name for p in arguments(method)]
            if f"{getattr(method, '__name__', '?')}(" in f
            else []
        )
        spare = iter([*names, *"Xyz"])
        yield "", {i.name or next(spare): i.value for i in inputs}
        return
    bound, missing = bind_forward(function, inputs)
    made = {i.name: i.made for i in inputs if i.name}
    made |= dict(
        zip(
            [n for n in bound if n not in made],
            [i.made for i in inputs if not i.name],
            strict=False,
        )
    )
    real = [n for n, v in bound.items() if is_real(v)]
    if missing:
        yield from _made_labels(function, bound, missing, real, options)
        return
    strong = [n for n in real if STRONG.fullmatch(n)] if len(real) > 1 else []
    choices = strong[:1] or ["", *real[:0:-1], *real[:1]] if len(real) > 1 else [""]
    for label in choices:
        pred = next((bound[n] for n in real if n != label), None)
        values = [bound.get(label)]
        if label and made.get(label) and pred is not None:
            values = list(_labels(pred, np.shape(bound[label]), options)) or values
        for value in values:
            yield label, bound | ({label: value} if label else {})


def _made_labels(
    function: Any, bound: dict[str, Any], missing: list[str], real: list[str], options: Options
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Labels that nobody gave are made up: one-hot rows, class numbers, ..."""
    likely = [n for n in missing if STRONG.fullmatch(n) or re.fullmatch(r"[yYtT]\w?", n)]
    if len(missing) > 1 or not (likely and real):
        names = [p.name for p in arguments(function) if p.default is p.empty]
        raise CannotCheck(
            f"forward takes {len(names)} arguments ({', '.join(names)}): one --input for each "
            f"(missing: {', '.join(missing)}; a number is --input {missing[0]}=2)"
        )
    name = missing[0]
    order = [p.name for p in arguments(function)]
    for value in _labels(bound[real[0]], None, options):
        given = bound | {name: value}
        yield name, {k: given[k] for k in order if k in given}


def _labels(pred: Array, shape: tuple[int, ...] | None, options: Options) -> Iterator[Array]:
    """One-hot rows, class numbers (N,), class numbers (N, 1); real targets at last."""
    rng = np.random.default_rng(options.seed + 1)
    axis = 0 if options.columns else -1
    classes = pred.shape[axis] if pred.ndim > 1 else 1
    rest = tuple(np.delete(pred.shape, axis)) if pred.ndim > 1 else pred.shape
    numbers = rng.integers(max(classes, 2), size=rest)
    onehot = numbers.astype(float)
    if classes > 1:
        onehot = np.moveaxis(np.eye(classes)[numbers], -1, axis)
    onehot = onehot.reshape(pred.shape)
    real = distinct_values(pred.shape, rng)
    kinds = [onehot, numbers, np.expand_dims(numbers, axis), real, 2 * onehot - 1]
    if shape is not None and shape not in {k.shape for k in kinds}:
        yield rng.integers(max(classes, 2), size=shape)
    yield from (k for k in kinds if shape is None or k.shape == shape)


def _domains(
    given: dict[str, Any], label: str, rows: int, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same inputs in (0, 1), or as whole numbers, for what cannot take real ones."""
    yield "given", given
    rng = np.random.default_rng(seed)
    real = [k for k, v in given.items() if is_real(v) and k != label]
    if real:
        yield (
            "positive",
            given | {k: (distinct_values(given[k].shape, rng) + 1.1) / 2.2 for k in real},
        )
        yield "whole", given | {real[0]: rng.integers(rows, size=given[real[0]].shape)}


# --- what backward wants ------------------------------------------------------


def _plans(call: Call, y: Array, word: str) -> Iterator[tuple[dict[str, str], str, list[str]]]:
    """(argument of backward -> source, how outputs are reduced to a loss, what to say of it)."""
    if call.backward is None or is_code(call.backward):
        yield {}, "", []
        return
    life = Life(call)
    life.forward()
    function = call.function("backward", call.thing)
    known, unknown = bind_backward(function, life.defaults | call.given)
    for roles in _roles(call, life, y, unknown, word):
        plan = known | dict(zip(unknown, roles, strict=True))
        said = [
            f"{name} of backward is taken for {_in_words(role)}"
            for name, role in zip(unknown, roles, strict=True)
            if role != "dY" and (len(unknown) > 1 or role != "cache")
        ]
        if call.label and call.label not in call.given:
            said.append(f"{call.label} is taken for the label")
        yield from _reduced(call, y, plan, word, said)
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
    loss = y.ndim == 0 or bool(call.label)
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
    checked = check_case(own.case(), np.random.default_rng(0), seconds=0.5)
    results = list(checked.results.values())
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
