"""What every sub-command does around its work: errors in one line, exit codes, progress, results."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import typer

from landslip.cli.bars import listener
from landslip.errors import LandslipError
from landslip.files.places import shown
from landslip.progress import SILENT, Progress

PROBLEM, INTERNAL, INTERRUPTED = 1, 70, 130
"""Exit codes beside 0 (done) and 2 (wrong usage, by Typer)."""


class Console:
    """Where a sub-command prints: results on standard output, everything else on standard error."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self.progress: Progress = SILENT if quiet else listener()

    def say(self, text: str) -> None:
        """Print a remark on standard error, unless quiet."""
        if not self.quiet:
            typer.echo(text, err=True)

    def result(self, content: dict[str, Any], text: str) -> None:
        """Print the result: ``content`` as JSON when that was asked for, else ``text``."""
        if self.as_json:
            typer.echo(json.dumps(content, ensure_ascii=False, allow_nan=False))
        elif not self.quiet:
            typer.echo(shown(text))


@contextlib.contextmanager
def session(*, quiet: bool = False, debug: bool = False, as_json: bool = False) -> Iterator[Console]:
    """Run a sub-command's body: set up logging, turn errors into one line and an exit code.

    Raises
    ------
    typer.Exit
        1 for a problem with the input, 70 for an internal error, 130 when interrupted. With ``debug``
        the exception itself goes through, with its traceback.
    """
    try:
        with _logging(quiet=quiet, debug=debug):
            yield Console(quiet=quiet, as_json=as_json)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command with --resume where it is offered", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except LandslipError as error:
        if debug:
            raise
        typer.echo(f"error: {_in_one_line(error)}", err=True)
        raise typer.Exit(PROBLEM) from None
    except Exception as error:
        if debug:
            raise
        if _is_out_of_memory(error):
            typer.echo(
                f"error: not enough memory ({_in_one_line(error)}); give less work at a time (smaller batch, tile or "
                "scene), or take a machine with more",
                err=True,
            )
            raise typer.Exit(PROBLEM) from None
        typer.echo(
            f"internal error: {type(error).__name__}: {_in_one_line(error)}; run again with --debug and report it",
            err=True,
        )
        raise typer.Exit(INTERNAL) from None


def _is_out_of_memory(error: Exception) -> bool:
    # torch has a class of its own for GPUs alone; on a CPU its allocator raises a bare RuntimeError
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in words)
    )


def _in_one_line(error: BaseException) -> str:
    return shown(" ".join(str(error).split()))


@contextlib.contextmanager
def _logging(*, quiet: bool, debug: bool) -> Iterator[None]:
    """Send our remarks to standard error while a command runs; leave a caller's logging as it was."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s" if debug else "%(levelname)s: %(message)s"))
    ours = logging.getLogger("landslip")
    before = ours.handlers, ours.propagate, ours.level
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.DEBUG if debug else logging.ERROR if quiet else logging.WARNING)
    try:
        with warnings.catch_warnings():
            if not debug:  # other libraries' warnings are for developers
                warnings.simplefilter("ignore")
            yield
    finally:
        ours.handlers, ours.propagate = before[:2]
        ours.setLevel(before[2])


__all__ = ["Console", "session"]
