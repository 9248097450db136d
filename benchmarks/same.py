"""One network, three implementations: the same weights, the same batches, the same trajectory."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import functional_net
from benchmarks.workloads import Array, Functional, Modular, Object, Workload, mlp
from datasets import load_mnist
from datasets.run import console

LR, MOMENTUM = 0.1, 0.1
ARRAYS = ("W1", "b1", "W2", "b2")
KINDS: dict[str, type[Functional | Object | Modular]] = {
    "functional_net": Functional,
    "net": Object,
    "cnn": Modular,
}


def weights_of(who: Functional | Object | Modular) -> list[Array]:
    """W (in, out) and b (out,) of both layers, whoever holds them."""
    if isinstance(who, Functional):
        return [W[0] if i % 2 else W for i, W in enumerate(who.params)]
    if isinstance(who, Object):
        return [A[:, 0] if i % 2 else A.T for i, A in enumerate(who.model.get_weights())]
    return list(who.net.get_weights().values())


def difference(one: Array | list[float], two: Array | list[float]) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.max(np.abs(np.subtract(one, two))) / np.max(np.abs(one)))


def trajectories(
    X: Array, y: Array, hidden: int, batch_size: int, seed: int, steps: int | None = None
) -> dict[str, tuple[list[float], list[Array]]]:
    """{implementation: (losses, the last weights)} from the same start on the same batches."""
    D, K = X.shape[1], y.shape[1]
    work = Workload("same", "", mlp(D, hidden, K), X, y, batch_size, "epoch", LR, MOMENTUM)
    W1, b1, W2, b2 = functional_net.init(D, hidden, K, np.random.default_rng(seed), X.dtype)
    weights = {"layer_1/W": W1, "layer_1/b": b1[0], "layer_2/W": W2, "layer_2/b": b2[0]}
    found = {}
    for name, kind in KINDS.items():
        who = kind(work, weights)
        who.rng = np.random.default_rng(seed)
        losses, _ = who.train(steps)
        found[name] = losses, weights_of(who)
    return found


def compared(found: dict[str, tuple[list[float], list[Array]]]) -> bool:
    """A line for the losses and for each array: are they the same?"""
    good, arrays = True, [[np.array(losses), *own] for losses, own in found.values()]
    print(f"{'array':8}{'shape':>12}{'net':>12}{'cnn':>12}  verdict")
    for name, first, *others in zip(("losses", *ARRAYS), *arrays, strict=True):
        apart = [difference(first, other) for other in others]
        good &= max(apart) < 1e-10
        verdict = "same" if max(apart) < 1e-10 else "DIFFERENT"
        print(f"{name:8}{first.shape!s:>12}{apart[0]:12.1e}{apart[1]:12.1e}  {verdict}")
    return good


def main() -> None:
    """Train one network in all three implementations and compare the weights array by array."""
    X, y = (part.astype(np.float64) for part in load_mnist()[:2])
    print("float64, 200 steps: the largest difference from functional_net")
    good = compared(trajectories(X, y, hidden=100, batch_size=20, seed=0, steps=200))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    console.run(main)
