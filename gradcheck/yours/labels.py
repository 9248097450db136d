"""What forward is called with: labels are made up, inputs taken from where they make sense."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.inputs import Input, Options, probabilities
from gradcheck.yours.signature import STRONG, arguments, bind_forward, is_code
from gradcheck.yours.walk import is_real, same, walk

__all__ = ["labellings", "domains", "may_be_label", "flat_below_zero"]

Given = dict[str, Any]  # the values of forward's arguments
PREDICTION = re.compile(r"(y_?)?pred\w*|y_?hat|probs?|logits|scores?")


def labellings(pair: Call, inputs: list[Input], options: Options) -> Iterator[tuple[str, Given]]:
    """(which argument is a label, the values of all): none, the one named so, the last."""
    if is_code(pair.forward):
        yield "", _named_for_code(pair, inputs)
        return
    function = pair.function("forward", pair.thing)
    bound, missing = bind_forward(function, inputs)
    real = [n for n, v in bound.items() if is_real(v)]
    names = [p.name for p in arguments(function) if p.default is p.empty]
    likely = [n for n in missing if STRONG.fullmatch(n) or re.fullmatch(r"[yYtT]\w?", n)]
    if len(missing) > 1 or (missing and not (likely and real)):
        raise CannotCheck(
            f"forward takes {len(names)} arguments ({', '.join(names)}): one --input for each "
            f"(missing: {', '.join(missing)}; a number is --input {missing[0]}=2)"
        )
    made = [n for n in real if any(i.made and i.value is bound[n] for i in inputs)]
    for label in missing or _candidates(real):
        pred = next((bound[n] for n in real if n != label), None)
        shape = None if label in missing else np.shape(bound.get(label, ()))
        values = [bound.get(label)]
        if pred is not None and (label in missing or label in made):
            values = list(_labels(pred, shape, options)) or values
        for value in values:
            given = bound | ({label: value} if label else {})
            yield label, {n: given[n] for n in [*names, *given] if n in given}


def _candidates(real: list[str]) -> list[str]:
    """The argument with a name that only labels have; else none, the last, ..., the first."""
    if len(real) < 2:
        return [""]
    strong = [n for n in real if STRONG.fullmatch(n)]
    others = [n for n in real if not PREDICTION.fullmatch(n)]
    if len(real) == 2 and len(others) == 1:
        strong = strong or others
    return strong[:1] or ["", *real[::-1]]


def _named_for_code(pair: Call, inputs: list[Input]) -> Given:
    """By the names that were given, else as the method in the code calls its arguments."""
    called = re.search(r"layer\.(\w+)\(", pair.forward)
    method = getattr(pair.thing, called[1], None) if called else None
    spare = iter([*(p.name for p in arguments(method)), *"Xyz"])
    return {i.name or next(spare): i.value for i in inputs}


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


def domains(thing: Any, given: Given, label: str, seed: int) -> Iterator[tuple[list[str], Given]]:
    """The inputs as they are, in (0, 1), or as whole numbers, for what cannot take real ones."""
    yield [], given
    rng = np.random.default_rng(seed)
    real = [k for k, v in given.items() if is_real(v) and k != label]
    if real:
        unit = {k: probabilities(given[k].shape, rng) for k in real}
        yield ["inputs are taken from (0, 1), as for probabilities"], given | unit
        rows = min((len(v) for _, v in walk(thing) if is_real(v) and v.ndim == 2), default=3)
        whole = {real[0]: rng.integers(rows, size=given[real[0]].shape)}
        yield ["the input is whole numbers (indices): it has no gradient"], given | whole


def may_be_label(label: str, given: Given, y: Array) -> bool:
    """Only a loss has one: a number, or one for every sample or entry."""
    if not label or STRONG.fullmatch(label) or not y.ndim:
        return True
    other = next((v for k, v in given.items() if is_real(v) and k != label), y)
    return y.shape in (other.shape[:1], other.shape)


def flat_below_zero(call: Call) -> bool:
    """A loss that clips its input: probabilities are meant."""
    X = call.given.get(call.first)
    if X is None or not (X < 0).any():
        return False
    clipped = replace(call, given=call.given | {call.first: np.maximum(X, 0)})
    return same(Life(call).forward(), Life(clipped).forward())
