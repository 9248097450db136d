"""Ctrl-C, and the signals that end a session: the step in progress ends first."""

import signal
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """with Interrupts() as interrupts: inside, a signal ends the run, at once or after a step.

    While training is True the signal only sets pending; a second one ends the run at once. SIGHUP
    stays ignored after nohup; SIGINT counts even where a script starts the run with & behind it.
    """

    training = pending = False

    def __enter__(self) -> "Interrupts":
        self._before = {
            stop: signal.signal(stop, self._arrived)
            for stop in STOPS
            if stop == signal.SIGINT or signal.getsignal(stop) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: Any) -> None:
        for stop, handler in self._before.items():
            signal.signal(stop, handler)

    def _arrived(self, stop: int, frame: FrameType | None) -> None:
        if not self.training or self.pending:
            raise KeyboardInterrupt
        self.pending = True
