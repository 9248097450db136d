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
    open_slots = [p for p in parameters(function) if not (_flag(p) or _is_context(p))]
    required = [p for p in open_slots if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    made = _made_labels(required, given)
    for p in parameters(function):
        if role := _flag(p) or ("context" if _is_context(p) else None):
            args.append(Argument(p.name, role))
        elif p.kind is p.VAR_POSITIONAL:
            args += [Argument("*", "input", k) for k in range(count, given)]
            count = given
        elif p.name in made:
            args.append(Argument(p.name, "made_label"))
        elif count < given and p.kind is not p.KEYWORD_ONLY:
            args.append(Argument(p.name, _label(p) or "input", count))
            count += 1
        elif p in required:
            missing.append(p.name)
    if missing:
        raise CannotCheck(
            f"forward{inspect.signature(function)} takes {len(required)} arguments: "
            f"one --input for each (missing: {', '.join(missing)})"
        )
    if count < given:
        raise CannotCheck(
            f"{given} --input were given, forward{inspect.signature(function)} takes {count}"
        )
    if len(open_slots) == 1 or sum(a.role in ("input", "label", "maybe_label") for a in args) == 1:
        args = [a._replace(role="input") if a.role in ("label", "maybe_label") else a for a in args]
    return args


def _is_context(p: inspect.Parameter) -> bool:
    return p.name in ("ctx", "context")


def _label(p: inspect.Parameter) -> str | None:
    weak = "maybe_label" if WEAK.fullmatch(p.name) else None
    return "label" if STRONG.fullmatch(p.name) else weak


def _made_labels(required: list[inspect.Parameter], given: int) -> list[str]:
    """Labels that are made because no input is given for them: the clearest names first."""
    labels = sorted((p for p in required if _label(p)), key=lambda p: _label(p) != "label")
    return [p.name for p in labels][: max(0, len(required) - given)]


def backward_roles(
    function: Callable, forward: list[Argument], labels: bool
) -> list[list[Argument]]:
    """The ways in which this backward may want to be called, the likeliest first."""
    args: list[Argument] = []
    loose = 0
    ps = parameters(function)
    several = sum(p.default is p.empty for p in ps) > 1
    for p in ps:
        if argument := _known(p, forward, labels, several, first=not args):
            args.append(argument._replace(name=p.name))
        elif p.default is p.empty and p.kind is not p.VAR_POSITIONAL:
            args.append(Argument(p.name, "upstream", loose))
            loose += 1
    return [args, *_other_plans(args, loose, labels)]


def _known(
    p: inspect.Parameter, forward: list[Argument], labels: bool, several: bool, first: bool
) -> Argument | None:
    """What the name of an argument of backward tells, or None."""
    optional = p.default is not p.empty
    same = next((a for a in forward if a.name == p.name), None)
    if _is_context(p):
        return Argument(p.name, "context")
    if flag := _flag(p):
        return Argument(p.name, flag)
    if CACHE.fullmatch(p.name):
        return Argument(p.name, "cache")
    if RATE.fullmatch(p.name) and (several or optional):
        return Argument(p.name, "rate")
    if OPTIMIZER.fullmatch(p.name):
        return Argument(p.name, "optimizer")
    if same and (several or labels):
        return same
    if labels and _label(p) and not first:
        return next((a for a in forward if "label" in a.role), Argument(p.name, "label"))
    return None


def _other_plans(args: list[Argument], loose: int, labels: bool) -> list[list[Argument]]:
    """The same arguments in other roles; loose: how many of them are taken for upstreams."""

    def recast(role: str, of: Callable[[Argument], bool]) -> list[Argument]:
        return [a._replace(role=role) if a.role == "upstream" and of(a) else a for a in args]

    plans = []
    if loose and labels:  # a loss: what it wants may be its prediction or its own output
        plans += [recast(role, lambda a: True) for role in ("output", "prediction")]
    if loose >= 2:  # (dout, out) or (dout, x): the second may be what forward returned or took
        plans += [recast(role, lambda a: a.place > 0) for role in ("output", "prediction")]
        flipped = recast("prediction", lambda a: a.place == 0)
        plans.append([a._replace(place=0) if a.role == "upstream" else a for a in flipped])
    inputs = [k for k, a in enumerate(args) if a.role == "input"]
    if not loose and not labels and len(inputs) >= 2:
        # backward(x, y) of forward(x, y)? The last one may be the upstream.
        last = inputs[-1]
        plans.append(
            [*args[:last], args[last]._replace(role="upstream", place=0), *args[last + 1 :]]
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
