"""PyTorch, JAX and scikit-learn on the same workloads, written as their users write them.

None of them is needed: each is imported when it is asked for, and may be missing.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.workloads import Array, Contender, Weights, Workload

__all__ = ["PEERS"]


# --- PyTorch ----------------------------------------------------------------------


class PyTorch(Contender):
    """Eager PyTorch."""

    mlps, images, module = True, True, "torch"

    def __init__(self, work: Workload, weights: Weights) -> None:
        import torch
        from torch import nn

        super().__init__(work, weights)
        build: dict[str, Any] = {
            "linear": nn.Linear,
            "conv": lambda C, F: nn.Conv2d(C, F, 3, padding=1),
            "pool": lambda: nn.MaxPool2d(2),
            "bn": nn.BatchNorm2d,
            "relu": nn.ReLU,
            "flatten": nn.Flatten,
        }
        self.torch = torch
        self.model = nn.Sequential(*(build[kind](*sizes) for kind, *sizes in work.layers))
        own = [W.T if W.ndim == 2 else W for key, W in weights.items() if "running" not in key]
        for array, W in zip(self.model.parameters(), own, strict=True):
            array.data[...] = torch.from_numpy(np.ascontiguousarray(W))
        self.call, self.loss = self.model, nn.CrossEntropyLoss()
        self.sgd = torch.optim.SGD(self.model.parameters(), lr=work.lr, momentum=work.momentum)
        self.X, self.y = torch.from_numpy(work.X), torch.from_numpy(work.y.argmax(axis=1))

    def batches(self, steps: int | None) -> Iterator[tuple[Any, Any]]:
        self.model.train()
        order = self.torch.from_numpy(self.rng.permutation(len(self.X)))
        for rows in islice(order.split(self.work.batch), steps):
            yield self.X[rows], self.y[rows]

    def step(self, X: Any, y: Any) -> tuple[float, int]:
        self.sgd.zero_grad()
        out = self.call(X)
        loss = self.loss(out, y)
        loss.backward()
        self.sgd.step()
        return loss.item(), (out.argmax(dim=1) == y).sum().item()

    def infer(self) -> Array:
        self.model.eval()
        with self.torch.inference_mode():
            return self.torch.cat([self.call(X) for X in self.X.split(1000)]).numpy()


class ChannelsLast(PyTorch):
    """Eager PyTorch with images and filters in channels-last memory (NHWC): an option it has."""

    rtol = 1e-2  # its convolutions round more coarsely: 4e-5 after a step, the rest 1e-6
    mlps = False

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.format = {"memory_format": self.torch.channels_last}
        self.model.to(**self.format)
        self.X = self.X.contiguous(**self.format)

    def batches(self, steps: int | None) -> Iterator[tuple[Any, Any]]:
        for X, y in super().batches(steps):
            yield X.contiguous(**self.format), y


class Compiled(PyTorch):
    """PyTorch with torch.compile, which needs a C++ compiler on the machine."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.call = self.torch.compile(self.model)


# --- JAX --------------------------------------------------------------------------


class Jax(Contender):
    """JAX: one compiled function for a step, called with NumPy batches; images are NHWC."""

    mlps, images, module = True, True, "jax"

    def __init__(self, work: Workload, weights: Weights) -> None:
        import jax

        super().__init__(work, weights)
        self.jax = jax
        self.arrays = {key: self._filters(W) for key, W in weights.items()}
        params = {key: W for key, W in self.arrays.items() if "running" not in key}
        self.state: Any = params, jax.tree.map(np.zeros_like, params)
        self.one, self.forward = jax.jit(self._step), jax.jit(self._forward, static_argnums=2)

    def _filters(self, W: Array) -> Any:
        return self.jax.numpy.asarray(W.transpose(2, 3, 1, 0) if W.ndim == 4 else W)

    def _forward(self, params: dict[str, Any], X: Any, training: bool) -> Any:
        jnp, lax = self.jax.numpy, self.jax.lax
        X, i = X.transpose(0, 2, 3, 1) if X.ndim == 4 else X, 0
        for kind, *_ in self.work.layers:
            i += kind in ("linear", "conv", "bn")
            own = {k.split("/")[1]: W for k, W in params.items() if k.startswith(f"layer_{i}/")}
            if kind == "linear":
                X = X @ own["W"] + own["b"]
            elif kind == "conv":
                names = ("NHWC", "HWIO", "NHWC")
                X = lax.conv_general_dilated(X, own["W"], (1, 1), "SAME", dimension_numbers=names)
                X += own["b"]
            elif kind == "pool":
                window = (1, 2, 2, 1)
                X = lax.reduce_window(X, -np.inf, lax.max, window, window, "VALID")
            elif kind == "relu":
                X = self.jax.nn.relu(X)
            elif kind == "bn":
                mean, var = X.mean((0, 1, 2)), X.var((0, 1, 2))
                if not training:
                    mean, var = own["running_mean"], own["running_var"]
                X = (X - mean) * own["gamma"] / jnp.sqrt(var + 1e-5) + own["beta"]
            else:  # flatten, in the order that the weights of the next layer expect
                X = X.transpose(0, 3, 1, 2).reshape(len(X), -1)
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

    def step(self, X: Any, y: Any) -> tuple[float, int]:
        *self.state, loss, hits = self.one(*self.state, X, y)
        return float(loss), int(hits)

    def infer(self) -> Array:
        X = self.work.X
        blocks = [self.forward(self.arrays, X[n : n + 250], False) for n in range(0, len(X), 250)]
        return np.concatenate(blocks)


class JaxScan(Jax):
    """JAX as its experts write it: an epoch, or all blocks of images, in one compiled function."""

    def __init__(self, work: Workload, weights: Weights) -> None:
        super().__init__(work, weights)
        self.X, self.y = (self.jax.numpy.asarray(part) for part in (work.X, work.y))
        self.epoch = self.jax.jit(self._epoch, donate_argnums=(0, 1))
        self.all_blocks = self.jax.jit(
            lambda X: self.jax.lax.map(lambda x: self._forward(self.arrays, x, False), X)
        )

    def _epoch(self, params: Any, velocity: Any, X: Any, y: Any, rows: Any) -> Any:
        def body(state: Any, some: Any) -> Any:
            params, velocity, loss, hits = self._step(state[0], state[1], X[some], y[some])
            return (params, velocity), (loss, hits)

        return self.jax.lax.scan(body, (params, velocity), rows)

    def train(self, steps: int | None = None) -> tuple[list[float], int | None]:
        B, order = self.work.batch, self.rng.permutation(len(self.X))
        order = order[: steps and steps * B]
        whole = len(order) // B * B
        parts = order[:whole].reshape(-1, B), order[None, whole:]  # the last batch may be smaller
        losses: list[float] = []
        right = 0
        for rows in (rows for rows in parts if rows.size):
            self.state, (loss, hits) = self.epoch(*self.state, self.X, self.y, rows)
            losses += loss.tolist()
            right += int(hits.sum())
        return losses, right

    def infer(self) -> Array:
        blocks = self.X.reshape(-1, 250, *self.X.shape[1:])
        return np.asarray(self.all_blocks(blocks)).reshape(len(self.X), -1)


# --- scikit-learn -----------------------------------------------------------------


class ScikitLearn(Contender):
    """MLPClassifier; it counts no hits while it trains."""

    module = "sklearn"

    def __init__(self, work: Workload, weights: Weights) -> None:
        from sklearn.neural_network import MLPClassifier

        super().__init__(work, weights)
        self.model = MLPClassifier(
            hidden_layer_sizes=tuple(work.sizes[1:-1]), solver="sgd", alpha=0,
            batch_size=work.batch, learning_rate_init=work.lr, momentum=work.momentum,
            nesterovs_momentum=False, shuffle=False, random_state=0,
        )  # fmt: skip
        self.labels, classes = work.y.argmax(axis=1), np.arange(work.y.shape[1])
        first = slice(work.batch)  # the weights are made at the first call
        self.model.partial_fit(work.X[first], self.labels[first], classes=classes)
        own = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        for array, new in zip((W for pair in own for W in pair), weights.values(), strict=True):
            array[...] = new
        for velocity in self.model._optimizer.velocities:
            velocity[...] = 0

    def train(self, steps: int | None = None) -> tuple[list[float], int | None]:
        losses = []
        for X, y in self.batches(steps):
            self.model.partial_fit(X, y.argmax(axis=1))
            losses.append(self.model.loss_)
        return losses, None

    def run(self) -> object:
        """An epoch, shuffled by scikit-learn itself."""
        return self.model.set_params(shuffle=True).partial_fit(self.work.X, self.labels)


PEERS: dict[str, type[Contender]] = {
    "PyTorch": PyTorch,
    "PyTorch NHWC": ChannelsLast,
    "PyTorch compiled": Compiled,
    "JAX": Jax,
    "JAX scan": JaxScan,
    "scikit-learn": ScikitLearn,
}
