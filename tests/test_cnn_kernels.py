"""The kernels on their own: each against plain loops."""

import numpy as np
import pytest

from cnn import kernels
from cnn.kernels import Grid


def random_case(seed):
    """A grid and the shape (N, C, H, W) of its images."""
    rng = np.random.default_rng(seed)
    N, C, H, W, KH, KW, SH, SW = (int(n) for n in rng.integers(1, [4, 4, 6, 6, 4, 4, 4, 4]))
    top, bottom, left, right = (int(n) for n in rng.integers(0, 3, 4))
    if seed % 2:
        SH = SW = 1
    HP, WP = max(KH, top + H + bottom), max(KW, left + W + right)
    return Grid(KH, KW, SH, SW, top, left, HP, WP, H, W), (N, C, H, W)


def real(columns, N, grid):
    """Without the junk: (rows, N, OH, OW)."""
    return columns.reshape(-1, N, *grid.windows)[:, :, : grid.OH, : grid.OW]


@pytest.mark.parametrize("seed", range(40))
def test_unfold_copies_each_window_into_a_column(seed):
    grid, (N, C, H, W) = random_case(seed)
    X = np.random.default_rng(seed).standard_normal((N, C, H, W))
    padded = np.zeros((N, C, grid.HP, grid.WP))
    padded[:, :, grid.top : grid.top + H, grid.left : grid.left + W] = X
    columns = real(kernels.unfold(X, grid), N, grid)
    assert columns.shape == (C * grid.KH * grid.KW + 1, N, grid.OH, grid.OW)
    for n, y, x in np.ndindex(columns.shape[1:]):
        i, j = y * grid.SH, x * grid.SW
        window = padded[n, :, i : i + grid.KH, j : j + grid.KW]
        np.testing.assert_array_equal(columns[:, n, y, x], [*window.ravel(), 1])


@pytest.mark.parametrize("seed", range(40))
def test_fold_is_the_transpose_of_unfold(seed):
    """<unfold(X), columns> = <X, fold(columns)> for all X and columns."""
    grid, (N, C, H, W) = random_case(seed)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, C, H, W))
    unfolded = kernels.unfold(X, grid)[:-1]
    columns = rng.standard_normal(unfolded.shape)
    folded = kernels.fold(columns, N, grid)
    assert folded.shape == X.shape
    assert np.vdot(unfolded, columns) == pytest.approx(np.vdot(X, folded), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_spread_puts_zeros_at_the_junk_windows(seed):
    grid, (N, C, _, _) = random_case(seed)
    dY = np.random.default_rng(seed).standard_normal((N, C, grid.OH, grid.OW))
    rows = kernels.spread(dY, grid)
    np.testing.assert_array_equal(real(rows, N, grid).transpose(1, 0, 2, 3), dY)
    assert np.count_nonzero(rows) == dY.size


def test_flat_is_chosen_where_most_windows_are_real():
    def grid(kernel, stride, size):
        return Grid(kernel, kernel, stride, stride, 0, 0, size, size, size, size)

    assert grid(3, 1, 28).flat
    assert not grid(3, 2, 28).flat
    assert not grid(7, 1, 8).flat  # 4 windows of 64 would be real


@pytest.mark.parametrize("size", [1, 5000, 10**6])
def test_blocks_cover_all_images_once(size):
    X = np.zeros((7, size, 4, 4), np.float32)
    blocks = list(kernels.blocks(X, Grid(3, 3, 1, 1, 1, 1, 6, 6, 4, 4)))
    assert [n for block in blocks for n in range(7)[block]] == list(range(7))
    assert len(blocks) == (1 if size == 1 else 7)


@pytest.mark.parametrize("seed", range(20))
def test_first_winners_is_argmax(seed):
    rng = np.random.default_rng(seed)
    windows = list(rng.integers(0, 3, (6, 4, 5)).astype(float))  # many ties
    winners = kernels.first_winners(windows, np.max(windows, axis=0))
    np.testing.assert_array_equal(np.argmax(winners, axis=0), np.argmax(windows, axis=0))
    np.testing.assert_array_equal(np.sum(winners, axis=0), 1)


def test_taps_are_views():
    X = np.arange(30.0).reshape(5, 6)
    taps = kernels.taps(X, (2, 3), (2, 3))
    assert all(np.shares_memory(tap, X) for tap in taps)
    np.testing.assert_array_equal(taps[0], [[0, 3], [12, 15]])
    np.testing.assert_array_equal(taps[-1], [[8, 11], [20, 23]])


def test_channels_first_and_images_are_inverse_views():
    X = np.arange(120.0).reshape(3, 2, 4, 5).transpose(1, 0, 2, 3)
    A = kernels.channels_first(X)
    assert np.shares_memory(A, X) and A.shape == (3, 2, 20)
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
