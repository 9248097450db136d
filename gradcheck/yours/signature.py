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
    named = {i.name: i.value for i in inputs if i.name}
    values = [i.value for i in inputs if not i.name]
    bound: dict[str, Any] = {}
    ps = [p for p in arguments(function) if p.kind is not Kind.VAR_POSITIONAL]
    if not ps or (len(values) > len(ps) < len(arguments(function))):
        return {f"*{k}": v for k, v in enumerate(values)} | named, []
    ps = [p for p in ps if p.name not in CONTEXT]
    required = [p for p in ps if p.default is p.empty]
    optional = [p for p in ps if p.default is not p.empty and not isinstance(p.default, bool)]
    for p in required + optional:
        if p.name in named:
            bound[p.name] = named.pop(p.name)
        elif values:
            bound[p.name] = values.pop(0)
    missing = [p.name for p in required if p.name not in bound]
    for p in arguments(function):
        if p.name in CONTEXT:
            bound[p.name] = Context()
        elif p.name not in bound and _flag(p) is not None and type(p.default) in (bool, str, type):
            bound[p.name] = _flag(p)
    if values or named:
        raise CannotCheck(
            f"{len(inputs)} --input were given, forward{inspect.signature(function)} takes "
            f"{len(required)}: {', '.join(p.name for p in required + optional)}"
        )
    order = [p.name for p in arguments(function) if p.name in bound]
    return {name: bound[name] for name in order}, [n for n in missing if n not in bound]


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
        free = several or not required
        if p.kind is Kind.VAR_POSITIONAL:
            spare.append("*")
        elif p.name in CONTEXT:
            known[p.name] = "context"
        elif CACHE.fullmatch(p.name) and (returned or p.name not in given):
            known[p.name] = "cache"
        elif p.name in given and free:
            known[p.name] = f"in {p.name}"
        elif _flag(p) is not None and type(p.default) in (bool, str):
            known[p.name] = "flag"
        elif RATE.fullmatch(p.name) and free:
            known[p.name] = "rate"
        elif re.fullmatch(r"opt(im|imi[sz]er)?", p.name, re.I):
            known[p.name] = "optimizer"
        else:
            unknown += [p.name] if required else []
            spare += [p.name] if p.default is None else []
    return known, unknown or spare[: "cache" not in known.values()]
