"""One run of a training command: progress, history, checkpoints, Ctrl-C, and the closing report.

It watches the loop and never takes part in it: the arithmetic stays in the networks.
"""

import csv
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import typer

from datasets import checks
from datasets.batches import minibatches
from datasets.read.mnist import MNIST
from datasets.run.bar import Bar
from datasets.run.checkpoint import amount, count, fingerprint, text, unused
from datasets.run.console import program, say, warn
from datasets.run.predict import check_pictures
from datasets.schedules import at_epoch
from datasets.store.files import atomic, check_target, printable, regular_file
from datasets.store.weights import (
    Weights,
    load_checkpoint,
    load_weights,
    match_weights,
    save_weights,
)

__all__ = ["Run", "given", "saved"]

Array = npt.NDArray[np.floating]


class Run:
    """with Run(ctx, rng) as run: what the options of ctx ask for around a training loop.

    for epoch in run.epochs():
        for ... in run.watch(steps of run.batches(X, y)):
        run.end_epoch(weights, velocity, test accuracy)
    """

    def __init__(self, ctx: typer.Context, rng: np.random.Generator):
        self.options, self.rng = dict(ctx.params), rng
        self.own_pictures = _own_pictures(ctx)
        self._check_targets()
        self.path: Path | None = self.options["resume"] or self.options["load"]
        self.hidden_given = given(ctx, "hidden_neurons")
        self.n_epochs = 0 if self._only_load(ctx) else self.options["epochs"]
        self.batch_size: int = self.options["batch_size"]
        self.epoch, self.step = 0, 0  # whole epochs, and steps of the next one, that are done
        self.n_samples, self.seen = 0, 0  # of an epoch, and of the one in progress
        self.images: int | None = None  # their fingerprint
        self.loss_sum, self.hits, self.seconds = 0.0, 0, 0.0  # of the epoch in progress
        self.history: list[dict[str, float]] = []
        self.rng_state = rng.bit_generator.state  # before the shuffle of this epoch
        self.kept: tuple[Weights, Weights] | None = None  # of the last whole epoch, or the start
        self.kept_since = ""
        self.training, self.interrupted = False, False
        self.folder = False  # are the images those of a folder, and not of a file?

    def _check_targets(self) -> None:
        # Now, and not when an hour's work is to be written; nor over what the run reads.
        if self.options["load"] and self.options["resume"]:
            raise ValueError("expected either --load or --resume, got both")
        read = [MNIST, self.options.get("data"), self.options.get("dataset"), *self.own_pictures]
        taken = {Path(os.path.realpath(path)): "what is to be read" for path in read if path}
        folders = {place for place in taken if place.is_dir()}
        for name in ("save", "checkpoint", "history", "pictures"):
            if path := self.options[name]:
                place = Path(os.path.realpath(path))
                inside = "what is to be read" if folders & {*place.parents} else None
                if what := taken.get(place, inside):
                    raise ValueError(
                        f"--{name}: expected its own place, got {path}, which is {what}"
                    )
                taken[place] = f"that of --{name}"
                check_target(path / "curves.png" if name == "pictures" else path)

    def _only_load(self, ctx: typer.Context) -> bool:
        if not self.options["load"] or given(ctx, "epochs"):
            return False
        for name in ("lr", "momentum", "batch_size", "checkpoint", "history"):
            if given(ctx, name):
                raise ValueError(f"--{name} is for training: --load trains if --epochs is given")
        return True

    @property
    def judged_on(self) -> str:
        """What a network is judged on: the test images of a file, a share of a folder's."""
        return "validation" if self.folder else "test"

    def __enter__(self) -> "Run":
        self._handler = signal.signal(signal.SIGINT, self._interrupt)
        self._errors = np.seterr(over="ignore", invalid="ignore")  # checks.loss tells it
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> None:
        signal.signal(signal.SIGINT, self._handler)
        np.seterr(**self._errors)
        if isinstance(error, FloatingPointError):
            raise FloatingPointError(f"epoch {self.epoch + 1}: {error}{self._rescue()}") from None

    def _interrupt(self, *_: Any) -> None:
        if not self.training:
            raise KeyboardInterrupt
        self.interrupted = True  # the step in progress ends first; a second Ctrl-C stops at once
        signal.signal(signal.SIGINT, self._handler)

    def _rescue(self) -> str:
        path = self.options["save"]
        if not path or self.kept is None or not self.kept_since:
            return ""
        return f"; the weights {self.kept_since} are in {saved(path, self.kept[0])}"

    # --- weights that come in ---------------------------------------------------

    def start(
        self, weights: Weights, velocity: Weights, X: npt.NDArray, y: Array
    ) -> tuple[Weights, Weights]:
        """The weights and velocity to begin with: those given, or those of --load or --resume.

        Raises ValueError for a checkpoint of a run that learnt other images than X, y.
        """
        self.images = fingerprint(X, y)
        if self.options["resume"]:
            found, moving, state = load_checkpoint(self.path or "")
            weights = match_weights(found, weights, self.path or "")
            velocity = match_weights(moving, velocity, self.path or "")
            self._go_on(state, len(X))
        elif self.options["load"]:
            weights = match_weights(load_weights(self.path or ""), weights, self.path or "")
        self.kept = _copy(weights), _copy(velocity)
        say(f"{sum(array.size for array in velocity.values()):,} parameters")
        return weights, velocity

    def _go_on(self, state: dict[str, Any], n_samples: int) -> None:
        try:
            self.rng.bit_generator.state = self.rng_state = state["rng"]
            self.epoch, self.step = count(state["epoch"]), count(state["step"])
            self.loss_sum, self.hits = amount(state["loss_sum"]), count(state["hits"])
            self.seconds, images = amount(state["seconds"]), count(state["images"])
            self.history = [dict(row) for row in state["history"]]
            for row in self.history:
                amount(sum(amount(row[name]) for name in ("epoch", "loss", "accuracy", "seconds")))
            batch_size = count(state["options"]["batch_size"])
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError(f"{self.path}: the state of the run is damaged ({error!r})") from None
        if images != self.images:
            raise ValueError(f"{self.path}: the run learnt other images than those of now")
        self.seen = self.step * batch_size
        if self.seen >= n_samples or self.hits > self.seen:
            what = f"{self.hits} hits in {self.seen} of {n_samples} samples"
            raise ValueError(f"{self.path}: the state of the run is damaged ({what})")
        place = f"within epoch {self.epoch + 1}"
        if self.step and batch_size != self.batch_size:
            raise ValueError(
                f"{self.path}: the run was stopped {place} in batches of {batch_size}, "
                f"it cannot go on with --batch_size {self.batch_size}"
            )
        if self.step and self.n_epochs <= self.epoch:
            raise ValueError(
                f"{self.path}: the run was stopped {place}, it cannot end after "
                f"--epochs {self.n_epochs}"
            )
        self.kept_since = f"{place}, step {self.step}" if self.step else f"after epoch {self.epoch}"

    def hidden_sizes(self, wanted: list[int], layers: int | None = None) -> list[int]:
        """The sizes of the hidden layers: those wanted, unless a weight file brings others.

        Raises ValueError if it brings another number of them than layers, where that is given.
        """
        if not self.path:
            return wanted
        stored = load_weights(self.path)
        for key, array in stored.items():
            if array.ndim != {"W": 2, "b": 1}.get(key.split("/")[1]):
                raise ValueError(
                    f"{self.path}: this network expects W (inputs, neurons) and b (neurons,), "
                    f"the file has {key} {array.shape}"
                )
        sizes = [len(b) for key, b in stored.items() if key.endswith("/b")][:-1]
        if layers not in (None, len(sizes)):
            raise ValueError(
                f"{self.path}: this network has {layers} hidden layer, the file {len(sizes)}"
            )
        if self.hidden_given and sizes != wanted:
            raise ValueError(f"--hidden_neurons {wanted[0]}: {self.path} has {sizes}")
        return sizes

    # --- the loop ---------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """The epochs still to do, from 0."""
        self.training = True
        while self.epoch < self.n_epochs:
            yield self.epoch
        self.training = False

    def rates(self) -> tuple[float, float]:
        """Learning rate and momentum of this epoch."""
        return tuple(at_epoch(self.options[name], self.epoch) for name in ("lr", "momentum"))  # type: ignore[return-value]

    def batches(self, X: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """The minibatches that are left of this epoch."""
        self.n_samples = len(X)
        self.rng_state = self.rng.bit_generator.state
        return minibatches(X, y, self.batch_size, self.rng, self.step)

    def watch(self, steps: Iterator[Any]) -> Iterator[Any]:
        """Hand on what each step yields, (..., loss, hits); ends early after Ctrl-C."""
        begin = shown = time.perf_counter()
        with Bar(f"epoch {self.epoch + 1}/{self.n_epochs}", self.n_samples) as bar:
            for step in steps:
                self._count(step[-2], step[-1])
                yield step
                if self.interrupted:
                    break
                # The bar costs more than a step of a small net: ten times a second is enough.
                if (now := time.perf_counter()) - shown > 0.1:
                    shown = now
                    bar.show(self.seen, self._figures(self.seconds + now - begin))
        self.seconds += time.perf_counter() - begin

    def _count(self, loss: float, hits: int) -> None:
        n = min(self.batch_size, self.n_samples - self.seen)  # the last batch may be smaller
        self.step += 1
        self.seen += n
        self.loss_sum += loss * n
        self.hits += hits

    def _figures(self, seconds: float) -> str:
        seen = max(self.seen, 1)
        return (
            f"loss {self.loss_sum / seen:.4f}  accuracy {self.hits / seen:7.2%}"
            f"  {seen / max(seconds, 1e-9):9,.0f} samples/s"
        )

    def end_epoch(self, weights: Weights, velocity: Weights, judged: float) -> None:
        """Note the epoch, write history and checkpoint; after Ctrl-C, save and leave with 130."""
        checks.weights(weights.values(), self.rates()[0])  # after Ctrl-C train_epoch has not asked
        if self.interrupted and self.seen < self.n_samples:
            self._leave(weights, velocity)
        line = (
            f"epoch {self.epoch + 1}/{self.n_epochs}  {self._figures(self.seconds)}"
            f"  {self.judged_on} {judged:7.2%}  {self.seconds:.1f} s"
        )
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "loss": self.loss_sum / self.seen,
                "accuracy": self.hits / self.seen,
                f"{self.judged_on}_accuracy": judged,
                "seconds": self.seconds,
            }
        )
        self.epoch, self.step, self.seen = self.epoch + 1, 0, 0
        self.loss_sum, self.hits, self.seconds = 0.0, 0, 0.0
        self.rng_state = self.rng.bit_generator.state
        self.kept, self.kept_since = (_copy(weights), _copy(velocity)), f"after epoch {self.epoch}"
        try:
            if self.options["history"]:
                _write_csv(self.options["history"], self.history)
            if self.options["checkpoint"]:
                save_weights(self.options["checkpoint"], weights, velocity, self._state())
        except OSError as error:  # a full disk is no reason to lose the run
            warn(f"epoch {self.epoch} could not be written, training goes on ({error})")
        say(line)
        if self.interrupted:
            self._leave(weights, velocity)

    def _leave(self, weights: Weights, velocity: Weights) -> None:
        path = self.options["checkpoint"] or unused(f"{Path(program()).stem}_stopped")
        path = saved(path, weights, velocity, self._state())
        place = f"stopped in epoch {self.epoch + 1} after step {self.step}"
        say(f"{place}; go on with --resume {printable(path)}")
        raise SystemExit(130)

    def _state(self) -> dict[str, Any]:
        leave_out = ("resume", "load", "digits")
        options = {
            name: value if type(value) in (bool, int, float, str, tuple) else text(value)
            for name, value in self.options.items()
            if value is not None and name not in leave_out
        }
        return {
            "options": options,
            "rng": self.rng_state,
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "hits": self.hits,
            "seconds": self.seconds,
            "images": self.images,
            "history": self.history,
        }


def given(ctx: typer.Context, option: str) -> bool:
    """Did the user write this option?"""
    source = ctx.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _own_pictures(ctx: typer.Context) -> list[Path]:
    # --predict a.png b.png c.png: the option takes the first, the others come as arguments.
    first = ctx.params["digits"]
    if ctx.args and first is None:
        raise ValueError(f"expected options only, got the argument {ctx.args[0]!r}")
    paths = [regular_file(path) for path in (first, *ctx.args)] if first else []
    check_pictures(paths)  # what is wrong is told now, and not after the training
    return paths


def saved(
    path: Path, weights: Weights, velocity: Weights | None = None, state: dict | None = None
) -> Path:
    """Where save_weights wrote: path or, if that failed, a temporary folder, after a warning."""
    try:
        save_weights(path, weights, velocity, state)
        return path
    except OSError as error:  # a full disk is no reason to lose them
        warn(f"{path} could not be written ({error})")
        fallback = Path(tempfile.mkdtemp()) / path.name
        save_weights(fallback, weights, velocity, state)
        return fallback


def _copy(weights: Weights) -> Weights:
    return {key: array.copy() for key, array in weights.items()}


def _write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    with atomic(path) as name, open(name, "w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        writer.writerows(rows)
