"""What the arrays of an object are, by their effects: parameters, and the gradients of them.

A parameter is an array that moves the output. A gradient is an array that backward returns or
changes. Names decide only between arrays that effects cannot tell apart.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.case import Array, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.walk import (
    Path,
    copied,
    get,
    groups,
    is_real,
    label,
    likeness,
    put,
    same,
    walk,
)

__all__ = [
    "Sources",
    "prepared",
    "refuse_float32",
    "built",
    "moving",
    "reset_methods",
    "scatter",
    "parts",
    "find_gradients",
]

Sources = dict[str, list[Path]]  # array -> where its gradients are, to be added up
RESET = re.compile(
    r"(zero|reset|clear|flush|init)_?(grads?|gradients?)|cleargrads|flush|reset|clear"
)


# --- the object before its first check ----------------------------------------


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
    born = [p for p, a in walk(first.thing) if p not in known and isinstance(a, np.ndarray)]
    if not born:
        return call
    moved = Life(replace(call, given={k: _moved(v) for k, v in call.given.items()}))
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


def _moved(value: Any) -> Any:
    return value + 0.1 if is_real(value) and value.ndim else value


def _emptied(thing: Any, before: Any) -> None:
    """The lists that forward fills, as they were; the keys of its dictionaries stay."""
    for name, value in list(getattr(thing, "__dict__", {}).items()):
        for holder in [value, *(value.values() if isinstance(value, dict) else [])]:
            if isinstance(holder, list) and all(isinstance(v, np.ndarray) for v in holder):
                old = getattr(before, name, None)
                del holder[len(old) if isinstance(old, list) else 0 :]


def refuse_float32(call: Call, y: Array) -> None:
    """The last digits of the input move nothing, though its first ones do."""
    real = [v for v in call.given.values() if is_real(v)]
    rng = np.random.default_rng(0)

    def share_moved(step: float) -> float:
        before = [v.copy() for v in real]
        for v in real:
            v += step * (1 + abs(v)) * rng.choice([-1, 1], v.shape)
        try:
            return float(np.mean(Life(call).forward() != y))
        finally:
            for v, old in zip(real, before, strict=True):
                v[...] = old

    if real and max(share_moved(1e-11) for _ in range(3)) < share_moved(1e-5) / 2:
        raise CannotCheck(
            "forward rounds its input to float32: differences need float64 "
            "(in a file of your own, float32 is read as float64: does a package do it?)"
        )


# --- parameters ---------------------------------------------------------------


def moving(call: Call) -> list[list[Path]]:
    """The arrays of the object that move the output, each with all the ways to it."""
    return [paths for paths in groups(call.thing) if _moves(call, paths[0])]


def _moves(call: Call, path: Path) -> bool:
    """Does any output depend on this array (or plain number)?"""
    life = Life(call)
    life.forward()
    before = get(call.thing, path)
    nudge = np.random.default_rng(0).choice([-1, 1], np.shape(before)) * 0.1 * (1 + abs(before))
    put(call.thing, path, float(before + nudge)) if isinstance(before, float) else None
    old = np.array(before)
    if isinstance(before, np.ndarray):
        before += nudge
    try:
        other = Life(call)
        other.forward()
        return not all(map(same, life.outputs, other.outputs))
    except CannotCheck:  # forward refuses the value that we made up
        return True
    finally:
        if isinstance(before, np.ndarray):
            before[...] = old
        else:
            put(call.thing, path, before)


def reset_methods(call: Call, params: list[Path]) -> tuple[str, ...]:
    """zero_grad and the like: methods that empty gradients and leave the parameters alone."""
    found = []
    for name in dir(type(call.thing)) if call.thing is not None else ():
        if RESET.fullmatch(name) and callable(getattr(call.thing, name)):
            life = Life(call)
            try:
                y = life.forward()
                getattr(life.thing, name)()
                kept = all(same(get(life.thing, p), get(call.thing, p)) for p in params)
                if kept and same(life.forward(), y):
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


# --- gradients ----------------------------------------------------------------


def find_gradients(
    call: Call, life: Life, before: dict[Path, Any], wanted: dict[str, list[Path]]
) -> Sources:
    """For each wanted array (an input: no paths) where backward leaves its gradient.

    life has run forward and backward; before is what its object held between the two.
    """
    thing = call.thing
    own = {path for paths in wanted.values() for path in paths}
    returned = dict(parts(life.returned))
    names = _names_returned(call, life)
    held = {p: a for p, a in walk(life.thing) if isinstance(a, np.ndarray) and p not in own}
    changed = {p for p, a in held.items() if p not in before or not same(before[p], a)}
    shapes = {name: _shape(call, name, paths) for name, paths in wanted.items()}
    found: Sources = {}
    pairs = []
    for order, (name, paths) in enumerate(wanted.items()):
        for path, grad in returned.items():
            score = _alike(name, paths, names.get(path, path), thing)
            pairs.append((score, np.shape(grad) == shapes[name], 1, -order, name, path))
        for path, grad in held.items():
            score = max((_beside(p, path, thing) for p in paths), default=0)
            score = (
                score if paths else likeness(name, path) or _input_likeness(path, path in changed)
            )
            fits = np.shape(grad) == shapes[name]
            pairs.append((score, fits, path in changed, -order, name, path))
    taken: set[Path] = set()
    for score, fits, now, _, name, path in sorted(pairs, key=lambda p: p[:4], reverse=True):
        if score and (now or fits) and name not in found and path not in taken:
            found[name] = [path]
            taken.add(path)
    for name, paths in wanted.items():  # one memory under several names: gradients add up
        if len(paths) > 1 and (tied := _tied(paths, life, thing, changed)):
            found[name] = tied
    _by_place(found, wanted, shapes, returned)
    return found


def _shape(call: Call, name: str, paths: list[Path]) -> tuple[int, ...]:
    value: Any = get(call.thing, paths[0]) if paths else call.given.get(name)
    return np.shape(value)


def parts(returned: Any, path: Path = ("returned",)) -> list[tuple[Path, Any]]:
    """The arrays and numbers in what backward returned."""
    if isinstance(returned, dict):
        return [p for k, v in returned.items() for p in parts(v, (*path, k))]
    if isinstance(returned, (tuple, list)):
        return [p for k, v in enumerate(returned) for p in parts(v, (*path, k))]
    number = isinstance(returned, (np.ndarray, float, np.number))
    return [(path, returned)] if number else []


def _names_returned(call: Call, life: Life) -> dict[Path, Path]:
    """return dx, self.dW: the names of what is returned, from the source."""
    how = call.function("forward" if call.backward is None else "backward", call.thing)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(how)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    found: dict[Path, Path] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, (ast.Tuple, ast.List)):
            for k, element in enumerate(node.value.elts):
                word = getattr(element, "id", getattr(element, "attr", None))
                if word:
                    found["returned", k] = "returned", word
    several = isinstance(life.returned, (tuple, list))
    return found if several and len(found) == len(life.returned) else {}


def _alike(name: str, paths: list[Path], path: Path, thing: Any) -> int:
    """By the names on the way into what backward returned."""
    if not any(isinstance(key, str) for key in path[1:]):
        return 0
    names = [name, *(str(key) for p in paths for key in p[-1:] if isinstance(key, str))]
    return max(likeness(n, path) for n in names)


def _beside(param: Path, path: Path, thing: Any) -> int:
    """By name, and only inside of the same object; nested dictionaries: the most common keys."""
    if _owner(param, thing) != _owner(path, thing):
        return 0
    score = likeness(label(thing, param), path) or likeness(str(param[-1]), path)
    return 10 * score + len(set(param[:-1]) & set(path[:-1])) if score else 0


def _owner(path: Path, thing: Any) -> Path:
    """The way to the object that the array belongs to, without dictionaries and lists."""
    for k in range(len(path) - 1, 0, -1):
        try:
            if not isinstance(get(thing, path[:k]), (dict, list, tuple)):
                return path[:k]
        except (AttributeError, KeyError, IndexError):
            continue
    return ()


def _input_likeness(path: Path, changed: bool) -> int:
    """self.dinputs, self.dX: an attribute of the object itself."""
    return likeness("X", path) if changed and len(path) == 1 else 0


def _tied(paths: list[Path], life: Life, thing: Any, changed: set[Path]) -> list[Path]:
    """The gradients beside each name of one array; the same numbers twice are one gradient."""
    found: list[Path] = []
    for p in paths:
        near = [(q in changed, _beside(p, q, thing), q) for q, _ in walk(life.thing) if q != p]
        best = max((n for n in near if n[1]), key=lambda n: n[:2], default=None)
        if best and not any(same(get(life.thing, best[2]), get(life.thing, q)) for q in found):
            found.append(best[2])
    return found


def _by_place(
    found: Sources, wanted: dict[str, Any], shapes: dict[str, Any], returned: dict[Path, Any]
) -> None:
    """What no name tells: in order where the shapes agree, or where the numbers of both do."""
    taken = {path for paths in found.values() for path in paths}
    rest = [p for p in returned if p not in taken and not any(isinstance(k, str) for k in p[1:])]
    names = [name for name in wanted if name not in found]
    fits = all(np.shape(returned[p]) == shapes[n] for p, n in zip(rest, names, strict=False))
    if len(rest) == len(names) and (fits or not _any_order_fits(rest, names, shapes, returned)):
        found |= {name: [p] for name, p in zip(names, rest, strict=True)}
        return
    for name in names:
        path = next((p for p in rest if np.shape(returned[p]) == shapes[name]), None)
        if path is not None:
            found[name] = [path]
            rest.remove(path)
    lost = [name for name in names if name not in found]
    if lost and not wanted[lost[0]] and lost[0] == names[0] and rest:
        found[lost[0]] = [rest[0]]  # dX in a wrong shape is still dX


def _any_order_fits(rest: list[Path], names: list[str], shapes: dict, returned: dict) -> bool:
    return sorted(np.shape(returned[p]) for p in rest) == sorted(shapes[n] for n in names)
