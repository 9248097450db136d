"""The arrays inside an object, and which of them may be the gradient of which.

A path is the way to an array: ("inner", "params", "W"). What an array is, its effects tell
(probe.py); names and places, which are here, decide between arrays that effects cannot tell apart.
"""

import copy
import re
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.case import Constant

__all__ = ["Path", "is_real", "walk", "get", "put", "groups", "copied", "same", "label", "likeness"]

Path = tuple[Any, ...]

LEAF = (type, types.ModuleType, types.FunctionType, types.MethodType, np.random.Generator)
VALUE = {"data", "value", "values", "val", "v", "array"}  # of an object that is one parameter
KIN = (  # words for the same thing
    {"w", "weight", "weights", "kernel", "kernels", "filter", "filters", "theta"},
    {"b", "bias", "biases", "intercept"},
    {"gamma", "scale", "g"},
    {"beta", "shift", "offset"},
    {"x", "input", "inputs", "in", "prev", "a_prev", "inp", "layer_input", "input_data"},
)
BEFORE = r"d_?(?:l|c|j|e|loss|cost|err|error|out)_?d_?|d_?|grads?_?(?:of_|wrt_)?|g|delta_?|nabla_?"
AFTER = r"_?grads?|_?gradients?|_?derivatives?|_?deltas?|_?updates?|_?diff|_?prime|_?bar"
GRADIENT = re.compile(rf"(?:{BEFORE})(?P<a>.+)|(?P<b>.+?)(?:{AFTER})|gradients?_?(?:of_)?(?P<c>.+)")


def is_real(value: Any) -> bool:
    """An array of real numbers, whose gradient is checked."""
    number = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return number and not isinstance(value, Constant)


def walk(thing: Any, path: Path = (), seen: set[int] | None = None) -> Iterator[tuple[Path, Any]]:
    """Every array of real numbers and every plain float inside an object, with the way to it."""
    seen = set() if seen is None else seen
    if isinstance(thing, (np.ndarray, float)):
        if not isinstance(thing, np.ndarray) or thing.dtype.kind == "f":
            yield path, thing
    elif id(thing) not in seen and len(path) < 7:
        seen.add(id(thing))
        for key, value in children(thing):
            yield from walk(value, (*path, key), seen)


def children(thing: Any) -> list[tuple[Any, Any]]:
    """What an object holds: the entries of a dictionary or list, the attributes of the rest."""
    if isinstance(thing, dict):
        return list(thing.items())
    if isinstance(thing, (list, tuple)):
        return list(enumerate(thing)) if len(thing) <= 1000 else []
    if isinstance(thing, LEAF) or type(thing).__module__.split(".")[0] in ("numpy", "builtins"):
        return []
    slots = [s for kind in type(thing).__mro__ for s in _slots(kind) if hasattr(thing, s)]
    return [*getattr(thing, "__dict__", {}).items(), *((s, getattr(thing, s)) for s in slots)]


def _slots(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    return [s for s in ([slots] if isinstance(slots, str) else slots) if not s.startswith("__")]


def get(thing: Any, path: Path) -> Any:
    for key in path:
        thing = thing[key] if isinstance(thing, (dict, list, tuple)) else getattr(thing, key)
    return thing


def put(thing: Any, path: Path, value: Any) -> None:
    """Where a tuple or a property stands in the way, nothing is put."""
    owner = get(thing, path[:-1])
    if isinstance(owner, (dict, list)):
        owner[path[-1]] = value
    elif not isinstance(owner, tuple):
        try:
            setattr(owner, path[-1], value)
        except AttributeError:
            return


def groups(thing: Any) -> list[list[Path]]:
    """The ways to each array; several where one memory is reached under several names."""
    found: list[list[Path]] = []
    for path, a in walk(thing):
        if not isinstance(a, np.ndarray) or not a.size:
            continue
        known = next((ps for ps in found if np.shares_memory(a, get(thing, ps[0]))), None)
        if known is None:
            found.append([path])
        else:  # the whole before its parts
            known.insert(0 if get(thing, known[0]).size < a.size else len(known), path)
    return found


def _uncopyable(thing: Any, depth: int = 4) -> dict[int, Any]:
    """What an object holds that Python cannot copy, by id: a module, a lock, an open file."""
    found: dict[int, Any] = {}
    for value in vars(thing).values() if hasattr(thing, "__dict__") else ():
        try:
            copy.deepcopy(value)
        except Exception:
            whole = depth == 0 or isinstance(value, types.ModuleType)
            found |= (not whole and _uncopyable(value, depth - 1)) or {id(value): value}
    return found


def copied(thing: Any) -> Any:
    """A deep copy that shares what cannot be copied."""
    try:
        return copy.deepcopy(thing)
    except Exception:
        return copy.deepcopy(thing, _uncopyable(thing))


def same(u: Any, v: Any) -> bool:
    """The same numbers, and as many of them."""
    return np.shape(u) == np.shape(v) and bool(np.array_equal(u, v, equal_nan=True))


# --- names --------------------------------------------------------------------


def label(thing: Any, path: Path) -> str:
    """How the table calls an array: W for params["W"] or W.data, inner.W for a layer inside."""
    words, path = [], path[:-1] if len(path) > 1 and path[-1] in VALUE else path
    for k, key in enumerate(path):
        holds_names = k + 1 < len(path) and isinstance(path[k + 1], str)
        if not (holds_names and isinstance(get(thing, path[: k + 1]), dict)):
            words.append(key)
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, words)))


def likeness(name: str, path: Path) -> int:
    """Does the last name on the way to an array say that it is the gradient of name?

    3 for dW, grad_W, W_grad, dL_dW, grads["W"], W.grad; 2 for a word of the same meaning; 1 for
    the end of the name; else 0.
    """
    own = _word(name.rsplit(".", 1)[-1])
    words = [_word(str(key)) for key in path]
    if not words:
        return 0
    inside = any(
        re.fullmatch(rf"({BEFORE}|.*(grad|deriv|delta|diff|update).*)", w) for w in words[:-1]
    )
    bases = [words[-1]] if inside or path[0] == "returned" else []
    if match := GRADIENT.fullmatch(words[-1]):
        bases += [w for w in match.groups() if w]
    if len(words) > 1 and re.fullmatch(r"_?(grad\w*|g|d|delta|diff)", words[-1]):
        bases.append(words[-2])
    bases = [b.strip("_") for b in bases]
    if "[" in own:  # params[0] and grads[0]
        return 3 * (inside and own.rsplit("[", 1)[-1] == f"{words[-1]}]")
    if own in bases:
        return 3
    if any({own, b} <= kin for b in bases for kin in KIN):
        return 2
    plain = [b.replace("_", "") for b in bases]  # dLogVar for t_log_var
    return int(any(len(b) > 3 and own.replace("_", "").endswith(b) for b in plain))


def _word(key: str) -> str:
    return re.sub(r"^_[a-z]\w*?__", "", key.lower()).strip("_")
