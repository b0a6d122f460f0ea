"""Reading what others and we wrote: files that must be there, JSON, finished folders and their formats, checksums."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from landslip.errors import FormatError, InputError, MissingInputError
from landslip.files import places

FORMAT = 1
"""Version of all our folder formats: newer is refused, older migrated."""


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
        content = json.loads(places.read_bytes(path, what=what).decode("utf-8"))
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
    if not places.address_of(folder) and not folder.exists():
        message = f"{folder}: no such {what}; check the path"
        raise MissingInputError(message)
    if not places.is_file(folder / name):
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


def sha256(path: str | os.PathLike[str]) -> str:
    """Checksum of a file, or of a folder (names and contents, in sorted order), as hex digits."""
    digest = hashlib.sha256()
    if places.address_of(path):
        for piece in places.pieces(path, what="file"):
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
    if places.address_of(path):
        if places.is_file(path):
            return path
        message = f"{places.shown(path)}: no such file ({what}); check the address"
        raise MissingInputError(message)
    if not path.exists():
        message = f"{path}: no such file ({what}); check the path"
        raise MissingInputError(message)
    if path.is_file() and path.stat().st_size == 0:
        message = f"{path}: the file is empty ({what}); fetch or write it again"
        raise InputError(message)
    return path
