"""The losses: the call remembers the gradient of the scores, forward only measures."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cnn.checks import floats, labels_of
from cnn.kernels import Array

__all__ = ["Loss", "CrossEntropyLoss", "MeanSquareLoss"]


class Loss:
    """The contract of the layers, with the targets y as a second argument."""

    def __init__(self) -> None:
        self.local: dict[str, Array] = {}

    def __call__(self, X: Array, y: npt.ArrayLike) -> float:
        """The loss; remembers dX for backward."""
        loss, self.local = self.training_pass(X, y)
        return loss

    def forward(self, X: Array, y: npt.ArrayLike) -> float:
        """The loss; writes nothing."""
        return self.training_pass(X, y)[0]

    def local_grad(self, X: Array, y: npt.ArrayLike) -> dict[str, Array]:
        """What the call would remember; writes nothing."""
        return self.training_pass(X, y)[1]

    def training_pass(self, X: Array, y: npt.ArrayLike) -> tuple[float, dict[str, Array]]:
        """The loss and its local gradient, from one computation; writes nothing."""
        raise NotImplementedError

    def backward(self, dY: float = 1.0) -> Array:
        """dX (N, D), times dY: the gradient of whatever follows the loss."""
        if not self.local:
            raise RuntimeError(f"{self}: backward expects a call first, got none")
        return dY * self.local["dX"]

    def accept(self, X: Array) -> Array:
        X = floats(X, self)
        if X.ndim != 2 or not X.size:
            raise ValueError(f"{self}: expects rows (N, D), got X of shape {X.shape}")
        return X

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class CrossEntropyLoss(Loss):
    """Mean over n of -log softmax(X)[label]: class scores X (N, K) against labels y."""

    # --- loss -----------------------------------------------------------------

    @np.errstate(under="ignore")  # exp of a large negative number is 0, as it should be
    def training_pass(self, X: Array, y: npt.ArrayLike) -> tuple[float, dict[str, Array]]:
        """local: dX = (softmax(X) - one-hot(y)) / N."""
        X = self.accept(X)
        n, labels = np.arange(len(X)), labels_of(y, X.shape, self)
        shifted = X - X.max(axis=1, keepdims=True)  # (N, K)  <= 0
        exp = np.exp(shifted)  # (N, K)  <= 1: no overflow
        total = exp.sum(axis=1, keepdims=True)  # (N, 1)
        hit = shifted[n, labels]  # (N,)
        loss = np.log(total).mean() - hit.mean()  # (E3)
        dX = exp / total
        dX[n, labels] -= 1
        dX /= len(X)  # (E4)  (N, K)
        return float(loss), {"dX": dX}


class MeanSquareLoss(Loss):
    """Mean over all entries of (X - y)^2, with y of the shape of X (N, D), as in PyTorch.

    functional_net and net take |X - y|^2 / 2, the mean over N alone: D / 2 times as much.

    reduction="none" gives the squares themselves, (N, D); backward then takes a dY (N, D).
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f'reduction is expected to be "mean" or "none", got {reduction!r}')
        self.reduction = reduction

    # --- loss -----------------------------------------------------------------

    def training_pass(self, X: Array, y: npt.ArrayLike) -> tuple[Any, dict[str, Array]]:
        """local: dX = 2 (X - y), divided by N D for the mean."""
        X = self.accept(X)
        y = floats(y, self, "y", X.dtype)
        if y.shape != X.shape:
            raise ValueError(f"{self}: expects y of shape {X.shape}, got {y.shape}")
        error = X - y  # (N, D)
        if self.reduction == "none":
            return error**2, {"dX": 2 * error}
        loss = np.vdot(error, error) / error.size  # (E3)
        dX = error * (2 / error.size)  # (E4)  (N, D)
        return float(loss), {"dX": dX}
