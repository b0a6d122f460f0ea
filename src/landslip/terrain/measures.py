"""Slope, aspect, shading, curvature and relief of heights in metres.

First derivatives are Horn's (1981). A cell without elevation has no terrain. Where a *neighbour* is
missing (edge of the model, a void) the difference along that row or column is one-sided, and a row or
column that gives no difference at all is left out of Horn's weights 1, 2, 1: a plane keeps its slope up
to the edge. A one-sided difference of second order would be smoother on paper and is worse on real
terrain (docs/terrain.md).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from landslip.errors import ConfigError, InputError
from landslip.terrain.differences import Floats, difference, horn, second_difference, weighted
from landslip.terrain.ground import Ground, Steps
from landslip.windows import Window

ZUnit = Literal["m", "ft"]

METRES = {"m": 1.0, "ft": 0.3048}
"""Length of each accepted elevation unit in metres."""


def slope(dem: ArrayLike, transform: Affine, crs: Any, *, z_unit: ZUnit = "m") -> NDArray[np.float32]:  # noqa: ANN401
    """Slope of an elevation model on its own grid (Horn 1981).

    Parameters
    ----------
    dem
        Elevations, ``(rows, cols)``, any real type, NaN (or masked) where there is none.
    transform
        Cell to CRS coordinates of the upper left corner of each cell; not rotated.
    crs
        CRS of the model, whatever pyproj understands: degrees are turned into metres row by row on
        the CRS's ellipsoid, other units by their length.
    z_unit
        Unit of the elevations.

    Returns
    -------
    numpy.ndarray
        Slope in degrees, ``(rows, cols)`` float32, NaN where the cell has no elevation or no
        neighbour in a direction.

    Raises
    ------
    InputError
        ``dem`` is not two-dimensional or smaller than 2 x 2.
    CRSMismatchError, GridMismatchError
        The CRS gives no distances, or the grid is rotated.

    References
    ----------
    Horn, B. K. P. (1981). Hill shading and the reflectance map. Proceedings of the IEEE 69(1), 14-47.
    """
    return slope_of(*gradient(dem, transform, crs, z_unit=z_unit))


def gradient(dem: ArrayLike, transform: Affine, crs: Any, *, z_unit: ZUnit = "m") -> tuple[Floats, Floats]:  # noqa: ANN401
    """Rise per metre towards the east and towards the north; parameters as :func:`slope`."""
    heights = as_metres(dem, z_unit)
    return gradient_on(heights, Ground.of(transform, crs, heights.shape).steps(Window(0, 0, *heights.shape)))


def gradient_on(heights: Floats, steps: Steps) -> tuple[Floats, Floats]:
    """Rise per metre east and north of ``(rows, cols)`` heights in metres, with known steps."""
    per_col, per_row = horn(heights)
    for rise, axis in ((per_col, 1), (per_row, 0)):
        broken = np.isnan(rise)  # a neighbour is missing
        rise[broken] = weighted(difference(heights, axis), 1 - axis, 2.0)[broken]
    determinant = steps.col_east * steps.row_north - steps.col_north * steps.row_east
    east = (per_col * steps.row_north - per_row * steps.col_north) / determinant
    north = (per_row * steps.col_east - per_col * steps.row_east) / determinant
    missing = np.isnan(heights)
    east[missing] = np.nan
    north[missing] = np.nan
    return east, north


def slope_of(east: Floats, north: Floats) -> NDArray[np.float32]:
    """Slope in degrees of a gradient."""
    return np.degrees(np.arctan(np.hypot(east, north))).astype(np.float32)


def aspect_of(east: Floats, north: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sine and cosine of the aspect: east and north component of the downhill direction, 0 and 0 where flat."""
    steepness = np.hypot(east, north)
    flat = steepness == 0
    steepness = np.where(flat, 1.0, steepness)
    return (-east / steepness).astype(np.float32) + 0.0, (-north / steepness).astype(np.float32) + 0.0


def illumination_of(
    east: Floats, north: Floats, *, sun_azimuth_deg: float, sun_elevation_deg: float
) -> NDArray[np.float32]:
    """Cosine of the angle between the sun and the ground's normal; negative where the ground faces away."""
    azimuth, elevation = np.radians(sun_azimuth_deg), np.radians(sun_elevation_deg)
    towards_sun = -east * np.sin(azimuth) * np.cos(elevation) - north * np.cos(azimuth) * np.cos(elevation)
    cosine = (towards_sun + np.sin(elevation)) / np.sqrt(1 + east**2 + north**2)
    return np.asarray(cosine, np.float32)


def hillshade_of(
    east: Floats, north: Floats, *, sun_azimuth_deg: float = 315.0, sun_elevation_deg: float = 45.0
) -> NDArray[np.float32]:
    """Lambertian shading from 0 (dark) to 1 (facing the sun); cast shadows are not part of it."""
    lit = illumination_of(east, north, sun_azimuth_deg=sun_azimuth_deg, sun_elevation_deg=sun_elevation_deg)
    return np.asarray(np.maximum(lit, 0), np.float32)


def curvature_on(heights: Floats, steps: Steps) -> NDArray[np.float32]:
    """General curvature ``-(z_xx + z_yy)`` in 1/km: positive on ridges and domes, negative in hollows.

    Second differences averaged over three rows or columns, as the least-squares quadratic of a
    3 x 3 neighbourhood gives them; at an edge the difference of the next cell inwards is taken.

    References
    ----------
    Evans, I. S. (1980). An integrated system of terrain analysis and slope mapping. Zeitschrift für
    Geomorphologie, Supplementband 36, 274-295.
    """
    width2 = steps.col_east**2 + steps.col_north**2
    height2 = steps.row_east**2 + steps.row_north**2
    across = weighted(second_difference(heights, 1), 0, 1.0) / width2
    down = weighted(second_difference(heights, 0), 1, 1.0) / height2
    return np.where(np.isnan(heights), np.nan, -1000.0 * (across + down)).astype(np.float32)


def local_relief(heights: Floats, radius: tuple[int, int]) -> NDArray[np.float32]:
    """Highest minus lowest elevation, in metres, of the cells at most ``radius`` (rows, cols) away.

    Cells without elevation are left out of their neighbours' range and have none themselves.
    """
    size = (2 * radius[0] + 1, 2 * radius[1] + 1)
    missing = np.isnan(heights)
    high = ndimage.maximum_filter(np.where(missing, -np.inf, heights), size, mode="constant", cval=-np.inf)
    low = ndimage.minimum_filter(np.where(missing, np.inf, heights), size, mode="constant", cval=np.inf)
    relief: Floats = np.where(missing, 0.0, high) - np.where(missing, 0.0, low)
    relief[missing] = np.nan
    return np.asarray(relief, np.float32)


def as_metres(dem: ArrayLike, z_unit: ZUnit = "m") -> Floats:
    """Return elevations as float64 metres with NaN where masked; refuse what is no elevation grid."""
    if z_unit not in METRES:
        message = f"elevation unit {z_unit!r} is not known; give one of: {', '.join(METRES)}"
        raise ConfigError(message)
    heights = np.ma.filled(np.ma.asarray(dem).astype(np.float64), np.nan) * METRES[z_unit]
    if heights.ndim != 2 or min(heights.shape) < 2:
        message = f"elevation model: needs rows and columns, at least 2 x 2 cells, and has shape {heights.shape}"
        raise InputError(message)
    return np.asarray(heights)
