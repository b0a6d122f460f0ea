"""Slope and other terrain layers, on the elevation model's own grid and in metres on the ground.

Everything here takes a whole array (or a window with its halo) and returns arrays of the same shape;
reading files and moving the result to a scene's grid is the work of :mod:`landslip.scene.elevation`.

First derivatives are Horn's (1981). A cell without elevation has no terrain. Where a *neighbour* is
missing (edge of the model, a void) the difference along that row or column is one-sided, and a row or
column that gives no difference at all is left out of Horn's weights 1, 2, 1: a plane keeps its slope up
to the edge. A one-sided difference of second order would be smoother on paper and is worse on real
terrain (docs/terrain.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Transformer
from scipy import ndimage

from landslip.errors import ConfigError, CRSMismatchError, GridMismatchError, InputError
from landslip.grid import read_crs
from landslip.windows import Window

Floats = NDArray[np.float64]
ZUnit = Literal["m", "ft"]

METRES = {"m": 1.0, "ft": 0.3048}
"""Length of each accepted elevation unit in metres."""

MAX_DISTORTION = 0.01
"""A projected grid whose scale stays within this of the ground's is taken as it is (every UTM zone is);
beyond (Web Mercator far from the equator) spacings come from the ellipsoid."""

_NODE_STEP = 32  # cells between exact spacings of a distorted grid


@dataclass(frozen=True)
class Steps:
    """Ground displacement, in metres east and north, of one step to the right and of one step down.

    Each array broadcasts to the window's ``(rows, cols)``.
    """

    col_east: Floats
    col_north: Floats
    row_east: Floats
    row_north: Floats


@dataclass(frozen=True)
class Ground:
    """What a cell of an elevation model measures on the ground, whatever the CRS.

    Parameters
    ----------
    transform
        Cell to CRS coordinates; not rotated.
    crs
        Geographic, or projected in any unit.
    shape
        Rows and columns of the whole model.
    """

    transform: Affine
    crs: CRS
    shape: tuple[int, int]

    @classmethod
    def of(cls, transform: Affine, crs: Any, shape: tuple[int, int]) -> Ground:  # noqa: ANN401 - what pyproj takes
        """Check the parts and put them together.

        Raises
        ------
        GridMismatchError
            The grid is rotated.
        CRSMismatchError
            The CRS is missing, or its unit is neither an angle nor a length.
        """
        if transform.b or transform.d or not transform.a or not transform.e:
            message = "elevation model: the grid is rotated; warp it to a north-up one first (gdalwarp)"
            raise GridMismatchError(message)
        horizontal = read_crs(crs, what="elevation model")
        if horizontal.is_compound:
            horizontal = horizontal.sub_crs_list[0]
        if not (horizontal.is_geographic or horizontal.is_projected) and horizontal.axis_info[0].unit_name != "metre":
            message = (
                f"elevation model: CRS {horizontal.name} gives no distances; warp it to a projected CRS (gdalwarp)"
            )
            raise CRSMismatchError(message)
        return cls(transform, horizontal, shape)

    @cached_property
    def unit(self) -> float:
        """Radians (geographic) or metres (projected) per unit of the CRS."""
        return float(self.crs.axis_info[0].unit_conversion_factor)

    @cached_property
    def plain(self) -> bool:
        """Whether grid distances are ground distances to :data:`MAX_DISTORTION`."""
        if self.crs.is_geographic:
            return False
        if not self.crs.is_projected:
            return True
        rows, cols = (np.linspace(0.0, size - 1, 3, dtype=np.float64) for size in self.shape)
        east, south = abs(self.transform.a) * self.unit, abs(self.transform.e) * self.unit
        col_east, col_north, row_east, row_north = self._exact(rows, cols)
        scales = np.concatenate([np.hypot(col_east, col_north) / east, np.hypot(row_east, row_north) / south])
        return bool(np.all(np.abs(scales - 1) <= MAX_DISTORTION))

    def steps(self, window: Window) -> Steps:
        """Ground displacement of one cell step in ``window``."""
        zero = np.zeros((1, 1))
        if self.crs.is_geographic:
            north, east = self._radii(self._latitudes(window))
            return Steps(
                (east * self.transform.a * self.unit)[:, None],
                zero,
                zero,
                (north * self.transform.e * self.unit)[:, None],
            )
        if self.plain:
            return Steps(zero + self.transform.a * self.unit, zero, zero, zero + self.transform.e * self.unit)
        return Steps(*self._interpolated(window))

    def cell_size_m(self) -> tuple[float, float]:
        """Height and width of the middle cell on the ground in metres."""
        row, col = self.shape[0] // 2, self.shape[1] // 2
        steps = self.steps(Window(row, col, 1, 1))
        height = np.hypot(steps.row_east, steps.row_north)
        width = np.hypot(steps.col_east, steps.col_north)
        return float(height.ravel()[0]), float(width.ravel()[0])

    def _latitudes(self, window: Window) -> Floats:
        latitudes = (self.transform.f + (window.row + np.arange(window.rows) + 0.5) * self.transform.e) * self.unit
        if np.any(np.abs(latitudes) > np.pi / 2 + 1e-9):
            message = (
                "elevation model: latitudes beyond 90 degrees; its CRS is not the one it claims, assign the right one"
            )
            raise CRSMismatchError(message)
        return np.asarray(latitudes, np.float64)

    def _radii(self, latitude: Floats) -> tuple[Floats, Floats]:
        """Metres per radian of latitude, and of longitude, on the CRS's ellipsoid (radii M and N cos φ)."""
        ellipsoid = self.crs.ellipsoid
        if ellipsoid is None:
            message = (
                f"elevation model: CRS {self.crs.name} names no ellipsoid; assign an EPSG code (gdal_edit.py -a_srs)"
            )
            raise CRSMismatchError(message)
        a, b = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
        e2 = 1 - (b / a) ** 2
        w = 1 - e2 * np.sin(latitude) ** 2
        return a * (1 - e2) / w**1.5, a / np.sqrt(w) * np.cos(latitude)

    def _exact(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the steps of a projected grid at each pair of row and column, through longitude and latitude."""
        geodetic = self.crs.geodetic_crs
        if geodetic is None:
            message = (
                f"elevation model: CRS {self.crs.name} names no ellipsoid; assign an EPSG code (gdal_edit.py -a_srs)"
            )
            raise CRSMismatchError(message)
        transformer = Transformer.from_crs(self.crs, geodetic, always_xy=True)
        row, col = (grid + 0.5 for grid in np.meshgrid(rows, cols, indexing="ij"))

        def lonlat(row: Floats, col: Floats) -> tuple[Floats, Floats]:
            lon, lat = transformer.transform(
                self.transform.c + col * self.transform.a, self.transform.f + row * self.transform.e, radians=True
            )
            return np.asarray(lon), np.asarray(lat)

        north_m, east_m = self._radii(lonlat(row, col)[1])

        def displacement(before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
            turn = (after[0] - before[0] + np.pi) % (2 * np.pi) - np.pi
            return turn * east_m, (after[1] - before[1]) * north_m

        right = displacement(lonlat(row, col - 0.5), lonlat(row, col + 0.5))
        down = displacement(lonlat(row - 0.5, col), lonlat(row + 0.5, col))
        return *right, *down

    def _interpolated(self, window: Window) -> tuple[Floats, Floats, Floats, Floats]:
        # nodes at whole multiples of the step, so that a cell's spacing does not depend on the window
        rows, cols = (
            np.arange(start // _NODE_STEP, (start + size - 1) // _NODE_STEP + 2).astype(np.float64) * _NODE_STEP
            for start, size in ((window.row, window.rows), (window.col, window.cols))
        )
        at = np.meshgrid(
            (window.row + np.arange(window.rows) - rows[0]) / _NODE_STEP,
            (window.col + np.arange(window.cols) - cols[0]) / _NODE_STEP,
            indexing="ij",
        )
        nodes = self._exact(rows, cols)
        first, second, third, fourth = (ndimage.map_coordinates(node, at, order=1) for node in nodes)
        return first, second, third, fourth


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
    per_col, per_row = _horn(heights)
    for rise, axis in ((per_col, 1), (per_row, 0)):
        broken = np.isnan(rise)  # a neighbour is missing
        rise[broken] = _weighted(_difference(heights, axis), 1 - axis, 2.0)[broken]
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
    across = _weighted(_second_difference(heights, 1), 0, 1.0) / width2
    down = _weighted(_second_difference(heights, 0), 1, 1.0) / height2
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


def _horn(heights: Floats) -> tuple[Floats, Floats]:
    """Rise per column and per row where all eight neighbours are known, NaN elsewhere.

    Summed in single precision and in the order of ``gdaldem``, whose slopes these then equal; the
    rounding this brings is about 1e-3 degrees at 2000 m and cells of 10 m.
    """
    z = heights.astype(np.float32)
    per_col, per_row = np.full_like(heights, np.nan), np.full_like(heights, np.nan)
    up, here, down = z[:-2], z[1:-1], z[2:]
    left, middle, right = slice(None, -2), slice(1, -1), slice(2, None)
    west = up[:, left] + here[:, left] + here[:, left] + down[:, left]
    east = up[:, right] + here[:, right] + here[:, right] + down[:, right]
    north = up[:, left] + up[:, middle] + up[:, middle] + up[:, right]
    south = down[:, left] + down[:, middle] + down[:, middle] + down[:, right]
    per_col[1:-1, 1:-1] = (east - west) / 8.0
    per_row[1:-1, 1:-1] = (south - north) / 8.0
    return per_col, per_row


def _shifted(values: Floats, axis: int, reach: int) -> list[Floats]:
    """Return the arrays of neighbours from ``-reach`` to ``+reach`` along ``axis``, NaN beyond the edge."""
    length = values.shape[axis]
    widths = [(0, 0), (0, 0)]
    widths[axis] = (reach, reach)
    padded = np.pad(values, widths, constant_values=np.nan)
    return [np.take(padded, range(start, start + length), axis) for start in range(2 * reach + 1)]


def _difference(heights: Floats, axis: int) -> Floats:
    """Rise per cell along ``axis``: central, else one-sided, else NaN."""
    before, here, after = _shifted(heights, axis, 1)
    rise = (after - before) / 2
    rise = np.where(np.isnan(rise), after - here, rise)
    return np.where(np.isnan(rise), here - before, rise)


def _second_difference(heights: Floats, axis: int) -> Floats:
    before2, before, here, after, after2 = _shifted(heights, axis, 2)
    bend = before - 2 * here + after
    bend = np.where(np.isnan(bend), here - 2 * after + after2, bend)
    return np.where(np.isnan(bend), here - 2 * before + before2, bend)


def _weighted(values: Floats, axis: int, middle: float) -> Floats:
    """Mean of three neighbours along ``axis`` with weights 1, ``middle``, 1, over those that have a value."""
    total = np.zeros_like(values)
    weight = np.zeros_like(values)
    for neighbour, share in zip(_shifted(values, axis, 1), (1.0, middle, 1.0), strict=True):
        known = ~np.isnan(neighbour)
        total += np.where(known, neighbour, 0.0) * share
        weight += known * share
    return np.divide(total, weight, out=np.full_like(values, np.nan), where=weight > 0)
