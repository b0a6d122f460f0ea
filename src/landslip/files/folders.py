"""Folders on disk that one process at a time works on, and that hold one kind of thing.

A folder is complete when its ``.json``, written last, is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from landslip.errors import OutputError
from landslip.files import places
from landslip.files.atomic import UNFINISHED, make_folder, writing

PARTIAL = ".partial"
"""Folder inside an output in which long work collects its parts."""


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str], *, mark: str | None = None) -> Iterator[Path]:
    """Hold an output folder (made when absent) for this process alone.

    The lock is the operating system's, so it goes with the process, however that ends. A folder that was made
    here and got nothing in it is taken away again.

    Parameters
    ----------
    folder
        The folder.
    mark
        The ``.json`` that will complete it: a folder that is complete as something else is refused.

    Raises
    ------
    OutputError
        Another process is working on the folder, it cannot be made, or it holds something else.
    """
    folder = Path(folder)
    if mark is not None:
        refuse_others(folder, mark)
    made = make_folder(folder)
    try:
        with _lock(folder):
            _sweep(folder)
            yield folder
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # not empty: what was done so far can be resumed
                path.rmdir()
        raise


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    path = folder / ".lock"
    with contextlib.ExitStack() as opened:
        held = False
        while not held:  # again where the file was another process's, taken away just now
            with writing(folder):
                handle = opened.enter_context(path.open("w"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = f"{folder}: another landslip process is working on it; wait for it or choose another --out"
                raise OutputError(message) from error
            with contextlib.suppress(FileNotFoundError):
                held = os.path.samestat(os.fstat(handle.fileno()), path.stat())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


_WORDS = {
    "event.json": "simulated event",
    "scene.json": "scene",
    "model.json": "run",
    "map.json": "map",
    "mosaic.json": "mosaic",
    "study.json": "study",
    "search.json": "search",
}


def refuse_others(folder: str | os.PathLike[str], mark: str) -> None:
    """Refuse to write one thing into another's folder: they have files of the same names.

    Parameters
    ----------
    folder
        Folder or address.
    mark
        The ``.json`` that completes what is to be written.

    Raises
    ------
    OutputError
        The folder is complete as something else.
    """
    there = (word for name, word in _WORDS.items() if name != mark and places.is_file(Path(folder) / name))
    other = next(there, None)
    if other is not None:
        message = f"{places.shown(folder)}: holds a finished {other}, which this would spoil; choose another --out"
        raise OutputError(message)


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written here; below, only where nobody else may be at work."""
    below = [path for path in folder.iterdir() if path.is_dir() and not (path / ".lock").exists()]
    for place in (folder, *(path for path in below if not path.name.startswith(UNFINISHED))):
        for left in place.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
