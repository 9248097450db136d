"""What the commands share: plain output on every terminal, and a mistake as one line."""

import io
import linecache
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import typer

from datasets import many
from datasets.store.files import printable

__all__ = [
    "CONTEXT", "SETTINGS", "option", "number", "program", "say", "warn", "one_line_errors",
    "run",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]

# Plain ASCII help; --batch-size is understood as --batch_size.
CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("-", "_"),
    "max_content_width": 100,
}
SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": CONTEXT,
}


def option(*names: str, help: str, **settings: Any) -> Any:
    """An option whose default the help does not show: there is none, or the text names it."""
    return typer.Option(*names, help=help, **{"show_default": False, **settings})


def number(name: str, least: int, help: str, **settings: Any) -> Any:
    """An option that takes a whole number of least or more."""
    return typer.Option(name, min=least, metavar="N", help=help, **settings)


# --- output ---------------------------------------------------------------------


def program() -> str:
    """The command as it was called: functional_net.py, or cnn for python -m cnn."""
    called = Path(sys.argv[0])
    return called.parent.name if called.stem == "__main__" else called.name


def say(line: str = "") -> None:
    """Print; where nobody reads on (| head -1) or the disk is full, the work goes on in silence."""
    try:
        print(line, flush=True)
    except OSError as error:
        sys.stdout = _nowhere()
        if not isinstance(error, BrokenPipeError):
            warn(f"nothing more is shown ({error})")


def warn(line: str) -> None:
    """Tell on stderr, after the name of the command."""
    line = "\n  ".join(map(printable, line.split("\n  ")))  # only a list of files has such lines
    try:
        print(f"{program()}: {line}", file=sys.stderr, flush=True)
    except OSError:  # nobody reads it: no reason to stop
        sys.stderr = _nowhere()


def _nowhere() -> TextIO:
    # In the place of a closed stream (>&-), which Python shows as None.
    return open(os.devnull, "w")


# --- mistakes -------------------------------------------------------------------


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A mistake inside the block becomes one line on stderr: exit 2; diverged training exits 1."""
    try:
        yield
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our pipe went away: nobody to tell
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        warn("stopped")
        raise SystemExit(130) from None
    except Exception as error:
        warn(explained(error))
        raise SystemExit(1 if isinstance(error, FloatingPointError) else 2) from None


def explained(error: Exception) -> str:
    """The message alone where our code refused an input; else with file, line and source.

    So a mistake in an edited functional_net.py reads
    functional_net.py:136: dW2 = A1 @ dlogits: ValueError: matmul: ...
    """
    if hasattr(error, "format_message"):  # typer: a wrong option
        return str(error.format_message())
    message = str(error) or type(error).__name__
    path, line = _innermost(error.__traceback__)
    source = linecache.getline(path, line).strip()
    refusals = (ValueError, TypeError, OSError, MemoryError, RuntimeError, FloatingPointError)
    refused = isinstance(error, refusals) and not isinstance(error, NotImplementedError)
    if refused and (source.startswith("raise ") or "datasets" in Path(path).parts):
        return message
    kind = "" if message == type(error).__name__ else f"{type(error).__name__}: "
    message = " ".join(message.split())
    return f"{os.path.relpath(path, ROOT)}:{line}: {source}: {kind}{message}"


def _innermost(traceback: TracebackType | None) -> tuple[str, int]:
    # The file and line in our sources that is nearest to the error.
    place = ("", 0)
    while traceback:
        path = traceback.tb_frame.f_code.co_filename
        if Path(path).is_relative_to(ROOT) and ".venv" not in path:
            place = path, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def run(command: Callable[..., Any]) -> None:
    """Run a typer app, or a function as one; nothing that a user hands in ends in a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by datasets/start.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks appears as an escape
            stream.reconfigure(errors="backslashreplace")
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer(**SETTINGS)
        app.command()(command)
    with many.joined(), one_line_errors(), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        warnings.simplefilter("default", UserWarning)  # from the readers: one line each
        name = program()
        called = f"python {name}" if name.endswith(".py") else f"python -m {name}"
        code = app(standalone_mode=False, prog_name=called)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        raise SystemExit(code)
