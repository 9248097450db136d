"""What the arrays of an object are, by their effects: parameters, and the gradients of them.

A parameter is an array that moves the output. A gradient is an array that backward returns or
changes. Names decide only between arrays that effects cannot tell apart.
"""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, distinct_values
from gradcheck.core import EPS, CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.walk import Path, copied, get, groups, is_real, put, same, walk

__all__ = ["prepared", "refuse_float32", "built", "moving", "reset_methods", "scatter"]

RESET = re.compile(
    r"(zero|reset|clear|flush|init)_?(grads?|gradients?)|cleargrads|flush|reset|clear"
)


def prepared(thing: Any) -> Any:
    """A copy in float64 and in training mode; a learning rate of 1 makes an update a gradient."""
    thing = copied(thing)
    wide: dict[int, Array] = {}
    for path, v in list(walk(thing)):
        if isinstance(v, np.ndarray) and (v.dtype != np.float64 or not v.flags.writeable):
            wide.setdefault(id(v), v.astype(np.float64))
            put(thing, path, wide[id(v)])
        elif re.fullmatch(r"_?(lr|l_rate|learn(ing)?_?rate|eta)", str(path[-1])) and v:
            put(thing, path, 1.0)
    for flag in ("training", "is_training", "train_mode", "train", "is_train", "trainable"):
        if isinstance(getattr(thing, flag, None), bool):
            setattr(thing, flag, True)
    return thing


def built(call: Call) -> Call:
    """The call with what the first forward pass makes, if that moves the output.

    Such an array stays as it is when the input moves: what forward remembers does not.
    """
    if call.thing is None:
        return call
    first = Life(call)
    first.forward()
    known = {path for path, _ in walk(call.thing)}
    held = [(p, a) for p, a in walk(first.thing) if isinstance(a, np.ndarray)]
    old = [a for p, a in held if p in known]
    born = [p for p, a in held if p not in known and not any(np.shares_memory(a, b) for b in old)]
    if not born:
        return call
    given = {k: v + 0.1 if is_real(v) and v.ndim else v for k, v in call.given.items()}
    moved = Life(replace(call, given=given))
    try:
        moved.forward()
    except CannotCheck:
        return call
    after = dict(walk(moved.thing))
    born = [p for p in born if p in after and same(after[p], get(first.thing, p))]
    trial = replace(call, thing=prepared(first.thing))
    if not any(_moves(trial, p) for p in born):
        return call
    _emptied(trial.thing, call.thing)
    return trial


def _emptied(thing: Any, before: Any) -> None:
    """The lists that forward fills, as they were; the keys of its dictionaries stay."""
    for name, value in list(getattr(thing, "__dict__", {}).items()):
        for holder in [value, *(value.values() if isinstance(value, dict) else [])]:
            if isinstance(holder, list) and all(isinstance(v, np.ndarray) for v in holder):
                old = getattr(before, name, None)
                del holder[len(old) if isinstance(old, list) else 0 :]


def refuse_float32(call: Call, y: Array) -> None:
    """Rounding the input to float32 changes nothing, though a step of 1e-5 does by enough."""
    real = {k: v for k, v in call.given.items() if is_real(v)}
    signs = np.random.default_rng(0)

    def at(moved: dict[str, Array]) -> Array:
        return Life(replace(call, given=call.given | moved)).forward()

    far = {k: v + 1e-5 * (1 + abs(v)) * signs.choice([-1, 1], v.shape) for k, v in real.items()}
    there = at(far)
    large = abs(there - y) * 1e-3 > 10 * EPS * abs(y)
    rounded = {k: v.astype(np.float32).astype(np.float64) for k, v in far.items()}
    if real and np.mean(large) > 0.5 and same(at(rounded), there):
        raise CannotCheck(
            "forward rounds its input to float32: differences need float64 "
            "(in a file of your own, float32 is read as float64: does a package do it?)"
        )


def moving(call: Call) -> list[list[Path]]:
    """The arrays of the object that move the output, each with all the ways to it."""
    return [paths for paths in groups(call.thing) if _moves(call, paths[0])]


def _moves(call: Call, path: Path) -> bool:
    """Does any output depend on this array (or plain number)? A common shift may hide it once."""
    life = Life(call)
    life.forward()
    before, rng = get(call.thing, path), np.random.default_rng(0)
    for _ in range(2):
        moved = before + 0.1 * (1 + np.abs(before)) * rng.normal(size=np.shape(before))
        other = Life(call)
        if isinstance(before, np.ndarray):
            get(other.thing, path)[...] = moved
        else:
            put(other.thing, path, float(moved))
        try:
            other.forward()
        except CannotCheck:  # forward refuses the value that we made up
            return True
        if not all(map(same, life.outputs, other.outputs)):
            return True
    return False


def reset_methods(call: Call) -> tuple[str, ...]:
    """zero_grad and the like: methods that empty gradients and leave the output alone."""
    found = []
    for name in dir(type(call.thing)) if call.thing is not None else ():
        if RESET.fullmatch(name) and callable(getattr(call.thing, name)):
            life = Life(call)
            try:
                y = life.forward()
                getattr(life.thing, name)()
                if same(life.forward(), y):
                    found.append(name)
            except Exception:
                continue
    return tuple(found)


def scatter(call: Call, paths: list[Path], seed: int) -> None:
    """Generic values: gamma = 1 and b = 0 would hide a forgotten gamma, and sit on kinks.

    Where forward does not take them, as a variance below 0, all stay as built.
    """
    rng = np.random.default_rng(seed + 2)
    arrays = [get(call.thing, p) for p in paths]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a[...] = distinct_values(a.shape, rng, 0.7)
    try:
        if np.isfinite(Life(call).forward()).all():
            return
    except CannotCheck:
        pass
    for a, old in zip(arrays, before, strict=True):
        a[...] = old
