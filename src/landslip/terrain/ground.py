"""What a cell of an elevation model measures on the ground, in metres, whatever its CRS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from scipy import ndimage

from landslip.errors import CRSMismatchError, GridMismatchError
from landslip.grid import read_crs
from landslip.terrain.differences import Floats
from landslip.windows import Window

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
