"""The rule: what counts as wrong, what a kink excuses, and what cannot be checked."""

import numpy as np
import pytest

from gradcheck.case import Case, check_case, directions, distinct_values, random_signs
from gradcheck.core import CORNER, KINK, RIGHT, WRONG, CannotCheck, check, rounding, settled, slopes
from gradcheck.judge import judge
from gradcheck.taylor import sweep_errors, tanh_layer, taylor_orders


def quadratic(n=6):
    p = distinct_values((n,), np.random.default_rng(0))
    return lambda: (p**2).sum(), p


@pytest.mark.parametrize(("off", "wrong"), [(0, False), (1e-8, False), (1e-6, True), (0.1, True)])
def test_one_entry_may_be_off_by_what_rounding_does_and_not_by_a_millionth(off, wrong):
    loss, p = quadratic()
    grad = 2 * p * np.array([1, 1, 1 + off, 1, 1, 1])
    found = check(loss, {"p": p}, {"p": grad})["p"].wrong
    assert list(found) == [False, False, wrong] + 3 * [False]


def test_the_noise_is_that_of_the_last_bits():
    loss, p = quadratic()
    assert 1e-16 < rounding(loss, p, 1.0) / loss() < 1e-13


def test_a_strong_bend_is_no_mistake_and_excuses_none():
    x = np.array([0.0003, -0.0002])

    def loss():
        return np.exp(3000 * x)  # the step of 1e-5 changes the slope by 3 percent

    right = 3000 * loss()
    assert not check(loss, {"x": x}, {"x": right})["x"].wrong.any()
    assert check(loss, {"x": x}, {"x": right * 1.0001})["x"].wrong.all()
    assert check(lambda: np.sin(1e6 * x), {"x": x}, {"x": 0 * x})["x"].wrong.all()


def test_parameters_come_back_bit_for_bit():
    loss, p = quadratic()
    before = p.copy()
    check(loss, {"p": p}, {"p": 0 * p})
    np.testing.assert_array_equal(p, before)


def test_a_true_gradient_of_zero_passes_where_a_relative_rule_would_divide_noise_by_noise():
    p, big = np.ones(3), 1e6
    assert not check(lambda: big + 0 * p.sum(), {"p": p}, {"p": np.zeros(3)})["p"].wrong.any()


def test_a_loss_that_cancels_is_as_noisy_as_what_it_cancels():
    z = np.array([400.0, 0.3])  # log-sum-exp: 400 - 400, a loss near 0 with the noise of 400

    def loss():
        return np.log(np.exp(z - z.max()).sum()) + z.max() - z[0]

    p = np.exp(z - 400)
    assert not check(loss, {"z": z}, {"z": p / p.sum() - [1, 0]})["z"].wrong.any()


def test_a_straddled_kink_is_settled_and_a_wrong_gradient_beside_it_is_not():
    x = np.array([4e-6, -4e-6, 1.0])  # the step of 1e-5 reaches over the kink of the first two

    def loss():
        return np.maximum(x, 0)

    right = check(loss, {"x": x}, {"x": np.array([1.0, 0.0, 1.0])})["x"]
    assert list(right.kinks) == [True, True, False] and not right.wrong.any()
    for wrong in ([0.5, 0, 1], [1, 0.1, 1], [0, 1, 1], [1, 0, 0.5]):
        assert check(loss, {"x": x}, {"x": np.array(wrong, float)})["x"].wrong.sum() >= 1


def test_on_a_kink_every_value_between_the_slopes_is_right_and_none_outside():
    x = np.zeros(1)
    for slope, ok in ((0.0, True), (0.5, True), (1.0, True), (-0.1, False), (1.1, False)):
        result = check(lambda: np.maximum(x, 0), {"x": x}, {"x": np.array([slope])})["x"]
        assert result.wrong.any() == (not ok)


def test_a_kink_excuses_no_other_entry():
    x = np.array([0.0, 1.0])
    result = check(lambda: np.maximum(x, 0), {"x": x}, {"x": np.array([0.0, 0.9])})["x"]
    assert list(result.wrong) == [False, True]


def test_several_kinks_at_once_are_judged_beside_the_point():
    W = np.array([[1.0, -2.0, 0.5], [0.7, 0.3, -1.1]])
    X = np.zeros((1, 2))  # a blank image and no bias: all three units on their kink

    def case(scale: float) -> Case:
        def backward(dy):
            return {"X": scale * (dy * (X @ W > 0)) @ W.T}

        return Case("blank", {"X": X}, lambda: (lambda: np.maximum(X @ W, 0), backward))

    assert judge(case(1.0)).ok
    assert judge(case(1.0))["X"].result.kinks.any()
    assert not judge(case(1.5)).ok


@pytest.mark.parametrize("seed", [0, 10])  # in these one entry lies between several kinks
def test_tiny_inputs_whose_kinks_are_nearer_than_the_step_are_judged_beside_the_point(seed):
    rng = np.random.default_rng(seed)
    W, X = rng.normal(size=(6, 40)), 1e-6 * rng.normal(size=(3, 6))

    def forward():
        return np.maximum(X @ W, 0).reshape(3, 10, 4).max(axis=2)

    def case(scale: float) -> Case:
        def backward(dy):
            Z = (X @ W).reshape(3, 10, 4)
            won = (Z == Z.max(axis=2, keepdims=True)) & (Z > 0)
            return {"X": scale * (dy[:, :, None] * won).reshape(3, 40) @ W.T}

        return Case("tiny", {"X": X}, lambda: (forward, backward))

    assert judge(case(1.0)).ok
    assert not judge(case(1.001)).ok


def test_ones_as_upstream_would_pass_a_softmax_that_returns_zeros():
    X = distinct_values((3, 5), np.random.default_rng(0))

    def softmax():
        e = np.exp(X)
        return e / e.sum(1, keepdims=True)

    zeros = {"X": np.zeros_like(X)}
    assert not check(softmax, {"X": X}, zeros, np.ones((3, 5)))["X"].wrong.any()
    random = np.random.default_rng(0).normal(size=(3, 5))
    assert check(softmax, {"X": X}, zeros, random)["X"].wrong.all()


def test_a_parameter_that_is_a_strided_view_is_moved_itself_and_not_a_copy():
    base = np.arange(1.0, 13).reshape(3, 4)
    view = base.T[::2]
    assert not check(lambda: (base**2).sum(), {"v": view}, {"v": 2 * view})["v"].wrong.any()


def test_a_loss_that_returns_its_buffer_is_copied():
    p, buffer = np.array([1.0, 2.0]), np.zeros(2)

    def loss():
        return np.multiply(p, p, out=buffer)

    assert not check(loss, {"p": p}, {"p": 2 * p})["p"].wrong.any()


def test_shapes_are_never_broadcast():
    loss, p = quadratic()
    assert check(loss, {"p": p}, {"p": np.float64(1.0)})["p"].wrong.all()


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.float32(1), "float32: differences need float64"), (np.nan, "not finite: it holds nan")],
)
def test_what_cannot_be_checked_is_refused(value, message):
    with pytest.raises(CannotCheck, match=message):
        check(lambda: value, {}, {})


def test_what_rounding_drowns_is_refused_and_not_called_right():
    W, x = np.ones(3), np.array([1.0, 2.0, 3.0])
    with pytest.raises(CannotCheck, match="rounding moves the slopes by 2, the largest"):
        check(lambda: 1e10 + W @ x, {"W": W}, {"W": -0.3 * x})
    p = np.full(3, 5e-6)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(CannotCheck, match="the loss is nan or inf when an entry moves by 1e-05"),
    ):
        check(lambda: np.log(p).sum(), {"p": p}, {"p": 1 / p})


@pytest.mark.parametrize(
    ("params", "grads", "dy", "message"),
    [
        ([1.0, 2.0], np.ones(2), 1.0, "p is a list: an array is moved in place"),
        (np.ones(2), None, 1.0, "no gradient is given for p"),
        (np.ones(2), np.ones(2), np.ones((2, 1)), r"dy has shape \(2, 1\), the loss \(2,\)"),
        (np.ones(2), np.ones(2), np.nan, "dy is not finite"),
    ],
)
def test_what_does_not_fit_is_refused(params, grads, dy, message):
    with pytest.raises(CannotCheck, match=message):
        check(lambda: np.ones(2), {"p": params}, {} if grads is None else {"p": grads}, dy)


def test_chance_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(CannotCheck, match="not deterministic: two calls"):
        check(lambda: rng.random(), {}, {})


def test_random_signs_find_a_single_zeroed_entry_of_a_large_array():
    W = distinct_values((100, 79), np.random.default_rng(1))
    grad = 2 * W
    for seed in range(5):
        rng = np.random.default_rng(seed)
        ways = random_signs(W.shape, rng)
        assert not directions(lambda: (W**2).sum(), W, grad, 1.0, ways).wrong.any()
        bad = grad.copy()
        bad[tuple(rng.integers(79, size=2))] *= 0.99
        assert directions(lambda: (W**2).sum(), W, bad, 1.0, ways).wrong.any()


def test_two_wrong_entries_that_may_cancel_do_not_in_eight_directions():
    W = distinct_values((20, 30), np.random.default_rng(1))
    bad = 2 * W
    bad[3, 4] += 0.1
    bad[7, 8] -= 0.1
    for seed in range(20):
        ways = random_signs(W.shape, np.random.default_rng(seed))
        assert directions(lambda: (W**2).sum(), W, bad, 1.0, ways).wrong.any()


def test_taylor_order_is_two_when_right_and_falls_towards_one_when_wrong():
    p = distinct_values((7,), np.random.default_rng(0))
    functions = lambda: np.tanh(p), lambda dy: {"p": dy * (1 - np.tanh(p) ** 2)}
    case = Case("tanh", {"p": p}, lambda: functions, inputs=("p",))
    assert taylor_orders(case)[-1][2] == pytest.approx(2, abs=0.01)
    assert taylor_orders(case, factor=1.01)[-1][2] < 1.1


def test_step_of_1e_5_is_near_the_best_and_1e_9_is_not():
    errors = sweep_errors(*tanh_layer(np.float64), np.array([1e-5, 1e-9, 1e-2]))
    assert errors[0] < 1e-10 < 1e-8 < errors[1] and errors[2] > 1e-7


def test_float32_is_no_use_at_any_step():
    errors = sweep_errors(*tanh_layer(np.float32), 10.0 ** -np.arange(1, 9))
    assert errors.min() > 1e-6


def test_missing_gradients_are_named():
    p = np.ones(2)
    case = Case("c", {"p": p, "q": p.copy()}, lambda: (lambda: p.sum(), lambda dy: {"p": p}))
    with pytest.raises(CannotCheck, match="no gradient for q"):
        check_case(case, np.random.default_rng(0))


def test_a_smooth_loss_is_never_on_a_kink():
    """Softmax with log(p + 1e-7): the epsilon puts some entries just outside of the tolerance."""
    rng, kinks, off = np.random.default_rng(0), 0, 0
    for _ in range(20):
        x, t = distinct_values((5, 3), rng, 2.5), rng.integers(3, size=5)
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

        def loss(x=x, t=t):
            e = np.exp(x)
            return -np.log(e[np.arange(5), t] / e.sum(axis=1) + 1e-7).mean()

        result = check(loss, {"x": x}, {"x": (p - np.eye(3)[t]) / 5})["x"]
        kinks, off = kinks + result.kinks.sum(), off + result.wrong.sum() + result.curved.sum()
    assert kinks == 0 and off > 50


@pytest.mark.parametrize(
    ("f", "grad", "word"),
    [
        (lambda x: np.maximum(x, 0), 1.0, KINK),  # straddled: 4e-6 to the right of 0
        (lambda x: np.maximum(x, 0), 0.5, WRONG),
        (lambda x: np.maximum(x - 4e-6, 0), 0.3, KINK),  # exactly on it
        (lambda x: np.maximum(x - 4e-6, 0), 1.3, CORNER),
        (lambda x: np.exp(3000 * x), 3000 * np.exp(0.012), RIGHT),  # curved
        (lambda x: np.exp(3000 * x), 3001 * np.exp(0.012), WRONG),
        (lambda x: x**2, 3.0, WRONG),
    ],
)
def test_settled_answers_with_one_of_four_words(f, grad, word):
    x = np.array([4e-6])
    noise = rounding(lambda: f(x), x, 1.0) / 1e-5
    assert settled(slopes(lambda: f(x), x, 0, 1.0), grad, noise) == word
