"""The process in which a learner's file runs: it answers questions, and judges nothing.

Started by learner.py as a program of its own. Each question is a piece of code and its arrays,
one line of JSON; so is each answer. The learner's prints go nowhere, its writes are refused, and
the modules that our own files import (`datasets`) are stand-ins, so that none of ours runs here.
"""

import ast
import importlib.abc
import importlib.machinery
import json
import os
import sys
import time
import tokenize
import traceback
from numbers import Real
from types import ModuleType
from typing import Any, TextIO

import numpy as np

FORBIDDEN = (
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.startfile",
    "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod",
    "os.kill", "shutil.", "socket.", "ctypes.dlopen", "pty.", "sys.remote_exec",
)  # fmt: skip
FILE_SIZE = 1 << 20


class Inert:
    """Stands for anything of ours: a call gives back what was handed over, words left out."""

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


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `datasets` and what is in it, as inert modules."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        ours = fullname.split(".")[0] == "datasets"
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if ours else None

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = lambda name: Inert()  # type: ignore[method-assign]


def guard(home: str, own: str) -> None:
    """From now on nothing is written or started, and none of our sources is opened."""

    def watch(event: str, args: tuple) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is refused while your file is marked")
        if event != "open" or not isinstance(args[0], str | bytes | os.PathLike):
            return
        path, mode = os.path.realpath(os.fsdecode(args[0])), str(args[1] or "r")
        flags = args[2] or 0 if isinstance(args[2], int) else 0
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(f"writing to {path} is refused while your file is marked")
        inside = path.startswith(home + os.sep) and not path.startswith(sys.prefix)
        if inside and path != own and path.endswith((".py", ".pyc", ".ipynb")):
            raise PermissionError(f"only your own file is read while it is marked, not {path}")

    sys.addaudithook(watch)


def limit(memory: int) -> None:
    """Where the system can: memory in bytes, size of files, processes."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of the parent still holds
        return
    for name, most in (("AS", memory), ("FSIZE", FILE_SIZE), ("CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        except (OSError, ValueError):
            continue


class Missing(np.lib.mixins.NDArrayOperatorsMixin):
    """The value of a blank: whatever is computed from it is missing, too."""

    def __array_ufunc__(self, *_: Any, **__: Any) -> "Missing":
        return self

    __array_function__ = __call__ = __getitem__ = __getattr__ = __array_ufunc__

    def __float__(self) -> float:
        return float("nan")

    def __iter__(self) -> Any:
        return iter(())


class Blanks(ast.NodeTransformer):
    """`dW = ...` and `return ...` give the missing value."""

    def fill(self, node: Any) -> Any:
        for inside in ast.walk(node.value) if node.value else ():
            first = inside.elts[0] if isinstance(inside, ast.Tuple) and inside.elts else inside
            if inside is node.value and isinstance(first, ast.Constant) and first.value is ...:
                name = ast.copy_location(ast.Name("__missing__", ast.Load()), first)
                if first is inside:
                    node.value = name
                else:
                    inside.elts[0] = name
        return node

    visit_Assign = visit_AugAssign = visit_Return = fill


def load(path: str) -> dict[str, Any]:
    """The names of the learner's file, run under another name than __main__."""
    with tokenize.open(path) as file:
        source = file.read()
    module = ModuleType("learner")
    module.__file__ = path
    module.__dict__["__missing__"] = Missing()
    sys.modules["learner"] = module
    tree = Blanks().visit(ast.parse(source, path))
    exec(compile(tree, path, "exec"), module.__dict__)
    return module.__dict__


def packed(value: Any) -> Any:
    """As JSON: arrays as lists, "..." for a blank, dictionaries and tuples entry by entry."""
    if value is None or value is ... or isinstance(value, Missing):
        return {"blank": True}
    if isinstance(value, dict):
        return {"dict": {str(k): packed(v) for k, v in value.items()}}
    array = np.asarray(value, float)
    return {"array": array.tolist(), "shape": array.shape}


def unpacked(value: Any) -> Any:
    """A list as an array that raises where it is written to."""
    if not isinstance(value, list):
        return value
    array = np.array(value, float)
    array.flags.writeable = False
    return array


def trouble(error: BaseException, path: str) -> dict[str, Any]:
    """What went wrong: the error, and the last line of the learner's file that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    line, code = (frames[-1].lineno, frames[-1].line) if frames else (None, "")
    if isinstance(error, SyntaxError) and error.filename == path:
        line, code = error.lineno, (error.text or "").strip()
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
    return {"error": said, "line": line, "code": (code or "")[:100]}


def answer(question: dict[str, Any], names: dict[str, Any], scopes: dict[int, dict]) -> Any:
    """Run the code with the arrays at hand; what it calls `out` is the answer.

    Questions of one scope see what the earlier ones of that scope have made.
    """
    scope = scopes.pop(question["scope"], None) or {**names, "np": np}
    while len(scopes) > 50:
        del scopes[next(iter(scopes))]
    scopes[question["scope"]] = scope
    scope.update({name: unpacked(value) for name, value in question["given"].items()})
    exec(question["code"], scope)
    return packed(scope["out"])


def serve(path: str, questions: TextIO, answers: TextIO) -> None:
    names: dict[str, Any] | None = None
    scopes: dict[int, dict] = {}
    for line in questions:
        begun = time.process_time()
        try:
            if names is None:
                names = load(path)
            reply: dict[str, Any] = {
                "values": [answer(question, names, scopes) for question in json.loads(line)]
            }
        except BaseException as error:  # also SystemExit: the file may not end the process
            reply = trouble(error, path)
        reply["cpu"] = time.process_time() - begun
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def main() -> None:
    path, home, memory = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    questions, sys.stdin = sys.stdin, os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.meta_path.insert(0, StandIns())
    sys.argv, sys.dont_write_bytecode = [path], True
    limit(int(memory))
    np.random.default_rng(0).random()  # loads what numpy loads late
    guard(home, path)
    with np.errstate(all="ignore"):
        serve(path, questions, answers)


if __name__ == "__main__":
    main()
