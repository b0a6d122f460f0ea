"""Writing a scene's rasters: tiled, compressed in one pass, overviews added at the end.

Not through GDAL's cloud-optimised driver, which puts the pixels of all bands side by side: with six
layers that took seven times as long to write (benchmarks/scene.py), and a reader of two layers would
have to decode all of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
import rasterio.windows
from rasterio._err import CPLE_BaseError  # what building overviews raises; no public name
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter

from landslip.errors import OutputError
from landslip.files import atomic_path
from landslip.rasters import BLOCK, RasterSpec, create_raster, gdal_threads

SMALL = 256
"""Overviews halve the raster until it is no larger than this."""

NEARLY_FULL = 16 << 20
"""Free bytes below which a failed write is blamed on the disk."""


@contextmanager
def scene_raster(path: str | os.PathLike[str], spec: RasterSpec) -> Iterator[DatasetWriter]:
    """Write by window; on leaving, the GeoTIFF with its overviews appears under ``path``.

    Raises
    ------
    OutputError
        The disk is full, or the file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as temporary, explained(path):
        with create_raster(temporary, spec) as dataset:
            yield dataset
        _add_overviews(temporary, spec)
        _check_whole(temporary, path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn GDAL's failure to write into one clear line."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        free = shutil.disk_usage(path.parent).free
        if free < NEARLY_FULL:
            message = f"cannot write {path}: the disk is full; free some space or choose another --out"
        else:
            cause = " ".join(str(error.__cause__ or error).split())
            message = f"cannot write {path}: {cause}; check the disk and its quota"
        raise OutputError(message) from error


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what surely does not fit.

    Raises
    ------
    OutputError
        The disk has less free space than ``needed`` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        message = (
            f"cannot write {folder}: the disk is full: about {needed / 1e9:.1f} GB are needed, "
            f"{free / 1e9:.1f} GB are free; free some space or choose another --out"
        )
        raise OutputError(message)


def _add_overviews(path: Path, spec: RasterSpec) -> None:
    factors: list[int] = []
    size = max(spec.grid.shape)
    while size > SMALL:
        factors.append(2 ** (len(factors) + 1))
        size = (size + 1) // 2
    if not factors:
        return
    settings = {
        "GDAL_NUM_THREADS": gdal_threads(),
        "GDAL_TIFF_OVR_BLOCKSIZE": BLOCK,
        "COMPRESS_OVERVIEW": spec.compress.upper(),
        "ZLEVEL_OVERVIEW": 1,
        "ZSTD_LEVEL_OVERVIEW": 1,
        "PREDICTOR_OVERVIEW": spec.predictor,
        "INTERLEAVE_OVERVIEW": "BAND",
        "BIGTIFF_OVERVIEW": "IF_SAFER",
    }
    resampling = Resampling.average if spec.average else Resampling.nearest
    with rasterio.Env(**settings), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors, resampling)


def _check_whole(temporary: Path, path: Path) -> None:
    # GDAL reports some failures to write only when it closes a file, as a log line; so look at the result.
    with rasterio.open(temporary) as dataset:
        last = rasterio.windows.Window(dataset.width - 1, dataset.height - 1, 1, 1)
        dataset.read(window=last)
        complete = bool(dataset.overviews(1)) or max(dataset.shape) <= SMALL
    if not complete:
        message = f"cannot write {path}: the file is not whole; check the disk and its quota"
        raise OutputError(message)
