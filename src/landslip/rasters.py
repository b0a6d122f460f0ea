"""Reading and writing GeoTIFFs: by window, atomically, with the same bytes for the same content.

The only place that decides how our rasters are laid out: tiled 512 x 512, cloud-optimised, deflate for what is given
away (every program reads it), Zstandard for scenes (written twice as fast and read nearly so, at the same size).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.shutil import copy as rasterio_copy

from landslip.errors import InputError, LandslipError, MissingInputError, RemoteError
from landslip.files import atomic_path, places, s3, web, writing
from landslip.grid import Grid
from landslip.windows import Window

T = TypeVar("T")

_ABSENT = ("HTTP response code: 404", "NoSuchKey", "NoSuchBucket", "does not exist", "No such file")
_REFUSED = ("HTTP response code: 403", "HTTP response code: 401", "AccessDenied", "InvalidAccessKeyId",
            "SignatureDoesNotMatch")  # fmt: skip
_UNSIGNED = "AWS_NO_SIGN_REQUEST"
"""What GDAL says when a server has not what is asked for, refuses it, or when there are no credentials."""

BLOCK = 512
"""Edge of an internal tile in pixels; windows aligned to it are read and written whole."""


def gdal_threads() -> str:
    """Return the number of threads that GDAL takes: all, unless the environment says otherwise; same bytes for any."""
    return os.environ.get("GDAL_NUM_THREADS", "ALL_CPUS")


@dataclass(frozen=True)
class RasterSpec:
    """How a raster of ours is written.

    Parameters
    ----------
    grid
        Where the pixels lie.
    dtype
        numpy name of the pixel type.
    bands
        Description of each band, in order; their number is the band count.
    nodata
        Value of invalid pixels, or None.
    tags
        Data set tags.
    average
        Whether overviews average (continuous) or take the nearest (classes).
    compress
        Compression of the tiles.
    block
        Edge of an internal tile of a plain GeoTIFF in pixels, a multiple of 16.
    """

    grid: Grid
    dtype: str
    bands: tuple[str, ...]
    nodata: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    average: bool = True
    compress: Literal["deflate", "zstd"] = "deflate"
    block: int = BLOCK

    @property
    def predictor(self) -> int:
        """TIFF predictor: 3 for floating point, 2 for whole numbers."""
        return 3 if self.dtype.startswith("float") else 2

    def profile(self) -> dict[str, Any]:
        """Creation options of the plain tiled GeoTIFF."""
        return {
            "driver": "GTiff",
            "height": self.grid.rows,
            "width": self.grid.cols,
            "count": len(self.bands),
            "dtype": self.dtype,
            "crs": self.grid.crs.to_wkt(),
            "transform": self.grid.transform,
            "nodata": self.nodata,
            "tiled": True,
            "blockxsize": self.block,
            "blockysize": self.block,
            "compress": self.compress,
            f"{'z' if self.compress == 'deflate' else 'zstd_'}level": 1,
            "predictor": self.predictor,
            "interleave": "band",
            "bigtiff": "if_safer",
            "num_threads": gdal_threads().lower(),
        }


def rasterio_window(window: Window) -> rasterio.windows.Window:
    """Return the same window in rasterio's order of arguments."""
    return rasterio.windows.Window(window.col, window.row, window.cols, window.rows)


@contextlib.contextmanager
def open_raster(path: str | os.PathLike[str], *, what: str = "raster") -> Iterator[DatasetReader]:
    """Open a raster for reading, with one clear line when it is missing or not a raster.

    Raises
    ------
    MissingInputError
        No such file.
    InputError
        Not a raster, or damaged.
    """
    name = os.fspath(path)
    remote = places.address_of(name) is not None
    elsewhere = remote or "://" in name or name.startswith("/vsi")  # GDAL knows more places than we do
    if not elsewhere and not Path(name).exists():
        message = f"{name}: no such file ({what}); check the path"
        raise MissingInputError(message)
    try:
        dataset = patiently(lambda: rasterio.open(places.gdal_name(name)), name)
    except RasterioIOError as error:
        if remote:
            raise _unopened(name, what, error) from error
        message = f"{name}: not a readable raster ({what}): {_first_line(error)}"
        raise InputError(message) from error
    with dataset:
        yield dataset


def read_window(
    dataset: DatasetReader, window: Window | None = None, bands: Sequence[int] | None = None
) -> NDArray[Any]:
    """Read bands (1-based; default all) of a window as ``(bands, rows, cols)``, in the file's own type.

    Raises
    ------
    InputError
        The pixels cannot be read: the file is truncated or damaged.
    """
    try:
        pixels: NDArray[Any] = patiently(
            lambda: dataset.read(
                list(bands) if bands is not None else None,
                window=rasterio_window(window) if window is not None else None,
            ),
            dataset.name,
        )
    except RasterioError as error:
        name = places.shown(dataset.name)
        message = f"{name}: pixels cannot be read, the file is truncated or damaged ({_first_line(error)})"
        raise InputError(message) from error
    return pixels


def read_reduced(
    dataset: DatasetReader, bands: Sequence[int], shape: tuple[int, ...], *, average: bool = True
) -> NDArray[Any]:
    """Read bands (1-based) of a whole raster at fewer pixels, from its overviews, as ``(bands, *shape)``.

    Raises
    ------
    InputError
        As :func:`read_window`.
    """
    resampling = Resampling.average if average else Resampling.nearest
    try:
        return patiently(
            lambda: dataset.read(list(bands), out_shape=(len(bands), *shape), resampling=resampling), dataset.name
        )
    except RasterioError as error:
        name = places.shown(dataset.name)
        message = f"{name}: pixels cannot be read, the file is truncated or damaged ({_first_line(error)})"
        raise InputError(message) from error


@contextlib.contextmanager
def create_raster(path: str | os.PathLike[str], spec: RasterSpec) -> Iterator[DatasetWriter]:
    """Open a plain tiled GeoTIFF for writing by window. Not atomic: for parts and temporary files."""
    with writing(path), rasterio.open(path, "w", **spec.profile()) as dataset:
        for index, name in enumerate(spec.bands, start=1):
            dataset.set_band_description(index, name)
        if spec.tags:
            dataset.update_tags(**spec.tags)
        yield dataset


def write_block(dataset: DatasetWriter, pixels: NDArray[Any], window: Window) -> None:
    """Write ``(bands, rows, cols)`` at ``window``."""
    dataset.write(pixels, window=rasterio_window(window))


@contextlib.contextmanager
def cog_writer(path: str | os.PathLike[str], spec: RasterSpec) -> Iterator[DatasetWriter]:
    """Write by window; on leaving, a cloud-optimised GeoTIFF with overviews appears under ``path``.

    Memory does not grow with the raster: pixels go to a temporary tiled file beside ``path``.
    """
    with atomic_path(path) as final:
        plain = final.with_name("plain.tif")
        with create_raster(plain, spec) as dataset:
            yield dataset
        to_cog(plain, final, average=spec.average)
        plain.unlink()


def to_cog(source: str | os.PathLike[str], target: str | os.PathLike[str], *, average: bool) -> None:
    """Copy a GeoTIFF as a cloud-optimised one with overviews."""
    with writing(target), rasterio.Env(GDAL_NUM_THREADS=gdal_threads(), GDAL_CACHEMAX=256):
        rasterio_copy(
            os.fspath(source),
            os.fspath(target),
            driver="COG",
            blocksize=BLOCK,
            compress="DEFLATE",
            level=1,
            predictor="YES",
            bigtiff="IF_SAFER",
            overview_resampling="AVERAGE" if average else "NEAREST",
            overview_compress="DEFLATE",
        )


def write_raster(path: str | os.PathLike[str], pixels: NDArray[Any], spec: RasterSpec) -> None:
    """Write a whole array ``(bands, rows, cols)`` as a cloud-optimised GeoTIFF, atomically."""
    if pixels.shape != (len(spec.bands), *spec.grid.shape):
        message = f"pixels {pixels.shape} do not fit {len(spec.bands)} bands on a grid of {spec.grid.shape}"
        raise ValueError(message)
    with cog_writer(path, spec) as dataset:
        dataset.write(np.ascontiguousarray(pixels.astype(spec.dtype, copy=False)))


def patiently(work: Callable[[], T], place: str | os.PathLike[str]) -> T:
    """Open or read a raster; where it is remote with the settings for that, and again where the connection broke.

    GDAL asks again by itself when a server is busy or does not answer, but not when an answer breaks off.
    """
    if places.address_of(place) is None:
        return work()
    with rasterio.Env(**places.gdal_options(place)):
        for attempt in range(1, web.TRIES):
            try:
                return work()
            except RasterioError as error:
                if _final(error):
                    raise
                time.sleep(web.WAIT_S * 2 ** (attempt - 1))
                _forget(places.gdal_name(place))
        return work()


def _forget(name: str) -> None:
    """Let GDAL drop what it keeps of a remote file: half an answer is kept as if it were the whole.

    It does so when a handle is closed that was opened with this option.
    """
    with rasterio.Env(CPL_VSIL_CURL_NON_CACHED="/vsicurl/:/vsis3/"), contextlib.suppress(RasterioError):
        rasterio.open(name).close()


def _final(error: RasterioError) -> bool:
    """Whether the server gave an answer that it will give again."""
    text = str(error.__cause__ or error)
    return any(word in text for word in (*_ABSENT, *_REFUSED, _UNSIGNED, "not recognized"))


def _unopened(name: str, what: str, error: RasterioError) -> LandslipError:
    """Say in one line why a remote raster cannot be opened."""
    text, place = str(error.__cause__ or error), places.shown(name)
    if _UNSIGNED in text:
        return RemoteError(s3.no_credentials(place))
    if any(word in text for word in _REFUSED):
        return RemoteError(f"{place}: no permission to read it ({what}); check the credentials")
    if any(word in text for word in _ABSENT):
        return MissingInputError(f"{place}: no such file ({what}); check the address")
    return InputError(f"{place}: not a readable raster ({what}): {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
