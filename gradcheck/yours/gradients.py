"""Where backward leaves the gradient of which array: by name, by place, by shape."""

import ast
import inspect
import textwrap
from typing import Any

import numpy as np

from gradcheck.yours.call import Call, Life
from gradcheck.yours.walk import Path, get, label, likeness, same, walk

__all__ = ["Sources", "parts", "find_gradients", "gradients_by_name"]

Sources = dict[str, list[Path]]  # array -> where its gradients are, to be added up
Wanted = dict[str, list[Path]]  # array -> the ways to it in the object; none for an input


def find_gradients(call: Call, life: Life, before: dict[Path, Any], wanted: Wanted) -> Sources:
    """For each wanted array where backward leaves its gradient.

    life has run forward and backward; before is what its object held between the two.
    """
    found = gradients_by_name(call, life, before, wanted)
    changed = [p for p, a in walk(life.thing) if p not in before or not same(before[p], a)]
    for name, paths in wanted.items():  # one memory under several names: gradients add up
        if len(paths) > 1 and (tied := _tied(paths, life, changed)):
            found[name] = tied
    returned = dict(parts(life.returned))
    taken = [p for paths in found.values() for p in paths]
    left = [p for p in returned if p not in taken and not any(isinstance(k, str) for k in p[1:])]
    nameless = {name: _shape(call, name, wanted[name]) for name in wanted if name not in found}
    return found | _by_place(nameless, {p: np.shape(returned[p]) for p in left}, wanted)


def parts(returned: Any, path: Path = ("returned",)) -> list[tuple[Path, Any]]:
    """The arrays and numbers in what backward returned."""
    if isinstance(returned, (dict, tuple, list)):
        items = returned.items() if isinstance(returned, dict) else enumerate(returned)
        return [p for k, v in items for p in parts(v, (*path, k))]
    return [(path, returned)] if isinstance(returned, (np.ndarray, float, np.number)) else []


def _shape(call: Call, name: str, paths: list[Path]) -> tuple[int, ...]:
    return np.shape(get(call.thing, paths[0]) if paths else call.given.get(name, ()))


# --- by name ------------------------------------------------------------------


def gradients_by_name(call: Call, life: Life, before: dict[Path, Any], wanted: Wanted) -> Sources:
    """Of the arrays that backward returned or changed those whose names tell whose they are."""
    own = {path for paths in wanted.values() for path in paths}
    returned, names = dict(parts(life.returned)), _names_returned(call, life)
    held = {p: a for p, a in walk(life.thing) if isinstance(a, np.ndarray) and p not in own}
    changed = {p for p, a in held.items() if p not in before or not same(before[p], a)}
    pairs = []
    for order, (name, paths) in enumerate(wanted.items()):
        shape = _shape(call, name, paths)
        for path, grad in {**returned, **held}.items():
            fresh = path in returned or path in changed
            if path in returned:
                score = _likeness_returned(name, paths, names.get(path, path))
            else:
                score = _likeness_held(name, paths, path, life.thing, fresh)
            if score and (fresh or not grad.any() or not (returned or changed)):
                pairs.append((score, np.shape(grad) == shape, -order, name, path))
    found: Sources = {}
    for *_, name, path in sorted(pairs, key=lambda pair: pair[:3], reverse=True):
        if name not in found and [path] not in found.values():
            found[name] = [path]
    return found


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
                if word := getattr(element, "id", getattr(element, "attr", None)):
                    found["returned", k] = "returned", word
    several = isinstance(life.returned, (tuple, list))
    return found if several and len(found) == len(life.returned) else {}


def _likeness_returned(name: str, paths: list[Path], path: Path) -> int:
    if not any(isinstance(key, str) for key in path[1:]):
        return 0
    return max(likeness(n, path) for n in [name, *(p[-1] for p in paths if isinstance(p[-1], str))])


def _likeness_held(name: str, paths: list[Path], path: Path, thing: Any, fresh: bool) -> int:
    """For an input also self.dinputs, an attribute of the object itself."""
    if paths:
        return max(_beside(p, path, thing) for p in paths)
    return likeness(name, path) or (likeness("X", path) if fresh and len(path) == 1 else 0)


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


def _tied(paths: list[Path], life: Life, changed: list[Path]) -> list[Path]:
    """The gradients beside each name of one array; the same numbers twice are one gradient."""
    found: list[Path] = []
    for p in paths:
        near = [(q in changed, _beside(p, q, life.thing), q) for q, _ in walk(life.thing) if q != p]
        best = max((n for n in near if n[1]), key=lambda n: n[:2], default=None)
        if best and not any(same(get(life.thing, best[2]), get(life.thing, q)) for q in found):
            found.append(best[2])
    return found


# --- by place -----------------------------------------------------------------


def _by_place(wanted: dict[str, Any], left: dict[Path, Any], paths: Wanted) -> Sources:
    """What no name tells, from shapes: in order, else the first that fits; dX comes first."""
    in_order = dict(zip(wanted, left, strict=False))
    fits = all(left[p] == wanted[n] for n, p in in_order.items())
    if len(left) == len(wanted) and (fits or sorted(left.values()) != sorted(wanted.values())):
        return {name: [path] for name, path in in_order.items()}
    found: Sources = {}
    for name, shape in wanted.items():
        path = next((p for p in left if left[p] == shape and [p] not in found.values()), None)
        if path is not None:
            found[name] = [path]
    first, rest = next(iter(wanted), ""), [p for p in left if [p] not in found.values()]
    if first and first not in found and not paths[first] and rest:
        found[first] = rest[:1]  # dX in a wrong shape is still dX
    return found
