"""What is known of each object: size, shape, layer statistics, neighbours, and its outline."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import InputError, OutputError
from landslip.files import atomic_path
from landslip.grid import Grid
from landslip.objects.means import check_labels

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame


def object_table(labels: ArrayLike, grid: Grid, layers: Iterable[tuple[str, NDArray[np.floating]]] = ()) -> DataFrame:
    """Describe every object.

    Parameters
    ----------
    labels
        ``(rows, cols)`` whole numbers: 0 = none, objects 1..n.
    grid
        Their grid, projected in metres.
    layers
        Names with their ``(rows, cols)`` values, one at a time, so that they need not be in memory together.

    Returns
    -------
    pandas.DataFrame
        One row per object, by label: ``object``; ``pixels``; ``area_m2``; ``perimeter_m`` (outer and inner
        edges); ``row_min row_max col_min col_max`` (inclusive); ``compactness`` (l/√n in pixel edges, 4 for a
        square) and ``smoothness`` (l over the perimeter of the bounding box, 1 for a rectangle); ``neighbours``
        (objects that share an edge); then ``mean_<layer>`` and ``std_<layer>`` over the pixels with a value.

    Raises
    ------
    InputError
        Labels, grid and layers do not share rows and columns.
    CRSMismatchError
        The grid is not in metres.
    """
    import pandas as pd

    objects = np.asarray(check_labels(labels), np.int64)
    if objects.shape != grid.shape:
        message = f"labels of {objects.shape} on a grid of {grid.shape}; rows and columns must be the same"
        raise InputError(message)
    grid.require_metric(what="objects", remedy="warp the raster to one that is, and segment that")
    size = int(objects.max(initial=0)) + 1
    pixels = np.bincount(objects.ravel(), minlength=size)
    edges, metres = _perimeters(objects, size, grid.resolution)
    boxes = _boxes(objects, size)
    columns: dict[str, NDArray[Any]] = {
        "object": np.arange(size),
        "pixels": pixels,
        "area_m2": pixels * grid.pixel_area_m2,
        "perimeter_m": metres,
        **boxes,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["compactness"] = edges / np.sqrt(pixels)
        around = 2 * (boxes["row_max"] - boxes["row_min"] + boxes["col_max"] - boxes["col_min"] + 2)
        columns["smoothness"] = edges / around
    columns["neighbours"] = _neighbours(objects, size)
    for name, values in layers:
        if values.shape != objects.shape:
            message = f"layer {name} of {values.shape} beside labels of {objects.shape}; rows and columns must match"
            raise InputError(message)
        columns[f"mean_{name}"], columns[f"std_{name}"] = _statistics(objects, values, size)
    present = pixels > 0
    present[0] = False
    return pd.DataFrame({name: column[present] for name, column in columns.items()})


def object_polygons(labels: ArrayLike, grid: Grid, table: DataFrame) -> GeoDataFrame:
    """Give each row of the table its outline, along pixel edges; areas equal those of the pixels.

    Parameters
    ----------
    labels
        ``(rows, cols)``, the labels that the table describes, each of them one 4-connected object.
    grid
        Their grid.
    table
        From :func:`object_table`.
    """
    import geopandas
    import shapely
    from rasterio.features import shapes

    objects = check_labels(labels).astype(np.int32)
    found = shapes(objects, mask=objects > 0, connectivity=4, transform=grid.transform)
    outlines: dict[int, list[Any]] = {}
    for outline, label in found:
        rings = outline["coordinates"]
        outlines.setdefault(int(label), []).append(shapely.Polygon(rings[0], rings[1:]))
    column = [
        parts[0] if len(parts := outlines[int(label)]) == 1 else shapely.MultiPolygon(parts)
        for label in table["object"]
    ]
    return geopandas.GeoDataFrame(table, geometry=column, crs=grid.crs)


def write_objects(objects: GeoDataFrame, path: str | os.PathLike[str]) -> None:
    """Write outlines with their table as GeoPackage (``.gpkg``) or GeoParquet (``.parquet``), atomically.

    Raises
    ------
    OutputError
        Another suffix, or it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".gpkg", ".parquet"):
        message = f"{path}: objects are written as .gpkg or .parquet (labels as .tif); change the suffix"
        raise OutputError(message)
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            objects.to_parquet(temporary, index=False)
            return
        from pyogrio import get_gdal_config_option, set_gdal_config_options

        before = get_gdal_config_option("OGR_CURRENT_DATE")
        set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00Z"})  # same content, same bytes
        try:
            objects.to_file(temporary, layer="objects", driver="GPKG", engine="pyogrio", index=False)
        finally:
            set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _perimeters(
    objects: NDArray[np.int64], size: int, resolution: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    height, width = resolution
    upright, level = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for count, first, second in (
        (upright, objects[:, :-1], objects[:, 1:]),
        (level, objects[:-1], objects[1:]),
    ):
        differ = first != second
        count += np.bincount(first[differ], minlength=size) + np.bincount(second[differ], minlength=size)
    for count, side in ((upright, objects[:, 0]), (upright, objects[:, -1]), (level, objects[0]), (level, objects[-1])):
        count += np.bincount(side, minlength=size)
    return upright + level, upright * height + level * width


def _boxes(objects: NDArray[np.int64], size: int) -> dict[str, NDArray[np.int64]]:
    from scipy.ndimage import find_objects

    found = find_objects(objects, max_label=size - 1) if size > 1 else []
    box = np.zeros((size, 4), np.int64)
    for label, place in enumerate(found, start=1):
        if place is not None:
            box[label] = place[0].start, place[0].stop - 1, place[1].start, place[1].stop - 1
    return {name: box[:, k] for k, name in enumerate(("row_min", "row_max", "col_min", "col_max"))}


def _neighbours(objects: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    pairs = []
    for first, second in ((objects[:, :-1], objects[:, 1:]), (objects[:-1], objects[1:])):
        meet = (first != second) & (first > 0) & (second > 0)
        low, high = np.minimum(first[meet], second[meet]), np.maximum(first[meet], second[meet])
        pairs.append(np.unique(low * size + high))
    unique = np.unique(np.concatenate(pairs))
    return np.bincount(unique // size, minlength=size) + np.bincount(unique % size, minlength=size)


def _statistics(
    objects: NDArray[np.int64], values: NDArray[np.floating], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    finite = np.isfinite(values)
    where, numbers = objects[finite], values[finite].astype(np.float64)
    count = np.bincount(where, minlength=size)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(where, weights=numbers, minlength=size) / count
        scatter = np.bincount(where, weights=(numbers - mean[where]) ** 2, minlength=size) / count
    return mean, np.sqrt(scatter)
