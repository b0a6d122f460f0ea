"""Measures mapped landslides on the scene: probability, slope, relief, fall line, extent, volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray

from landslip.grid import Grid
from landslip.mapping.landslides import sums as k
from landslip.mapping.landslides.fields import CONFIDENCE, DIGITS
from landslip.mapping.landslides.outlines import Outlines
from landslip.progress import SILENT, Progress
from landslip.rasters import BLOCK, open_raster, read_window
from landslip.scene.store import Scene
from landslip.windows import Window, split_windows

VOLUME_RELATIONS = {
    "Guzzetti et al. (2009)": (0.074, 1.450),
    "Larsen et al. (2010), all": (10**-0.836, 1.332),
    "Larsen et al. (2010), soil": (10**-0.649, 1.262),
    "Larsen et al. (2010), bedrock": (10**-0.63, 1.41),
}
"""Factor and exponent of V = factor · A^exponent, V in m³, A in m². The first is the one reported.

References
----------
Guzzetti et al. (2009), doi:10.1016/j.epsl.2009.01.005, 677 landslides of the slide type; Larsen, Montgomery &
Korup (2010), doi:10.1038/ngeo776, table 1 and supplement (soil and bedrock scars).
"""


@dataclass(frozen=True)
class Band:
    """Some rows of the scene with what is measured there.

    Parameters
    ----------
    window
        Which rows.
    burnt
        ``(rows, cols)`` int32: 0, or the landslide counted from 1.
    probability, slope, elevation
        ``(rows, cols)`` float32, NaN = unknown.
    """

    window: Window
    burnt: NDArray[np.int32]
    probability: NDArray[np.float32]
    slope: NDArray[np.float32]
    elevation: NDArray[np.float32]


def bands(
    outlines: Outlines, probability: Path, scene: Scene, *, progress: Progress = SILENT, label: str = "measure"
) -> Iterator[Band]:
    """Go over a scene by bands of rows, with the outlines burnt into each."""
    names = [name for name in ("slope", "elevation") if name in scene.layers]
    windows = list(split_windows(scene.grid.shape, (BLOCK, scene.grid.cols)))
    with open_raster(probability, what="probability") as dataset, progress.task(label, len(windows)) as task:
        for window in windows:
            nothing = np.full(window.shape, np.nan, np.float32)
            burnt = outlines.burn(window)
            # Terrain is only looked at where there is a landslide.
            stored = dict(zip(names, scene.read(names, window), strict=True)) if names and burnt.any() else {}
            yield Band(
                window,
                burnt,
                read_window(dataset, window, [1])[0],
                stored.get("slope", nothing),
                stored.get("elevation", nothing),
            )
            task.advance()


class Measure:
    """Collects sums over landslides, band by band.

    Parameters
    ----------
    count
        Number of landslides.
    """

    def __init__(self, count: int) -> None:
        self.sums = np.zeros((count, k.SUMS), np.float64)
        self.origin = np.zeros((count, 3), np.float64)

    def add(self, band: Band) -> None:
        """Add the pixels of a band."""
        k.accumulate(
            band.burnt, band.probability, band.slope, band.elevation, band.window.row, self.origin, self.sums
        )  # fmt: skip

    @property
    def slope_mean(self) -> NDArray[np.float64]:
        """``(landslides,)`` mean slope in degrees, NaN where unknown."""
        return _divide(self.sums[:, k.S_SUM], self.sums[:, k.S_COUNT])

    def table(self, outlines: Outlines, grid: Grid, threshold: float) -> pd.DataFrame:
        """Return one row per landslide with the columns of :data:`landslip.mapping.landslides.fields.FIELDS`.

        Parameters
        ----------
        outlines
            The landslides that were measured.
        grid
            Grid of the scene.
        threshold
            Probability from which pixels were landslide.
        """
        sums = self.sums
        known = sums[:, k.Z_COUNT] > 0
        east, south = self._fall_line(grid)
        length, width = _extents(outlines, grid, east, south)
        area = sums[:, k.PIXELS] * grid.pixel_area_m2
        volumes = np.stack([factor * area**power for factor, power in VOLUME_RELATIONS.values()])
        crown_x, crown_y = _centres(grid, sums[:, k.CROWN_ROW], sums[:, k.CROWN_COL], known)
        toe_x, toe_y = _centres(grid, sums[:, k.TOE_ROW], sums[:, k.TOE_COL], known)
        mean = _divide(sums[:, k.P_SUM], sums[:, k.P_COUNT])
        table = pd.DataFrame(
            {
                "id": np.arange(1, len(outlines) + 1, dtype=np.int64),
                "area_m2": area,
                "perimeter_m": shapely.length(outlines.polygons(grid.transform)),
                "probability_mean": mean,
                "probability_max": np.where(sums[:, k.P_COUNT] > 0, sums[:, k.P_MAX], np.nan),
                "slope_mean_deg": self.slope_mean,
                "slope_max_deg": np.where(sums[:, k.S_COUNT] > 0, sums[:, k.S_MAX], np.nan),
                "relief_m": np.where(known, sums[:, k.Z_MAX] - sums[:, k.Z_MIN], np.nan),
                "fall_aspect_deg": np.degrees(np.arctan2(east, -south)) % 360.0,
                "length_m": length,
                "width_m": width,
                "runout_m": np.hypot(crown_x - toe_x, crown_y - toe_y),
                "crown_x": crown_x,
                "crown_y": crown_y,
                "toe_x": toe_x,
                "toe_y": toe_y,
                "volume_m3": volumes[0],
                "volume_low_m3": volumes.min(axis=0),
                "volume_high_m3": volumes.max(axis=0),
            }
        )
        for name, digits in DIGITS.items():
            if name in table and name != "id":
                table[name] = table[name].round(digits)
        table["confidence"] = confidence(mean, threshold)
        return table

    def _fall_line(self, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the unit vector down the plane fitted to each landslide, NaN where there is no way down."""
        height, width = grid.resolution
        s = self.sums
        n = np.maximum(s[:, k.Z_COUNT], 1)
        x, y, z = s[:, k.X_SUM] / n, s[:, k.Y_SUM] / n, s[:, k.Z_SUM] / n
        moments = np.empty((len(s), 2, 2))
        moments[:, 0, 0] = (s[:, k.XX] / n - x * x) * width**2
        moments[:, 1, 1] = (s[:, k.YY] / n - y * y) * height**2
        moments[:, 0, 1] = moments[:, 1, 0] = (s[:, k.XY] / n - x * y) * width * height
        rise = np.stack([(s[:, k.XZ] / n - x * z) * width, (s[:, k.YZ] / n - y * z) * height], axis=1)
        # The pseudo-inverse also serves landslides one pixel wide, whose plane is known along them alone.
        gradient = (np.linalg.pinv(moments, rcond=1e-9, hermitian=True) @ rise[:, :, None])[:, :, 0]
        steep = np.hypot(gradient[:, 0], gradient[:, 1])
        # 1e-6: a tenth of a millimetre in a hundred metres is flat ground with rounding on it.
        down = -gradient / np.where(steep > 1e-6, steep, np.nan)[:, None]
        return down[:, 0], down[:, 1]


def confidence(probability_mean: NDArray[np.float64], threshold: float) -> NDArray[np.str_]:
    """Classify by how far the mean probability lies on the way from the threshold to 1, in thirds."""
    way = (probability_mean - threshold) / (1.0 - threshold)
    return np.array(CONFIDENCE)[np.digitize(np.nan_to_num(way), (1 / 3, 2 / 3))]


def _divide(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    return total / np.where(count > 0, count, np.nan)


def _centres(
    grid: Grid, row: NDArray[np.float64], col: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = grid.transform.c + (col + 0.5) * grid.transform.a
    y = grid.transform.f + (row + 0.5) * grid.transform.e
    return np.where(known, x, np.nan), np.where(known, y, np.nan)


def _extents(
    outlines: Outlines, grid: Grid, east: NDArray[np.float64], south: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Extent along and across the fall line; of the smallest rectangle where there is none."""
    if not len(outlines):
        return np.zeros(0), np.zeros(0)
    height, width = grid.resolution
    owner = np.repeat(outlines.polygon, np.diff(outlines.offsets))
    y, x = outlines.corners[:, 0] * height, outlines.corners[:, 1] * width
    starts = outlines.offsets[:-1][outlines.outer]

    def extent(along: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts), np.float64)

    length = extent(x * east[owner] + y * south[owner])
    across = extent(y * east[owner] - x * south[owner])
    unknown = np.flatnonzero(np.isnan(east))
    if unknown.size:
        boxes = shapely.oriented_envelope(outlines.take(unknown).polygons(grid.transform))
        corners = shapely.get_coordinates(boxes).reshape(-1, 5, 2)
        sides = np.hypot(*np.moveaxis(corners[:, 1:3] - corners[:, 0:2], -1, 0))
        length[unknown], across[unknown] = sides.max(axis=1), sides.min(axis=1)
    return length, across


def measure(outlines: Outlines, probability: Path, scene: Scene, *, progress: Progress = SILENT) -> Measure:
    """Measure landslides on a scene and its probability raster, in memory that follows a band of rows."""
    found = Measure(len(outlines))
    with rasterio.Env(GDAL_CACHEMAX=64):
        for band in bands(outlines, probability, scene, progress=progress):
            found.add(band)
    return found
