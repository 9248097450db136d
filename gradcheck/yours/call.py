"""How a learner's forward and backward are called, and one life of the object that has them."""

import copy
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from inspect import Parameter
from typing import Any

import numpy as np

from gradcheck.case import Array, Constant, argument_copy
from gradcheck.console import where
from gradcheck.core import CannotCheck
from gradcheck.yours.inputs import Input, Options
from gradcheck.yours.load import guarded, seeded
from gradcheck.yours.signature import Context, arguments, is_code
from gradcheck.yours.walk import Path, copied, get, is_real, same, walk

__all__ = ["Call", "Life", "tensor_advice", "module_scope"]


class Optimizer:
    """In the place of theirs: one plain step of size 1, so that W before - W after is dW."""

    lr = learning_rate = 1.0

    def update(self, w: Any, grad: Any, *more: Any) -> Any:
        return w - grad

    __call__ = step = optimize = update


@dataclass
class Call:
    """An object (or None, for functions), its two functions, and what they are called with.

    The first six are what was said; the rest is found out (questions.py).
    """

    thing: Any
    forward: Any  # a function, the name of a method, or code
    backward: Any  # the same, or None: forward returns (loss, gradients)
    inputs: list[Input]
    options: Options
    scope: dict[str, Any] = field(default_factory=dict)  # names for code
    word: str = ""  # how backward is called
    given: dict[str, Any] = field(default_factory=dict)  # argument of forward -> value
    y: Array = field(default_factory=lambda: np.zeros(0))  # what forward gives
    plan: dict[str, str] = field(default_factory=dict)  # argument of backward -> source
    reduction: str = ""  # "", "derivative", "sum", "mean", "mean of samples"
    label: str = ""  # which argument of forward is one
    resets: tuple[str, ...] = ()  # methods to call before a second pass
    output: Path | None = None  # where forward leaves its output if it returns nothing
    said: list[str] = field(default_factory=list)  # what was guessed
    seed: int = 0
    writes_dy: bool = False  # dX is returned in dY's own memory

    @property
    def upstreams(self) -> int:
        if self.reduction == "derivative":
            return 1
        if is_code(self.backward):
            return int("dY" in self.backward)
        return sum(source.startswith("dY") for source in self.plan.values())

    @property
    def first(self) -> str:
        """The first argument that is an array of real numbers."""
        return next((n for n, v in self.given.items() if is_real(v) and n != self.label), "")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first such argument."""
        return np.shape(self.given[self.first]) if self.first else ()

    def reading(self, given: dict[str, Any], said: str) -> "Call":
        """With these values for arguments of forward, and a note on why."""
        return replace(self, given=self.given | given, said=[*self.said, said])

    def copy(self) -> "Call":
        """With an object and inputs of its own."""
        given = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.given.items()}
        return replace(self, thing=copied(self.thing), given=given)

    def function(self, which: str, thing: Any) -> Any:
        how = getattr(self, which)
        return getattr(thing, how) if isinstance(how, str) and not is_code(how) else how


class Life:
    """One copy of the object: forward as often as you like, then backward."""

    def __init__(self, call: Call) -> None:
        self.call, self.thing = call, copied(call.thing)
        self.outputs: list[Any] = []
        self.rest: list[Any] = []  # what forward returned besides arrays
        self.returned: Any = None
        self.dy: Any = None  # as backward got it
        self.used = False  # a pass has been made: the next one starts with a reset

    def forward(self) -> Array:
        seeded(self.call.seed)
        for name in self.call.resets if self.used else ():
            getattr(self.thing, name)()
        self.used = True
        self.values = {
            k: argument_copy(v) if isinstance(v, np.ndarray) else copy.deepcopy(v)
            for k, v in self.call.given.items()
        }
        returned = self._run("forward", self.values)
        nothing = returned is None or returned is self.thing
        self._split(self._left_behind() if nothing else returned)
        return self._as_one()

    def backward(self, dy: Array) -> Any:
        """What backward returns: gradients or None."""
        call = self.call
        if call.backward is None:
            self.returned = self.rest[0] if len(self.rest) == 1 else self.rest
            return self.returned
        sources = self._sources(dy)
        given = {name: sources[source] for name, source in call.plan.items() if source in sources}
        self.dy = sources.get("dY")  # for code, too
        self.returned = self._run("backward", given)
        if call.reduction == "derivative":
            with guarded("the derivative times dY"):
                self.returned = self.returned * dy
        return self.returned

    @property
    def returned_more(self) -> bool:
        """Besides its output: a cache, a state."""
        return bool(self.rest) or len(self.outputs) > 1

    # what is handed over

    def _sources(self, dy: Array) -> dict[str, Any]:
        given = self.defaults | self.values
        sources = {f"in {name}": value for name, value in given.items()}
        sources |= {f"held {p}": a for p, a in walk(self.thing) if isinstance(a, np.ndarray)}
        sources |= {"rate": 1.0, "optimizer": Optimizer(), "out": self.outputs[0], "flag": True}
        rest = [*self.outputs[max(1, self.call.upstreams) :], *self.rest]
        rest = self.rest if len(self.rest) == 1 else rest  # what is no array is the cache
        sources["cache"] = rest[0] if len(rest) == 1 else tuple(rest)
        sources["context"] = next((v for v in given.values() if isinstance(v, Context)), None)
        shapes = [np.shape(out) for out in self.outputs[: max(1, self.call.upstreams)]]
        ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
        for k, piece in enumerate(np.split(np.asarray(dy).ravel(), ends)):
            whole = argument_copy(np.asarray(dy)) if len(shapes) == 1 else piece.reshape(shapes[k])
            if self.call.writes_dy:
                whole = np.array(whole)
            sources["dY" + str(k or "")] = whole if whole.ndim else float(whole)
        return sources

    @property
    def defaults(self) -> dict[str, Any]:
        """The arguments of forward that nobody gave, as backward may want them."""
        how = self.call.function("forward", self.thing)
        ps = [] if is_code(how) else arguments(how)
        return {p.name: p.default for p in ps if p.default is not p.empty}

    def _run(self, which: str, given: dict[str, Any]) -> Any:
        function = self.call.function(which, self.thing)
        with guarded(which, self._advice):
            if is_code(function):
                names = dict(self.call.scope, np=np, layer=self.thing, **self.values)
                names |= {"X": next(iter(self.values.values()), None)}
                names |= {
                    "dY": self.dy,
                    "out": (self.outputs or [None])[0],
                    "cache": self.rest,
                } | given
                return eval(function, names)
            kinds = {p.name: p.kind for p in arguments(function)}
            by_place = (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL)
            loose = [k for k in given if kinds.get(k, Parameter.VAR_POSITIONAL) in by_place]
            named = {k: v for k, v in given.items() if k not in loose}
            return function(*(given[k] for k in loose), **named)

    # what comes back

    def _left_behind(self) -> Any:
        """Nothing returned: the array that forward set last, the one called output first."""
        if self.call.output is not None:
            return get(self.thing, self.call.output)
        before = dict(walk(self.call.thing))
        given = [v for v in self.values.values() if isinstance(v, np.ndarray)]
        arrays = [(p, a) for p, a in walk(self.thing)]
        new = [p for p, a in arrays if not any(a is v for v in given)
               and not (p in before and same(before[p], a))]  # fmt: skip
        new = new or [p for p, _ in arrays if re.match("out", str(p[-1]))]
        called = re.compile(r"out|result|loss|y_?hat|activation", re.I)
        if not new:
            raise CannotCheck(
                "forward returned None, and set no array like self.output: a forgotten return?"
            )
        self.call.output = ([p for p in new if called.search(str(p[-1]))] or new)[-1]
        return get(self.thing, self.call.output)

    def _split(self, returned: Any) -> None:
        """y; (y, cache); (h, c); {"out": y}: what is no array of numbers is no output."""
        parts = list(returned.values()) if isinstance(returned, dict) else returned
        parts = list(parts) if isinstance(parts, (tuple, list)) else [parts]
        numbers = all(isinstance(p, (float, np.floating)) for p in parts)
        if isinstance(returned, list) and numbers:
            parts = [np.array(parts)]
        self.outputs = [p for p in parts if _is_number(p)]
        self.rest = [p for p in parts if not _is_number(p)]
        if not self.outputs:
            kind = ", ".join(type(p).__name__ for p in parts) or "nothing"
            raise CannotCheck(
                f"forward returned {kind}, expected an array or a number{tensor_advice(parts)}"
            )
        if self.call.backward is None:  # one function that returns (loss, gradients)
            self.outputs, self.rest = self.outputs[:1], [*self.outputs[1:], *self.rest]

    def _as_one(self) -> Array:
        """The outputs whose upstream gradients backward takes, as one array."""
        used = [np.asarray(out) for out in self.outputs[: max(1, self.call.upstreams)]]
        y = used[0] if len(used) == 1 else np.concatenate([a.ravel() for a in used])
        y = y.astype(np.float64) if y.dtype.kind in "iub" else y
        if y.dtype.kind != "f":
            raise CannotCheck(f"forward returned an array of {y.dtype}, expected real numbers")
        how: dict[str, Any] = {
            "sum": np.sum,
            "mean": np.mean,
            "mean of samples": lambda y: y.sum() / len(y),
        }
        return how.get(self.call.reduction, np.asarray)(y)

    def _advice(self, error: BaseException) -> str:
        """What to try next, if something was not built, or is no integer."""
        said, line = str(error), where(error)
        empty = [k for k, v in getattr(self.thing, "__dict__", {}).items() if v is None]
        unbuilt = "None" in said or any(re.search(rf"\b{k}\b", line) for k in empty)
        if unbuilt or isinstance(error, (AttributeError, KeyError)):
            return " (built by another call? --setup 'layer.build(3)')"
        if re.search(r"integer|indices|slice", said):
            return " (labels or indices? --input 5:int4; a whole number? --input =2)"
        return ""


def _is_number(value: Any) -> bool:
    """An array of numbers, or a number; a flag or a count is none."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiubc" and not isinstance(value, Constant)
    return isinstance(value, (float, int, np.number)) and not isinstance(value, bool)


def tensor_advice(things: Iterable[Any]) -> str:
    """How to check an autograd, if one of these is a tensor that differentiates itself."""
    kinds = [type(thing).__name__ for thing in things if hasattr(type(thing), "backward")]
    return "".join(
        f": of a {T}, say --forward 'layer({T}(X)).data' "
        f"--backward '(layer({T}(X)) * {T}(dY)).sum().backward()' --input 5,3:const --accumulates"
        for T in kinds[:1]
    )


def module_scope(thing: Any) -> dict[str, Any]:
    """The names in the file that an object comes from."""
    module = sys.modules.get(getattr(thing, "__module__", None) or type(thing).__module__)
    return dict(vars(module)) if module else {}
