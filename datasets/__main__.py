"""Image sets from the formats of the field, into folders of pictures; networks for other tools."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from datasets.read.mnist import MNIST, load_images
from datasets.run import console
from datasets.run.console import say
from datasets.store.files import printable
from datasets.store.weights import load_net

app = typer.Typer(**console.SETTINGS, help=__doc__)

To = Annotated[Path, typer.Option("--to", metavar="DIR", help="A new or empty folder.")]
PerClass = Annotated[int, console.number("--per_class", 1, "Pictures in each class folder.")]


@app.command()
def import_idx(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds the four IDX files, plain or .gz.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FILE.h5", help="The HDF5 file to write.")],
) -> None:
    """Write MNIST, or a set of the same form (Fashion-MNIST, KMNIST), as one HDF5 file."""
    from datasets.read.idx import import_idx

    for key, shape in import_idx(folder, to).items():
        say(f"{key:13}{shape}")
    say(f"written to {printable(to)}")


@app.command()
def export_images(
    to: To,
    per_class: PerClass = 50,
    data: Annotated[
        Path, console.option("--data", metavar="FILE.h5", help="The images.  [default: MNIST]")
    ] = MNIST,
) -> None:
    """Write training images as a folder of class folders, to try python -m cnn --dataset DIR."""
    from datasets.read.folders import export_images

    X, y, _, _ = load_images(data)
    pixels = np.rint(X * 255).astype(np.uint8)  # (N, C, H, W)
    count = export_images(pixels, y.argmax(axis=1), to, per_class)
    say(f"{count} pictures written to {printable(to)}")


@app.command()
def export_shapes(
    to: To,
    per_class: PerClass = 100,
    size: Annotated[int, console.number("--size", 12, "Height and width, in pixels.")] = 52,
    seed: Annotated[int, console.number("--seed", 0, "Same seed, same pictures.")] = 0,
) -> None:
    """Write a toy set in colour: drawn shapes, a class folder for each."""
    from datasets.draw.shapes import draw_shapes
    from datasets.read.folders import export_images

    images, labels, names = draw_shapes(per_class, size, np.random.default_rng(seed))
    count = export_images(images, labels, to, per_class, names)
    say(f"{count} pictures written to {printable(to)}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.h5", help="Weights that --save wrote.")],
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE", help="net.onnx, or net.pt.py: a script for PyTorch."),
    ],
    image_size: Annotated[
        tuple[int, int] | None,
        typer.Option(
            "--image_size", metavar="H W", min=1, help="Of the images, if the file does not say it."
        ),
    ] = None,
) -> None:
    """Write a trained network for onnxruntime and its like, or for PyTorch."""
    from datasets.export.network import sample_shape, steps

    write = writer(to)
    weights, about = load_net(file)
    found = steps(weights)
    shape = sample_shape(found, image_size or (about and about.image_shape[1:]))
    arrays = write(found, shape, to)
    say(f"read as: {', '.join(step.kind for step in found)}")
    say(f"inputs (N, {', '.join(map(str, shape))}), pixels from 0 to 1; outputs before the softmax")
    if about:
        say(f"classes: {printable(', '.join(about.class_names))}")
    say(f"written to {printable(to)}{f' and {printable(arrays)}' if arrays else ''}")


def writer(to: Path) -> Callable[..., Path | None]:
    """What writes such a file. Raises ValueError for another name, or without the onnx package."""
    from datasets.export.onnx import write_onnx
    from datasets.export.torch import write_torch

    if to.suffix == ".py":
        return write_torch
    if to.suffix != ".onnx":
        raise ValueError(f"--to: expected a name that ends in .onnx or .py, got {printable(to)}")
    if not find_spec("onnx"):
        raise ValueError('the onnx package is missing: python -m pip install ".[onnx]"')
    return write_onnx


if __name__ == "__main__":
    console.run(app)
