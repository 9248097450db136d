"""Where backward leaves the gradient of which array: by name, by place, by shape."""

import ast
import inspect
import textwrap
from typing import Any

import numpy as np

from gradcheck.yours.call import Call, Life
from gradcheck.yours.walk import Path, get, label, likeness, same, walk

__all__ = ["Sources", "parts", "find_gradients"]

Sources = dict[str, list[Path]]  # array -> where its gradients are, to be added up


def find_gradients(
    call: Call,
    life: Life,
    before: dict[Path, Any],
    wanted: dict[str, list[Path]],
    by_place: bool = True,
) -> Sources:
    """For each wanted array (an input: no paths) where backward leaves its gradient.

    life has run forward and backward; before is what its object held between the two.
    """
    thing = life.thing
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
            now = int(path in changed or not grad.any() or not (returned or changed))
            pairs.append((score, fits, now, -order, name, path))
    taken: set[Path] = set()
    for score, _, now, _, name, path in sorted(pairs, key=lambda p: p[:4], reverse=True):
        if score and now and name not in found and path not in taken:
            found[name] = [path]
            taken.add(path)
    for name, paths in wanted.items():  # one memory under several names: gradients add up
        if len(paths) > 1 and (tied := _tied(paths, life, thing, changed)):
            found[name] = tied
    if by_place:
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
        except (AttributeError, KeyError, IndexError, TypeError):
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
