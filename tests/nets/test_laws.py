"""Laws of the three networks, on sizes and numbers that nobody chose."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import cnn
import functional_net as f
import net

sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)
rates = st.floats(0, 10)


@given(N=sizes, D=sizes, H=sizes, seed=seeds)
def test_a_linear_layer_is_the_same_in_rows_and_in_columns(N, D, H, seed):
    """E1, E5, E6 and E7 of net.py are the transposes of those of cnn."""
    rng = np.random.default_rng(seed)
    X, W, b, dY = (rng.normal(size=shape) for shape in ((N, D), (D, H), (1, H), (N, H)))
    rows, columns = cnn.Linear(D, H, dtype=np.float64), net.FullyConnectedLayer(H)
    columns.build(D, rng, np.float64)
    rows.params["W"][...], rows.params["b"][...] = W, b
    columns.W[...], columns.b[...] = W.T, b.T
    np.testing.assert_allclose(columns.forward(X.T).T, rows(X), atol=1e-12)
    np.testing.assert_allclose(columns.backward(dY.T).T, rows.backward(dY), atol=1e-12)
    np.testing.assert_allclose(columns.dW.T, rows.grads["W"], atol=1e-12)
    np.testing.assert_allclose(columns.db.T, rows.grads["b"], atol=1e-12)


@given(
    N=sizes, D=sizes, H=sizes, K=sizes, seed=seeds, lr=st.floats(0, 10), momentum=st.floats(0, 1)
)
def test_a_step_moves_the_velocity_and_the_velocity_the_weights(N, D, H, K, seed, lr, momentum):
    rng = np.random.default_rng(seed)
    params = f.init(D, H, K, rng, np.float64)
    grads, velocity = [f.Params(*(rng.normal(size=W.shape) for W in params)) for _ in range(2)]
    moved, faster = f.update(params, velocity, grads, lr, momentum)
    for W, V, dW, W_new, V_new in zip(params, velocity, grads, moved, faster, strict=True):
        np.testing.assert_allclose(V_new, momentum * V - lr * dW, atol=1e-12)
        np.testing.assert_allclose(W_new - W, V_new, atol=1e-12)


@given(N=sizes, K=sizes, seed=seeds, shift=st.floats(-500, 500))
def test_probabilities_add_up_to_1_and_a_common_shift_changes_nothing(N, K, seed, shift):
    logits = np.random.default_rng(seed).normal(size=(N, K))
    P = f.softmax(logits)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(f.softmax(logits + shift), P, atol=1e-12)


@given(N=sizes, K=sizes, seed=seeds)
def test_no_score_can_rise_alone(N, K, seed):
    """The gradient of the cross-entropy adds up to 0 in each sample."""
    rng = np.random.default_rng(seed)
    y = np.eye(K)[rng.integers(K, size=N)]
    loss, dlogits = f.cross_entropy(rng.normal(size=(N, K)), y)
    assert loss >= 0
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-12)
