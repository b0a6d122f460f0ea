"""Differences between neighbouring cells, which end well at edges and voids. Nothing here knows of metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def horn(heights: Floats) -> tuple[Floats, Floats]:
    """Rise per column and per row where all eight neighbours are known, NaN elsewhere.

    Summed in single precision and in the order of ``gdaldem``, whose slopes these then equal; the
    rounding this brings is about 1e-3 degrees at 2000 m and cells of 10 m.
    """
    z = heights.astype(np.float32)
    per_col, per_row = np.full_like(heights, np.nan), np.full_like(heights, np.nan)
    up, here, down = z[:-2], z[1:-1], z[2:]
    left, middle, right = slice(None, -2), slice(1, -1), slice(2, None)
    west = up[:, left] + here[:, left] + here[:, left] + down[:, left]
    east = up[:, right] + here[:, right] + here[:, right] + down[:, right]
    north = up[:, left] + up[:, middle] + up[:, middle] + up[:, right]
    south = down[:, left] + down[:, middle] + down[:, middle] + down[:, right]
    per_col[1:-1, 1:-1] = (east - west) / 8.0
    per_row[1:-1, 1:-1] = (south - north) / 8.0
    return per_col, per_row


def shifted(values: Floats, axis: int, reach: int) -> list[Floats]:
    """Return the arrays of neighbours from ``-reach`` to ``+reach`` along ``axis``, NaN beyond the edge."""
    length = values.shape[axis]
    widths = [(0, 0), (0, 0)]
    widths[axis] = (reach, reach)
    padded = np.pad(values, widths, constant_values=np.nan)
    return [np.take(padded, range(start, start + length), axis) for start in range(2 * reach + 1)]


def difference(heights: Floats, axis: int) -> Floats:
    """Rise per cell along ``axis``: central, else one-sided, else NaN."""
    before, here, after = shifted(heights, axis, 1)
    rise = (after - before) / 2
    rise = np.where(np.isnan(rise), after - here, rise)
    return np.where(np.isnan(rise), here - before, rise)


def second_difference(heights: Floats, axis: int) -> Floats:
    """Change of the rise per cell along ``axis``: central, else that of the next cell inwards, else NaN."""
    before2, before, here, after, after2 = shifted(heights, axis, 2)
    bend = before - 2 * here + after
    bend = np.where(np.isnan(bend), here - 2 * after + after2, bend)
    return np.where(np.isnan(bend), here - 2 * before + before2, bend)


def weighted(values: Floats, axis: int, middle: float) -> Floats:
    """Mean of three neighbours along ``axis`` with weights 1, ``middle``, 1, over those that have a value."""
    total = np.zeros_like(values)
    weight = np.zeros_like(values)
    for neighbour, share in zip(shifted(values, axis, 1), (1.0, middle, 1.0), strict=True):
        known = ~np.isnan(neighbour)
        total += np.where(known, neighbour, 0.0) * share
        weight += known * share
    return np.divide(total, weight, out=np.full_like(values, np.nan), where=weight > 0)
