"""How fast NumPy could be: the bare matrix products of a step, and nothing else."""

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.workloads import Array, Contender, Weights, Workload
from datasets.threads import limited

__all__ = ["Gemms", "gemms"]


def together(work: Workload) -> int:
    """How many images share a product: a batch, or what cnn takes at a time for inference."""
    return min(work.batch, 250) if work.kind == "inference" else work.batch


def gemms(work: Workload) -> Iterator[tuple[Array, Array, Array]]:
    """A, B and room for A @ B: the matrix products of one step (of inference: of a block)."""
    rng = np.random.default_rng(0)
    N, side = together(work), work.X.shape[-1]
    first = True  # nobody needs the gradient of the pixels
    for kind, *sizes in work.layers:
        if kind == "pool":
            side //= 2
        if kind not in ("linear", "conv"):
            continue
        C, F = sizes
        K, M = (C, N) if kind == "linear" else (9 * C, N * side**2)
        W, X, dY = (rng.random(shape, np.float32) for shape in ((F, K), (K, M), (F, M)))
        yield W, X, np.empty((F, M), np.float32)
        if work.kind != "inference":
            yield dY, X.T, np.empty((F, K), np.float32)
            if not first:
                yield W.T, dY, np.empty((K, M), np.float32)
        first = False


class Gemms(Contender):
    """Nothing but the matrix products: what no NumPy code that makes them can go below."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.products = list(gemms(work))

    def run(self) -> object:
        with limited():  # as training makes them
            for _ in range(math.ceil(len(self.work.X) / together(self.work))):
                for A, B, C in self.products:
                    np.matmul(A, B, out=C)
        return None
