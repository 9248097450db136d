"""The few fast ideas of the package, as pure functions of arrays.

Images are (N, C, H, W) for everybody outside. In memory they are channel-major, (C, N, H, W):
one channel of all images is one contiguous row, so that a convolution is one long matrix product
and batch normalisation sums along rows. `channels_first` and `images` are the two views.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

CACHE = 4 * 2**20  # bytes of columns at a time: they are read again while still in the cache


def channels_first(X: Array) -> Array:
    """(N, C, H, W) -> (C, N, H*W): no copy when the memory is channel-major already."""
    N, C, H, W = X.shape
    return X.transpose(1, 0, 2, 3).reshape(C, N, H * W)


def images(rows: Array, shape: tuple[int, ...]) -> Array:
    """(C, N, H*W) -> the shape (N, C, H, W), a view: the inverse of `channels_first`."""
    N, C, H, W = shape
    return rows.reshape(C, N, H, W).transpose(1, 0, 2, 3)


def empty_images(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Uninitialised images (N, C, H, W) in channel-major memory."""
    N, C, H, W = shape
    return np.empty((C, N, H, W), dtype).transpose(1, 0, 2, 3)


def channel_sums(A: Array) -> Array:
    """A (C, N, H*W) -> (C, 1, 1). A matrix product with ones is three times as fast as `sum`.

    Image by image, then over the images: one long float32 sum would lose digits.
    """
    ones = np.ones(A.shape[2], A.dtype)
    return (A @ ones).sum(axis=1)[:, None, None]


def channel_dots(A: Array, B: Array) -> Array:
    """The sum of A * B over each channel, (C, N, H*W) -> (C, 1, 1), without the array A * B."""
    return np.vecdot(A, B).sum(axis=1)[:, None, None]


def relu(X: Array) -> Array:
    """max(X, 0)."""
    return np.maximum(X, X.dtype.type(0))


# --- windows ---------------------------------------------------------------------------
def taps(X: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> list[Array]:
    """KH*KW strided views of X: view (i, j) holds pixel (i, j) of every window, (..., OH, OW).

    A loop over the few pixels of a window instead of over the many windows.
    """
    (KH, KW), (SH, SW) = kernel, stride
    H, W = X.shape[-2] - KH, X.shape[-1] - KW  # the last window starts there at the latest
    return [X[..., i : i + H + 1 : SH, j : j + W + 1 : SW] for i in range(KH) for j in range(KW)]


def first_winners(windows: list[Array], Y: Array) -> list[npt.NDArray[np.bool_]]:
    """For every tap, where it holds the maximum Y: the first of equals, one winner a window."""
    free = np.ones(Y.shape, bool)  # windows that have no winner yet
    winners = []
    for window in windows:
        winner = (window == Y) & free
        free ^= winner
        winners.append(winner)
    return winners


# --- convolution -----------------------------------------------------------------------
class Grid(NamedTuple):
    """The geometry of one convolution: kernel, stride, padding and the size of the images.

    With stride 1 the padded images are laid out flat, one after the other, and EVERY pixel of
    the padded grid gets a window. Tap (i, j) of all windows is then the same flat array, shifted
    by i*WP + j: one contiguous slice instead of many short rows. Kernel 2x2, one 2x3 image, padded
    to 3x4 (pixels a..f, padding 0):

            a b c 0        flat       a b c 0 d e f 0 0 0 0 0 |         tail of zeros
            d e f 0        tap (0,1)    b c 0 d e f 0 0 0 0 0 | 0       shifted by 1
            0 0 0 0        tap (1,0)            d e f 0 0 0 0 | 0 0 0 0 shifted by WP = 4
                           tap (1,1)              e f 0 0 0 0 | 0 0 0 0 0

    The windows that start in the last KW-1 columns or KH-1 rows wrap around into the next row or
    image; their outputs are junk that is never read. With a larger stride, or when most windows
    would be junk, the taps are gathered as strided views and there is no junk (`flat` is False).
    """

    KH: int
    KW: int
    SH: int
    SW: int
    top: int
    left: int
    HP: int  # height and width of the padded images
    WP: int
    H: int
    W: int

    @property
    def OH(self) -> int:
        return (self.HP - self.KH) // self.SH + 1

    @property
    def OW(self) -> int:
        return (self.WP - self.KW) // self.SW + 1

    @property
    def flat(self) -> bool:
        return self.SH == self.SW == 1 and 2 * self.OH * self.OW > self.HP * self.WP

    @property
    def windows(self) -> tuple[int, int]:
        """Rows and columns of windows per image, junk included."""
        return (self.HP, self.WP) if self.flat else (self.OH, self.OW)

    @property
    def tail(self) -> int:
        """How far the last tap reaches over the end of the flat grid."""
        return (self.KH - 1) * self.WP + self.KW - 1


def blocks(X: Array, grid: Grid) -> Iterator[slice]:
    """Slices of images whose columns fit the cache together."""
    rows, cols = grid.windows
    each = X.shape[1] * grid.KH * grid.KW * rows * cols * X.itemsize
    step = max(1, CACHE // each)
    return (slice(n, min(n + step, len(X))) for n in range(0, len(X), step))


def tap_views(padded: Array, N: int, grid: Grid) -> list[Array]:
    """The KH*KW views of the padded images (C, N*HP*WP + tail) that are the rows of the columns."""
    C, L = len(padded), N * grid.HP * grid.WP
    if grid.flat:
        return [
            padded[:, shift : shift + L]
            for i in range(grid.KH)
            for shift in range(i * grid.WP, i * grid.WP + grid.KW)
        ]
    padded = padded[:, :L].reshape(C, N, grid.HP, grid.WP)
    return taps(padded, (grid.KH, grid.KW), (grid.SH, grid.SW))


def inner(padded: Array, N: int, grid: Grid) -> Array:
    """The view (N, C, H, W) of the images inside their padding."""
    full = padded[:, : N * grid.HP * grid.WP].reshape(-1, N, grid.HP, grid.WP)
    rows, cols = slice(grid.top, grid.top + grid.H), slice(grid.left, grid.left + grid.W)
    return full[:, :, rows, cols].transpose(1, 0, 2, 3)


def unfold(X: Array, grid: Grid) -> Array:
    """Columns (C*KH*KW + 1, windows): one column per window, with a 1 at its foot for the bias."""
    N, C = X.shape[:2]
    padded = np.zeros((C, N * grid.HP * grid.WP + grid.tail), X.dtype)
    inner(padded, N, grid)[...] = X
    views = tap_views(padded, N, grid)
    columns = np.empty((C * len(views) + 1, views[0][0].size), X.dtype)
    columns[-1] = 1
    pixels = columns[:-1].reshape(C, len(views), *views[0].shape[1:])
    for t, view in enumerate(views):
        pixels[:, t] = view
    return columns


def fold(columns: Array, N: int, grid: Grid) -> Array:
    """The transpose of `unfold`: every entry of the columns is added to the pixel it came from.

    columns (C*KH*KW, windows) -> (N, C, H, W)
    """
    C = len(columns) // (grid.KH * grid.KW)
    padded = np.zeros((C, N * grid.HP * grid.WP + grid.tail), columns.dtype)
    views = tap_views(padded, N, grid)
    pixels = columns.reshape(C, len(views), *views[0].shape[1:])
    for t, view in enumerate(views):
        view += pixels[:, t]
    return inner(padded, N, grid)


def spread(dY: Array, grid: Grid) -> Array:
    """(N, F, OH, OW) -> (F, windows): each gradient at its window, 0 at the junk windows."""
    N, F = dY.shape[:2]
    rows = np.zeros((F, N, *grid.windows), dY.dtype)
    rows[:, :, : grid.OH, : grid.OW] = dY.transpose(1, 0, 2, 3)
    return rows.reshape(F, -1)
