"""How many landslides there are, and how much ground they take: per grid cell, and per catchment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from numpy.typing import NDArray

from landslip.grid import Grid
from landslip.mapping.landslides.filters import burn_polygons, frame_on
from landslip.mapping.landslides.outlines import Outlines
from landslip.rasters import BLOCK, RasterSpec, open_raster, read_window, write_raster
from landslip.windows import Window, split_windows

BANDS = ("landslide area share", "landslides per km2")


@dataclass
class Zones:
    """Counts of mapped and landslide pixels, and of landslides, by zone.

    Parameters
    ----------
    count
        Number of zones; zone 0 is none of them.
    """

    count: int

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.mapped = np.zeros(self.count + 1, np.int64)
        self.covered = np.zeros(self.count + 1, np.int64)
        self.landslides = np.zeros(self.count + 1, np.int64)

    def add(self, zone: NDArray[np.int64], valid: NDArray[np.bool_], inside: NDArray[np.bool_]) -> None:
        """Add the pixels of a window: their zone, whether mapped, whether landslide."""
        size = self.count + 1
        self.mapped += np.bincount(zone[valid], minlength=size)
        self.covered += np.bincount(zone[inside & valid], minlength=size)

    def table(self, pixel_area_m2: float) -> pd.DataFrame:
        """Return a row per zone, zone 0 left out."""
        mapped, covered = self.mapped[1:] * pixel_area_m2, self.covered[1:] * pixel_area_m2
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(mapped > 0, covered / mapped, np.nan)
            per_km2 = np.where(mapped > 0, self.landslides[1:] / mapped * 1e6, np.nan)
        return pd.DataFrame(
            {
                "mapped_m2": mapped,
                "landslide_m2": covered,
                "landslide_share": share.round(6),
                "landslides": self.landslides[1:],
                "landslides_per_km2": per_km2.round(4),
            }
        )


@dataclass(frozen=True)
class Density:
    """Density per cell as a raster and a table, and per catchment as a table where there are any.

    Parameters
    ----------
    grid
        Cells.
    cells, catchments
        Tables; cells without mapped ground are left out.
    raster
        ``(2, rows, cols)`` float32: share of mapped ground that is landslide, landslides per km²; NaN where
        nothing was mapped.
    """

    grid: Grid
    cells: pd.DataFrame
    raster: NDArray[np.float32]
    catchments: pd.DataFrame | None = None

    def write(self, path: Path) -> None:
        """Write the raster."""
        write_raster(path, self.raster, RasterSpec(self.grid, "float32", BANDS, nodata=float("nan")))


def density(
    outlines: Outlines, probability: Path, grid: Grid, *, cell_m: float, catchments: Path | None = None
) -> Density:
    """Count landslides by cell and catchment.

    A landslide belongs to the zone in which its first pixel lies (north-west); its area to those that it
    covers. Only mapped ground counts as ground.

    Parameters
    ----------
    outlines
        Landslides.
    probability
        The map; where it has no value nothing was mapped.
    grid
        Grid of the scene.
    cell_m
        Edge of a cell, rounded to whole pixels.
    catchments
        Polygons of a second table.

    Raises
    ------
    MissingInputError, InputError, CRSMismatchError, CoverageError
        The catchments cannot be used.
    """
    step = max(1, round(cell_m / grid.resolution[0]))
    shape = (-(-grid.rows // step), -(-grid.cols // step))
    transform = grid.transform * Affine.scale(step)
    coarse = Grid(shape, transform, grid.crs)
    cells = Zones(shape[0] * shape[1])
    frame = None if catchments is None else frame_on(catchments, grid, what="catchment file")
    basins = None if frame is None else Zones(len(frame))
    first = outlines.corners[outlines.offsets[:-1][outlines.outer]].astype(np.int64)
    with open_raster(probability, what="probability") as dataset:
        for window in split_windows(grid.shape, (BLOCK, grid.cols)):
            valid = np.isfinite(read_window(dataset, window, [1])[0])
            inside = outlines.burn(window) > 0
            here = first[(first[:, 0] >= window.row) & (first[:, 0] < window.row + window.rows)]
            _add(cells, _cell_numbers(window, step, shape[1]), valid, inside, here, window)
            if frame is not None and basins is not None:
                numbers = np.arange(1, len(frame) + 1, dtype=np.int32)
                zone = burn_polygons(frame.geometry.to_numpy(), numbers, grid, window).astype(np.int64)
                _add(basins, zone, valid, inside, here, window)
    table = cells.table(grid.pixel_area_m2)
    raster = np.stack([table["landslide_share"], table["landslides_per_km2"]]).reshape(2, *shape)
    table.insert(0, "row", np.repeat(np.arange(shape[0]), shape[1]))
    table.insert(1, "col", np.tile(np.arange(shape[1]), shape[0]))
    table.insert(2, "x", transform.c + (table["col"] + 0.5) * transform.a)
    table.insert(3, "y", transform.f + (table["row"] + 0.5) * transform.e)
    table = table[table["mapped_m2"] > 0].reset_index(drop=True)
    return Density(coarse, table, raster.astype(np.float32), _catchment_table(frame, basins, grid))


def _catchment_table(frame: Any, basins: Zones | None, grid: Grid) -> pd.DataFrame | None:  # noqa: ANN401 - untyped
    if frame is None or basins is None:
        return None
    own = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    own.insert(0, "catchment", np.arange(1, len(own) + 1))
    counted = basins.table(grid.pixel_area_m2)
    clash = {name: f"own_{name}" for name in own.columns if name in counted.columns}
    return pd.concat([own.rename(columns=clash), counted], axis=1)


def _cell_numbers(window: Window, step: int, cells_across: int) -> NDArray[np.int64]:
    rows = (window.row + np.arange(window.rows)) // step
    cols = (window.col + np.arange(window.cols)) // step
    return (rows[:, None] * cells_across + cols[None, :] + 1).astype(np.int64)


def _add(
    zones: Zones,
    zone: NDArray[np.int64],
    valid: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    first: NDArray[np.int64],
    window: Window,
) -> None:
    zones.add(zone, valid, inside)
    zones.landslides += np.bincount(zone[first[:, 0] - window.row, first[:, 1]], minlength=zones.count + 1)
