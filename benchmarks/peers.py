"""PyTorch, JAX and scikit-learn on the same workloads, written as their users write them.

None of them is needed: each is imported when it is asked for, and may be missing.
"""

from typing import Any

import numpy as np

from benchmarks.workloads import Array, Batches, Contender, Workload
from datasets.store.weights import Weights

__all__ = ["PEERS"]


class PyTorch(Contender):
    """Eager PyTorch."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        import torch

        super().__init__(work, weights)
        self.torch = torch
        self.model = torch.nn.Sequential(*map(self._layer, work.layers))
        self._set(weights)
        self.loss = torch.nn.CrossEntropyLoss()
        self.sgd = torch.optim.SGD(self.model.parameters(), lr=work.lr, momentum=work.momentum)
        self.X, self.y = torch.from_numpy(work.X), torch.from_numpy(work.y.argmax(axis=1))

    def _layer(self, layer: tuple[Any, ...]) -> Any:
        nn, (kind, *sizes) = self.torch.nn, layer
        if kind == "conv":
            return nn.Conv2d(*sizes, 3, padding=1)
        build = {"linear": nn.Linear, "bn": nn.BatchNorm2d, "relu": nn.ReLU, "flatten": nn.Flatten}
        return nn.MaxPool2d(2) if kind == "pool" else build[kind](*sizes)

    def _set(self, weights: Weights) -> None:
        names = {"gamma": "weight", "beta": "bias", "W": "weight", "b": "bias"}
        trained = [layer for layer in self.model if list(layer.parameters())]
        for key, value in weights.items():
            layer, name = key.removeprefix("layer_").split("/")
            turned = value.T if name == "W" and value.ndim == 2 else value
            own = getattr(trained[int(layer) - 1], names.get(name, name))
            own.data[...] = self.torch.from_numpy(np.ascontiguousarray(turned))

    def shuffled(self, rng: np.random.Generator) -> Batches:
        order = self.torch.from_numpy(rng.permutation(len(self.X)))
        for rows in order.split(self.work.batch):
            yield self.X[rows], self.y[rows]

    def train(self, batches: Batches) -> list[float]:
        losses, hits = [], 0
        self.model.train()
        for X, y in batches:
            self.sgd.zero_grad()
            out = self.model(X)
            loss = self.loss(out, y)
            loss.backward()
            self.sgd.step()
            losses.append(loss.item())
            hits += (out.argmax(dim=1) == y).sum().item()
        return losses

    def infer(self) -> Array:
        self.model.eval()
        with self.torch.inference_mode():
            return self.torch.cat([self.model(X) for X in self.X.split(1000)]).numpy()


class ChannelsLast(PyTorch):
    """Eager PyTorch with images and filters in channels-last memory (NHWC): an option it has."""

    rtol = 1e-2  # its convolutions round more coarsely: 4e-5 after a step, the rest 1e-6

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.format = {"memory_format": self.torch.channels_last}
        self.model.to(**self.format)
        self.X = self.X.contiguous(**self.format)

    def shuffled(self, rng: np.random.Generator) -> Batches:
        for X, y in super().shuffled(rng):
            yield X.contiguous(**self.format), y


class Jax(Contender):
    """JAX: one compiled function for a step, called with NumPy batches."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        import jax

        super().__init__(work, weights)
        self.jax = jax
        arrays = self.params(weights)
        params = {key: W for key, W in arrays.items() if "running" not in key}
        self.state = params, jax.tree.map(np.zeros_like, params), arrays
        self.step, self.forward = jax.jit(self._step), jax.jit(self._forward, static_argnums=2)

    def params(self, weights: Weights) -> dict[str, Any]:
        return {key: self.jax.numpy.asarray(W) for key, W in weights.items()}

    def _forward(self, params: dict[str, Any], X: Any, training: bool) -> Any:
        jnp, lax = self.jax.numpy, self.jax.lax
        i = 0
        for kind, *_ in self.work.layers:
            i += kind in ("linear", "conv", "bn")
            own = {
                key.split("/")[1]: W for key, W in params.items() if key.startswith(f"layer_{i}/")
            }
            if kind == "linear":
                X = X @ own["W"] + own["b"]
            elif kind == "conv":
                padding = ((1, 1), (1, 1))
                X = lax.conv_general_dilated(X, own["W"], (1, 1), padding)
                X += own["b"][:, None, None]
            elif kind == "pool":
                window = (1, 1, 2, 2)
                X = lax.reduce_window(X, -np.inf, lax.max, window, window, "VALID")
            elif kind == "relu":
                X = self.jax.nn.relu(X)
            elif kind == "bn":
                mean, var = X.mean((0, 2, 3)), X.var((0, 2, 3))
                if not training:
                    mean, var = own["running_mean"], own["running_var"]
                scale = own["gamma"] / jnp.sqrt(var + 1e-5)
                X = (X - mean[:, None, None]) * scale[:, None, None] + own["beta"][:, None, None]
            else:
                X = X.reshape(len(X), -1)
        return X

    def _loss(self, params: dict[str, Any], X: Any, y: Any) -> tuple[Any, Any]:
        out = self._forward(params, X, True)
        loss = -(y * self.jax.nn.log_softmax(out)).sum(axis=1).mean()
        return loss, (out.argmax(axis=1) == y.argmax(axis=1)).sum()

    def _step(self, params: Any, velocity: Any, X: Any, y: Any) -> tuple[Any, ...]:
        tree, work = self.jax.tree, self.work
        (loss, hits), grads = self.jax.value_and_grad(self._loss, has_aux=True)(params, X, y)
        velocity = tree.map(lambda V, dW: work.momentum * V - work.lr * dW, velocity, grads)
        return tree.map(lambda W, V: W + V, params, velocity), velocity, loss, hits

    def train(self, batches: Batches) -> list[float]:
        losses, right = [], 0
        params, velocity, arrays = self.state
        for X, y in batches:
            params, velocity, loss, hits = self.step(params, velocity, X, y)
            losses.append(float(loss))
            right += int(hits)
        self.state = params, velocity, arrays
        return losses

    def infer(self) -> Array:
        X, arrays = self.work.X, self.state[2]
        blocks = [self.forward(arrays, X[n : n + 250], False) for n in range(0, len(X), 250)]
        return np.concatenate(blocks)


class ScikitLearn(Contender):
    """MLPClassifier; it counts no hits while it trains."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        from sklearn.neural_network import MLPClassifier

        super().__init__(work, weights)
        self.model = MLPClassifier(
            hidden_layer_sizes=tuple(work.sizes[1:-1]), solver="sgd", alpha=0,
            batch_size=work.batch, learning_rate_init=work.lr, momentum=work.momentum,
            nesterovs_momentum=False, shuffle=False, random_state=0,
        )  # fmt: skip
        self.labels = work.y.argmax(axis=1)
        self.classes = np.arange(work.y.shape[1])
        first = slice(work.batch)  # the weights are made at the first call
        self.model.partial_fit(work.X[first], self.labels[first], classes=self.classes)
        self._set(list(weights.values()))

    def _set(self, arrays: list[Array]) -> None:
        for own, new in zip(self.model.coefs_, arrays[0::2], strict=True):
            own[...] = new
        for own, new in zip(self.model.intercepts_, arrays[1::2], strict=True):
            own[...] = new
        for velocity in self.model._optimizer.velocities:
            velocity[...] = 0

    def train(self, batches: Batches) -> list[float]:
        losses = []
        for X, y in batches:
            self.model.partial_fit(X, y.argmax(axis=1))
            losses.append(self.model.loss_)
        return losses

    def run(self) -> None:
        """An epoch, shuffled by scikit-learn itself."""
        self.model.set_params(shuffle=True)
        self.model.partial_fit(self.work.X, self.labels)


PEERS: dict[str, type[Contender]] = {
    "PyTorch": PyTorch,
    "PyTorch NHWC": ChannelsLast,
    "JAX": Jax,
    "scikit-learn": ScikitLearn,
}
