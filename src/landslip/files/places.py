"""Places of files, on disk or behind an address: ``s3://`` and ``https://``.

Rasters are read where they are, through GDAL's virtual file systems; small files come whole, from S3 through fsspec
and from web servers by :mod:`landslip.files.web`. A ``Path`` made of an address (which loses one slash) still stands
for it, so that paths can be joined and named as ever.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from landslip.errors import LandslipError, RemoteError
from landslip.files import s3, web
from landslip.files.web import Http, Patience

Place = str | os.PathLike[str]

ADDRESS = re.compile(r"(?<![\w/.])(s3|https?):/+(?=[^/\s])")
"""How an address begins, also after a ``Path`` took one of its slashes."""

PIECE = 8 << 20
"""Bytes that are fetched at a time."""

_VSI = {"/vsis3/": "s3://", "/vsicurl/": ""}


def address_of(place: Place) -> str | None:
    """Return the address that a place stands for; None for files on disk."""
    name = os.fspath(place)
    for prefix, scheme in _VSI.items():
        if name.startswith(prefix):
            return scheme + name.removeprefix(prefix)
    found = ADDRESS.match(name)
    return f"{found[1]}://{name[found.end() :]}" if found else None


def shown(text: Place) -> str:
    """Return a path or a message with its addresses as they are written."""
    name = os.fspath(text)
    for prefix, scheme in _VSI.items():
        name = name.replace(prefix, scheme)
    return ADDRESS.sub(r"\1://", name)


def absolute(place: Place) -> str:
    """Return an address, or the absolute path of a file on disk."""
    return address_of(place) or str(Path(place).resolve())


def gdal_name(place: Place) -> str:
    """Return the name under which GDAL opens a raster."""
    address = address_of(place)
    if address is None:
        return os.fspath(place)
    return f"/vsis3/{address.removeprefix('s3://')}" if address.startswith("s3://") else f"/vsicurl/{address}"


def gdal_options(place: Place) -> dict[str, Any]:
    """Return GDAL's settings for reading a place: none for files on disk, else patience, and where S3 is.

    GDAL finds credentials as all tools for S3 do (``AWS_ACCESS_KEY_ID`` …, profiles, roles). The address of an S3
    server that is not Amazon's it does not take from ``AWS_ENDPOINT_URL``; so that is translated here.
    """
    address = address_of(place)
    if address is None:
        return {}
    options: dict[str, Any] = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no search for side files on servers
        "GDAL_NUM_THREADS": "1",  # with several GDAL 3.10 gives zeros, and no error, where a byte range is refused
        "GDAL_HTTP_TIMEOUT": web.TIMEOUT_S,
        "GDAL_HTTP_MAX_RETRY": web.TRIES - 1,
        "GDAL_HTTP_RETRY_DELAY": web.WAIT_S,
    }
    endpoint = s3.endpoint()
    if address.startswith("s3://") and endpoint:
        parts = urlsplit(endpoint)
        options |= {
            "AWS_S3_ENDPOINT": parts.netloc,
            "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options


def http() -> Http:
    """Return a client for web servers."""
    return Http(Patience(tries=web.TRIES, wait_s=web.WAIT_S, timeout_s=web.TIMEOUT_S))


def joined(place: Place, name: str) -> str:
    """Return the address or path that ``name`` means in a file at ``place``: itself where it is complete."""
    address = address_of(place)
    if address_of(name) or name.startswith("/"):
        return name
    if address is None:
        return str(Path(place).parent / name)
    if address.startswith("s3://"):  # urljoin knows web addresses alone
        return "s3://" + urljoin("https://" + address.removeprefix("s3://"), name).removeprefix("https://")
    return urljoin(address, name)


def refer(target: Place, folder: Place) -> tuple[str, bool]:
    """Return how a file in ``folder`` names ``target``, and whether that is relative.

    Relative on one disk, in one bucket, on one server; else the whole address or path.
    """
    there, here = address_of(target), address_of(folder)
    if there is None and here is None:
        return Path(os.path.relpath(target, folder)).as_posix(), True
    if there is None or here is None or _root(there) != _root(here):
        return there or str(Path(target).resolve()), False
    start = "/" + here.removeprefix(_root(here)).strip("/")
    return os.path.relpath("/" + there.removeprefix(_root(there)).lstrip("/"), start), True


def is_file(place: Place) -> bool:
    """Whether there is a file.

    Raises
    ------
    RemoteError
        The server cannot be asked.
    """
    address = address_of(place)
    if address is None:
        return Path(place).is_file()
    if not address.startswith("s3://"):
        return http().exists(address)
    return s3.is_object(address)


def size_of(place: Place, *, what: str = "file") -> int:
    """Return the bytes of a file."""
    address = address_of(place)
    if address is None:
        return Path(place).stat().st_size
    if not address.startswith("s3://"):
        return http().part(address, 0, 1, what=what).total
    return s3.size_of(address, what=what)


def names_in(place: Place) -> list[str]:
    """List all files below a folder on S3 by their names relative to it, sorted.

    Raises
    ------
    RemoteError
        It is on a web server, which does not say what it has.
    """
    address = address_of(place) or ""
    if not address.startswith("s3://"):
        message = f"{shown(place)}: a web server does not list folders; give the addresses of the files themselves"
        raise RemoteError(message)
    return s3.names_below(address)


def pieces(place: Place, *, what: str) -> Iterator[bytes]:
    """Yield the content of a file in pieces.

    Raises
    ------
    MissingInputError, RemoteError
        It is not there, or cannot be had.
    """
    address = address_of(place)
    if address is None:
        with Path(place).open("rb") as handle:
            while piece := handle.read(PIECE):
                yield piece
        return
    yield from _s3_pieces(address, what) if address.startswith("s3://") else _web_pieces(address, what)


def _s3_pieces(address: str, what: str) -> Iterator[bytes]:
    total = size_of(address, what=what)
    for start in range(0, total, PIECE):
        stop = min(start + PIECE, total)
        piece = s3.part_of(address, start, stop, what=what)
        if len(piece) != stop - start:
            raise _changed(address, what)
        yield piece


def _web_pieces(address: str, what: str) -> Iterator[bytes]:
    part = http().part(address, 0, PIECE, what=what)
    total, mark = part.total, part.mark
    yield part.content  # all of it where the server knows no ranges
    while part.stop < total:
        part = http().part(address, part.stop, min(part.stop + PIECE, total), what=what)
        if (part.total, part.mark) != (total, mark) or part.start == 0:
            raise _changed(address, what)
        yield part.content


def _changed(address: str, what: str) -> RemoteError:
    return RemoteError(f"{address}: changed while it was read ({what}); run the same command again")


def read_bytes(place: Place, *, what: str) -> bytes:
    """Return the content of a small file."""
    return b"".join(pieces(place, what=what))


@contextlib.contextmanager
def nearby(place: Place, *, what: str, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Give a file on disk: the file itself, or a copy of a remote one that goes at the end.

    Parameters
    ----------
    place
        The file.
    what
        Word for messages.
    beside
        Suffixes of files beside it that are taken along where there are any (``.dbf`` of a shapefile).
    """
    address = address_of(place)
    if address is None:
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="landslip-") as folder:
        local = Path(folder) / (Path(urlsplit(address).path).name or "file")
        fetch(address, local, what=what)
        for suffix in beside:
            there = address[: len(address) - len(local.suffix)] + suffix
            if is_file(there):
                fetch(there, local.with_suffix(suffix), what=what)
        with told_as(folder + "/", address[: len(address) - len(local.name)]):
            yield local


def fetch(place: Place, target: Path, *, what: str) -> None:
    """Copy a file to disk."""
    with target.open("wb") as handle:
        for piece in pieces(place, what=what):
            handle.write(piece)


@contextlib.contextmanager
def told_as(local: str, name: str) -> Iterator[None]:
    """Let errors speak of ``name`` where they name the working copy ``local``."""
    try:
        yield
    except LandslipError as error:
        error.args = tuple(arg.replace(local, name) if isinstance(arg, str) else arg for arg in error.args)
        raise


def _root(address: str) -> str:
    """Return what two addresses must share so that one can be given relative to the other."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
