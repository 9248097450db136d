"""A two-layer network in pure functions: the weights are an argument of every function.

Samples are rows. Nothing is hidden, and nothing is changed but the state of a random
generator, an argument like any other: each function returns new values, and equal arguments
give equal results. Read net.py beside it: the same mathematics, in objects.
"""

# N samples, D inputs, H hidden neurons, K classes.     dX is d loss / d X, for any X.
#     E1 Y = X W + b      E2 Y = f(X)      E3 the loss, mean over N      E4 its gradient dY
#     E5 dW = X' dY       E6 db = sum over n of dY       E7 dX = dY W'   E8 dX = dY * f'(X)
#     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, NamedTuple

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
    "Params",
    "init",
    "zeros",
    "forward",
    "predict",
    "softmax",
    "cross_entropy",
    "squared_error",
    "backward",
    "input_gradient",
    "update",
    "move",
    "train_epoch",
    "train",
    "hits",
    "accuracy",
    "load_data",
]

Array = npt.NDArray[np.floating]
Loss = Callable[[Array, Array], tuple[float, Array]]


class Params(NamedTuple):
    """The weights; gradients and velocities are Params, too."""

    W1: Array  # (D, H)
    b1: Array  # (1, H)
    W2: Array  # (H, K)
    b2: Array  # (1, K)


# --- init ---------------------------------------------------------------------


def init(
    D: int, H: int, K: int, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> Params:
    """Random weights of variance 2 / fan_in before the ReLU, 1 / fan_in before the softmax.

    He et al., "Delving Deep into Rectifiers" (2015); LeCun et al., "Efficient BackProp" (1998).
    """
    checks.count("init expects D, H and K", min(D, H, K))
    W1 = rng.standard_normal((D, H)) * np.sqrt(2 / D)
    b1 = np.zeros((1, H))
    W2 = rng.standard_normal((H, K)) * np.sqrt(1 / H)
    b2 = np.zeros((1, K))
    return Params(*[W.astype(dtype) for W in (W1, b1, W2, b2)])


def zeros(params: Params) -> Params:
    """The velocity at the start: zeros in the shapes of params."""
    return Params(*map(np.zeros_like, params))


# --- forward ------------------------------------------------------------------


def forward(params: Params, X: Array) -> tuple[Array, Array, Array]:
    """Pre-activation Z1 (N, H), activation A1 (N, H) and logits (N, K)."""
    checks.rows("forward", X, len(params.W1))
    Z1 = X @ params.W1 + params.b1  # (E1)  (N, H)
    A1 = np.maximum(Z1, 0)  # (E2)  (N, H)
    logits = A1 @ params.W2 + params.b2  # (E1)  (N, K)
    return Z1, A1, logits


def predict(params: Params, X: Array) -> Array:
    """The logits (N, K) alone; the class of a row is its argmax."""
    return forward(params, X)[-1]


# --- loss ---------------------------------------------------------------------


def softmax(logits: Array) -> Array:
    """Probabilities (N, K): exp(logits), each row divided by its sum."""
    # Subtracting the row's maximum changes nothing, and exp cannot overflow.
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def cross_entropy(logits: Array, y: Array) -> tuple[float, Array]:
    """Mean over n of -log softmax(logits)[target], and its gradient (N, K)."""
    checks.targets("cross_entropy", y, logits)
    N = len(y)
    shifted = logits - logits.max(axis=1, keepdims=True)  # (N, K)
    exp = np.exp(shifted)  # (N, K)
    total = exp.sum(axis=1, keepdims=True)  # (N, 1)
    loss = np.vdot(y, np.log(total) - shifted) / N  # (E3)
    dlogits = (exp / total - y) / N  # (E4)  (N, K)
    return float(loss), dlogits


def squared_error(logits: Array, y: Array) -> tuple[float, Array]:
    """Mean over n of |logits - y|^2 / 2, and its gradient (N, K): the alternative loss."""
    checks.targets("squared_error", y, logits)
    error = logits - y  # (N, K)
    loss = np.vdot(error, error) / (2 * len(y))  # (E3)
    dlogits = error / len(y)  # (E4)  (N, K)
    return float(loss), dlogits


# --- backward -----------------------------------------------------------------


def backward(params: Params, X: Array, Z1: Array, A1: Array, dlogits: Array) -> Params:
    """The gradients of the loss with respect to params."""
    dW2 = A1.T @ dlogits  # (E5)  (H, K)
    db2 = dlogits.sum(axis=0, keepdims=True)  # (E6)  (1, K)
    dA1 = dlogits @ params.W2.T  # (E7)  (N, H)
    dZ1 = dA1 * (Z1 > 0)  # (E8)  (N, H)
    dW1 = X.T @ dZ1  # (E5)  (D, H)
    db1 = dZ1.sum(axis=0, keepdims=True)  # (E6)  (1, H)
    return Params(dW1, db1, dW2, db2)


def input_gradient(params: Params, Z1: Array, dlogits: Array) -> Array:
    """dX (N, D): training does not need it, the gradient checker asks for it."""
    dZ1 = (dlogits @ params.W2.T) * (Z1 > 0)  # (N, H)
    return dZ1 @ params.W1.T  # (N, D)


# --- update -------------------------------------------------------------------


def update(
    params: Params, velocity: Params, grads: Params, lr: float, momentum: float
) -> tuple[Params, Params]:
    """One step of SGD with momentum (Polyak, 1964): new values, old ones untouched."""
    lr, momentum = checks.rates(lr, momentum)
    steps = Params(*(lr * dW for dW in grads))
    return move(params, velocity, steps, momentum)


def move(
    params: Params,
    velocity: Params,
    steps: Params,
    momentum: float,
) -> tuple[Params, Params]:
    """The same for steps = lr * grads."""
    V_new = Params(*(momentum * V for V in velocity))
    for V, step in zip(V_new, steps, strict=True):
        V -= step  # (E9)  in place, on the array just made
    W_new = [W + V for W, V in zip(params, V_new, strict=True)]
    return Params(*W_new), V_new


# --- train --------------------------------------------------------------------


def train_epoch(
    params: Params,
    velocity: Params,
    batches: Iterable[tuple[Array, Array]],
    lr: float,
    momentum: float,
    loss: Loss = cross_entropy,
) -> Iterator[tuple[Params, Params, float, int]]:
    """Yield params, velocity, the loss and the number of hits after every step.

    Raises FloatingPointError when the loss, or at the end a weight, is nan or inf; what was
    yielded before still stands.
    """
    lr, momentum = checks.rates(lr, momentum)
    for step, (X, y) in enumerate(batches, start=1):
        Z1, A1, logits = forward(params, X)
        value, dlogits = loss(logits, y)
        checks.loss(value, step, lr)
        # Backward is linear: lr times dlogits (N, K) makes
        # every gradient lr times as large.
        steps = backward(params, X, Z1, A1, lr * dlogits)
        params, velocity = move(params, velocity, steps, momentum)
        yield params, velocity, value, hits(logits, y)
    checks.weights(params, lr)


def train(
    params: Params,
    X: Array,
    y: Array,
    lr: Schedule = 0.1,
    momentum: Schedule = 0.1,
    epochs: int = 5,
    batch_size: int = 20,
    rng: np.random.Generator | None = None,
    loss: Loss = cross_entropy,
) -> Params:
    """The weights after some epochs on X (N, D), y (N, K); a list of rates holds one per epoch."""
    checks.training(lr, momentum, epochs, batch_size)
    D, K = len(params.W1), params.b2.size
    checks.samples("train", X, y, D, K)
    X, y = X.astype(params.W1.dtype, copy=False), y.astype(params.W1.dtype, copy=False)
    rng = rng or np.random.default_rng(0)
    velocity = zeros(params)
    for epoch in range(epochs):
        batches = minibatches(X, y, batch_size, rng)
        rates = at_epoch(lr, epoch), at_epoch(momentum, epoch)
        with np.errstate(over="ignore", invalid="ignore"):  # checks.loss tells it, with advice
            for params, velocity, _, _ in train_epoch(params, velocity, batches, *rates, loss):
                pass  # params and velocity are those of the last step
    return params


# --- accuracy -----------------------------------------------------------------


def hits(logits: Array, y: Array) -> int:
    """How many rows have their highest score at the target."""
    right = logits.argmax(axis=1) == y.argmax(axis=1)
    return int(np.count_nonzero(right))


def accuracy(params: Params, X: Array, y: Array) -> float:
    """The share of rows that are classified right."""
    D, K = len(params.W1), params.b2.size
    checks.samples("accuracy", X, y, D, K)
    return hits(predict(params, X), y) / len(y)


# --- command line -------------------------------------------------------------


def to_weights(params: Params) -> Weights:
    """The arrays as a weight file names them; net.py and cnn read and write the same."""
    W1, b1, W2, b2 = params
    return {"layer_1/W": W1, "layer_1/b": b1[0], "layer_2/W": W2, "layer_2/b": b2[0]}


def from_weights(weights: Weights) -> Params:
    """Params from the arrays of a weight file: a bias (H,) becomes a row (1, H)."""
    return Params(*map(np.atleast_2d, weights.values()))


app = typer.Typer(**console.TRAINING)


@app.command()
def main(
    ctx: typer.Context,
    lr: console.LearningRate = "0.1",  # type: ignore[assignment]
    momentum: console.Momentum = "0.1",  # type: ignore[assignment]
    hidden_neurons: Annotated[
        int,
        console.number("--hidden_neurons", 1, "Neurons of the hidden layer."),
    ] = 100,
    epochs: console.Epochs = 5,
    batch_size: console.BatchSize = 20,
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
    """Train a two-layer network (ReLU, softmax), written as pure functions, on MNIST."""
    rng = np.random.default_rng(seed)
    X_train, y_train, X_test, y_test = load_mnist(data or MNIST, train_size=train_size)
    with Run(ctx, rng) as run:
        (hidden,) = run.hidden_sizes([hidden_neurons], layers=1)
        params = init(X_train.shape[1], hidden, y_train.shape[1], rng)
        weights, velocity = to_weights(params), to_weights(zeros(params))
        weights, velocity = run.start(weights, velocity, X_train, y_train)
        params, moving = from_weights(weights), from_weights(velocity)
        for _ in run.epochs():
            steps = train_epoch(params, moving, run.batches(X_train, y_train), *run.rates())
            for params, moving, _, _ in run.watch(steps):
                pass
            run.end_epoch(to_weights(params), to_weights(moving), accuracy(params, X_test, y_test))
        report(run, lambda X: softmax(predict(params, X)), X_test, y_test, to_weights(params))


if __name__ == "__main__":
    console.run(app)
