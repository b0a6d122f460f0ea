"""Reading rasters on the scene grid, window by window: straight where they fit it, else warped.

Digital number 0 (or the file's own nodata) is tested first; what is missing comes out as NaN and is
never mixed into its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from landslip.errors import InputError
from landslip.files.places import gdal_options
from landslip.grid import Grid
from landslip.rasters import BLOCK, gdal_threads, open_raster, patiently, rasterio_window
from landslip.scene.images.image import BandFile
from landslip.windows import Window, split_windows

WARP_TOLERANCE = 0.01
"""Greatest error in source pixels when GDAL approximates the transformation between two CRSs."""


def whole_pixel_offset(source: Grid, target: Grid) -> tuple[int, int] | None:
    """Return row and column of ``source``'s first pixel in ``target``; None where the two are not aligned.

    Aligned means: same CRS, same pixel size, edges that agree to a hundredth of a pixel.
    """
    if source.crs != target.crs:
        return None
    height, width = target.resolution
    if not np.allclose(source.resolution, target.resolution, rtol=1e-6):
        return None
    row = (target.transform.f - source.transform.f) / height
    col = (source.transform.c - target.transform.c) / width
    if abs(row - round(row)) > 0.01 or abs(col - round(col)) > 0.01:
        return None
    return round(row), round(col)


def blocks_of(window: Window, grid: Grid) -> Iterator[Window]:
    """Yield the fixed blocks of a grid that a window touches."""
    row, col = window.row // BLOCK * BLOCK, window.col // BLOCK * BLOCK
    whole = Window(row, col, window.row + window.rows - row, window.col + window.cols - col)
    for part in split_windows(whole.shape, (BLOCK, BLOCK)):
        block = Window(row + part.row, col + part.col, BLOCK, BLOCK)
        yield block.intersection(grid.window)


class GridReader:
    """One band read on the scene grid. A context manager.

    Parameters
    ----------
    band
        The band file.
    grid
        The scene grid.
    classes
        Whether the pixels are classes (nearest neighbour) or continuous (bilinear).
    shift
        Rows and columns (scene pixels, may be fractions) by which the image lies too far down and right;
        it is moved back by them.
    """

    def __init__(
        self, band: BandFile, grid: Grid, *, classes: bool = False, shift: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        self.band, self.grid, self.classes = band, grid, classes
        self._shift = shift
        self._offset = whole_pixel_offset(band.grid, grid) if shift == (0.0, 0.0) else None
        self._opened: Any = None
        self._vrt: Any = None

    def __enter__(self) -> Self:
        """Open the file."""
        self._opened = open_raster(self.band.path)
        with self._threads():
            dataset = self._opened.__enter__()
            if self._offset is None:
                self._vrt = WarpedVRT(dataset, **self._warp_options())
        self._dataset = dataset
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._vrt is not None:
            self._vrt.close()
        self._opened.__exit__(kind, error, trace)

    def numbers(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the digital numbers ``(rows, cols)`` float32 and where there are any."""
        pixels = self._warped(window) if self._offset is None else self._straight(window, self._offset)
        valid = np.isfinite(pixels)
        if self.band.nodata is not None and np.isfinite(self.band.nodata):
            valid &= pixels != np.float32(self.band.nodata)
        if self.band.dtype == "uint16" and not self.classes:
            valid &= pixels < 65535  # saturated
        return pixels, valid

    def reflectance(self, window: Window) -> NDArray[np.float32]:
        """Return reflectance ``(rows, cols)`` float32, NaN where there is none; negative values are kept."""
        pixels, valid = self.numbers(window)
        slope, intercept = self.band.radiometry.factors
        if (slope, intercept) != (1.0, 0.0):
            pixels *= np.float32(slope)
            pixels += np.float32(intercept)
        pixels[~valid] = np.nan
        return pixels

    def _threads(self) -> rasterio.Env:
        return rasterio.Env(**({"GDAL_NUM_THREADS": gdal_threads()} | gdal_options(self.band.path)))

    def _warp_options(self) -> dict[str, Any]:
        rows, cols = self._shift
        missing = self.band.nodata if self.band.nodata is not None else float("nan")
        return {
            "crs": self.grid.crs.to_wkt(),
            "transform": self.grid.transform * Affine.translation(cols, rows),
            "width": self.grid.cols,
            "height": self.grid.rows,
            "src_nodata": missing,
            "nodata": 0 if self.classes else float("nan"),
            "resampling": Resampling.nearest if self.classes else Resampling.bilinear,
            "tolerance": WARP_TOLERANCE,
            "dtype": "float32",
        }

    def _warped(self, window: Window) -> NDArray[np.float32]:
        # always in the same blocks: GDAL's approximation depends on the window that it is asked for
        pixels = np.empty(window.shape, np.float32)
        for block in blocks_of(window, self.grid):
            common = block.intersection(window)
            warped = self._pixels(self._vrt, block)
            pixels[common.relative_to(window).slices] = warped[common.relative_to(block).slices]
        return pixels

    def _straight(self, window: Window, offset: tuple[int, int]) -> NDArray[np.float32]:
        here = Window(*offset, *self.band.grid.shape)
        common = window.intersection(here)
        if common == window:
            return self._pixels(self._dataset, window.relative_to(here))
        pixels = np.full(window.shape, np.nan, np.float32)
        if not common.empty:
            pixels[common.relative_to(window).slices] = self._pixels(self._dataset, common.relative_to(here))
        return pixels

    def _pixels(self, dataset: Any, window: Window) -> NDArray[np.float32]:  # noqa: ANN401 - rasterio is untyped
        try:
            with self._threads():
                pixels: NDArray[np.float32] = patiently(
                    lambda: dataset.read(self.band.index, window=rasterio_window(window), out_dtype="float32"),
                    self.band.path,
                )
        except RasterioError as error:
            cause = str(error.__cause__ or error).splitlines()
            message = (
                f"{self.band.path}: pixels cannot be read, the file is truncated or damaged "
                f"({cause[0] if cause else 'no reason given'}); fetch it again"
            )
            raise InputError(message) from error
        return pixels


def gdal_settings(cache_mb: int = 256) -> rasterio.Env:
    """Return GDAL's settings for a build: a bounded block cache, so that memory does not grow."""
    return rasterio.Env(
        GDAL_CACHEMAX=cache_mb,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",  # no search for side files, above all not on servers
    )
