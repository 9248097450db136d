"""Files written whole or not at all, and what may be said of names from outside."""

import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be removed, which serves as well
    fcntl = None  # type: ignore[assignment]

__all__ = ["printable", "atomic", "check_target", "regular_file"]

NAME_MAX = 255  # bytes of a file's name: Linux, macOS and Windows agree
BYTES_MAX = 4 * 2**30  # the largest array that is made or written


def printable(name: str | Path) -> str:
    """A name from outside that cannot break a line or drive a terminal: controls are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


@contextmanager
def atomic(path: str | Path) -> Iterator[str]:
    """A temporary name beside path; renamed to path when the block ends well, removed otherwise.

    A crash or a full disk in between leaves the old file whole. Folders are made as needed, a
    file that is replaced hands on its mode, and what a killed writer left behind is removed.
    """
    check_target(path)
    path = Path(os.path.realpath(path))  # a link goes on leading to the file
    handle, name = _temporary(path)
    try:
        yield name
        os.fsync(handle)
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        if not fcntl:
            os.close(handle)
        os.replace(name, path)
    except BaseException:
        _discard(handle, name)
        raise
    if fcntl:
        os.close(handle)


def _temporary(path: Path) -> tuple[int, str]:
    """An open file beside path, locked as long as its writer lives, and its name."""
    prefix = f".{path.name[:40]}.unfinished-"  # no name that a user would give
    for left in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        if left.is_file():
            _remove_left_behind(left)
    while True:
        handle, name = tempfile.mkstemp(".tmp", prefix, path.parent)
        _lock(handle, 0)
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # removed before it was locked


def _remove_left_behind(name: Path) -> None:
    # Whose writer was killed: nobody holds the lock. Windows does not remove an open file.
    with suppress(OSError):
        if not fcntl:
            os.unlink(name)
            return
        handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW)
        if _lock(handle, fcntl.LOCK_NB):
            os.unlink(name)
        os.close(handle)


def _lock(handle: int, how: int) -> bool:
    """Is the file ours now? Some network drives know no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
    except (OSError, AttributeError):
        return False
    return True


def _discard(handle: int, name: str) -> None:
    with suppress(OSError):
        os.close(handle)
    Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def regular_file(path: str | Path) -> Path:
    """The path, if it is a regular file that is not empty: a pipe would hang a reader for ever."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{printable(path)}: no such file")
    if not path.is_file():
        raise ValueError(f"{printable(path)}: expected a file, this is a folder or a device")
    if not path.stat().st_size:
        raise ValueError(f"{printable(path)}: the file is empty")
    return path


def check_target(path: str | Path | None) -> None:
    """Raise OSError now if a file could not be written at path later; None passes."""
    if path is None:
        return
    shown, path = printable(path), Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"{shown}: expected a file to write, this is a folder")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise PermissionError(f"{shown}: expected a file to write, this is a device or a pipe")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(f"{shown}: the file is write-protected")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _discard(*_temporary(path))  # asks the system itself: root may write, and yet not to /proc
        if len(os.fsencode(path.name)) > NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise type(error)(f"{shown}: cannot be written ({error.strerror})") from None
