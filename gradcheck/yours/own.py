"""One reading of a learner's interface as a case: arrays, forward, backward, and what to say."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.case import Array, Case, directions, random_signs, upstream
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.gradients import Sources, find_gradients, parts
from gradcheck.yours.probe import moving, scatter
from gradcheck.yours.signature import STRONG
from gradcheck.yours.walk import Path, get, groups, is_real, label, likeness, put, same, walk

__all__ = ["Options", "Own"]

PARAMETER = re.compile(
    r"(w|b|u|v|weights?|bias(es)?|kernels?|filters?|gamma|beta|theta|embeddings?)(_?\w{0,3})?", re.I
)


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
class Own:
    """A learner's layer, loss or pair of functions under one reading."""

    call: Call
    options: Options
    title: str
    params: dict[str, list[Path]] = field(default_factory=dict)  # all that move the output
    notes: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    sources: Sources = field(default_factory=dict)
    steps: set[str] = field(default_factory=set)  # backward itself moves these
    optimised: list[str] = field(default_factory=list)  # and these by a step that is no gradient
    arrays: dict[str, Array] = field(default_factory=dict)

    # --- what there is to check

    def build(self) -> "Own":
        """Find parameters and gradients; CannotCheck says why there is nothing to check."""
        call = self.call
        life = Life(call)
        y = life.forward()
        self._refuse(y)
        before = {p: np.array(v) for p, v in walk(life.thing)}
        dy = upstream(y, np.random.default_rng(1))  # ones would make a softmax's gradient 0
        life.backward(dy.copy())
        self._paths_of_parameters()
        nowhere: dict[str, list[Path]] = {name: [] for name in self.inputs}
        wanted = nowhere | self.params
        self.sources = find_gradients(call, life, before, wanted)
        self._refuse_gradient_of_label(life)
        self._numbers(life)
        self._steps(life, before)
        self._unnamed(life, before)
        self._still(life, before)
        self.arrays = dict(self.inputs)
        scatter(
            call, [self.params[n][0] for n in self.params if n in self.sources], self.options.seed
        )
        self.arrays |= {
            n: get(call.thing, self.params[n][0]) for n in self.params if n in self.sources
        }
        self._lost(y, life)
        self._notice(life, dy)
        return self

    @property
    def inputs(self) -> dict[str, Array]:
        """The arguments of forward of which a gradient is expected; a single one is X."""
        call, found = self.call, dict[str, Array]()
        for name, value in call.given.items():
            if isinstance(value, dict):  # a dictionary of arrays is a store of parameters
                found |= {k: v for k, v in value.items() if is_real(v)}
            elif is_real(value) and name != call.label:
                found[name.replace("*", "x")] = value
        if call.thing is not None and len(found) == 1:
            found = {"X": next(iter(found.values()))}
        return found

    def _refuse(self, y: Array) -> None:
        call = self.call
        if not np.isfinite(y).all():
            raise CannotCheck("the output holds nan or inf")
        if np.size(y) > 1 and not (call.upstreams or call.reduction or call.backward is None):
            raise CannotCheck(
                "backward takes no upstream gradient, so that forward should return one number "
                '(--forward "layer.forward(X).sum()")'
            )
        if np.size(y) > 1 and call.backward is None and not call.reduction:
            raise CannotCheck("forward returns (loss, gradients): the loss should be one number")

    def _refuse_gradient_of_label(self, life: Life) -> None:
        """A label that is only guessed has no gradient: else a wrong one would be left out."""
        label = self.call.label
        if label and not STRONG.fullmatch(label):
            if np.ndim(life.outputs[0]) > 1 and "dY" in self.call.plan.values():
                raise CannotCheck(f"no gradient for {label} came back")
            used = [p for paths in self.sources.values() for p in paths]
            if any(p not in used for p, v in parts(life.returned) if np.ndim(v)):
                raise CannotCheck(f"a gradient came back for {label}, too: it is no label")

    def _paths_of_parameters(self) -> None:
        thing, named = self.call.thing, dict[str, list[Path]]()
        for paths in moving(self.call) if thing is not None else ():
            short = label(thing, paths[0])
            whole = ".".join(map(str, paths[0]))
            named[whole if short in named or short in self.inputs else short] = paths
        self.params = named

    # --- gradients that no name told

    def _numbers(self, life: Life) -> None:
        """gamma = 1.0 with a dgamma: a plain number becomes an array of its gradient's shape."""
        thing = self.call.thing
        held = [(p, a) for p, a in walk(life.thing) if isinstance(a, np.ndarray)]
        for path, value in list(walk(thing)) if thing is not None else ():
            grads = [p for p, _ in held if p[:-1] == path[:-1] and likeness(str(path[-1]), p) == 3]
            if isinstance(value, float) and grads:
                shape = np.shape(get(life.thing, grads[0]))
                put(thing, path, np.full(shape, value))
                name = label(thing, path)
                self.params[name], self.sources[name] = [path], [grads[0]]

    def _steps(self, life: Life, before: dict[Path, Array]) -> None:
        """Parameters that backward itself changes: before - after is the gradient, if no other."""
        for name, paths in self.params.items():
            path = paths[0]
            if path in before and not same(before[path], get(life.thing, path)):
                if name not in self.sources and self._is_normalised(path):
                    self.optimised.append(name)
                elif name not in self.sources:
                    self.sources[name] = [path]
                    self.steps.add(name)
                elif self.call.upstreams and self._moves_without_upstream(path):
                    self.breaches.append(
                        f"backward changes {name} itself, even where dY is 0: a decay, or an "
                        "update that belongs elsewhere?"
                    )
        if self.steps:
            said = ", ".join(sorted(self.steps))
            self.notes.append(
                f"backward itself updates {said}: the gradient is taken from that step"
            )

    def _step(self, path: Path, scale: float) -> Array:
        """How far backward moves a parameter, for so many times an upstream gradient."""
        life = Life(self.call)
        dy = upstream(life.forward(), np.random.default_rng(1))
        old = np.array(get(life.thing, path))
        life.backward(scale * dy)
        return old - get(life.thing, path)

    def _moves_without_upstream(self, path: Path) -> bool:
        return bool(self._step(path, 0).any())

    def _is_normalised(self, path: Path) -> bool:
        """An optimizer's step, as Adam's: its length does not follow dY, its direction does."""
        once, twice, back = (self._step(path, k) for k in (1, 2, -1))
        return np.allclose(twice, once, 1e-3, 0) and np.allclose(back, -once, 1e-3, 0)

    def _unnamed(self, life: Life, before: dict[Path, Array]) -> None:
        """What only the numbers tell: an unnamed array that fits, or one gradient of several."""
        taken = {p for paths in [*self.sources.values(), *self.params.values()] for p in paths}
        left = [
            p
            for p, a in walk(life.thing)
            if isinstance(a, np.ndarray) and p not in taken and not same(before.get(p), a)
        ]
        arrays = self.inputs | {n: get(self.call.thing, p[0]) for n, p in self.params.items()}
        for name, a in arrays.items():
            several = self.sources.get(name, [])
            if len(several) > 1 and not self._fits(a, several):
                self.sources[name] = next(([p] for p in several if self._fits(a, [p])), several)
            fitting = [p for p in left if name not in self.sources and self._fits(a, [p])]
            if fitting:
                self.sources[name] = fitting[:1]
                left.remove(fitting[0])

    def _still(self, life: Life, before: dict[Path, Array]) -> None:
        """Arrays that have a gradient, and do not move the output at this point."""
        thing, moved = self.call.thing, [p for paths in self.params.values() for p in paths]
        still = [p for p in groups(thing) if p[0] not in moved] if thing is not None else []
        called = {label(thing, paths[0]): paths for paths in still}
        found = find_gradients(self.call, life, before, called, by_place=False)
        taken = [p for paths in self.sources.values() for p in paths]
        if names := [n for n, paths in found.items() if paths[0] not in taken]:
            self.notes.append(f"{', '.join(names)} does not move the output here: not checked")

    def _fits(self, array: Array, paths: list[Path]) -> bool:
        """Does the sum of what is held there agree with the slopes along two directions?"""
        rng, life = np.random.default_rng(0), Life(self.call)
        y = life.forward()
        dy = upstream(y, rng) if self.call.upstreams else np.ones(np.shape(y))
        life.backward(dy.copy())
        grads = [np.array(self._fetch(life, p), float) for p in paths]
        grad = sum(grads[1:], grads[0])
        if grad.shape != array.shape:
            return False
        ways = random_signs(array.shape, rng, 2)
        forward = lambda: Life(self.call).forward()  # noqa: E731
        return not directions(forward, array, grad, dy, ways).wrong.any()

    # --- what is not checked, and why

    def _lost(self, y: Array, life: Life) -> None:
        lost = [name for name in self.params if name not in self.sources]
        if self.optimised:
            self.notes.append(
                f"backward updates {', '.join(self.optimised)} by a step as long for twice the "
                "upstream gradient, as Adam does: no gradient, not checked (give it plain SGD)"
            )
        lost = [name for name in lost if name not in self.optimised]
        expected = [n for n in lost if PARAMETER.fullmatch(n.rsplit(".", 1)[-1])]
        found = sorted(name for name in self.sources)
        if expected and (self._is_layer(y) or set(found) & set(self.params)):
            held = [".".join(map(str, p)) for p, v in walk(life.thing) if isinstance(v, np.ndarray)]
            raise CannotCheck(
                f"no gradient found for {', '.join(expected)} (found for: "
                f"{', '.join(found) or 'none'}); after backward the object holds "
                f"{', '.join(held) or 'no arrays'}: is one never computed? else let "
                '--backward "..." return it: "(layer.backward(dY), {\'W\': layer.foo})"'
            )
        self.notes += [
            f"{name} {np.shape(get(self.call.thing, self.params[name][0]))} moves the output and "
            "has no gradient that was found: not checked"
            for name in lost
        ]
        nothing = [name for name in self.inputs if name not in self.sources]
        if nothing and (not self._is_layer(y) or len(nothing) < len(self.inputs)):
            guess = not self.call.label and not self._is_layer(y) and len(self.inputs) > 1
            if guess or (self.call.thing is None and self._is_layer(y)) or not self.sources:
                raise CannotCheck(
                    f"backward gave no gradient for {', '.join(nothing)} "
                    "(--input 5,3:const for an input that has none)"
                )
            self.notes += [f"no gradient for {name} came back: not checked" for name in nothing]
            self.arrays = {k: v for k, v in self.arrays.items() if k not in nothing}
        if not self.arrays:
            raise CannotCheck(
                "nothing to check: no input of real numbers (--input 5,3), "
                "no parameter with a gradient"
            )

    def _is_layer(self, y: Array) -> bool:
        return bool(np.ndim(y)) and self.call.upstreams > 0

    def _notice(self, life: Life, dy: Array) -> None:
        """dX in the memory of dY; a second output of which backward takes no gradient."""
        call, returned = self.call, life.returned
        written = getattr(life, "dy", None)
        both = isinstance(returned, np.ndarray) and isinstance(written, np.ndarray)
        if both and np.shares_memory(returned, written) and not same(written, dy):
            call.writes_dy = True
            self.notes.append("dX is written into dY: fine as long as nobody else needs dY")
        takes = set(call.plan.values())
        unused = life.outputs[max(1, call.upstreams) :]
        if call.backward is None or "cache" in takes or not any(np.ndim(u) for u in unused):
            return
        first = next(iter(self.inputs.values()), None)
        other = Life(call)
        if first is not None:
            first += 0.1
            other.forward()
            first -= 0.1
            if not all(map(same, unused, other.outputs[max(1, call.upstreams) :])):
                self.notes.append(
                    "forward returns more than one output that depends on its input; backward "
                    "takes the gradient of the first alone: the others are not checked"
                )

    # --- the case

    def case(self) -> Case:
        """What judge() takes."""
        call = self.call
        self.notes = list(dict.fromkeys(self.notes))
        case = Case(
            self.title,
            self.arrays,
            self._open,
            inputs=tuple(self.inputs),
            takes_upstream=call.upstreams > 0,
            notes=self.notes,
        )
        X = next(iter(self.inputs.values()), None)
        if X is not None and X.ndim:
            axis = self.axis(X)
            case.batch_axis = axis
            case.sizes = self._sizes(X, axis, np.shape(case.forward()))
        case.constants = {
            k: np.asarray(v, float)
            for k, v in call.given.items()
            if isinstance(v, np.ndarray)
            and k not in self.inputs
            and v is not X
            and v.dtype.kind in "fiub"
        }
        return case

    def axis(self, X: Array) -> int:
        return 1 if self.options.columns and X.ndim > 1 else 0

    def _sizes(self, X: Array, axis: int, y: tuple[int, ...]) -> dict[str, int]:
        if X.ndim == 4:
            return {"channels": X.shape[1], "pixels": X[0, 0].size, "batch": X.shape[0]}
        sizes = {"features": X.size // X.shape[axis], "batch": X.shape[axis]}
        return {"outputs": y[1 - axis], **sizes} if len(y) == 2 else sizes

    def _open(self) -> tuple:
        life = Life(self.call)

        def backward(dy: Array) -> dict[str, Array]:
            before = {n: np.array(get(life.thing, self.params[n][0])) for n in self.steps}
            life.backward(dy)
            return {name: self._gradient(name, life, before) for name in self.arrays}

        return life.forward, backward

    def _gradient(self, name: str, life: Life, before: dict[str, Array]) -> Array:
        """What was found for an array, in its shape; nan where nothing came back."""
        if name not in self.sources:
            return np.array(np.nan)
        if name in self.steps:
            grad = before[name] - get(life.thing, self.sources[name][0])
        else:
            parts = [np.array(self._fetch(life, path), float) for path in self.sources[name]]
            grad = parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])
        first = next(iter(self.inputs.values()), None)
        if self.options.mean and first is not None and name not in self.inputs:
            grad = grad * first.shape[self.axis(first)]
        p = self.arrays[name]
        if _same_but_for_ones(grad.shape, p.shape):
            note = (
                f"d{name} has shape {grad.shape}, {name} {p.shape}: the same but for 1s, let pass"
            )
            self.notes += [note] if note not in self.notes else []
            grad = grad.reshape(p.shape)
        return grad

    def _fetch(self, life: Life, path: Path) -> Any:
        try:
            if path[0] == "returned":
                return np.nan if (v := get(life.returned, path[1:])) is None else v
            return get(life.thing, path)
        except (AttributeError, KeyError, IndexError, TypeError):
            return np.nan


def _same_but_for_ones(grad: tuple[int, ...], p: tuple[int, ...]) -> bool:
    """(4,) for (1, 4): b - lr db still has b's numbers; (4,) for (4, 1) would give (4, 4)."""
    if grad == p or [k for k in grad if k != 1] != [k for k in p if k != 1]:
        return False
    return int(np.prod(np.broadcast_shapes(grad, p))) == int(np.prod(p))
