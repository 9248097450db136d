"""Bring your own layer: from an object, or a pair of functions, to a case that can be judged.

Several readings of an interface may be possible (are the labels one-hot? does the loss want its own
output back?). They are tried in order; the first under which everything is right is the verdict,
for then it is right; otherwise the first that could be called at all is reported. Other methods
(a derivative beside a backward) are read only if the likeliest ones cannot be called.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from gradcheck import leaves
from gradcheck.calls import Call, copied, is_real
from gradcheck.case import Array, Case, check_case, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.finder import Options
from gradcheck.load import guarded, quiet
from gradcheck.prepare import build as build_case
from gradcheck.signature import (
    BACKWARD,
    DERIVATIVE,
    FORWARD,
    Argument,
    backward_roles,
    forward_roles,
    method,
    parameters,
)

__all__ = ["Options", "layer_case", "function_case"]


def layer_case(layer: Any, inputs: list[Any], options: Options, name: str = "") -> Case:
    """A case from an object that has something like forward and backward."""
    if options.setup:
        _set_up(layer, options.setup)
    forward = method(layer, FORWARD, options.forward)
    backward = method(layer, BACKWARD, options.backward)
    derivative = None if options.backward else method(layer, DERIVATIVE)
    if forward is None or (backward is None and derivative is None and forward != "loss"):
        have = ", ".join(
            n for n in dir(layer) if callable(getattr(layer, n)) and not n.startswith("__")
        )
        lack = "forward" if forward is None else "backward"
        raise CannotCheck(
            f"{type(layer).__name__} has no {lack} method; it has {have or 'none'} (--{lack} NAME)"
        )
    _refuse_nan(inputs)
    layer = copied(layer)
    _training_mode(layer)
    readings = []
    for back in dict.fromkeys(n for n in (backward, derivative) if n) or [None]:
        readings.append(
            (forward, back, back == derivative and back not in ("backward", options.backward))
        )
    if forward != "__call__" and "__call__" in dir(layer) and not options.forward:
        readings += [("__call__", back, derivative) for _, back, derivative in readings]
    wanted = name or type(layer).__name__
    return _best(
        _readings(layer, readings, inputs, options, wanted),
        f"{wanted}.{forward} and {backward or derivative}",
    )


def function_case(
    forward: Callable,
    backward: Callable | None,
    inputs: list[Any],
    options: Options,
    name: str = "",
) -> Case:
    """A case from two functions, or from one that returns (loss, gradients)."""
    _refuse_nan(inputs)
    names = [getattr(f, "__name__", "function") if f else None for f in (forward, backward)]
    derivative = bool(backward) and any(
        w in (names[1] or "").lower() for w in ("prime", "deriv", "grad", "d_")
    )
    reading = (names[0], names[1], derivative)
    return _best(
        _readings(None, [reading], inputs, options, name or str(names[0]), (forward, backward)),
        str(names[0]),
    )


def _refuse_nan(inputs: list[Any]) -> None:
    if not all(np.isfinite(v).all() for v in inputs if is_real(v)):
        raise CannotCheck("an input is not finite: it holds nan or inf")


def _set_up(layer: Any, code: str) -> None:
    scope = {**vars(inspect.getmodule(type(layer)) or np), "np": np, "layer": layer}
    with guarded(f"--setup {code!r}"):
        exec(code, scope)


def _training_mode(layer: Any) -> None:
    """Training flags on; a learning rate of 1: an update inside backward then is the gradient."""
    for path, v in list(leaves.leaves(layer)):
        if isinstance(v, float) and re.fullmatch(
            r"_?(lr|l_rate|learn(ing)?_?rate|eta)", str(path[-1])
        ):
            leaves.put(layer, path, 1.0)
    for flag in ("training", "is_training", "train_mode", "train", "is_train", "trainable"):
        if isinstance(getattr(layer, flag, None), bool):
            setattr(layer, flag, True)


# --- readings -----------------------------------------------------------------


def _readings(
    layer: Any,
    names: list,
    inputs: list[Any],
    options: Options,
    title: str,
    functions: tuple = (None, None),
) -> Iterator[tuple[tuple, str, Callable[[], Case]]]:
    """Each way in which this interface may be meant: methods, inputs, case; likeliest first."""
    for forward, backward, derivative in names:
        f = getattr(layer, forward) if layer is not None else functions[0]
        b = (getattr(layer, backward) if layer is not None else functions[1]) if backward else None
        roles = forward_roles(f, len(inputs))
        kinds = (
            ("positive", "given", "whole")
            if _wants_probabilities(f, layer, roles)
            else ("given", "positive", "whole")
        )
        for kind, labels in product(kinds, _labellings(roles, inputs, options)):
            made, args, label, labelled = labels
            values = _inputs_as(kind, made, layer, options)
            if values is None:
                continue
            plans, alone = _plans(b, args, labelled, derivative)
            for plan in plans:
                for how in _reductions(plan, b is None, alone and plan == plans[0]):
                    call = Call(
                        layer, (forward, backward), (f, b), args, plan, values, label, how,
                        list(options.generators),
                    )  # fmt: skip
                    yield (forward, backward), kind, partial(_on_copies, call, options, title, kind)


def _plans(
    b: Callable | None, args: list[Argument], labelled: bool, derivative: bool
) -> tuple[list[list[Argument]], bool]:
    """What backward may want, and whether the first of it is the output of a derivative alone."""
    plans = backward_roles(b, args, labelled) if b is not None else [[]]
    if b is None or not derivative or len(parameters(b)) != 1:
        return plans, False
    own = [Argument(parameters(b)[0].name, "prediction")]
    wants_input = "input" in {a.role for plan in plans for a in plan}
    return [own] if wants_input else [own, *plans], True


def _on_copies(call: Call, options: Options, title: str, kind: str) -> Case:
    """The case of one reading; what was handed in stays as it is."""
    own = replace(
        call,
        thing=copied(call.thing),
        inputs=[v.copy() if isinstance(v, np.ndarray) else v for v in call.inputs],
    )
    return build_case(own, options, title, kind)


def _reductions(plan: list[Argument], fused: bool, derivative: bool) -> list[str]:
    if derivative:
        return ["derivative"]
    if fused or not any(a.role == "upstream" for a in plan):
        return ["", "sum", "mean", "mean of samples"]
    return [""]


def _wants_probabilities(forward: Callable, layer: Any, roles: list[Argument]) -> bool:
    """A loss whose source takes a log, or clips, and computes no softmax or sigmoid before that."""
    if not any("label" in a.role for a in roles):
        return False
    try:
        source = inspect.getsource(type(layer) if layer is not None else forward)
    except (OSError, TypeError):
        return False
    return bool(re.search(r"\blog\(|\bclip\(", source)) and not re.search(
        r"exp\(|softmax|sigmoid", source, re.I
    )


def _inputs_as(kind: str, inputs: list[Any], layer: Any, options: Options) -> list[Any] | None:
    """The same inputs in (0, 1), or as whole numbers, for what cannot take real ones."""
    rng = np.random.default_rng(options.seed)
    if kind == "given":
        return inputs
    if not is_real(inputs[0]):
        return None
    if kind == "positive":
        return [(distinct_values(v.shape, rng) + 1.1) / 2.2 if is_real(v) else v for v in inputs]
    rows = [v.shape[0] for _, v in leaves.leaves(layer) if is_real(v) and v.ndim == 2]
    return [rng.integers(min(rows, default=3), size=inputs[0].shape), *inputs[1:]]


def _labellings(roles: list[Argument], inputs: list[Any], options: Options) -> Iterator[tuple]:
    """(inputs, roles, made label, is there a label) for every kind of label that may be wanted."""
    place = next((k for k, a in enumerate(roles) if a.role in ("label", "made_label")), None)
    maybe = next((k for k, a in enumerate(roles) if a.role == "maybe_label"), None)
    if options.label_input and place is None:
        given = [k for k, a in enumerate(roles) if a.role in ("input", "maybe_label")]
        place = given[-1] if len(given) > 1 else None
    plain = [a._replace(role="input") if a.role == "maybe_label" else a for a in roles]
    pred = next(
        (
            inputs[a.place]
            for k, a in enumerate(roles)
            if a.role in ("input", "maybe_label") and k != place and is_real(inputs[a.place])
        ),
        None,
    )
    if (place is None and maybe is None) or pred is None:
        yield inputs, plain, None, False
        return
    if place is None:
        yield inputs, plain, None, False  # y may be an ordinary second input
    at = next(k for k in (place, maybe) if k is not None)
    args = [
        a._replace(role="label") if k == at and a.role != "made_label" else a
        for k, a in enumerate(plain)
    ]
    if roles[at].role == "made_label":
        for label in _labels(pred, None, options):
            yield inputs, args, label, True
        return
    slot = roles[at].place
    if not is_real(inputs[slot]):
        yield inputs, args, inputs[slot], True
        return
    for label in _labels(pred, inputs[slot].shape, options):
        yield [label if k == slot else v for k, v in enumerate(inputs)], args, label, True


def _labels(pred: Array, shape: tuple[int, ...] | None, options: Options) -> Iterator[Array]:
    """One-hot rows, class numbers (N,), class numbers (N, 1); real targets at last."""
    rng = np.random.default_rng(options.seed + 1)
    axis = 0 if options.columns else -1
    classes = pred.shape[axis] if pred.ndim > 1 else 1
    rest = tuple(np.delete(pred.shape, axis)) if pred.ndim > 1 else pred.shape
    numbers = rng.integers(max(classes, 2), size=rest)
    onehot = (
        np.moveaxis(np.eye(max(classes, 2))[numbers], -1, axis)
        if classes > 1
        else numbers.astype(float)
    )
    onehot = onehot.reshape(pred.shape)
    kinds = [
        onehot,
        numbers,
        np.expand_dims(numbers, axis),
        distinct_values(pred.shape, rng),
        2 * onehot - 1,
    ]
    if shape is not None and shape not in {k.shape for k in kinds}:
        yield rng.integers(max(classes, 2), size=shape)
        return
    yield from (k for k in kinds if shape is None or k.shape == shape)


def _best(readings: Iterator[tuple[tuple, str, Callable[[], Case]]], what: str) -> Case:
    """The first reading in which all is right; else the first that can be called.

    Other inputs are for what cannot take real ones: a ReLU without a mask is right in (0, 1).
    """
    first: Case | None = None
    most, way, usual = -1, ((), ""), ""
    trouble: CannotCheck | None = None
    for methods, kind, build in readings:
        if first is not None and (methods, kind) != way:
            continue
        usual = usual or kind
        if kind == "positive" and usual == "given" and "nan" not in str(trouble):
            continue
        if kind == "whole" and not re.search(r"\bind(ex|ic)|integer|slice", str(trouble)):
            continue
        try:
            with quiet():
                case = build()
                checked = check_case(case, np.random.default_rng(0), seconds=1.0)
        except CannotCheck as error:
            trouble = trouble or error
            continue
        right = sum(not r.wrong.any() for r in checked.results.values())
        if right == len(checked.results):
            return case
        if right > most:
            first, most, way = case, right, (methods, kind)
    if first is None:
        raise trouble or CannotCheck(f"{what}: no way to call it was found")
    return first
