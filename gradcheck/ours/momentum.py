"""The update step, E9, as a case for the checker; whose step it is, is an argument."""

from collections.abc import Callable

import numpy as np

from gradcheck.case import Array, Case, distinct_values

__all__ = ["update_case"]


def update_case(
    update: Callable, rng: np.random.Generator, lr: float = 0.3, momentum: float = 0.65
) -> Case:
    """E9 as a case: update(W, V, dW, lr, momentum) -> W, V.

    V' = momentum V - lr dW, W' = W + V' is linear, so its derivatives are known: they stand in
    backward, and the differences measure those of the code.
    """
    arrays = {name: distinct_values((3, 5), rng) for name in ("W", "V", "dW")}

    def forward() -> Array:
        return np.concatenate(update(*[a.copy() for a in arrays.values()], lr, momentum))

    def backward(dy: Array) -> dict[str, Array]:
        dW, dV = np.split(dy, 2)
        return {"W": dW, "V": momentum * (dW + dV), "dW": -lr * (dW + dV)}

    factors = {
        "lr is multiplied in twice": 1 / lr,
        "lr is missing": lr,
        "the sign: the step goes uphill": -1.0,
        "1 - momentum in front of the gradient, which E9 does not have": 1 / (1 - momentum),
        "momentum is multiplied in twice": 1 / momentum,
        "momentum is missing (taken as 1)": momentum,
        "momentum stands where lr belongs": lr / momentum,
    }
    return Case("update", arrays, lambda: (forward, backward), tuple(arrays), factors)
