"""The kernels on their own: each against plain loops."""

import numpy as np
import pytest

from cnn import kernels


def random_case(seed):
    """Images P (N, C, HP, WP), a kernel and a stride that fit them."""
    rng = np.random.default_rng(seed)
    N, C, KH, KW, SH, SW = (int(n) for n in rng.integers(1, [4, 4, 4, 4, 4, 4]))
    P = rng.standard_normal((N, C, KH + rng.integers(6), KW + rng.integers(6)))
    return P, (KH, KW), (SH, SW)


CASES = [random_case(seed) for seed in range(40)]


def test_samples_last_is_a_view_where_it_can_be():
    X = kernels.empty_images((3, 2, 4, 5), np.float32)
    assert np.shares_memory(kernels.samples_last(X), X)
    X = np.arange(24.0).reshape(2, 3, 2, 2)
    last = kernels.samples_last(X)
    assert last.shape == (3, 2, 2, 2) and last.flags.c_contiguous
    assert all(last[c, h, w, n] == X[n, c, h, w] for n, c, h, w in np.ndindex(X.shape))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4, 5)])
def test_relu(shape):
    X = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(kernels.relu(X), np.where(X > 0, X, 0))
    assert kernels.relu(X).dtype == np.float32


def test_pad():
    X = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    P = kernels.pad(X, (1, 2), (0, 3))
    np.testing.assert_array_equal(P, np.pad(X, ((0, 0), (0, 0), (1, 2), (0, 3))))
    np.testing.assert_array_equal(kernels.crop(P, (1, 2), (0, 3)), X)


@pytest.mark.parametrize("cache", [1, 3000, 2**40])
def test_bands_cover_all_windows_once(cache, monkeypatch):
    monkeypatch.setattr(kernels, "CACHE", cache)
    for P, (KH, KW), (SH, SW) in CASES:
        y = 0
        for rows, seen in kernels.bands(P, (KH, KW), (SH, SW)):
            assert (rows.start, seen.start) == (y, y * SH)
            assert seen.stop == (rows.stop - 1) * SH + KH
            y = rows.stop
        assert y == (P.shape[2] - KH) // SH + 1


def test_unfold_copies_each_window_into_a_column():
    for P, (KH, KW), (SH, SW) in CASES:
        N, C, OH, OW = kernels.taps(P, (KH, KW), (SH, SW))[0].shape
        columns = kernels.unfold(P, (KH, KW), (SH, SW)).reshape(-1, OH, OW, N)
        assert len(columns) == C * KH * KW + 1
        for y, x, n in np.ndindex(OH, OW, N):
            window = P[n, :, y * SH : y * SH + KH, x * SW : x * SW + KW]
            assert np.array_equal(columns[:, y, x, n], [*window.ravel(), 1])


def test_fold_is_the_transpose_of_unfold():
    """<unfold(P), columns> = <P, fold(columns)> for all P and columns."""
    rng = np.random.default_rng(0)
    for P, kernel, stride in CASES:
        unfolded = kernels.unfold(P, kernel, stride)[:-1]
        columns, folded = rng.standard_normal(unfolded.shape), np.zeros_like(P)
        kernels.fold(columns, folded, kernel, stride)
        assert np.vdot(unfolded, columns) == pytest.approx(np.vdot(P, folded), rel=1e-10, abs=1e-10)


def test_pixels_are_in_the_order_of_the_columns():
    Y = kernels.empty_images((2, 3, 4, 5), np.float64)
    Y[...] = np.arange(120).reshape(Y.shape)
    rows = kernels.pixels(Y, slice(1, 3))
    assert np.shares_memory(rows, Y)
    wanted = [[Y[n, f, y, x] for y in (1, 2) for x in range(5) for n in (0, 1)] for f in range(3)]
    np.testing.assert_array_equal(rows, wanted)


def test_first_winners_is_argmax():
    windows = list(np.random.default_rng(0).integers(0, 3, (6, 40, 50)).astype(float))  # many ties
    winners = kernels.first_winners(windows, np.max(windows, axis=0))
    np.testing.assert_array_equal(np.argmax(winners, axis=0), np.argmax(windows, axis=0))
    np.testing.assert_array_equal(np.sum(winners, axis=0), 1)


@pytest.mark.parametrize("apart", [True, False])
def test_gather_is_the_transpose_of_taps(apart):
    """<taps(X), parts> = <X, gather(parts)> for all X and parts; windows apart or overlapping."""
    rng = np.random.default_rng(0)
    for X, kernel, stride in CASES:
        step = kernel if apart else stride
        taps = kernels.taps(X, kernel, step)
        parts = rng.standard_normal((len(taps), *taps[0].shape))
        gathered = kernels.gather(parts, np.empty_like(X), kernel, step)
        assert np.vdot(taps, parts) == pytest.approx(np.vdot(X, gathered), rel=1e-10, abs=1e-10)


def test_taps_are_views():
    X = np.arange(30.0).reshape(1, 1, 5, 6)
    taps = kernels.taps(X, (2, 3), (2, 3))
    assert all(np.shares_memory(tap, X) for tap in taps)
    np.testing.assert_array_equal(taps[0][0, 0], [[0, 3], [12, 15]])
    np.testing.assert_array_equal(taps[-1][0, 0], [[8, 11], [20, 23]])


def test_channels_and_images_are_inverse_views():
    X = kernels.empty_images((3, 2, 4, 5), np.float64)
    X[...] = np.arange(120).reshape(X.shape)
    A = kernels.channels(X)
    assert np.shares_memory(A, X) and A.shape == (2, 4, 15)
    np.testing.assert_array_equal(kernels.images(A, X.shape), X)


def test_channel_sums_and_dots():
    A, B = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    sums, dots = kernels.channel_sums(A), kernels.channel_dots(A, B)
    assert sums.shape == dots.shape == (3, 1, 1)
    for c in range(3):
        assert sums[c] == pytest.approx(sum(A[c, n, i] for n, i in np.ndindex(4, 5)))
        assert dots[c] == pytest.approx(sum(A[c, n, i] * B[c, n, i] for n, i in np.ndindex(4, 5)))


def test_long_float32_sums_keep_their_digits():
    A = np.full((1, 1000, 400), np.float32(0.1))
    exact = float(np.float32(0.1)) * A.size
    assert kernels.channel_sums(A) == pytest.approx(exact, rel=2e-6)
    assert kernels.channel_dots(A, A) == pytest.approx(exact * float(np.float32(0.1)), rel=2e-6)
