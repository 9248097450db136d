"""How a forward or backward function wants to be called, read from the names of its arguments."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gradcheck.core import CannotCheck

__all__ = [
    "Argument",
    "FORWARD",
    "BACKWARD",
    "DERIVATIVE",
    "method",
    "forward_roles",
    "backward_roles",
    "fill",
]

FORWARD = (
    "forward",
    "forward_pass",
    "forward_propagation",
    "forward_prop",
    "forwardprop",
    "fprop",
    "fwd",
    "feed_forward",
    "feedforward",
    "propagate",
    "forward_propagate",
    "_forward",
    "updateOutput",
    "call",
    "apply",
    "activate",
    "compute",
    "transform",
    "calculate",
    "loss",
    "calc",
    "function",
    "__call__",
)
BACKWARD = (
    "backward",
    "backward_pass",
    "backward_propagation",
    "backward_prop",
    "backpropagation",
    "back_propagation",
    "backprop",
    "back_prop",
    "bprop",
    "bwd",
    "back",
    "backpropagate",
    "backward_propagate",
    "backPropagate",
    "_backward",
    "updateGradInput",
    "grad",
    "gradient",
    "input_grad",
    "calc_gradient",
    "compute_gradient",
    "vjp",
)
DERIVATIVE = (
    "derivative",
    "gradient",
    "grad",
    "prime",
    "deriv",
    "derive",
    "d",
    "df",
    "dfn",
    "function_prime",
    "f_prime",
    "diff",
    "derivation",
    "calculate_gradient",
)

TRAIN = re.compile(
    r"(is_?)?train(ing)?(_?(flag|flg|mode|phase))?|trainable|with_grad|requires_grad", re.I
)
TEST = re.compile(
    r"(is_?)?(test(ing)?|infer(ence)?|eval(uate)?|predict(ing)?)(_?(mode|flag|time|phase))?", re.I
)
RATE = re.compile(r"lr|l_rate|learn(ing)?_?(rate|step)|eta|step_?size|rate|alpha|epsilon_lr", re.I)
CACHE = re.compile(
    r"cache[sd]?|ctx|context|mem(ory)?|tape|saved|local|meta|intermediates?|fwd_cache|.*_cache",
    re.I,
)
STRONG = re.compile(
    r"y_?true|(true|actual)_?(y|values?|labels?|classes)?|targets?|labels?|ground_?truth|gt|"
    r"y_?(real|actual|target|label|train|batch|hot|onehot|one_hot)|one_?hot.*|truth|"
    r"expected(_.*)?|desired.*|(y|t)_?labels?|label_.*|target_.*|answers?|gold|trues?",
    re.I,
)
WEAK = re.compile(r"[yYt]|t_?true")
MODE = re.compile(r"mode|phase", re.I)
OPTIMIZER = re.compile(r"opt(im|imi[sz]er)?", re.I)


class Argument(NamedTuple):
    name: str
    role: str  # input, label, maybe_label, train, rate, cache, context, optimizer, upstream, ...
    place: int = 0


def method(thing: Any, names: tuple[str, ...], given: str | None = None) -> str | None:
    """The first of these methods that the object has."""
    if given:
        if not callable(getattr(thing, given, None)):
            raise CannotCheck(
                f"{type(thing).__name__} has no method {given!r}; it has {_methods(thing)}"
            )
        return given
    return next((n for n in names if callable(getattr(thing, n, None)) and _own(thing, n)), None)


def _own(thing: Any, name: str) -> bool:
    return name != "__call__" or "__call__" in dir(type(thing))


def _methods(thing: Any) -> str:
    return (
        ", ".join(n for n in dir(thing) if callable(getattr(thing, n)) and not n.startswith("__"))
        or "none"
    )


def parameters(function: Callable) -> list[inspect.Parameter]:
    try:
        return [
            p
            for p in inspect.signature(function).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]
    except (TypeError, ValueError):
        return []


def _flag(p: inspect.Parameter) -> str | None:
    if TRAIN.fullmatch(p.name):
        return "train"
    if TEST.fullmatch(p.name):
        return "test"
    if MODE.fullmatch(p.name) and (p.default is p.empty or isinstance(p.default, str)):
        return "mode"
    return None


def forward_roles(function: Callable, given: int) -> list[Argument]:
    """An argument for each given input; flags set to training, labels where names say so."""
    args, count, missing = [], 0, []
    open_slots = [
        p for p in parameters(function) if not _flag(p) and p.name not in ("ctx", "context")
    ]
    required = [p for p in open_slots if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    lacking = len(required) - given  # labels that are made, not given: the clearest names first
    strong = [p.name for p in required if STRONG.fullmatch(p.name)]
    weak = [p.name for p in required if WEAK.fullmatch(p.name)]
    made = (strong + weak)[: max(0, lacking)]
    for p in parameters(function):
        flag = _flag(p)
        label = (
            "label"
            if STRONG.fullmatch(p.name)
            else "maybe_label"
            if WEAK.fullmatch(p.name)
            else None
        )
        if flag:
            args.append(Argument(p.name, flag))
        elif p.name in ("ctx", "context"):
            args.append(Argument(p.name, "context"))
        elif p.kind is p.VAR_POSITIONAL:
            args += [Argument("*", "input", k) for k in range(count, given)]
            count = given
        elif p.name in made:
            args.append(Argument(p.name, "made_label"))
        elif count < given and p.kind is not p.KEYWORD_ONLY:
            args.append(Argument(p.name, label or "input", count))
            count += 1
        elif p in required:
            missing.append(p.name)
    total = len(required)
    if missing:
        raise CannotCheck(
            f"forward{inspect.signature(function)} takes {total} arguments: one --input for each "
            f"(missing: {', '.join(missing)})"
        )
    if count < given:
        raise CannotCheck(
            f"{given} --input were given, forward{inspect.signature(function)} takes {count}"
        )
    if len(open_slots) == 1 or sum(a.role in ("input", "label", "maybe_label") for a in args) == 1:
        args = [a._replace(role="input") if a.role in ("label", "maybe_label") else a for a in args]
    return args


def backward_roles(
    function: Callable, forward: list[Argument], labels: bool
) -> list[list[Argument]]:
    """The ways in which this backward may want to be called, the likeliest first."""
    named = {a.name: a for a in forward}
    args: list[Argument] = []
    loose: list[int] = []
    ps = parameters(function)
    required = [p for p in ps if p.default is p.empty]
    for p in ps:
        same = named.get(p.name)
        if p.name in ("ctx", "context"):
            role = Argument(p.name, "context")
        elif _flag(p):
            role = Argument(p.name, _flag(p) or "")
        elif CACHE.fullmatch(p.name):
            role = Argument(p.name, "cache")
        elif RATE.fullmatch(p.name) and (len(required) > 1 or p.default is not p.empty):
            role = Argument(p.name, "rate")
        elif OPTIMIZER.fullmatch(p.name):
            role = Argument(p.name, "optimizer")
        elif same and (len(required) > 1 or labels):
            role = same
        elif labels and (STRONG.fullmatch(p.name) or WEAK.fullmatch(p.name)) and args:
            role = next((a for a in forward if "label" in a.role), Argument(p.name, "label"))
        elif p.default is not p.empty or p.kind is p.VAR_POSITIONAL:
            continue
        else:
            loose.append(len(args))
            role = Argument(p.name, "upstream", len(loose) - 1)
        args.append(role._replace(name=p.name))
    plans = [args]
    if loose and labels:  # a loss: what it wants may be its prediction or its own output
        for wanted in ("output", "prediction"):
            plans.append([a._replace(role=wanted) if a.role == "upstream" else a for a in args])
    if len(loose) >= 2:  # (dout, out) or (dout, x): the second may be what forward returned or took
        for wanted in ("output", "prediction"):
            second = [
                a._replace(role=wanted) if a.role == "upstream" and a.place else a for a in args
            ]
            plans.append(second)
        flipped = [
            a._replace(role="prediction") if a.role == "upstream" and not a.place else a
            for a in args
        ]
        plans.append([a._replace(place=0) if a.role == "upstream" else a for a in flipped])
    if not loose and not labels and any(a.role == "input" for a in args):
        only = [k for k, a in enumerate(args) if a.role == "input"]
        if len(only) >= 2:  # backward(x, y) of forward(x, y)? the last one may be the upstream
            plans.append(
                [
                    a._replace(role="upstream", place=0) if k == only[-1] else a
                    for k, a in enumerate(args)
                ]
            )
    return plans


def fill(args: list[Argument], values: dict[tuple[str, int], Any]) -> tuple[list, dict]:
    """Positional and keyword arguments for a call; what has no value keeps its default."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    skipped = False
    for a in args:
        key = (a.role, a.place if a.role in ("input", "label", "upstream") else 0)
        if key not in values:
            skipped = True
        elif skipped or a.role in ("train", "test", "mode"):
            keywords[a.name] = values[key]
        else:
            positional.append(values[key])
    return positional, keywords
