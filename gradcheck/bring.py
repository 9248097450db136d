"""Bring your own layer: from an object, or a pair of functions, to a case that can be judged.

Several readings of an interface may be possible (are the labels one-hot? does the loss want its own
output back?). They are tried in order; the first under which everything is right is the verdict, for
then it is right; otherwise the first that could be called at all is reported.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from gradcheck import leaves
from gradcheck.calls import Call, Run, assign, is_real
from gradcheck.case import Array, Case, check_case, spread
from gradcheck.core import CannotCheck
from gradcheck.load import guarded, quiet
from gradcheck.signature import (
    BACKWARD,
    DERIVATIVE,
    FORWARD,
    Argument,
    backward_roles,
    forward_roles,
    method,  # fmt: skip
    parameters,
)

__all__ = ["Options", "layer_case", "function_case"]


@dataclass
class Options:
    """What the command line, or a caller, says beyond the object itself."""

    params: list[str] | None = None
    grads: list[str] | None = None
    columns: bool = False
    label_input: bool = False
    forward: str | None = None
    backward: str | None = None
    no_dx: bool = False  # the first layer of a net: nobody needs dX
    keep: bool = False  # leave parameters as built
    mean: bool = False  # gradients of parameters are divided by the batch on purpose
    setup: str | None = None  # code to run on the object first
    seed: int = 0
    generators: tuple[np.random.Generator, ...] = ()


def layer_case(layer: Any, inputs: list[Any], options: Options, name: str = "") -> Case:
    """A case from an object that has something like forward and backward."""
    if options.setup:
        _set_up(layer, options.setup)
    forward = method(layer, FORWARD, options.forward)
    backward = method(layer, BACKWARD, options.backward)
    derivative = None if options.backward else method(layer, DERIVATIVE)
    if forward is None or (backward is None and derivative is None and forward != "loss"):
        have = ", ".join(
            n for n in dir(layer) if callable(getattr(layer, n)) and not n.startswith("__")
        )
        lack = "forward" if forward is None else "backward"
        raise CannotCheck(
            f"{type(layer).__name__} has no {lack} method; it has {have or 'none'} (--{lack} NAME)"
        )
    _training_mode(layer)
    readings = []
    for back in dict.fromkeys(n for n in (backward, derivative) if n) or [None]:
        readings.append(
            (forward, back, back == derivative and back not in ("backward", options.backward))
        )
    if forward != "__call__" and "__call__" in dir(layer) and not options.forward:
        readings += [("__call__", back, derivative) for _, back, derivative in readings]
    wanted = name or type(layer).__name__
    return _best(
        _readings(layer, readings, inputs, options, wanted),
        f"{wanted}.{forward} and {backward or derivative}",
    )


def function_case(forward: Callable, backward: Callable | None, inputs: list[Any], options: Options,
                  name: str = "") -> Case:  # fmt: skip
    """A case from two functions, or from one that returns (loss, gradients)."""
    names = [getattr(f, "__name__", "function") if f else None for f in (forward, backward)]
    derivative = bool(backward) and any(
        w in (names[1] or "").lower() for w in ("prime", "deriv", "grad", "d_")
    )
    reading = (names[0], names[1], derivative)
    return _best(
        _readings(None, [reading], inputs, options, name or str(names[0]), (forward, backward)),
        str(names[0]),
    )


def _set_up(layer: Any, code: str) -> None:
    scope = {**vars(inspect.getmodule(type(layer)) or np), "np": np, "layer": layer}
    with guarded(f"--setup {code!r}"):
        exec(code, scope)


def _training_mode(layer: Any) -> None:
    """Training flags on; a learning rate of 1, so that an update inside backward is the gradient."""
    for path, v in list(leaves.leaves(layer)):
        if isinstance(v, float) and re.fullmatch(r"_?(lr|l_rate|learn(ing)?_?rate|eta)", str(path[-1])):
            leaves.put(layer, path, 1.0)
    for flag in ("training", "is_training", "train_mode", "train", "is_train", "trainable"):
        if isinstance(getattr(layer, flag, None), bool):
            setattr(layer, flag, True)


# --- readings -----------------------------------------------------------------


def _readings(layer: Any, names: list, inputs: list[Any], options: Options, title: str,
              functions: tuple = (None, None)) -> Iterator[tuple[str, Callable[[], Case]]]:  # fmt: skip
    """Every way in which this interface may be meant, the likeliest first, each as a builder."""
    for forward, backward, derivative in names:
        f = getattr(layer, forward) if layer is not None else functions[0]
        b = (getattr(layer, backward) if layer is not None else functions[1]) if backward else None
        roles = forward_roles(f, len(inputs))
        kinds = (
            ("positive", "given", "whole")
            if _wants_probabilities(f, layer, roles)
            else ("given", "positive", "whole")
        )
        for kind, labels in product(kinds, _labellings(roles, inputs, options)):
            made, args, label, labelled = labels
            values = _inputs_as(kind, made, layer, options)
            if values is None:
                continue
            plans = backward_roles(b, args, labelled) if b is not None else [[]]
            single = derivative and len(parameters(b)) == 1
            if single:
                own = [Argument(parameters(b)[0].name, "prediction")]
                plans = (
                    [own, *plans] if "input" not in {a.role for p in plans for a in p} else [own]
                )
            for plan in plans:
                for how in _reductions(plan, b is None, single and plan == plans[0]):

                    def build(values=values, args=args, label=label, plan=plan, how=how, f=f, b=b,
                              forward=forward, backward=backward, kind=kind) -> Case:  # fmt: skip
                        call = Call(copy.deepcopy(layer), (forward, backward), (f, b), args, plan,
                                    [v.copy() if isinstance(v, np.ndarray) else v for v in values],
                                    label, how, list(options.generators))  # fmt: skip
                        return _build(call, options, title, kind)

                    yield kind, build


def _reductions(plan: list[Argument], fused: bool, derivative: bool) -> list[str]:
    if derivative:
        return ["derivative"]
    if fused or not any(a.role == "upstream" for a in plan):
        return ["", "sum", "mean", "mean of samples"]
    return [""]


def _wants_probabilities(forward: Callable, layer: Any, roles: list[Argument]) -> bool:
    """A loss whose source takes a log, or clips, and computes no softmax or sigmoid before that."""
    if not any("label" in a.role for a in roles):
        return False
    try:
        source = inspect.getsource(type(layer) if layer is not None else forward)
    except (OSError, TypeError):
        return False
    return bool(re.search(r"\blog\(|\bclip\(", source)) and not re.search(
        r"exp\(|softmax|sigmoid", source, re.I
    )


def _inputs_as(kind: str, inputs: list[Any], layer: Any, options: Options) -> list[Any] | None:
    """The same inputs in (0, 1), or as whole numbers, for what cannot take real ones."""
    rng = np.random.default_rng(options.seed)
    if kind == "given":
        return inputs
    if not is_real(inputs[0]):
        return None
    if kind == "positive":
        return [(spread(v.shape, rng) + 1.1) / 2.2 if is_real(v) else v for v in inputs]
    rows = [v.shape[0] for _, v in leaves.leaves(layer) if is_real(v) and v.ndim == 2]
    return [rng.integers(min(rows, default=3), size=inputs[0].shape), *inputs[1:]]


def _labellings(roles: list[Argument], inputs: list[Any], options: Options) -> Iterator[tuple]:
    """(inputs, roles, made label, is there a label) for every kind of label that may be wanted."""
    place = next((k for k, a in enumerate(roles) if a.role in ("label", "made_label")), None)
    maybe = next((k for k, a in enumerate(roles) if a.role == "maybe_label"), None)
    if options.label_input and place is None:
        given = [k for k, a in enumerate(roles) if a.role in ("input", "maybe_label")]
        place = given[-1] if len(given) > 1 else None
    plain = [a._replace(role="input") if a.role == "maybe_label" else a for a in roles]
    pred = next((inputs[a.index] for k, a in enumerate(roles) if a.role in ("input", "maybe_label") and k != place
                 and is_real(inputs[a.index])), None)  # fmt: skip
    if (place is None and maybe is None) or pred is None:
        yield inputs, plain, None, False
        return
    if place is None:
        yield inputs, plain, None, False  # y may be an ordinary second input
    at = maybe if place is None else place
    args = [
        a._replace(role="label") if k == at and a.role != "made_label" else a
        for k, a in enumerate(plain)
    ]
    if roles[at].role == "made_label":
        for label in _labels(pred, None, options):
            yield inputs, args, label, True
        return
    slot = roles[at].index
    if not is_real(inputs[slot]):
        yield inputs, args, inputs[slot], True
        return
    for label in _labels(pred, inputs[slot].shape, options):
        yield [label if k == slot else v for k, v in enumerate(inputs)], args, label, True


def _labels(pred: Array, shape: tuple[int, ...] | None, options: Options) -> Iterator[Array]:
    """One-hot rows, class numbers (N,), class numbers (N, 1); real targets at last."""
    rng = np.random.default_rng(options.seed + 1)
    axis = 0 if options.columns else -1
    classes = pred.shape[axis] if pred.ndim > 1 else 1
    rest = tuple(np.delete(pred.shape, axis)) if pred.ndim > 1 else pred.shape
    numbers = rng.integers(max(classes, 2), size=rest)
    onehot = (
        np.moveaxis(np.eye(max(classes, 2))[numbers], -1, axis)
        if classes > 1
        else numbers.astype(float)
    )
    onehot = onehot.reshape(pred.shape)
    kinds = [
        onehot,
        numbers,
        np.expand_dims(numbers, axis),
        spread(pred.shape, rng),
        2 * onehot - 1,
    ]
    if shape is not None and shape not in {k.shape for k in kinds}:
        yield rng.integers(max(classes, 2), size=shape)
        return
    yield from (k for k in kinds if shape is None or k.shape == shape)


# --- one reading --------------------------------------------------------------


def _build(call: Call, options: Options, title: str, kind: str) -> Case:
    notes = [{"positive": "inputs are taken from (0, 1), as for probabilities",
              "whole": "the input is whole numbers (indices): it has no gradient"}.get(kind, "")]  # fmt: skip
    notes += _to_float64(call)
    try:
        copy.deepcopy(call.thing)
    except Exception:
        call.copies = False
        notes.append("the object cannot be copied: all calls share it")
    _build_parameters(call, notes)
    if not options.keep and call.thing is not None:
        _scatter(call, options)
    probe = call.start()
    before_forward = _snapshot(probe.thing)
    y = probe.forward()
    if not np.isfinite(y).all():
        raise CannotCheck("the output holds nan or inf")
    if (
        call.reduction == ""
        and y.size > 1
        and call.backward_args is not None
        and not call.upstreams
    ):
        raise CannotCheck(
            "backward takes no upstream gradient, so that forward should return one number"
        )
    _refuse_hidden_float32(call, y)
    if call.reduction:
        notes.append(
            {"derivative": "read as f and f': the gradient is upstream x f'"}.get(
                call.reduction,
                f"no upstream gradient is taken: the loss is the {call.reduction} of what forward returns",
            )
        )
    before = _snapshot(probe.thing)
    dy = np.ones(np.shape(y)) * 0.7
    probe.backward(dy if call.upstreams or call.reduction == "derivative" else np.ones(np.shape(y)))
    return _Finder(
        call, options, title, probe, before_forward, before, [n for n in notes if n]
    ).case()


def _refuse_hidden_float32(call: Call, y: Array) -> None:
    """If the last digits of the input make no difference but its first ones do, they are cut off."""
    real = [v for v in call.inputs if is_real(v)]

    def moved(step: float) -> bool:
        before = [v.copy() for v in real]
        for v in real:
            v += step * (1 + abs(v))
        try:
            return not _equal(call.start().forward(), y)
        finally:
            for v, old in zip(real, before, strict=True):
                v[...] = old

    if real and not moved(1e-11) and not moved(-1e-11) and moved(1e-3):
        raise CannotCheck("forward rounds its input to float32: differences need float64 (--float64)")


def _snapshot(thing: Any) -> dict:
    return {path: np.array(v) for path, v in leaves.leaves(thing)}


def _to_float64(call: Call) -> list[str]:
    """float32 attributes become float64: differences need it, and the code is the same code."""
    done: dict[int, Array] = {}
    for path, v in list(leaves.leaves(call.thing)):
        if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.dtype != np.float64:
            done.setdefault(id(v), v.astype(np.float64))
            leaves.put(call.thing, path, done[id(v)])
    return ["float32 arrays of the object were converted to float64 for the check"] if done else []


def _build_parameters(call: Call, notes: list[str]) -> None:
    """Layers that build their parameters in the first forward pass have had one."""
    if call.thing is None:
        return
    run = call.start()
    names = {path for path, v in leaves.leaves(call.thing) if is_real(v)}
    run.forward()
    born = [
        p
        for p, v in leaves.leaves(run.thing)
        if is_real(v) and p not in names and leaves.looks_like_parameter(p)
    ]
    if any(
        leaves.kin(leaves.label(p).split(".")[-1], w)
        for p in born
        for w in ("W", "b", "gamma", "beta")
    ):
        for name, empty in vars(call.thing).items() if hasattr(call.thing, "__dict__") else ():
            if isinstance(empty, list | dict) and not empty and name not in {p[0] for p in born}:
                setattr(run.thing, name, type(empty)())  # what forward collects, not parameters
        call.thing = run.thing
        notes.extend(_to_float64(call))


def _scatter(call: Call, options: Options) -> None:
    """Generic values: gamma = 1, b = 0 would hide a forgotten gamma, and sit on kinks."""
    rng = np.random.default_rng(options.seed + 2)
    seen: set[int] = set()
    held = dict(leaves.leaves(call.thing))
    gradients = leaves.match(list(held), list(held.items()), set(), {p: () for p in held}).values()
    for path, v in held.items():
        if (
            is_real(v)
            and leaves.looks_like_parameter(path)
            and id(v) not in seen
            and v.flags.writeable
            and path not in gradients
        ):
            seen.add(id(v))
            v[...] = spread(v.shape, rng, 0.7)


class _Finder:
    """Find the parameters, and where their gradients appear after one backward pass."""

    def __init__(self, call: Call, options: Options, title: str, probe: Run, before_forward: dict,
                 before: dict, notes: list[str]) -> None:  # fmt: skip
        self.call, self.options, self.title, self.notes = call, options, title, notes
        self.probe, self.before = probe, before
        self.after = dict(leaves.leaves(probe.thing))
        self.changed = {
            p for p, v in self.after.items() if p not in before or not _equal(before[p], v)
        }
        fwd = call.forward_args
        self.inputs = {
            a.name if a.name != "*" else f"x{a.index}": call.inputs[a.index]
            for a in fwd if a.role == "input" and is_real(call.inputs[a.index])
        }  # fmt: skip
        if call.thing is not None and len(self.inputs) == 1:
            self.inputs = {"X": next(iter(self.inputs.values()))}
        for a in fwd:  # a dictionary of arrays is a parameter store
            if a.role == "input" and isinstance(call.inputs[a.index], dict):
                self.inputs |= {k: v for k, v in call.inputs[a.index].items() if is_real(v)}

    def case(self) -> Case:
        params = self._parameters()
        found = self._gradients(params)
        wanted = {**{k: v.shape for k, v in self.inputs.items()},
                  **{leaves.label(p): np.shape(leaves.get(self.call.thing, p)) for p in params}}  # fmt: skip
        returned = assign(self.probe.returned, wanted)
        sources: dict[str, tuple[str, Any]] = {name: ("leaf", path) for name, path in found.items()}
        sources |= {
            name: ("returned", path) for name, path in returned.items() if name not in found
        }
        arrays = dict(self.inputs)
        for p in params:
            name = leaves.label(p)
            if name not in sources and p in self.changed:
                sources[name] = ("step", p)
            if name in sources:
                arrays[name] = self._as_array(p, sources[name])
        stepped = ", ".join(name for name, (kind, _) in sources.items() if kind == "step")
        if stepped:
            self.notes.append(
                f"backward itself updates {stepped}: the gradient is taken from that step"
            )
        self._missing(params, sources)
        if self.options.no_dx:
            arrays = {k: v for k, v in arrays.items() if k not in self.inputs}
        return self._assemble(arrays, sources)

    # parameters and the leaves that hold their gradients

    def _parameters(self) -> list[leaves.Path]:
        thing = self.call.thing
        if thing is None:
            return []
        held = list(leaves.leaves(thing))
        if self.options.params is not None:
            return [_named(held, name, "parameter") for name in self.options.params]
        seen: set[int] = set()
        paths = []
        for path, v in held:
            if is_real(v) and (v.size == 0 or id(v) in seen):
                continue
            seen.add(id(v))
            if is_real(v) or isinstance(v, (float, np.floating)):
                paths.append(path)
        shapes = {p: np.shape(v) for p, v in held}
        grads = leaves.match(paths, list(self.after.items()), self.changed, shapes)
        gradients = set(grads.values())
        known = [p for p in grads if p not in gradients]
        return known + [
            p for p in paths
            if p not in grads and p not in gradients and is_real(leaves.get(thing, p))
            and (p in self.changed or leaves.looks_like_parameter(p))
            and not _is_gradient_name(p, paths) and not leaves.STATE.search(leaves.label(p))
        ]  # fmt: skip

    def _gradients(self, params: list[leaves.Path]) -> dict[str, leaves.Path]:
        held = list(self.after.items())
        if self.options.grads is not None:
            if len(self.options.grads) != len(params):
                raise CannotCheck(
                    f"--grads names {len(self.options.grads)} arrays for {len(params)} parameters"
                )
            return {
                leaves.label(p): _named(held, g, "gradient")
                for p, g in zip(params, self.options.grads, strict=False)
            }
        shapes = {p: np.shape(leaves.get(self.call.thing, p)) for p in params}
        found = leaves.match(params, held, self.changed, shapes)
        named = {leaves.label(p): path for p, path in found.items()}
        parts = self.probe.returned
        if not isinstance(parts, np.ndarray) and self.inputs and "X" in self.inputs:  # self.dinputs
            names = {base.lower(): path for path, v in held if isinstance(v, np.ndarray) for _, base in leaves.as_gradient(path)
                     if path in self.changed or path not in self.before}  # fmt: skip
            path = next(
                (
                    names[w]
                    for w in ("x", "input", "inputs", "in", "a_prev", "prev", "data")
                    if w in names
                ),
                None,
            )
            if path and parts is None:
                named["X"] = path
        return named

    def _as_array(self, p: leaves.Path, source: tuple[str, Any]) -> Array:
        """The parameter as an array that can be moved in place; gamma = 1.0 becomes one."""
        v = leaves.get(self.call.thing, p)
        if isinstance(v, np.ndarray):
            return v
        grad = np.asarray(self._fetch(self.probe, source, {}))
        array = np.full(grad.shape, float(v))
        leaves.put(self.call.thing, p, array)
        return array

    def _missing(self, params: list[leaves.Path], sources: dict) -> None:
        lost = [p for p in params if leaves.label(p) not in sources and self._matters(p)]
        if not lost:
            return
        arrays = [".".join(map(str, p)) for p, v in self.after.items() if isinstance(v, np.ndarray)]
        got = list(sources)
        raise CannotCheck(
            f"no gradient found for {', '.join(leaves.label(p) for p in lost)} (found for: {', '.join(got) or 'none'}); "
            f"after backward the object holds {', '.join(arrays) or 'no arrays'}: "
            "is one never computed? else say --params W,b --grads dW,db"
        )

    def _matters(self, p: leaves.Path) -> bool:
        """Does the output depend on it?"""
        v, y = leaves.get(self.call.thing, p), self.call.start().forward()
        before = v.copy()
        v += 0.1
        moved = self.call.start().forward()
        v[...] = before
        return not _equal(y, moved)

    # the case

    def _assemble(self, arrays: dict[str, Array], sources: dict) -> Case:
        call, inputs = self.call, tuple(self.inputs)
        if not arrays:
            raise CannotCheck(
                "nothing to check: no input of real numbers, no parameter with a gradient"
            )
        nothing = [k for k in inputs if k not in sources]
        if call.thing is None and nothing:
            raise CannotCheck(
                f"backward gave no gradient for {', '.join(nothing)} (hold an input constant: 5,3:const)"
            )
        reshaped: set[str] = set()
        mean = (
            arrays[inputs[0]].shape[1 if self.options.columns else 0]
            if self.options.mean and inputs
            else 1
        )

        def open_() -> tuple:
            run = call.start()

            def backward(dy: Array) -> dict[str, Array]:
                before = {
                    p: np.array(leaves.get(run.thing, p))
                    for kind, p in sources.values()
                    if kind == "step"
                }
                run.backward(dy)
                grads = {}
                for name, p in arrays.items():
                    grad = self._fetch(run, sources.get(name, ("none", ())), before)
                    grad = np.array(np.nan if grad is None else grad)
                    if name != next(iter(inputs), None):
                        grad = grad * mean
                    if _same_but_for_ones(grad.shape, p.shape):
                        reshaped.add(
                            f"d{name} has shape {grad.shape}, {name} {p.shape}: the same but for 1s, let pass"
                        )
                        grad = grad.reshape(p.shape)
                    grads[name] = grad
                return grads

            return run.forward, backward

        case = Case(self.title, arrays, open_, inputs=inputs, takes_upstream=bool(call.upstreams)
                    or call.reduction == "derivative", notes=self.notes)  # fmt: skip
        case.backward(np.ones(np.shape(case.forward())))
        case.notes += sorted(reshaped)
        self._describe(case, sources)
        return case

    def _describe(self, case: Case, sources: dict) -> None:
        X = next(iter(self.inputs.values()), None)
        if X is not None and X.ndim:
            axis = 1 if self.options.columns and X.ndim > 1 else 0
            case.batch_axis = axis
            case.sizes = {"features": X.size // X.shape[axis], "batch": X.shape[axis]}
            if X.ndim == 4:
                case.sizes = {
                    "channels": X.shape[1],
                    "pixels": X.shape[2] * X.shape[3],
                    "batch": X.shape[0],
                }
            y = np.shape(case.forward())
            if len(y) == 2:
                case.sizes = {"outputs": y[1 - axis], **case.sizes}
        if self.call.label is not None:
            case.constants["labels"] = np.asarray(self.call.label, float)
            case.loose = 1e-5
        steps = {name: p for name, (kind, p) in sources.items() if kind == "step"}
        case.instead = {name: ("updated already", self._updated(p)) for name, p in steps.items()}
        if "X" in case.arrays and sources.get("X") is None:
            case.hints["X"] = (
                "backward returned None and set no self.dinputs: a forgotten return? "
                "(--no_dx for the first layer of a net)"
            )

    def _updated(self, p: leaves.Path) -> Callable[[Array], Array]:
        """dy -> the parameter after the step that backward(dy) takes."""

        def after(dy: Array) -> Array:
            run = self.call.start()
            run.forward()
            run.backward(dy)
            return np.array(leaves.get(run.thing, p))

        return after

    def _fetch(self, run: Run, source: tuple[str, Any], before: dict) -> Any:
        kind, path = source
        if kind == "none":
            return np.nan
        if kind == "returned":
            return leaves.get(run.returned, path)
        value = leaves.get(run.thing, path)
        return before[path] - value if kind == "step" else value


def _equal(u: Any, v: Any) -> bool:
    return np.shape(u) == np.shape(v) and bool(np.array_equal(u, v, equal_nan=True))


def _same_but_for_ones(grad: tuple[int, ...], p: tuple[int, ...]) -> bool:
    """(4,) for (1, 4): b - lr db still has b's numbers; (4,) for (4, 1) would give (4, 4)."""
    if grad == p or [k for k in grad if k != 1] != [k for k in p if k != 1]:
        return False
    return int(np.prod(np.broadcast_shapes(grad, p))) == int(np.prod(p))


def _named(held: list, name: str, what: str) -> leaves.Path:
    for path, _ in held:
        if name in (".".join(map(str, path)), leaves.label(path), str(path[-1]) if path else ""):
            return path
    have = ", ".join(".".join(map(str, p)) for p, v in held if isinstance(v, np.ndarray))
    raise CannotCheck(f"no {what} {name!r}; the object holds {have or 'no arrays'}")


def _is_gradient_name(path: leaves.Path, paths: list[leaves.Path]) -> bool:
    return any(leaves.match([p], [(path, 0.0)], set(), {p: ()}) for p in paths if p != path)


def _best(readings: Iterator[tuple[str, Callable[[], Case]]], what: str) -> Case:
    """The first reading in which all is right; else the first that can be called.

    Inputs of another kind are for what cannot take real ones: a ReLU without a mask is right in (0, 1).
    """
    first: Case | None = None
    most, first_kind = -1, ""
    trouble: CannotCheck | None = None
    for kind, build in readings:
        if first is not None and kind != first_kind:
            continue
        if kind == "positive" and trouble and "nan" not in str(trouble):
            continue
        if kind == "whole" and not re.search(r"\bind(ex|ic)|integer|slice", str(trouble)):
            continue
        try:
            with quiet():
                case = build()
                checked = check_case(case, np.random.default_rng(0), seconds=1.0)
        except CannotCheck as error:
            trouble = trouble or error
            continue
        right = sum(not r.wrong.any() for r in checked.results.values())
        if right == len(checked.results):
            return case
        if right > most:
            first, most, first_kind = case, right, kind
    if first is None:
        raise trouble or CannotCheck(f"{what}: no way to call it was found")
    return first
