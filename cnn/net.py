"""A network: a list of layers and a loss.

out = net(X)             # forward, every layer remembers what backward needs
loss = net.loss(out, y)  # forward of the loss, the same way
net.backward()           # grads of every layer
net.update_weights(lr)
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import numpy.typing as npt

from cnn.checks import labels_of
from cnn.kernels import Array, keep_memory
from cnn.layer import Layer
from cnn.losses import Loss
from datasets import Schedule, at_epoch, checks, many, minibatches
from datasets.schedules import short
from datasets.store.weights import Weights, match_weights

__all__ = ["Net"]

BLOCK = 250  # images at a time at inference: what lies between the layers stays in the cache


class Net:
    """Layers one after the other, samples as rows; loss is a Loss or its class."""

    # --- init -----------------------------------------------------------------

    def __init__(self, layers: Sequence[Layer], loss: Loss | type[Loss]) -> None:
        if not layers:
            raise ValueError("Net expects at least one layer, got none")
        for i, layer in enumerate(layers, 1):
            if not isinstance(layer, Layer):
                raise TypeError(f"Net expects layers, got {short(layer)} at position {i}")
            if layer in layers[: i - 1]:
                raise ValueError(
                    f"layer {i}, {layer}: expected a new layer, this is one from above"
                )
        self.layers = list(layers)
        self.loss = loss() if isinstance(loss, type) else loss
        if not isinstance(self.loss, Loss):
            raise TypeError(f"Net expects a loss from cnn.losses, got {short(loss)}")
        keep_memory()
        self.velocity: list[dict[str, Array]] = [{} for _ in self.layers]

    def astype(self, dtype: npt.DTypeLike) -> "Net":
        """A copy of the net that computes in dtype (float64 for the gradient check)."""
        net = deepcopy(self)
        for layer, velocity in zip(net.layers, net.velocity, strict=True):
            for arrays in (layer.params, layer.state, velocity):
                for name, array in arrays.items():
                    if array.dtype.kind == "f":
                        arrays[name] = array.astype(dtype)
        return net

    def summary(self) -> None:
        """Print the layers and how many parameters they have."""
        rows = [("layer", "parameters")]
        counts = [sum(W.size for W in layer.params.values()) for layer in self.layers]
        for i, (layer, count) in enumerate(zip(self.layers, counts, strict=True), 1):
            rows.append((f"{i}  {layer}", f"{count:,}"))
        for name, number in [*rows, ("total", f"{sum(counts):,}")]:
            print(f"{name:32}{number:>14}")

    def get_weights(self) -> Weights:
        """Copies of the weights as a file names them, {"layer_1/W": array, ...}.

        Only layers with params are counted; a bias is (out,); the running statistics of
        BatchNorm2D are weights, too.
        """
        return {key: W.copy() for key, W in self._weights().items()}

    def set_weights(self, weights: Weights) -> None:
        """Take over what get_weights gave; ValueError names the first difference."""
        own = self._weights()
        for key, W in match_weights(weights, own, "set_weights").items():
            own[key][...] = W

    def get_velocity(self) -> Weights:
        """Copies of the velocities, named as the weights."""
        return {key: V.copy() for key, V in self._velocity().items()}

    def set_velocity(self, velocity: Weights) -> None:
        """Take over what get_velocity gave; ValueError names the first difference."""
        own = self._velocity()
        for key, V in match_weights(velocity, own, "set_velocity").items():
            own[key][...] = V

    def _weights(self) -> Weights:
        return self._named([{**layer.params, **layer.state} for layer in self.layers])

    def _velocity(self) -> Weights:
        for layer, velocity in zip(self.layers, self.velocity, strict=True):
            for name, W in layer.params.items():
                velocity.setdefault(name, np.zeros_like(W))
        return self._named(self.velocity)

    def _named(self, arrays: list[dict[str, Array]]) -> Weights:
        trained = [own for layer, own in zip(self.layers, arrays, strict=True) if layer.params]
        return {
            f"layer_{i}/{name}": array[0] if name == "b" and array.ndim == 2 else array
            for i, own in enumerate(trained, 1)
            for name, array in own.items()
        }

    # --- forward --------------------------------------------------------------

    def __call__(self, X: Array) -> Array:
        """The training pass: the output (N, K); every layer remembers for backward."""
        for i, layer in enumerate(self.layers, 1):
            X = at(i, layer, X)
        return X

    def forward(self, X: Array) -> Array:
        """Inference, block by block of images; writes nothing."""
        X = np.atleast_1d(X)
        first = self.infer(X[:BLOCK])
        out = np.empty((len(X), *first.shape[1:]), first.dtype)
        out[:BLOCK] = first
        for n in range(BLOCK, len(X), BLOCK):
            out[n : n + BLOCK] = self.infer(X[n : n + BLOCK])
        return out

    def infer(self, X: Array) -> Array:
        for i, layer in enumerate(self.layers, 1):
            X = at(i, layer.forward, X)
        return X

    def predict(self, X: Array) -> Array:
        """The scores (N, K), as in the other two; the class of a row is its argmax."""
        return self.forward(X)

    # --- backward -------------------------------------------------------------

    def backward(self) -> None:
        """grads of every layer that has params; below the first of them nobody needs dX."""
        first = next((i for i, layer in enumerate(self.layers) if layer.params), 0)
        dY = self.loss.backward()  # (E4)
        for layer in self.layers[:first:-1]:
            dY = layer.backward(dY)  # (E5-E8)
        self.layers[first].gradients(dY)

    def input_gradient(self) -> Array:
        """The whole way back: grads as in backward, and dX (N, ...) of the net's input."""
        dY = self.loss.backward()
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY

    # --- update ---------------------------------------------------------------

    def update_weights(self, lr: float, momentum: float = 0.0) -> None:
        """One step of SGD with momentum (Polyak, 1964), in place.

        Raises ValueError for rates out of range, RuntimeError unless backward came first.
        """
        lr, momentum = checks.rates(lr, momentum)
        for layer, velocity in zip(self.layers, self.velocity, strict=True):
            if layer.grads.keys() != layer.params.keys():
                raise RuntimeError("update_weights expects a backward first, got none")
            for name, W in layer.params.items():
                V, dW = velocity.setdefault(name, np.zeros_like(W)), layer.grads[name]
                V *= momentum
                V -= lr * dW  # (E9)
                W += V  # (E9)

    # --- train ----------------------------------------------------------------

    def step(self, X: Array, y: npt.ArrayLike, lr: float, momentum: float) -> tuple[float, int]:
        """One training step on a batch: the loss, and how many samples were right."""
        out = self(X)  # (N, K)
        loss = self.loss(out, y)
        self.backward()
        many.mean(self.averaged(), len(X))  # over the ranks of mpiexec; alone, as they are
        self.update_weights(lr, momentum)
        return loss, hits(out, y)

    def averaged(self) -> list[Array]:
        """What ranks have in common: the gradients, and BatchNorm2D's running statistics."""
        return [A for layer in self.layers for A in (layer.grads | layer.state).values()]

    @np.errstate(over="ignore", invalid="ignore")  # checks.loss tells it, with advice
    def train(
        self,
        X: Array,
        y: npt.NDArray,
        lr: Schedule = 0.02,
        momentum: Schedule = 0.9,
        epochs: int = 3,
        batch_size: int = 100,
        rng: np.random.Generator | None = None,
    ) -> list[float]:
        """Learn X (N, ...), y for some epochs; a list of rates holds one per epoch.

        Returns the mean loss of each epoch. Raises FloatingPointError when training diverges:
        then the weights are those at the start of the epoch.
        """
        checks.training(lr, momentum, epochs, batch_size)
        rng, losses = rng or np.random.default_rng(0), []
        for epoch in range(epochs):
            rates, loss_sum = (at_epoch(lr, epoch), at_epoch(momentum, epoch)), 0.0
            with checks.undone_if_diverging(self):
                batches = minibatches(X, y, batch_size, rng)
                for n, (X_batch, y_batch) in enumerate(batches, start=1):
                    loss, _ = self.step(X_batch, y_batch, *rates)
                    checks.loss(loss, n, rates[0])
                    loss_sum += loss * len(X_batch)
                checks.weights(self.get_weights().values(), rates[0])
            losses.append(loss_sum / len(X))
        return losses

    # --- accuracy -------------------------------------------------------------

    def accuracy(self, X: Array, y: npt.ArrayLike) -> float:
        """The share of samples whose highest score is at the target."""
        out = self.forward(X)
        if not np.isfinite(out).all():
            advice = "training has diverged, try a tenth of the learning rate"
            raise FloatingPointError(f"accuracy expects finite scores, got nan or inf: {advice}")
        labels = labels_of(y, out.shape, "accuracy")
        return hits(out, labels) / len(out)


def at(i: int, method: Callable[[Array], Array], X: Array) -> Array:
    """method(X), with the position of the layer in front of what it complains about."""
    try:
        return method(X)
    except (TypeError, ValueError) as error:
        raise type(error)(f"layer {i}, {error}") from None


def hits(out: Array, y: npt.ArrayLike) -> int:
    """How many rows of out (N, K) are highest at the target, a label or a one-hot row."""
    y = np.asarray(y)
    one_hot = y.shape == out.shape
    labels = y.argmax(axis=1) if one_hot else y.reshape(-1)
    return int(np.count_nonzero(out.argmax(axis=1) == labels))
