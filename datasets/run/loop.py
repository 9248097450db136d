"""The loop of a training run: progress, Ctrl-C, and what is kept after each epoch.

It watches the loop and never takes part in it: the arithmetic stays in the networks.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datasets import checks, many
from datasets.bar import Bar
from datasets.batches import minibatches
from datasets.read.mnist import MNIST
from datasets.run import report
from datasets.run.checkpoint import Progress, fingerprint, options_to_store, resumed, unused
from datasets.run.console import program, say
from datasets.run.data import (
    Images,
    image_shape,
    load_pictures,
    load_rows,
    no_pictures,
    short_list,
    stored_hidden_sizes,
    suit,
)
from datasets.run.interrupts import Interrupts
from datasets.run.predict import own_pictures
from datasets.run.targets import check_targets, saved, tried, write_history
from datasets.schedules import at_epoch
from datasets.store.files import printable
from datasets.store.weights import About, Weights, load_net, match_weights, save_weights

if TYPE_CHECKING:
    from datasets.run.options import Options

__all__ = ["Run"]

Array = npt.NDArray[np.floating]


class Run:
    """What the options ask for around a training loop.

    for _ in run.epochs():
        for X, y in run.batches(X_train, y_train):
            ...one step...
            run.note(loss, right)
        run.end_epoch(weights, velocity, test accuracy)
    """

    def __init__(self, options: "Options", given: set[str], arguments: list[str]):
        if options.load and options.resume:
            raise ValueError("expected either --load or --resume, got both")
        options.checkpoint = options.checkpoint or options.resume
        self.options, self.given, self.seed = options, given, options.seed
        self.path = options.resume or options.load
        self.stored, self.about = load_net(self.path) if self.path else ({}, None)
        self.rng = np.random.default_rng(options.seed)
        self.own_pictures = own_pictures(options.predict, arguments)
        check_targets(options, [MNIST, options.data, options.dataset, *self.own_pictures])
        self.only_load = only_load(options, given)
        self.progress = Progress(self.rng.bit_generator.state)  # type: ignore[arg-type]
        self.kept: tuple[Weights, Weights] = {}, {}  # of the last whole epoch, or of the start
        self.told = ""  # how many images and steps, in the line of the parameters
        self.n_samples, self.n_batch = 0, 0  # of an epoch, and of the batch in progress
        self.n_own, self.agreed = 0, 0.0  # under mpiexec: of this rank's share; ranks that stop
        self.interrupts = Interrupts()

    def __enter__(self) -> "Run":
        self.interrupts.__enter__()
        self._errors = np.seterr(over="ignore", invalid="ignore")  # checks.loss tells it
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> None:
        self.interrupts.__exit__()
        np.seterr(**self._errors)
        if isinstance(error, FloatingPointError) and self.interrupts.training:
            rescued = ""
            if self.options.save and self.kept_since:
                path = saved(self.options.save, self.kept[0], None, None, self.is_about())
                rescued = f"; the weights {self.kept_since} are in {path}"
            place = f"epoch {self.progress.epoch + 1}"
            raise FloatingPointError(f"{place}: {error}{rescued}") from None

    # --- what comes in ----------------------------------------------------------------

    def data(self) -> tuple[Array, Array, Array, Array]:
        """X_train (N, D), y_train (N, K), X_test, y_test of MNIST or of --data."""
        if images := self._none():
            D = math.prod(images.X_val.shape[1:])
            X_train = X_test = images.X_val.reshape(0, D)
            y_train = y_test = images.y_val
        else:
            X_train, y_train, X_test, y_test = load_rows(self.options)
        self.names, self.judged_on = [str(k) for k in range(y_train.shape[1])], "test"
        self.learnt = X_train, y_train
        return X_train, y_train, X_test, y_test

    def images(self) -> Images:
        """Training and validation images (N, C, H, W) of MNIST, of a file or a folder."""
        images = self._none() or load_pictures(self.options, self.given, self.rng)
        self.names, self.judged_on = images.names, images.judged_on
        self.learnt = images.X_train, images.y_train
        steps = suit(self.options, max(1, len(images.X_train)))
        if not self.only_load:
            self.told = f"; {len(images.X_train):,} images, steps in an epoch: {steps:,}"
        return images

    def _none(self) -> Images | None:
        # A net that travels needs no images to say what pictures show.
        given = not self.only_load or self.options.data or self.options.dataset
        return no_pictures(self.about) if self.own_pictures and self.about and not given else None

    @property
    def n_epochs(self) -> int:
        """Epochs of the whole run, with those of a run that is resumed."""
        return 0 if self.only_load else self.options.epochs

    @property
    def hidden_neurons(self) -> int:
        """Those of --hidden_neurons, unless a weight file brings others."""
        sizes = self.hidden_sizes([self.options.hidden_neurons])
        if len(sizes) != 1:
            raise ValueError(f"{self.path}: this network has 1 hidden layer, the file {len(sizes)}")
        return sizes[0]

    def hidden_sizes(self, wanted: list[int]) -> list[int]:
        """The sizes of the hidden layers: those wanted, unless a weight file brings others."""
        if not self.path:
            return wanted
        return stored_hidden_sizes(self.path, self.stored, self.options.hidden_neurons, self.given)

    def start(self, weights: Weights, velocity: Weights) -> tuple[Weights, Weights]:
        """The weights and velocity to begin with: those given, or those of --load or --resume.

        Raises ValueError for a checkpoint of a run that learnt other images.
        """
        if self.about and [*self.about.class_names] != self.names:
            told, wanted = (short_list(names) for names in (self.about.class_names, self.names))
            raise ValueError(
                f"{self.path}: these weights tell {told} apart, the images are {wanted}"
            )
        if self.options.resume:
            found, moving, self.progress = resumed(self.options, self.given, self.learnt)
            self.rng.bit_generator.state = self.progress.rng
            weights = match_weights(found, weights, self.options.resume)
            velocity = match_weights(moving, velocity, self.options.resume)
        elif self.options.load:
            weights = match_weights(self.stored, weights, self.options.load)
        self._keep(weights, velocity)
        say(f"{sum(array.size for array in velocity.values()):,} parameters{self.told}")
        return weights, velocity

    def _keep(self, weights: Weights, velocity: Weights) -> None:
        self.kept = copies(weights), copies(velocity)
        self.kept_since = self.progress.place()

    # --- the loop ---------------------------------------------------------------------

    @property
    def lr(self) -> float:
        """The learning rate of this epoch."""
        return at_epoch(self.options.lr, self.progress.epoch)

    @property
    def momentum(self) -> float:
        """The momentum of this epoch."""
        return at_epoch(self.options.momentum, self.progress.epoch)

    @property
    def seen(self) -> int:
        """The samples of this epoch that are done."""
        return min(self.progress.step * self.options.batch_size, self.n_samples)

    def epochs(self) -> Iterator[int]:
        """The epochs still to do, from 0."""
        self.interrupts.training = True
        while self.progress.epoch < self.n_epochs:
            yield self.progress.epoch
        self.interrupts.training = False

    def batches(self, X: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        """The minibatches that are left of this epoch, with a progress bar; fewer after Ctrl-C."""
        progress, self.n_samples = self.progress, len(X)
        if self.seen >= len(X) or progress.hits > self.seen:
            what = f"{progress.hits} hits in {self.seen} of {len(X)} samples"
            raise ValueError(f"{self.path}: the state of the run is damaged ({what})")
        batches = minibatches(X, y, self.options.batch_size, self.rng, progress.step)
        begin = shown = time.perf_counter()
        with Bar(f"epoch {progress.epoch + 1}/{self.n_epochs}", len(X)) as bar:
            for X_batch, y_batch in batches:
                X_own, y_own = many.share(X_batch, y_batch)
                self.n_batch, self.n_own = len(X_batch), len(X_own)
                yield X_own, y_own
                if self.stopping:
                    break
                # The bar costs more than a step of a small net: ten times a second is enough.
                if (now := time.perf_counter()) - shown > 0.1:
                    shown = now
                    bar.show(self.seen, self._figures(progress.seconds + now - begin))
        progress.seconds += max(0.0, time.perf_counter() - begin)

    def note(self, loss: float, right: int) -> None:
        """Count a step. Raises FloatingPointError, with advice, when its loss is nan or inf."""
        own = self.n_own, loss * self.n_own, right, self.interrupts.pending
        n, total, hits, self.agreed = many.totals(*own)
        self.progress.step += 1
        checks.loss(total / n, self.progress.step, self.lr)
        self.progress.loss_sum += total / n * self.n_batch
        self.progress.hits += round(hits / n * self.n_batch)

    @property
    def stopping(self) -> bool:
        """After Ctrl-C; ranks of mpiexec all stop after the same step."""
        return bool(self.interrupts.pending if many.alone() else self.agreed)

    def _figures(self, seconds: float) -> str:
        seen = max(self.seen, 1)
        return (
            f"loss {self.progress.loss_sum / seen:.4f}  accuracy {self.progress.hits / seen:7.2%}"
            f"  {seen / max(seconds, 1e-9):9,.0f} samples/s"
        )

    # --- after an epoch ---------------------------------------------------------------

    def end_epoch(self, weights: Weights, velocity: Weights, judged: float) -> None:
        """Note the epoch, write checkpoint and history; after Ctrl-C, save and leave with 130."""
        checks.weights(weights.values(), self.lr)
        if self.seen < self.n_samples:
            self._leave(weights, velocity)
        progress, seen = self.progress, self.seen
        line = f"epoch {progress.epoch + 1}/{self.n_epochs}  {self._figures(progress.seconds)}"
        line += f"  {self.judged_on} {judged:7.2%}  {progress.seconds:.1f} s"
        row = {
            "epoch": progress.epoch + 1,
            "loss": progress.loss_sum / seen,
            "accuracy": progress.hits / seen,
            f"{self.judged_on}_accuracy": judged,
            "seconds": progress.seconds,
        }
        progress.next_epoch(self.rng, row)
        self._keep(weights, velocity)
        if path := self.options.checkpoint:
            tried(
                path, lambda: save_weights(path, weights, velocity, self._state(), self.is_about())
            )
        if history := self.options.history:
            tried(history, lambda: write_history(history, progress.history))
        say(line)
        if self.stopping:
            self._leave(weights, velocity)

    def _leave(self, weights: Weights, velocity: Weights) -> None:
        path = self.options.checkpoint or unused(f"{Path(program()).stem}_stopped")
        path = saved(path, weights, velocity, self._state(), self.is_about())
        place = f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}"
        say(f"{place}; go on with --resume {printable(path)}")
        raise SystemExit(130)

    def _state(self) -> dict[str, Any]:
        self.progress.images = self.progress.images or fingerprint(*self.learnt)
        return self.progress.state(options_to_store(self.options))

    def is_about(self) -> About:
        """What a weight file tells of the images that were learnt."""
        shape = image_shape(self.learnt[0].shape[1:])
        digits = self.judged_on == "test" and shape == (1, 28, 28)
        fitted = "fitted" if self.judged_on == "validation" else "as stored"
        return About(tuple(self.names), shape, "digit" if digits else fitted)

    def report(self, probabilities: report.Probabilities, X: Array, y: Array) -> None:
        """Save the weights, judge them on X, y and do what --pictures and --predict ask for."""
        report.report(self, probabilities, X, y)


def only_load(options: "Options", given: set[str]) -> bool:
    """Does --load alone ask for weights to be judged? ValueError if other options ask to train."""
    if not options.load or "epochs" in given:
        return False
    for name in ("lr", "momentum", "batch_size", "checkpoint", "history"):
        if name in given:
            raise ValueError(f"--{name} is for training: --load trains if --epochs is given")
    return True


def copies(weights: Weights) -> Weights:
    return {key: array.copy() for key, array in weights.items()}
