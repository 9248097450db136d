"""What a run may write where, and writing it so that nothing is lost."""

import csv
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datasets import many
from datasets.run.console import warn
from datasets.run.options import Options
from datasets.store.files import atomic, check_target
from datasets.store.weights import Weights, save_weights

__all__ = ["check_targets", "saved", "tried", "write_history"]


def check_targets(options: Options, read: Iterable[Path | None]) -> None:
    """Raise OSError or ValueError now for a target that could not be written after training.

    Each needs its own place, and none may be, or lie in, what the run reads.
    """
    taken = {_real(path): "what is to be read" for path in read if path}
    folders = {place for place in taken if place.is_dir()}
    curves = options.pictures and options.pictures / "curves.png"
    for name, path, file in (
        ("save", options.save, options.save),
        ("checkpoint", options.checkpoint, options.checkpoint),
        ("history", options.history, options.history),
        ("pictures", options.pictures, curves),
    ):
        if path is None:
            continue
        place = _real(path)
        inside = "what is to be read" if folders & {*place.parents} else None
        if what := taken.get(place, inside):
            raise ValueError(f"--{name}: expected its own place, got {path}, which is {what}")
        taken[place] = f"that of --{name}"
        check_target(file)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def saved(path: Path, weights: Weights, *velocity_and_state: Any) -> Path:
    """Where save_weights wrote: path or, if that failed, a temporary folder, after a warning."""
    if not many.leads():
        return path
    try:
        save_weights(path, weights, *velocity_and_state)
        return path
    except OSError as error:  # a full disk is no reason to lose them
        warn(f"{path} could not be written ({error})")
        fallback = Path(tempfile.mkdtemp()) / path.name
        save_weights(fallback, weights, *velocity_and_state)
        return fallback


def tried(path: Path, write: Callable[[], None]) -> None:
    """Write; a full disk is told and is no reason to lose the run."""
    try:
        if many.leads():
            write()
    except OSError as error:
        warn(f"{path} could not be written, training goes on: {error}")


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """One line for each epoch."""
    with atomic(path) as name, open(name, "w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in rows for name in row))
        writer.writeheader()
        writer.writerows(rows)
