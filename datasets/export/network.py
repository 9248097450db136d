"""Which network the arrays of a weight file make: that which `python -m cnn --load` builds from it.

Each convolution (padding "same") is followed by 2 x 2 max pooling and a ReLU, each fully connected
layer but the last by a ReLU; batch normalisation stands where its arrays stand.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.store.weights import Weights

__all__ = ["EPSILON", "Step", "steps", "sample_shape", "scores"]

Array = npt.NDArray[np.floating]
EPSILON = 1e-5  # of batch normalisation
KINDS = {  # the arrays of a layer and the dimensions of the first: what the layer is
    ("W", "b", 4): "convolution",
    ("beta", "gamma", "running_mean", "running_var", 1): "batch norm",
    ("W", "b", 2): "linear",
}


class Step(NamedTuple):
    """One operation with its arrays as the file has them: W (F, C, KH, KW) or (in, out)."""

    kind: str  # "convolution", "max pool", "relu", "batch norm", "flatten" or "linear"
    arrays: dict[str, Array]

    @property
    def sizes(self) -> tuple[int, int]:
        """Channels, or inputs and outputs, that go in and come out."""
        if self.kind == "batch norm":
            return len(self.arrays["gamma"]), len(self.arrays["gamma"])
        W = self.arrays["W"]
        return (W.shape[1], W.shape[0]) if W.ndim == 4 else (W.shape[0], W.shape[1])


def steps(weights: Weights) -> list[Step]:
    """The operations in order. Raises ValueError for arrays that make no such network."""
    found: list[Step] = []
    layers: dict[str, dict[str, Array]] = {}
    for key, array in weights.items():
        layer, name = key.split("/")
        layers.setdefault(layer, {})[name] = array.astype(np.float32)
    for layer, arrays in layers.items():
        names = sorted(arrays)
        kind = KINDS.get((*names, arrays[names[0]].ndim))
        seen = {step.kind for step in found}
        if kind is None or ("linear" in seen and kind != "linear"):
            shapes = {name: arrays[name].shape for name in names}
            raise ValueError(f"{layer}: expected a layer that can be exported, got {shapes}")
        if kind == "linear":
            found.append(Step("relu" if "linear" in seen else "flatten", {}))
        found.append(Step(kind, arrays))
        if kind == "convolution":
            found += [Step("max pool", {}), Step("relu", {})]
    _check_chain([step for step in found if step.arrays])
    return found


def _check_chain(layers: list[Step]) -> None:
    if not layers or layers[-1].kind != "linear":
        raise ValueError("expected a network that ends in a fully connected layer")
    for before, after in pairwise(layers):
        out, into = before.sizes[1], after.sizes[0]
        if into % out if before.kind != "linear" == after.kind else into != out:
            raise ValueError(f"a {after.kind} layer expects {into} inputs, those before give {out}")


def sample_shape(found: list[Step], image_size: tuple[int, int] | None) -> tuple[int, ...]:
    """Shape of one input: a row (D,), or an image (C, H, W), a square one without image_size."""
    layers = [step for step in found if step.arrays]
    if layers[0].kind == "linear":
        return (layers[0].sizes[0],)
    last, linear = next(pair for pair in pairwise(layers) if pair[1].kind == "linear")
    pixels = linear.sizes[0] // last.sizes[1]
    pool = 2 ** sum(step.kind == "max pool" for step in found)
    H, W = image_size or (pool * math.isqrt(pixels), pool * math.isqrt(pixels))
    if (H // pool) * (W // pool) != pixels:
        raise ValueError(f"the network does not fit images of {H} x {W}: --image_size H W?")
    return layers[0].sizes[0], H, W


# --- what it computes ----------------------------------------------------------------


def scores(found: list[Step], X: Array) -> Array:
    """The scores (N, K) of X in plain NumPy: what the other tools have to give as well."""
    for kind, arrays in found:
        if kind == "convolution":
            X = _convolved(X, arrays["W"]) + arrays["b"][:, None, None]
        elif kind == "max pool":
            N, C, H, W = X.shape
            X = X[:, :, : H // 2 * 2, : W // 2 * 2].reshape(N, C, H // 2, 2, W // 2, 2)
            X = X.max(axis=(3, 5))
        elif kind == "relu":
            X = np.maximum(X, 0)
        elif kind == "batch norm":
            scale = arrays["gamma"] / np.sqrt(arrays["running_var"] + EPSILON)  # (C,)
            shift = arrays["beta"] - arrays["running_mean"] * scale
            X = X * scale[:, None, None] + shift[:, None, None]
        elif kind == "flatten":
            X = X.reshape(len(X), -1)
        else:
            X = X @ arrays["W"] + arrays["b"]
    return X


def _convolved(X: Array, W: Array) -> Array:
    # Padding "same": an even kernel has one zero more behind than in front.
    KH, KW = W.shape[2:]
    P = np.pad(X, ((0, 0), (0, 0), ((KH - 1) // 2, KH // 2), ((KW - 1) // 2, KW // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(P, (KH, KW), axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, W, optimize=True)
