"""Writing so that nothing is ever half-written: every file appears under its final name only when it is whole.

What the operating system refuses is told in one line, with what to do.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from landslip.errors import MissingInputError, OutputError
from landslip.files import places

UNFINISHED = ".writing-"
"""How temporary folders begin that hold what is not whole yet."""


@contextlib.contextmanager
def writing(what: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's refusals into one clear line about ``what``.

    Raises
    ------
    OutputError
        Disk full, no permission, read-only file system, or not a folder.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError | MissingInputError):
            raise
        remedies = {
            errno.ENOSPC: "the disk is full; free some space or choose another --out",
            errno.EDQUOT: "the disk quota is used up; free some space or choose another --out",
            errno.EACCES: "no permission to write there; choose another --out",
            errno.EPERM: "no permission to write there; choose another --out",
            errno.EROFS: "the file system is read-only; choose another --out",
            errno.EEXIST: "part of the path is a file, not a folder; choose another --out",
            errno.ENOTDIR: "part of the path is a file, not a folder; choose another --out",
            errno.ENAMETOOLONG: "the name is too long; choose another --out",
            errno.ELOOP: "the path is a circle of links; choose another --out",
        }
        remedy = remedies.get(error.errno or 0)
        if remedy is None:
            raise
        message = f"cannot write {os.fspath(what)}: {remedy}"
        raise OutputError(message) from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it to ``path`` when the block ends well.

    On any error the temporary file or folder is removed and ``path`` is left as it was. The temporary
    name keeps the suffix, so drivers that look at it work.

    Parameters
    ----------
    path
        Final name. Its parent folder is made when absent.

    Yields
    ------
    pathlib.Path
        Where to write. The file system is the same as that of ``path``.
    """
    final = Path(path)
    make_folder(final.parent)
    folder = _beside(final)
    try:
        temporary = folder / final.name
        with writing(final):
            yield temporary
            if temporary.is_dir() and final.is_dir():
                shutil.rmtree(final)
            temporary.replace(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(final: Path) -> Path:
    """Make the temporary folder in which a file is written."""
    with writing(final):
        try:
            return Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{final.stem[:40]}-", dir=final.parent))
        except FileNotFoundError as error:  # a virtual file system
            message = f"cannot write {final}: the path leads nowhere; choose another --out"
            raise OutputError(message) from error


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a place where :func:`atomic_path` could not write, before what takes long; nothing is left there.

    Parameters
    ----------
    path
        Name of the file, or of a new folder, that shall be written.

    Raises
    ------
    OutputError
        What is in the way.
    """
    final = Path(path)
    made = make_folder(final.parent)
    try:
        if final.suffix and final.is_dir():
            message = f"cannot write {final}: is a folder; choose another --out"
            raise OutputError(message)
        _beside(final).rmdir()
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8, as given) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], content: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON atomically, with keys in the given order and NaN refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def keep_inputs(outputs: Iterable[Path], inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Refuse to write over what is read.

    Parameters
    ----------
    outputs
        Files that shall be written.
    inputs
        Files that are read; addresses, and None for what was not given, are passed over.

    Raises
    ------
    OutputError
        One is the other, whatever it is called there.
    """
    there = [path for path in outputs if places.address_of(path) is None and path.exists()]
    for one in inputs:
        if one is None or places.address_of(one) or not os.path.exists(one):  # noqa: PTH110 - may be of any kind
            continue
        for path in there:
            if path.samefile(one):
                message = f"{os.fspath(one)}: is read here, and would be written over; choose another --out"
                raise OutputError(message)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the new ones, innermost first.

    Raises
    ------
    OutputError
        It is a file, an address, or cannot be made.
    """
    if places.address_of(folder):
        place = places.shown(folder)
        message = f"cannot write to {place}: this is written to disk alone; choose another --out, and copy it"
        raise OutputError(message)
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            message = f"{folder}: is a file, not a folder; choose another --out"
            raise OutputError(message)
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, FileExistsError) as error:  # a virtual file system, a link to nothing
            message = f"cannot make the folder {folder}: the path leads nowhere; choose another --out"
            raise OutputError(message) from error
        return new
