"""One training run from the command line: options, progress, checkpoints, report."""

from datasets.run.command import command
from datasets.run.run import Run

__all__ = ["Run", "command"]
