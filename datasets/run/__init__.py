"""One training run from the command line: options, progress, checkpoints, report."""
