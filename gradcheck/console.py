"""What the command prints, and how any error ends: one line and exit 2, never a traceback."""

import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

__all__ = ["say", "warn", "where", "told", "run", "SETTINGS"]

HERE = Path(__file__).resolve().parent
LIBRARIES = tuple({str(Path(sysconfig.get_paths()[k]).resolve()) for k in ("stdlib", "purelib")})
SETTINGS: dict[str, Any] = {  # of typer: plain ASCII help; --no-dx is understood as --no_dx
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
    """file.py:17: the code of that line; the innermost line that is no library's and not ours."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    frames = [list(traceback.extract_tb(e.__traceback__)) for e in reversed(chain)]
    theirs = [f for stack in frames for f in reversed(stack) if _is_theirs(f.filename)]
    usual = [f for stack in frames for f in reversed(stack)]
    if not (theirs or usual):
        return "nowhere"
    frame = (theirs or usual)[0]
    line = f": {frame.line}" if frame.line else ""
    return f"{Path(frame.filename).name}:{frame.lineno}{line}"


def _is_theirs(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    inside = HERE in path.parents and "site-packages" not in path.parts[len(HERE.parts) :]
    return not inside and not str(path).startswith(LIBRARIES)


def told(error: BaseException) -> str:
    """An error as a sentence: what a check of our own says, or what was raised, and where."""
    if hasattr(error, "format_message"):  # typer: a wrong option
        return str(error.format_message())
    if type(error).__name__ == "CannotCheck":
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        source = (error.text or "").strip()
        return f"{Path(error.filename).name}:{error.lineno}: {source}: {error.msg}"
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{where(error)}: {type(error).__name__}{': ' * bool(said)}{said}"


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
