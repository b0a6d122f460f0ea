"""Takes landslides out that cannot be: on flat ground, on water, on classes of land cover. Each is counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from landslip.errors import CoverageError, CRSMismatchError, InputError
from landslip.files import require_file
from landslip.files.places import nearby
from landslip.grid import Grid, read_crs
from landslip.mapping.config import FilterConfig
from landslip.mapping.landslides.outlines import Outlines
from landslip.rasters import BLOCK, open_raster, patiently, rasterio_window
from landslip.scene.inventory.polygons import first_line
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

MOSTLY = 0.5
"""A landslide is on water, or on a class, when more than this share of it is."""

COVERED = 0.99
"""Share of the scene that a raster has to say something of, or its gaps are told."""

_LOOK_PX = 512
"""Rows and columns at which the share covered is looked at."""

RASTERS = (".tif", ".tiff", ".vrt", ".jp2", ".img")

Reader = Callable[[Window], NDArray[np.bool_]]
"""Gives a mask ``(rows, cols)`` for a window of the scene."""


def keep(
    outlines: Outlines, slope_mean_deg: NDArray[np.float64], grid: Grid, config: FilterConfig
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Decide which landslides stay.

    Parameters
    ----------
    outlines
        Landslides.
    slope_mean_deg
        ``(landslides,)`` NaN where unknown; those stay.
    grid
        Grid of the scene.
    config
        The filters.

    Returns
    -------
    tuple
        ``(landslides,)`` whether it stays; and for each filter in use how many it took out. One that fails
        several is counted at the first.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError, CoverageError
        A mask cannot be read, has no CRS, or lies elsewhere.
    """
    stay = np.ones(len(outlines), np.bool_)
    counts: dict[str, int] = {}

    def drop(name: str, failed: NDArray[np.bool_]) -> None:
        counts[name] = int((stay & failed).sum())
        stay[failed] = False

    if config.min_slope_deg > 0:
        drop("slope", np.nan_to_num(slope_mean_deg, nan=90.0) < config.min_slope_deg)
    with ExitStack() as stack:
        if config.water is not None:
            drop("water", share(outlines, grid, _water(config.water, grid, stack)) > MOSTLY)
        if config.land_cover is not None:
            covered = _classes(config.land_cover, grid, config.exclude_classes, stack)
            drop("land_cover", share(outlines, grid, covered) > MOSTLY)
    return stay, counts


def check_masks(grid: Grid, config: FilterConfig, catchments: Path | None = None) -> None:
    """Refuse masks that cannot be used, before anything long is begun.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError, CoverageError
        See :func:`keep`.
    """
    with ExitStack() as stack:
        if config.water is not None:
            _water(config.water, grid, stack)
            if config.water.suffix.lower() in RASTERS:
                _tell_cover(config.water, grid, stack, "water mask")
        if config.land_cover is not None:
            _classes(config.land_cover, grid, config.exclude_classes, stack)
            _tell_cover(config.land_cover, grid, stack, "land cover")
    if catchments is not None:
        frame_on(catchments, grid, what="catchment file")


def share(outlines: Outlines, grid: Grid, mask: Reader) -> NDArray[np.float64]:
    """``(landslides,)`` share of each that lies on a mask, read by bands of rows."""
    hit = np.zeros(len(outlines) + 1, np.int64)
    for window in split_windows(grid.shape, (BLOCK, grid.cols)):
        burnt = outlines.burn(window)
        if burnt.any():
            hit += np.bincount(burnt[mask(window)], minlength=hit.size)
    return np.asarray(hit[1:] / np.maximum(outlines.pixels, 1), np.float64)


def _water(path: Path, grid: Grid, stack: ExitStack) -> Reader:
    require_file(path, what="water mask")
    if path.suffix.lower() in RASTERS:
        read = _warped(path, grid, stack, "water mask")

        def on_water(window: Window) -> NDArray[np.bool_]:
            values, inside = read(window)
            return np.asarray(inside & (values != 0), np.bool_)

        return on_water
    shapes = polygons_on(path, grid, what="water mask")

    def in_polygons(window: Window) -> NDArray[np.bool_]:
        return burn_polygons(shapes, np.ones(len(shapes), np.int32), grid, window) > 0

    return in_polygons


def _classes(path: Path, grid: Grid, classes: tuple[int, ...], stack: ExitStack) -> Reader:
    read = _warped(path, grid, stack, "land cover")

    def on_classes(window: Window) -> NDArray[np.bool_]:
        values, inside = read(window)
        return np.asarray(inside & np.isin(values, classes), np.bool_)

    return on_classes


def _tell_cover(path: Path, grid: Grid, stack: ExitStack, what: str) -> None:
    """Warn where a raster says nothing of a part of the scene: landslides there pass its filter unseen."""
    warped = _vrt(path, grid, stack, what)
    coarse = (max(1, min(grid.rows, _LOOK_PX)), max(1, min(grid.cols, _LOOK_PX)))
    inside: NDArray[Any] = patiently(lambda: warped.dataset_mask(out_shape=coarse), path)
    covered = float((inside > 0).mean())
    if covered < COVERED:
        log.warning(
            "%s: the %s covers %s of the scene; landslides elsewhere are not filtered by it",
            path,
            what,
            f"{covered:.0%}" if covered >= 0.01 else "less than 1%",
        )


def _warped(
    path: Path, grid: Grid, stack: ExitStack, what: str
) -> Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Read a raster of classes on the scene's grid (nearest pixel): values, and where there are any."""
    warped = _vrt(path, grid, stack, what)

    def read(window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        where = rasterio_window(window)
        values: NDArray[Any] = patiently(lambda: warped.read(1, window=where), path)
        inside: NDArray[Any] = patiently(lambda: warped.dataset_mask(window=where), path)
        return values, inside > 0

    return read


def _vrt(path: Path, grid: Grid, stack: ExitStack, what: str) -> WarpedVRT:
    dataset = stack.enter_context(open_raster(path, what=what))
    crs = read_crs(dataset.crs, what=f"{path} ({what})")
    if not grid.contains_bounds(tuple(dataset.bounds), crs):
        message = f"{path}: the {what} does not overlap the scene; check its place and CRS"
        raise CoverageError(message)
    return stack.enter_context(
        WarpedVRT(
            dataset,
            crs=grid.crs.to_wkt(),
            transform=grid.transform,
            width=grid.cols,
            height=grid.rows,
            resampling=Resampling.nearest,
            add_alpha=dataset.nodata is None and dataset.count == 1,
        )
    )


def polygons_on(path: Path, grid: Grid, *, what: str) -> NDArray[Any]:
    """Read polygons from a vector file in the CRS of ``grid``.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError, CoverageError
        Not there, not readable, not polygons, without a CRS, or elsewhere.
    """
    return frame_on(path, grid, what=what).geometry.to_numpy()  # type: ignore[no-any-return]  # an object array


def frame_on(path: Path, grid: Grid, *, what: str) -> Any:  # noqa: ANN401 - GeoDataFrame, untyped
    """As :func:`polygons_on`, with the attributes."""
    import pyogrio

    require_file(path, what=what)
    try:
        with nearby(path, what=what, beside=(".shx", ".dbf", ".prj", ".cpg") if path.suffix == ".shp" else ()) as file:
            frame = pyogrio.read_dataframe(file)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        message = f"{path}: not a readable vector file ({what}): {first_line(error)}"
        raise InputError(message) from error
    if not hasattr(frame, "geometry") or frame.crs is None:
        message = f"{path}: the {what} has no geometries or no coordinate reference system; assign one"
        raise CRSMismatchError(message)
    frame = frame.to_crs(grid.crs)
    frame = frame[shapely.get_dimensions(frame.geometry.to_numpy()) == 2]
    if not len(frame):
        message = f"{path}: no polygon in it ({what}); lines and points cannot be used, buffer them first"
        raise InputError(message)
    near = shapely.intersects(frame.geometry.to_numpy(), shapely.box(*grid.bounds))
    if not near.any():
        message = f"{path}: the {what} does not overlap the scene; check its place and CRS"
        raise CoverageError(message)
    return frame[near].reset_index(drop=True)


def burn_polygons(shapes: NDArray[Any], values: NDArray[np.int32], grid: Grid, window: Window) -> NDArray[np.int32]:
    """Burn polygons into a window, ``(rows, cols)`` int32, by pixel centres; the last of several wins."""
    part = grid.crop(window)
    near = shapely.intersects(shapes, shapely.box(*part.bounds))
    if not near.any():
        return np.zeros(window.shape, np.int32)
    burnt: NDArray[np.int32] = rasterize(
        zip(shapes[near], values[near].tolist(), strict=True),
        out_shape=window.shape,
        transform=part.transform,
        dtype="int32",
    )
    return burnt
