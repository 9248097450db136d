"""The last false alarms and refusals in public code, each a small layer of our own."""

import textwrap

import numpy as np
import pytest

from gradcheck import CannotCheck, check_function, check_layer
from gradcheck.__main__ import check_file
from gradcheck.yours import Options

RNG = np.random.default_rng()


@pytest.fixture(autouse=True)
def same_numbers_in_any_order():
    RNG.bit_generator.state = np.random.default_rng(3).bit_generator.state


def names(report):
    return [row.name for row in report.rows]


class Net:
    """loss(X, y=None) of a net that holds its dtype: a class is no method."""

    def __init__(self, factor=1, epsilon=0.0):
        self.params = {"W1": RNG.normal(size=(3, 4)), "W2": RNG.normal(size=(4, 6))}
        self.params["b2"] = np.zeros(6)
        self.dtype, self.factor, self.epsilon = np.float64, factor, epsilon

    def loss(self, X, y=None):
        A = np.maximum(X @ self.params["W1"], 0)
        z = A @ self.params["W2"] + self.params["b2"]
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        if y is None:
            return p
        n = np.arange(len(y))
        value = -np.log(p[n, y] + self.epsilon).mean()
        p[n, y] -= 1
        d = self.factor * p / len(y)
        dA = d @ self.params["W2"].T * (A > 0)
        return value, {"W1": X.T @ dA, "W2": A.T @ d, "b2": d.sum(0)}


def test_20_the_dtype_of_a_net_is_no_method():
    labels = RNG.integers(6, size=5)
    report = check_layer(Net(), (5, 3), labels)
    assert report and names(report) == ["W1", "W2", "b2"]
    assert not check_layer(Net(2), (5, 3), labels)


class Adam:
    """backward makes a step of Adam's: as long for twice the upstream gradient."""

    factor = 1

    def __init__(self):
        self.W = RNG.normal(size=(3, 4))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        g, dx = self.x.T @ dy, dy @ self.W.T
        self.W -= 1e-3 * g / (abs(g) + 1e-8)
        return self.factor * dx


class AdamWrong(Adam):
    factor = 2


class Ignores(Adam):
    def backward(self, dy):
        dx = dy @ self.W.T
        self.W -= self.x.T @ np.ones_like(dy)
        return dx


def test_21_an_optimizers_step_is_no_gradient_and_is_said():
    report = check_layer(Adam(), (5, 3))
    assert report and names(report) == ["X"]
    assert "backward updates W by a step as long for twice the upstream gradient" in str(report)
    assert not check_layer(AdamWrong(), (5, 3))
    assert not check_layer(Ignores(), (5, 3))


@pytest.mark.parametrize("epsilon", [1e-8, 1e-7, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_22_an_epsilon_is_judged_for_the_whole_case(epsilon, seed):
    """Entries of W2 and b2 are sums over the samples that cancel: their share is larger."""
    RNG.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    layer, X, labels = Net(epsilon=epsilon), RNG.normal(size=(40, 3)), RNG.integers(6, size=40)
    report = check_layer(layer, X, labels)
    assert report and "it leaves out an epsilon of the loss" in str(report)
    for factor in (1.001, 1.0003):
        layer.factor = factor
        assert not check_layer(layer, X, labels)


@pytest.mark.parametrize(
    "mistake",
    [lambda d: 1e-4 * np.ones(d.shape), lambda d: 2e-4 * d * RNG.normal(size=d.shape),
     lambda d: 1e-4 * d + 2e-5 * np.arange(d.size).reshape(d.shape)],
    ids=["a constant added", "noise", "both"],
)  # fmt: skip
def test_a_small_mistake_of_a_loss_is_no_epsilon(mistake):
    class Loss:
        def forward(self, X, target):
            self.d = (X - target) / len(X)
            return len(X) * (self.d**2).sum() / 2

        def backward(self):
            return self.d + mistake(self.d)

    assert not check_layer(Loss(), (5, 4), RNG.normal(size=(5, 4)))


def test_an_array_that_has_a_gradient_and_does_not_move_here_is_said():
    class Dead(Net):
        def __init__(self):
            super().__init__()
            self.params["W3"] = np.zeros((2, 2))

        def loss(self, X, y=None):
            value, grads = super().loss(X, y)
            return value, {**grads, "W3": np.zeros((2, 2))}

    report = check_layer(Dead(), (5, 3), RNG.integers(6, size=5))
    assert report and "W3 does not move the output here: not checked" in str(report)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", __import__("sys").path[:])

    def check(source, name, *inputs, path="mine_open.py"):
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        target.write_text("import numpy as np\n" + textwrap.dedent(source))
        return check_file(f"{target}:{name}", list(inputs), None, Options(), False)

    return check


SHIFTED = """
    def shift(x, cache):
        mean, scale = cache
        return (x - mean) * scale, (x, mean, scale), mean
    def shift_backward(dy, cache):
        x, mean, scale = cache
        return dy * scale
"""


def test_23_a_value_with_np_and_a_cache_that_is_given_and_returned(file):
    value = "=(np.zeros(3), 2 * np.ones(3))"
    assert file(SHIFTED, "shift,shift_backward", "5,3", value)


def test_24_a_property_that_raises_is_not_asked(file):
    class Pool:
        seen = None

        @property
        def windows(self):
            assert self.seen is not None, "forward was not called"
            return self.seen

        def forward(self, x):
            self.seen = x
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    assert check_layer(Pool(), (5, 3))


def test_25_annotations_of_another_numpy_are_not_read(file):
    source = "def f(x: np.gone) -> np.gone: return 3 * x\ndef g(dy): return 3 * dy\n"
    assert file(source, "f,g", "5,3")


def test_26_a_package_without_init_and_a_module_of_its_name(file, tmp_path):
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "pair.py").write_text("nothing = 0\n")
    (tmp_path / "pair" / "tools.py").write_text("three = 3\n")
    source = "from pair.tools import three\ndef f(x): return three * x\n"
    assert file(source + "def g(dy): return three * dy\n", "f,g", "5,3", path="pair/mine.py")


def test_27_probabilities_stay_away_from_0_and_1():
    """A gradient that is cut off there is right in between."""

    class Loss:
        def loss(self, y_true, p):
            return -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)).sum()

        def gradient(self, y_true, p):
            return np.clip((p - y_true) / (p * (1 - p)), -10.5, 10.5)

    labels = RNG.integers(2, size=(5, 3)).astype(float)
    assert check_layer(Loss(), labels, RNG.uniform(0.1, 0.9, (5, 3)))


def test_what_cannot_be_read_is_still_wrong():
    assert not check_function(lambda x: x**2, lambda dy, x: dy * x, (5, 3))


def test_28_inputs_that_float32_holds_exactly_are_no_sign_of_float32():
    """Evenly spaced values of 128 entries: rounding them changes nothing in any code."""
    W = 1e-3 * RNG.normal(size=(64, 4))

    def loss(x):
        return 1.0 + 1e-3 * np.tanh(x @ W).sum()

    assert check_function(loss, lambda x: 1e-3 * (1 - np.tanh(x @ W) ** 2) @ W.T, (2, 64))


def test_29_a_script_after_the_last_definition_is_not_run(file):
    source = """
        def f(x): return THREE * x
        def g(dy): return THREE * dy
        THREE = 3
        data = open("no such file")
        while True:
            f(data)
    """
    assert file(source, "f,g", "5,3")


def test_30_what_empties_gradients_is_no_backward():
    class Flushes:
        def __init__(self):
            self.W, self.dW = RNG.normal(size=(3, 4)), np.zeros((3, 4))

        def forward(self, x):
            return x @ self.W

        def backward(self, dy):
            return [].pop()

        def flush_gradients(self):
            self.dW[...] = 0

    with pytest.raises(CannotCheck, match="backward raised IndexError"):
        check_layer(Flushes(), (5, 3))


def test_31_the_end_of_a_name_may_tell_the_order():
    class Loss:
        def loss(self, y, p, t_mean, t_log_var):
            return ((p - y) ** 2).sum() + (t_mean**2 * np.exp(t_log_var)).sum()

        def grad(self, y, p, t_mean, t_log_var):
            dMean = 2 * t_mean * np.exp(t_log_var)
            dLogVar = t_mean**2 * np.exp(t_log_var)
            dP = 2 * (p - y)
            return dP, dLogVar, dMean

    report = check_layer(Loss(), (5, 3), (5, 3), (5, 2), (5, 2))
    assert report and names(report) == ["p", "t_mean", "t_log_var"]


def test_32_what_a_file_does_to_numpy_is_undone(file):
    source = """
        dot = np.dot
        np.dot = lambda a, b: dot(a, b).astype("float" + "32")
        W = np.ones((3, 4))
        def f(x): return np.dot(np.tanh(x), W)
        def g(dy, x): return np.dot(dy, W.T) * (1 - np.tanh(x) ** 2)
    """
    report = file(source, "f,g", "5,3")
    assert report and "np.dot: put back to what NumPy has" in str(report)


def test_33_a_loss_may_want_its_own_probabilities_back():
    class Both:
        def forward(self, inputs, y_true):
            e = np.exp(inputs - inputs.max(1, keepdims=True))
            self.output = e / e.sum(1, keepdims=True)
            return -np.log(self.output[np.arange(len(y_true)), y_true]).mean()

        def backward(self, dvalues, y_true):
            self.dinputs = dvalues.copy()
            self.dinputs[np.arange(len(y_true)), y_true] -= 1
            self.dinputs /= len(y_true)

    report = check_layer(Both(), (5, 3), RNG.integers(3, size=5))
    assert report and "dvalues of backward is taken for what the object holds" in str(report)


def test_34_a_first_layer_that_trains_itself_returns_nothing():
    class First:
        def __init__(self):
            self.filters = RNG.normal(size=(3, 4))

        def forward(self, image, *more):
            self.image = image
            return image @ self.filters

        def backprop(self, d, lr):
            self.filters -= lr * self.image.T @ d

    report = check_layer(First(), (5, 3))
    assert report and "no gradient for X came back: not checked" in str(report)


def test_35_named_arguments_before_a_star_keep_their_names():
    class Tanh:
        def forward(self, input, *args, **keywords):
            self.last = np.tanh(input)
            return self.last

        def derivative(self, input=None):
            return 1 - (np.tanh(input) if input else self.last) ** 2

    assert check_layer(Tanh(), (5, 3))


def test_36_a_star_after_the_argument_of_a_wrapper_stays_empty():
    def wrapped(f):
        def wrapper(x, *args, **keywords):
            return f(x, *args, **keywords)

        return wrapper

    assert check_function(wrapped(np.tanh), wrapped(lambda a: 1 - a**2), (5, 3))
    assert check_function(wrapped(np.sin), wrapped(np.cos), (5, 3))
    assert not check_function(wrapped(np.sin), wrapped(np.sin), (5, 3))


def test_37_what_is_imported_after_a_check_keeps_its_float32(file, tmp_path):
    source = "def f(x): return 3 * x\ndef g(dy): return 3 * dy\n"
    assert file(source, "f,g", "5,3", path="mine37.py")
    (tmp_path / "later37.py").write_text("import numpy as np\nKIND = np.float32\n")
    assert __import__("later37").KIND is np.float32
