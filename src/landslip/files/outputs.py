"""Output folders, on disk or on S3, each held by one process and complete only when its mark is there.

What goes to S3 is made in a working folder on disk and copied when it is whole, the ``.json`` that marks it complete
last. Kill it at any time: nothing half-made is ever under the address, and ``--resume`` on the same machine goes on
from the working folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from landslip.errors import FormatError, OutputError
from landslip.files import PARTIAL, locked, refuse_others, writing
from landslip.files.places import Place, address_of, fetch, is_file, read_bytes, told_as
from landslip.files.s3 import create, put, remove

log = logging.getLogger(__name__)

LOCK = ".lock"
"""Object under an address that says who works on it."""

CACHE = "LANDSLIP_CACHE"
"""Variable with the folder in which working folders lie; else ``~/.cache/landslip``."""


@contextlib.contextmanager
def output_folder(out: Place, mark: str, *, resume: bool = False, replace: bool = False) -> Iterator[Path]:
    """Hold an output for this process alone, and give the folder on disk to write to.

    Parameters
    ----------
    out
        Folder, or ``s3://`` address.
    mark
        Name of the ``.json`` that makes the output complete; it is copied last.
    resume
        Whether to keep what an interrupted process left in the working folder.
    replace
        Whether a finished output under the address is made anew; else its mark is put into the working folder, so
        that whoever writes sees it.

    Raises
    ------
    OutputError
        Another process works on it, it cannot be written to, or the address is not on S3.
    """
    address = address_of(out)
    if address is None:
        with locked(out, mark=mark) as folder:
            yield folder
        return
    address = address.rstrip("/")
    if not address.startswith("s3://"):
        message = f"cannot write {address}: outputs go to folders and s3:// addresses; choose another --out"
        raise OutputError(message)
    work = working_folder(address)
    with _held_here(work, address), _held_there(work, address), told_as(str(work), address):
        refuse_others(address, mark)
        if not resume:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        before = None if replace else _known_mark(work, address, mark)
        with locked(work) as folder:
            yield folder
        if before is None or (work / mark).read_bytes() != before:
            _upload(work, address, mark)
        shutil.rmtree(work)


def working_folder(address: str) -> Path:
    """Return the folder on disk in which the output for an address is made."""
    base = os.environ.get(CACHE) or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "landslip"
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return Path(base).resolve() / f"{address.rpartition('/')[2][:40]}-{digest}" / (address.rpartition("/")[2] or "out")


def _known_mark(work: Path, address: str, mark: str) -> bytes | None:
    """Put the mark of a finished output into the working folder, and return its content."""
    (work / mark).unlink(missing_ok=True)
    if not is_file(f"{address}/{mark}"):
        return None
    fetch(f"{address}/{mark}", work / mark, what="output")
    return (work / mark).read_bytes()


def _upload(work: Path, address: str, mark: str) -> None:
    names = sorted(
        path.relative_to(work).as_posix()
        for path in work.rglob("*")
        if path.is_file() and path.name != LOCK and PARTIAL not in path.parts
    )
    remove(f"{address}/{mark}")  # from here on what is there is not finished
    for name in (*(name for name in names if name != mark), mark):
        put(work / name, f"{address}/{name}")


@contextlib.contextmanager
def _held_here(work: Path, address: str) -> Iterator[None]:
    """Hold the working folder; the lock is the operating system's and goes with the process."""
    with writing(work.parent):
        work.parent.mkdir(parents=True, exist_ok=True)
        handle = (work.parent / "held").open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            message = f"{address}: another landslip process is working on it; wait for it or choose another --out"
            raise OutputError(message) from error
        yield


@contextlib.contextmanager
def _held_there(work: Path, address: str) -> Iterator[None]:
    """Leave an object under the address that says who works on it.

    A process that was killed leaves it behind. On the same machine the next one knows that it is dead, because it
    holds the working folder now; elsewhere nobody can know, so the message says what to remove.
    """
    name = f"{address}/{LOCK}"
    mine = {"host": platform.node(), "work": str(work), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    content = json.dumps(mine).encode()
    if not create(name, content):
        other = _holder(name)
        if any(other.get(key) != mine[key] for key in ("host", "work")):
            message = (
                f"{address}: another landslip process is working on it (on {other.get('host', '?')} since "
                f"{other.get('since', '?')}); wait for it, choose another --out, or remove {name} if it is dead"
            )
            raise OutputError(message)
        log.info("%s: goes on after a process on this machine that was killed", address)
    try:
        yield
    finally:
        remove(name)


def _holder(name: str) -> dict[str, Any]:
    try:
        found = json.loads(read_bytes(name, what="lock"))
    except (ValueError, UnicodeDecodeError) as error:
        message = f"{name}: not a lock of landslip's; remove it, or choose another --out"
        raise FormatError(message) from error
    return found if isinstance(found, dict) else {}
