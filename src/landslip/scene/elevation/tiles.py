"""Elevation tiles as one continuous model: any number of files that share a grid, read by window.

Tiles that share CRS, cell size and cell edges (as the tiles of one archive do) become one
:class:`DemGrid`, so that slope is seamless across their edges. Cells finer than half the scene's pixels
are averaged by a whole number first: slope is then that of the terrain which a pixel can show.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.io import DatasetReader

from landslip.errors import GridMismatchError, InputError, MissingInputError
from landslip.files.places import address_of
from landslip.grid import Grid
from landslip.rasters import open_raster, patiently, rasterio_window, read_window
from landslip.terrain import METRES, Ground, ZUnit
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

HIGHEST_M, LOWEST_M = 9000.0, -1000.0
"""Values beyond these are no elevation of land: undeclared nodata (-32768, -9999, 3.4e38)."""

_ALIGNED = 0.05  # cells by which edges of tiles of one archive may disagree
_NAMES = ("elevation", "elev", "dem", "dsm", "dtm", "height", "z", "altitude")
_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".hgt", ".dt1", ".dt2", ".asc", ".jp2")


@dataclass(frozen=True)
class DemTile:
    """One elevation file and how its numbers become metres."""

    path: str
    band: int
    grid: Grid
    scale: float
    offset: float
    unit: ZUnit

    @classmethod
    def of(cls, dataset: DatasetReader, band: int | str | None, z_unit: Literal["auto", "m", "ft"]) -> DemTile:
        """Describe an open raster.

        Raises
        ------
        InputError
            Several bands and none is named elevation; no such band; complex numbers.
        CRSMismatchError, GridMismatchError
            No CRS, or a rotated grid.
        """
        number = _elevation_band(dataset, band)
        if np.dtype(dataset.dtypes[number - 1]).kind == "c":
            message = f"{dataset.name}: band {number} holds complex numbers, not elevation; give an elevation model"
            raise InputError(message)
        return cls(
            path=str(dataset.name),
            band=number,
            grid=Grid.of_raster(dataset),
            scale=float(dataset.scales[number - 1]),
            offset=float(dataset.offsets[number - 1]),
            unit=_unit(dataset, number, z_unit),
        )

    def read(self, window: Window) -> Floats:
        """Elevations of ``window`` in metres, ``(rows, cols)``, NaN where there is none."""
        with open_raster(self.path, what="elevation model") as dataset:
            raw = read_window(dataset, window, [self.band])[0]
            masks = patiently(lambda: dataset.read_masks(self.band, window=rasterio_window(window)), self.path)
            masked = masks == 0
        heights: Floats = (raw.astype(np.float64) * self.scale + self.offset) * METRES[self.unit]
        with np.errstate(invalid="ignore"):
            absurd = ~masked & ((heights > HIGHEST_M) | (heights < LOWEST_M))
        if absurd.any():
            _warn_of_absurd(self.path, float(raw[absurd][0]))
        heights[masked | absurd | ~np.isfinite(heights)] = np.nan
        return heights


@dataclass(frozen=True)
class DemGrid:
    """Tiles of one grid.

    Parameters
    ----------
    tiles
        The files, the first valid value winning where they overlap.
    corners
        Row and column of each tile's first cell in this grid (before averaging).
    ground
        Transform, CRS and shape of the whole, in averaged cells.
    average
        Edge, in cells of the files, of the squares that are averaged.
    """

    tiles: tuple[DemTile, ...]
    corners: tuple[tuple[int, int], ...]
    ground: Ground
    average: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in averaged cells."""
        return self.ground.shape

    @property
    def crs(self) -> CRS:
        """The horizontal CRS."""
        return self.ground.crs

    @property
    def turn(self) -> float:
        """A full turn around the earth in units of the CRS (geographic grids), else 0."""
        return 2 * math.pi / self.ground.unit if self.crs.is_geographic else 0.0

    def touches(self, window: Window) -> bool:
        """Whether any tile has cells in a window of averaged cells."""
        k = self.average
        fine = Window(window.row * k, window.col * k, window.rows * k, window.cols * k)
        return next(self._parts(fine), None) is not None

    def read(self, window: Window) -> Floats:
        """Elevations of a window of averaged cells in metres; it may reach beyond the tiles (NaN there)."""
        heights = np.full(window.shape, np.nan)
        # strips bound the memory where many fine cells make an averaged one
        strip = max(1, 4096 // self.average)
        for part in split_windows(window.shape, (strip, window.cols)):
            here = Window(window.row + part.row, window.col, part.rows, part.cols)
            heights[part.slices] = self._averaged(here)
        return heights

    def _averaged(self, window: Window) -> Floats:
        k = self.average
        fine = self._fine(Window(window.row * k, window.col * k, window.rows * k, window.cols * k))
        if k == 1:
            return fine
        blocks = fine.reshape(window.rows, k, window.cols, k)
        known = np.sum(~np.isnan(blocks), axis=(1, 3))
        total = np.nansum(blocks, axis=(1, 3))
        mean: Floats = np.divide(total, known, out=np.full(window.shape, np.nan), where=known * 2 >= k * k)
        return mean

    def _fine(self, window: Window) -> Floats:
        heights = np.full(window.shape, np.nan)
        for tile, place, common in self._parts(window):
            target = heights[common.relative_to(window).slices]
            missing = np.isnan(target)
            if missing.any():
                target[missing] = tile.read(common.relative_to(place))[missing]
        return heights

    def _parts(self, window: Window) -> Iterator[tuple[DemTile, Window, Window]]:
        """Tiles that have cells in a window of the files' cells, where they lie, and the common cells."""
        turn = round(self.turn * self.average / self.ground.transform.a)
        for tile, (row, col) in zip(self.tiles, self.corners, strict=True):
            for shift in sorted({-turn, 0, turn}):
                place = Window(row, col + shift, *tile.grid.shape)
                common = place.intersection(window)
                if not common.empty:
                    yield tile, place, common


def open_tiles(
    paths: Sequence[str | Path], *, band: int | str | None = None, z_unit: Literal["auto", "m", "ft"] = "auto"
) -> tuple[DemTile, ...]:
    """Describe elevation files; a folder stands for the rasters in it.

    Raises
    ------
    MissingInputError
        A path is not there, or a folder holds no raster.
    InputError, CRSMismatchError, GridMismatchError
        A file is no elevation raster that can be used.
    """
    tiles = []
    for path in _expanded(paths):
        with open_raster(path, what="elevation model") as dataset:
            tiles.append(DemTile.of(dataset, band, z_unit))
    return tuple(tiles)


def group_tiles(tiles: Sequence[DemTile], resolution_m: float) -> tuple[DemGrid, ...]:
    """Put tiles that share a grid together, in the order in which they were given.

    Parameters
    ----------
    resolution_m
        Pixel edge of the scene in metres: finer cells are averaged.
    """
    groups: list[list[DemTile]] = []
    for tile in tiles:
        for group in groups:
            if _offset(tile.grid, group[0].grid) is not None:
                group.append(tile)
                break
        else:
            groups.append([tile])
    return tuple(_dem_grid(group, resolution_m) for group in groups)


def _dem_grid(tiles: Sequence[DemTile], resolution_m: float) -> DemGrid:
    first = tiles[0].grid
    offsets = [offset for tile in tiles if (offset := _offset(tile.grid, first)) is not None]
    top, left = min(row for row, _ in offsets), min(col for _, col in offsets)
    corners = tuple((row - top, col - left) for row, col in offsets)
    rows = max(row + tile.grid.rows for (row, _), tile in zip(corners, tiles, strict=True))
    cols = max(col + tile.grid.cols for (_, col), tile in zip(corners, tiles, strict=True))
    transform = first.transform * Affine.translation(left, top)
    if min(rows, cols) < 2:
        message = f"{tiles[0].path}: has {rows} x {cols} cells, slope needs at least 2 x 2; give a larger model"
        raise GridMismatchError(message)
    height, width = Ground.of(transform, first.crs, (rows, cols)).cell_size_m()
    average = max(1, int(resolution_m / max(height, width) + 0.05))
    shape = (math.ceil(rows / average), math.ceil(cols / average))
    return DemGrid(tuple(tiles), corners, Ground.of(transform * Affine.scale(average), first.crs, shape), average)


def _offset(grid: Grid, other: Grid) -> tuple[int, int] | None:
    """Row and column of ``grid``'s corner in ``other``; None where they do not share cells."""
    if grid.crs != other.crs or not np.allclose(grid.resolution, other.resolution, rtol=1e-6):
        return None
    height, width = other.resolution
    east = grid.transform.c - other.transform.c
    if grid.crs.is_geographic:  # tiles on both sides of the date line are neighbours
        turn = 2 * math.pi / float(grid.crs.axis_info[0].unit_conversion_factor)
        east = (east + turn / 2) % turn - turn / 2
    row, col = (other.transform.f - grid.transform.f) / height, east / width
    if abs(row - round(row)) > _ALIGNED or abs(col - round(col)) > _ALIGNED:
        return None
    return round(row), round(col)


def _elevation_band(dataset: DatasetReader, band: int | str | None) -> int:
    names = [str(name or "").strip().lower() for name in dataset.descriptions]
    listed = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names, start=1))
    if isinstance(band, int):
        if not 1 <= band <= dataset.count:
            message = f"{dataset.name}: has no band {band}; its bands are: {listed}"
            raise InputError(message)
        return band
    if band is not None:
        if band.lower() not in names:
            message = f"{dataset.name}: has no band named {band!r}; its bands are: {listed}"
            raise InputError(message)
        return names.index(band.lower()) + 1
    if dataset.count == 1:
        return 1
    named = [index for index, name in enumerate(names, start=1) if name in _NAMES]
    if len(named) != 1:
        message = f"{dataset.name}: has {dataset.count} bands ({listed}); say which is the elevation with --dem-band"
        raise InputError(message)
    return named[0]


def _unit(dataset: DatasetReader, band: int, wanted: Literal["auto", "m", "ft"]) -> ZUnit:
    stated = str(dataset.units[band - 1] or "").strip().lower()
    in_feet = stated in {"ft", "feet", "foot", "us survey foot", "us-ft", "ftus", "foot_us"}
    in_metres = stated in {"m", "metre", "meter", "metres", "meters"}
    if wanted == "auto":
        return "ft" if in_feet else "m"
    if (in_feet and wanted == "m") or (in_metres and wanted == "ft"):
        log.warning("%s: states its unit as %s; read as %s because --z-unit says so", dataset.name, stated, wanted)
    return wanted


def _expanded(paths: Sequence[str | Path]) -> list[str]:
    found: list[str] = []
    for path in paths:
        folder = Path(path)
        if address_of(path) or "://" in str(path) or not folder.is_dir():
            found.append(str(path))
            continue
        members = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
        if not members:
            message = f"{path}: no elevation raster in this folder; give the files themselves"
            raise MissingInputError(message)
        found.extend(map(str, members))
    if not found:
        message = "no elevation model given; give at least one file with --dem"
        raise MissingInputError(message)
    return found


@functools.cache
def _warn_of_absurd(path: str, value: float) -> None:
    log.warning(
        "%s: values such as %g are no elevation and not declared as nodata; they are taken as voids "
        "(declare them with gdal_edit.py -a_nodata)",
        path,
        value,
    )
