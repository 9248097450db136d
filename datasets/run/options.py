"""The options of the three programs: one table, from which command.py builds each command line."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from datasets.run.console import number, option

__all__ = ["Options", "Rates"]


class Rates(tuple[float, ...]):
    """One value per epoch, the last one holds on: a schedule written 0.1,0.05,0.01."""

    def __str__(self) -> str:
        return ",".join(repr(value).removesuffix(".0") for value in self)


def learning_rate(text: str) -> Rates:
    """The values of --lr: finite and above 0."""
    return _rates(text, "a finite number above 0", lambda rate: 0 < rate < math.inf)


def momentum_rate(text: str) -> Rates:
    """The values of --momentum: from 0 to below 1, since at 1 a velocity would never die."""
    return _rates(text, "a number from 0 to below 1", lambda rate: 0 <= rate < 1)


def _rates(text: str, expected: str, good: Callable[[float], bool]) -> Rates:
    try:
        rates = Rates(float(word) for word in str(text).split(","))
    except ValueError:
        raise typer.BadParameter(
            f"expected {expected}, or several with commas between, got {text!r}"
        ) from None
    if not all(map(good, rates)):
        raise typer.BadParameter(f"expected {expected}, got {text}")
    return rates


def share(text: str) -> float:
    """The value of --val_split: above 0, or there would be no accuracy, and below 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise typer.BadParameter(f"expected a number above 0 and below 1, got {text}")
    return value


def _resume(ctx: typer.Context, path: Path | None) -> Path | None:
    # Read before every other option: what the file remembers are their defaults.
    if path is not None and not ctx.resilient_parsing:
        from datasets.run.checkpoint import Checkpoint  # which knows these options

        ctx.obj = Checkpoint.load(path)
        ctx.default_map = ctx.obj.options()
    return path


# fmt: off
@dataclass(kw_only=True)
class Options:
    """Every option once: its type, spelling, help, and a default that a program may replace.

    A new option is one entry here, and one default in command(...) of the programs that have it.
    """

    lr: Annotated[Rates, typer.Option("--lr", parser=learning_rate, metavar="RATE",
        help="Learning rate: how far a step goes down the slope; 0.1,0.01 is one per epoch.")]
    momentum: Annotated[Rates, typer.Option("--momentum", parser=momentum_rate, metavar="RATE",
        help="Share of the last step that is taken again, from 0 to below 1.")]
    hidden_neurons: Annotated[int, number("--hidden_neurons", 1,
        "Neurons of the hidden layer.")] = 0
    epochs: Annotated[int, number("--epochs", 1,
        "Passes over the training images; cnn takes what suits their number.")]
    batch_size: Annotated[int, number("--batch_size", 1,
        "Images whose mean loss makes one step; cnn takes what suits their number.")]
    seed: Annotated[int, number("--seed", 0, "Same seed, same run, bit for bit.")] = 0
    data: Annotated[Path | None, option("--data", metavar="FILE.h5",
        help="Images to learn, an HDF5 file.  [default: MNIST]")] = None
    dataset: Annotated[Path | None, option("--dataset", "--data", metavar="PATH",
        help="A folder of class folders, or an HDF5 file.  [default: MNIST]")] = None
    image_size: Annotated[tuple[int, int] | None, option("--image_size", metavar="H W", min=1,
        help="Bring all pictures of a folder to this size.")] = None
    val_split: Annotated[float, typer.Option("--val_split", parser=share, metavar="SHARE",
        help="Share of a folder's pictures for validation.")] = 0.1
    skip_bad: Annotated[bool, option("--skip_bad",
        help="Leave out files that are no good pictures.")] = False
    threads: Annotated[int, number("--threads", 1,
        "Threads of the matrix products; one minds no busy neighbour, and rounds alike everywhere."
        )] = 1
    train_size: Annotated[int | None, number("--train_size", 1,
        "Train on this many images only.  [default: all]", show_default=False)] = None
    save: Annotated[Path | None, option("--save", metavar="FILE.h5",
        help="Write the trained weights here.")] = None
    load: Annotated[Path | None, option("--load", metavar="FILE.h5",
        help="Start from these weights; trains only if --epochs is given.")] = None
    checkpoint: Annotated[Path | None, option("--checkpoint", metavar="FILE.h5",
        help="Write all that --resume needs, after each epoch.")] = None
    resume: Annotated[Path | None, option("--resume", metavar="FILE.h5", is_eager=True,
        callback=_resume,
        help="Go on from a checkpoint, with its options, bit for bit as if never stopped.")] = None
    predict: Annotated[Path | None, option("--predict", metavar="PICTURE...",
        help="Then tell which digits these pictures show.")] = None
    large: Annotated[bool, option("--large",
        help="Show all pictures of --predict as the network sees them, not only a few.")] = False
    pictures: Annotated[Path | None, option("--pictures", metavar="DIR",
        help="Then draw weights, mistakes, confusions and curves.")] = None
    history: Annotated[Path | None, option("--history", metavar="FILE.csv",
        help="Write loss and accuracy per epoch.")] = None
# fmt: on
