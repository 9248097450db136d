"""The activations: layers without weights, Y = f(X), entry by entry (Softmax: row by row)."""

import math

import numpy as np

from cnn.kernels import Array, relu
from cnn.layer import Layer, Local
from datasets.checks import is_number, short

__all__ = ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"]


class Activation(Layer):
    """What the entrywise ones share: local["slope"] is f'(X), one number per entry."""

    # --- backward -------------------------------------------------------------

    def backward(self, dY: Array) -> Array:
        return self.upstream(dY) * self.local["slope"]  # (E8)


class ReLU(Activation):
    """Y = max(X, 0)."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        return relu(self.accept(X))  # (E2)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the slope is True (1) where X > 0, else False (0)."""
        return self.forward(X), {"slope": X > 0}


class LeakyReLU(Activation):
    """Y = X above 0, alpha X below."""

    def __init__(self, alpha: float = 0.01) -> None:
        super().__init__()
        if not (is_number(alpha) and math.isfinite(alpha)):
            raise ValueError(f"LeakyReLU expects a finite alpha, got {short(alpha)}")
        self.alpha = float(alpha)

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        return self.training_pass(self.accept(X))[0]

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the slope is 1 or alpha."""
        positive, alpha = X > 0, X.dtype.type(self.alpha)
        slope = positive + alpha * ~positive
        return X * slope, {"slope": slope}  # (E2)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.alpha})"


class Sigmoid(Activation):
    """Y = 1 / (1 + exp(-X)), as (1 + tanh(X / 2)) / 2, which cannot overflow."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        return (1 + np.tanh(self.accept(X) / 2)) / 2  # (E2)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the slope is Y (1 - Y)."""
        Y = self.forward(X)
        return Y, {"slope": Y * (1 - Y)}


class Tanh(Activation):
    """Y = tanh(X)."""

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        return np.tanh(self.accept(X))  # (E2)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: the slope is 1 - Y^2."""
        Y = self.forward(X)
        return Y, {"slope": 1 - Y * Y}


class Softmax(Layer):
    """Probabilities along axis 1: Y = exp(X) / sum of exp(X).

    CrossEntropyLoss has its own softmax: it expects the scores, not these probabilities.
    """

    # --- forward --------------------------------------------------------------

    @np.errstate(under="ignore")  # exp of a large negative number is 0, as it should be
    def forward(self, X: Array) -> Array:
        X = self.accept(X)
        P = np.exp(X - X.max(axis=1, keepdims=True))  # <= 1
        return P / P.sum(axis=1, keepdims=True)  # (E2)

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """local: dY_i/dX_j = Y_i (1[i = j] - Y_j); Y says it all."""
        Y = self.forward(X)
        return Y, {"Y": Y}

    # --- backward -------------------------------------------------------------

    @np.errstate(under="ignore")
    def backward(self, dY: Array) -> Array:
        dY, Y = self.upstream(dY), self.local["Y"]
        return Y * (dY - (dY * Y).sum(axis=1, keepdims=True))  # (E8)

    def check(self, X: Array) -> None:
        if X.ndim < 2:
            self.expect("rows of scores (N, K)", X)
