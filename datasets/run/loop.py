"""The loop of a training run: progress, Ctrl-C, and what is kept after each epoch.

It watches the loop and never takes part in it: the arithmetic stays in the networks.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets import checks, many
from datasets.bar import Bar
from datasets.batches import minibatches
from datasets.run.checkpoint import Progress, fingerprint, unused
from datasets.run.console import program, say
from datasets.run.data import image_shape
from datasets.run.interrupts import Interrupts
from datasets.run.options import Options
from datasets.run.targets import saved, tried, write_history
from datasets.schedules import at_epoch
from datasets.store.files import printable
from datasets.store.weights import About, Weights, save_weights

__all__ = ["Loop"]

Array = npt.NDArray[np.floating]


class Loop:
    """What stands around the two loops of a training; Run says what it trains on."""

    names: list[str]  # of the classes
    judged_on: str  # "test" or "validation"
    learnt: tuple[npt.NDArray, npt.NDArray, int]  # images, labels, how many classes

    def __init__(self, options: Options, path: Path | None, n_epochs: int):
        self.options, self.path, self.n_epochs = options, path, n_epochs
        self.rng = np.random.default_rng(options.seed)
        self.progress = Progress(self.rng.bit_generator.state)  # type: ignore[arg-type]
        self.kept: Weights = {}  # the weights of the last whole epoch, or of the start
        self.n_samples, self.n_batch = 0, 0  # of an epoch, and of the batch in progress
        self.n_own, self.agreed = 0, 0.0  # under mpiexec: of this rank's share; ranks that stop
        self.interrupts = Interrupts()

    def __enter__(self) -> Any:
        self.interrupts.__enter__()
        self._errors = np.seterr(over="ignore", invalid="ignore")  # checks.loss tells it
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: Any) -> None:
        self.interrupts.__exit__()
        np.seterr(**self._errors)
        if isinstance(error, FloatingPointError) and self.interrupts.training:
            rescued = ""
            if self.options.save and self.kept_since:
                path = saved(self.options.save, self.kept, None, None, self.is_about())
                rescued = f"; the weights {self.kept_since} are in {path}"
            place = f"epoch {self.progress.epoch + 1}"
            raise FloatingPointError(f"{place}: {error}{rescued}") from None

    def keep(self, weights: Weights) -> None:
        """Remember these weights, in case that what follows diverges."""
        self.kept = {key: array.copy() for key, array in weights.items()}
        self.kept_since = self.progress.place()

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

    @property
    def stopping(self) -> bool:
        """After Ctrl-C; ranks of mpiexec all stop after the same step."""
        return bool(self.interrupts.pending if many.alone() else self.agreed)

    def epochs(self) -> Iterator[int]:
        """The epochs still to do, from 0."""
        self.interrupts.training = True
        while self.progress.epoch < self.n_epochs:
            yield self.progress.epoch
        self.interrupts.training = False

    def batches(self, X: Array, y: npt.NDArray) -> Iterator[tuple[Array, Array]]:
        """The minibatches that are left of this epoch, with a progress bar; fewer after Ctrl-C."""
        progress, self.n_samples = self.progress, len(X)
        if self.seen >= len(X) or progress.hits > self.seen:
            what = f"{progress.hits} hits in {self.seen} of {len(X)} samples"
            raise ValueError(f"{self.path}: the state of the run is damaged ({what})")
        batches = minibatches(X, y, self.options.batch_size, self.rng, progress.step)
        begin = time.perf_counter()
        with Bar(f"epoch {progress.epoch + 1}/{self.n_epochs}", len(X)) as bar:
            for X_batch, y_batch in batches:
                X_own, y_own = many.share(X_batch, y_batch)
                self.n_batch, self.n_own = len(X_batch), len(X_own)
                yield X_own, y_own
                if self.stopping:
                    break
                if bar.due():
                    seconds = progress.seconds + time.perf_counter() - begin
                    bar.show(self.seen, self._figures(seconds))
        progress.seconds += max(0.0, time.perf_counter() - begin)

    def note(self, loss: float, right: int) -> None:
        """Count a step. Raises FloatingPointError, with advice, when its loss is nan or inf."""
        own = self.n_own, loss * self.n_own, right, self.interrupts.pending
        n, total, hits, self.agreed = many.totals(*own)
        self.progress.step += 1
        checks.loss(total / n, self.progress.step, self.lr)
        self.progress.loss_sum += total / n * self.n_batch
        self.progress.hits += round(hits / n * self.n_batch)

    def _figures(self, seconds: float) -> str:
        seen = max(self.seen, 1)
        return (
            f"loss {self.progress.loss_sum / seen:.4f}  accuracy {self.progress.hits / seen:7.2%}"
            f"  {seen / max(seconds, 1e-9):9,.0f} samples/s"
        )

    def end_epoch(self, weights: Weights, velocity: Weights, judged: float) -> None:
        """Note the epoch, write checkpoint and history; after Ctrl-C, save and leave with 130."""
        checks.weights(weights.values(), self.lr)
        if self.seen < self.n_samples:
            self._leave(weights, velocity)
        progress, n = self.progress, self.n_samples
        line = f"epoch {progress.epoch + 1}/{self.n_epochs}  {self._figures(progress.seconds)}"
        line += f"  {self.judged_on} {judged:7.2%}  {progress.seconds:.1f} s"
        figures = {"loss": progress.loss_sum / n, "accuracy": progress.hits / n}
        figures |= {f"{self.judged_on}_accuracy": judged, "seconds": progress.seconds}
        progress.next_epoch(self.rng, {"epoch": progress.epoch + 1, **figures})
        self.keep(weights)
        if path := self.options.checkpoint:
            state, about = self.state(), self.is_about()
            tried(path, lambda: save_weights(path, weights, velocity, state, about))
        if history := self.options.history:
            tried(history, lambda: write_history(history, progress.history))
        say(line)
        if self.stopping:
            self._leave(weights, velocity)

    def _leave(self, weights: Weights, velocity: Weights) -> None:
        path = self.options.checkpoint or unused(f"{Path(program()).stem}_stopped")
        path = saved(path, weights, velocity, self.state(), self.is_about())
        place = f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}"
        say(f"{place}; go on with --resume {printable(path)}")
        raise SystemExit(130)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides weights and velocity."""
        self.progress.images = self.progress.images or fingerprint(*self.learnt)
        return self.progress.state(self.options)

    def is_about(self) -> About:
        """What a weight file tells of the images that were learnt."""
        shape = image_shape(self.learnt[0].shape[1:])
        digits = self.judged_on == "test" and shape == (1, 28, 28)
        fitted = "fitted" if self.judged_on == "validation" else "as stored"
        return About(tuple(self.names), shape, "digit" if digits else fitted)
