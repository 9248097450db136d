"""A learner's file in a process of its own, behind a pipe: ask, and wait no longer than allowed."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Learner", "Trouble", "Blank"]

ORACLE = Path(__file__).with_name("oracle.py")
HOME = ORACLE.parents[2]
ANSWER = 1 << 24  # bytes in one answer, at most
PATIENCE = 15.0  # seconds for one answer, on a machine that may have other work


class Trouble(Exception):
    """The learner's code did not answer; the message is for the learner."""

    def __init__(self, said: str, line: int | None = None, code: str = ""):
        super().__init__(said)
        self.line, self.code = line, code


class Blank:
    """What stands where nothing was filled in."""


class Learner:
    """ask(code, arrays) -> what the code calls `out`, computed in the learner's own process."""

    def __init__(self, path: Path, seconds: float = 20.0, memory: int = 1 << 31):
        self.path, self.memory, self.left = path, memory, seconds  # of the processor
        self.end = time.monotonic() + 10 * seconds  # of the clock: the machine may be busy
        self.seed = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4])  # no table helps
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Learner":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-W", "ignore", str(ORACLE), str(self.path), str(HOME)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, str(self.memory)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL,
            encoding="utf-8", errors="replace", start_new_session=os.name == "posix",
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
            self.process.wait()
            self.process = None

    def ask(self, scope: int, code: str, given: dict[str, Any]) -> Any:
        """Raises Trouble when the code fails, blocks, ends, or answers with something else."""
        return self.ask_all([(scope, code, given)])[0]

    def ask_all(self, questions: list[tuple[int, str, dict[str, Any]]]) -> list[Any]:
        """Several questions at once: one trip to the process and back."""
        if self.left <= 0 or time.monotonic() > self.end:
            raise Trouble("not asked any more: the time for this file is used up")
        packed = [
            {"scope": scope, "code": code, "given": {k: v.tolist() for k, v in given.items()}}
            for scope, code, given in questions
        ]
        line = self._exchange(json.dumps(packed) + "\n")
        try:
            reply = json.loads(line)
            if "error" in reply:
                raise Trouble(reply["error"], reply["line"], reply["code"])
            self.left -= max(0.0, float(reply["cpu"]))
            return [opened(value) for value in reply["values"]]
        except (ValueError, TypeError, KeyError, AttributeError):
            self.stop()
            raise Trouble("the answer is no answer: something else was written") from None

    def _exchange(self, question: str) -> str:
        self.process = self.process or self.start()
        process, late = self.process, threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(min(self.left + 5, PATIENCE), kill)
        timer.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(question)
            process.stdin.flush()
            line = process.stdout.readline(ANSWER)
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            self.stop()
            self.left -= PATIENCE if late.is_set() else 0
            said = "the process ended by itself (os._exit, or out of memory?)"
            raise Trouble("stopped: it takes too long, an endless loop?" if late.is_set() else said)
        return line


def opened(reply: Any) -> Any:
    """Arrays, blanks and dictionaries out of an answer."""
    if "dict" in reply:
        return {name: opened(value) for name, value in reply["dict"].items()}
    if "blank" in reply:
        return Blank()
    array = np.array(reply["array"], float)
    if array.shape != tuple(reply["shape"]):
        raise ValueError("the shape is not that of the numbers")
    return array
