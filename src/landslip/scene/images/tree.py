"""A folder or a zip archive as one thing: its member names, and how to read each without unpacking."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from landslip.errors import InputError, MissingInputError
from landslip.files.places import address_of, names_in, read_bytes, size_of

MAX_TEXT = 64 << 20
"""Bytes beyond which a metadata file is not read: real ones have a few megabytes at most."""


class Tree(Protocol):
    """Files by their relative names, with forward slashes."""

    path: Path

    def names(self) -> list[str]:
        """List all files."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file."""

    def gdal_path(self, name: str) -> str:
        """Return what rasterio opens for a file."""

    def local_files(self, names: list[str]) -> tuple[str, ...]:
        """Return the files on disk behind these names, for checksums."""


class FolderTree:
    """A folder on disk.

    Parameters
    ----------
    path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """List all files below, sorted; links that lead out of the folder are left out."""
        root = self.path.resolve()
        files = (p for p in sorted(self.path.rglob("*")) if p.is_file())
        return [p.relative_to(self.path).as_posix() for p in files if p.resolve().is_relative_to(root)]

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises
        ------
        InputError
            It is absurdly large.
        """
        file = self.path / name
        if file.stat().st_size > MAX_TEXT:
            raise _too_large(str(file))
        return file.read_bytes()

    def gdal_path(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.path / name)

    def local_files(self, names: list[str]) -> tuple[str, ...]:
        """Return the files themselves."""
        return tuple(str(self.path / name) for name in names)


class RemoteTree:
    """A folder on S3.

    Parameters
    ----------
    path
        Its address.

    Raises
    ------
    MissingInputError
        There is nothing below it.
    RemoteError
        It is on a web server, or cannot be listed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._address = address_of(path) or str(path)
        self._names = names_in(path)
        if not self._names:
            message = f"{self._address}: nothing is there; check the address"
            raise MissingInputError(message)

    def names(self) -> list[str]:
        """List all files below, sorted."""
        return list(self._names)

    def read(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises
        ------
        InputError
            It is absurdly large.
        """
        file = f"{self._address}/{name}"
        if size_of(file) > MAX_TEXT:
            raise _too_large(file)
        return read_bytes(file, what="metadata")

    def gdal_path(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self._address}/{name}"

    def local_files(self, names: list[str]) -> tuple[str, ...]:
        """Return the addresses; they have no checksums."""
        return tuple(f"{self._address}/{name}" for name in names)


class ZipTree:
    """A zip archive, read in place.

    Parameters
    ----------
    path
        The archive.

    Raises
    ------
    InputError
        Not a zip archive, truncated, encrypted, or with members that point outside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
        except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
            message = f"{path}: not a whole zip archive ({error}); it is truncated or damaged, fetch it again"
            raise InputError(message) from error
        for member in members:
            _refuse_unsafe(path, member)
        self._names = sorted(member.filename for member in members)

    def names(self) -> list[str]:
        """List all members, sorted."""
        return list(self._names)

    def read(self, name: str) -> bytes:
        """Return the content of a small member.

        Raises
        ------
        InputError
            It is damaged or absurdly large.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                if archive.getinfo(name).file_size > MAX_TEXT:
                    raise _too_large(f"{self.path}/{name}")
                return archive.read(name)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            message = f"{self.path}: member {name} cannot be read ({error}); fetch the archive again"
            raise InputError(message) from error

    def gdal_path(self, name: str) -> str:
        """Return GDAL's path of a member inside the archive."""
        return f"/vsizip/{{{self.path.absolute()}}}/{name}"

    def local_files(self, names: list[str]) -> tuple[str, ...]:
        """Return the archive."""
        del names
        return (str(self.path),)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a refused reading permission into one clear line."""
    try:
        yield
    except PermissionError as error:
        message = f"{error.filename or path}: no permission to read it; ask its owner, or copy it"
        raise InputError(message) from error


def open_tree(path: Path) -> Tree:
    """Open a folder, an archive, or a folder on S3.

    Raises
    ------
    InputError
        A remote archive, or a damaged one.
    """
    if address_of(path):
        if path.suffix.lower() == ".zip":
            message = f"{path}: archives are read from disk alone; copy it, or give the address of the unpacked folder"
            raise InputError(message)
        return RemoteTree(path)
    return FolderTree(path) if path.is_dir() else ZipTree(path)


def is_zip(path: Path) -> bool:
    """Whether a file is, or claims to be, a zip archive."""
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as handle:
        return handle.read(4) == b"PK\x03\x04"


def _refuse_unsafe(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", name) or is_link:
        message = f"{path}: member {name!r} points outside the archive; do not trust it, fetch it from the provider"
        raise InputError(message)
    if member.flag_bits & 0x1:
        message = f"{path}: member {name!r} is encrypted; unpack it with its password first"
        raise InputError(message)


def _too_large(name: str) -> InputError:
    return InputError(f"{name}: larger than {MAX_TEXT >> 20} MB, no metadata is; fetch the product again")
