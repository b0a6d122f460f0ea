"""A set of patches as one tall raster, so that patches and scenes go through the same code."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)


def as_raster(patches: NDArray[Pixel]) -> NDArray[Pixel]:
    """Lay patches ``(n, rows, cols)`` below one another: ``(n * rows, cols)``, without a copy where possible."""
    n, rows, cols = patches.shape
    return np.ascontiguousarray(patches).reshape(n * rows, cols)


def as_patches(raster: NDArray[Pixel], rows: int) -> NDArray[Pixel]:
    """Undo :func:`as_raster` for ``(..., n * rows, cols)``: ``(n, ..., rows, cols)``."""
    *lead, height, cols = raster.shape
    split = raster.reshape(*lead, height // rows, rows, cols)
    return np.ascontiguousarray(np.moveaxis(split, len(lead), 0))


def patch_regions(n: int, rows: int, cols: int) -> NDArray[np.int32]:
    """Region of every pixel of the tall raster: the patch it lies in, from 1; objects stay inside patches."""
    return np.repeat(np.arange(1, n + 1, dtype=np.int32), rows)[:, None] * np.ones((1, cols), np.int32)
