"""The few fast ideas of the package, as pure functions of arrays.

Images are (N, C, H, W) for everybody. In MEMORY the samples come last, (C, H, W, N), as in
cuda-convnet (Krizhevsky, 2012). The same pixel of all samples lies side by side:

    memory    pixel (0,0): sample 0 1 2 .. N-1 | pixel (0,1): sample 0 1 2 .. N-1 | ...

so that whatever is done to one pixel of a window, NumPy does it to N neighbours in one go: a
shift, a stride or a maximum never breaks the long runs that make it fast. Only strides differ,
`X.transpose(1, 2, 3, 0)` shows the memory; images in any other order are right, too, but slower.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

__all__ = [
    "samples_last",
    "empty_images",
    "keep_memory",
    "relu",
    "taps",
    "windows",
    "first_winners",
    "gather",
    "pad",
    "crop",
    "bands",
    "unfold",
    "fold",
    "pixels",
    "channels",
    "images",
    "channel_sums",
    "channel_dots",
]

Array = npt.NDArray[np.floating]
Pair = tuple[int, int]

CACHE = 2**20  # bytes of columns at a time, so that the cache still holds them; by scaling.py


def samples_last(X: Array) -> Array:
    """(N, C, H, W) -> (C, H, W, N), contiguous: a view when the memory is so already."""
    return np.ascontiguousarray(X.transpose(1, 2, 3, 0))


def empty_images(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Images (N, C, H, W), not filled, with the samples last in memory."""
    N, C, H, W = shape
    return np.empty((C, H, W, N), dtype).transpose(3, 0, 1, 2)


def keep_memory() -> None:
    """Have the C library keep what a step frees for the next step.

    glibc hands large freed blocks back to the system, and each page that it asks for again
    costs a page fault: measured, half of the time at batch 256. Once it has seen one block of
    nearly 32 MB come and go, it keeps up to 64 MB (its "dynamic mmap threshold", see
    mallopt(3)). The block is never written to, so it costs nothing; elsewhere it has no effect.
    """
    np.empty(2**25 - 2**16, np.uint8)


def relu(X: Array) -> Array:
    """max(X, 0); against a zero per sample, which NumPy does faster than against one for all."""
    zeros = np.zeros((len(X), *[1] * (X.ndim - 1)), X.dtype)
    return np.maximum(X, zeros)


# --- windows ------------------------------------------------------------------


def taps(X: Array, kernel: Pair, stride: Pair) -> list[Array]:
    """KH*KW views of X (N, C, H, W): view (i, j) holds pixel (i, j) of every window.

    A loop over the few pixels of a window instead of over the many windows. Kernel 2x2,
    stride 2:    a b c d        tap (0,0): a c     tap (0,1): b d
                 e f g h        tap (1,0): e g     tap (1,1): f h
    """
    (KH, KW), (SH, SW) = kernel, stride
    H, W = X.shape[2] - KH + 1, X.shape[3] - KW + 1  # where windows may start
    return [X[:, :, i : i + H : SH, j : j + W : SW] for i in range(KH) for j in range(KW)]


def windows(X: Array, kernel: Pair, stride: Pair) -> Pair:
    """OH, OW: how many windows fit into X (N, C, H, W), in rows and in columns."""
    (KH, KW), (SH, SW) = kernel, stride
    return (X.shape[2] - KH) // SH + 1, (X.shape[3] - KW) // SW + 1


def first_winners(pixels: list[Array], Y: Array) -> list[npt.NDArray[np.bool_]]:
    """For every tap, where it holds the maximum Y: the first of equals, one winner a window."""
    free = np.ones_like(Y, bool)  # windows that have no winner yet
    winners = []
    for pixel in pixels[:-1]:
        winner = (pixel == Y) & free
        free ^= winner
        winners.append(winner)
    return [*winners, free]  # the last pixel wins where no other did


def gather(parts: Iterable[Array], X: Array, kernel: Pair, stride: Pair) -> Array:
    """The transpose of taps: fill X (N, C, H, W), a part for each tap added to its pixels."""
    (KH, KW), (H, W) = kernel, X.shape[2:]
    tiled = kernel == stride and H % KH == W % KW == 0
    if not tiled:
        X[...] = 0
    for tap, part in zip(taps(X, kernel, stride), parts, strict=False):
        if tiled:  # every pixel lies in exactly one window: nothing to add to
            tap[...] = part
        else:
            tap += part
    return X


# --- convolution --------------------------------------------------------------


def pad(X: Array, rows: Pair, columns: Pair) -> Array:
    """X (N, C, H, W) with zeros around: (top, bottom) rows and (left, right) columns."""
    N, C, H, W = X.shape
    (top, bottom), (left, right) = rows, columns
    P = np.zeros((C, top + H + bottom, left + W + right, N), X.dtype)
    P[:, top : top + H, left : left + W] = X.transpose(1, 2, 3, 0)
    return P.transpose(3, 0, 1, 2)


def crop(P: Array, rows: Pair, columns: Pair) -> Array:
    """The inverse of pad: the view of P without what is around."""
    (top, bottom), (left, right) = rows, columns
    return P[:, :, top : P.shape[2] - bottom, left : P.shape[3] - right]


def bands(P: Array, kernel: Pair, stride: Pair) -> Iterator[tuple[slice, slice]]:
    """Rows of windows whose columns fit the cache together, and the rows of P that they see."""
    OH, OW = windows(P, kernel, stride)
    one_row = P.shape[1] * math.prod(kernel) * OW * len(P) * P.itemsize  # bytes of columns
    step = max(1, CACHE // one_row)
    for y in range(0, OH, step):
        end = min(y + step, OH)
        yield slice(y, end), slice(y * stride[0], (end - 1) * stride[0] + kernel[0])


def unfold(P: Array, kernel: Pair, stride: Pair) -> Array:
    """Columns (C*KH*KW + 1, OH*OW*N): one per window, with a 1 at its foot for the bias.

    Made tap by tap: one row of the columns is one tap of one channel.
    """
    views = taps(P, kernel, stride)
    N, C, OH, OW = views[0].shape
    columns = np.empty((C * len(views) + 1, OH * OW * N), P.dtype)
    columns[-1] = 1
    rows = columns[:-1].reshape(C, len(views), OH, OW, N)
    for t, view in enumerate(views):
        rows[:, t] = view.transpose(1, 2, 3, 0)
    return columns


def fold(columns: Array, P: Array, kernel: Pair, stride: Pair) -> None:
    """The transpose of unfold: add every entry of the columns to the pixel of P it came from."""
    views = taps(P, kernel, stride)
    N, C, OH, OW = views[0].shape
    rows = columns.reshape(C, len(views), OH, OW, N)
    for t, view in enumerate(views):
        view += rows[:, t].transpose(3, 0, 1, 2)


def pixels(Y: Array, rows: slice) -> Array:
    """Some rows of images (N, F, OH, OW) as the matrix (F, rows*OW*N) that columns give."""
    return Y[:, :, rows].transpose(1, 2, 3, 0).reshape(Y.shape[1], -1)


# --- sums over a channel ------------------------------------------------------


def channels(X: Array) -> Array:
    """(N, C, H, W) -> (C, H, W*N): everything of a channel, row by row of the images."""
    N, C, H, W = X.shape
    return samples_last(X).reshape(C, H, W * N)


def images(A: Array, shape: tuple[int, ...]) -> Array:
    """(C, H, W*N) -> the shape (N, C, H, W), a view: the inverse of channels."""
    N, C, H, W = shape
    return A.reshape(C, H, W, N).transpose(3, 0, 1, 2)


def channel_sums(A: Array) -> Array:
    """(C, H, W*N) -> (C, 1, 1). A matrix product with ones is three times as fast as `sum`.

    Row by row, then over the rows: one long float32 sum would lose digits.
    """
    ones = np.ones(A.shape[2], A.dtype)
    return (A @ ones).sum(axis=1)[:, None, None]


def channel_dots(A: Array, B: Array) -> Array:
    """The sum of A * B over each channel, (C, H, W*N) -> (C, 1, 1), without the array A * B."""
    return np.vecdot(A, B).sum(axis=1)[:, None, None]
