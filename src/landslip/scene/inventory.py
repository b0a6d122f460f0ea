"""Landslide inventories: read, put in order, and burnt into the pixels of a scene.

Ids count from 1 in the order of the file; where two landslides overlap the pixel belongs to the one with
the larger id, while both keep their polygon for the scores per landslide.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from landslip.errors import CoverageError, GridMismatchError, InputError
from landslip.grid import Grid, read_crs
from landslip.scene import inventory_hygiene as hygiene
from landslip.scene.inventory_burn import Shapes, shapes_of_all
from landslip.scene.inventory_hygiene import HygieneReport
from landslip.scene.inventory_place import elsewhere, near
from landslip.scene.inventory_read import read_polygons
from landslip.scene.inventory_store import write_inventory
from landslip.windows import Window

UNKNOWN = 255
"""Label of pixels outside the mapped extent."""

NO_EXTENT = (
    "no mapped extent given (--aoi): every pixel outside the inventory's polygons counts as not landslide, "
    "also where nobody looked"
)
"""The warning that belongs to an inventory without a mapped extent."""


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

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the landslides as a GeoPackage, to be read by :func:`landslip.scene.inventory_store.open_inventory`."""
        write_inventory(self, path)

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


def read_inventory(
    path: str | os.PathLike[str], grid: Grid, *, layer: str | None = None, encoding: str | None = None
) -> Inventory:
    """Read landslide polygons and put them in order.

    In this order: drop missing geometries, leave out what lies outside the scene, repair invalid rings,
    split multi-part features (each part is a landslide), drop slivers and duplicates, count overlaps and
    polygons below a pixel.

    Parameters
    ----------
    path
        Shapefile, GeoPackage, GeoJSON, FlatGeobuf or GeoParquet, in any CRS.
    grid
        The scene's grid, projected in metres.
    layer
        Name of the layer, for files with several.
    encoding
        Encoding of the attributes, where the file states none or a wrong one.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError
        The file is absent, not a polygon inventory, without a CRS, or none of its polygons encloses an area;
        the message says the remedy.
    CoverageError
        No landslide lies in the scene.
    """
    grid.require_metric()
    raw = read_polygons(path, what="inventory", layer=layer, encoding=encoding)
    frame = _named(raw)
    present = ~(frame.geometry.isna() | frame.geometry.is_empty)
    counts: dict[str, Any] = {"read": len(raw), "empty": int((~present).sum())}
    frame = frame[present]
    inside = near(frame, grid)
    if not inside.any():
        raise CoverageError(elsewhere(path, "inventory", frame, grid))
    located = frame[inside].to_crs(grid.crs)
    frame, found = _ordered(located, grid)
    if len(frame) == 0 and found["beyond"] == 0:
        message = f"{path}: no polygon in the scene encloses an area, all are slivers; give the landslides' outlines"
        raise InputError(message)
    if len(frame) == 0:
        raise CoverageError(elsewhere(path, "inventory", located, grid))
    shapes, nowhere, hidden = shapes_of_all(grid, np.asarray(frame.geometry.values), frame["id"].to_numpy())
    frame.insert(2, "all_touched", nowhere)
    counts |= found | {"without_centre": int(nowhere.sum()), "hidden": hidden}
    counts["outside"] = int((~inside).sum()) + counts.pop("beyond")
    return Inventory(grid, frame, HygieneReport(kept=len(frame), **counts), shapes)


def read_aoi(
    path: str | os.PathLike[str], grid: Grid, *, layer: str | None = None, encoding: str | None = None
) -> MappedExtent:
    """Read the mapped extent: the union of all polygons of a file, in the grid's CRS.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError
        As :func:`read_inventory`.
    CoverageError
        It does not overlap the scene.
    """
    frame = read_polygons(path, what="mapped extent", layer=layer, encoding=encoding)
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    inside = near(frame, grid)
    scene = shapely.box(*grid.bounds)
    polygons, _, _ = hygiene.repair(_flat(frame[inside].to_crs(grid.crs)))
    whole = shapely.union_all(polygons) if len(polygons) else shapely.Polygon()
    if shapely.area(shapely.intersection(whole, scene)) == 0:
        raise CoverageError(elsewhere(path, "mapped extent", frame, grid))
    return MappedExtent(grid, whole)


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


def _ordered(frame: geopandas.GeoDataFrame, grid: Grid) -> tuple[geopandas.GeoDataFrame, dict[str, Any]]:
    """Return the landslides of a frame in the grid's CRS with ids, and the counts for the report."""
    polygons, thinned = hygiene.thin(_flat(frame), grid)
    polygons, repaired, change = hygiene.repair(polygons)
    frame, gained = hygiene.split_parts(frame.set_geometry(list(polygons), crs=frame.crs))
    counts: dict[str, Any] = {"thinned": thinned, "repaired": repaired, "repaired_area_change_m2": round(change, 3)}
    counts["split"] = gained
    slivers = hygiene.find_slivers(np.asarray(frame.geometry.values), grid)
    frame = frame[~slivers]
    counts["slivers"] = int(slivers.sum())
    scene = shapely.box(*grid.bounds)
    shapely.prepare(scene)
    meets = shapely.intersects(scene, np.asarray(frame.geometry.values)) & ~shapely.touches(
        scene, np.asarray(frame.geometry.values)
    )
    counts["beyond"] = int((~meets).sum())
    frame = frame[meets]
    overlaps = hygiene.find_overlaps(np.asarray(frame.geometry.values), grid)
    frame = frame[~overlaps.duplicate].reset_index(drop=True)
    counts |= {
        "duplicates": int(overlaps.duplicate.sum()),
        "overlapping_pairs": overlaps.pairs,
        "overlap_area_m2": round(overlaps.area_m2, 3),
    }
    polygons = np.asarray(frame.geometry.values)
    counts["crossing_edge"] = int((~shapely.within(polygons, scene)).sum())
    counts["below_pixel"] = int((shapely.area(polygons) < grid.pixel_area_m2).sum())
    frame.insert(0, "id", np.arange(1, len(frame) + 1, dtype=np.int32))
    return frame, counts


def _named(frame: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Free the names that we give, and add the row of the file."""
    ours = {"id", "source_row", "all_touched", "fid", "geometry"}
    names = {
        name: f"source_{name}" for name in frame.columns if str(name).lower() in ours and name != frame.geometry.name
    }
    frame = (
        frame.rename(columns=names).rename_geometry("geometry")
        if frame.geometry.name != "geometry"
        else frame.rename(columns=names)
    )
    frame.insert(0, "source_row", np.arange(len(frame)))
    return frame


def _flat(frame: geopandas.GeoDataFrame) -> NDArray[np.object_]:
    """Geometries without height."""
    return np.asarray(shapely.force_2d(np.asarray(frame.geometry.values)))
