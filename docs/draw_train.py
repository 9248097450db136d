"""Train the weights of docs/draw.html: writes docs/draw.h5.

Drawn digits vary more than those of MNIST. So every epoch sees each training digit changed
anew: turned, slanted, stretched and moved a little, with a thicker or a thinner pen. And the
writers of MNIST made the 1 a plain stroke, where others give it a flag: some of those are drawn.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import functional_net as fn  # noqa: E402
from datasets import load_mnist, minibatches, one_hot, save_weights  # noqa: E402
from datasets.read.digit import as_mnist  # noqa: E402
from datasets.run import console  # noqa: E402
from docs.draw import WEIGHTS, rounded  # noqa: E402

Array = npt.NDArray[np.floating]


def varied(X: Array, rng: np.random.Generator) -> Array:
    """The digits X (N, 784), each under a small random affine map, its strokes a little changed."""
    images = np.empty((len(X), 28, 28), np.float32)
    for image, row, map_ in zip(images, X.reshape(-1, 28, 28), maps(len(X), rng), strict=True):
        picture = Image.fromarray(row)
        moved = picture.transform((28, 28), Image.Transform.AFFINE, map_, Image.Resampling.BILINEAR)
        image[:] = np.asarray(moved)
    return with_another_pen(images, rng).reshape(X.shape)


def maps(N: int, rng: np.random.Generator) -> Array:
    """(N, 6): for a pixel of the result (x, y) the place (ax + by + c, dx + ey + f) it shows."""
    turn, slant = rng.uniform(-0.25, 0.25, N), rng.uniform(-0.3, 0.3, N)  # radians; x per y
    wide, high = np.exp(rng.uniform(-0.15, 0.15, (2, N)))
    a, b = wide * np.cos(turn), wide * (slant - np.sin(turn))
    d, e = high * np.sin(turn), high * np.cos(turn)
    x, y = rng.uniform(-1.5, 1.5, (2, N))  # pixels; the middle, 14, goes to 14 + (x, y)
    return np.stack([a, b, 14 - 14 * (a + b) + x, d, e, 14 - 14 * (d + e) + y], axis=1)


def with_another_pen(images: Array, rng: np.random.Generator) -> Array:
    """Images (N, 28, 28), part of the way to the largest or smallest of each pixel's neighbours."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    near = [padded[:, i : i + 28, j : j + 28] for i, j in ((0, 1), (1, 0), (1, 2), (2, 1))]
    thick, thin = images.copy(), images.copy()
    for each in near:
        np.maximum(thick, each, out=thick)
        np.minimum(thin, each, out=thin)
    share = rng.uniform(-0.6, 1, (len(images), 1, 1)).astype(np.float32)
    return np.where(share > 0, images + share * (thick - images), images - share * (thin - images))


def flagged_ones(N: int, rng: np.random.Generator) -> Array:
    """Drawn 1s with a flag, some with a foot, as --predict prepares them, (N, 784)."""
    rows = []
    for _ in range(N):
        sheet = Image.new("L", (100, 120))
        width = int(rng.integers(6, 14))
        top, foot = (rng.uniform(45, 65), 15), (rng.uniform(45, 65), 105)
        flag = top[0] - rng.uniform(14, 36), top[1] + rng.uniform(14, 34)
        pen = ImageDraw.Draw(sheet)
        pen.line([flag, top, foot], 255, width, joint="curve")
        if rng.random() < 0.2:
            half = rng.uniform(15, 30)
            pen.line([(foot[0] - half, foot[1]), (foot[0] + half, foot[1])], 255, width)
        rows.append(as_mnist(sheet).reshape(-1))
    return np.stack(rows)


def main(
    epochs: Annotated[int, console.number("--epochs", 1, "Passes over the digits.")] = 50,
    hidden: Annotated[int, console.number("--hidden_neurons", 1, "Hidden neurons.")] = 100,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE.h5", help="Where the weights go.")
    ] = WEIGHTS,
) -> None:
    """Train on varied digits, with a learning rate that falls to 0, and write the weights."""
    X, y, X_test, y_test = load_mnist()
    rng = np.random.default_rng(0)
    ones = flagged_ones(1500, rng)
    X, y = np.concatenate([X, ones]), np.concatenate([y, one_hot(np.ones(len(ones), int), 10)])
    params = fn.init(X.shape[1], hidden, y.shape[1], rng)
    velocity = fn.zeros(params)
    for epoch in range(epochs):
        lr = 0.05 * (1 + np.cos(np.pi * epoch / epochs))
        for rows, targets in minibatches(varied(X, rng), y, 100, rng):
            Z1, A1, logits = fn.forward(params, rows)
            _, dlogits = fn.cross_entropy(logits, targets)
            grads = fn.backward(params, rows, Z1, A1, dlogits)
            params, velocity = fn.update(params, velocity, grads, float(lr), 0.9)
        right = fn.accuracy(params, X_test, y_test)
        console.say(f"epoch {epoch + 1} test accuracy {right:.2%}")
    save_weights(to, {name: rounded(W) for name, W in fn.to_weights(params).items()})
    console.say(f"weights are in {to}")


if __name__ == "__main__":
    console.run(main)
