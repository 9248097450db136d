"""Where mistakes hide: a batch of one, N = D, repeated indices, small masks, ties, flat places."""

import numpy as np

from gradcheck import check_function, check_layer

RNG = np.random.default_rng(0)


class Affine:
    def __init__(self):
        self.W, self.b = RNG.normal(size=(3, 4)), np.zeros(4)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(0)
        return dy @ self.W.T


def test_a_batch_of_one():
    class Squeezes(Affine):
        def backward(self, dy):
            dx = super().backward(dy)
            self.db = np.squeeze(dy).sum(axis=0) * np.ones(4)
            return dx

    report = check_layer(Squeezes(), (5, 3))
    assert not report and "this shows with a batch of one" in str(report)
    assert [row.name for row in report.rows if not row.ok] == ["b, a batch of one"]


def test_as_many_samples_as_features():
    class Turns(Affine):
        def backward(self, dy):
            x = self.x.T if self.x.shape[0] == self.x.shape[1] else self.x
            self.dW, self.db = x.T @ dy, dy.sum(0)
            return dy @ self.W.T

    report = check_layer(Turns(), (5, 3))
    assert not report and "a batch of 3, as many as features" in str(report)


class Embedding:
    def __init__(self, add):
        self.W, self.add = RNG.normal(size=(7, 3)), add

    def forward(self, index):
        self.index = index
        return self.W[index]

    def backward(self, dy):
        self.dW = np.zeros_like(self.W)
        if self.add:
            np.add.at(self.dW, self.index, dy)
        else:
            self.dW[self.index] += dy


def test_repeated_indices():
    distinct = np.arange(6).reshape(3, 2)
    assert check_layer(Embedding(True), distinct)
    report = check_layer(Embedding(False), distinct)
    assert not report and "this shows with repeated indices" in str(report)


class Dropout:
    def __init__(self, p, right):
        self.p, self.right = p, right

    def forward(self, x):
        self.mask = np.random.rand(*x.shape) > self.p  # noqa: NPY002
        return x * self.mask / (1 - self.p)

    def backward(self, dy):
        return dy / (1 - self.p) * (self.mask if self.right else 1)


def test_a_mask_that_drops_something():
    assert check_layer(Dropout(0.05, True), (5, 3))
    report = check_layer(Dropout(0.05, False), (5, 3))
    assert not report and "another random mask" in str(report)


class Sharp:
    """At a temperature of 1e-3 every row saturates: all gradients are 0."""

    def __init__(self, right):
        self.right = right

    def forward(self, x):
        e = np.exp((x - x.max(1, keepdims=True)) / 1e-3)
        self.y = e / e.sum(1, keepdims=True)
        return self.y

    def backward(self, dy):
        d = self.y * (dy - (dy * self.y).sum(1, keepdims=True)) / 1e-3
        return d if self.right else np.zeros_like(dy)


def test_where_all_gradients_are_0_another_place_is_taken():
    assert check_layer(Sharp(True), (5, 3))
    report = check_layer(Sharp(False), (5, 3))
    assert not report and "inputs are 0.001 times the usual ones" in str(report)


def test_a_check_in_which_nothing_moves_says_so():
    report = check_function(lambda x: 0 * x, lambda dy: 0 * dy, (5, 3))
    assert report and "every gradient is 0 here" in str(report)


def test_a_second_output_is_a_note():
    class Two(Affine):
        def forward(self, x):
            y = super().forward(x)
            return y, np.tanh(y)

    report = check_layer(Two(), (5, 3))
    assert report and "the others are not checked" in str(report)


def test_a_parameter_that_backward_changes_by_itself():
    class Decays(Affine):
        def backward(self, dy):
            dx = super().backward(dy)
            self.W *= 0.999
            return dx

    report = check_layer(Decays(), (5, 3))
    assert not report and "backward changes W itself, even where dY is 0" in str(report)

    class Steps(Affine):
        def backward(self, dy):
            dx = super().backward(dy)
            self.W -= 0.1 * self.dW
            return dx

    assert check_layer(Steps(), (5, 3))


def test_growth_that_a_count_of_the_calls_hides():
    class Warm(Affine):
        calls, total = 0, 0.0

        def forward(self, x):
            self.calls += 1
            self.warm = 0.5 + 0.1 * self.calls
            return self.warm * super().forward(x)

        def backward(self, dy):
            dx = super().backward(self.warm * dy)
            self.total = self.dW = self.total + self.dW
            return dx

    assert "dW grows from call to call" in str(check_layer(Warm(), (5, 3)))


def test_tied_windows_one_by_one():
    """Two mistakes that cancel: one window gives twice its gradient, the other none."""

    class Pool:
        def forward(self, x):
            self.x = x.reshape(len(x), 2, 2)
            return self.x.max(axis=2)

        def backward(self, dy):
            top = self.x == self.x.max(axis=2, keepdims=True)
            first = top & (np.cumsum(top, axis=2) == 1)
            share = np.where((top.sum(axis=2) == 2) & (dy < 0), 0, dy)
            return (share[..., None] * first).reshape(len(dy), 4)

    class Right(Pool):
        def backward(self, dy):
            top = self.x == self.x.max(axis=2, keepdims=True)
            return (dy[..., None] * (top & (np.cumsum(top, axis=2) == 1))).reshape(len(dy), 4)

    assert check_layer(Right(), (5, 4))
    assert not check_layer(Pool(), (5, 4))
