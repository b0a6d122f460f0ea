"""Writing the event's files, so that the same event gives the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
from numpy.typing import NDArray

from landslip.files import atomic_path, writing
from landslip.grid import Grid
from landslip.rasters import RasterSpec, create_raster
from landslip.simulate.imaging import OFFSET, QUANTIFICATION


def write_band(path: Path, grid: Grid, name: str, pixels: NDArray[np.uint16], time: datetime) -> None:
    """Write one band of digital numbers, with its offset, scale and sensing time declared in the file."""
    moment = time.astimezone(UTC)
    tags = {
        "SIMULATED": "YES",
        "BOA_ADD_OFFSET": str(OFFSET),
        "QUANTIFICATION_VALUE": str(QUANTIFICATION),
        "SENSING_TIME": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "TIFFTAG_DATETIME": moment.strftime("%Y:%m:%d %H:%M:%S"),
    }
    spec = RasterSpec(grid, "uint16", (name,), nodata=0, tags=tags)
    with atomic_path(path) as temporary, create_raster(temporary, spec) as dataset:
        dataset.scales = (1 / QUANTIFICATION,)
        dataset.offsets = (OFFSET / QUANTIFICATION,)
        dataset.write(pixels, 1)


def write_layer(path: Path, grid: Grid, name: str, pixels: NDArray[np.generic], nodata: float | None = None) -> None:
    """Write a raster of one band."""
    spec = RasterSpec(grid, pixels.dtype.name, (name,), nodata=nodata)
    with atomic_path(path) as temporary, create_raster(temporary, spec) as dataset:
        dataset.write(pixels, 1)


def write_polygons(path: Path, frame: gpd.GeoDataFrame, time: datetime) -> None:
    """Write a GeoPackage whose time stamps are those of the event, not of the clock."""
    with atomic_path(path) as temporary, _fixed_clock(time), writing(path):
        frame.to_file(temporary, driver="GPKG", layer=path.stem, engine="pyogrio")


@contextlib.contextmanager
def _fixed_clock(time: datetime) -> Iterator[None]:
    key = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(key)
    pyogrio.set_gdal_config_options({key: time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({key: before})


def relative(paths: Sequence[Path], folder: Path) -> list[str]:
    """Return the paths as they stand in ``event.json``."""
    return [path.relative_to(folder).as_posix() for path in paths]
