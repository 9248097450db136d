"""The layers: weights are dictionaries in layers, samples are rows, images are (N, C, H, W).

Each layer writes down `forward`, the output at inference; `training_pass`, the output together
with the local gradient; and `backward`. One with weights also writes `gradients`, the part of
backward that fills grads. The contract and the equations' numbers are in layer.py.
"""

# N samples, C channels in, F channels out, H W image, KH KW kernel, OH OW output.
# dV is d loss / d V, of V's shape; local holds what backward needs, under the name of what it is.

import math
from collections.abc import Iterable
from functools import reduce
from itertools import repeat

import numpy as np
import numpy.typing as npt

from cnn import kernels
from cnn.checks import Size, pair
from cnn.kernels import Array
from cnn.layer import Layer, Local
from datasets.checks import is_number, short

__all__ = [
    "Layer",
    "Linear",
    "Conv2D",
    "MaxPool2D",
    "AvgPool2D",
    "BatchNorm2D",
    "Flatten",
    "Dropout",
]

# Layers that are built without a generator share this one: a script gives the same weights
# every time, and two equal layers get different ones. A seed of your own: rng=...
RNG = np.random.default_rng(0)


def size_text(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)


class Linear(Layer):
    """Y = X W + b with X (N, D), W (D, H), b (1, H); D is in_dim, H is out_dim.

    W is drawn with variance gain / D: 2 (the default) in front of a ReLU (He et al., 2015);
    give 1 elsewhere.
    """

    # --- init -----------------------------------------------------------------

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        rng: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
        gain: float = 2.0,
    ) -> None:
        super().__init__()
        self.in_dim, self.out_dim = pair((in_dim, out_dim), "Linear")
        if not (is_number(gain) and 0 < gain < math.inf):
            raise ValueError(f"Linear expects a gain above 0, got {short(gain)}")
        W = (rng or RNG).standard_normal((in_dim, out_dim))
        W *= np.sqrt(gain / in_dim)
        b = np.zeros((1, out_dim), dtype)
        self.params = {"W": W.astype(dtype), "b": b}

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X, W, b = self.accept(X), self.params["W"], self.params["b"]
        return X @ W + b  # (E1)  (N, H)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: X (N, D), which dW is made of, and W (D, H), which dX is made of."""
        return self.forward(X), {"X": X, "W": self.params["W"]}

    # --- backward -------------------------------------------------------------

    def gradients(self, dY: Array) -> None:
        dY, X = self.upstream(dY), self.local["X"]
        dW = X.T @ dY  # (E5)  (D, H)
        db = dY.sum(axis=0, keepdims=True)  # (E6)  (1, H)
        self.grads = {"W": dW, "b": db}

    def backward(self, dY: Array) -> Array:
        dY, W = self.upstream(dY), self.local["W"]
        self.gradients(dY)
        return dY @ W.T  # (E7)  (N, D)

    def check(self, X: Array) -> None:
        if X.ndim != 2 or X.shape[1] != self.in_dim:
            self.expect(f"{self.in_dim} columns", X)

    def __repr__(self) -> str:
        return f"Linear({self.in_dim}, {self.out_dim})"


class Conv2D(Layer):
    """F filters W (F, C, KH, KW) slide over images X (N, C, H, W); b (F,) is added.

    With the window under each output as one column this is E1 again, Y = W columns + b.
    kernel_size, stride and padding are an int or (rows, columns); padding "same" keeps the
    size (stride 1 only). W is drawn with variance gain / (C KH KW), 2 for a ReLU (He, 2015).
    """

    # --- init -----------------------------------------------------------------

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Size | str = 0,
        rng: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
        gain: float = 2.0,
    ) -> None:
        super().__init__()
        self.channels = pair((in_channels, out_channels), "Conv2D channels")
        if not (is_number(gain) and 0 < gain < math.inf):
            raise ValueError(f"Conv2D expects a gain above 0, got {short(gain)}")
        self.kernel = KH, KW = pair(kernel_size, "Conv2D kernel_size")
        self.window = self.kernel, pair(stride, "Conv2D stride")
        if padding == "same" and self.window[1] != (1, 1):
            raise ValueError(f'Conv2D padding "same" expects stride 1, got {stride!r}')
        if padding == "same":  # an even kernel needs one zero more behind than in front
            self.padding = ((KH - 1) // 2, KH // 2), ((KW - 1) // 2, KW // 2)
        else:
            rows, columns = pair(padding, "Conv2D padding", 0)
            self.padding = (rows, rows), (columns, columns)
        fan_in = in_channels * KH * KW
        W = (rng or RNG).standard_normal((out_channels, in_channels, KH, KW))
        W *= np.sqrt(gain / fan_in)
        self.params = {"W": W.astype(dtype), "b": np.zeros(out_channels, dtype)}

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        return self.convolve(kernels.pad(X, *self.padding))

    def convolve(self, P: Array) -> Array:
        """Y from the padded images, for as many rows of windows at a time as fit the cache."""
        W, b = self.params["W"], self.params["b"]
        Wb = np.column_stack([W.reshape(len(W), -1), b])
        size = kernels.windows(P, *self.window)  # OH, OW
        Y = kernels.empty_images((len(P), len(W), *size), P.dtype)
        for rows, seen in kernels.bands(P, *self.window):
            columns = kernels.unfold(P[:, :, seen], *self.window)
            out = kernels.pixels(Y, rows)  # (F, rows*OW*N)
            np.matmul(Wb, columns, out=out)  # (E1)  Y = Wb columns
        return Y  # (N, F, OH, OW)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: P, the images with their padding, and W (F, C, KH, KW).

        The columns are not kept: they are KH*KW times as large as X, and copying them
        again inside the cache is quicker than fetching them back from memory.
        """
        P = kernels.pad(X, *self.padding)
        return self.convolve(P), {"P": P, "W": self.params["W"]}

    # --- backward -------------------------------------------------------------

    def gradients(self, dY: Array) -> None:
        dY, P, W = self.upstream(dY), self.local["P"], self.local["W"]
        dWb = np.zeros((W[0].size + 1, len(W)), P.dtype)  # (C*KH*KW + 1, F)
        for rows, seen in kernels.bands(P, *self.window):
            columns = kernels.unfold(P[:, :, seen], *self.window)
            dWb += columns @ kernels.pixels(dY, rows).T  # (E5)  faster than dY @ columns.T
        dW = dWb[:-1].T.reshape(W.shape)  # (F, C, KH, KW)
        db = dWb[-1].copy()  # (E6)  (F,)
        self.grads = {"W": dW, "b": db}

    def backward(self, dY: Array) -> Array:
        dY, P, W = self.upstream(dY), self.local["P"], self.local["W"]
        self.gradients(dY)
        dP = kernels.empty_images(P.shape, P.dtype)
        dP[...] = 0
        W = W.reshape(len(W), -1)  # (F, C*KH*KW)
        for rows, seen in kernels.bands(P, *self.window):
            dcolumns = W.T @ kernels.pixels(dY, rows)  # (E7)
            kernels.fold(dcolumns, dP[:, :, seen], *self.window)
        return kernels.crop(dP, *self.padding)  # (N, C, H, W)

    def check(self, X: Array) -> None:
        if X.ndim != 4 or X.shape[1] != self.channels[0]:
            self.expect(f"images (N, {self.channels[0]}, H, W)", X)
        for size, kernel, pad in zip(X.shape[2:], self.kernel, self.padding, strict=True):
            if size + sum(pad) < kernel:
                self.expect(f"images of {self.kernel} or more, padding included", X)

    def __repr__(self) -> str:
        return f"Conv2D({self.channels[0]}, {self.channels[1]}, {size_text(self.kernel)})"


class Pool2D(Layer):
    """What max and average pooling share: windows of kernel_size, stride = kernel by default.

    X (N, C, H, W) -> Y (N, C, OH, OW); rows and columns that fill no window are left out.
    """

    def __init__(self, kernel_size: Size = 2, stride: Size | None = None) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel = pair(kernel_size, f"{name} kernel_size")
        step = self.kernel if stride is None else pair(stride, f"{name} stride")
        self.window = self.kernel, step

    def taps(self, X: Array) -> list[Array]:
        return kernels.taps(X, *self.window)

    def gather(self, parts: Iterable[Array]) -> Array:
        dX = kernels.empty_images(self.local["shape"], self.out_dtype)
        return kernels.gather(parts, dX, *self.window)

    def check(self, X: Array) -> None:
        if X.ndim != 4 or X.shape[2] < self.kernel[0] or X.shape[3] < self.kernel[1]:
            self.expect(f"images (N, C, H, W) of {self.kernel} or more", X)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({size_text(self.kernel)})"


class MaxPool2D(Pool2D):
    """Y = the largest pixel of each window."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        Y = reduce(np.maximum, self.taps(X))  # (E2)
        return Y  # (N, C, OH, OW)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the winners, a mask per tap (N, C, OH, OW), True where it holds the maximum.

        One winner per window: a tie must not multiply the gradient.
        """
        Y = self.forward(X)
        return Y, {"winners": kernels.first_winners(self.taps(X), Y), "shape": X.shape}

    # --- backward -------------------------------------------------------------

    def backward(self, dY: Array) -> Array:
        dY = self.upstream(dY)
        parts = (dY * winner for winner in self.local["winners"])  # (E8)
        return self.gather(parts)  # (N, C, H, W)


class AvgPool2D(Pool2D):
    """Y = the mean of each window."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        total = reduce(np.add, self.taps(X))  # (N, C, OH, OW)
        return total / math.prod(self.kernel)  # (E2)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the shape of X; each pixel of a window counts 1 / (KH KW)."""
        return self.forward(X), {"shape": X.shape}

    # --- backward -------------------------------------------------------------

    def backward(self, dY: Array) -> Array:
        share = self.upstream(dY) / math.prod(self.kernel)  # (E8)
        return self.gather(repeat(share))  # (N, C, H, W)


class BatchNorm2D(Layer):
    """Y = gamma Xhat + beta: each channel of X (N, C, H, W) to mean 0, variance 1, then free.

    The call takes mean and variance over N, H, W of the batch, and moves the running ones by
    `momentum` towards them; forward takes the running ones. Those begin as 0 and 1; with
    from_first=True they begin as the first batch has them: in a few steps they would not get
    far from 0 and 1. Ioffe and Szegedy (2015).
    """

    # --- init -----------------------------------------------------------------

    def __init__(
        self,
        n_channels: int,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        dtype: npt.DTypeLike = np.float32,
        from_first: bool = False,
    ) -> None:
        super().__init__()
        self.channels, _ = pair(n_channels, "BatchNorm2D")
        self.from_first = from_first
        if not (is_number(epsilon) and 0 < epsilon < math.inf):
            raise ValueError(f"BatchNorm2D expects an epsilon above 0, got {short(epsilon)}")
        if not (is_number(momentum) and 0 <= momentum <= 1):
            raise ValueError(f"BatchNorm2D expects a momentum from 0 to 1, got {short(momentum)}")
        self.epsilon, self.momentum = float(epsilon), float(momentum)
        ones, zeros = np.ones(n_channels, dtype), np.zeros(n_channels, dtype)
        self.params = {"gamma": ones, "beta": zeros}
        self.state = {"running_mean": zeros.copy(), "running_var": ones.copy()}

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        mean, var = self.state["running_mean"], self.state["running_var"]
        scale = self.params["gamma"] / np.sqrt(var + self.epsilon)
        shift = self.params["beta"] - mean * scale
        Y = kernels.channels(X) * scale[:, None, None]
        Y += shift[:, None, None]  # (E2)  (C, H, W*N)
        return kernels.images(Y, X.shape)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: Xhat (C, H, W*N), scale = gamma / std (C, 1, 1), mean and var of the batch."""
        gamma, beta = (self.params[k][:, None, None] for k in ("gamma", "beta"))
        A = kernels.channels(X)  # (C, H, W*N)
        M = A[0].size
        mean = kernels.channel_sums(A) / M  # (C, 1, 1)
        Xhat = A - mean
        # From what is centred: E[X^2] - E[X]^2 can come out negative in float32.
        var = kernels.channel_dots(Xhat, Xhat) / M
        std = np.sqrt(var + self.epsilon)
        Xhat /= std
        Y = Xhat * gamma
        Y += beta  # (E2)  (C, H, W*N)
        local = {"Xhat": Xhat, "scale": gamma / std, "mean": mean, "var": var}
        return kernels.images(Y, X.shape), local

    def __call__(self, X: Array) -> Array:
        Y = super().__call__(X)
        M = Y.size // self.channels
        mean, var = self.local["mean"].ravel(), self.local["var"].ravel()
        var = var * (M / max(1, M - 1))  # unbiased, as in the paper
        old_mean, old_var = self.state["running_mean"], self.state["running_var"]
        untouched = not old_mean.any() and (old_var == 1).all()
        rate = 1.0 if self.from_first and untouched else self.momentum
        old_mean += rate * (mean - old_mean)
        old_var += rate * (var - old_var)
        return Y

    # --- backward -------------------------------------------------------------

    def gradients(self, dY: Array) -> None:
        dA = kernels.channels(self.upstream(dY))  # (C, H, W*N)
        dgamma = kernels.channel_dots(dA, self.local["Xhat"])  # (E5)
        dbeta = kernels.channel_sums(dA)  # (E6)
        self.grads = {"gamma": dgamma.ravel(), "beta": dbeta.ravel()}  # (C,)

    def backward(self, dY: Array) -> Array:
        """dX = gamma / std * (dY - mean(dY) - Xhat * mean(dY * Xhat)).

        The last two terms: mean and variance depend on every pixel of the channel.
        """
        dY = self.upstream(dY)
        self.gradients(dY)
        dgamma, dbeta = (self.grads[k][:, None, None] for k in ("gamma", "beta"))
        dA = kernels.channels(dY)  # (C, H, W*N)
        M = dA[0].size
        dX = self.local["Xhat"] * (dgamma / -M)
        dX += dA
        dX -= dbeta / M
        dX *= self.local["scale"]  # (E8)  (C, H, W*N)
        return kernels.images(dX, dY.shape)

    def check(self, X: Array) -> None:
        if X.ndim != 4 or X.shape[1] != self.channels:
            self.expect(f"images (N, {self.channels}, H, W)", X)

    def __repr__(self) -> str:
        return f"BatchNorm2D({self.channels})"


class Flatten(Layer):
    """Images (N, C, H, W) to rows (N, C*H*W)."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        return X.reshape(len(X), -1)  # (E2)  (N, C*H*W)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the shape of X."""
        return self.forward(X), {"shape": X.shape}

    # --- backward -------------------------------------------------------------

    def backward(self, dY: Array) -> Array:
        # Samples last in memory, as the layers below like it, see kernels.
        dY = np.asfortranarray(self.upstream(dY))
        return dY.reshape(self.local["shape"])  # (E8)  (N, C, H, W)

    def check(self, X: Array) -> None:
        if X.ndim < 2:
            self.expect("samples with at least one axis each", X)


class Dropout(Layer):
    """Y = X with a share p of its entries set to 0 and the rest grown by 1 / (1 - p).

    forward changes nothing: the growth already keeps the mean. Srivastava et al. (2014).
    """

    # --- init -----------------------------------------------------------------

    def __init__(self, p: float = 0.5, rng: np.random.Generator | None = None) -> None:
        super().__init__()
        if not (is_number(p) and 0 <= p < 1):
            raise ValueError(f"Dropout expects a share from 0 to below 1, got {short(p)}")
        self.p = float(p)
        self.seed = int((rng or RNG).integers(2**63))
        self.state = {"calls": np.zeros(1, np.int64)}  # each call draws another mask

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        return self.accept(X)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the mask, 0 or 1 / (1 - p) per entry, a function of seed and calls alone."""
        rng = np.random.default_rng((self.seed, int(self.state["calls"][0])))
        kept = rng.random(X.shape, np.float32) >= self.p
        mask = kept * X.dtype.type(1 / (1 - self.p))  # of X's shape
        return X * mask, {"mask": mask}  # (E2)

    def __call__(self, X: Array) -> Array:
        Y = super().__call__(X)
        self.state["calls"] += 1
        return Y

    # --- backward -------------------------------------------------------------

    def backward(self, dY: Array) -> Array:
        return self.upstream(dY) * self.local["mask"]  # (E8)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
