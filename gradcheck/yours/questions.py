"""What has to be guessed of an interface: questions, each with its answers, the likeliest first.

Each takes a call as far as it is known and yields it with one thing more: the label, its values,
where the inputs lie, the flags of forward, the arguments of backward, the loss.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from gradcheck.case import Array, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.inputs import probabilities
from gradcheck.yours.probe import built, refuse_float32, reset_methods
from gradcheck.yours.signature import STRONG, arguments, bind_backward, bind_forward, is_code
from gradcheck.yours.walk import is_real, same, walk

__all__ = ["Question", "QUESTIONS", "LAST_RESORT", "LIKE_BACKWARD", "LIKE_DERIVATIVE"]

Question = Callable[[Call], Iterator[Call]]
PREDICTION = re.compile(r"(y_?)?pred\w*|y_?hat|probs?|logits|scores?")
LIKE_BACKWARD = re.compile(r"back|bprop|bwd", re.I)
LIKE_DERIVATIVE = re.compile(r"grad|deriv|prime|diff|^d_?[a-z]|_d$|^df", re.I)


# --- what forward is called with ------------------------------------------------


def label(call: Call) -> Iterator[Call]:
    """Which argument of forward is one: the one whose name says so; else none, or any."""
    if is_code(call.forward):
        yield replace(call, given=_named_for_code(call))
        return
    function = call.function("forward", call.thing)
    given, missing = bind_forward(function, call.inputs)
    real = [n for n, v in given.items() if is_real(v)]
    names = [p.name for p in arguments(function) if p.default is p.empty]
    likely = [n for n in missing if STRONG.fullmatch(n) or re.fullmatch(r"[yYtT]\w?", n)]
    if len(missing) > 1 or (missing and not (likely and real)):
        raise CannotCheck(
            f"forward takes {len(names)} arguments ({', '.join(names)}): one --input for each "
            f"(missing: {', '.join(missing)}; a number is --input {missing[0]}=2)"
        )
    for one in missing or _candidates(real):
        order = [n for n in [*names, *given] if n in given or n == one]
        yield replace(call, given={n: given.get(n) for n in order}, label=one)


def _candidates(real: list[str]) -> list[str]:
    """The argument with a name that only labels have; else none, the last, ..., the first."""
    if len(real) < 2:
        return [""]
    strong = [n for n in real if STRONG.fullmatch(n)]
    others = [n for n in real if not PREDICTION.fullmatch(n)]
    if len(real) == 2 and len(others) == 1:
        strong = strong or others
    return strong[:1] or ["", *real[::-1]]


def _named_for_code(call: Call) -> dict:
    """By the names that were given, else as the method in the code calls its arguments."""
    called = re.search(r"layer\.(\w+)\(", call.forward)
    method = getattr(call.thing, called[1], None) if called else None
    spare = iter([*(p.name for p in arguments(method)), *"Xyz"])
    return {i.name or next(spare): i.value for i in call.inputs}


def label_values(call: Call) -> Iterator[Call]:
    """The label that was given; of one that we make up one-hot, class numbers, (N, 1), real."""
    value = call.given.get(call.label)
    made = value is None or any(i.made and i.value is value for i in call.inputs)
    pred = next((v for n, v in call.given.items() if is_real(v) and n != call.label), None)
    if not call.label or not made or pred is None:
        yield call
        return
    for kind in _kinds_of_label(pred, call):
        if value is None or kind.shape == value.shape:
            yield replace(call, given=call.given | {call.label: kind})


def _kinds_of_label(pred: Array, call: Call) -> list[Array]:
    rng = np.random.default_rng(call.options.seed + 1)
    axis = 0 if call.options.columns else -1
    classes = pred.shape[axis] if pred.ndim > 1 else 1
    rest = tuple(np.delete(pred.shape, axis)) if pred.ndim > 1 else pred.shape
    numbers = rng.integers(max(classes, 2), size=rest)
    onehot = numbers.astype(float)
    if classes > 1:
        onehot = np.moveaxis(np.eye(classes)[numbers], -1, axis)
    onehot = onehot.reshape(pred.shape)
    real = distinct_values(pred.shape, rng)
    as_given = rng.integers(max(classes, 2), size=np.shape(call.given[call.label]))
    return [onehot, numbers, np.expand_dims(numbers, axis), real, 2 * onehot - 1, as_given]


def domain(call: Call) -> Iterator[Call]:
    """The inputs as they are, in (0, 1), or as whole numbers: the first that forward takes."""
    troubles = []
    for there in _domains(call):
        try:
            y = _finite(Life(there).forward())
        except CannotCheck as error:
            troubles.append(error)
        else:
            yield from _started(there, y)
            return
    raise troubles[0]


def _domains(call: Call) -> Iterator[Call]:
    rng = np.random.default_rng(call.options.seed)
    real = [k for k, v in call.given.items() if is_real(v) and k != call.label]
    if not (call.label and _clips_below_zero(call)):
        yield call
    if real:
        unit = {k: probabilities(call.given[k].shape, rng) for k in real}
        yield call.reading(unit, "inputs are taken from (0, 1), as for probabilities")
        rows = min((len(v) for _, v in walk(call.thing) if is_real(v) and v.ndim == 2), default=3)
        whole = {real[0]: rng.integers(rows, size=call.given[real[0]].shape)}
        yield call.reading(whole, "the input is whole numbers (indices): it has no gradient")


def _clips_below_zero(call: Call) -> bool:
    """A loss that does so means probabilities."""
    X = call.given.get(call.first)
    if X is None or not (X < 0).any():
        return False
    clipped = call.reading({call.first: np.maximum(X, 0)}, "")
    try:
        return same(Life(call).forward(), Life(clipped).forward())
    except CannotCheck:
        return False


def _finite(y: Array) -> Array:
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    return y


def _started(call: Call, y: Array) -> list[Call]:
    """After one forward pass: its output, and what it builds. Only a loss has a label."""
    call = built(call)
    refuse_float32(call, Life(call).forward())
    other = next((v for k, v in call.given.items() if is_real(v) and k != call.label), y)
    a_loss = not y.ndim or y.shape in (other.shape[:1], other.shape)
    if call.label and not STRONG.fullmatch(call.label) and not a_loss:
        return []
    return [replace(call, resets=reset_methods(call), y=y)]


def flags(call: Call) -> Iterator[Call]:
    """As called; then with all that is False by default: without save_cache nothing is kept."""
    yield call
    ps = [] if is_code(call.forward) else arguments(call.function("forward", call.thing))
    off = [p.name for p in ps if p.default is False and p.name not in call.given]
    if off:
        said = f"forward is called with {', '.join(off)} = True"
        yield call.reading(dict.fromkeys(off, True), said)


# --- what backward is called with -----------------------------------------------


def plan(call: Call) -> Iterator[Call]:
    """Which argument of backward gets what."""
    if call.backward is None or is_code(call.backward):
        yield call
        return
    life = Life(call)
    life.forward()
    function = call.function("backward", call.thing)
    known, unknown = bind_backward(function, life.defaults | call.given, bool(life.rest))
    for roles in _roles(call, life, len(unknown)):
        guesses = dict(zip(unknown, roles, strict=True))
        said = [
            f"{name} of backward is taken for {_in_words(role)}"
            for name, role in guesses.items()
            if role != "dY" and (len(unknown) > 1 or role != "cache")
        ]
        yield replace(call, plan=known | guesses, said=[*call.said, *said])
    inputs = [n for n, source in known.items() if source.startswith("in ")]
    required = {p.name for p in arguments(function) if p.default is p.empty}
    if not required.issuperset(inputs):
        yield replace(call, plan={n: source for n, source in known.items() if n in required})
    if not unknown and len(inputs) > 1 and inputs[-1] != call.label and call.y.ndim:
        said = [*call.said, f"{inputs[-1]} of backward is taken for dY"]
        yield replace(call, plan=known | {inputs[-1]: "dY"}, said=said)


def _in_words(role: str) -> str:
    names = {"out": "the output", "cache": "what forward returned besides the output"}
    if role.startswith("held "):
        return "what the object holds in " + role[5:]
    return names.get(role, f"the {role.removeprefix('in ')} of forward")


def _roles(call: Call, life: Life, k: int) -> Iterator[tuple[str, ...]]:
    """What the k arguments of backward may be whose names tell nothing, the likeliest first."""
    if k == 1:
        yield from _single_role(call, life)
        return
    X, target = f"in {call.first}", f"in {call.label}"
    above = tuple("dY" + str(n or "") for n in range(k))
    arrays = tuple(f"in {n}" for n, v in call.given.items() if isinstance(v, np.ndarray))
    tried = [
        above if k <= len(life.outputs) else (),
        (*above[:-1], "cache") if life.returned_more else (),
        *[("dY", X), ("dY", "out"), (X, "dY")],
        *[(X, target), ("out", target)][: 2 * bool(call.label)],
        arrays,
        ("dY", *arrays),
    ]
    yield from dict.fromkeys(roles for roles in tried if len(roles) == k)


def _single_role(call: Call, life: Life) -> Iterator[tuple[str]]:
    """dY or the cache, from above; the input or the output of f'(x); what a loss remembers."""
    y = call.y
    loss = not y.ndim or bool(call.label) or y.shape == call.shape[:1] != call.shape
    from_above = ["dY", "cache"] if life.returned_more else ["dY"]
    local = [f"in {call.first}", "out"]
    a_backward = LIKE_BACKWARD.search(call.word)
    if LIKE_DERIVATIVE.search(call.word) and not a_backward:
        likely = [*local, *from_above]
    else:
        a_method = call.thing is not None and a_backward and not loss
        likely = from_above if a_method else [*from_above, *local]
    yield from [(role,) for role in likely]
    if loss:
        yield from [(f"held {path}",) for path in _like_input(call, life)]


def _like_input(call: Call, life: Life) -> list:
    """What a loss remembers in the shape of its input: its own probabilities."""
    before = {path for path, _ in walk(call.thing)}
    alike = [p for p, a in walk(life.thing) if np.shape(a) == call.shape and p not in before]
    return sorted(alike, key=lambda p: not re.search(r"out|y|p|a$", str(p[-1]), re.I))[:3]


def reduction(call: Call) -> Iterator[Call]:
    """Without an upstream gradient: f', or a loss that is a sum or a mean of the output."""
    labelled = [f"{call.label} is taken for the label"] if call.label else []
    if not call.y.ndim or call.upstreams or call.backward is None or is_code(call.backward):
        yield replace(call, said=[*call.said, *labelled])
        return
    alike = call.y.shape == call.shape
    if alike and not (call.label and call.thing is not None):
        said = "read as f and f': the gradient is upstream x f'"
        yield replace(call, reduction="derivative", said=[said, *call.said, *labelled])
    for how in ("sum", "mean", "mean of samples") if call.label or not alike else ():
        said = f"no upstream gradient is taken: the loss is the {how} of the output"
        yield replace(call, reduction=how, said=[said, *call.said, *labelled])


QUESTIONS: tuple[Question, ...] = (
    label, label_values, domain, flags, plan, reduction
)  # fmt: skip
LAST_RESORT = (label_values, flags)
