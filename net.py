"""A feed-forward network in objects: each layer holds its weights, and remembers its input.

Samples are columns inside the network, rows in train, test, fit, evaluate and predict. Read
functional_net.py beside it: the same mathematics, in the same order, as pure functions.
"""

# N samples, D inputs, H outputs of a layer, K classes.   dX is d loss / d X, for any X.
#     E1 Y = W X + b      E2 Y = f(X)      E3 the loss, mean over N      E4 its gradient dY
#     E5 dW = dY X'       E6 db = sum over n of dY       E7 dX = W' dY   E8 dX = dY * f'(X)
#     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W

import datasets.start  # isort: skip  # noqa: F401  (first, so that Ctrl-C ends all imports)
from collections import defaultdict

import numpy as np
import numpy.typing as npt

from datasets import Schedule, Weights, at_epoch, checks, load_data, many, minibatches
from datasets.run import Run, command
from datasets.schedules import short

__all__ = [
    "InputLayer", "FullyConnectedLayer", "ReLuLayer", "LeakyReLuLayer", "SigmoidLayer",
    "TanhLayer", "AbsLayer", "SoftmaxCrossEntropy", "MeanSquaredError", "History",
    "FeedForwardNet", "perceptron", "load_data",
]  # fmt: skip

Array = npt.NDArray[np.floating]


# --- layers -------------------------------------------------------------------


class Layer:
    """A step of the network: forward remembers what backward needs."""

    size: int  # outputs, known once the layer is added to a network

    def build(self, size: int, rng: np.random.Generator, dtype: npt.DTypeLike) -> None:
        """Take the size of the layer below; layers with weights draw them here."""
        self.size = size

    def forward(self, X: Array) -> Array:
        """Y (H, N) from X (D, N)."""
        raise NotImplementedError

    def gradients(self, dY: Array) -> None:
        """Set the gradients of the weights: all that the first layer has to do."""

    def backward(self, dY: Array) -> Array:
        """dX (D, N) from dY (H, N); a layer with weights sets their gradients, too."""
        raise NotImplementedError

    def update(self, lr: float, momentum: float) -> None:
        """One step of the weights along their gradients."""

    def arrays(self) -> list[tuple[Array, Array, Array]]:
        """(W, VW, dW) of each weight, the arrays themselves: what update reads and changes."""
        return []

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class InputLayer(Layer):
    """The first layer of every network: says how many inputs a sample has."""

    def __init__(self, size: int):
        if not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"InputLayer expects a size of 1 or more, got {short(size)}")
        self.size = size

    def __repr__(self) -> str:
        return f"InputLayer({self.size})"

    def forward(self, X: Array) -> Array:
        """X (D, N) as it is."""
        return X

    def backward(self, dY: Array) -> Array:
        """dY (D, N) as it is."""
        return dY


class FullyConnectedLayer(Layer):
    """Y = W X + b, with weights W (H, D) and bias b (H, 1)."""

    def __init__(self, size: int):
        if not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"FullyConnectedLayer expects a size of 1 or more, got {short(size)}")
        self.size = size

    def __repr__(self) -> str:
        return f"FullyConnectedLayer({self.size})"

    def build(self, size: int, rng: np.random.Generator, dtype: npt.DTypeLike) -> None:
        """Random weights of variance 1 / fan_in (LeCun et al., "Efficient BackProp", 1998)."""
        H, D = self.size, size
        W = rng.standard_normal((H, D)) * np.sqrt(1 / D)
        self.W, self.b = W.astype(dtype), np.zeros((H, 1), dtype)
        self.VW, self.Vb = np.zeros_like(self.W), np.zeros_like(self.b)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, X: Array) -> Array:
        """W X + b, (H, N)."""
        self.X = X
        return self.W @ X + self.b  # (E1)  (H, N)

    def gradients(self, dY: Array) -> None:
        """Set dW (H, D) and db (H, 1)."""
        self.dW = dY @ self.X.T  # (E5)  (H, D)
        self.db = dY.sum(axis=1, keepdims=True)  # (E6)  (H, 1)

    def backward(self, dY: Array) -> Array:
        """Set dW and db; return dX (D, N)."""
        self.gradients(dY)
        return self.W.T @ dY  # (E7)  (D, N)

    def update(self, lr: float, momentum: float) -> None:
        """One step of SGD with momentum (Polyak, 1964) for W and b, in place."""
        for W, V, dW in self.arrays():
            V *= momentum
            V -= lr * dW  # (E9)
            W += V  # (E9)

    def arrays(self) -> list[tuple[Array, Array, Array]]:
        """W and b, each with its velocity and its gradient."""
        return [(self.W, self.VW, self.dW), (self.b, self.Vb, self.db)]


class ReLuLayer(Layer):
    """Y = max(X, 0), elementwise: f' is 1 above 0, else 0."""

    def forward(self, X: Array) -> Array:
        self.X = X
        return np.maximum(X, 0)  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
        return dY * (self.X > 0)  # (E8)  (D, N)


class LeakyReLuLayer(Layer):
    """Y = X above 0, alpha X below (Maas et al., 2013): f' is 1 above 0, else alpha."""

    def __init__(self, alpha: float = 0.01):
        if not (checks.is_number(alpha) and np.isfinite(alpha)):
            raise ValueError(f"LeakyReLuLayer expects a finite alpha, got {short(alpha)}")
        self.alpha = float(alpha)

    def forward(self, X: Array) -> Array:
        self.slope = np.where(X > 0, X.dtype.type(1), X.dtype.type(self.alpha))
        return X * self.slope  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
        return dY * self.slope  # (E8)  (D, N)


class SigmoidLayer(Layer):
    """Y = 1 / (1 + exp(-X)), elementwise: f' = Y (1 - Y)."""

    def forward(self, X: Array) -> Array:
        E = np.exp(-np.abs(X))  # of -|X| only: no overflow
        self.Y = np.where(X >= 0, X.dtype.type(1), E) / (1 + E)  # (E2)  (D, N)
        return self.Y

    def backward(self, dY: Array) -> Array:
        return dY * self.Y * (1 - self.Y)  # (E8)  (D, N)


class TanhLayer(Layer):
    """Y = tanh(X), elementwise: f' = 1 - Y^2."""

    def forward(self, X: Array) -> Array:
        self.Y = np.tanh(X)  # (E2)  (D, N)
        return self.Y

    def backward(self, dY: Array) -> Array:
        return dY * (1 - self.Y * self.Y)  # (E8)  (D, N)


class AbsLayer(Layer):
    """Y = |X|, elementwise: f' is the sign of X."""

    def forward(self, X: Array) -> Array:
        self.X = X
        return np.abs(X)  # (E2)  (D, N)

    def backward(self, dY: Array) -> Array:
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
        self.history: dict[str, list[float]] = defaultdict(list)


class FeedForwardNet:
    """Layers in a row: add an InputLayer first, then what follows; the cost judges the last one.

    seed decides the weights and the shuffling; dtype is that of all arithmetic. Every forward
    remembers: a net that one thread trains must not predict in another (copy.deepcopy does).
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

    def add(self, layer: Layer) -> None:
        """Put a layer on top; a ReLU widens the weights of the layer below it.

        Raises ValueError unless the InputLayer comes first, and once.
        """
        n = len(self.layers)
        if not isinstance(layer, Layer) or layer in self.layers:
            raise TypeError(f"layer {n}: expected a new layer, got {short(layer)}")
        if not n and not isinstance(layer, InputLayer):
            raise ValueError(f"layer 0: expected an InputLayer first, got {layer}")
        if n and isinstance(layer, InputLayer):
            raise ValueError(f"layer {n}: expected a layer other than InputLayer, got {layer}")
        if n:
            below = self.layers[-1]
            layer.build(below.size, self.rng, self.dtype)
            if isinstance(layer, ReLuLayer | LeakyReLuLayer) and isinstance(
                below, FullyConnectedLayer
            ):
                # A ReLU lets half of the variance through, so the weights below it start with
                # twice as much: He et al., "Delving Deep into Rectifiers" (2015).
                below.W *= np.sqrt(2).astype(self.dtype)
        self.layers.append(layer)

    def get_weights(self) -> list[Array]:
        """Copies of W (H, D), b (H, 1), ... of every layer."""
        return [W.copy() for layer in self.layers for W, _, _ in layer.arrays()]

    def get_velocity(self) -> list[Array]:
        """Copies of their velocities, in the same order."""
        return [V.copy() for layer in self.layers for _, V, _ in layer.arrays()]

    def set_weights(self, weights: list[Array]) -> None:
        """Take over what get_weights gave. Raises ValueError for other shapes."""
        overwrite([W for layer in self.layers for W, _, _ in layer.arrays()], weights)

    def set_velocity(self, velocity: list[Array]) -> None:
        """Take over what get_velocity gave. Raises ValueError for other shapes."""
        overwrite([V for layer in self.layers for _, V, _ in layer.arrays()], velocity)

    def summary(self) -> None:
        """Print the layers, the shapes of their outputs and how many parameters they have."""
        print(f"{'layer':32}{'output':>12}{'parameters':>14}")
        counts = [sum(W.size for W, _, _ in layer.arrays()) for layer in self.layers]
        for i, (layer, count) in enumerate(zip(self.layers, counts, strict=True)):
            print(f"{i}  {layer!s:29}{f'({layer.size}, N)':>12}{count:>14,}")
        print(f"{'total':44}{sum(counts):>14,}")

    # --- forward --------------------------------------------------------------

    def forward(self, X: Array) -> Array:
        """The scores (K, N) of samples in columns, X (D, N)."""
        X = self._columns(X)
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def predict(self, X: Array) -> Array:
        """The scores (N, K) of samples in rows, X (N, D); the class of a row is its argmax."""
        checks.rows("predict", X, self._sizes()[0])
        return self.forward(X.T).T

    def probabilities(self, X: Array) -> Array:
        """What the cost takes the scores for, (N, K): with the default cost their softmax."""
        return self.cost.probabilities(self.predict(X).T).T

    def _sizes(self) -> tuple[int, int]:
        # D and K: how many inputs and outputs.
        if len(self.layers) < 2:
            raise ValueError(f"expected an InputLayer and layers after it, got {self.layers}")
        return self.layers[0].size, self.layers[-1].size

    def _columns(self, X: Array) -> Array:
        (D, _), X = self._sizes(), np.asarray(X)
        if X.ndim != 2 or len(X) != D:
            raise ValueError(
                f"layer 0, InputLayer({D}): expects {D} rows, got X of shape {X.shape}"
            )
        if X.dtype.kind != "f":
            raise TypeError(f"layer 0: InputLayer({D}) expects floats, got X of {X.dtype}")
        return X.astype(self.dtype, copy=False)

    # --- loss -----------------------------------------------------------------

    def loss(self, Y: Array, y: Array) -> float:
        """The cost of scores Y (K, N) against targets y (K, N)."""
        checks.targets("the loss", y, Y)
        return self.cost.forward(Y, y)

    # --- backward -------------------------------------------------------------

    def backward(self) -> None:
        """Set dW and db of every layer: the gradients of the last loss.

        Nobody trains the pixels, so the first layer computes no dX.
        """
        dY = self._dY()
        for layer in self.layers[:1:-1]:
            dY = layer.backward(dY)
        self.layers[1].gradients(dY)

    def input_gradient(self) -> Array:
        """backward, and on to dX (D, N): only the gradient checker asks for it."""
        dY = self._dY()
        for layer in reversed(self.layers):
            dY = layer.backward(dY)
        return dY

    def _dY(self) -> Array:
        if not vars(self.cost):
            raise RuntimeError("backward expects a loss first, got none")
        return self.cost.backward()

    def grads(self) -> list[Array]:
        """dW (H, D), db (H, 1), ... of every layer, the arrays themselves."""
        return [dW for layer in self.layers for _, _, dW in layer.arrays()]

    # --- update ---------------------------------------------------------------

    def update(self, lr: float, momentum: float) -> None:
        """One momentum step of every layer."""
        for layer in self.layers:
            layer.update(lr, momentum)

    # --- train ----------------------------------------------------------------

    def step(self, X: Array, y: Array, lr: float, momentum: float) -> tuple[float, int]:
        """One training step on a batch in rows: the loss, and how many rows were right."""
        Y = self.forward(X.T)  # (K, N)
        loss = self.loss(Y, y.T)
        self.backward()
        many.mean(self.grads(), len(X))  # over the ranks of mpiexec; alone, as they are
        self.update(lr, momentum)
        return loss, self.hits(Y, y.T)

    @np.errstate(over="ignore", invalid="ignore")  # checks.loss tells it, with advice
    def train(
        self,
        X: Array,
        y: Array,
        learning_rate: Schedule = 0.1,
        epochs: int = 5,
        batch_size: int = 10,
        momentum: Schedule = 0.1,
        verbose: int = 0,
        validation_data: tuple[Array, Array] | None = None,
    ) -> History:
        """Learn X (N, D), y (N, K) for some epochs; a list of rates holds one per epoch.

        Raises ValueError or TypeError for what does not fit, and FloatingPointError when training
        diverges: then the weights are those at the start of the epoch.
        """
        X, y = checks.samples("train", X, y, *self._sizes(), self.dtype)
        checks.training(learning_rate, momentum, epochs, batch_size)
        history = History()
        for epoch in range(epochs):
            rates = at_epoch(learning_rate, epoch), at_epoch(momentum, epoch)
            title = f"epoch {epoch + 1}/{epochs}" if verbose else ""
            batches, loss_sum, right = minibatches(X, y, batch_size, self.rng, title=title), 0.0, 0
            with checks.undone_if_diverging(self):
                for n, (X_batch, y_batch) in enumerate(batches, start=1):
                    loss, hits = self.step(X_batch, y_batch, *rates)
                    checks.loss(loss, n, rates[0])
                    loss_sum += loss * len(X_batch)
                    right += hits
                checks.weights(self.get_weights(), rates[0])
            figures = {"loss": loss_sum / len(X), "accuracy": right / len(X)}
            if validation_data:
                figures["val_loss"], figures["val_accuracy"] = self.evaluate(*validation_data)
            for name, value in figures.items():
                history.history[name].append(value)
            if verbose:
                print(title, *(f" {name} {value:.4f}" for name, value in figures.items()))
        return history

    def fit(
        self,
        X: Array,
        y: Array,
        batch_size: int = 32,
        epochs: int = 1,
        learning_rate: Schedule = 0.1,
        momentum: Schedule = 0.1,
        verbose: int = 0,
        validation_data: tuple[Array, Array] | None = None,
    ) -> History:
        """train, with the arguments in Keras' order."""
        rates = (learning_rate, epochs, batch_size, momentum)
        return self.train(X, y, *rates, verbose, validation_data)

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
        X, y = checks.samples("evaluate", X, y, *self._sizes(), self.dtype)
        Y = self.forward(X.T)  # (K, N)
        return self.loss(Y, y.T), self.hits(Y, y.T) / len(y)


def overwrite(own: list[Array], new: list[Array]) -> None:
    """Write new values into arrays of the same shapes."""
    expected, got = [array.shape for array in own], [np.shape(values) for values in new]
    if expected != got:
        raise ValueError(f"expected arrays of shapes {expected}, got {got}")
    new = [np.asarray(values, array.dtype) for array, values in zip(own, new, strict=True)]
    for array, values in zip(own, new, strict=True):
        array[...] = values


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


def main(run: Run) -> None:
    """Train a network of objects, hidden layers of 100 and 50 ReLU neurons, on MNIST."""
    X_train, y_train, X_test, y_test = run.data()
    hidden = run.hidden_sizes([100, 50])
    model = perceptron([X_train.shape[1], *hidden, y_train.shape[1]], run.seed)
    weights, velocity = run.start(to_weights(model.get_weights()), to_weights(model.get_velocity()))
    model.set_weights(from_weights(weights))
    model.set_velocity(from_weights(velocity))
    for _ in run.epochs():
        for X, y in run.batches(X_train, y_train):  # shows progress; ends early after Ctrl-C
            loss, right = model.step(X, y, run.lr, run.momentum)
            run.note(loss, right)  # stops a run that diverges
        weights, velocity = to_weights(model.get_weights()), to_weights(model.get_velocity())
        run.end_epoch(weights, velocity, model.test(X_test, y_test))
    run.report(model.probabilities, X_test, y_test)


# A constant learning rate of 0.1 is rough at batches of 10.
app = command(main, lr="0.1,0.05", momentum=0.1, epochs=5, batch_size=10, data=None)

if __name__ == "__main__":
    app()
