"""How well python -m cnn learns small folders of pictures with its defaults, beside a tuned run.

    python benchmarks/small_sets.py [--seeds 10] [--write]

The tuned run is the better of two learning rates with twice as many epochs, median of 3 seeds.
"""

import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import timing
from benchmarks.digits import printed, written
from datasets import load_images
from datasets.draw.shapes import draw_shapes
from datasets.read.folders import export_images
from datasets.run import console


def shapes(n: int, classes: int) -> tuple:
    """n coloured shapes of each class, 24 x 24."""
    images, labels, _ = draw_shapes(n, 24, np.random.default_rng(0))
    return images[labels < classes], labels[labels < classes]


def mnist(n: int) -> tuple:
    """The first n digits of each class."""
    X, y, _, _ = load_images(train_size=20 * 10 * n)
    labels = y.argmax(axis=1)
    rows = np.concatenate([np.flatnonzero(labels == k)[:n] for k in range(10)])
    return np.rint(X[rows] * 255).astype(np.uint8), labels[rows]


def digits(n: int, draw: Any) -> tuple:
    """n digits of each class as they are drawn, each turned by up to 15 degrees; 28 x 28."""
    rng, labels = np.random.default_rng(0), np.tile(np.arange(10), n)
    sheets = (draw(k, 40, rng).rotate(rng.uniform(-15, 15)).resize((28, 28)) for k in labels)
    return np.stack([np.asarray(sheet)[None] for sheet in sheets]), labels


def sets() -> dict[str, tuple]:
    """Images (N, C, H, W) and labels (N,) that this project draws or ships."""
    font: Any = ImageFont.load_default(20)
    return {
        "shapes, 2 classes of 15": shapes(15, 2),
        "shapes, 3 classes of 60": shapes(60, 3),
        "shapes, 6 classes of 50": shapes(50, 6),
        "MNIST, 10 classes of 20": mnist(20),
        "MNIST, 10 classes of 50": mnist(50),
        "printed digits, 10 classes of 10": digits(10, partial(printed, font)),
        "drawn digits, 10 classes of 30": digits(30, partial(written, 0.08)),
    }


def validation(folder: str, seed: int, *options: str) -> tuple[float, int]:
    """The validation accuracy in percent that the command says at its end, and how many epochs."""
    command = [sys.executable, "-m", "cnn", "--dataset", folder, "--seed", str(seed), *options]
    out = subprocess.check_output(command, cwd=timing.ROOT, text=True)
    accuracy, epochs = re.findall(r"^validation accuracy ([\d.]+)%.* after (\d+)", out, re.M)[-1]
    return float(accuracy), int(epochs)


def row(name: str, images: np.ndarray, labels: np.ndarray, seeds: int) -> list[str]:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        export_images(images, labels, folder, len(labels))
        runs = [validation(folder, seed) for seed in range(seeds)]
        default, more = [accuracy for accuracy, _ in runs], str(2 * runs[0][1])
        tuned = [
            median(validation(folder, seed, "--lr", lr, "--epochs", more)[0] for seed in range(3))
            for lr in ("0.01", "0.03")
        ]
    shares = [f"{share:.1f} %" for share in (median(default), min(default), max(tuned))]
    print(name, len(labels), *shares, flush=True)
    return [name, f"{len(labels)}", *shares]


def main(seeds: timing.Seeds = 10, write: timing.Write = False) -> None:
    """Median validation accuracy with the defaults, and of a tuned run."""
    head = ["set", "pictures", f"defaults, median of {seeds} seeds", "worst seed", "tuned"]
    table = timing.table(head, [row(name, X, y, seeds) for name, (X, y) in sets().items()])
    if write:
        title = f"# Small sets\n\n`python benchmarks/small_sets.py --seeds {seeds}`: accuracy on "
        text = f"{title}a tenth of the pictures, which were put aside.\n\n{table}\n"
        (timing.ROOT / "benchmarks" / "small_sets.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
