"""One or several images of an area as one, on the scene grid: the first valid pixel, or the median."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from landslip.grid import Grid
from landslip.scene.clouds import ClassName, as_classes, clear_sky
from landslip.scene.images.image import Image
from landslip.scene.sampling import GridReader
from landslip.windows import Window

Merge = Literal["first", "median"]


@dataclass(frozen=True)
class Merging:
    """How images become one.

    Parameters
    ----------
    merge
        ``"first"``: each pixel from the first image that is valid and clear there; ``"median"``: the
        median of all that are.
    invalid_classes
        Classes of the scene classification that are left out.
    dilate
        Pixels by which clouds and shadows grow.
    shift
        Rows and columns by which the images lie too far down and right.
    """

    merge: Merge = "first"
    invalid_classes: tuple[ClassName, ...] = ()
    dilate: int = 0
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pixels:
    """What a mosaic gives for a window.

    Parameters
    ----------
    bands
        ``(bands, rows, cols)`` float32 reflectance, NaN where not valid or not clear.
    image
        ``(rows, cols)`` bool: some image has all its bands there.
    clear
        ``(rows, cols)`` bool: some image that has them is free of clouds there.
    """

    bands: NDArray[np.float32]
    image: NDArray[np.bool_]
    clear: NDArray[np.bool_]


class Mosaic:
    """Images read together on the scene grid. A context manager.

    Parameters
    ----------
    images
        All with the same bands; the first has precedence.
    grid
        The scene grid.
    merging
        How they become one.
    """

    def __init__(self, images: Sequence[Image], grid: Grid, merging: Merging) -> None:
        self.bands = tuple(images[0].bands)
        self.has_classes = any(image.classes is not None for image in images)
        self._grid, self._merging = grid, merging
        self._readers = [_ImageReader(image, grid, merging) for image in images]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the files."""
        with ExitStack() as stack:
            for reader in self._readers:
                stack.enter_context(reader)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self._stack.__exit__(kind, error, trace)

    def read(self, window: Window) -> Pixels:
        """Return reflectance and validity of a window."""
        parts = [reader.read(window) for reader in self._readers if reader.touches(window)]
        if not parts:
            nothing = np.zeros(window.shape, bool)
            return Pixels(np.full((len(self.bands), *window.shape), np.nan, np.float32), nothing, nothing.copy())
        if len(parts) == 1:
            return parts[0]
        image = _any([part.image for part in parts])
        clear = _any([part.clear for part in parts])
        bands = _median(parts) if self._merging.merge == "median" else _first(parts)
        return Pixels(bands, image, clear)


class _ImageReader:
    """One image on the scene grid."""

    def __init__(self, image: Image, grid: Grid, merging: Merging) -> None:
        self._grid, self._merging = grid, merging
        self._bands = [GridReader(band, grid, shift=merging.shift) for band in image.bands.values()]
        self._classes = (
            GridReader(image.classes, grid, classes=True, shift=merging.shift) if image.classes is not None else None
        )
        self._window = _footprint(image.reference.grid, grid)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for reader in self._bands:
                stack.enter_context(reader)
            if self._classes is not None:
                stack.enter_context(self._classes)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def touches(self, window: Window) -> bool:
        return not window.intersection(self._window).empty

    def read(self, window: Window) -> Pixels:
        bands = np.stack([reader.reflectance(window) for reader in self._bands])
        image = ~_any([np.isnan(band) for band in bands])
        clear = image & self._clear(window)
        bands[:, ~clear] = np.nan
        return Pixels(bands, image, clear)

    def _clear(self, window: Window) -> NDArray[np.bool_]:
        if self._classes is None:
            return np.ones(window.shape, bool)
        wider = window.expanded(self._merging.dilate, self._grid.shape)
        numbers, valid = self._classes.numbers(wider)
        classes = as_classes(numbers, valid, self._classes.band.path)
        clear = clear_sky(classes, self._merging.invalid_classes, self._merging.dilate)
        return clear[window.relative_to(wider).slices]


def _footprint(source: Grid, grid: Grid) -> Window:
    """Window of ``grid`` that surely holds ``source``, with a margin for warping and shifting."""
    transformer = Transformer.from_crs(source.crs, grid.crs, always_xy=True)
    west, south, east, north = transformer.transform_bounds(*source.bounds, densify_pts=41)
    (col, row), (right, bottom) = ~grid.transform * (west, north), ~grid.transform * (east, south)
    margin = 16
    first_row, first_col = int(row) - margin, int(col) - margin
    window = Window(first_row, first_col, int(bottom) + margin - first_row, int(right) + margin - first_col)
    return window.intersection(grid.window)


def _any(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    found = masks[0].copy()
    for mask in masks[1:]:
        found |= mask
    return found


def _first(parts: Sequence[Pixels]) -> NDArray[np.float32]:
    bands = parts[0].bands
    missing = ~parts[0].clear
    for part in parts[1:]:
        take = missing & part.clear
        bands[:, take] = part.bands[:, take]
        missing &= ~part.clear
    return bands


def _median(parts: Sequence[Pixels]) -> NDArray[np.float32]:
    stacked = np.sort(np.stack([part.bands for part in parts]), axis=0)  # NaN goes last
    count = np.sum([part.clear for part in parts], axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, len(parts) - 1)

    def pick(index: NDArray[np.int64]) -> NDArray[np.float32]:
        where = np.broadcast_to(index, stacked.shape[1:])[np.newaxis]
        picked: NDArray[np.float32] = np.take_along_axis(stacked, where, axis=0)[0]
        return picked

    middle: NDArray[np.float32] = (pick(low) + pick(high)) * np.float32(0.5)
    middle[:, count == 0] = np.nan
    return middle
