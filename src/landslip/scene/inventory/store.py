"""The inventory of a scene as a GeoPackage: written the same for the same content, read back as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pyogrio
import pyogrio.errors
from pyogrio import get_gdal_config_option, set_gdal_config_options

from landslip.errors import FormatError
from landslip.files import atomic_path
from landslip.grid import Grid
from landslip.scene.inventory.landslides import Inventory

LAYER = "inventory"
"""Name of the layer in the file."""

_DATE = "2000-01-01T00:00:00.000Z"


def write_inventory(inventory: Inventory, path: str | os.PathLike[str]) -> None:
    """Write an inventory as a GeoPackage, atomically and with a fixed date inside.

    Raises
    ------
    OutputError
        Disk full, no permission.
    """
    frame = inventory.frame.copy()
    for name in frame.columns:
        if name != frame.geometry.name and frame[name].map(lambda value: isinstance(value, list | dict)).any():
            frame[name] = frame[name].map(_as_text)
    with atomic_path(path) as temporary, _fixed_date():
        pyogrio.write_dataframe(frame, temporary, layer=LAYER, driver="GPKG", geometry_type="Polygon")


def open_inventory(path: str | os.PathLike[str], grid: Grid) -> Inventory:
    """Read an inventory that :func:`write_inventory` wrote.

    Raises
    ------
    FormatError
        It is damaged, or not one of ours.
    """
    try:
        frame = pyogrio.read_dataframe(Path(path), layer=LAYER)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        message = f"{path}: the scene's inventory cannot be read; build the scene again"
        raise FormatError(message) from error
    if not isinstance(frame, geopandas.GeoDataFrame) or {"id", "all_touched"} - set(frame.columns):
        message = f"{path}: not an inventory of a scene (no id or all_touched); build the scene again"
        raise FormatError(message)
    # a CRS of no EPSG code comes back in other words; the file is ours, so it is the grid's
    frame = frame.set_crs(grid.crs, allow_override=True)
    return Inventory.of_frame(frame, grid)


def _as_text(value: Any) -> Any:  # noqa: ANN401 - any attribute
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return None if pd.isna(value) else str(value)


@contextmanager
def _fixed_date() -> Iterator[None]:
    name = "OGR_CURRENT_DATE"
    before = get_gdal_config_option(name)
    set_gdal_config_options({name: _DATE})
    try:
        yield
    finally:
        set_gdal_config_options({name: before})
