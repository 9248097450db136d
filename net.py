"""A feed-forward network in objects: each layer holds its weights, and remembers its input.

Samples are columns inside the network, rows in train, test, fit, evaluate and predict. Read
functional_net.py beside it: the same mathematics, in the same order, as pure functions.
"""

# N samples, D inputs, H outputs of a layer, K classes.   dX is d loss / d X, for any X.
#     E1 Y = W X + b      E2 Y = f(X)      E3 the loss, mean over N      E4 its gradient dY
#     E5 dW = dY X'       E6 db = sum over n of dY       E7 dX = W' dY   E8 dX = dY * f'(X)
#     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import typer

from datasets import MNIST, at_epoch, checks, load_data, load_mnist, minibatches
from datasets.run import console
from datasets.run.loop import Run
from datasets.run.report import report
from datasets.schedules import Schedule
from datasets.store.weights import Weights

__all__ = [
    "InputLayer",
    "FullyConnectedLayer",
    "ReLuLayer",
    "LeakyReLuLayer",
    "SigmoidLayer",
    "TanhLayer",
    "AbsLayer",
    "SoftmaxCrossEntropy",
    "MeanSquaredError",
    "History",
    "FeedForwardNet",
    "load_data",
]

Array = npt.NDArray[np.floating]


# --- layers -------------------------------------------------------------------


class Layer:
    """A step of the network: forward remembers what backward needs."""

    size: int  # outputs, known once the layer is added to a network
    params: tuple[str, ...] = ()  # the names of its weights

    def build(self, size: int, rng: np.random.Generator, dtype: npt.DTypeLike) -> None:
        """Take the size of the layer below; layers with weights draw them here."""
        self.size = size

    def forward(self, X: Array) -> Array:
        """Y (H, N) from X (D, N)."""
        raise NotImplementedError

    def backward(self, dY: Array) -> Array:
        """dX (D, N) from dY (H, N); a layer with weights sets their gradients, too."""
        raise NotImplementedError

    def gradients(self, dY: Array) -> None:
        """What backward sets, without dX: all that the first layer has to do."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class InputLayer(Layer):
    """The first layer of every network: says how many inputs a sample has."""

    def __init__(self, size: int):
        checks.count("InputLayer expects a size", size)
        self.size = size

    def __repr__(self) -> str:
        return f"InputLayer({self.size})"

    def forward(self, X: Array) -> Array:
        """X (D, N) as it is."""
        return X

    def backward(self, dY: Array) -> Array:
        """dY as it is."""
        return dY


class FullyConnectedLayer(Layer):
    """Y = W X + b, with weights W (H, D) and bias b (H, 1)."""

    params = ("W", "b")

    def __init__(self, size: int):
        checks.count("FullyConnectedLayer expects a size", size)
        self.size = size

    def build(self, size: int, rng: np.random.Generator, dtype: npt.DTypeLike) -> None:
        """Random weights of variance 1 / fan_in (LeCun et al., "Efficient BackProp", 1998)."""
        H, D = self.size, size
        W = rng.standard_normal((H, D)) * np.sqrt(1 / D)
        self.W = W.astype(dtype)
        self.b = np.zeros((H, 1), dtype)
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)

    def __repr__(self) -> str:
        return f"FullyConnectedLayer({self.size})"

    def forward(self, X: Array) -> Array:
        """W X + b, (H, N)."""
        self.X = X
        return self.W @ X + self.b  # (E1)  (H, N)

    def gradients(self, dY: Array) -> None:
        """Set dW and db in place: they are views of one vector of the network."""
        np.matmul(dY, self.X.T, out=self.dW)  # (E5)  (H, D)
        dY.sum(axis=1, keepdims=True, out=self.db)  # (E6)

    def backward(self, dY: Array) -> Array:
        """Set dW and db; return dX (D, N)."""
        self.gradients(dY)
        return self.W.T @ dY  # (E7)  (D, N)


class ReLuLayer(Layer):
    """Y = max(X, 0), elementwise."""

    def forward(self, X: Array) -> Array:
        """X where it is above 0, else 0."""
        self.X = X
        return np.maximum(X, 0)  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
        """f' is 1 above 0, else 0."""
        return dY * (self.X > 0)  # (E8)  (D, N)


class LeakyReLuLayer(Layer):
    """Y = X above 0, alpha X below (Maas et al., 2013)."""

    def __init__(self, alpha: float = 0.01):
        self.alpha = checks.real("LeakyReLuLayer expects a finite alpha", alpha, math.isfinite)

    def forward(self, X: Array) -> Array:
        """X where it is above 0, else alpha X."""
        self.slope = np.where(X > 0, X.dtype.type(1), X.dtype.type(self.alpha))
        return X * self.slope  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
        """f' is 1 above 0, else alpha."""
        return dY * self.slope  # (E8)  (D, N)


class SigmoidLayer(Layer):
    """Y = 1 / (1 + exp(-X)), elementwise."""

    def forward(self, X: Array) -> Array:
        """Between 0 and 1; exp sees -|X| only, so it cannot overflow."""
        E = np.exp(-np.abs(X))
        self.Y = np.where(X >= 0, X.dtype.type(1), E) / (1 + E)  # (E2)  (D, N)
        return self.Y

    def backward(self, dY: Array) -> Array:
        """f' = Y (1 - Y)."""
        return dY * self.Y * (1 - self.Y)  # (E8)  (D, N)


class TanhLayer(Layer):
    """Y = tanh(X), elementwise."""

    def forward(self, X: Array) -> Array:
        """Between -1 and 1."""
        self.Y = np.tanh(X)  # (E2)  (D, N)
        return self.Y

    def backward(self, dY: Array) -> Array:
        """f' = 1 - Y^2."""
        return dY * (1 - self.Y * self.Y)  # (E8)  (D, N)


class AbsLayer(Layer):
    """Y = |X|, elementwise."""

    def forward(self, X: Array) -> Array:
        """X without its sign."""
        self.X = X
        return np.abs(X)  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
        """f' is the sign of X."""
        return dY * np.sign(self.X)  # (E8)  (D, N)


# --- costs --------------------------------------------------------------------


class SoftmaxCrossEntropy:
    """Mean over n of -log softmax(Y)[target], Y and y (K, N)."""

    def forward(self, Y: Array, y: Array) -> float:
        """The loss; remembers the probabilities."""
        shifted = Y - Y.max(axis=0)  # (K, N)  no exp can overflow
        exp = np.exp(shifted)  # (K, N)
        total = exp.sum(axis=0)  # (N,)
        loss = np.vdot(y, np.log(total) - shifted)
        self.P, self.y = exp / total, y  # (K, N)
        return float(loss / y.shape[1])  # (E3)

    def backward(self) -> Array:
        """dY (K, N)."""
        return (self.P - self.y) / self.y.shape[1]  # (E4)  (K, N)

    def probabilities(self, Y: Array) -> Array:
        """softmax(Y) (K, N): exp(Y), each column divided by its sum."""
        P = np.exp(Y - Y.max(axis=0))
        return P / P.sum(axis=0)


class MeanSquaredError:
    """Mean over n of |Y - y|^2 / 2, Y and y (K, N)."""

    def forward(self, Y: Array, y: Array) -> float:
        """The loss; remembers the error."""
        self.error = Y - y  # (K, N)
        loss = np.vdot(self.error, self.error) / 2
        return float(loss / y.shape[1])  # (E3)

    def backward(self) -> Array:
        """dY (K, N)."""
        return self.error / self.error.shape[1]  # (E4)  (K, N)

    def probabilities(self, Y: Array) -> Array:
        """Y as it is: squared error aims at the targets themselves."""
        return Y


# --- the network --------------------------------------------------------------


class History:
    """What fit returns: history["loss"][e] and history["accuracy"][e] of epoch e."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def add(self, **figures: float) -> None:
        """One more value for each of the figures."""
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)


class FeedForwardNet:
    """Layers in a row: add an InputLayer first, then what follows; the cost judges the last one.

    seed decides the weights and the shuffling; dtype is that of all arithmetic.
    """

    # --- init -----------------------------------------------------------------

    def __init__(
        self,
        cost: SoftmaxCrossEntropy | MeanSquaredError | None = None,
        seed: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ):
        self.cost = cost() if isinstance(cost, type) else cost or SoftmaxCrossEntropy()
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f" or not hasattr(self.cost, "probabilities"):
            raise TypeError(f"expected a cost and a dtype of floats, got {self.cost}, {self.dtype}")
        self.layers: list[Layer] = []
        self._pack()

    def add(self, layer: Layer) -> None:
        """Put a layer on top; a ReLU widens the weights below it, and velocities start at 0 again.

        Raises ValueError unless the InputLayer comes first, and once.
        """
        if not isinstance(layer, Layer) or layer in self.layers:
            got = checks.short(layer)
            raise TypeError(f"layer {len(self.layers)}: expected a new layer, got {got}")
        if isinstance(layer, InputLayer) == bool(self.layers):
            expected = "a layer other than InputLayer" if self.layers else "an InputLayer first"
            raise ValueError(f"layer {len(self.layers)}: expected {expected}, got {layer}")
        if self.layers:
            below = self.layers[-1]
            layer.build(below.size, self.rng, self.dtype)
            if isinstance(layer, ReLuLayer | LeakyReLuLayer):
                self._widen(below)
        self.layers.append(layer)
        self._pack()

    def _widen(self, below: Layer) -> None:
        # A ReLU lets half of the variance through, so the weights
        # below start with twice as much: He et al., "Delving Deep
        # into Rectifiers" (2015).
        if isinstance(below, FullyConnectedLayer):
            below.W *= below.W.dtype.type(np.sqrt(2))

    def _pack(self) -> None:
        # One vector holds the weights of all layers, a second their gradients, a third their
        # velocities, and layer.W, layer.dW, ... are views: so the update of the whole network
        # is three operations, not three for each W and b.
        arrays = [getattr(layer, name) for layer in self.layers for name in layer.params]
        self.W = np.concatenate([np.empty(0, self.dtype), *map(np.ravel, arrays)])
        self.dW, self.V = np.zeros_like(self.W), np.zeros_like(self.W)
        weights, grads = iter(self._split(self.W)), iter(self._split(self.dW))
        for layer in self.layers:
            for name in layer.params:
                setattr(layer, name, next(weights))
                setattr(layer, f"d{name}", next(grads))

    def _split(self, vector: Array) -> list[Array]:
        """Views of W (H, D), b (H, 1), ... of every layer in one flat vector."""
        shapes = [getattr(layer, name).shape for layer in self.layers for name in layer.params]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = np.split(vector, ends[:-1]) if shapes else []
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    @staticmethod
    def _overwrite(own: list[Array], new: list[Array]) -> None:
        expected, got = [array.shape for array in own], [np.shape(array) for array in new]
        if expected != got:
            raise ValueError(f"expected arrays of shapes {expected}, got {got}")
        new = [np.asarray(values, array.dtype) for array, values in zip(own, new, strict=True)]
        for array, values in zip(own, new, strict=True):
            array[:] = values

    def get_weights(self) -> list[Array]:
        """Copies of W (H, D), b (H, 1), ... of every layer."""
        return self._split(self.W.copy())

    def get_velocity(self) -> list[Array]:
        """Copies of their velocities, in the same order."""
        return self._split(self.V.copy())

    def set_weights(self, weights: list[Array]) -> None:
        """Take over what get_weights gave. Raises ValueError for other shapes."""
        self._overwrite(self._split(self.W), weights)

    def set_velocity(self, velocity: list[Array]) -> None:
        """Take over what get_velocity gave. Raises ValueError for other shapes."""
        self._overwrite(self._split(self.V), velocity)

    def summary(self) -> None:
        """Print the layers, the shapes of their outputs and how many parameters they have."""
        print(f"{'layer':32}{'output':>12}{'parameters':>14}")
        for i, layer in enumerate(self.layers):
            count = sum(getattr(layer, name).size for name in layer.params)
            print(f"{i}  {layer!s:29}{f'({layer.size}, N)':>12}{count:>14,}")
        print(f"{'total':44}{self.W.size:>14,}")

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        """The scores (K, N) of samples in columns, X (D, N)."""
        X = self._accept(X)
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def predict(self, X: Array) -> Array:
        """The scores (N, K) of samples in rows, X (N, D); the class of a row is its argmax."""
        return self.forward(np.asarray(X).T).T

    def probabilities(self, X: Array) -> Array:
        """What the cost takes the scores for, (N, K): with the default cost their softmax."""
        return self.cost.probabilities(self.forward(np.asarray(X).T)).T

    def _check_layers(self) -> None:
        if len(self.layers) < 2:
            raise ValueError(f"expected an InputLayer and layers after it, got {self.layers}")

    def _check_samples(self, what: str, X: Array, y: Array) -> None:
        self._check_layers()
        checks.samples(what, X, y, self.layers[0].size, self.layers[-1].size)

    def _accept(self, X: Array) -> Array:
        self._check_layers()
        X = np.asarray(X)
        if X.ndim != 2 or len(X) != self.layers[0].size:
            raise ValueError(
                f"layer 0, {self.layers[0]}: expects {self.layers[0].size} rows, "
                f"got X of shape {X.shape}"
            )
        if X.dtype.kind != "f":
            raise TypeError(f"layer 0, {self.layers[0]}: expects floats, got X of {X.dtype}")
        return X.astype(self.dtype, copy=False)

    # --- loss -----------------------------------------------------------------

    def loss(self, Y: Array, y: Array) -> float:
        """The cost of scores Y (K, N) against targets y (K, N)."""
        checks.targets("the loss", y, Y)
        return self.cost.forward(Y, y)

    # --- backward -------------------------------------------------------------

    def backward(self, scale: float = 1.0) -> None:
        """Set dW and db of every layer to scale times the gradients of the last loss.

        Nobody trains the pixels, so there is no dX.
        """
        checks.remembered("backward", self.cost)
        dY = scale * self.cost.backward()
        for layer in self.layers[:1:-1]:  # the first layer needs no dX
            dY = layer.backward(dY)
        self.layers[1].gradients(dY)

    def input_gradient(self) -> Array:
        """backward, and on to dX (D, N), which costs as much again as the first layer's dW."""
        checks.remembered("input_gradient", self.cost)
        dY = self.cost.backward()
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY

    # --- update ---------------------------------------------------------------

    def update(self, lr: float, momentum: float) -> None:
        """One step of SGD with momentum (Polyak, 1964) for all weights of all layers, in place."""
        lr, momentum = checks.rates(lr, momentum)
        self.move(lr * self.dW, momentum)

    def move(self, step: Array, momentum: float) -> None:
        """The same for step = lr * dW."""
        self.V *= momentum
        self.V -= step  # (E9)
        self.W += self.V

    # --- train ----------------------------------------------------------------

    def train_epoch(
        self, batches: Iterable[tuple[Array, Array]], lr: float, momentum: float
    ) -> Iterator[tuple[float, int]]:
        """Yield the loss and the number of hits after every step; batches hold rows.

        Raises FloatingPointError when the loss, or at the end a weight, is nan or inf; then
        the weights are those of the start again.
        """
        lr, momentum = checks.rates(lr, momentum)
        W, V = self.W.copy(), self.V.copy()
        try:
            for step, (X, y) in enumerate(batches, start=1):
                Y = self.forward(X.T)  # (K, N)
                loss = self.loss(Y, y.T)
                checks.loss(loss, step, lr)
                # Backward is linear: lr times dY (K, N)
                # makes every gradient lr times as large.
                self.backward(lr)
                self.move(self.dW, momentum)
                yield loss, self.hits(Y, y.T)
            checks.weights([self.W], lr)
        except FloatingPointError:
            self.W[:], self.V[:] = W, V
            raise

    def train(
        self,
        X: Array,
        y: Array,
        learning_rate: Schedule = 0.1,
        epochs: int = 5,
        batch_size: int = 10,
        momentum: Schedule = 0.1,
    ) -> History:
        """Learn X (N, D), y (N, K) for some epochs; a list of rates holds one per epoch."""
        checks.training(learning_rate, momentum, epochs, batch_size)
        self._check_samples("train", X, y)
        X, y = X.astype(self.dtype, copy=False), y.astype(self.dtype, copy=False)
        history = History()
        for epoch in range(epochs):
            batches = minibatches(X, y, batch_size, self.rng)
            rates = at_epoch(learning_rate, epoch), at_epoch(momentum, epoch)
            loss_sum, right, left = 0.0, 0, len(X)
            with np.errstate(over="ignore", invalid="ignore"):  # checks.loss tells it
                for loss, hits in self.train_epoch(batches, *rates):
                    loss_sum += loss * min(batch_size, left)  # the last batch may be smaller
                    right += hits
                    left -= batch_size
            history.add(loss=loss_sum / len(X), accuracy=right / len(X))
        return history

    def fit(
        self,
        X: Array,
        y: Array,
        batch_size: int = 32,
        epochs: int = 1,
        learning_rate: Schedule = 0.1,
        momentum: Schedule = 0.1,
    ) -> History:
        """train, with the arguments in Keras' order."""
        return self.train(X, y, learning_rate, epochs, batch_size, momentum)

    # --- accuracy -------------------------------------------------------------

    @staticmethod
    def hits(Y: Array, y: Array) -> int:
        """How many columns have their highest score at the target."""
        right = Y.argmax(axis=0) == y.argmax(axis=0)
        return int(np.count_nonzero(right))

    def test(self, X: Array, y: Array) -> float:
        """The share of rows that are classified right."""
        return self.evaluate(X, y)[1]

    def evaluate(self, X: Array, y: Array) -> tuple[float, float]:
        """Mean loss and accuracy on X (N, D), y (N, K)."""
        self._check_samples("evaluate", X, y)
        Y = self.forward(X.T)
        return self.loss(Y, y.T), self.hits(Y, y.T) / len(y)


# --- command line -------------------------------------------------------------


def perceptron(
    sizes: list[int], seed: int = 0, dtype: npt.DTypeLike = np.float32
) -> FeedForwardNet:
    """Fully connected layers of these sizes, inputs first, with a ReLU between two of them."""
    model = FeedForwardNet(seed=seed, dtype=dtype)
    model.add(InputLayer(sizes[0]))
    for size in sizes[1:-1]:
        model.add(FullyConnectedLayer(size))
        model.add(ReLuLayer())
    model.add(FullyConnectedLayer(sizes[-1]))
    return model


def to_weights(arrays: list[Array]) -> Weights:
    """W (H, D), b (H, 1), ... as a weight file has them, W (in, out) and b (out,)."""
    return {
        f"layer_{i // 2 + 1}/{name}": array.T if name == "W" else array[:, 0]
        for i, (array, name) in enumerate(zip(arrays, "Wb" * len(arrays), strict=False))
    }


def from_weights(weights: Weights) -> list[Array]:
    """The arrays of a weight file as get_weights has them."""
    return [array.T if array.ndim == 2 else array[:, None] for array in weights.values()]


app = typer.Typer(**console.TRAINING)


@app.command()
def main(
    ctx: typer.Context,
    lr: console.LearningRate = "0.1,0.05",  # type: ignore[assignment]  # a constant 0.1 is rough at batches of 10
    momentum: console.Momentum = "0.1",  # type: ignore[assignment]
    epochs: console.Epochs = 5,
    batch_size: console.BatchSize = 10,
    seed: console.Seed = 0,
    data: console.Data = None,
    train_size: console.TrainSize = None,
    save: console.Save = None,
    load: console.Load = None,
    checkpoint: console.Checkpoint = None,
    resume: console.Resume = None,
    digits: console.Predict = None,
    pictures: console.Pictures = None,
    history: console.HistoryFile = None,
) -> None:
    """Train a network of objects, hidden layers of 100 and 50 ReLU neurons, on MNIST."""
    rng = np.random.default_rng(seed)
    X_train, y_train, X_test, y_test = load_mnist(data or MNIST, train_size=train_size)
    with Run(ctx, rng) as run:
        model = perceptron([X_train.shape[1], *run.hidden_sizes([100, 50]), y_train.shape[1]], seed)
        weights, velocity = to_weights(model.get_weights()), to_weights(model.get_velocity())
        weights, velocity = run.start(weights, velocity, X_train, y_train)
        model.set_weights(from_weights(weights))
        model.set_velocity(from_weights(velocity))
        for _ in run.epochs():
            for _ in run.watch(model.train_epoch(run.batches(X_train, y_train), *run.rates())):
                pass
            weights, velocity = to_weights(model.get_weights()), to_weights(model.get_velocity())
            run.end_epoch(weights, velocity, model.test(X_test, y_test))
        report(run, model.probabilities, X_test, y_test, weights)


if __name__ == "__main__":
    console.run(app)
