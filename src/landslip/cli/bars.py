"""Progress on standard error: moving bars on a terminal, plain lines where it is a file or a pipe."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from landslip.progress import Progress, Task

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

EVERY_S = 60.0
"""Plain lines of one task are this far apart, its last one aside."""


def listener() -> Progress:
    """Return who shows the progress: bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """A line when a task ends, and one a minute while it lasts: what a log file is read for.

    Parameters
    ----------
    clock
        Seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Task]:
        """Open a task; its last line is left out where it ends with an error."""
        line = _Line(label, total, self._clock)
        yield line
        line.say()


class _Line:
    def __init__(self, label: str, total: float | None, clock: Callable[[], float]) -> None:
        self._label, self._total, self._clock = label, total, clock
        self._began = self._said = clock()
        self._done, self._note = 0.0, ""

    def advance(self, amount: float = 1.0, *, note: str = "") -> None:
        """Count, and say so once a minute."""
        self._done += amount
        self._note = note or self._note
        if self._clock() - self._said >= EVERY_S and self._done != self._total:
            self.say()

    def say(self) -> None:
        """Print how far it is: done of all, time taken, note."""
        self._said = self._clock()
        seconds = round(self._said - self._began)
        taken = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        # a task without a total that never counted has only its time to tell
        counted = [] if self._total is None and not self._done else [_of(self._done, self._total)]
        typer.echo(f"{self._label}: {', '.join([*counted, taken, *([self._note] if self._note else [])])}", err=True)


def _of(done: float, total: float | None) -> str:
    return f"{done:,.10g}" if total is None else f"{done:,.10g} of {total:,.10g}"


class _Bar:
    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: float = 1.0, *, note: str = "") -> None:
        """Move the bar."""
        if note:
            self._bars.update(self._task, advance=amount, note=note)
        else:
            self._bars.update(self._task, advance=amount)


class Bars:
    """Rich progress bars."""

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._depth = 0

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Task]:
        """Open a bar with the time taken and the time left."""
        bars = self._start()
        task = bars.add_task(label, total=total, note="")
        self._depth += 1
        try:
            yield _Bar(bars, task)
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._stop()

    def _start(self) -> RichProgress:
        if self._bars is None:
            from rich.console import Console as RichConsole
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as RichProgress

            self._bars = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=RichConsole(stderr=True),
            )
            self._bars.start()
        return self._bars

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


__all__ = ["Bars", "Lines", "listener"]
