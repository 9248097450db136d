"""The process in which a learner's file runs: it answers questions, and judges nothing.

Started by learner.py as a program of its own. Each question is a piece of code and its arrays,
one line of JSON; so is each answer. The learner's prints go nowhere, its writes are refused, and
the modules that our own files import (`datasets`) are stand-ins, so that none of ours runs here.
"""

import json
import os
import re
import sys
import tokenize
import traceback
from contextlib import suppress
from functools import cache
from numbers import Real
from types import CodeType, ModuleType
from typing import Any

import numpy as np

FORBIDDEN = (
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.startfile",
    "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod",
    "os.kill", "shutil.", "socket.", "ctypes.dlopen", "pty.", "sys.remote_exec",
)  # fmt: skip
FILE_SIZE = 1 << 20
SCOPES = 8  # how many are remembered: the checker looks at two at once


# --- the fence ------------------------------------------------------------------


class Inert:
    """Stands for `datasets` and all in it: a call gives back its arguments, words left out."""

    def __getattr__(self, name: str) -> "Inert":
        return self

    def __call__(self, *args: Any, **_: Any) -> Any:
        given = [a for a in args if not isinstance(a, str) and not callable(a)]
        if len(given) > 1 and all(isinstance(a, Real) for a in given):
            return tuple(given)
        return given[0] if given else self

    def __or__(self, other: Any) -> "Inert":
        return self

    __ror__ = __getitem__ = __or__

    def __iter__(self) -> Any:
        return iter(())


def guard(home: str, own: str) -> None:
    """From now on nothing is written or started, and no other file of ours is opened."""
    libraries = os.path.realpath(sys.prefix) + os.sep

    def watch(event: str, args: tuple) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is refused while your file is marked")
        if event != "open" or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path, mode = os.path.realpath(os.fsdecode(args[0])), str(args[1] or "r")
        flags = args[2] if isinstance(args[2], int) else 0
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(f"writing to {path} is refused while your file is marked")
        ours = path.startswith(home + os.sep) and not path.startswith(libraries)
        if path != own and (ours or path.startswith("/proc/")):
            raise PermissionError(f"only your own file is read while it is marked, not {path}")

    sys.addaudithook(watch)


def limit(memory: int) -> None:
    """Where the system can; on Windows the time limit of the parent still holds."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


# --- questions and answers --------------------------------------------------------


class Missing(np.lib.mixins.NDArrayOperatorsMixin):
    """The value of a blank: whatever is computed from it is missing, too."""

    def __array_ufunc__(self, *_: Any, **__: Any) -> "Missing":
        return self

    __array_function__ = __call__ = __getitem__ = __getattr__ = __array_ufunc__

    def __float__(self) -> float:
        return float("nan")

    def __iter__(self) -> Any:
        return iter(())


def load(path: str, blank: str) -> dict[str, Any]:
    """The names of the learner's file, run under another name than __main__."""
    with tokenize.open(path) as file:
        source = re.sub(blank, r"\1__missing__", file.read())
    module = ModuleType("learner")
    vars(module).update(__file__=path, __missing__=Missing())
    sys.modules["learner"] = module
    for ours in {"datasets", *re.findall(r"\bdatasets\.[\w.]*\w", source)}:
        sys.modules[ours] = Inert()  # type: ignore[assignment]
    exec(compile(source, path, "exec"), vars(module))
    return vars(module)


def packed(value: Any) -> Any:
    """As JSON: an array as a list, a blank as null."""
    blank = value is None or value is ... or isinstance(value, Missing)
    return None if blank else np.asarray(value, float).tolist()


def unpacked(values: list) -> np.ndarray:
    """A list as an array that raises where it is written to."""
    array = np.array(values, float)
    array.flags.writeable = False
    return array


@cache
def compiled(code: str) -> CodeType:
    return compile(code, "question", "exec")


def trouble(error: BaseException, path: str) -> dict[str, Any]:
    """What went wrong: the error, and the last line of the learner's file that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    line, code = (frames[-1].lineno, frames[-1].line) if frames else (None, "")
    if isinstance(error, SyntaxError) and error.filename == path:
        line, code = error.lineno, (error.text or "").strip()
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
    return {"error": said, "line": line, "code": (code or "")[:100]}


def answer(question: dict, names: dict[str, Any], scopes: dict[int, dict]) -> dict[str, Any]:
    """Run the code with the arrays at hand; what it calls `out` is the answer.

    Questions of one scope see what the earlier ones of that scope have made.
    """
    scope = scopes.pop(question["scope"], None) or {**names, "np": np}
    scopes[question["scope"]] = scope
    if len(scopes) > SCOPES:
        del scopes[next(iter(scopes))]
    scope.update({name: unpacked(values) for name, values in question["given"].items()})
    exec(compiled(question["code"]), scope)
    return {name: packed(value) for name, value in scope["out"].items()}


def main() -> None:
    path, home, memory, blank = sys.argv[1:]
    path = os.path.realpath(path)
    answers, questions = os.fdopen(os.dup(1), "w"), sys.stdin
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.argv, sys.dont_write_bytecode = [path], True
    limit(int(memory))
    np.random.default_rng(0).random()  # loads what numpy loads late
    guard(os.path.realpath(home), path)
    np.seterr(all="ignore")
    names: dict[str, Any] = {}
    scopes: dict[int, dict] = {}
    print(file=answers, flush=True)
    for line in questions:
        try:
            names = names or load(path, blank)
            reply = {"out": answer(json.loads(line), names, scopes)}
        except BaseException as error:  # also SystemExit: the file may not end the process
            reply = trouble(error, path)
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
