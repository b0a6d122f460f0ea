"""Where an inventory lies relative to a scene, and why it may lie elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from landslip.errors import CRSMismatchError
from landslip.grid import Grid, read_crs


def near(frame: geopandas.GeoDataFrame, grid: Grid) -> NDArray[np.bool_]:
    """Tell which geometries may lie in the scene, judged by bounding boxes in their own CRS.

    Far from a projection's zone coordinates may come out as anything, so that nothing is transformed
    before it is known to lie near.
    """
    west, south, east, north = _bounds_in(grid, frame.crs)
    boxes = shapely.bounds(np.asarray(frame.geometry.values))
    across = (boxes[:, 0] <= east) & (boxes[:, 2] >= west)
    if west > east:  # the scene lies across the date line
        across = (boxes[:, 0] <= east) | (boxes[:, 2] >= west)
    return np.asarray(across & (boxes[:, 1] <= north) & (boxes[:, 3] >= south))


def _bounds_in(grid: Grid, crs: Any) -> tuple[float, float, float, float]:  # noqa: ANN401 - what pyproj takes
    transformer = Transformer.from_crs(grid.crs, crs, always_xy=True)
    bounds: tuple[float, float, float, float] = transformer.transform_bounds(*grid.bounds, densify_pts=41)
    if not np.all(np.isfinite(bounds)):
        name = read_crs(crs, what="inventory").name
        message = f"the inventory's CRS {name} has no place for the scene; check which CRS it is in"
        raise CRSMismatchError(message)
    return bounds


def elsewhere(path: str | os.PathLike[str], what: str, frame: geopandas.GeoDataFrame, grid: Grid) -> str:
    """Say that nothing lies in the scene, and what the likely reason is."""
    west, south, east, north = (float(value) for value in frame.total_bounds)
    left, bottom, right, top = _bounds_in(grid, frame.crs)
    form = ".2f" if frame.crs.is_geographic else ".0f"

    def meets(box: tuple[float, float, float, float]) -> bool:
        return box[0] <= right and box[2] >= left and box[1] <= top and box[3] >= bottom

    hint = "give the one of this area, or check its CRS"
    if meets((south, west, north, east)):
        hint = "with x and y exchanged it would match: its coordinates are latitude first, write them longitude first"
    elif frame.crs.is_geographic and (meets((west, -north, east, -south)) or meets((-east, south, -west, north))):
        hint = "with the sign of its latitude or longitude changed it would match: it lies in the other hemisphere"
    elif not frame.crs.is_geographic and any(meets((west, south + d, east, north + d)) for d in (-1e7, 1e7)):
        hint = (
            "shifted by 10,000 km it would match: its UTM zone is of the other hemisphere, assign the right EPSG code"
        )
    return (
        f"{Path(path)}: the {what} lies wholly outside the scene (x {west:{form}} to {east:{form}}, "
        f"y {south:{form}} to {north:{form}}; the scene x {left:{form}} to {right:{form}}, "
        f"y {bottom:{form}} to {top:{form}}); {hint}"
    )
