"""One training run from the command line: options, progress, checkpoints, report."""

from datasets.run.options import command
from datasets.run.run import Run

__all__ = ["Run", "command"]
