"""One reading of an interface: find the parameters, and where their gradients appear."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck import leaves
from gradcheck.calls import Call, Run, assign, by_name, is_real, parts_of
from gradcheck.case import Array, Case
from gradcheck.core import CannotCheck

__all__ = ["Options", "Finder", "equal"]


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


class Finder:
    """Find the parameters, and where their gradients appear after one backward pass."""

    def __init__(
        self,
        call: Call,
        options: Options,
        title: str,
        probe: Run,
        before: dict,
        notes: list[str],
    ) -> None:
        self.call, self.options, self.title, self.notes = call, options, title, notes
        self.probe, self.before = probe, before
        self.after = dict(leaves.leaves(probe.thing))
        self.changed = {
            p for p, v in self.after.items() if p not in before or not equal(before[p], v)
        }
        fwd = call.forward_args
        self.inputs = {
            a.name if a.name != "*" else f"x{a.place}": call.inputs[a.place]
            for a in fwd
            if a.role == "input" and is_real(call.inputs[a.place])
        }
        if call.thing is not None and len(self.inputs) == 1:
            self.inputs = {"X": next(iter(self.inputs.values()))}
        for a in fwd:  # a dictionary of arrays is a parameter store
            if a.role == "input" and isinstance(call.inputs[a.place], dict):
                self.inputs |= {k: v for k, v in call.inputs[a.place].items() if is_real(v)}

    def case(self) -> Case:
        params = self._parameters()
        found = self._gradients(params)
        params = self._with_unnamed(params, set(found.values()))
        wanted = {
            **{k: v.shape for k, v in self.inputs.items()},
            **{leaves.label(p): np.shape(leaves.get(self.call.thing, p)) for p in params},
        }
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
            p
            for p in paths
            if p not in grads
            and p not in gradients
            and is_real(leaves.get(thing, p))
            and (p in self.changed or leaves.looks_like_parameter(p))
            and not _is_gradient_name(p, paths)
            and not leaves.STATE.search(leaves.label(p))
        ]

    def _with_unnamed(
        self, params: list[leaves.Path], gradients: set[leaves.Path]
    ) -> list[leaves.Path]:
        """Arrays that move the output under names that say nothing: parameters, if backward
        returned something of their name or shape; else a note that they are not checked."""
        if self.call.thing is None or self.options.params is not None:
            return params
        held = {p: v.shape for p, v in leaves.leaves(self.call.thing) if is_real(v) and v.size}
        unnamed = [p for p in held if p not in params and p not in gradients and self._matters(p)]
        parts = parts_of(self.probe.returned)
        named = by_name([path for path, _ in parts], list(map(leaves.label, unnamed)))
        left = Counter(np.shape(v) for _, v in parts if isinstance(v, np.ndarray))
        left -= Counter([v.shape for v in self.inputs.values()] + [held.get(p) for p in params])
        shapes = Counter(held[p] for p in unnamed)
        taken = [p for p in unnamed if leaves.label(p) in named or left[held[p]] == shapes[held[p]]]
        self.notes += [
            f"{leaves.label(p)} {held[p]} moves the output and "
            "has no gradient that was found: not checked (--params, --grads)"
            for p in unnamed
            if p not in taken
        ]
        ours = [p for p in held if p in params or p in taken]  # in the order of the object
        return ours + [p for p in params if p not in held]

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
            names = {
                base.lower(): path
                for path, v in held
                if isinstance(v, np.ndarray)
                for _, base in leaves.as_gradient(path)
                if path in self.changed or path not in self.before
            }
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
            f"no gradient found for {', '.join(map(leaves.label, lost))} "
            f"(found for: {', '.join(got) or 'none'}); "
            f"after backward the object holds {', '.join(arrays) or 'no arrays'}: "
            "is one never computed? else say --params W,b --grads dW,db"
        )

    def _matters(self, p: leaves.Path) -> bool:
        """Does the output depend on it?"""
        v, y = leaves.get(self.call.thing, p), self.call.start().forward()
        before = v.copy()
        v += 0.1
        try:
            return not equal(y, self.call.start().forward())
        except CannotCheck:  # forward refuses the value that we made up
            return True
        finally:
            v[...] = before

    # the case

    def _assemble(self, arrays: dict[str, Array], sources: dict) -> Case:
        self._something_to_check(arrays, sources)
        call, reshaped = self.call, set[str]()

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
                for name in arrays:
                    grad = self._fetch(run, sources.get(name, ("none", ())), before)
                    grads[name] = self._as_gradient(name, grad, arrays, reshaped)
                return grads

            return run.forward, backward

        case = Case(
            self.title,
            arrays,
            open_,
            inputs=tuple(self.inputs),
            takes_upstream=bool(call.upstreams) or call.reduction == "derivative",
            notes=self.notes,
        )
        case.backward(np.ones(np.shape(case.forward())))
        case.notes += sorted(reshaped)
        self._describe(case, sources)
        return case

    def _something_to_check(self, arrays: dict[str, Array], sources: dict) -> None:
        if not arrays:
            raise CannotCheck(
                "nothing to check: no input of real numbers, no parameter with a gradient"
            )
        nothing = [k for k in self.inputs if k not in sources]
        if self.call.thing is None and nothing:
            raise CannotCheck(
                f"backward gave no gradient for {', '.join(nothing)} "
                "(--input 5,3:const for an input that has none)"
            )

    def _as_gradient(
        self, name: str, grad: Any, arrays: dict[str, Array], reshaped: set[str]
    ) -> Array:
        """What was found for an array, times the batch if it is a mean, in the array's shape."""
        grad, p = np.array(np.nan if grad is None else grad), arrays[name]
        first = next(iter(self.inputs), None)
        if self.options.mean and first is not None and name != first:
            grad = grad * arrays[first].shape[1 if self.options.columns else 0]
        if _same_but_for_ones(grad.shape, p.shape):
            reshaped.add(
                f"d{name} has shape {grad.shape}, {name} {p.shape}: the same but for 1s, let pass"
            )
            grad = grad.reshape(p.shape)
        return grad

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

    def _fetch(self, run: Run, source: tuple[str, Any], before: dict) -> Any:
        kind, path = source
        if kind == "none":
            return np.nan
        if kind == "returned":
            return leaves.get(run.returned, path)
        value = leaves.get(run.thing, path)
        return before[path] - value if kind == "step" else value


def equal(u: Any, v: Any) -> bool:
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
