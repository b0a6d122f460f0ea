"""Reading a window of a remote GeoTIFF: only the bytes that it needs, kept on disk as they come.

GDAL reads through :class:`RemoteFile`, which fetches whole blocks with our own patience and checks, and
keeps them in a sparse file. What was fetched before an interruption is not fetched again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from landslip.errors import RemoteError
from landslip.files import atomic_path, writing
from landslip.files.web import Http
from landslip.rasters import rasterio_window
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

BLOCK_BYTES = 256 << 10
"""Unit of fetching and keeping."""

_LARGEST_REQUEST = 16  # blocks: an interrupted request loses at most so much
_STRIP = 1024  # rows copied at a time


class RemoteFile(io.RawIOBase):
    """A remote file for reading at any place.

    Parameters
    ----------
    http
        Client.
    url
        Address.
    kept
        Folder in which its blocks are kept.
    what
        Word for messages.
    size
        Length that the catalogue states, to be checked; None where it states none.

    Notes
    -----
    An error while GDAL reads cannot pass through GDAL: it is kept in :attr:`problem`, and reading ends.
    """

    def __init__(self, http: Http, url: str, kept: Path, *, what: str, size: int | None = None) -> None:
        super().__init__()
        self.problem: RemoteError | None = None
        self._http, self._url, self._what, self._stated = http, url, what, size
        name = hashlib.sha256(url.encode()).hexdigest()[:20]
        self._data, self._index = kept / f"{name}.bytes", kept / f"{name}.json"
        self._position = 0
        self._total, self._mark = -1, ""
        self._have: set[int] = set()
        kept.mkdir(parents=True, exist_ok=True)
        self._load()

    def open(self) -> RemoteFile:
        """Fetch the beginning, so that an address that gives nothing usable is told at once."""
        self._require(0, 1)
        if self._stated is not None and self._stated != self._total:
            message = (
                f"{self._url}: has {self._total} bytes, the catalogue says {self._stated} ({self._what}); "
                "it is damaged or was replaced, try again later or choose another scene"
            )
            raise RemoteError(message)
        return self

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._total}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes; nothing after a :attr:`problem`."""
        stop = self._total if size is None or size < 0 else min(self._position + size, self._total)
        if self.problem is not None or stop <= self._position:
            return b""
        try:
            self._require(self._position, stop)
        except RemoteError as error:
            self.problem = error
            return b""
        with self._data.open("rb") as handle:
            handle.seek(self._position)
            content = handle.read(stop - self._position)
        self._position += len(content)
        return content

    def _require(self, start: int, stop: int) -> None:
        missing = [n for n in range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)) if n not in self._have]
        while missing:
            run = 1
            while run < min(len(missing), _LARGEST_REQUEST) and missing[run] == missing[0] + run:
                run += 1
            self._fetch(missing[0], run)
            missing = [n for n in missing if n not in self._have]

    def _fetch(self, first: int, count: int) -> None:
        part = self._http.part(self._url, first * BLOCK_BYTES, (first + count) * BLOCK_BYTES, what=self._what)
        if self._total >= 0 and (part.total, part.mark) != (self._total, self._mark):
            self._have.clear()
            self._index.unlink(missing_ok=True)
            message = f"{self._url}: changed while it was read ({self._what}); run the same command again"
            raise RemoteError(message)
        self._total, self._mark = part.total, part.mark
        with writing(self._data):
            with self._data.open("r+b" if self._data.exists() else "w+b") as handle:
                handle.seek(part.start)
                handle.write(part.content)
            last = -(-part.stop // BLOCK_BYTES)
            self._have.update(range(part.start // BLOCK_BYTES, last))
            self._save()

    def _load(self) -> None:
        try:
            known = json.loads(self._index.read_text(encoding="utf-8"))
            fits = known["url"] == self._url and known["block"] == BLOCK_BYTES and self._data.is_file()
            if fits:
                self._total, self._mark, self._have = int(known["total"]), str(known["mark"]), set(known["have"])
                log.info("%s: %d blocks are here already", self._url, len(self._have))
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:  # cut off while it was written: start anew
            log.info("%s: record of what was fetched is damaged (%s); it is fetched again", self._url, error)

    def _save(self) -> None:
        content = {"url": self._url, "block": BLOCK_BYTES, "total": self._total, "mark": self._mark}
        temporary = self._index.with_suffix(".new")
        temporary.write_text(json.dumps({**content, "have": sorted(self._have)}), encoding="utf-8")
        temporary.replace(self._index)


def with_remote(remote: RemoteFile, url: str, work: Callable[[DatasetReader], Any]) -> Any:  # noqa: ANN401
    """Open a remote raster with GDAL, do some work with it, and return its result.

    Raises
    ------
    RemoteError
        The file cannot be fetched, or is no raster.
    """
    remote.open()

    def opener(name: str, mode: str = "rb") -> RemoteFile:
        del mode
        if Path(name).name != "remote.tif":  # side files are not looked for
            raise FileNotFoundError(name)
        remote.seek(0)
        return remote

    try:
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open("remote.tif", opener=opener) as dataset,
        ):
            return work(dataset)
    except RasterioError as error:
        if remote.problem is not None:
            raise remote.problem from error
        said = str(error.__cause__ or error).splitlines()
        message = (
            f"{url}: not a readable raster, or damaged ({said[0] if said else 'no reason given'}); try again later"
        )
        raise RemoteError(message) from error


def copy_window(dataset: DatasetReader, window: Window, target: Path) -> None:
    """Copy a window of a raster, as it is, into a GeoTIFF that appears under its name when it is whole."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": window.rows,
        "width": window.cols,
        "count": dataset.count,
        "dtype": dataset.dtypes[0],
        "crs": dataset.crs,
        "transform": dataset.window_transform(rasterio_window(window)),
        "nodata": dataset.nodata,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "predictor": 3 if dataset.dtypes[0].startswith("float") else 2,
    }
    with atomic_path(target) as temporary, rasterio.open(temporary, "w", **profile) as out:
        for index, (name, unit) in enumerate(zip(dataset.descriptions, dataset.units, strict=True), start=1):
            if name:
                out.set_band_description(index, name)
            if unit:
                out.set_band_unit(index, unit)
        out.scales, out.offsets = dataset.scales, dataset.offsets
        for strip in split_windows(window.shape, (_STRIP, window.cols)):
            there = Window(window.row + strip.row, window.col, strip.rows, strip.cols)
            pixels: NDArray[np.generic] = dataset.read(window=rasterio_window(there))
            out.write(pixels, window=rasterio_window(strip))
