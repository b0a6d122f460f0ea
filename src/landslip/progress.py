"""How long work tells how far it is, without knowing who listens.

The command line passes a Rich progress bar; library users pass nothing and get silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One bar: work with a label and a known or unknown total."""

    def advance(self, amount: float = 1.0, *, note: str = "") -> None:
        """Say that ``amount`` more of the total is done, with an optional short note (a loss, a name)."""


class Progress(Protocol):
    """Whatever shows the bars."""

    def task(self, label: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Open a bar; it closes with the context."""


class _SilentTask:
    def advance(self, amount: float = 1.0, *, note: str = "") -> None:
        """Do nothing."""


class _Silent:
    @contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Task]:
        """Open a bar that nobody sees."""
        del label, total
        yield _SilentTask()


SILENT: Progress = _Silent()
"""The default listener: none."""
