"""One training run from the command line: options, progress, checkpoints, report."""

from datasets.run.loop import Run
from datasets.run.options import command

__all__ = ["Run", "command"]
