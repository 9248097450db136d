"""One reading of a learner's interface as a case: arrays, forward, backward, and what to say."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.case import Array, Case, directions, random_signs, upstream
from gradcheck.core import CannotCheck
from gradcheck.yours.call import Call, Life
from gradcheck.yours.gradients import Sources, find_gradients, gradients_by_name, parts
from gradcheck.yours.probe import moving, scatter
from gradcheck.yours.signature import STRONG
from gradcheck.yours.walk import Path, get, groups, is_real, label, likeness, put, same, walk

__all__ = ["Own"]

PARAMETER = re.compile(
    r"(w|b|u|v|weights?|bias(es)?|kernels?|filters?|gamma|beta|theta|embeddings?)(_?\w{0,3})?", re.I
)


@dataclass
class Own:
    """A learner's layer, loss or pair of functions under one reading."""

    call: Call
    title: str
    params: dict[str, list[Path]] = field(default_factory=dict)  # all that move the output
    notes: list[str] = field(default_factory=list)  # begins with what was guessed
    breaches: list[str] = field(default_factory=list)
    sources: Sources = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)  # backward itself moves these
    optimised: list[str] = field(default_factory=list)  # and these by a step that is no gradient
    arrays: dict[str, Array] = field(default_factory=dict)

    # --- what there is to check

    def build(self) -> "Own":
        """Find parameters and gradients; CannotCheck says why there is nothing to check."""
        call, thing = self.call, self.call.thing
        self.notes += call.said
        life = Life(call)
        y = life.forward()
        self._refuse(y)
        before = {p: np.array(v) for p, v in walk(life.thing)}
        dy = upstream(y, np.random.default_rng(1))  # ones would make a softmax's gradient 0
        life.backward(dy.copy())
        self.params = self._named(moving(call))
        wanted = {name: list[Path]() for name in self.inputs} | self.params
        self.sources = find_gradients(call, life, before, wanted)
        self._refuse_gradient_of_label(life)
        self._numbers(life)
        self._steps(life, before)
        self._unnamed(life, before)
        self._still(life, before)
        found = {n: paths[0] for n, paths in self.params.items() if n in self.sources}
        scatter(call, list(found.values()), self.call.options.seed)
        self.arrays = self.inputs | {n: get(thing, path) for n, path in found.items()}
        self._lost_parameters(y, life)
        self._lost_inputs(y, life.returned)
        self._notice_dy(life, dy)
        self._notice_outputs(life)
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
        if np.size(y) == 1 or call.upstreams or call.reduction:
            return
        if call.backward is None:
            raise CannotCheck("forward returns (loss, gradients): the loss should be one number")
        raise CannotCheck(
            "backward takes no upstream gradient, so that forward should return one number "
            '(--forward "layer.forward(X).sum()")'
        )

    def _refuse_gradient_of_label(self, life: Life) -> None:
        """A label that is only guessed has no gradient: else a wrong one would be left out."""
        label = self.call.label
        if not label or STRONG.fullmatch(label):
            return
        if np.ndim(life.outputs[0]) > 1 and "dY" in self.call.plan.values():
            raise CannotCheck(f"no gradient for {label} came back")
        used = [p for paths in self.sources.values() for p in paths]
        if any(p not in used for p, v in parts(life.returned) if np.ndim(v)):
            raise CannotCheck(f"a gradient came back for {label}, too: it is no label")

    def _named(self, found: list[list[Path]]) -> dict[str, list[Path]]:
        named = dict[str, list[Path]]()
        for paths in found:
            short, whole = label(self.call.thing, paths[0]), ".".join(map(str, paths[0]))
            named[whole if short in named or short in self.inputs else short] = paths
        return named

    # --- gradients that no name told

    def _numbers(self, life: Life) -> None:
        """gamma = 1.0 with a dgamma: a plain number becomes an array of its gradient's shape."""
        held = [(p, a) for p, a in walk(life.thing) if isinstance(a, np.ndarray)]
        for path, value in [(p, v) for p, v in walk(self.call.thing) if isinstance(v, float)]:
            grads = [
                (p, a) for p, a in held if p[:-1] == path[:-1] and likeness(str(path[-1]), p) == 3
            ]
            for p, a in grads[:1]:
                put(self.call.thing, path, np.full(a.shape, value))
                name = label(self.call.thing, path)
                self.params[name], self.sources[name] = [path], [p]

    def _steps(self, life: Life, before: dict[Path, Array]) -> None:
        """Parameters that backward itself changes: before - after is the gradient, if no other."""
        for name, (path, *_) in self.params.items():
            if path not in before or same(before[path], get(life.thing, path)):
                continue
            if name not in self.sources and self._is_normalised(path):
                self.optimised.append(name)
            elif name not in self.sources:
                self.sources[name] = [path]
                self.steps.append(name)
            elif self.call.upstreams and self._step(path, 0).any():
                self.breaches.append(
                    f"backward changes {name} itself, even where dY is 0: a decay, or an "
                    "update that belongs elsewhere?"
                )
        if self.steps:
            said = ", ".join(sorted(self.steps))
            self.notes.append(
                f"backward itself updates {said}: the gradient is taken from that step"
            )
        if self.optimised:
            self.notes.append(
                f"backward updates {', '.join(self.optimised)} by a step as long for twice the "
                "upstream gradient, as Adam does: no gradient, not checked (give it plain SGD)"
            )

    def _step(self, path: Path, scale: float) -> Array:
        """How far backward moves a parameter, for so many times an upstream gradient."""
        life = Life(self.call)
        dy = upstream(life.forward(), np.random.default_rng(1))
        old = np.array(get(life.thing, path))
        life.backward(scale * dy)
        return old - get(life.thing, path)

    def _is_normalised(self, path: Path) -> bool:
        """An optimizer's step, as Adam's: its length does not follow dY, its direction does."""
        once, twice, back = (self._step(path, k) for k in (1, 2, -1))
        return np.allclose(twice, once, 1e-3, 0) and np.allclose(back, -once, 1e-3, 0)

    def _unnamed(self, life: Life, before: dict[Path, Array]) -> None:
        """What only the numbers tell: an unnamed array that fits, or one gradient of several."""
        taken = [p for paths in [*self.sources.values(), *self.params.values()] for p in paths]
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
            fitting = [p for p in left if not several and self._fits(a, [p])]
            if fitting:
                self.sources[name] = fitting[:1]
                left.remove(fitting[0])

    def _fits(self, array: Array, paths: list[Path]) -> bool:
        """Does the sum of what is held there agree with the slopes along two directions?"""
        rng, life = np.random.default_rng(0), Life(self.call)
        y = life.forward()
        dy = upstream(y, rng) if self.call.upstreams else np.ones(np.shape(y))
        life.backward(dy.copy())
        grad = self._sum(life, paths)
        ways = random_signs(array.shape, rng, 2)
        forward = lambda: Life(self.call).forward()  # noqa: E731
        return not directions(forward, array, grad, dy, ways).wrong.any()

    def _still(self, life: Life, before: dict[Path, Array]) -> None:
        """Arrays that have a gradient, and do not move the output at this point."""
        moved = list(self.params.values())
        still = self._named([paths for paths in groups(self.call.thing) if paths not in moved])
        found = gradients_by_name(self.call, life, before, still)
        if names := [n for n, paths in found.items() if paths not in self.sources.values()]:
            self.notes.append(f"{', '.join(names)} does not move the output here: not checked")

    # --- what is not checked, and why

    def _lost_parameters(self, y: Array, life: Life) -> None:
        lost = [n for n in self.params if n not in self.sources and n not in self.optimised]
        expected = [n for n in lost if PARAMETER.fullmatch(n.rsplit(".", 1)[-1])]
        found = sorted(self.sources)
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

    def _lost_inputs(self, y: Array, returned: Any) -> None:
        """A layer gives a gradient back, or is wrong; if it trains itself, it may be the first."""
        layer = self._is_layer(y) and not (self.steps and returned is None)
        inputs = self.inputs
        nothing = [name for name in inputs if name not in self.sources]
        if nothing and (not layer or len(nothing) < len(inputs)):
            guess = not self.call.label and not layer and len(inputs) > 1
            if guess or (self.call.thing is None and layer) or not self.sources:
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

    def _notice_dy(self, life: Life, dy: Array) -> None:
        """dX in the memory of dY."""
        both = isinstance(life.returned, np.ndarray) and isinstance(life.dy, np.ndarray)
        if both and np.shares_memory(life.returned, life.dy) and not same(life.dy, dy):
            self.call.writes_dy = True
            self.notes.append("dX is written into dY: fine as long as nobody else needs dY")

    def _notice_outputs(self, life: Life) -> None:
        """A second output of which backward takes no gradient."""
        call, first = self.call, max(1, self.call.upstreams)
        unused, X = life.outputs[first:], next(iter(self.inputs.values()), None)
        kept = call.backward is None or "cache" in call.plan.values()
        if kept or X is None or not any(np.ndim(u) for u in unused):
            return
        other = Life(call)
        X += 0.1
        other.forward()
        X -= 0.1
        if not all(map(same, unused, other.outputs[first:])):
            self.notes.append(
                "forward returns more than one output that depends on its input; backward "
                "takes the gradient of the first alone: the others are not checked"
            )

    # --- the case

    def case(self) -> Case:
        """What judge() takes."""
        self.notes = list(dict.fromkeys(self.notes))
        case = Case(self.title, self.arrays, self._open, inputs=tuple(self.inputs))
        case.takes_upstream, case.notes = self.call.upstreams > 0, self.notes
        X = next(iter(self.inputs.values()), None)
        if X is not None and X.ndim:
            case.batch_axis = self.axis(X)
            case.sizes = self._sizes(X, case.batch_axis, np.shape(case.forward()))
        case.constants = {
            k: np.asarray(v, float)
            for k, v in self.call.given.items()
            if isinstance(v, np.ndarray) and v.dtype.kind in "fiub"
            if k not in self.inputs and v is not X
        }
        return case

    def axis(self, X: Array) -> int:
        return 1 if self.call.options.columns and X.ndim > 1 else 0

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
        grad = self._sum(life, self.sources[name])
        if name in self.steps:
            grad = before[name] - grad
        X, p = next(iter(self.inputs.values()), None), self.arrays[name]
        if self.call.options.mean and X is not None and name not in self.inputs:
            grad = grad * X.shape[self.axis(X)]
        if _same_but_for_ones(grad.shape, p.shape):
            said = (
                f"d{name} has shape {grad.shape}, {name} {p.shape}: the same but for 1s, let pass"
            )
            self.notes += [said] if said not in self.notes else []
            grad = grad.reshape(p.shape)
        return grad

    def _sum(self, life: Life, paths: list[Path]) -> Array:
        first, *more = [np.array(_fetched(life, path), float) for path in paths]
        return sum(more, first)


def _fetched(life: Life, path: Path) -> Any:
    """What is to be found there after this pass; nan if nothing."""
    try:
        found = get(life.returned, path[1:]) if path[0] == "returned" else get(life.thing, path)
    except (AttributeError, KeyError, IndexError, TypeError):
        return np.nan
    return np.nan if found is None else found


def _same_but_for_ones(grad: tuple[int, ...], p: tuple[int, ...]) -> bool:
    """(4,) for (1, 4): b - lr db still has b's numbers; (4,) for (4, 1) would give (4, 4)."""
    if grad == p or [k for k in grad if k != 1] != [k for k in p if k != 1]:
        return False
    return int(np.prod(np.broadcast_shapes(grad, p))) == int(np.prod(p))
