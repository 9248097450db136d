# ruff: noqa: E731  (a formula in one line)
"""Names for mistakes: those of public code, rebuilt in our own words, and none for noise."""

import re

import numpy as np
import pytest

from gradcheck.case import Case, Checked, check_case, distinct_values
from gradcheck.core import Result
from gradcheck.explain import explain

RNG = np.random.default_rng(0)
N, D, H = 5, 3, 7


def draw(*shape, scale=1.0):
    return distinct_values(shape, RNG, scale)


def causes(case):
    """{array: sentence or None} for the wrong arrays of a case."""
    checked = check_case(case, np.random.default_rng(1))
    wrong = [name for name, result in checked.results.items() if result.wrong.any()]
    return {name: explain(case, name, checked) for name in wrong}


def layer(forward, backward, sizes=None, constants=None, **arrays):
    """A case from pure functions: forward() -> y, backward(dy) -> gradients in order."""
    names = list(arrays)

    def gradients(dy):
        grads = backward(dy)
        return dict(zip(names, grads if isinstance(grads, tuple) else (grads,), strict=True))

    known = {"batch": len(next(iter(arrays.values()))), **(sizes or {})}
    both = lambda: np.array(forward()), gradients
    return Case("layer", arrays, lambda: both, sizes=known, constants=constants or {})


def softmax(X, axis=1):
    e = np.exp(X - X.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(X):
    return 1 / (1 + np.exp(-X))


# --- losses -------------------------------------------------------------------


def loss(forward, backward, labels=None):
    X, y = draw(N, 4, scale=2), np.eye(4)[[0, 2, 1, 3, 0]] if labels is None else labels
    return layer(
        lambda: forward(X, y), lambda dy: dy * backward(X, y), {"classes": 4}, {"y": y}, X=X
    )


def cross_entropy(X, y):
    return -(y * np.log(softmax(X))).sum() / len(X)


def mean_absolute():
    return loss(lambda X, y: abs(X - y).mean(), lambda X, y: np.sign(y - X) / X.size, draw(N, 4))


def square_without_the_two():
    y = draw(N, 4)
    return loss(lambda X, y: ((X - y) ** 2).sum() / len(X), lambda X, y: (X - y) / len(X), y)


def square_over_the_batch_alone():
    y = draw(N, 4)
    return loss(lambda X, y: ((X - y) ** 2).mean(), lambda X, y: 2 * (X - y) / len(X), y)


def batch_taken_twice():
    return loss(cross_entropy, lambda X, y: (softmax(X) - y) / len(X) ** 2)


def entropy_not_divided():
    return loss(cross_entropy, lambda X, y: softmax(X) - y)


def binary_over_everything():
    y = (draw(N, 4) > 0).astype(float)
    value = lambda X, y: -(y * np.log(sigmoid(X)) + (1 - y) * np.log(sigmoid(-X))).sum() / len(X)
    return loss(value, lambda X, y: (sigmoid(X) - y) / X.size, y)


def softmax_once_too_often():
    def backward(X, y):
        p, d = softmax(X), (softmax(X) - y) / len(X)
        return p * (d - (d * p).sum(1, keepdims=True))

    return loss(cross_entropy, backward)


def softmax_over_the_whole_batch():
    return loss(cross_entropy, lambda X, y: (np.exp(X) / np.exp(X).sum() - y) / len(X))


def target_forgotten():
    return loss(cross_entropy, lambda X, y: softmax(X) / len(X))


def square_sign():
    return loss(lambda X, y: ((X - y) ** 2).sum(), lambda X, y: 2 * (y - X), draw(N, 4))


# --- activations --------------------------------------------------------------


def activation(forward, backward):
    X = draw(N, 4, scale=2)
    return layer(lambda: forward(X), lambda dy: backward(X, dy), {"features": 4}, X=X)


def tanh_of_tan():
    return activation(np.tanh, lambda X, dy: dy * (1 - np.tan(X) ** 2))


def sigmoid_sign():
    return activation(sigmoid, lambda X, dy: dy * sigmoid(X) * (sigmoid(X) - 1))


def tanh_scale():
    return activation(lambda X: 1.7 * np.tanh(X), lambda X, dy: dy * (1 - np.tanh(X) ** 2))


def elu_without_upstream_below():
    elu = lambda X: np.where(X > 0, X, 0.5 * (np.exp(np.minimum(X, 0)) - 1))
    return activation(elu, lambda X, dy: np.where(X > 0, dy, 0.5 * np.exp(X)))


def softmax_diagonal():
    return activation(softmax, lambda X, dy: dy * softmax(X) * (1 - softmax(X)))


def log_softmax_as_softmax():
    return activation(lambda X: np.log(softmax(X)), lambda X, dy: dy - softmax(X))


def tanh_returns_tanh():
    return activation(np.tanh, lambda X, dy: dy * np.tanh(X))


def rounding_passed_through():
    return activation(lambda X: np.round(X + 0.13), lambda X, dy: dy)


def gelu_constant():
    c = np.sqrt(2 / np.pi)
    right = lambda X: 0.5 * X * (1 + np.tanh(c * (X + 0.044715 * X**3)))

    def backward(X, dy):
        t = np.tanh(0.7978 * (X + 0.044715 * X**3))  # rounded
        return dy * (0.5 * (1 + t) + 0.5 * X * (1 - t * t) * 0.7978 * (1 + 0.134145 * X**2))

    return activation(right, backward)


# --- dense layers -------------------------------------------------------------


def dense(dX=None, dW=None, db=None, f=None, df=None):
    X, W, b = draw(N, D), draw(D, H), draw(H)
    slope = lambda: df(X @ W + b) if df else 1
    grads = {
        "X": dX or (lambda X, W, g, dy: g @ W.T),
        "W": dW or (lambda X, W, g, dy: X.T @ g),
        "b": db or (lambda X, W, g, dy: g.sum(0)),
    }
    forward = lambda: (f or (lambda z: z))(X @ W + b)
    backward = lambda dy: tuple(make(X, W, dy * slope(), dy) for make in grads.values())
    return layer(forward, backward, {"inputs": D, "outputs": H}, X=X, W=W, b=b)


def twice_too_large():
    return dense(dW=lambda X, W, g, dy: 2 * X.T @ g)


def bias_summed_over_everything():
    return dense(db=lambda X, W, g, dy: np.full(H, g.sum()))


def bias_from_the_weight_gradient():
    return dense(db=lambda X, W, g, dy: (X.T @ g).sum(0))


def bias_without_the_activation():
    derivative = lambda z: 1 - np.tanh(z) ** 2
    return dense(db=lambda X, W, g, dy: dy.sum(0), f=np.tanh, df=derivative)


def weights_without_the_activation():
    derivative = lambda z: 1 - np.tanh(z) ** 2
    return dense(dW=lambda X, W, g, dy: X.T @ dy, f=np.tanh, df=derivative)


def mean_of_the_bias_alone():
    return dense(db=lambda X, W, g, dy: g.mean(0))


def mean_over_the_outputs():
    return dense(dW=lambda X, W, g, dy: X.T @ g / H)


def decay_with_the_wrong_sign():
    return dense(dW=lambda X, W, g, dy: X.T @ g - 0.1 * W)


def clipped():
    return dense(dW=lambda X, W, g, dy: (X.T @ g).clip(-1, 1))


def normalised():
    return dense(dW=lambda X, W, g, dy: X.T @ g / np.linalg.norm(X.T @ g))


def last_sample_only():
    return dense(dW=lambda X, W, g, dy: np.outer(X[-1], g[-1]))


# --- normalisation, windows, indices ------------------------------------------


def norm(axis, backward):
    X, gamma = draw(6, 4, scale=2), draw(4) + 2

    def parts():
        mean, std = X.mean(axis, keepdims=True), X.std(axis, keepdims=True)
        return (X - mean) / std, std

    def both(dy):
        xhat, std = parts()
        return backward(dy, gamma, xhat, std, axis), (dy * xhat).sum(0)

    return layer(lambda: gamma * parts()[0], both, {"features": 4}, X=X, gamma=gamma)


def norm_backward(g, xhat, std, axis):
    mean = g.mean(axis, keepdims=True)
    return (g - mean - xhat * (g * xhat).mean(axis, keepdims=True)) / std


def layernorm_without_gamma():
    return norm(1, lambda dy, gamma, xhat, std, axis: norm_backward(dy, xhat, std, axis))


def batchnorm_with_a_constant_variance():
    def backward(dy, gamma, xhat, std, axis):
        g = dy * gamma
        return (g - g.mean(axis)) / std

    return norm(0, backward)


def batchnorm_divided_by_half_of_the_batch():
    def backward(dy, gamma, xhat, std, axis):
        g = dy * gamma
        return (g - 2 * g.mean(0) - 2 * xhat * (g * xhat).mean(0)) / std

    return norm(0, backward)


def windows(X, size=3):
    return np.stack([X[:, i : i + size].max(1) for i in range(X.shape[1] - size + 1)], 1)


def overlapping_windows_assigned():
    X = draw(N, 7)

    def backward(dy):
        dX = np.zeros_like(X)
        for n in range(N):
            for i in range(5):
                dX[n, i + X[n, i : i + 3].argmax()] = dy[n, i]
        return dX

    return layer(lambda: windows(X), backward, X=X)


def upsampling_takes_one_of_four():
    X = draw(2, 3, 4)
    up = lambda: X.repeat(2, 1).repeat(2, 2)
    return layer(up, lambda dy: dy[:, ::2, ::2], X=X)


def embedding_with_a_repeated_index():
    C, index = draw(5, 3), np.array([[0, 2], [2, 2], [4, 0], [1, 0]])

    def backward(dy):
        dC = np.zeros_like(C)
        for n in range(len(index)):
            dC[index[n]] += dy[n]
        return dC

    return layer(lambda: C[index], backward, C=C)


def convolution(channel):
    X, W = draw(4, 3, 6), draw(2, 3, 3)
    taps = lambda: np.stack([X[:, :, k : k + 4] for k in range(3)], -1)  # (N, C, O, K)
    forward = lambda: np.einsum("ncok,fck->nfo", taps(), W)

    def backward(dy):
        dW = np.einsum("ncok,nfo->fck", taps(), dy)
        dX = np.zeros_like(X)
        for k in range(3):
            dX[:, :, k : k + 4] += np.einsum("nfo,fc->nco", dy, W[:, :, k])
        return channel(dX, dW)

    return layer(forward, backward, {"channels": 3}, X=X, W=W)


def convolution_in_the_wrong_channel():
    return convolution(lambda dX, dW: (dX[:, [1, 2, 0]], dW))


def convolution_in_one_channel():
    return convolution(lambda dX, dW: (dX, np.repeat(dW[:, :1], 3, 1)))


def convolution_flipped():
    return convolution(lambda dX, dW: (dX, dW[..., ::-1]))


def recurrent(flow, transpose=True):
    X, Wx, Wh = draw(4, 5, 3), draw(3, 2), draw(2, 2)

    def states():
        h = [np.zeros((4, 2))]
        for t in range(5):
            h.append(np.tanh(X[:, t] @ Wx + h[-1] @ Wh))
        return h

    def backward(dy):
        h, back = states(), np.zeros((4, 2))
        dX, dWx, dWh = np.zeros_like(X), np.zeros_like(Wx), np.zeros_like(Wh)
        for t in reversed(range(5)):
            dz = (dy[:, t] + flow * back) * (1 - h[t + 1] ** 2)
            dX[:, t], dWx, dWh = dz @ Wx.T, dWx + X[:, t].T @ dz, dWh + h[t].T @ dz
            back = dz @ (Wh.T if transpose else Wh)
        return dX, dWx, dWh

    forward = lambda: np.stack(states()[1:], 1)
    return layer(forward, backward, X=X, Wx=Wx, Wh=Wh)


def nothing_flows_through_time():
    return recurrent(0)


def recurrent_weights_not_transposed():
    return recurrent(1, transpose=False)


def forget_gate_without_its_derivative():
    X, W, c = draw(N, D), draw(D, 8), draw(N, 2)
    gates = lambda: np.split(X @ W, 4, 1)

    def forward():
        f, i, o, g = gates()
        return sigmoid(o) * np.tanh(sigmoid(f) * c + sigmoid(i) * np.tanh(g))

    def backward(dy):
        f, i, o, g = (s(z) for s, z in zip((sigmoid,) * 3 + (np.tanh,), gates(), strict=True))
        t = np.tanh(f * c + i * g)
        dc = dy * o * (1 - t * t)
        da = [dc * c * f, dc * g * i * (1 - i), dy * t * o * (1 - o), dc * i * (1 - g * g)]
        return np.hstack(da) @ W.T, X.T @ np.hstack(da)

    return layer(forward, backward, X=X, W=W)


def attention(scale):
    Q, K, V = draw(5, 3), draw(4, 3), draw(4, 2)
    weights = lambda: softmax(Q @ K.T / np.sqrt(3))

    def backward(dy):
        P = weights()
        dP = dy @ V.T
        dS = P * (dP - (dP * P).sum(1, keepdims=True)) * scale
        return dS @ K, dS.T @ Q, P.T @ dy

    return layer(lambda: weights() @ V, backward, {"keys": 3}, Q=Q, K=K, V=V)


def attention_without_its_scale():
    return attention(1.0)


# Kinds of faults found in public code: which array, and what its name must say. "": no pattern
# is known, and none may be claimed.
KINDS = {
    mean_absolute: {"X": "the sign"},
    square_without_the_two: {"X": "a factor 2 is missing"},
    square_over_the_batch_alone: {"X": "classes: a sum where the mean belongs"},
    batch_taken_twice: {"X": "1/batch"},
    entropy_not_divided: {"X": "1/batch is missing"},
    binary_over_everything: {"X": "1/classes"},
    softmax_once_too_often: {"X": "softmax is applied once too often"},
    softmax_over_the_whole_batch: {"X": "by the sum over everything"},
    target_forgotten: {"X": "y is left out"},
    square_sign: {"X": "the sign"},
    tanh_of_tan: {"X": ""},
    sigmoid_sign: {"X": "the sign"},
    tanh_scale: {"X": "a constant factor is lost"},
    elu_without_upstream_below: {"X": "wrong below it"},
    softmax_diagonal: {"X": "the diagonal of the Jacobian"},
    log_softmax_as_softmax: {"X": ""},
    tanh_returns_tanh: {"X": "dY times y,"},
    rounding_passed_through: {"X": "straight-through"},
    gelu_constant: {"X": "a rounded constant"},
    twice_too_large: {"W": "counted twice"},
    bias_summed_over_everything: {"b": r"summed over axis 0 \(the outputs\) as well"},
    bias_from_the_weight_gradient: {"b": r"the gradient of W, summed over axis 0 \(the inputs\)"},
    bias_without_the_activation: {
        "b": r"it is dY, summed over axis 0 .*: the local derivative is missing"
    },
    weights_without_the_activation: {"W": "it is X' dY: the local derivative is missing"},
    mean_of_the_bias_alone: {"b": "1/batch"},
    mean_over_the_outputs: {"W": "1/outputs"},
    decay_with_the_wrong_sign: {"W": "right plus -0.1 W: weight decay"},
    clipped: {"W": "clipped to -1 ... 1"},
    normalised: {"W": "a constant factor is lost"},
    last_sample_only: {"W": r"only index 4 of axis 0 \(the batch\) counts: = for"},
    layernorm_without_gamma: {"X": r"if gamma were left out \(as if it were 1\)"},
    batchnorm_with_a_constant_variance: {"X": "the variance over axis 0 .* treated as constant"},
    batchnorm_divided_by_half_of_the_batch: {"X": "a term of the normalisation"},
    overlapping_windows_assigned: {"X": "only the last counts: = for"},
    upsampling_takes_one_of_four: {"X": "only the first counts"},
    embedding_with_a_repeated_index: {"C": "only the last counts: = for"},
    convolution_in_the_wrong_channel: {"X": r"axis 1 \(the channels\) holds what belongs"},
    convolution_in_one_channel: {"W": r"axis 1 \(the channels\) holds what .*: \[0, 0, 0\]"},
    convolution_flipped: {"W": r"axis 2 .* holds what belongs to another one: \[2, 1, 0\]"},
    nothing_flows_through_time: {"X": "only the first counts.*nothing comes from later steps"},
    recurrent_weights_not_transposed: {"X": "what flows back from later steps is wrong"},
    forget_gate_without_its_derivative: {"W": r"wrong only at \[0, 1\] of axis 1"},
    attention_without_its_scale: {"Q": "the square root of keys", "K": "the square root of keys"},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_mistake_of_public_code_is_named_rightly_or_not_at_all(kind):
    said = causes(kind())
    assert said.keys() >= KINDS[kind].keys(), "not found"
    for name, pattern in KINDS[kind].items():
        if pattern:
            assert said[name] and re.search(pattern, said[name]), said
        else:
            assert said[name] is None


def test_enough_of_them_are_named():
    assert sum(all(patterns.values()) for patterns in KINDS.values()) >= 25


# --- silence ------------------------------------------------------------------


def noise(seed):
    """A linear layer whose gradient is overwritten by chance, in all entries or in some."""
    rng = np.random.default_rng(seed)
    n, d, h = (int(k) for k in rng.permutation([2, 3, 5, 7])[:3])
    X, W = rng.normal(size=(n, d)), rng.normal(size=(d, h))
    spoilt, where = rng.normal(size=(d, h)), rng.random((d, h)) < rng.choice([1, 0.7])

    def backward(dy):
        return dy @ W.T, np.where(where, spoilt, X.T @ dy)

    f = [np.tanh, lambda z: z][seed % 2]
    slope = [lambda z: 1 - np.tanh(z) ** 2, np.ones_like][seed % 2]
    sizes = {"inputs": d, "outputs": h}
    return layer(lambda: f(X @ W), lambda dy: backward(dy * slope(X @ W)), sizes, X=X, W=W)


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_no_cause_is_claimed_for_unstructured_noise_in_a_layer(count):
    said = [causes(noise(seed)).get("W") for seed in range(count)]
    assert not [sentence for sentence in said if sentence]


@pytest.mark.parametrize("count", [80, pytest.param(400, marks=pytest.mark.slow)])
def test_no_cause_is_claimed_for_any_shape_of_noise(count):
    rng, claimed = np.random.default_rng(0), []
    for _ in range(count):
        shape = tuple(rng.integers(3, 6, size=int(rng.integers(1, 4))))
        n, a, x, dy, W = rng.normal(size=(5, *shape))
        arrays = {"X": x, "W": W, "b": rng.normal(size=shape[-1:])}
        both = lambda x=x: np.sin(x), lambda dy: {}
        case = Case("noise", arrays, lambda both=both: both, sizes={"features": 3, "batch": 5})
        results = {"X": Result(a, n, 1e-9, np.full(shape, "wrong"))}
        claimed.append(explain(case, "X", Checked(results, dy)))
    assert claimed == [None] * count


def test_nothing_is_named_where_directions_were_sampled_or_nothing_came_back():
    case = twice_too_large()
    checked = check_case(case, np.random.default_rng(1), seconds=0)
    assert checked.sampled and explain(case, "W", checked) is None
    lost = Result(np.array(np.nan), np.ones((3, 7)), 1e-9, np.full((3, 7), "wrong"))
    assert explain(case, "W", Checked({"W": lost}, np.ones((5, 7)))) is None
