"""Reads landslide inventories and mapped extents of any kind, and puts them in order."""

from __future__ import annotations

import os
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from landslip.errors import CoverageError, InputError
from landslip.grid import Grid
from landslip.scene.inventory import hygiene
from landslip.scene.inventory.burn import shapes_of_all
from landslip.scene.inventory.hygiene import HygieneReport
from landslip.scene.inventory.landslides import Inventory, MappedExtent
from landslip.scene.inventory.place import elsewhere, near
from landslip.scene.inventory.polygons import read_polygons

NO_EXTENT = (
    "no mapped extent given (--aoi): every pixel outside the inventory's polygons counts as not landslide, "
    "also where nobody looked"
)
"""The warning that belongs to an inventory without a mapped extent."""


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
