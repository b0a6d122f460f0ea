"""Filling small voids of an elevation model by interpolation, never by extrapolation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_AXES = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Row and column steps of the four lines through a cell."""


def fill_reach(distance_m: float, cell_m: tuple[float, float]) -> int:
    """Return the halo, in cells, that :func:`fill_voids` needs around a window to be exact in it."""
    return math.ceil(distance_m / min(cell_m)) if distance_m > 0 else 0


def fill_voids(heights: Floats, distance_m: float, cell_m: tuple[float, float]) -> Floats:
    """Fill void cells that lie between known ones.

    A void cell is filled where, along its row, its column or one of its diagonals, there is a known
    cell on both sides, each at most ``distance_m`` away. Its value is the linear interpolation along
    each such line, the lines weighted by the inverse of their length: a plane stays a plane, and
    nothing is made up beyond the model's edge.

    Parameters
    ----------
    heights
        ``(rows, cols)``, NaN where void.
    distance_m
        Greatest distance in metres.
    cell_m
        Height and width of a cell in metres.

    Returns
    -------
    numpy.ndarray
        A copy with what could be filled filled.
    """
    void = np.isnan(heights)
    if distance_m <= 0 or not void.any() or void.all():
        return heights
    total, weight = np.zeros_like(heights), np.zeros_like(heights)
    for row, col in _AXES:
        step_m = math.hypot(row * cell_m[0], col * cell_m[1])
        reach = int(distance_m / step_m + 1e-9)
        ahead, ahead_value = _nearest(heights, (row, col), reach)
        behind, behind_value = _nearest(heights, (-row, -col), reach)
        length = ahead + behind
        with np.errstate(invalid="ignore"):
            value = (ahead_value * behind + behind_value * ahead) / length
        known = np.isfinite(length) & void
        share = 1.0 / (length[known] * step_m)
        total[known] += value[known] * share
        weight[known] += share
    filled = heights.copy()
    np.divide(total, weight, out=filled, where=void & (weight > 0))
    return filled


def _nearest(heights: Floats, step: tuple[int, int], reach: int) -> tuple[Floats, Floats]:
    """Return the steps to the nearest known cell in one direction (inf where there is none) and its value."""
    distance = np.full(heights.shape, np.inf)
    value = np.zeros_like(heights)
    rows, cols = heights.shape
    for count in range(1, reach + 1):
        down, right = step[0] * count, step[1] * count
        if abs(down) >= rows or abs(right) >= cols:
            break
        here = slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), cols - max(0, right))
        there = slice(max(0, down), rows - max(0, -down)), slice(max(0, right), cols - max(0, -right))
        neighbour = heights[there]
        first = np.isinf(distance[here]) & ~np.isnan(neighbour)
        distance[here][first] = count
        value[here][first] = neighbour[first]
    return distance, value
