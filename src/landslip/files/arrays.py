"""Archives of arrays (``.npz``), of which a damaged one gives one line whatever in it is damaged."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from landslip.errors import FormatError, LandslipError

_DAMAGE = (
    OSError, EOFError, KeyError, ValueError,
    RuntimeError,  # a flipped bit in the version, method or encryption of a member
    SyntaxError, tokenize.TokenError, OverflowError, MemoryError,  # in the head of an array
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


@contextmanager
def open_arrays(path: Path, damaged: str) -> Iterator[Any]:
    """Open an archive of arrays; what fails while it is open is told as ``damaged``.

    Parameters
    ----------
    path
        The file.
    damaged
        What is said of one that is absent, cut off or damaged, or lacks an array: what, and what to do about it.

    Yields
    ------
    numpy.lib.npyio.NpzFile
        Its arrays by name, each read when asked for; nothing is unpickled.

    Raises
    ------
    FormatError
        ``path: damaged``.
    """
    try:
        if not zipfile.is_zipfile(path):  # a single array would load, too
            raise zipfile.BadZipFile
        # opened here, since numpy leaves the file open when it is no archive
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as content:
            yield content
    except _DAMAGE as error:
        if isinstance(error, LandslipError):
            raise
        message = f"{path}: {damaged}"
        raise FormatError(message) from error
