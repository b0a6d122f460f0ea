"""Choosing the scene grid: the image's own where that is possible, so that nothing is resampled without need."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from landslip.errors import CRSMismatchError, GridMismatchError
from landslip.grid import Grid, read_crs
from landslip.scene.images.image import Image
from landslip.scene.sampling import whole_pixel_offset

log = logging.getLogger(__name__)

MAX_PIXELS = 40_000**2
"""A scene beyond this is surely a mistake in resolution or CRS."""


def choose_grid(images: Sequence[Image], crs: str, resolution: float) -> Grid:
    """Return the grid of the scene.

    Parameters
    ----------
    images
        The post-event images.
    crs
        ``"auto"``: the first image's CRS where that is projected in metres, else the UTM zone of the
        centre; or anything that names a CRS (``EPSG:32654``).
    resolution
        Pixel edge in metres.

    Raises
    ------
    CRSMismatchError
        The CRS is unknown or not projected in metres.
    GridMismatchError
        The grid would be absurdly large.
    """
    grids = [image.reference.grid for image in images]
    target = _scene_crs(grids, crs)
    grid = _common_lattice(grids, target, resolution)
    if grid is None:
        grid = Grid.from_bounds(_union(grids, target), resolution, target)
        log.info("images are warped to %s at %g m", target.name, resolution)
    grid.require_metric()
    if grid.rows * grid.cols > MAX_PIXELS:
        message = (
            f"the scene would have {grid.rows} x {grid.cols} pixels of {resolution:g} m; the images lie too far "
            "apart, or --resolution is wrong"
        )
        raise GridMismatchError(message)
    _warn_of_resolution(grids[0], grid)
    return grid


def utm_of(grid: Grid) -> CRS:
    """Return the WGS 84 UTM zone of a grid's centre.

    Raises
    ------
    CRSMismatchError
        The centre is in no UTM zone (beyond 84° N or 80° S).
    """
    west, south, east, north = grid.bounds
    to_degrees = Transformer.from_crs(grid.crs, CRS.from_epsg(4326), always_xy=True)
    longitude, latitude = to_degrees.transform((west + east) / 2, (south + north) / 2)
    place = AreaOfInterest(longitude, latitude, longitude, latitude)
    found = query_utm_crs_info(datum_name="WGS 84", area_of_interest=place) if np.isfinite(longitude) else []
    if not found:
        message = f"no UTM zone at {latitude:.2f}°, {longitude:.2f}°; give --crs with an EPSG code"
        raise CRSMismatchError(message)
    return CRS.from_epsg(int(found[0].code))


def _scene_crs(grids: Sequence[Grid], crs: str) -> CRS:
    if crs != "auto":
        return read_crs(crs, what="--crs")
    first = grids[0]
    return first.crs if _metric(first.crs) else utm_of(first)


def _metric(crs: CRS) -> bool:
    axes = {axis.unit_name for axis in crs.axis_info[:2]}
    web_mercator = crs.to_epsg() == 3857  # its metres are not metres on the ground
    return crs.is_projected and axes <= {"metre", "meter"} and not web_mercator


def _union(grids: Sequence[Grid], crs: CRS) -> tuple[float, float, float, float]:
    boxes = []
    for grid in grids:
        transformer = Transformer.from_crs(grid.crs, crs, always_xy=True)
        box = transformer.transform_bounds(*grid.bounds, densify_pts=41)
        if not np.all(np.isfinite(box)):
            message = f"an image in {grid.crs.name} cannot be brought to {crs.name}; give another --crs"
            raise CRSMismatchError(message)
        boxes.append(box)
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _common_lattice(grids: Sequence[Grid], crs: CRS, resolution: float) -> Grid | None:
    """Grid on the first image's own pixels that holds all images; None where they do not share pixels."""
    first = grids[0]
    if first.crs != crs or not np.allclose(first.resolution, resolution, rtol=1e-6):
        return None
    offsets = [offset for grid in grids if (offset := whole_pixel_offset(grid, first)) is not None]
    if len(offsets) != len(grids):
        return Grid.from_bounds(_union(grids, crs), resolution, crs)
    top, left = min(row for row, _ in offsets), min(col for _, col in offsets)
    bottom = max(row + grid.rows for (row, _), grid in zip(offsets, grids, strict=True))
    right = max(col + grid.cols for (_, col), grid in zip(offsets, grids, strict=True))
    transform = first.transform * first.transform.translation(left, top)
    return Grid((bottom - top, right - left), transform, crs)


def _warn_of_resolution(image: Grid, grid: Grid) -> None:
    centre = utm_of(image) if image.crs.is_geographic else image.crs
    transformer = Transformer.from_crs(image.crs, centre, always_xy=True)
    west, south, east, north = transformer.transform_bounds(*image.bounds)
    own = ((east - west) / image.cols + (north - south) / image.rows) / 2
    if own > 2 * grid.resolution[1]:
        log.warning(
            "the image has pixels of about %.0f m, the scene of %g m: finer than what was seen; give --resolution %.0f",
            own,
            grid.resolution[1],
            own,
        )
