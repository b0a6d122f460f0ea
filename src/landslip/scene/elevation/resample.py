"""From the elevation model's grid to the scene's: where each pixel lies, and bilinear interpolation.

Positions are computed exactly on a lattice anchored at the scene's first pixel and interpolated in
between, to :data:`MAX_ERROR_CELLS`. They do not depend on the window that is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pyproj import Transformer
from scipy import ndimage

from landslip.grid import Grid
from landslip.scene.elevation.tiles import DemGrid
from landslip.windows import Window

Floats = NDArray[np.float64]

MAX_ERROR_CELLS = 0.02
"""Greatest error of an interpolated position, in cells of the elevation model."""

_STEPS = (64, 32, 16, 8, 4)


@dataclass(frozen=True)
class Nodes:
    """Positions in the model (cells, 0 = centre of the first) of lattice nodes around a window.

    ``rows`` and ``cols`` are ``(node rows, node cols)``; the first node lies at scene pixel ``origin``.
    """

    rows: Floats
    cols: Floats
    origin: tuple[int, int]
    step: int


@dataclass(frozen=True)
class Positions:
    """Where the pixels of a scene lie in an elevation model."""

    grid: Grid
    dem: DemGrid

    @cached_property
    def step(self) -> int:
        """Distance of lattice nodes in pixels, small enough for :data:`MAX_ERROR_CELLS`."""
        return next((step for step in _STEPS if self._error(step) <= MAX_ERROR_CELLS), 1)

    @cached_property
    def _transformer(self) -> Transformer:
        return Transformer.from_crs(self.grid.crs, self.dem.crs, always_xy=True)

    @cached_property
    def _centre(self) -> float:
        """Longitude of the scene's centre in units of the model; positions are continuous around it."""
        west, south, east, north = self.grid.bounds
        return float(self._transformer.transform((west + east) / 2, (south + north) / 2)[0])

    def exact(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Row and column in the model of scene pixel centres (``rows`` and ``cols`` broadcast together)."""
        all_rows, all_cols = np.broadcast_arrays(rows, cols)
        x, y = self._transformer.transform(*(self.grid.transform * (all_cols + 0.5, all_rows + 0.5)))
        transform, turn = self.dem.ground.transform, self.dem.turn
        if turn:
            x = self._centre + (x - self._centre + turn / 2) % turn - turn / 2
        with np.errstate(invalid="ignore"):
            row, col = (y - transform.f) / transform.e - 0.5, (x - transform.c) / transform.a - 0.5
        outside = ~(np.isfinite(row) & np.isfinite(col))
        row[outside], col[outside] = np.nan, np.nan
        return row, col

    def nodes(self, window: Window) -> Nodes:
        """Return the lattice nodes around a window of the scene."""
        step = self.step
        rows = np.arange(window.row // step, (window.row + window.rows - 1) // step + 2, dtype=np.float64) * step
        cols = np.arange(window.col // step, (window.col + window.cols - 1) // step + 2, dtype=np.float64) * step
        at_rows, at_cols = self.exact(rows[:, None], cols[None, :])
        return Nodes(at_rows, at_cols, (int(rows[0]), int(cols[0])), step)

    def window(self, nodes: Nodes, halo: int) -> Window | None:
        """Return the model's cells that the nodes enclose and ``halo`` more on each side; None without any."""
        if not np.isfinite(nodes.rows).any():
            return None
        top, left = math.floor(np.nanmin(nodes.rows)) - halo, math.floor(np.nanmin(nodes.cols)) - halo
        bottom, right = math.ceil(np.nanmax(nodes.rows)) + halo, math.ceil(np.nanmax(nodes.cols)) + halo
        needed = Window(top, left, bottom - top + 1, right - left + 1)
        return needed if self.dem.touches(needed) else None

    def north(self, nodes: Nodes, window: Window, stride: int = 1) -> Floats:
        """Azimuth, in radians on the scene's grid, of the model's north at the pixels of a window."""
        # slope and aspect of a model count from true north, except on a projected grid taken as it is
        ground = self.dem.ground
        frame = ground.crs if ground.plain else ground.crs.geodetic_crs
        step = 10.0 if ground.plain else 1e-4
        rows, cols = (nodes.origin[axis] + nodes.step * np.arange(nodes.rows.shape[axis]) for axis in (0, 1))
        x, y = self.grid.transform * np.meshgrid(cols + 0.5, rows + 0.5)
        transformer = Transformer.from_crs(self.grid.crs, frame, always_xy=True)
        there_x, there_y = transformer.transform(x, y)
        back = [transformer.transform(there_x, there_y + d, direction="INVERSE") for d in (-step, step)]
        azimuth = np.arctan2(back[1][0] - back[0][0], back[1][1] - back[0][1])
        at = np.meshgrid(
            (window.row - nodes.origin[0] + np.arange(0, window.rows, stride)) / nodes.step,
            (window.col - nodes.origin[1] + np.arange(0, window.cols, stride)) / nodes.step,
            indexing="ij",
        )
        return np.asarray(ndimage.map_coordinates(azimuth, at, order=1), np.float64)

    def _error(self, step: int) -> float:
        spots = [
            np.unique(np.linspace(0, max(0, size - step), 12).astype(int) // step) * step for size in self.grid.shape
        ]
        row, col = spots[0][:, None].astype(np.float64), spots[1][None, :].astype(np.float64)
        corners = [self.exact(row + down, col + right) for down in (0, step) for right in (0, step)]
        middle = self.exact(row + step / 2, col + step / 2)
        errors = [np.abs(np.mean([corner[axis] for corner in corners], axis=0) - middle[axis]) for axis in (0, 1)]
        finite = np.concatenate([error[np.isfinite(error)] for error in errors])
        return float(finite.max()) if finite.size else 0.0


def interpolate(
    layers: Floats, corner: tuple[int, int], nodes: Nodes, window: Window, stride: int = 1
) -> NDArray[np.float32]:
    """Bilinear interpolation of model layers at the pixels of a scene window.

    Parameters
    ----------
    layers
        ``(layers, rows, cols)`` on the model's grid, NaN where invalid.
    corner
        Row and column of their first cell in the model.
    nodes
        Positions of the window's pixels.
    window
        The scene's pixels.
    stride
        Take every ``stride``-th pixel only.

    Returns
    -------
    numpy.ndarray
        ``(layers, rows, cols)`` float32. A pixel is valid where cells with at least half of the
        bilinear weight are; the weights of the others are left out.
    """
    rows, cols = -(-window.rows // stride), -(-window.cols // stride)
    out = np.empty((layers.shape[0], rows, cols), np.float32)
    first = (window.row - nodes.origin[0], window.col - nodes.origin[1])
    _interpolate(layers, corner[0], corner[1], nodes.rows, nodes.cols, nodes.step, first[0], first[1], stride, out)
    return out


@njit(cache=True, nogil=True)
def _interpolate(layers, top, left, node_rows, node_cols, step, first_row, first_col, stride, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    height, width = layers.shape[1], layers.shape[2]
    for i in range(out.shape[1]):
        at_row = first_row + i * stride
        p = at_row // step
        v = (at_row - p * step) / step
        for j in range(out.shape[2]):
            at_col = first_col + j * stride
            q = at_col // step
            u = (at_col - q * step) / step
            row = (1 - v) * ((1 - u) * node_rows[p, q] + u * node_rows[p, q + 1]) + v * (
                (1 - u) * node_rows[p + 1, q] + u * node_rows[p + 1, q + 1]
            )
            col = (1 - v) * ((1 - u) * node_cols[p, q] + u * node_cols[p, q + 1]) + v * (
                (1 - u) * node_cols[p + 1, q] + u * node_cols[p + 1, q + 1]
            )
            if not (np.isfinite(row) and np.isfinite(col)):
                out[:, i, j] = np.nan
                continue
            r, c = int(np.floor(row)), int(np.floor(col))
            t, s = row - r, col - c
            for k in range(out.shape[0]):
                total, weight = 0.0, 0.0
                for down in range(2):
                    for right in range(2):
                        y, x = r + down - top, c + right - left
                        if 0 <= y < height and 0 <= x < width:
                            value = layers[k, y, x]
                            share = (t if down else 1 - t) * (s if right else 1 - s)
                            if not np.isnan(value):
                                total += share * value
                                weight += share
                out[k, i, j] = total / weight if weight >= 0.5 - 1e-9 else np.nan
