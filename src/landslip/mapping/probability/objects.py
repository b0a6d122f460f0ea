"""Objects of a whole scene as a label raster, and means of layers over them, summed window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.rasters import BLOCK, open_raster, read_window
from landslip.windows import Window, split_windows


@dataclass(frozen=True)
class SceneObjects:
    """A label raster on the scene's grid and layer means by label.

    Parameters
    ----------
    path
        Label raster: 0 = invalid, 1..n.
    count
        Number of objects n.
    means
        Layer -> ``(n + 1,)`` float32; entry 0 and objects without a valid pixel are NaN.
    """

    path: Path
    count: int
    means: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def labels(self, window: Window) -> NDArray[np.int32]:
        """Return ``(rows, cols)`` int32 labels of a window."""
        with open_raster(self.path, what="objects") as dataset:
            labels: NDArray[np.int32] = read_window(dataset, window, [1])[0].astype(np.int32, copy=False)
        return labels


class ObjectMeans:
    """Sums values over objects window by window.

    Parameters
    ----------
    count
        Number of objects.
    """

    def __init__(self, count: int) -> None:
        self._total = np.zeros(count + 1, np.float64)
        self._number = np.zeros(count + 1, np.int64)

    def add(self, labels: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        """Add the finite ``values`` of a window to the objects that they lie in."""
        finite = np.isfinite(values)
        where = labels[finite]
        self._total += np.bincount(where, values[finite].astype(np.float64), minlength=self._total.size)
        self._number += np.bincount(where, minlength=self._total.size)

    def means(self) -> NDArray[np.float32]:
        """``(count + 1,)`` means; NaN for entry 0 and for objects without a value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self._total / self._number).astype(np.float32)
        means[0] = np.nan
        return means


def object_windows(shape: tuple[int, int]) -> list[Window]:
    """Windows for passes over a whole raster: one row of internal tiles high, a few wide."""
    return list(split_windows(shape, (BLOCK, 4 * BLOCK)))
