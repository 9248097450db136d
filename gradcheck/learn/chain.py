"""E5 to E8 in one function: which of them is wrong, when only its results can be seen.

backward of functional_net makes dW1 and db1 from dZ1, and dZ1 from dA1. With a batch of one, db1
is dZ1 and each row of dW1 is a multiple of it: two readings of what is inside, whatever the
learner calls it. Laws that do not depend on each other then tell the equations apart.
"""

from typing import Any

import numpy as np

from gradcheck.case import Array
from gradcheck.learn.learner import Trouble

__all__ = ["share_out"]


def share_out(attempt: Any) -> None:
    """Set the verdicts of E5 to E8 of an attempt whose arrays have been compared."""
    verdicts = attempt.verdicts
    if all(v[0] == "right" for v in verdicts.values()) and verdicts:
        for equation in ("E7", "E8"):
            attempt.settle(equation, "right")
        return
    for equation in attempt.blanks & {"E7", "E8"}:
        attempt.settle(equation, "not yet")
    try:
        found = Probe(attempt).verdicts()
    except (Trouble, TypeError, ValueError, KeyError, IndexError, AttributeError):
        attempt.wait(("E7", "E8"))  # it raises, or gives no arrays: nothing more can be seen
        return
    sentences = [line for _, says in verdicts.values() for line in says]
    for equation, right in found.items():
        said = verdicts.pop(equation, ("", []))[1]
        attempt.settle(
            equation, "right" if right else "wrong", *([] if right else said or sentences)
        )


class Probe:
    """backward, called with arrays that keep its equations apart."""

    def __init__(self, attempt: Any):
        self.ask, self.unit, self.arrays = attempt.learner.ask, attempt.unit, attempt.arrays
        self.wrong = {name for name, eq in attempt.unit.gradients.items()}
        rng = np.random.default_rng(5)
        N, H, K = len(self.arrays["X"]), self.arrays["b1"].size, self.arrays["b2"].size
        self.Z = rng.uniform(0.5, 1.5, (N, H)) * rng.choice([-1, 1], (N, H))
        self.dy = rng.uniform(0.5, 1.5, (N, K)) * rng.choice([-1, 1], (N, K))

    def backward(self, Z: Array, dy: Array, n: slice = slice(None)) -> dict[str, Array]:
        X, A = self.arrays["X"][n], np.maximum(self.Z, 0)[n]
        given = {**self.arrays, "X": X, "Z1": Z[n], "A1": A, "dY": dy[n]}
        return self.ask(-1, self.unit.backward, given)

    def readings(self, Z: Array, dy: Array) -> dict[str, Array]:
        """dZ1 (N, H) as db1 shows it, and as dW1 does."""
        found: dict[str, list[Array]] = {"b": [], "W": []}
        for n in range(len(Z)):
            one = self.backward(Z, dy, slice(n, n + 1))
            if isinstance(one["b1"], np.ndarray):
                found["b"].append(one["b1"].reshape(-1))
            if isinstance(one["W1"], np.ndarray):
                found["W"].append(one["W1"][0] / self.arrays["X"][n, 0])
        return {k: np.array(v) for k, v in found.items() if np.shape(v) == Z.shape}

    def verdicts(self) -> dict[str, bool]:
        Z, dy, X = self.Z, self.dy, self.arrays["X"]
        whole, mixed = self.backward(Z, dy), self.readings(Z, dy)
        above, below = self.readings(abs(Z), dy), self.readings(-abs(Z), dy)
        turned = [self.readings(s * abs(Z), -dy) for s in (1, -1)]
        dA = dy @ self.arrays["W2"].T
        if not mixed:
            raise ValueError("neither db1 nor dW1 shows dZ1")
        e8 = {k: same(r, np.where(Z > 0, above[k], 0)) for k, r in mixed.items() if k in above}
        e7 = {}
        for k in mixed:
            seen = [above[k], below[k], *(-t[k] for t in turned)]
            e7[k] = bool(np.any([close(r, dA) for r in seen], axis=0).all())
        good = {k for k in mixed if e7[k] and e8[k]}
        first5, first6 = (
            same(whole["W2"], np.maximum(Z, 0).T @ dy),
            same(whole["b2"], dy.sum(0)[None]),
        )
        from_b = "b" in mixed and same(whole["W1"], X.T @ mixed["b"])
        from_W = "W" in mixed and same(whole["b1"], mixed["W"].sum(0)[None])
        own_W = good == {"W"} and same(whole["W1"], X.T @ mixed["W"])
        own_b = good == {"b"} and same(whole["b1"], mixed["b"].sum(0)[None])
        return {
            "E5": first5 and (from_b or own_W),
            "E6": first6 and (from_W or own_b),
            "E7": any(e7.values()),
            "E8": any(e8.values()),
        }


def close(u: Array, v: Array) -> Array:
    return abs(u - v) <= 1e-9 * max(1.0, float(abs(v).max()))


def same(u: Any, v: Array) -> bool:
    return np.shape(u) == v.shape and bool(close(u, v).all())
