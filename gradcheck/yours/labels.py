"""What forward is called with: labels are made up, inputs taken from where they make sense."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.inputs import Input
from gradcheck.yours.own import Options
from gradcheck.yours.signature import STRONG, arguments, bind_forward, is_code
from gradcheck.yours.walk import is_real, same, walk

__all__ = ["KINDS", "labellings", "domains", "may_be_label", "flat_below_zero"]

KINDS = {
    "positive": "inputs are taken from (0, 1), as for probabilities",
    "whole": "the input is whole numbers (indices): it has no gradient",
}


def labellings(
    thing: Any, f: Any, inputs: list[Input], options: Options
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(which argument is a label, the values of all): none, the one named so, the last."""
    function = getattr(thing, f) if isinstance(f, str) and not is_code(f) else f
    if is_code(function):
        yield "", _named_for_code(thing, function, inputs)
        return
    bound, missing = bind_forward(function, inputs)
    real = [n for n, v in bound.items() if is_real(v)]
    if missing:
        yield from _made_labels(function, bound, missing, real, options)
        return
    made = {n for n in real if any(i.made and i.value is bound[n] for i in inputs)}
    strong = [n for n in real if STRONG.fullmatch(n)] if len(real) > 1 else []
    guessed = [n for n in real if re.fullmatch(r"(y_?)?pred\w*|y_?hat|probs?|logits|scores?", n)]
    if len(real) == 2 and len(guessed) == 1:
        strong = strong or [n for n in real if n not in guessed]
    choices = strong[:1] or ["", *real[:0:-1], *real[:1]] if len(real) > 1 else [""]
    for label in choices:
        pred = next((bound[n] for n in real if n != label), None)
        values = [bound.get(label)]
        if label in made and pred is not None:
            values = list(_labels(pred, np.shape(bound[label]), options)) or values
        for value in values:
            yield label, bound | ({label: value} if label else {})


def _named_for_code(thing: Any, code: str, inputs: list[Input]) -> dict[str, Any]:
    """By the names that were given, else as the method in the code calls its arguments."""
    called = re.search(r"layer\.(\w+)\(", code)
    method = getattr(thing, called[1], None) if called else None
    spare = iter([*(p.name for p in arguments(method)), *"Xyz"])
    return {i.name or next(spare): i.value for i in inputs}


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


def domains(
    thing: Any, given: dict[str, Any], label: str, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same inputs in (0, 1), or as whole numbers, for what cannot take real ones."""
    yield "given", given
    rng = np.random.default_rng(seed)
    real = [k for k, v in given.items() if is_real(v) and k != label]
    if real:
        unit = {k: (distinct_values(given[k].shape, rng) + 1.25) / 2.5 for k in real}
        yield "positive", given | unit
        rows = min((len(v) for _, v in walk(thing) if is_real(v) and v.ndim == 2), default=3)
        yield "whole", given | {real[0]: rng.integers(rows, size=given[real[0]].shape)}


def may_be_label(label: str, given: dict[str, Any], y: Array) -> bool:
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
