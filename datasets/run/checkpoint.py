"""A checkpoint: where a run stands, as a value that is saved and loaded whole."""

import itertools
import math
import os
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.run.console import program, say
from datasets.run.options import Options
from datasets.store.files import printable
from datasets.store.weights import About, Weights, load_checkpoint

__all__ = ["Progress", "Checkpoint", "fingerprint", "unused"]

VERSION = 2  # of what a checkpoint holds; 1 had no program
NUMBERS = {
    "lr", "momentum", "epochs", "batch_size", "hidden_neurons", "seed", "train_size", "val_split",
    "image_size", "skip_bad", "threads",
}  # fmt: skip  # what a file may decide about a run
PATHS = {"data": ".h5", "dataset": "", "save": ".h5", "history": ".csv"}


@dataclass
class Progress:
    """Whole epochs, and steps of the next one, that are done; and the figures of that epoch."""

    rng: dict[str, Any]  # the state of the generator before the shuffle of this epoch
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    images: int = 0  # their fingerprint
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def restored(cls, state: dict[str, Any], path: Path) -> "Progress":
        """From what state() gave. Raises ValueError for what no run can have written."""
        try:
            np.random.default_rng(0).bit_generator.state = state["rng"]
            counts = {name: _count(state[name]) for name in ("epoch", "step", "hits", "images")}
            amounts = {name: _amount(state[name]) for name in ("loss_sum", "seconds")}
            history = [_row(row) for row in state["history"]]
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError(f"{path}: the state of the run is damaged ({error!r})") from None
        return cls(state["rng"], history=history, **counts, **amounts)  # type: ignore[arg-type]

    def state(self, options: Options) -> dict[str, Any]:
        """What a checkpoint holds besides weights and velocity; a path counts from everywhere."""
        found = {name: asdict(options)[name] for name in sorted(NUMBERS | PATHS.keys())}
        plain = (bool, int, float, tuple)
        stored = {
            name: os.path.abspath(value) if isinstance(value, Path)
            else value if type(value) in plain else str(value)
            for name, value in found.items()
            if value is not None
        }  # fmt: skip
        return {"program": program(), "version": VERSION, "options": stored, **asdict(self)}

    def place(self) -> str:
        """Where the run stands, in words; empty before the first step."""
        if self.step:
            return f"within epoch {self.epoch + 1}, step {self.step}"
        return f"after epoch {self.epoch}" if self.epoch else ""

    def next_epoch(self, rng: np.random.Generator, row: dict[str, float]) -> None:
        """One more epoch is done: row are its figures."""
        self.history.append(row)
        self.epoch, self.step, self.hits, self.loss_sum, self.seconds = self.epoch + 1, 0, 0, 0, 0
        self.rng = rng.bit_generator.state  # type: ignore[assignment]


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected 0 or more, got {value!r}")
    return value


def _amount(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"expected a number of 0 or more, got {value!r}")
    return float(value)


def _row(row: dict[str, Any]) -> dict[str, float]:
    # An epoch's figures, rebuilt from the keys that a run writes.
    judged = "validation_accuracy" if "validation_accuracy" in row else "test_accuracy"
    figures = {name: _amount(row[name]) for name in ("loss", "accuracy", judged, "seconds")}
    return {"epoch": _count(row["epoch"]), **figures}


class Checkpoint(NamedTuple):
    """A checkpoint file, read once. What its state holds is checked where it is used."""

    path: Path
    weights: Weights
    velocity: Weights
    state: dict[str, Any]
    about: About | None

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Raises ValueError for a file that is none, or for the checkpoint of another program."""
        found = cls(path, *load_checkpoint(path))
        if found.state.get("program", program()) != program():
            other = printable(str(found.state["program"]))[:40]
            raise ValueError(f"{path}: this is a checkpoint of {other}, not of {program()}")
        return found

    def options(self) -> dict[str, Any]:
        """The options that it may set in a run that is resumed: numbers, and no path at will.

        A path counts only if it lies in the checkpoint's own folder; go_on() shows it.
        """
        stored = self.state["options"]
        options = {name: stored[name] for name in NUMBERS & stored.keys()}
        folder = os.path.dirname(os.path.abspath(self.path))
        for name, suffix in PATHS.items():
            value = stored.get(name)
            beside = isinstance(value, str) and os.path.dirname(os.path.abspath(value)) == folder
            if beside and value.endswith(suffix):
                options[name] = value
        return options

    def go_on(
        self, options: Options, given: set[str], learnt: tuple[npt.NDArray, npt.NDArray, int]
    ) -> Progress:
        """The progress of --resume, after a word on what comes from the file.

        Raises ValueError if the state is damaged, if the run learnt other images than learnt, or
        was stopped within an epoch that cannot go on with these options.
        """
        progress, stored = Progress.restored(self.state, self.path), self.state["options"]
        done, within = progress.epoch, f"the run was stopped within epoch {progress.epoch + 1}"
        wrong = ""
        if self.state.get("version") and progress.images != fingerprint(*learnt):
            other = printable(str(stored.get("data") or stored.get("dataset") or "MNIST"))
            wrong = f"the run learnt other images than those of now, --data {other}"
        elif progress.step and (size := stored.get("batch_size")) != options.batch_size:
            wrong = f"{within} in batches of {size}, it cannot go on with --batch_size "
            wrong += str(options.batch_size)
        elif progress.step and options.epochs <= done:
            wrong = f"{within}, it cannot end after --epochs {options.epochs}"
        if wrong:
            raise ValueError(f"{self.path}: {wrong}")
        for name in sorted(PATHS.keys() - given):
            if taken := asdict(options)[name]:
                say(f"--{name} {printable(taken)}, as the checkpoint says")
        if options.epochs <= done:
            say(f"nothing to do: all {done} epochs are done, --epochs asks for more")
        return progress


def fingerprint(X: npt.NDArray, labels: npt.NDArray, K: int) -> int:
    """A number that tells one training set from another, from all bytes of X and one-hot y."""
    crc = 0
    for i in range(0, len(labels), 1000):  # with many classes all rows would fill gigabytes
        crc = zlib.crc32(one_hot(labels[i : i + 1000], K).data, crc)
    return zlib.crc32(np.ascontiguousarray(X).data, crc)


def unused(stem: str) -> Path:
    """stem.h5, or the first of stem_2.h5, stem_3.h5, ... that is not there."""
    names = (Path(f"{stem}_{n}.h5" if n > 1 else f"{stem}.h5") for n in itertools.count(1))
    return next(path for path in names if not path.exists())
