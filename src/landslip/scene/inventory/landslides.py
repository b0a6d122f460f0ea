"""Landslides and the mapped extent on a scene's grid, and how they are burnt into its pixels.

Ids count from 1 in the order of the file; where two landslides overlap the pixel belongs to the one with
the larger id, while both keep their polygon for the scores per landslide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslip.errors import GridMismatchError, InputError
from landslip.grid import Grid, read_crs
from landslip.scene.inventory.burn import Shapes
from landslip.scene.inventory.hygiene import HygieneReport
from landslip.windows import Window

UNKNOWN = 255
"""Label of pixels outside the mapped extent."""


@dataclass(frozen=True)
class Inventory:
    """Landslides on one grid.

    Parameters
    ----------
    grid
        The scene's grid.
    frame
        One row per landslide in the grid's CRS: ``id`` (1 to n), ``source_row`` (row of the file, from 0),
        ``all_touched`` (whether it holds no pixel centre), the file's attributes, and the polygon.
    hygiene
        What was changed on the way.
    shapes
        The polygons as they are burnt.
    """

    grid: Grid
    frame: geopandas.GeoDataFrame
    hygiene: HygieneReport
    shapes: Shapes

    @classmethod
    def of_frame(cls, frame: geopandas.GeoDataFrame, grid: Grid) -> Inventory:
        """Take a frame that was written by us before (``inventory.gpkg`` of a scene) as it is.

        Raises
        ------
        InputError
            It lacks ``id`` or ``all_touched``, or is in another CRS.
        """
        missing = {"id", "all_touched"} - set(frame.columns)
        if missing or frame.crs is None or read_crs(frame.crs, what="inventory") != grid.crs:
            message = "inventory of the scene: its columns or its CRS are not those of the scene; make the scene again"
            raise InputError(message)
        shapes = Shapes.of(
            grid,
            np.asarray(frame.geometry.values),
            frame["id"].to_numpy(np.int32),
            frame["all_touched"].to_numpy(np.bool_),
        )
        return cls(grid, frame, HygieneReport(read=len(frame), kept=len(frame)), shapes)

    def __len__(self) -> int:
        """Return the number of landslides."""
        return len(self.frame)

    @property
    def area_m2(self) -> float:
        """Sum of the landslides' areas."""
        return float(shapely.area(np.asarray(self.frame.geometry.values)).sum())


@dataclass(frozen=True)
class MappedExtent:
    """The area in which somebody looked for landslides; outside it labels are unknown."""

    grid: Grid
    geometry: BaseGeometry

    @cached_property
    def shapes(self) -> Shapes:
        """The extent as it is burnt: pixels whose centre it holds."""
        whole = np.empty(1, object)
        whole[0] = self.geometry
        return Shapes.of(self.grid, whole, np.ones(1, np.int32), np.zeros(1, np.bool_))


def rasterise(
    inventory: Inventory, grid: Grid, aoi: MappedExtent | None = None, window: Window | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Burn an inventory into a window of the scene; a pixel is the same whatever the window.

    A pixel is landslide where its centre lies in a polygon; a polygon that holds no pixel centre takes
    every pixel that it touches; of overlapping polygons the larger id has the pixel.

    Parameters
    ----------
    inventory
        Landslides read for ``grid``.
    grid
        The scene's grid.
    aoi
        Mapped extent; without it every other pixel is not landslide.
    window
        Pixels wanted, all by default.

    Returns
    -------
    tuple of numpy.ndarray
        Labels ``(rows, cols)`` uint8 (0 not landslide, 1 landslide, 255 unknown), and landslides
        ``(rows, cols)`` int32 (0 or the id; 0 where the label is unknown).

    Raises
    ------
    GridMismatchError
        ``inventory`` or ``aoi`` was read for another grid.
    """
    if inventory.grid != grid or (aoi is not None and aoi.grid != grid):
        message = "inventory and mapped extent were read for another grid; read them for the scene's"
        raise GridMismatchError(message)
    window = window or grid.window
    landslides = inventory.shapes.burn(window)
    labels = (landslides > 0).astype(np.uint8)
    if aoi is not None:
        unknown = aoi.shapes.burn(window) == 0
        labels[unknown] = UNKNOWN
        landslides[unknown] = 0
    return labels, landslides
