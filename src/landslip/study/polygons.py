"""Polygons of a file on a scene's grid: the test region, and the true landslides of simulated events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landslip.errors import InputError

if TYPE_CHECKING:
    from landslip.scene.store import Scene


def burn_region(path: Path, scene: Scene) -> NDArray[np.bool_]:
    """Burn polygons on a scene's grid, ``(rows, cols)``: whether a pixel's centre lies in one.

    Raises
    ------
    InputError
        No CRS, no polygon, or none in the scene.
    """
    import geopandas
    from rasterio.features import geometry_mask

    from landslip.files import require_file

    frame = geopandas.read_file(require_file(path, what="test polygon"))
    if frame.crs is None:
        message = f"{path}: the test polygon has no CRS; assign one"
        raise InputError(message)
    shapes = [shape for shape in frame.to_crs(scene.grid.crs).geometry if shape is not None and not shape.is_empty]
    if not shapes:
        message = f"{path}: no polygon in it; draw the test region"
        raise InputError(message)
    outside = geometry_mask(shapes, out_shape=scene.grid.shape, transform=scene.grid.transform)
    inside = ~np.asarray(outside, dtype=np.bool_)
    if not inside.any():
        message = f"{path}: the test polygon lies outside the scene; check its CRS and position"
        raise InputError(message)
    return inside


def burn_truth(path: Path, scene: Scene) -> NDArray[np.int32]:
    """Burn true landslides on a scene's grid, ``(rows, cols)`` int32: 0 or the landslide's id.

    Raises
    ------
    LandslipError
        The file is no polygon inventory of this place.
    """
    from landslip.scene.inventory import rasterise, read_inventory

    return rasterise(read_inventory(path, scene.grid), scene.grid)[1]
