"""Find parameters and their gradients on any object: by what it holds, and how that is named.

A leaf is an array somewhere inside: self.W, self.params["W"], self.layers[0].W.data, ...
A gradient is a leaf whose name says so: dW, grad_W, W_grad, dL_dW, grads["W"], W.grad, ...
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "Path",
    "leaves",
    "get",
    "put",
    "label",
    "match",
    "as_gradient",
    "looks_like_parameter",
    "INPUT",
]

Path = tuple[Any, ...]  # ("layers", 0, "W")

CONTAINERS = {
    "params",
    "parameters",
    "param",
    "weights",
    "weight",
    "trainable",
    "p",
    "theta",
    "variables",
    "learnable",
    "coefs",
    "parameter",
}
GRADIENTS = re.compile(
    r"_*(d?_?grads?|gradients?|.*_grads?|.*_?gradients?|grad_.*|weight_updates?|d_?params|dparameters|deltas?"
    r"|derivatives?|d_?weights|param_grads?)_*",
    re.I,
)
VALUE, GRAD = (
    {"data", "value", "values", "val", "array", "tensor", "v", "param"},
    {"grad", "gradient", "g", "diff", "delta", "d", "grads"},
)
INPUT = {
    "x",
    "input",
    "inputs",
    "in",
    "prev",
    "aprev",
    "a_prev",
    "inp",
    "layer_input",
    "input_data",
    "data",
}
KIN = (
    {"w", "weight", "weights", "kernel", "kernels", "filter", "filters", "weight_matrix", "theta"},
    {"b", "bias", "biases", "bias_vector", "intercept", "bs"},
    {"gamma", "scale", "g"},
    {"beta", "shift", "offset"},
)
STATE = re.compile(
    r"running|moving|veloc|moment|prev|last|cache|mask|state|input|output|init|best|decay|old|hist|accum|"
    r"optim|adam|ema|mean|var|std|_col|flat|^[vms]_|^[vms]d?[wb]$|shape|size",
    re.I,
)
PARAMETER = re.compile(
    r"(w|b|u|v|weights?|bias(es)?|kernels?|filters?|gamma|beta|scale|shift|theta|embeddings?)"
    r"|[wbu]\d+|[wbu]_?[a-z]{1,3}\d?|(weights?|bias(es)?|kernel|filters?)_?\w+",
    re.I,
)


def leaves(thing: Any, path: Path = (), seen: set[int] | None = None) -> Iterator[tuple[Path, Any]]:
    """Every array and every plain float inside an object, with the way to it."""
    seen = set() if seen is None else seen
    if isinstance(thing, (np.ndarray, float, np.floating)):
        yield path, thing
        return
    if (
        id(thing) in seen
        or len(path) > 6
        or isinstance(thing, (type, str, bytes, np.random.Generator))
    ):
        return
    seen.add(id(thing))
    if isinstance(thing, dict):
        items = [(k, v) for k, v in thing.items() if isinstance(k, (str, int))]
    elif isinstance(thing, (list, tuple)):
        items = list(enumerate(thing)) if len(thing) <= 1000 else []
    elif hasattr(thing, "__dict__") and type(thing).__module__.split(".")[0] not in (
        "numpy",
        "builtins",
    ):
        items = [
            (k, v) for k, v in vars(thing).items() if not callable(v) or hasattr(v, "__dict__")
        ]
    else:
        slots = [s for s in getattr(type(thing), "__slots__", ()) if isinstance(s, str)]
        items = [(s, getattr(thing, s)) for s in slots if hasattr(thing, s)]
    for key, value in items:
        yield from leaves(value, (*path, key), seen)


def get(thing: Any, path: Path) -> Any:
    for key in path:
        thing = thing[key] if isinstance(thing, (dict, list, tuple)) else getattr(thing, key)
    return thing


def put(thing: Any, path: Path, value: Any) -> bool:
    """False where a tuple stands in the way."""
    owner, key = get(thing, path[:-1]), path[-1]
    if isinstance(owner, tuple):
        return False
    if isinstance(owner, (dict, list)):
        owner[key] = value
    else:
        try:
            setattr(owner, key, value)
        except AttributeError:
            return False
    return True


def label(path: Path) -> str:
    """How the table calls a parameter: W for params["W"] or W.data, q.W for a layer inside."""
    words = [
        str(k) for k in path if not (isinstance(k, str) and k.strip("_").lower() in CONTAINERS)
    ]
    if len(words) > 1 and words[-1] in VALUE:
        words.pop()
    if not words or words[-1].isdigit():
        words = [str(k) for k in path]
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(words))


def _key(path: Path) -> tuple[tuple[str, ...], str]:
    """Where it lives (without the names of containers) and what it is called."""
    words = [_plain(k) for k in path]
    if len(words) > 1 and words[-1] in VALUE:
        words.pop()
    kept = [w for w in words[:-1] if w not in CONTAINERS]
    return tuple(kept), words[-1]


def _plain(key: Any) -> str:
    word = re.sub(r"^_[A-Za-z]\w*?__", "", str(key)) if isinstance(key, str) else str(key)
    return word.strip("_")


def as_gradient(path: Path) -> list[tuple[tuple[str, ...], str]]:
    """What this leaf may be the gradient of, most likely first; empty if its name says nothing."""
    words = [_plain(k) for k in path]
    inside = [k for k, w in enumerate(words[:-1]) if GRADIENTS.fullmatch(w)]
    if len(words) > 1 and words[-1] in GRAD:
        return [(tuple(w for w in words[:-2] if w not in CONTAINERS), words[-2])]
    home = tuple(w for k, w in enumerate(words[:-1]) if k not in inside and w not in CONTAINERS)
    names = [words[-1]] if inside else []
    return [(home, name) for name in names + _unmarked(words[-1])]


def _unmarked(word: str) -> list[str]:
    """dW, d_W, dL_dW, dLdW, grad_W, gW, W_grad, Wgrad, W_gradient -> W."""
    found = []
    for pattern in (
        r"d_?(?:L|C|J|E|l|c|j|loss|cost|err|error|Loss|out)_?(?:by)?_?d_?(?P<base>.+)",
        r"d_?(?P<base>.+)",
        r"(?:grads?|gradients?|g|delta|nabla|partial|der|derivative|Grad|D)_?(?:of_|wrt_|w_)?(?P<base>.+)",
        r"(?P<base>.+?)_?(?:grads?|gradients?|Grads?|Gradients?|derivatives?|delta|deltas|updates?|diff|prime|bar)",
    ):
        m = re.fullmatch(pattern, word)
        if m and m["base"].strip("_"):
            found.append(m["base"].strip("_"))
    return found


def kin(one: str, other: str) -> int:
    """3 the same name, 2 but for case, 1 a word for the same thing (W and weights), 0 not."""
    if one == other:
        return 3
    one, other = one.lower(), other.lower()
    if one == other or one.rstrip("s") == other.rstrip("s"):
        return 2
    return int(any(one in names and other in names for names in KIN))


def match(
    parameters: list[Path],
    candidates: list[tuple[Path, Any]],
    changed: set[Path],
    shapes: dict[Path, tuple[int, ...]],
) -> dict[Path, Path]:
    """For each parameter the leaf with its gradient, by name; of equals, the one that changed."""
    best: dict[Path, tuple[tuple, Path]] = {}
    for path, value in candidates:
        for rank, (home, base) in enumerate(as_gradient(path)):
            for p in parameters:
                where, name = _key(p)
                likeness = kin(name, base)
                if p == path or not likeness or where != home:
                    continue
                fits = np.shape(value) == shapes[p]
                score = (likeness, path in changed, fits, -rank)
                if p not in best or score > best[p][0]:
                    best[p] = (score, path)
    return {p: path for p, (_, path) in best.items()}


def looks_like_parameter(path: Path) -> bool:
    words = [_plain(k) for k in path]
    contained = any(w in CONTAINERS for w in words[:-1])
    if any(GRADIENTS.fullmatch(w) for w in words[:-1]):
        return False
    name = words[-2] if len(words) > 1 and words[-1] in VALUE else words[-1]
    return bool((contained or PARAMETER.fullmatch(name)) and not STATE.search(name))
