"""A two-layer network in pure functions: the weights are an argument of every function.

Samples are rows. Nothing is hidden, and nothing is changed but the state of a random
generator, an argument like any other: each function returns new values, and equal arguments
give equal results. Read net.py beside it: the same mathematics, in objects.
"""

# N samples, D inputs, H hidden neurons, K classes.     dX is d loss / d X, for any X.
#     E1 Y = X W + b      E2 Y = f(X)      E3 the loss, mean over N      E4 its gradient dY
#     E5 dW = X' dY       E6 db = sum over n of dY       E7 dX = dY W'   E8 dX = dY * f'(X)
#     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W

import datasets.start  # isort: skip  # noqa: F401  (first, so that Ctrl-C ends all imports)
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datasets import Schedule, Weights, at_epoch, checks, load_data, many, minibatches
from datasets.run import Run, command

__all__ = [
    "Params", "init", "zeros", "forward", "predict", "softmax", "cross_entropy", "squared_error",
    "backward", "input_gradient", "update", "step", "train", "hits", "accuracy", "load_data",
]  # fmt: skip

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
    if min(D, H, K) < 1:
        raise ValueError(f"init expects D, H and K of 1 or more, got {D}, {H} and {K}")
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
    Z1 = X @ params.W1 + params.b1  # (E1)  (N, H)
    A1 = np.maximum(Z1, 0)  # (E2)  (N, H)
    logits = A1 @ params.W2 + params.b2  # (E1)  (N, K)
    return Z1, A1, logits


def predict(params: Params, X: Array) -> Array:
    """The logits (N, K) alone; the class of a row is its argmax. ValueError unless X is (N, D)."""
    checks.rows("predict", X, len(params.W1))
    return forward(params, X)[-1]


# --- loss ---------------------------------------------------------------------


def softmax(logits: Array) -> Array:
    """Probabilities (N, K): exp(logits), each row divided by its sum."""
    # Subtracting the row's maximum changes nothing, and exp cannot overflow.
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def cross_entropy(logits: Array, y: Array) -> tuple[float, Array]:
    """Mean over n of -log softmax(logits)[target], and its gradient (N, K)."""
    N = len(y)
    shifted = logits - logits.max(axis=1, keepdims=True)  # (N, K)
    exp = np.exp(shifted)  # (N, K)
    total = exp.sum(axis=1, keepdims=True)  # (N, 1)
    loss = np.vdot(y, np.log(total) - shifted) / N  # (E3)
    dlogits = (exp / total - y) / N  # (E4)  (N, K)
    return float(loss), dlogits


def squared_error(logits: Array, y: Array) -> tuple[float, Array]:
    """Mean over n of |logits - y|^2 / 2, and its gradient (N, K): the alternative loss."""
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
    V_new = [momentum * V - lr * dW for V, dW in zip(velocity, grads, strict=True)]  # (E9)
    W_new = [W + V for W, V in zip(params, V_new, strict=True)]  # (E9)
    return Params(*W_new), Params(*V_new)


# --- train --------------------------------------------------------------------


def step(
    params: Params,
    velocity: Params,
    X: Array,
    y: Array,
    lr: float,
    momentum: float,
    loss: Loss = cross_entropy,
) -> tuple[Params, Params, float, int]:
    """One training step on a batch: new params and velocity, the loss, how many rows were right."""
    Z1, A1, logits = forward(params, X)
    value, dlogits = loss(logits, y)
    grads = backward(params, X, Z1, A1, dlogits)
    grads = many.mean(grads, len(X))  # over the ranks of mpiexec; alone, as they are
    params, velocity = update(params, velocity, grads, lr, momentum)
    return params, velocity, value, hits(logits, y)


@np.errstate(over="ignore", invalid="ignore")  # checks.loss tells it, with advice
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
    verbose: int = 0,
) -> Params:
    """The weights after some epochs on X (N, D), y (N, K); a list of rates holds one per epoch.

    verbose=1 shows a progress bar for each epoch.
    Raises ValueError or TypeError for what does not fit, FloatingPointError when training diverges.
    """
    X, y = checks.samples("train", X, y, len(params.W1), params.b2.size, params.W1.dtype)
    checks.training(lr, momentum, epochs, batch_size)
    rng = rng or np.random.default_rng(0)
    velocity = zeros(params)
    for epoch in range(epochs):
        rates = at_epoch(lr, epoch), at_epoch(momentum, epoch)
        title = f"epoch {epoch + 1}/{epochs}" if verbose else ""
        batches = minibatches(X, y, batch_size, rng, title=title)
        for n, (X_batch, y_batch) in enumerate(batches, start=1):
            params, velocity, value, _ = step(params, velocity, X_batch, y_batch, *rates, loss)
            checks.loss(value, n, rates[0])
        checks.weights(params, rates[0])
    return params


# --- accuracy -----------------------------------------------------------------


def hits(logits: Array, y: Array) -> int:
    """How many rows have their highest score at the target."""
    right = logits.argmax(axis=1) == y.argmax(axis=1)
    return int(np.count_nonzero(right))


def accuracy(params: Params, X: Array, y: Array) -> float:
    """The share of rows that are classified right."""
    X, y = checks.samples("accuracy", X, y, len(params.W1), params.b2.size, params.W1.dtype)
    return hits(predict(params, X), y) / len(y)


# --- command line -------------------------------------------------------------


def to_weights(params: Params) -> Weights:
    """The arrays as a weight file names them; net.py and cnn read and write the same."""
    W1, b1, W2, b2 = params
    return {"layer_1/W": W1, "layer_1/b": b1[0], "layer_2/W": W2, "layer_2/b": b2[0]}


def from_weights(weights: Weights) -> Params:
    """Params from the arrays of a weight file: a bias (H,) becomes a row (1, H)."""
    return Params(*map(np.atleast_2d, weights.values()))


def main(run: Run) -> None:
    """Train a two-layer network (ReLU, softmax), written as pure functions, on MNIST."""
    X_train, y_train, X_test, y_test = run.data()
    params = init(X_train.shape[1], run.hidden_neurons, y_train.shape[1], run.rng)
    weights, velocities = run.start(to_weights(params), to_weights(zeros(params)))
    params, velocity = from_weights(weights), from_weights(velocities)
    for _ in run.epochs():
        for X, y in run.batches(X_train, y_train):  # shows progress; ends early after Ctrl-C
            params, velocity, loss, right = step(params, velocity, X, y, run.lr, run.momentum)
            run.note(loss, right)  # stops a run that diverges
        run.end_epoch(to_weights(params), to_weights(velocity), accuracy(params, X_test, y_test))
    run.report(lambda X: softmax(predict(params, X)), X_test, y_test)


app = command(main, lr=0.1, momentum=0.1, hidden_neurons=100, epochs=5, batch_size=20, data=None)

if __name__ == "__main__":
    app()
