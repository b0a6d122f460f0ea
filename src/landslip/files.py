"""Writing so that nothing is ever half-written: temporary names, completion marks, locks, checksums.

Every output appears under its final name only when it is whole. A folder is complete when its
``.json`` (written last) is there; one process at a time works on an output folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from landslip import storage
from landslip.errors import FormatError, InputError, MissingInputError, OutputError

FORMAT = 1
"""Version of all our folder formats: newer is refused, older migrated."""

_WRITING = ".writing-"
"""How temporary folders begin that hold what is not whole yet."""

PARTIAL = ".partial"
"""Folder inside an output in which long work collects its parts."""


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
    with writing(final):
        folder = Path(tempfile.mkdtemp(prefix=f"{_WRITING}{final.stem[:40]}-", dir=final.parent))
    try:
        temporary = folder / final.name
        with writing(final):
            yield temporary
            if temporary.is_dir() and final.is_dir():
                shutil.rmtree(final)
            temporary.replace(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file (UTF-8, as given) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], content: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON atomically, with keys in the given order and NaN refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str], *, what: str = "file") -> dict[str, Any]:
    """Read a JSON object, from disk or from an address.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It may not be read.
    FormatError
        It is not a JSON object.
    """
    try:
        content = json.loads(storage.read_bytes(path, what=what).decode("utf-8"))
    except MissingInputError:
        raise
    except FileNotFoundError as error:
        message = f"{path}: no such {what}"
        raise MissingInputError(message) from error
    except PermissionError as error:
        message = f"{path}: no permission to read it; ask its owner, or copy it"
        raise InputError(message) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"{path}: not valid JSON ({error}); the {what} is damaged, make it again"
        raise FormatError(message) from error
    if not isinstance(content, dict):
        message = f"{path}: expected a JSON object; the {what} is damaged, make it again"
        raise FormatError(message)
    return content


def read_complete(folder: str | os.PathLike[str], name: str, *, what: str) -> dict[str, Any]:
    """Read the ``.json`` that marks a folder complete, and check its format.

    Parameters
    ----------
    folder
        The scene, run or study.
    name
        ``scene.json``, ``model.json``, ``study.json`` …
    what
        The word for messages: ``"scene"``, ``"run"``, ``"study"``.

    Raises
    ------
    MissingInputError
        The folder is absent, or present without the file (unfinished).
    FormatError
        Damaged, or of a newer format than this version reads.
    """
    folder = Path(folder)
    if not storage.address_of(folder) and not folder.exists():
        message = f"{folder}: no such {what}; check the path"
        raise MissingInputError(message)
    if not storage.is_file(folder / name):
        message = f"{folder}: not a finished {what} (no {name} in it); make it again, with --resume where offered"
        raise MissingInputError(message)
    content = read_json(folder / name, what=what)
    check_format(content, folder / name)
    return content


def check_format(content: dict[str, Any], where: str | os.PathLike[str]) -> None:
    """Refuse a format that this version does not know.

    Raises
    ------
    FormatError
        ``format`` is missing, not a whole number, or newer than :data:`FORMAT`.
    """
    found = content.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        message = f"{os.fspath(where)}: no valid 'format' entry; the file is damaged, make it again"
        raise FormatError(message)
    if found > FORMAT:
        message = f"{os.fspath(where)}: written in format {found}, this version reads up to {FORMAT}; upgrade landslip"
        raise FormatError(message)


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
    there = (word for name, word in _WORDS.items() if name != mark and storage.is_file(Path(folder) / name))
    other = next(there, None)
    if other is not None:
        message = f"{storage.shown(folder)}: holds a finished {other}, which this would spoil; choose another --out"
        raise OutputError(message)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the new ones, innermost first.

    Raises
    ------
    OutputError
        It is a file, an address, or cannot be made.
    """
    if storage.address_of(folder):
        place = storage.shown(folder)
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


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written here; below, only where nobody else may be at work."""
    below = [path for path in folder.iterdir() if path.is_dir() and not (path / ".lock").exists()]
    for place in (folder, *(path for path in below if not path.name.startswith(_WRITING))):
        for left in place.glob(f"{_WRITING}*"):
            shutil.rmtree(left, ignore_errors=True)


def sha256(path: str | os.PathLike[str]) -> str:
    """Checksum of a file, or of a folder (names and contents, in sorted order), as hex digits."""
    digest = hashlib.sha256()
    if storage.address_of(path):
        for piece in storage.pieces(path, what="file"):
            digest.update(piece)
        return digest.hexdigest()
    path = Path(path)
    if not path.exists():
        message = f"{path}: no such file; check the path"
        raise MissingInputError(message)
    if path.is_dir():
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(member.relative_to(path).as_posix().encode())
            digest.update(bytes.fromhex(sha256(member)))
        return digest.hexdigest()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def require_file(path: str | os.PathLike[str], *, what: str) -> Path:
    """Return ``path`` when it is there, else say in one line that ``what`` is missing."""
    path = Path(path)
    if storage.address_of(path):
        if storage.is_file(path):
            return path
        message = f"{storage.shown(path)}: no such file ({what}); check the address"
        raise MissingInputError(message)
    if not path.exists():
        message = f"{path}: no such file ({what}); check the path"
        raise MissingInputError(message)
    if path.is_file() and path.stat().st_size == 0:
        message = f"{path}: the file is empty ({what}); fetch or write it again"
        raise InputError(message)
    return path
