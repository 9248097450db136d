"""How well digits that are not MNIST's are read: printed in fonts, and drawn with strokes.

Each is rendered at a random size, place, angle (up to 10 degrees) and polarity, half of them
on paper under a lamp and with noise. datasets.read.digit.as_mnist brings them into MNIST's form,
and networks classify them that have seen nothing but MNIST.

    python benchmarks/digits.py [--write]
"""

import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import functional_net
from benchmarks.timing import ROOT, Write, table
from benchmarks.workloads import modular, workload
from datasets import load_images, minibatches
from datasets.read.digit import as_mnist
from datasets.run import console

Array = npt.NDArray[np.floating]
Labels = npt.NDArray[np.intp]
Picture = Image.Image
Drawer = Callable[[int, int, np.random.Generator], Picture]  # digit, height -> light on black

PENS = (0.01, 0.03, 0.06, 0.1, 0.16)  # width of the stroke, in heights of the digit
DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


# --- drawing -----------------------------------------------------------------------


def printed(font: ImageFont.FreeTypeFont, digit: int, size: int, rng: object) -> Picture:
    """A digit in a font."""
    sheet = Image.new("L", (2 * size, 2 * size))
    large = font.font_variant(size=size)
    ImageDraw.Draw(sheet).text((size, size), str(digit), 255, large, anchor="mm")
    return sheet


def written(pen: float, digit: int, size: int, rng: np.random.Generator) -> Picture:
    """A digit as a hand draws it: no two alike."""
    sheet = Image.new("L", (4 * size, 4 * size))  # twice the size, for smooth lines
    draw, ways = ImageDraw.Draw(sheet), DATA["strokes"][str(digit)]
    width, slant = rng.uniform(0.5, 0.8), rng.uniform(-0.15, 0.25)
    pen = max(2.0, pen * 2 * size)
    for stroke in ways[rng.integers(len(ways))]:
        points = np.array(stroke) - 0.5 + rng.normal(0, 0.025, (len(stroke), 2))
        x = points[:, 0] * width - points[:, 1] * slant
        way = smooth(np.column_stack([x, points[:, 1]])) * 2 * size + 2 * size
        draw.line(way.ravel().tolist(), 255, round(pen))
        for x, y in way:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), 255)
    return sheet.reduce(2)


def smooth(points: Array) -> Array:
    """Chaikin's corner cutting (1974): each side keeps its middle half."""
    for _ in range(3):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut[1:-1], points[-1:]])
    return points


def enlarged(X: Array, labels: Labels, digit: int, size: int, rng: np.random.Generator) -> Picture:
    """A digit of MNIST itself: shows what the way through as_mnist costs."""
    pixels = np.rint(X[rng.choice(np.flatnonzero(labels == digit)), 0] * 255)
    side = size * 28 // 20
    sheet = Image.new("L", (2 * size, 2 * size))
    picture = Image.fromarray(pixels.astype(np.uint8)).resize((side, side))
    sheet.paste(picture, ((2 * size - side) // 2, (2 * size - side) // 2))
    return sheet


def pictures(draw: Drawer, n: int, rng: np.random.Generator) -> Iterator[tuple[Picture, int]]:
    """n pictures of each digit, and which digit it is."""
    for i in range(n):
        for digit in range(10):
            size = int(np.exp(rng.uniform(np.log(30), np.log(400))))
            ink = draw(digit, size, rng).rotate(rng.uniform(-10, 10), Image.Resampling.BICUBIC)
            frame = Image.new("L", (3 * size, 3 * size))
            left, top = (int(at) for at in rng.integers(0, size, 2))
            frame.paste(ink, (left, top))
            yield on_paper(frame, rng, lamp=i % 2 == 1), digit


def on_paper(ink: Picture, rng: np.random.Generator, lamp: bool) -> Picture:
    """Dark on light or light on dark; under a lamp with a gradient of light, paler, with noise."""
    amount = np.asarray(ink, np.float32) / 255
    paper, pen = (0.95, 0.1) if rng.random() < 0.5 else (0.05, 0.95)
    ground = np.full_like(amount, paper)
    if lamp:
        y, x = np.indices(amount.shape) / len(amount) - 0.5
        ground = paper * (1 + rng.uniform(-0.3, 0.3) * x + rng.uniform(-0.3, 0.3) * y)
        pen += (paper - pen) * 0.3
        ground = ground + rng.normal(0, 0.03, amount.shape)
    return Image.fromarray(((ground + (pen - ground) * amount) * 255).clip(0, 255).astype(np.uint8))


# --- measuring ---------------------------------------------------------------------


def kinds(X: Array, labels: Labels) -> tuple[dict[str, dict[str, Drawer]], list[str]]:
    """Everything that can be drawn here, by group and name, and the fonts that are missing."""
    default: Any = ImageFont.load_default(20)
    groups: dict[str, dict[str, Drawer]] = {
        "MNIST's test set": {"MNIST, enlarged": partial(enlarged, X, labels)},
        "printed": {"Aileron (in Pillow)": partial(printed, default)},
        "handwriting fonts": {},
        "strokes": {f"strokes, pen {pen:.0%} of the height": partial(written, pen) for pen in PENS},
    }
    missing = []
    for group, names in DATA["fonts"].items():
        for name in names:
            try:
                groups[group][Path(name).stem] = partial(printed, ImageFont.truetype(name, 20))
            except OSError:
                missing.append(name)
    return groups, missing


def networks(X: Array, y: Array, seed: int) -> list[Callable[[Array], Array]]:
    """functional_net with its defaults, and the layers of W4 after two epochs: images -> scores."""
    rng = np.random.default_rng(seed)
    params = functional_net.init(784, 100, 10, rng)
    params = functional_net.train(params, X.reshape(-1, 784), y, 0.1, 0.1, 5, 20, rng)
    rng = np.random.default_rng(seed)
    net = modular(workload("W4"), rng)
    for lr in (0.1, 0.01):
        for images, targets in minibatches(X, y, 100, rng):
            net.step(images, targets, lr, 0.9)
    return [lambda X: functional_net.predict(params, X.reshape(-1, 784)), net.forward]


def rendered(draw: Drawer, n: int, seed: int) -> tuple[Array, Labels]:
    """10 n digits as MNIST would show them (black where no ink was found), and what they are."""
    found, truth = [], []
    for picture, digit in pictures(draw, n, np.random.default_rng(seed)):
        try:
            found.append(as_mnist(picture))
        except ValueError:
            found.append(np.zeros((28, 28), np.float32))
        truth.append(digit)
    return np.stack(found)[:, None], np.array(truth)


def rows(
    groups: dict[str, dict[str, Drawer]], accuracies: Callable[..., Array], n: int, seed: int
) -> Iterator[tuple[str, int, Array]]:
    """Name, pictures and accuracies of every kind, and of each group together."""
    for group, drawers in groups.items():
        parts = []
        for name, draw in drawers.items():
            parts.append(accuracies(*rendered(draw, n, seed)))
            yield name, 10 * n, parts[-1]
        if len(parts) > 1:
            yield f"**{group}, together**", 10 * n * len(parts), np.mean(parts, axis=0)


def main(
    n: Annotated[int, typer.Option(min=1, help="Pictures of each digit and kind.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same figures.")] = 0,
    write: Write = False,
) -> None:
    """Tell how well networks trained on MNIST alone read other digits, through as_mnist."""
    X, y, X_test, y_test = load_images()
    truth, trained = y_test.argmax(axis=1), networks(X, y, seed)

    def accuracies(images: Array, labels: Labels) -> Array:
        return np.array([(net(images).argmax(axis=1) == labels).mean() for net in trained])

    groups, missing = kinds(X_test, truth)
    mnist = "MNIST, the test set itself", len(truth), accuracies(X_test, truth)
    lines = []
    for name, count, right in chain([mnist], rows(groups, accuracies, n, seed)):
        lines.append([name, f"{count:,}", *(f"{part:.1%}" for part in right)])
        print("{:40}{:>8}{:>8}{:>8}".format(*lines[-1]), flush=True)
    text = table(["digits", "pictures", "functional_net", "cnn"], lines)
    text += f"\n\nMeasured by `python benchmarks/digits.py --n {n} --seed {seed}`."
    if missing:
        text += f"\nNot on this machine: {', '.join(missing)}."
    if write:
        (ROOT / "benchmarks" / "digits.md").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    console.run(main)
