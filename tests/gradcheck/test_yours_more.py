"""More of what public code does: each a small layer of our own that a first version misread."""

import numpy as np
import pytest

from gradcheck import check_function, check_layer

RNG = np.random.default_rng(0)


def names(report):
    return [row.name for row in report.rows]


class TwoLayers:
    """b2 starts at zero, before a softmax of two classes: a common shift moves nothing."""

    def __init__(self, factor=1):
        shapes = {"W1": (3, 4), "W2": (4, 2)}
        self.params = {k: 0.01 * RNG.normal(size=s) for k, s in shapes.items()}
        self.params["b2"], self.factor = np.zeros(2), factor

    def loss(self, X, y):
        p, n = self.params, np.arange(len(y))
        A = np.tanh(X @ p["W1"])
        S = A @ p["W2"] + p["b2"]
        P = np.exp(S) / np.exp(S).sum(1, keepdims=True)
        loss = -np.log(P[n, y]).mean()
        P[n, y] -= 1
        dS = P / len(y)
        dW1 = X.T @ (dS @ p["W2"].T * (1 - A**2))
        return loss, {"W1": dW1, "W2": A.T @ dS, "b2": self.factor * dS.sum(0)}


def test_a_bias_before_a_softmax_is_no_bystander():
    report = check_layer(TwoLayers(), (5, 3), RNG.integers(2, size=5))
    assert report and names(report) == ["W1", "W2", "b2"]
    assert not check_layer(TwoLayers(2), (5, 3), RNG.integers(2, size=5))["b2"].ok


def test_forward_remembers_only_when_a_flag_is_set():
    class Relu:
        def forward(self, x, save_cache=False):
            if save_cache:
                self.x = x
            return np.maximum(x, 0)

        def backward(self, dy):
            return dy * (self.x > 0)

    report = check_layer(Relu(), (5, 3))
    assert report and "forward is called with save_cache = True" in str(report)


class Chained:
    """forward returns the layer, backward leaves a gradient under a name that tells nothing."""

    factor = 3

    def forward(self, x):
        self.output = 3 * x
        return self

    def backward(self, dy):
        self.delta = self.factor * dy
        return self


def test_forward_returns_the_layer_itself():
    assert check_layer(Chained(), (5, 3))
    wrong = type("Wrong", (Chained,), {"factor": 2})
    assert not check_layer(wrong(), (5, 3))


def test_the_output_is_the_input_itself():
    class Linear:
        def forward(self, inputs):
            self.inputs = self.output = inputs

        def backward(self, dvalues):
            self.dinputs = dvalues.copy()

    assert check_layer(Linear(), (5, 3))


def test_an_optional_argument_that_refuses_an_array_is_left_out():
    class Tanh:
        def forward(self, input):
            self.last = np.tanh(input)
            return self.last

        def derivative(self, input=None):
            return 1 - (np.tanh(input) if input else self.last) ** 2

    assert check_layer(Tanh(), (5, 3))


def test_backward_takes_the_inputs_again():
    def gate(x1, x2):
        return x1 * x2

    def gate_backward(x1, x2, dz):
        return dz * x2, dz * x1

    assert check_function(gate, gate_backward, (5,), (5,))
    assert not check_function(gate, lambda x1, x2, dz: (dz * x1, dz * x2), (5,), (5,))


class Inner:
    def __init__(self, W):
        self.params, self.grads = [W], [np.zeros_like(W)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, dy):
        self.grads[0][...] = self.x.T @ dy
        return dy @ self.params[0].T


class Time:
    """One inner layer for each step shares the array; the outer gradient is the sum already."""

    def __init__(self, factor=1):
        self.params = [RNG.normal(size=(5, 4))]
        self.grads, self.layers, self.factor = [np.zeros((5, 4))], None, factor

    def forward(self, xs):
        self.layers = [Inner(self.params[0]) for _ in range(xs.shape[1])]
        return np.stack([k.forward(xs[:, t]) for t, k in enumerate(self.layers)], axis=1)

    def backward(self, dys):
        parts = [k.backward(dys[:, t]) for t, k in enumerate(self.layers)]
        self.grads[0][...] = self.factor * sum(k.grads[0] for k in self.layers)
        return np.stack(parts, axis=1)


def test_gradients_that_are_summed_already_are_not_summed_again():
    assert check_layer(Time(), (2, 3, 5))
    assert not check_layer(Time(2), (2, 3, 5))


class Local:
    """forward leaves local derivatives in self.grad; backward makes self.weight_update anew."""

    def __init__(self, factor=1):
        self.weight, self.factor = {"W": RNG.normal(size=(3, 3))}, factor
        self.weight_update = {}

    def forward(self, x):
        self.grad = {"X": self.weight["W"], "W": x}
        return x @ self.weight["W"]

    def backward(self, dy):
        self.weight_update = {"W": self.factor * self.grad["W"].T @ dy}
        return dy @ self.grad["X"].T


def test_only_what_backward_returns_or_changes_is_a_gradient():
    assert check_layer(Local(), (3, 3)) and names(check_layer(Local(), (3, 3))) == ["X", "W"]
    assert not check_layer(Local(2), (3, 3))["W"].ok


@pytest.mark.parametrize("factor", [1, 2])
def test_the_label_may_come_first_where_the_other_is_a_prediction(factor):
    class Squares:
        def loss(self, y, y_pred):
            return 0.5 * (y - y_pred) ** 2

        def gradient(self, y, y_pred):
            return factor * (y_pred - y)

    assert bool(check_layer(Squares(), (5, 3), (5, 3))) == (factor == 1)


@pytest.mark.parametrize(("constant", "right"), [(0.7978846, True), (0.7979, False), (0.8, False)])
def test_a_rounded_constant_is_a_note_and_a_wrong_one_is_not(constant, right):
    class Scaled:
        def forward(self, x):
            self.x = x
            return np.tanh(np.sqrt(2 / np.pi) * x)

        def backward(self, dy):
            return dy * constant * (1 - np.tanh(np.sqrt(2 / np.pi) * self.x) ** 2)

    assert bool(check_layer(Scaled(), (5, 3))) == right


def test_tiny_weights_are_no_float32():
    class Tiny:
        def __init__(self):
            self.W = [0.01 * RNG.normal(size=s) for s in ((3, 4), (4, 6), (6, 2))]

        def forward(self, x, y):
            self.x, self.y = x, y
            return 1.1 + (x @ self.W[0] @ self.W[1] @ self.W[2] * y).sum()

        def backward(self):
            return self.y @ self.W[2].T @ self.W[1].T @ self.W[0].T

    report = check_layer(Tiny(), (5, 3), RNG.integers(2, size=(5, 2)))
    assert "X" in names(report) and report["X"].ok
