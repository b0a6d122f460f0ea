"""From a probability raster to landslides: outlines, refinement, splitting, filters, attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray

from landslip.errors import GridMismatchError, InputError
from landslip.grid import Grid
from landslip.mapping.config import FilterConfig, PolygonConfig
from landslip.mapping.landslides.attributes import Measure, measure
from landslip.mapping.landslides.filters import keep
from landslip.mapping.landslides.outlines import Outliner, Outlines
from landslip.mapping.landslides.splitting import split_outlines
from landslip.mapping.probability.objects import ObjectMeans, SceneObjects, object_windows
from landslip.progress import SILENT, Progress
from landslip.rasters import BLOCK, open_raster, read_window
from landslip.scene.store import Scene
from landslip.windows import split_windows

NO_OBJECTS = (
    "refinement needs segmentation objects, and the model's recipe has none; give the label raster of "
    "'landslip segment' with --objects"
)


@dataclass(frozen=True)
class Landslides:
    """Mapped landslides.

    Parameters
    ----------
    outlines
        With pixel edges.
    shapes
        ``(n,)`` polygons as they are written: simplified where that was asked for.
    table
        Attributes, see :data:`landslip.mapping.landslides.fields.FIELDS`.
    counts
        What happened on the way: how many were outlined, too small, split, filtered.
    """

    outlines: Outlines
    shapes: NDArray[Any]
    table: pd.DataFrame
    counts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of landslides."""
        return len(self.outlines)


def find_landslides(
    probability: Path,
    scene: Scene,
    threshold: float,
    polygons: PolygonConfig,
    filters: FilterConfig,
    *,
    objects: SceneObjects | None = None,
    progress: Progress = SILENT,
) -> Landslides:
    """Turn a probability raster into landslides.

    Parameters
    ----------
    probability
        First band: probability, NaN = not mapped.
    scene
        What it was made from, for terrain attributes.
    threshold
        Probability from which a pixel (or an object) is landslide.
    polygons, filters
        The settings.
    objects
        Segmentation objects, where the settings ask for refinement.
    progress
        Shows the passes.

    Raises
    ------
    InputError, MissingInputError, CRSMismatchError, CoverageError
        A mask cannot be used.
    """
    counts: dict[str, Any] = {}
    outlines = outline_raster(probability, threshold, progress=progress)
    if polygons.refine == "objects":
        if objects is None:
            raise InputError(NO_OBJECTS)
        by_pixel = _tidied(outlines, polygons, scene.grid)
        counts["by_pixel"] = _size(by_pixel, scene.grid)
        outlines = outline_objects(probability, objects, threshold, progress=progress)
    counts["outlined"] = len(outlines)
    filled = outlines.without_holes(polygons.fill_holes_m2 / scene.grid.pixel_area_m2)
    counts["within_filled_holes"] = len(outlines) - len(filled)
    outlines = filled.take(_large_enough(filled, polygons, scene.grid))
    counts["too_small"] = len(filled) - len(outlines)
    if polygons.refine == "objects":
        counts["by_object"] = _size(outlines, scene.grid)
    if polygons.split:
        outlines, counts["split"] = split_outlines(
            outlines,
            scene,
            depth_m=polygons.split_depth_m,
            min_pixels=polygons.min_area_m2 / scene.grid.pixel_area_m2,
            progress=progress,
        )
    measured = measure(outlines, probability, scene, progress=progress)
    stay, counts["filtered"] = keep(outlines, measured.slope_mean, scene.grid, filters)
    outlines, measured = outlines.take(stay), _taken(measured, stay)
    table = measured.table(outlines, scene.grid, threshold)
    counts |= {"landslides": len(outlines), "landslide_m2": _size(outlines, scene.grid)["area_m2"]}
    shapes = simplified(outlines.polygons(scene.grid.transform), polygons.simplify_m)
    return Landslides(outlines, shapes, table, counts)


def outline_raster(probability: Path, threshold: float, *, progress: Progress = SILENT) -> Outlines:
    """Outline the pixels of at least ``threshold``, by bands of rows."""
    with rasterio.Env(GDAL_CACHEMAX=64), open_raster(probability, what="probability") as dataset:
        shape = (dataset.height, dataset.width)
        windows = list(split_windows(shape, (BLOCK, shape[1])))
        outliner = Outliner(shape[1])
        with progress.task("outline", len(windows)) as task:
            for window in windows:
                # In float32, as stored: a threshold of 0.7 must take the pixels that read 0.7.
                outliner.add(read_window(dataset, window, [1])[0] >= np.float32(threshold))
                task.advance()
    return outliner.finish()


def outline_objects(
    probability: Path, objects: SceneObjects, threshold: float, *, progress: Progress = SILENT
) -> Outlines:
    """Outline the segmentation objects whose mean probability is at least ``threshold``.

    Pixels that were not mapped, or that are in no object, are no landslide.

    References
    ----------
    The integration of objects and network: Ghorbanzadeh et al. (2022), doi:10.1007/s10346-021-01843-x.
    """
    with rasterio.Env(GDAL_CACHEMAX=64), open_raster(probability, what="probability") as dataset:
        shape = (dataset.height, dataset.width)
        sums = ObjectMeans(objects.count)
        windows = object_windows(shape)
        with progress.task("mean probability of objects", len(windows)) as task:
            for window in windows:
                sums.add(objects.labels(window), read_window(dataset, window, [1])[0])
                task.advance()
        chosen = sums.means() >= np.float32(threshold)
        outliner = Outliner(shape[1])
        for window in split_windows(shape, (BLOCK, shape[1])):
            mapped = np.isfinite(read_window(dataset, window, [1])[0])
            outliner.add(chosen[objects.labels(window)] & mapped)
    return outliner.finish()


def open_objects(path: Path, grid: Grid) -> SceneObjects:
    """Open a label raster on the scene's grid.

    Raises
    ------
    MissingInputError, InputError
        Not there, or not whole numbers.
    GridMismatchError
        On another grid than the scene.
    """
    with open_raster(path, what="objects") as dataset:
        if (dataset.height, dataset.width) != grid.shape or not dataset.transform.almost_equals(grid.transform, 1e-6):
            message = f"{path}: the objects are not on the scene's grid; segment this scene with 'landslip segment'"
            raise GridMismatchError(message)
        if not np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer):
            message = f"{path}: object labels must be whole numbers, these are {dataset.dtypes[0]}"
            raise InputError(message)
    objects = SceneObjects(path, 0)
    count = max(int(objects.labels(window).max(initial=0)) for window in object_windows(grid.shape))
    return SceneObjects(path, count)


def simplified(shapes: NDArray[Any], tolerance_m: float) -> NDArray[Any]:
    """Simplify polygons together, so that borders that two share stay shared.

    Triangles of less than ``tolerance_m``² are taken off corners (Visvalingam & Whyatt 1993,
    doi:10.1179/000870493786962263).
    """
    if tolerance_m <= 0 or not len(shapes):
        return shapes
    found: NDArray[Any] = shapely.coverage_simplify(shapes, tolerance_m)
    return found


def _tidied(outlines: Outlines, polygons: PolygonConfig, grid: Grid) -> Outlines:
    filled = outlines.without_holes(polygons.fill_holes_m2 / grid.pixel_area_m2)
    return filled.take(_large_enough(filled, polygons, grid))


def _large_enough(outlines: Outlines, polygons: PolygonConfig, grid: Grid) -> NDArray[np.bool_]:
    return np.asarray(outlines.pixels * grid.pixel_area_m2 >= polygons.min_area_m2, np.bool_)


def _size(outlines: Outlines, grid: Grid) -> dict[str, Any]:
    return {"landslides": len(outlines), "area_m2": float(outlines.pixels.sum() * grid.pixel_area_m2)}


def _taken(measured: Measure, stay: NDArray[np.bool_]) -> Measure:
    taken = Measure(0)
    taken.sums, taken.origin = measured.sums[stay], measured.origin[stay]
    return taken
