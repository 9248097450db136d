"""Make an object ready for its check: float64, parameters built, generic values, one trial call."""

import copy

import numpy as np

from gradcheck import leaves
from gradcheck.calls import Call, Run, is_real
from gradcheck.case import Array, Case, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.finder import Finder, Options, equal

__all__ = ["build"]

KINDS = {
    "positive": "inputs are taken from (0, 1), as for probabilities",
    "whole": "the input is whole numbers (indices): it has no gradient",
}


def build(call: Call, options: Options, title: str, kind: str) -> Case:
    """What there is to check in one reading of an interface; CannotCheck says why it is nothing."""
    notes = [KINDS[kind]] if kind in KINDS else []
    notes += _to_float64(call)
    try:
        copy.deepcopy(call.thing, dict(call.shared))
    except Exception:
        call.copies = False
        notes.append("the object cannot be copied: all calls share it")
    _build_parameters(call, notes)
    if not options.keep and call.thing is not None:
        _scatter(call, options)
    probe, before = _try(call)
    if call.reduction == "derivative":
        notes.append("read as f and f': the gradient is upstream x f'")
    elif call.reduction:
        notes.append(
            f"no upstream gradient is taken: the loss is the {call.reduction} of the output"
        )
    return Finder(call, options, title, probe, before, notes).case()


def _try(call: Call) -> tuple[Run, dict]:
    """One forward and backward pass, and what the object held between them."""
    probe = call.start()
    y = probe.forward()
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    wants_upstream = call.backward_args is None or call.upstreams or call.reduction
    if y.size > 1 and not wants_upstream:
        raise CannotCheck(
            "backward takes no upstream gradient, so that forward should return one number"
        )
    _refuse_hidden_float32(call, y)
    before = {path: np.array(v) for path, v in leaves.leaves(probe.thing)}
    dy = np.ones(np.shape(y))
    probe.backward(0.7 * dy if call.upstreams or call.reduction == "derivative" else dy)
    return probe, before


def _refuse_hidden_float32(call: Call, y: Array) -> None:
    """If the last digits of the input make no difference, but its first ones do."""
    real = [v for v in call.inputs if is_real(v)]

    def moved(step: float) -> bool:
        before = [v.copy() for v in real]
        for v in real:
            v += step * (1 + abs(v))
        try:
            return not equal(call.start().forward(), y)
        finally:
            for v, old in zip(real, before, strict=True):
                v[...] = old

    if real and not moved(1e-11) and not moved(-1e-11) and moved(1e-3):
        raise CannotCheck(
            "forward rounds its input to float32: differences need float64 (--float64)"
        )


def _to_float64(call: Call) -> list[str]:
    """float32 attributes become float64: differences need it, and the code is the same code."""
    done: dict[int, Array] = {}
    for path, v in list(leaves.leaves(call.thing)):
        if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.dtype != np.float64:
            done.setdefault(id(v), v.astype(np.float64))
            leaves.put(call.thing, path, done[id(v)])
    return ["float32 arrays of the object were converted to float64 for the check"] if done else []


def _build_parameters(call: Call, notes: list[str]) -> None:
    """Layers that build their parameters in the first forward pass have had one."""
    if call.thing is None:
        return
    run = call.start()
    names = {path for path, v in leaves.leaves(call.thing) if is_real(v)}
    run.forward()
    born = [
        p
        for p, v in leaves.leaves(run.thing)
        if is_real(v) and p not in names and leaves.looks_like_parameter(p)
    ]
    if any(
        leaves.kin(leaves.label(p).split(".")[-1], w)
        for p in born
        for w in ("W", "b", "gamma", "beta")
    ):
        for name, empty in vars(call.thing).items() if hasattr(call.thing, "__dict__") else ():
            if isinstance(empty, list | dict) and not empty and name not in {p[0] for p in born}:
                setattr(run.thing, name, type(empty)())  # what forward collects, not parameters
        call.thing = run.thing
        notes.extend(_to_float64(call))


def _scatter(call: Call, options: Options) -> None:
    """Generic values: gamma = 1, b = 0 would hide a forgotten gamma, and sit on kinks."""
    rng = np.random.default_rng(options.seed + 2)
    seen: set[int] = set()
    held = dict(leaves.leaves(call.thing))
    shapes: dict[leaves.Path, tuple[int, ...]] = dict.fromkeys(held, ())
    gradients = set(leaves.match(list(held), list(held.items()), set(), shapes).values())
    for path, v in held.items():
        if (
            is_real(v)
            and leaves.looks_like_parameter(path)
            and id(v) not in seen
            and v.flags.writeable
            and path not in gradients
        ):
            seen.add(id(v))
            v[...] = distinct_values(v.shape, rng, 0.7)
