"""Rules that a backward pass must keep besides being right: what differences cannot see.

It writes to no input and to no upstream gradient, is linear in the upstream gradient, gives the
same answer twice, and answers for the latest forward pass.
"""

import numpy as np

from gradcheck.case import Array, Case, frozen
from gradcheck.console import where
from gradcheck.core import CannotCheck

__all__ = ["breaches", "mutations"]

Grads = dict[str, Array]


def breaches(
    case: Case,
    dy: Array,
    rng: np.random.Generator,
    notes: list[str] | None = None,
    accumulates: bool = False,
) -> list[str]:
    """One sentence per broken rule (mutations() is asked separately, and first).

    A rule that cannot be tried, since a second pass raises, is a note.
    """
    grads, found = case.backward(dy), list[str]()
    for rule in (_linear, _twice, _latest) if case.takes_upstream else (_twice, _latest):
        try:
            said = rule(case, grads, dy, rng)
        except CannotCheck as error:
            if notes is None:
                raise
            notes.append(f"a rule could not be tried ({rule.__name__[1:]}): {error}")
            continue
        if said and not (accumulates and "grows" in said):
            found.append(said)
        if said and rule is _twice:  # what grows or changes would break the next rule as well
            break
    return found


def mutations(case: Case, dy: Array) -> list[str]:
    """Run once with inputs and upstream read-only: writing raises at the guilty line."""
    sentences = []
    inputs = {f"the input {k}": case.arrays[k] for k in case.inputs if k in case.arrays}
    for what, array in {**inputs, "the upstream gradient": dy}.items():
        before = array.copy()
        try:
            with frozen(array):
                case.backward(dy)
        except Exception as error:  # else not about writing: the check itself will meet it
            if "read-only" in str(error) or "readonly" in str(error):
                sentences.append(f"{what} is written to: {where(error)}")
        array[...] = before
    return sentences


def _linear(case: Case, grads: Grads, dy: Array, rng: np.random.Generator) -> str | None:
    """backward(0) must be 0, backward(3 dy) three times backward(dy)."""
    nothing, triple = case.backward(np.zeros_like(dy)), case.backward(3 * dy)
    finite = {k: abs(g).max(initial=0) for k, g in grads.items() if np.isfinite(g).all()}
    size = 1e-9 * max(finite.values(), default=0)
    some = [k for k, largest in finite.items() if largest > size]
    if constant := [k for k in some if _same(triple[k], grads[k])]:
        return f"the upstream gradient is ignored in {_list(constant)}: tripled, it changes nothing"
    if added := [k for k in some if np.isfinite(nothing[k]).all() and abs(nothing[k]).max() > size]:
        return f"backward(0) is not 0 in {_list(added)}: something is added that is no gradient"
    if crooked := [k for k in some if not _same(triple[k], 3 * np.asarray(grads[k]))]:
        return f"not linear in the upstream gradient: 3 dY does not give 3 {_list(crooked)}"
    return None


def _twice(case: Case, grads: Grads, dy: Array, rng: np.random.Generator) -> str | None:
    """The same call again on the same object: is what backward leaves added to?

    Beside it an object with two forward passes and one backward: a state that forward changes,
    as a count of its calls, is the same in both.
    """
    forward, backward = case.open()
    y = np.array(forward())
    backward(dy)
    same_output = _same(np.array(forward()), y)
    again = _arrays(backward(dy))
    forward, backward = case.open()
    forward()
    forward()
    alone = _arrays(backward(dy))
    differs = [k for k in grads if not _same(again[k], alone[k]) and grads[k].any()]
    if grown := [k for k in differs if _same(again[k], alone[k] + grads[k])]:
        said = "grows from call to call: added to, never reset (--accumulates allows it)"
        return f"{_list(grown)} {said}"
    different = [k for k in grads if same_output and not _same(again[k], grads[k])]
    return f"the second call gives another gradient in {_list(different)}" if different else None


def _latest(case: Case, grads: Grads, dy: Array, rng: np.random.Generator) -> str | None:
    """Another forward pass first: backward must answer for the latest."""
    forward, backward = case.open()
    moved = [(a, a.copy()) for k, a in case.arrays.items() if k in case.inputs]
    try:
        for a, _ in moved:
            a[...] = rng.permutation(a.ravel()).reshape(a.shape)
        forward()
    finally:
        for a, old in moved:
            a[...] = old
    if not _same(np.array(forward()), np.array(case.forward())):
        return None
    after = _arrays(backward(dy))
    stale = [k for k in grads if not _same(after[k], grads[k])]
    said = "answers for an earlier forward pass: what forward remembers is stale"
    return f"{_list(stale)} {said}" if stale else None


def _arrays(grads: dict) -> Grads:
    return {name: np.array(np.nan if g is None else g, float) for name, g in grads.items()}


def _same(u: Array, v: Array) -> bool:
    u, v = np.asarray(u, float), np.asarray(v, float)
    size = abs(v[np.isfinite(v)]).max(initial=0)
    return u.shape == v.shape and bool(np.allclose(u, v, 1e-9, 1e-9 * size, equal_nan=True))


def _list(names: list[str]) -> str:
    return ", ".join("d" + name for name in names)
