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

from gradcheck.learn.handout import BLANK

__all__ = ["Learner", "Trouble"]

ORACLE = Path(__file__).with_name("oracle.py")
HOME = ORACLE.parents[2]
MEMORY = 1 << 31  # bytes
ANSWER = 1 << 24  # bytes in one answer, at most


class Trouble(Exception):
    """The learner's code did not answer; the message is for the learner."""

    def __init__(self, said: str, line: int | None = None, code: str = ""):
        super().__init__(f"line {line}: {code}: {said}" if line else said)
        self.line = line


class Learner:
    """ask(scope, code, arrays) -> what the code calls `out`, computed in the learner's process.

    seconds is for the file; one answer may take a quarter of it.
    """

    def __init__(self, path: Path, seconds: float = 60.0):
        self.path, self.patience, self.end = path, seconds / 4, time.monotonic() + seconds
        self.seed = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4])  # no table helps
        self.process: subprocess.Popen[str] | None = None
        self.asked = np.inf  # when the question was put that has no answer yet

    def __enter__(self) -> "Learner":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> subprocess.Popen[str]:
        """A new process; in the learner's file a blank gets a value that counts as missing."""
        arguments = ORACLE, self.path, HOME, MEMORY, BLANK.pattern
        process = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            encoding="utf-8", errors="replace", env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdout
        process.stdout.readline()  # it is there, and has not looked at the file yet
        threading.Thread(target=self.watch, args=[process], daemon=True).start()
        return process

    def watch(self, process: subprocess.Popen[str]) -> None:
        """End a process that does not answer."""
        while process.poll() is None:
            if self.late:
                process.kill()
            time.sleep(0.05)

    @property
    def late(self) -> bool:
        return time.monotonic() > self.asked + self.patience

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, scope: int, code: str, given: dict[str, Any]) -> dict[str, Any]:
        """Raises Trouble when the code fails, blocks, ends, or answers with something else."""
        if time.monotonic() > self.end:
            raise Trouble("not asked any more: the time for this file is used up")
        arrays = {name: array.tolist() for name, array in given.items()}
        self.process = process = self.process or self.start()
        self.asked = time.monotonic()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps({"scope": scope, "code": code, "given": arrays}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline(ANSWER)
        except OSError:
            line = ""
        late, self.asked = self.late, np.inf
        if not line.endswith("\n"):
            self.stop()
            said = "the process ended by itself (os._exit, or out of memory?)"
            raise Trouble("stopped: it takes too long, an endless loop?" if late else said)
        return self.read(line)

    def read(self, line: str) -> dict[str, Any]:
        """Arrays by name, None for a blank."""
        try:
            reply = json.loads(line)
            if "error" in reply:
                raise Trouble(str(reply["error"]), reply["line"], str(reply["code"]))
            out = reply["out"].items()
            return {k: None if v is None else np.array(v, float) for k, v in out}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.stop()
            raise Trouble("the answer is no answer: something else was written") from None
