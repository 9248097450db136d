"""Ctrl-C while one of the commands is still importing ends it, without Python's traceback.

A KeyboardInterrupt inside an import may be taken for a failed import, or be lost. So the signal
ends the process itself, until datasets.run.console takes over. Each program imports this first.
"""

import _signal  # type: ignore[import-not-found]  # signal without enums, which take 10 ms to make
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = {os.path.join(ROOT, name) for name in ("functional_net.py", "net.py")}
MODULES = {"cnn", "datasets"}


def is_command(words: list[str]) -> bool:
    """Is this how Python was called: python functional_net.py, or python -m cnn?"""
    first, second = [*words[1:3], "", ""][:2]
    return os.path.abspath(first) in PROGRAMS or (first == "-m" and second in MODULES)


if is_command(sys.orig_argv):
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
