"""Which argument of forward and backward gets what: in order, and by the few names that tell."""

import inspect
import re
import types
from functools import cache
from typing import Any

from gradcheck.core import CannotCheck

__all__ = ["STRONG", "Context", "is_code", "arguments", "bind_forward", "bind_backward"]

TRAIN = re.compile(r"(is_?)?train(ing)?(_?(flag|flg|mode|phase))?|(with|requires)_grad", re.I)
TEST = re.compile(r"(is_?)?(test(ing)?|infer(ence)?|eval(uate)?|predict(ing)?)(_?\w+)?", re.I)
RATE = re.compile(r"_?(lr|l_rate|learn(ing)?_?(rate|step)|eta|step_?size|alpha)", re.I)
CACHE = re.compile(r"cache[sd]?|ctx|context|mem(ory)?|tape|saved|intermediates?|.*_cache", re.I)
STRONG = re.compile(  # names that only a label has
    r"y_?(true|real|actual|target|labels?|train|(one_?)?hot)|true\w*|actual\w*|targets?|t_?true|"
    r"labels?|ground_?truth|gt|one_?hot\w*|truth|expected\w*|desired\w*|[yt]_?labels?|label_\w*|"
    r"target_\w*|answers?|gold",
    re.I,
)
OPTIMIZER = re.compile(r"opt(im|imi[sz]er)?", re.I)
CONTEXT = "ctx", "context"
Kind = inspect.Parameter


def is_code(text: Any) -> bool:
    """--forward "layer.forward(X).mean()" is code, --forward fprop a name."""
    return isinstance(text, str) and not text.isidentifier()


def arguments(function: Any) -> list[inspect.Parameter]:
    """The arguments of a function; none where Python does not know them."""
    plain = getattr(function, "__func__", function)
    if isinstance(plain, types.FunctionType):  # a check asks for them hundreds of times
        return list(_known(plain, plain is not function))
    return _parameters(function)


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        ps = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in ps if p.kind is not Kind.VAR_KEYWORD]


@cache
def _known(plain: types.FunctionType, bound: bool) -> list[inspect.Parameter]:
    return _parameters(plain.__get__(0) if bound else plain)


class Context(types.SimpleNamespace):
    """What a function in the style of autograd.Function saves for its backward pass."""

    saved_tensors: tuple = ()

    def save_for_backward(self, *values: Any) -> None:
        self.saved_tensors = self.saved_values = values


def _flag(p: inspect.Parameter) -> Any:
    """True for training=..., False for test=..., "train" for mode=...; else None."""
    if TRAIN.fullmatch(p.name):
        return True
    if p.name in ("mode", "phase") and not isinstance(p.default, bool):
        return "train"
    return False if TEST.fullmatch(p.name) else None


def bind_forward(function: Any, inputs: list[Any]) -> tuple[dict[str, Any], list[str]]:
    """(argument -> value, arguments that still want one): given in order, or by their names."""
    ps = [p for p in arguments(function) if p.kind is not Kind.VAR_POSITIONAL]
    values = [i.value for i in inputs if not i.name]
    named = {i.name: i.value for i in inputs if i.name}
    if not ps or (len(values) > len(ps) < len(arguments(function))):
        return {f"*{k}": v for k, v in enumerate(values)} | named, []
    required = [p.name for p in ps if p.default is p.empty and p.name not in CONTEXT]
    optional = [p.name for p in ps if p.default is not p.empty]
    no_flags = [p.name for p in ps if not isinstance(p.default, bool)]
    order = [name for name in required + optional if name in no_flags]
    unnamed = [name for name in order if name not in named]
    bound = dict(zip(unnamed, values, strict=False)) | {k: named[k] for k in order if k in named}
    if len(bound) < len(inputs):
        raise CannotCheck(
            f"{len(inputs)} --input were given, forward{inspect.signature(function)} takes "
            f"{len(required)}: {', '.join(order)}"
        )
    flags = {p.name: _flag(p) for p in ps if type(p.default) in (bool, str, type)}
    said = {name: flag for name, flag in flags.items() if flag is not None}
    made = said | {p.name: Context() for p in ps if p.name in CONTEXT} | bound
    missing = [name for name in required if name not in made]
    return {p.name: made[p.name] for p in ps if p.name in made}, missing


def bind_backward(
    function: Any, given: dict[str, Any], returned: bool
) -> tuple[dict[str, str], list[str]]:
    """(argument -> where its value comes from, arguments whose names tell nothing).

    given: the arguments of forward, with the defaults that it has for them; returned: does it
    return more than arrays?
    """
    known: dict[str, str] = {}
    unknown, spare = [], []
    ps = arguments(function)
    several = sum(p.default is p.empty and p.kind is not Kind.VAR_POSITIONAL for p in ps) > 1
    for p in ps:
        required = p.default is p.empty
        if p.kind is Kind.VAR_POSITIONAL:
            spare.append("*")
        elif source := _source(p, given, several or not required, returned):
            known[p.name] = source
        elif required:
            unknown.append(p.name)
        elif p.default is None:
            spare.append(p.name)
    return known, unknown or spare[: "cache" not in known.values()]


def _source(p: inspect.Parameter, given: dict[str, Any], free: bool, returned: bool) -> str:
    """What an argument of backward is, if its name tells; free: dY may be another one."""
    told = {
        "context": p.name in CONTEXT,
        "cache": CACHE.fullmatch(p.name) and (returned or p.name not in given),
        f"in {p.name}": free and p.name in given,
        "flag": _flag(p) is not None and type(p.default) in (bool, str),
        "rate": free and RATE.fullmatch(p.name),
        "optimizer": OPTIMIZER.fullmatch(p.name),
    }
    return next((source for source, holds in told.items() if holds), "")
