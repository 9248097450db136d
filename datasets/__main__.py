"""Image sets from the formats of the field into HDF5, and into folders of pictures."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from datasets.read.mnist import MNIST, load_images
from datasets.run import console
from datasets.run.console import say
from datasets.store.files import printable

app = typer.Typer(**console.SETTINGS, help=__doc__)

To = Annotated[Path, typer.Option("--to", metavar="DIR", help="A new or empty folder.")]


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
    per_class: Annotated[
        int, console.number("--per_class", 1, "Pictures in each class folder.")
    ] = 50,
    data: Annotated[
        Path | None,
        console.option(
            "--data",
            metavar="FILE.h5",
            help="Where the images are, an HDF5 file.  [default: MNIST]",
        ),
    ] = None,
) -> None:
    """Write training images as a folder of class folders, to try python -m cnn --dataset DIR."""
    from datasets.read.folders import export_images

    X, y, _, _ = load_images(data or MNIST)
    pixels = np.rint(X * 255).astype(np.uint8)  # (N, C, H, W)
    count = export_images(pixels, y.argmax(axis=1), to, per_class)
    say(f"{count} pictures written to {printable(to)}")


@app.command()
def export_shapes(
    to: To,
    per_class: Annotated[
        int, console.number("--per_class", 1, "Pictures in each class folder.")
    ] = 100,
    size: Annotated[int, console.number("--size", 12, "Height and width, in pixels.")] = 52,
    seed: Annotated[int, console.number("--seed", 0, "Same seed, same pictures.")] = 0,
) -> None:
    """Write a toy set in colour: drawn shapes, a class folder for each."""
    from datasets.draw.shapes import draw_shapes
    from datasets.read.folders import export_images

    images, labels, names = draw_shapes(per_class, size, np.random.default_rng(seed))
    count = export_images(images, labels, to, per_class, names)
    say(f"{count} pictures written to {printable(to)}")


if __name__ == "__main__":
    console.run(app)
