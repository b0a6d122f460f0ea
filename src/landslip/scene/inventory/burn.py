"""Burning polygons into pixels, so that a pixel is the same whatever window is asked for.

The rules: a pixel belongs to a polygon when its centre does (GDAL's rule); a polygon that holds no
pixel centre is burnt into every pixel that it touches, so that it is not lost; where polygons overlap
the one with the larger id has the pixel. Everything is burnt in fixed blocks of the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from landslip.grid import Grid
from landslip.rasters import BLOCK
from landslip.windows import Window

MAX_VERTICES = 5000
"""Polygons beyond this are cut along pixel edges into pieces before they are burnt, again and again."""


@dataclass(frozen=True)
class Shapes:
    """Polygons ready to be burnt on one grid.

    Parameters
    ----------
    grid
        The scene's grid.
    pieces
        Polygons or parts of large ones, in the grid's CRS.
    ids
        Positive id of each piece, ascending.
    touched
        Which pieces are burnt into every pixel that they touch.
    tree
        Spatial index of the pieces.
    """

    grid: Grid
    pieces: NDArray[np.object_]
    ids: NDArray[np.int32]
    touched: NDArray[np.bool_]
    tree: STRtree

    @classmethod
    def of(
        cls, grid: Grid, polygons: NDArray[np.object_], ids: NDArray[np.int32], touched: NDArray[np.bool_]
    ) -> Shapes:
        """Cut large polygons and index all."""
        pieces: list[BaseGeometry] = []
        owners: list[int] = []
        for index in np.argsort(ids, kind="stable"):
            cut = _cut(polygons[index], grid)
            pieces.extend(cut)
            owners.extend([int(index)] * len(cut))
        array = np.empty(len(pieces), object)
        array[:] = pieces
        return cls(grid, array, ids[owners], touched[owners], STRtree(array))

    def burn(self, window: Window) -> NDArray[np.int32]:
        """Ids of a window, ``(rows, cols)``, 0 where there is no polygon."""
        out = np.zeros(window.shape, np.int32)
        for block in blocks_of(window, self.grid):
            common = block.intersection(window)
            out[common.relative_to(window).slices] = self.block(block)[common.relative_to(block).slices]
        return out

    def block(self, block: Window) -> NDArray[np.int32]:
        """Ids of one of the fixed blocks."""
        found = self.near(block)
        centred, touched = found[~self.touched[found]], found[self.touched[found]]
        return np.maximum(self._burnt(centred, block, False), self._burnt(touched, block, True))

    def near(self, block: Window) -> NDArray[np.intp]:
        """Pieces whose bounding box meets a block, in ascending order of id."""
        west, south, east, north = self.grid.crop(block).bounds
        return np.sort(self.tree.query(shapely.box(west, south, east, north)))

    def _burnt(self, chosen: NDArray[np.intp], block: Window, all_touched: bool) -> NDArray[np.int32]:
        if chosen.size == 0:
            return np.zeros(block.shape, np.int32)
        burnt: NDArray[np.int32] = rasterize(
            zip(self.pieces[chosen], self.ids[chosen].tolist(), strict=True),
            out_shape=block.shape,
            transform=block_transform(self.grid, block),
            all_touched=all_touched,
            dtype="int32",
        )
        return burnt


def blocks_of(window: Window, grid: Grid) -> list[Window]:
    """Return the fixed blocks of the grid that a window meets."""
    found = []
    for row in range(window.row // BLOCK * BLOCK, window.row + window.rows, BLOCK):
        for col in range(window.col // BLOCK * BLOCK, window.col + window.cols, BLOCK):
            found.append(Window(row, col, min(BLOCK, grid.rows - row), min(BLOCK, grid.cols - col)))
    return found


def block_transform(grid: Grid, block: Window) -> Affine:
    """Transform of a block's upper left pixel."""
    return grid.transform * Affine.translation(block.col, block.row)


def shapes_of_all(
    grid: Grid, polygons: NDArray[np.object_], ids: NDArray[np.int32]
) -> tuple[Shapes, NDArray[np.bool_], int]:
    """Prepare polygons for burning, having found those that hold no pixel centre.

    Everything is burnt once, by the same blocks as later; only what does not show is then tried alone.

    Returns
    -------
    tuple
        The shapes, which polygons hold no pixel centre, and how many are hidden by larger ids.
    """
    shapes = Shapes.of(grid, polygons, ids, np.zeros(len(ids), np.bool_))
    seen: set[int] = set()
    blocks = _occupied(shapes)
    for block in blocks:
        seen.update(np.unique(shapes.block(block)).tolist())
    missing = [index for index, number in enumerate(ids.tolist()) if number not in seen]
    nowhere = np.zeros(len(ids), np.bool_)
    for index in missing:
        alone = Shapes.of(grid, polygons[[index]], ids[[index]], np.zeros(1, np.bool_))
        nowhere[index] = not any(alone.block(block).any() for block in _occupied(alone))
    shapes = replace(shapes, touched=nowhere[np.searchsorted(ids, shapes.ids)])
    return shapes, nowhere, len(missing) - int(nowhere.sum())


def _occupied(shapes: Shapes) -> list[Window]:
    """Blocks that any piece's bounding box meets."""
    grid, found = shapes.grid, set()
    for west, south, east, north in shapely.bounds(shapes.pieces):
        cols, rows = ~grid.transform * (np.array([west, east]), np.array([north, south]))
        top, bottom = max(0, math.floor(rows[0])), min(grid.rows, math.ceil(rows[1]) + 1)
        left, right = max(0, math.floor(cols[0])), min(grid.cols, math.ceil(cols[1]) + 1)
        found.update(blocks_of(Window(top, left, max(0, bottom - top), max(0, right - left)), grid))
    return sorted(found)


def _cut(polygon: BaseGeometry, grid: Grid) -> list[BaseGeometry]:
    """Halve a polygon along pixel edges until each piece is small; cuts never pass through a pixel centre."""
    waiting, done = [polygon], []
    while waiting:
        shape = waiting.pop()
        halves = _halves(shape, grid) if shapely.get_num_coordinates(shape) > MAX_VERTICES else None
        if halves is None:
            done.append(shape)
        else:
            waiting.extend(halves)
    return done


def _halves(shape: BaseGeometry, grid: Grid) -> list[BaseGeometry] | None:
    west, south, east, north = shape.bounds
    height, width = grid.resolution
    col = round(((west + east) / 2 - grid.transform.c) / width)
    row = round((grid.transform.f - (south + north) / 2) / height)
    x, y = grid.transform.c + col * width, grid.transform.f - row * height
    if west < x < east and (east - west >= north - south or not south < y < north):
        sides = (west - width, south - height, x, north + height), (x, south - height, east + width, north + height)
    elif south < y < north:
        sides = (west - width, y, east + width, north + height), (west - width, south - height, east + width, y)
    else:
        return None
    parts = shapely.get_parts([shapely.clip_by_rect(shape, *side) for side in sides])
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]
