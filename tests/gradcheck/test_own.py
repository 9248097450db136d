"""Bring your own layer: conventions that are understood, mistakes that are found and explained."""

import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradcheck import CannotCheck, check_function, check_layer

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


class Affine:
    """Parameters and gradients as attributes: W, b, dW, db."""

    def __init__(self, d=3, k=4):
        self.W, self.b = RNG.normal(size=(d, k)), np.zeros(k)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class Nothing(Affine):
    """forward sets self.output, backward self.dinputs, dweights, dbiases; nothing is returned."""

    def __init__(self):
        self.weights, self.biases = RNG.normal(size=(3, 4)), np.zeros((1, 4))

    def forward(self, inputs):
        self.inputs, self.output = inputs, inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights, self.dbiases = self.inputs.T @ dvalues, dvalues.sum(axis=0)
        self.dinputs = dvalues @ self.weights.T


class Steps(Affine):
    """backward(dY, lr) updates the weights itself."""

    def backward(self, grad, learning_rate):
        dx = grad @ self.W.T
        self.W -= learning_rate * self.x.T @ grad
        self.b -= learning_rate * grad.sum(axis=0)
        return dx


class StepsTooSoon(Steps):
    def backward(self, grad, learning_rate):
        self.W -= learning_rate * self.x.T @ grad
        self.b -= learning_rate * grad.sum(axis=0)
        return grad @ self.W.T


class Dicts(Affine):
    def __init__(self):
        self.params = {"W": RNG.normal(size=(3, 4)), "b": np.zeros(4)}
        self.grads = {}

    def __call__(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    forward = None

    def backward(self, dy):
        self.grads = {"W": self.x.T @ dy, "b": dy.sum(axis=0)}
        return dy @ self.params["W"].T


class Lists(Affine):
    def __init__(self):
        self.params = [RNG.normal(size=(3, 4)), np.zeros(4)]
        self.grads = [np.zeros((3, 4)), np.zeros(4)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.grads[0][...], self.grads[1][...] = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.params[0].T


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, None


class Objects(Affine):
    def __init__(self):
        self.w, self.bias = Parameter(RNG.normal(size=(3, 4))), Parameter(np.zeros(4))

    def forward(self, x):
        self.x = x
        return x @ self.w.data + self.bias.data

    def backward(self, dy):
        self.w.grad, self.bias.grad = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.w.data.T


class Returned(Affine):
    def backward(self, dy):
        return dy @ self.W.T, self.x.T @ dy, dy.sum(axis=0)


class Lazy(Affine):
    def __init__(self):
        self.kernel = None

    def forward(self, x, training=False):
        if self.kernel is None:
            self.kernel, self.bias = RNG.normal(size=(x.shape[1], 4)), np.zeros(4)
        self.x = x
        return x @ self.kernel + self.bias

    def backward(self, dy):
        self.kernel_grad, self.bias_grad = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.kernel.T


class Single(Affine):
    """float32 weights, and an inner layer."""

    def __init__(self):
        self.inner = Affine()
        self.inner.W = self.inner.W.astype(np.float32)

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dy):
        return self.inner.backward(dy)


class Scalar:
    """gamma is a plain number until a gradient of another shape says what it should be."""

    def __init__(self):
        self.gamma = 1.0

    def forward(self, x):
        self.x = x
        return self.gamma * x

    def backward(self, dy):
        self.dgamma = (dy * self.x).sum(axis=0)
        return self.gamma * dy


class Dropout:
    def forward(self, x, training):
        self.mask = np.random.rand(*x.shape) > 0.5  # noqa: NPY002
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Embedding:
    def __init__(self):
        self.W = RNG.normal(size=(7, 3))

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dy):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.idx, dy)


class Sigmoid:
    def __call__(self, x):
        return 1 / (1 + np.exp(-x))

    def derivative(self, x):
        return self(x) * (1 - self(x))


class SoftmaxLoss:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.sum(np.log((self.p * t).sum(axis=1) + 1e-7)) / len(x)

    def backward(self, dout=1):
        return dout * (self.p - self.t) / len(self.t)


class LogLoss:
    """Of probabilities, one number per sample, the mean taken elsewhere."""

    def forward(self, y_pred, y_true):
        return -np.log((np.clip(y_pred, 1e-7, 1) * y_true).sum(axis=1))

    def backward(self, dvalues, y_true):
        self.dinputs = -y_true / dvalues / len(dvalues)


RIGHT = [Affine, Nothing, Steps, Dicts, Lists, Objects, Returned, Lazy, Single, Scalar, Dropout,
         Sigmoid,
         SoftmaxLoss, LogLoss]  # fmt: skip


@pytest.mark.parametrize("layer", RIGHT, ids=lambda c: c.__name__)
def test_a_right_layer_passes_whatever_its_convention(layer):
    report = check_layer(layer(), (5, 3))
    assert report.ok, report


def test_parameters_are_found_and_checked():
    assert [r.name for r in check_layer(Affine(), (5, 3)).rows] == ["X", "W", "b"]
    assert [r.name for r in check_layer(Lists(), (5, 3)).rows] == ["X", "params[0]", "params[1]"]
    assert [r.name for r in check_layer(Single(), (5, 3)).rows] == ["X", "inner.W", "inner.b"]
    assert check_layer(Scalar(), (5, 3))["gamma"].shape == (3,)
    with pytest.raises(CannotCheck, match=r"an array with entries, got shape \(0, 3\)"):
        check_layer(Affine(), np.zeros((0, 3)))


def test_indices_have_no_gradient_and_the_table_has():
    report = check_layer(Embedding(), (5, 2))
    assert report.ok and [r.name for r in report.rows] == ["W"]


def wrong(method, base=Affine, **more):
    """A layer like base, with another backward (or forward)."""
    return type("Wrong", (base,), {"backward": method, **more})


def mean_of_batch(self, dout):
    dx = Affine.backward(self, dout)
    self.dW /= len(dout)
    return dx


def forgets_return(self, dout):
    Affine.backward(self, dout)


def transposed(self, dout):
    dx = Affine.backward(self, dout)
    self.dW = self.dW.T
    return dx


def writes_upstream(self, dout):
    dx = Affine.backward(self, dout)
    dout[...] = 0
    return dx


def grows(self, dout):
    dx = Affine.backward(self, dout)
    self.total = self.dW = getattr(self, "total", 0) + self.dW
    return dx


def ignores(self, dout):
    return Affine.backward(self, np.ones_like(dout))


def decays(self, dout):
    dx = Affine.backward(self, dout)
    self.dW += 0.1 * self.W
    return dx


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (wrong(mean_of_batch)(), "every entry is 0.2 times the right one: 1/batch"),
        (wrong(forgets_return)(), "nothing came back for X"),
        (wrong(transposed)(), "the transpose of the right gradient"),
        (wrong(writes_upstream)(), r"upstream gradient is written to: test_own.py:\d+"),
        (wrong(grows)(), "dW grows from call to call: added to, never reset"),
        (wrong(ignores)(), "the upstream gradient is ignored in dX, dW, db|ignored"),
        (wrong(decays)(), "right plus 0.1 W: weight decay"),
        (StepsTooSoon(), "would be right if W were updated already"),
    ],
)
def test_a_wrong_layer_fails_and_is_told_why(layer, said):
    report = check_layer(layer, (5, 3))
    assert not report.ok
    import re

    assert re.search(said, str(report)), report


class Clipped(Affine):
    """Right for small upstream gradients only."""

    def backward(self, dout):
        return super().backward(np.clip(dout, -2, 2))


def test_backward_must_be_linear_in_the_upstream_gradient():
    report = check_layer(Clipped(), (5, 3))
    assert not report and "not linear in the upstream gradient" in str(report)


class Sigmoid:
    """A wrong backward beside a right derivative."""

    def forward(self, X):
        self.Y = 1 / (1 + np.exp(-X))
        return self.Y

    def derivative(self, X):
        Y = 1 / (1 + np.exp(-X))
        return Y * (1 - Y)

    def backward(self, dY):
        return dY * self.Y


def test_a_right_helper_excuses_no_wrong_backward():
    assert not check_layer(Sigmoid(), (5, 3))


class OddNames:
    """A parameter under a name that sounds like a state; backward returns all gradients."""

    factor = 1

    def __init__(self):
        self.W_input, self.b = RNG.normal(size=(3, 4)), np.zeros(4)

    def forward(self, X):
        self.X = X
        return X @ self.W_input + self.b

    def backward(self, dY):
        return dY @ self.W_input.T, self.factor * self.X.T @ dY, dY.sum(axis=0)


class OddNamesTwice(OddNames):
    factor = 2


class Forgotten:
    def __init__(self):
        self.temperature = np.ones(3)

    def forward(self, X):
        return X * self.temperature

    def backward(self, dY):
        return dY * self.temperature


def test_an_array_that_moves_the_output_is_checked_or_named_whatever_it_is_called():
    assert [row.name for row in check_layer(OddNames(), (5, 3)).rows] == ["X", "W_input", "b"]
    assert not check_layer(OddNamesTwice(), (5, 3))["W_input"].ok
    assert "temperature (3,) moves the output" in str(check_layer(Forgotten(), (5, 3)))


KEEP = np.array([0.5, 0.5])


class Constants:
    """A parameter under an odd name beside constants; backward returns what it likes."""

    def __init__(self, give):
        self.A, self.S = RNG.normal(size=(3, 4)), RNG.normal(size=4)
        self.keep, self.give = KEEP, give

    def forward(self, X):
        if self.keep.sum() != 1:
            raise ValueError("no shares")
        self.X = X
        return X @ self.A * self.S * self.keep[0]

    def backward(self, dY):
        dZ = dY * self.S * self.keep[0]
        return self.give(dZ @ self.A.T, self.X.T @ dZ)


@pytest.mark.parametrize(
    "give",
    [
        lambda dX, dA: (dX, dA, np.linalg.norm(dA)),
        lambda dX, dA: (dX, dA, None),
        lambda dX, dA: (dX, [dA]),
        lambda dX, dA: (dX, {"A": dA}),
        lambda dX, dA: (dX, dA, {"norm": 1.0}),
    ],
)
def test_constants_are_noted_and_what_is_returned_is_checked(give):
    right = check_layer(Constants(give), (5, 3))
    assert right and [row.name for row in right.rows] == ["X", "A"], right
    assert "S (4,) moves the output" in str(right) and "keep (2,) moves the output" in str(right)
    assert not check_layer(Constants(lambda dX, dA: give(dX, 2 * dA)), (5, 3))["A"].ok


class Settings(Affine):
    """What a check must leave alone, and what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lr, self.training, self.xp = 0.01, False, np


def test_the_layer_and_the_global_generators_stay_as_they_were():
    layer, state = Settings(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert check_layer(layer, (5, 3))
    assert layer.lr == 0.01 and layer.training is False and not hasattr(layer, "x")
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def squared(pred, target):
    return ((pred - target) ** 2).mean()


def squared_backward(pred, target):
    grad = 2 * (pred - target) / pred.size
    grad.flat[0] *= -1
    return grad


def test_an_epsilon_is_forgiven_and_a_small_wrong_entry_is_not():
    P = RNG.normal(size=(4, 3))
    P[0, 0] = 4e-6
    assert not check_function(squared, squared_backward, P, np.zeros((4, 3)))


def test_growing_gradients_may_be_allowed():
    assert check_layer(wrong(grows)(), (5, 3), accumulates=True).ok


def test_a_mean_over_the_batch_may_be_allowed():
    def both(self, dout):
        dx = Affine.backward(self, dout)
        self.dW, self.db = self.dW / len(dout), self.db / len(dout)
        return dx

    assert not check_layer(wrong(both)(), (5, 3)).ok
    assert check_layer(wrong(both)(), (5, 3), mean=True).ok


def test_what_forward_remembers_may_not_be_stale():
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x @ self.W + self.b

    report = check_layer(wrong(Affine.backward, forward=forward)(), (5, 3))
    assert "dW answers for an earlier forward pass" in str(report)


def test_a_cap_that_small_inputs_do_not_reach_is_found_further_out():
    class Relu6:
        def forward(self, x):
            self.x = x
            return np.clip(x, 0, 6)

        def backward(self, dy):
            return dy * (self.x > 0)

    assert "this shows at inputs up to +-10" in str(check_layer(Relu6(), (5, 3)))


def test_every_winner_of_a_pooling_window_is_one_too_many():
    class Pool:
        def forward(self, x):
            self.x = x.reshape(*x.shape[:2], 2, 2)
            self.y = self.x.max(axis=3, keepdims=True)
            return self.y[..., 0]

        def backward(self, dy):
            return (dy[..., None] * (self.x == self.y)).reshape(*dy.shape[:2], 4)

    report = check_layer(Pool(), (3, 5, 4))
    assert [r.ok for r in report.rows] == [True, False]
    assert "every winner of a window gets the gradient" in str(report)


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (object(), [(5, 3)], "object has no forward method"),
        (Affine(), [(5, 4)], r"forward raised ValueError: .*\(test_own.py:\d+: "),
        (Affine(), [(5, 3), (5, 3)], r"2 --input were given, forward\(x\) takes 1"),
        (wrong(lambda self, dy: dy.nope)(), [(5, 3)], "backward raised AttributeError"),
        (wrong(None, forward=lambda self, x: x)(), [(5, 3)], "no backward method"),
        (wrong(Affine.backward, forward=lambda self, x: None)(), [(5, 3)], "forward returned None"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(layer, inputs, message):
    with pytest.raises(CannotCheck, match=message):
        check_layer(layer, *inputs)


def test_a_gradient_that_is_never_computed_is_named():
    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T

    with pytest.raises(CannotCheck, match=r"no gradient found for b \(found for: W, X\)"):
        check_layer(wrong(backward)(), (5, 3))


def test_chance_and_float32_are_refused():
    class Chance(Dropout):
        def forward(self, x):
            self.mask = np.array([secrets.randbelow(2) for _ in range(15)]).reshape(5, 3)
            return x * self.mask

    class Narrow(Dropout):
        def forward(self, x):
            self.mask = np.ones(x.shape)
            return x.astype(np.float32).astype(float)

    with pytest.raises(CannotCheck, match="not deterministic"):
        check_layer(Chance(), (5, 3))
    with pytest.raises(CannotCheck, match="forward rounds its input to float32"):
        check_layer(Narrow(), (5, 3))


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def test_pairs_of_functions():
    assert check_function(affine, affine_backward, (5, 3), (3, 4), (4,)).ok

    def bad(dout, cache):
        return (*affine_backward(dout, cache)[:2], dout.mean(axis=0))

    report = check_function(affine, bad, (5, 3), (3, 4), (4,))
    assert [r.ok for r in report.rows] == [True, True, False]


def test_a_loss_that_returns_its_gradient():
    def loss(x, y):
        return ((x - y) ** 2).sum() / 2, x - y

    assert check_function(loss, None, (5, 3)).ok


# --- the command --------------------------------------------------------------

FILE = """
import numpy as np
class Scale:
    def __init__(self, k): self.gamma = np.full(k, 2.0)
    def forward(self, x):
        self.x = x
        return self.gamma * x
    def backward(self, dy):
        self.dgamma = (dy * self.x).sum(axis=0)
        return self.gamma * dy
class Wrong(Scale):
    def backward(self, dy):
        super().backward(dy)
        return dy
def double(x): return 2 * x, None
def double_backward(dy, cache): return 2 * dy
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_layers.py"
    path.write_text(FILE)
    return str(path)


def test_exit_0_when_right(call, file):
    code, out, err = call(f"{file}:Scale", "--args", "3", "--input", "5,3")
    assert code == 0 and "RIGHT  2 arrays, 18 comparisons" in out, err
    assert call(f"{file}:double,double_backward", "--input", "5,3")[0] == 0


def test_exit_1_when_wrong_with_the_reason(call, file):
    code, out, err = call(f"{file}:Wrong", "--args", "3", "--input", "5,3")
    assert code == 1 and "WRONG  Wrong: wrong: dX" in out
    assert "upstream gradient itself: the local derivative is missing" in out
    assert (out + err).isascii()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((":Nope", "--input", "5,3"), "has no 'Nope'; it has Scale, Wrong, double"),
        ((":Scale", "--input", "5,3"), r"Scale(k) needs arguments: say them as in a call"),
        ((":Scale", "--args", "3"), "say the shape of what Scale takes: --input 5,3"),
        ((":Scale", "--args", "3", "--input", "5;3"), "is neither a shape (5,3) nor a value"),
        ((":Scale", "--args", "3", "--input", "5,3", "--taylor"), "No such option: --taylor"),
        (("", "--input", "5,3"), "or FILE.py:NAME"),
    ],
)
def test_exit_2_when_it_cannot_be_checked_with_one_line(call, file, args, said):
    code, out, err = call(file + args[0], *args[1:])
    assert code == 2 and out == "", out
    assert said in err and err.count("\n") == 1, err


def test_ours_is_right_from_the_command_and_its_nets_stay_out_of_yours(call):
    assert call("functional")[0] == 0
    code = "import sys, gradcheck; print('net' in sys.modules, 'cnn' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.split() == ["False", "False"]
