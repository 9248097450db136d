"""The law of the checker: a right gradient is right, and of a wrong one the wrong entry is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.core import check

SMOOTH = {  # a function and its derivative
    "square": (np.square, lambda x: 2 * x),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sine": (np.sin, np.cos),
    "kinked": (abs, np.sign),
}
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


@pytest.mark.parametrize("name", SMOOTH)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), size=st.floats(0.01, 30))
def test_a_right_gradient_is_right_wherever_it_is_asked(name, shape, seed, size):
    function, derivative = SMOOTH[name]
    rng = np.random.default_rng(seed)
    x, dy = np.array(size * rng.normal(size=shape)), rng.normal(size=shape)
    found = check(lambda: function(x), {"x": x}, {"x": np.asarray(dy * derivative(x))}, dy)["x"]
    assert not found.wrong.any()


@given(shape=shapes, seed=st.integers(0, 2**32 - 1), off=st.sampled_from([-2, -1, -1e-4, 1e-4, 1]))
def test_of_one_wrong_entry_exactly_that_one_is_told(shape, seed, off):
    rng = np.random.default_rng(seed)
    x, dy = np.array(rng.uniform(0.5, 2, shape)), rng.uniform(0.5, 2, shape)
    grad = np.asarray(dy * 2 * x)
    wrong = np.zeros(shape, bool)
    wrong[tuple(rng.integers(k) for k in shape)] = True
    grad = np.where(wrong, (1 + off) * grad, grad)
    found = check(lambda: np.square(x), {"x": x}, {"x": grad}, dy)["x"]
    assert (found.wrong == wrong).all()
