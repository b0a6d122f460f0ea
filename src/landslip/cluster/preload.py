"""Loaded by the workers that we start ourselves (``local:N``)."""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the command that started the worker: it ends its workers in order."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
