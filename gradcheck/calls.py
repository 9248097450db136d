"""Call what a learner wrote as it wants to be called, and collect outputs and gradients."""

import copy
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from gradcheck import leaves
from gradcheck.case import Array, Constant, argument_copy
from gradcheck.core import CannotCheck
from gradcheck.load import seeded
from gradcheck.rules import where
from gradcheck.signature import Argument, fill

__all__ = ["Call", "Run", "is_real", "copied", "assign", "by_name", "parts_of"]

OUTPUTS = (
    "output",
    "outputs",
    "out",
    "y",
    "Y",
    "a",
    "A",
    "activation",
    "activations",
    "z",
    "Z",
    "result",
    "h",
    "probs",
    "loss",
    "_output",
    "y_hat",
    "y_pred",
    "O",
    "output_data",
    "value",
)


def is_real(value: Any) -> bool:
    """An array of real numbers whose gradient is checked."""
    number = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return number and not isinstance(value, Constant)


def uncopyable(thing: Any, depth: int = 4) -> dict[int, Any]:
    """What an object holds that Python cannot copy, by id: a module, a lock, an open file."""
    found: dict[int, Any] = {}
    for value in vars(thing).values() if hasattr(thing, "__dict__") else ():
        try:
            copy.deepcopy(value)
        except Exception:
            whole = depth == 0 or isinstance(value, types.ModuleType)
            found |= (not whole and uncopyable(value, depth - 1)) or {id(value): value}
    return found


def copied(thing: Any) -> Any:
    """A deep copy that shares what cannot be copied; the thing itself where even that fails."""
    try:
        return copy.deepcopy(thing, uncopyable(thing))
    except Exception:
        return thing


class Recorder:
    """Stands in for an optimizer: one plain step of size 1, so that W before - W after is dW."""

    lr = learning_rate = 1.0

    def update(self, w: Any, grad: Any, *more: Any) -> Any:
        return w - grad

    __call__ = step = optimize = update


@dataclass
class Call:
    """A thing (object or None), its two functions, and the values of their arguments."""

    thing: Any
    names: tuple[str, str | None]  # of the methods; functions: their own names
    functions: tuple[Callable, Callable | None]  # used where thing is None
    forward_args: list[Argument]
    backward_args: list[Argument]
    inputs: list[Any]
    label: Any = None
    reduction: str = ""  # "", "sum", "mean", "mean of samples", "derivative"
    generators: list[np.random.Generator] = field(default_factory=list)
    copies: bool = True

    def __post_init__(self) -> None:
        self.shared = uncopyable(self.thing)
        self.states = [copy.deepcopy(g.bit_generator.state) for g in self.generators]

    @property
    def upstreams(self) -> int:
        return len({a.place for a in self.backward_args if a.role == "upstream"})

    def start(self) -> "Run":
        return Run(self)

    def fresh(self) -> Any:
        return copy.deepcopy(self.thing, dict(self.shared)) if self.copies else self.thing


class Run:
    """One life of the thing: forward as often as you like, then backward."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.thing = call.fresh()

        def pick(k: int) -> Any:
            return (
                getattr(self.thing, str(call.names[k]))
                if self.thing is not None
                else call.functions[k]
            )

        self._forward = pick(0)
        self._backward = pick(1) if call.names[1] else None
        self.outputs: list[Any] = []
        self.cache: Any = None
        self.returned: Any = None
        self.context = Context()

    def forward(self) -> Array:
        call = self.call
        seeded()
        for g, state in zip(call.generators, call.states, strict=False):
            g.bit_generator.state = state
        values = {
            ("input", k): argument_copy(v) if isinstance(v, np.ndarray) else copy.deepcopy(v)
            for k, v in enumerate(call.inputs)
        }
        values |= {("label", k): v for (_, k), v in values.items()}
        values |= {
            ("made_label", 0): call.label,
            ("context", 0): self.context,
            ("train", 0): True,
            ("test", 0): False,
            ("mode", 0): "train",
        }
        self.values = values
        returned = self._run("forward", self._forward, call.forward_args, values)
        self._split(returned)
        return self._flat(self.outputs)

    def _run(self, what: str, function: Callable, args: list[Argument], values: dict) -> Any:
        positional, keywords = fill(args, values)
        try:
            return function(*positional, **keywords)
        except Exception as error:
            said = (str(error).strip().splitlines() or [""])[0]
            raise CannotCheck(
                f"{what} raised {type(error).__name__}: {said} ({where(error)})"
            ) from error

    def _split(self, returned: Any) -> None:
        """out; (out, cache); (h, c); (h, c, cache); nothing, but self.output."""
        if returned is None and self.thing is not None:
            held = [getattr(self.thing, n, None) for n in OUTPUTS]
            returned = next(
                (v for v in held if is_real(v) or isinstance(v, (float, np.floating))), None
            )
        if returned is None:
            raise CannotCheck(
                "forward returned None, and no attribute like self.output was set: "
                "a forgotten return?"
            )
        parts = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if isinstance(returned, list) and all(isinstance(p, (float, np.floating)) for p in parts):
            parts = [np.array(parts)]
        count = max(1, self.call.upstreams if len(parts) > 1 else 1)
        if self.call.names[1] is None:  # one function that returns (loss, gradients)
            count = 1
        self.outputs, rest = parts[:count], parts[count:]
        self.cache = rest[0] if len(rest) == 1 else tuple(rest)
        for out in self.outputs:
            if not isinstance(out, (np.ndarray, float, int, np.number)):
                raise CannotCheck(f"forward returned {_kind(out)}, expected an array or a number")

    def _flat(self, outputs: list[Any]) -> Array:
        arrays = [np.asarray(out) for out in outputs]
        if any(a.dtype.kind == "c" for a in arrays):
            raise CannotCheck("forward returned complex numbers")
        if any(a.dtype == object for a in arrays):
            raise CannotCheck("forward returned an array of objects, expected numbers")
        arrays = [a.astype(np.float64) if a.dtype.kind in "iub" else a for a in arrays]
        y = arrays[0] if len(arrays) == 1 else np.concatenate([a.ravel() for a in arrays])
        how = self.call.reduction
        if how in ("sum", "mean", "mean of samples") and np.ndim(y) == 0:
            raise CannotCheck("forward returns one number: there is nothing to sum")
        if how == "sum":
            return y.sum()
        if how == "mean":
            return y.mean()
        return y.sum() / len(y) if how == "mean of samples" else y

    def backward(self, dy: Array) -> Any:
        """What the backward function returns, gradients or None."""
        if self._backward is None:
            self.returned = self.cache
            return self.returned
        shapes = [np.shape(out) for out in self.outputs]
        values = self.values | {
            ("rate", 0): 1.0,
            ("optimizer", 0): Recorder(),
            ("cache", 0): self.cache,
            ("prediction", 0): next(v for v in self.call.inputs if is_real(v))
            if any(map(is_real, self.call.inputs))
            else None,
            ("output", 0): self._own_output(),
        }
        if self.call.reduction == "derivative":
            local = self._run("backward", self._backward, self.call.backward_args, values)
            self.returned = local * dy
            return self.returned
        for k, piece in enumerate(_pieces(dy, shapes)):
            values["upstream", k] = piece
        self.returned = self._run("backward", self._backward, self.call.backward_args, values)
        return self.returned

    def _own_output(self) -> Any:
        """The output, or what the object calls its output where that looks like the input."""
        shape = next((v.shape for v in self.call.inputs if is_real(v)), ())
        held = [getattr(self.thing, n, None) for n in OUTPUTS] if self.thing is not None else []
        alike = [v.copy() for v in held if isinstance(v, np.ndarray) and v.shape == shape]
        return alike[0] if alike else self.outputs[0]


class Context(types.SimpleNamespace):
    """What a function in the style of autograd.Function saves for its backward pass."""

    saved_tensors: tuple = ()

    def save_for_backward(self, *values: Any) -> None:
        self.saved_tensors = self.saved_values = values


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _pieces(dy: Array, shapes: list[tuple[int, ...]]) -> list[Any]:
    """The upstream gradient of each output; a number where the output is a number."""
    if len(shapes) == 1:
        return [dy if np.shape(dy) else float(dy)]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    return [part.reshape(s) for part, s in zip(np.split(dy, ends), shapes, strict=False)]


def assign(returned: Any, wanted: dict[str, tuple[int, ...]]) -> dict[str, tuple]:
    """Which part of what backward returned is the gradient of which array: name -> path into it.

    By name in a dictionary; in a tuple by place where the shapes agree, else by shape.
    """
    flat = parts_of(returned)
    found = by_name([path for path, _ in flat], list(wanted))
    rest = [
        (path, np.shape(v))
        for path, v in flat
        if path not in found.values() and not any(isinstance(k, str) for k in path)
    ]
    names = [name for name in wanted if name not in found]
    place = _by_shape if len(rest) < len(names) else _by_place
    return found | place(rest, {name: wanted[name] for name in names})


def by_name(paths: list[tuple], wanted: list[str]) -> dict[str, tuple]:
    """The paths whose last name, dW or "W", says that they lead to the gradient of an array."""
    found: dict[str, tuple] = {}
    for path in paths:
        names = [k for k in path if isinstance(k, str)]
        for _, base in leaves.as_gradient(("grads", names[-1])) if names else []:
            for name in wanted:
                last = name.split(".")[-1]
                both_inputs = {last.lower(), base.lower()} <= leaves.INPUT
                if name not in found and (leaves.kin(last, base) or both_inputs):
                    found[name] = path
    return found


def _by_place(rest: list[tuple], wanted: dict[str, tuple[int, ...]]) -> dict[str, tuple]:
    """In order, unless only another order fits the shapes."""
    straight, shapes = tuple(range(len(wanted))), list(wanted.values())
    orders = permutations(range(len(rest)), len(wanted)) if len(rest) <= 7 else [straight]
    fitting = (order for order in orders if [rest[k][1] for k in order] == shapes)
    order = straight if [rest[k][1] for k in straight] == shapes else next(fitting, straight)
    return {name: rest[k][0] for name, k in zip(wanted, order, strict=True)}


def _by_shape(rest: list[tuple], wanted: dict[str, tuple[int, ...]]) -> dict[str, tuple]:
    """Fewer gradients than arrays: each to its place, if its shape does not say otherwise."""
    names, chosen = list(wanted), {}
    for (path, shape), name in zip(rest, names, strict=False):
        same = [n for n in names if wanted[n] == shape and n not in chosen]
        if name not in chosen and (wanted[name] == shape or not same):
            chosen[name] = path
        elif same:
            chosen[same[0]] = path
    return chosen


def parts_of(returned: Any, path: tuple = ()) -> list[tuple[tuple, Any]]:
    """The arrays and numbers inside tuples, lists and dictionaries, with the way to each."""
    if isinstance(returned, dict):
        return [p for k, v in returned.items() for p in parts_of(v, (*path, k))]
    if isinstance(returned, (tuple, list)):
        return [p for k, v in enumerate(returned) for p in parts_of(v, (*path, k))]
    return [(path, returned)] if isinstance(returned, (np.ndarray, float, int, np.number)) else []
