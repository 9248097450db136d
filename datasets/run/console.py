"""What the commands share: how options look, and how a mistake is told in one line."""

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from datasets.store.files import printable

__all__ = [
    "SETTINGS",
    "TRAINING",
    "Rates",
    "learning_rate",
    "momentum_rate",
    "share",
    "number",
    "option",
    "LearningRate",
    "Momentum",
    "Epochs",
    "BatchSize",
    "Seed",
    "Data",
    "TrainSize",
    "Save",
    "Load",
    "Checkpoint",
    "Resume",
    "Predict",
    "Pictures",
    "HistoryFile",
    "run",
]

# Plain ASCII help; --batch-size is understood as --batch_size.
SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("-", "_"),
        "max_content_width": 100,
    },
}
# Of the nets: --predict a.png b.png, where the further pictures come as arguments, see Run.
TRAINING = SETTINGS | {
    "context_settings": SETTINGS["context_settings"] | {"allow_extra_args": True},
}


LR_HELP = "Learning rate: how far a step goes down the slope; 0.1,0.01 is one per epoch."
MOMENTUM_HELP = "Share of the last step that is taken again, from 0 to below 1."


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


def _whole(least: int) -> Callable[[str], int]:
    """A parser for whole numbers of least or more."""

    def parse(text: str) -> int:
        digits = str(text).removeprefix("-")
        if not digits.isdecimal() or int(text) < least:
            raise typer.BadParameter(f"expected a whole number of {least} or more, got {text}")
        return int(text)

    return parse


def _resume(ctx: typer.Context, path: Path | None) -> Path | None:
    # Read before every other option: what the file remembers are their defaults.
    if path is not None and not ctx.resilient_parsing:
        from datasets.store.weights import load_checkpoint

        with one_line_errors():
            state = load_checkpoint(path)[2]
            ctx.default_map = {**state["options"], "checkpoint": str(path)}
    return path


def option(*names: str, help: str, **settings: Any) -> Any:
    """An option whose default the help does not show: there is none, or the text names it."""
    return typer.Option(*names, help=help, show_default=False, **settings)


def number(name: str, least: int, help: str, **settings: Any) -> Any:
    """An option that takes a whole number of least or more."""
    return typer.Option(name, parser=_whole(least), metavar="N", help=help, **settings)


LearningRate = Annotated[
    Rates, typer.Option("--lr", parser=learning_rate, help=LR_HELP, metavar="RATE")
]
Momentum = Annotated[
    Rates, typer.Option("--momentum", parser=momentum_rate, help=MOMENTUM_HELP, metavar="RATE")
]
Epochs = Annotated[int, number("--epochs", 1, "Passes over the training images.")]
BatchSize = Annotated[int, number("--batch_size", 1, "Images whose mean loss makes one step.")]
Seed = Annotated[int, number("--seed", 0, "Same seed, same run, bit for bit.")]
Data = Annotated[
    Path | None,
    option("--data", metavar="FILE.h5", help="Images to learn, an HDF5 file.  [default: MNIST]"),
]
TrainSize = Annotated[
    int | None,
    number(
        "--train_size", 1, "Train on this many images only.  [default: all]", show_default=False
    ),
]
Save = Annotated[
    Path | None, option("--save", metavar="FILE.h5", help="Write the trained weights here.")
]
Load = Annotated[
    Path | None,
    option(
        "--load",
        metavar="FILE.h5",
        help="Start from these weights; trains only if --epochs is given.",
    ),
]
Checkpoint = Annotated[
    Path | None,
    option(
        "--checkpoint", metavar="FILE.h5", help="Write all that --resume needs, after each epoch."
    ),
]
Resume = Annotated[
    Path | None,
    option(
        "--resume", metavar="FILE.h5", is_eager=True, callback=_resume,
        help="Go on from a checkpoint, with its options, bit for bit as if never stopped.",
    ),
]  # fmt: skip
Predict = Annotated[
    Path | None,
    option("--predict", metavar="PICTURE...", help="Then tell which digits these pictures show."),
]
Pictures = Annotated[
    Path | None,
    option("--pictures", metavar="DIR", help="Then draw weights, mistakes, confusions and curves."),
]
HistoryFile = Annotated[
    Path | None, option("--history", metavar="FILE.csv", help="Write loss and accuracy per epoch.")
]


def program() -> str:
    """The command as it was called: functional_net.py, or cnn for python -m cnn."""
    called = Path(sys.argv[0])
    return called.parent.name if called.stem == "__main__" else called.name


def say(line: str = "") -> None:
    """Print, whatever the terminal's encoding: what it cannot show appears as an escape.

    Where nobody reads on (| head -1) or the disk is full, the work goes on in silence.
    """
    encoding = sys.stdout.encoding or "ascii"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        sys.stdout = _nowhere()
        if not isinstance(error, BrokenPipeError):
            warn(f"nothing more is shown ({error})")


def warn(line: str) -> None:
    """Tell on stderr, after the name of the command, whatever its encoding."""
    encoding = sys.stderr.encoding or "ascii"
    line = "\n  ".join(map(printable, line.split("\n  ")))  # only a list of files has such lines
    text = f"{program()}: {line}".encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody reads it: no reason to stop
        sys.stderr = _nowhere()


class one_line_errors:
    """A mistake inside the block becomes one line on stderr: exit 2; diverged training exits 1."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader of our pipe went away: nobody to tell
            raise SystemExit(1) from None
        if hasattr(error, "format_message"):  # typer: a wrong option
            self._tell(error.format_message(), 2)  # type: ignore[union-attr]
        if isinstance(error, FloatingPointError):
            self._tell(str(error), 1)
        if isinstance(error, (ValueError, TypeError, OSError, MemoryError)):
            self._tell(str(error) or type(error).__name__, 2)
        if isinstance(error, KeyboardInterrupt):
            self._tell("stopped", 130)

    def _tell(self, message: str, code: int) -> None:
        warn(message)
        raise SystemExit(code) from None


def _nowhere() -> TextIO:
    # In the place of a closed stream (>&-), which Python shows as None.
    return open(os.devnull, "w")


def run(app: typer.Typer) -> None:
    """Run a command; nothing that a user hands in ends in a traceback."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    with one_line_errors():
        name = program()
        called = f"python {name}" if name.endswith(".py") else f"python -m {name}"
        code = app(standalone_mode=False, prog_name=called)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        raise SystemExit(code)
