"""What every layer promises: the call remembers, forward does not.

Y = layer(X)             training: returns Y and remembers the local gradient
dX = layer.backward(dY)  the gradients of params are then in layer.grads
Y = layer.forward(X)     inference: remembers nothing
"""

# N samples, D inputs, H outputs of a layer, K classes.   dX is d loss / d X, for any X.
#     E1 Y = X W + b      E2 Y = f(X)      E3 the loss, mean over N      E4 its gradient dY
#     E5 dW = X' dY       E6 db = sum over n of dY       E7 dX = dY W'   E8 dX = dY * f'(X)
#     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cnn.checks import floats
from cnn.kernels import Array

__all__ = ["Layer", "Local"]

Local = dict[str, Any]


class Layer:
    """The contract: grads has the keys of params; state is what else a call moves."""

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.state: dict[str, Array] = {}
        self.local: Local = {}
        self.out_shape: tuple[int, ...] = ()
        self.out_dtype: npt.DTypeLike = np.float32

    def __call__(self, X: Array) -> Array:
        """The training pass: returns Y and remembers the local gradient for backward."""
        Y, self.local = self.training_pass(self.accept(X))
        self.out_shape, self.out_dtype = Y.shape, Y.dtype
        return Y

    def forward(self, X: Array) -> Array:
        """The output at inference; writes nothing."""
        raise NotImplementedError

    def training_pass(self, X: Array) -> tuple[Array, Local]:
        """The output and the local gradient, from one computation; writes nothing."""
        raise NotImplementedError

    def local_grad(self, X: Array) -> Local:
        """What the call would remember; writes nothing."""
        return self.training_pass(self.accept(X))[1]

    def backward(self, dY: Array) -> Array:
        """dY -> dX; writes grads, the gradients of params."""
        raise NotImplementedError

    def gradients(self, dY: Array) -> None:
        """What backward writes to grads, without dX: all that the first layer has to do."""

    def accept(self, X: Array) -> Array:
        """X as floats, of the weights' dtype if there are weights (integers become float32)."""
        dtype = next((W.dtype for W in self.params.values()), None)
        X = floats(X, self, dtype=dtype)
        self.check(X)
        if not (X.ndim and X.size):
            raise ValueError(f"{self}: expects at least one sample, got X of shape {X.shape}")
        return X

    def check(self, X: Array) -> None:
        """Raises ValueError unless X has a shape that fits."""

    def expect(self, what: str, X: Array) -> NoReturn:
        raise ValueError(f"{self}: expects {what}, got X of shape {X.shape}")

    def upstream(self, dY: Array) -> Array:
        """dY in the dtype of Y, once it is known to belong to the remembered call."""
        if not self.out_shape:
            raise RuntimeError(f"{self}: backward expects a call first, got none")
        if np.shape(dY) != self.out_shape:
            raise ValueError(
                f"{self}: backward expects dY of shape {self.out_shape}, got {np.shape(dY)}"
            )
        return np.asarray(dY, self.out_dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
