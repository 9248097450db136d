"""A progress bar on a terminal and in a notebook, nothing on a pipe."""

import sys
import time
from typing import Any

__all__ = ["Bar"]


class Bar:
    """with Bar(title, total) as bar: ...; if bar.due(): bar.show(done, figures)."""

    def __init__(self, title: str, total: int):
        self.title, self.total = title, total

    def __enter__(self) -> "Bar":
        self.bar, self.shown = None, time.monotonic()
        if sys.stdout.isatty() or "ipykernel" in sys.modules:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.table import Column

            # Where the terminal is narrow the figures are cut off first, and the number of the
            # epoch last; the usual ellipsis is no ASCII.
            title = Column(no_wrap=True, overflow="crop", min_width=len(self.title))
            left, figures = (Column(no_wrap=True, overflow="crop") for _ in range(2))
            self.bar = Progress(
                TextColumn("{task.description}", table_column=title),
                BarColumn(bar_width=20),
                TimeRemainingColumn(table_column=left),
                TextColumn("{task.fields[figures]}", table_column=figures),
                transient=True,
                auto_refresh=False,
            )
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=self.total, figures="")
        return self

    def due(self) -> bool:
        """Ten times a second: showing it costs more than a step of a small net."""
        return self.bar is not None and time.monotonic() - self.shown > 0.1

    def show(self, done: int, figures: str = "") -> None:
        if self.bar:
            self.shown = time.monotonic()
            self.bar.update(self.task, completed=done, figures=figures)
            self.bar.refresh()

    def __exit__(self, *_: Any) -> None:
        if self.bar:
            self.bar.stop()
