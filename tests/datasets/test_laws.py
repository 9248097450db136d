"""Laws of batches, targets and weight files, on sizes and numbers that nobody chose."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datasets import load_weights, minibatches, one_hot, save_weights

counts = st.integers(1, 40)


@given(N=counts, size=counts, seed=st.integers(0, 2**32 - 1))
def test_an_epoch_holds_every_sample_once_beside_its_own_target(N, size, seed):
    X = np.arange(N, dtype=np.float32)[:, None]
    batches = list(minibatches(X, -X, size, np.random.default_rng(seed)))
    assert [len(x) for x, _ in batches[:-1]] == [size] * (len(batches) - 1)
    assert sorted(np.concatenate([x for x, _ in batches]).ravel()) == list(range(N))
    assert all((y == -x).all() for x, y in batches)


@given(N=counts, size=counts, seed=st.integers(0, 2**32 - 1), start=st.integers(0, 5))
def test_an_interrupted_epoch_goes_on_where_it_stopped(N, size, seed, start):
    X = np.arange(N, dtype=np.float32)[:, None]
    whole = list(minibatches(X, X, size, np.random.default_rng(seed)))
    rest = list(minibatches(X, X, size, np.random.default_rng(seed), start=start))
    assert len(rest) == max(0, len(whole) - start)
    assert all((a == b).all() for (a, _), (b, _) in zip(whole[start:], rest, strict=True))


@given(labels=st.lists(st.integers(0, 9), max_size=30))
def test_the_single_1_stands_at_the_label(labels):
    Y = one_hot(np.array(labels, int), 10)
    assert Y.shape == (len(labels), 10) and (Y.sum(axis=1) == 1).all()
    assert Y.argmax(axis=1).tolist() == labels


@given(
    weights=st.dictionaries(
        st.from_regex(r"layer_[0-9]{1,2}/[A-Za-z]{1,8}", fullmatch=True),
        arrays.arrays(np.float32, arrays.array_shapes(max_dims=4, max_side=4),
                      elements=st.floats(-(2.0**90), 2.0**90, width=32)),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_weights_come_back_from_a_file_bit_for_bit(weights):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.h5"
        save_weights(path, weights)
        back = load_weights(path)
    assert back.keys() == weights.keys()
    assert all(back[name].tobytes() == a.tobytes() for name, a in weights.items())
