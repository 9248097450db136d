"""What the command prints, and how any error ends: one line and exit 2, never a traceback."""

import _thread
import contextlib
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradcheck.core import CannotCheck

__all__ = ["say", "warn", "where", "told", "time_limit", "run", "SETTINGS", "LIBRARIES"]

HERE = Path(__file__).resolve().parent
LIBRARIES = tuple({str(Path(sysconfig.get_paths()[k]).resolve()) for k in ("stdlib", "purelib")})
SETTINGS: dict[str, Any] = {  # of typer: plain ASCII help; --batch-size is --batch_size
    "rich_markup_mode": None,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("-", "_"),
        "max_content_width": 80,
    },
}


def say(text: str = "") -> None:
    """Print, whatever the terminal's encoding: what it cannot show appears as an escape."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def warn(text: str) -> None:
    """One line on stderr."""
    line = " ".join(text.split())
    print(f"gradcheck: {line.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr)


def where(error: BaseException) -> str:
    """file.py:17: the code of that line."""
    frame = _frame(error)
    if frame is None:
        return "nowhere"
    line = f": {frame.line}" if frame.line else ""
    return f"{Path(frame.filename).name}:{frame.lineno}{line}"


def _frame(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost line that is no library's and not ours, of the first cause that has one."""
    frames: list[traceback.FrameSummary] = []
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        frames = [*traceback.extract_tb(error.__traceback__)[::-1], *frames]
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return next((f for f in frames if _is_theirs(f.filename)), frames[0] if frames else None)


def _is_theirs(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    inside = HERE in path.parents and "site-packages" not in path.parts[len(HERE.parts) :]
    return not inside and not str(path).startswith(LIBRARIES)


def told(error: BaseException) -> str:
    """An error as a sentence.

    A check of our own says what was expected and what came; all else is told with file, line and
    source, as in functional_net.py:136: dW2 = A1 @ dlogits: ValueError: ...
    """
    if hasattr(error, "format_message"):  # typer: a wrong option
        return str(error.format_message())
    said = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, CannotCheck):
        return said
    if isinstance(error, SyntaxError) and error.filename:
        source = (error.text or "").strip()
        return f"{Path(error.filename).name}:{error.lineno}: {source}: {error.msg}"
    frame = _frame(error)
    if frame and (frame.line or "").startswith("raise ValueError("):
        return said
    if isinstance(error, OSError) and error.filename and not (frame and _is_theirs(frame.filename)):
        return f"{error.filename}: {error.strerror}"
    return f"{where(error)}: {type(error).__name__}{': ' * bool(said)}{said}"


class _TimeUp(BaseException):
    """Not an Exception, so that no code under test catches it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """CannotCheck, with the line that was running, if the block takes longer."""
    fired = threading.Event()

    def stop(*_: Any) -> None:
        raise _TimeUp if fired.is_set() else KeyboardInterrupt

    def fire() -> None:
        fired.set()
        _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, stop)
    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except _TimeUp as error:
        raise CannotCheck(
            f"no verdict within {seconds:g} s: a loop without an end? ({where(error)}; "
            "--seconds 600 waits longer)"
        ) from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def run(app: Any, name: str, args: list[str]) -> None:
    """Run a command. Exit 0 right, 1 wrong, 2 no verdict: whatever is raised is one line."""
    try:
        code = app(args, standalone_mode=False, prog_name=name)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader went away: nobody to tell
        sys.stderr.close()
        code = 2
    except Exception as error:
        warn(told(error))
        code = 2
    if code == 130:
        warn("stopped")
    raise SystemExit(code)
