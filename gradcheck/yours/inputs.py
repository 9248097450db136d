"""An object of a class, and its inputs, as the command line says them."""

import ast
import inspect
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.case import Constant, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.yours.load import DEFAULT_RNG, guarded, seeded

__all__ = ["Options", "Input", "construct", "make_input", "probabilities"]


@dataclass
class Options:
    """What the command line, or a caller, says beyond the object itself."""

    forward: str | None = None  # name of the method, or code
    backward: str | None = None
    setup: str | None = None  # code to run on the object first
    columns: bool = False  # samples are columns
    mean: bool = False  # gradients of parameters are divided by the batch on purpose
    seed: int = 0


@dataclass
class Input:
    """One input: its value, its name if one was said, and whether we made its numbers up."""

    value: Any
    name: str = ""
    made: bool = False


def make_input(text: str, rng: np.random.Generator, scale: float) -> Input:
    """What one --input says: a shape of real numbers, of whole numbers, or a value as it is.

    5,3  real numbers      5,3:int7  whole numbers 0 to 6      5,3:positive  real, in (0, 1)
    5,3:const  no gradient is expected      =2, stride=2, {'stride': 1}  a value, for an argument
    """
    name, equals, rest = re.fullmatch(r"\s*(?:([A-Za-z_]\w*)?(=))?(.*)", text, re.S).groups()  # type: ignore[union-attr]
    shape, _, kind = rest.strip().strip("()").partition(":")
    a_number = bool(equals) and re.fullmatch(r"\s*[+-]?\d+\s*", rest)
    if re.fullmatch(r"\s*\d*(\s*,\s*\d+)*\s*,?\s*", shape) and not a_number:
        sizes = tuple(int(word) for word in shape.split(",") if word.strip())
        array = _array(text, sizes, kind, rng, scale)
        return Input(array, name or "", made=kind != "const" and array.dtype.kind == "f")
    try:
        value = ast.literal_eval(rest.strip().removeprefix("+"))
    except (ValueError, SyntaxError):
        if equals and "np." in rest:
            with guarded(f"--input {text!r}"):
                return Input(eval(rest, {"np": np}), name or "")
        raise CannotCheck(
            f"--input {text!r} is neither a shape (5,3) nor a value (=2, {{'stride': 1}})"
        ) from None
    if isinstance(value, dict):
        shapes = [k for k, v in value.items() if isinstance(v, str) and re.fullmatch(r"[\d, ]+", v)]
        value |= {k: make_input(value[k], rng, 0.7).value for k in shapes}
    return Input(value, name or "")


def _array(
    text: str, sizes: tuple[int, ...], kind: str, rng: np.random.Generator, scale: float
) -> np.ndarray:
    if 0 not in sizes:
        if kind == "":
            return distinct_values(sizes, rng, scale)
        if kind == "const":
            return distinct_values(sizes, rng, scale).view(Constant)
        if kind == "positive":
            return probabilities(sizes, rng)
        if re.fullmatch(r"int[1-9]\d*", kind):
            return rng.integers(int(kind[3:]), size=sizes)
    raise CannotCheck(
        f"--input {text!r}: expected a shape as 5,3 or 5,3:int7, 5,3:positive, 5,3:const"
    )


def probabilities(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """From 0.1 to 0.9: nearer to 0 and 1 losses clip, on purpose."""
    return (distinct_values(shape, rng) + 1.25) / 2.5


def construct(thing: Any, name: str, args: str | None) -> Any:
    """An object of a class, its arguments written as in a call and read in their file."""
    if not isinstance(thing, type):
        return thing
    module = sys.modules.get(thing.__module__)
    scope = {"np": np, "numpy": np, "rng": DEFAULT_RNG(0), **(vars(module) if module else {})}
    try:
        call = ast.parse(f"_made_({args or ''})", mode="eval")
    except SyntaxError:
        raise CannotCheck(
            f"--args {args!r} is not a list of arguments, as in --args '3, 4, bias=True'"
        ) from None
    seeded()
    try:
        with guarded(f"{name}({args or ''})"):
            return eval(compile(call, "--args", "eval"), {**scope, "_made_": thing})
    except CannotCheck as error:
        if isinstance(error.__cause__, TypeError) and args is None:
            raise CannotCheck(
                f"{name}{_signature(thing)} needs arguments: say them as in a call, --args '3, 4'"
            ) from None
        raise


def _signature(thing: Any) -> str:
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return "(...)"
