"""Where the windows of a scene lie, and how their predictions are blended. Pure arithmetic.

Probabilities are counted in units of 2^-30 and weights are whole numbers that never fall to zero, so every
sum is exact: a constant model gives exactly a constant raster, and the order in which windows come changes
nothing. The sum of weights at a pixel is the product of a row sum and a column sum, known beforehand.

Windows are numbered band by band, within a band column by column, so that a sweep over a band needs little
more than one column of windows in memory, however wide the scene is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landslip.mapping.probability import kernels
from landslip.windows import Window

BAND_ROWS = 512
"""Bands have about this many rows: the height of a raster's internal tiles, so that each is read once."""

UNIT_BITS = 30
"""A value of 1.0 is counted as 2^30 units; float32 probabilities of 1/64 and more are represented exactly."""


def axis_starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """First pixels of the windows along one axis.

    Windows follow each other by ``tile - overlap``; the last is moved back to end with the raster, so that
    it sees real pixels. A raster shorter than a window has one window, which reaches beyond it.
    """
    last = max(0, length - tile)
    return (*range(0, last, tile - overlap), last)


def axis_weights(tile: int, overlap: int) -> NDArray[np.int64]:
    """Weights ``(tile,)`` along one axis: 1, 2, … up to ``overlap + 1`` from both ends.

    Within the regular overlap of two windows the two ramps add up to ``overlap + 1`` everywhere.
    """
    position = np.arange(tile)
    return np.minimum(np.minimum(position + 1, tile - position), overlap + 1).astype(np.int64)


@dataclass(frozen=True)
class Band:
    """Some rows of windows, worked on together; one part of the output.

    Parameters
    ----------
    number
        Counted from the top.
    starts
        First row of each row of windows in it.
    rows
        First and last (excluded) row of the scene that its windows touch.
    final
        First and last (excluded) row that no later band touches: its part of the output.
    """

    number: int
    starts: tuple[int, ...]
    rows: tuple[int, int]
    final: tuple[int, int]


@dataclass(frozen=True)
class WindowPlan:
    """The windows of one scene.

    Parameters
    ----------
    shape
        Rows and columns of the scene.
    tile
        Edge of a window in pixels.
    overlap
        Pixels shared by neighbours, at least.
    band_rows
        About how many rows of the scene a band has.
    """

    shape: tuple[int, int]
    tile: int
    overlap: int
    band_rows: int = BAND_ROWS

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """First row of each row of windows."""
        return axis_starts(self.shape[0], self.tile, self.overlap)

    @cached_property
    def cols(self) -> tuple[int, ...]:
        """First column of each column of windows."""
        return axis_starts(self.shape[1], self.tile, self.overlap)

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.rows) * len(self.cols)

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands, from the top."""
        group = max(1, self.band_rows // (self.tile - self.overlap))
        found = []
        for number, first in enumerate(range(0, len(self.rows), group)):
            starts = self.rows[first : first + group]
            following = self.rows[first + group] if first + group < len(self.rows) else self.shape[0]
            end = min(starts[-1] + self.tile, self.shape[0])
            found.append(Band(number, starts, (starts[0], end), (starts[0], following)))
        return tuple(found)

    def windows(self, band: Band) -> list[Window]:
        """Windows of a band in their order; they reach beyond a scene smaller than a tile."""
        return [Window(row, col, self.tile, self.tile) for col in self.cols for row in band.starts]

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """``(tile, tile)`` weights of a window, whole numbers from 1 to ``(overlap + 1)²``."""
        axis = axis_weights(self.tile, self.overlap)
        return np.outer(axis, axis)

    def _axis_sums(self, starts: tuple[int, ...], length: int) -> NDArray[np.int64]:
        axis = axis_weights(self.tile, self.overlap)
        sums = np.zeros(max(length, self.tile), np.int64)
        for start in starts:
            sums[start : start + self.tile] += axis
        return sums[:length]

    @cached_property
    def row_sums(self) -> NDArray[np.int64]:
        """``(rows,)`` sum of row weights over all windows."""
        return self._axis_sums(self.rows, self.shape[0])

    @cached_property
    def col_sums(self) -> NDArray[np.int64]:
        """``(cols,)`` sum of column weights over all windows."""
        return self._axis_sums(self.cols, self.shape[1])


class Blender:
    """Sums the weighted predictions of one band while it is swept from left to right.

    Holds the band's rows for one window's width, and its finished part.

    Parameters
    ----------
    plan, band
        The windows.
    fields
        How many values there are per pixel (probability; and its entropy).
    members
        How many predictions are added per window.
    carry
        ``(fields, rows, cols)`` int64 sums that earlier bands left on the first rows of this one.
    head
        How many of the first rows are kept as sums too, for a band that is worked on apart from those above it.
    """

    def __init__(
        self, plan: WindowPlan, band: Band, fields: int, members: int, carry: NDArray[np.int64], head: int = 0
    ) -> None:
        self._plan, self._band, self._members = plan, band, members
        top = band.rows[0]
        height = band.starts[-1] + plan.tile - top
        cols = plan.shape[1]
        self._sums = np.zeros((fields, height, plan.tile), np.int64)
        self._carry_in = carry
        self._col = 0
        self.part = np.empty((fields, band.final[1] - band.final[0], cols), np.float32)
        self.carry = np.zeros((fields, max(0, band.rows[1] - band.final[1]), cols), np.int64)
        self.head = np.zeros((fields, head, cols), np.int64)
        self._enter(0, plan.tile)

    def add(self, window: Window, values: NDArray[np.float32]) -> None:
        """Add the ``(fields, tile, tile)`` prediction of a window; windows come in their order."""
        if window.col != self._col:
            self._move_to(window.col)
        top = window.row - self._band.rows[0]
        for field, value in enumerate(values):
            kernels.add_weighted(self._sums[field], top, self._plan.weights, value, float(1 << UNIT_BITS))

    def finish(self) -> NDArray[np.float32]:
        """Close the band; return its part ``(fields, rows, cols)`` and leave the sums of later rows in ``carry``."""
        self._leave(self._plan.shape[1] - self._col)
        return self.part

    def _move_to(self, col: int) -> None:
        step = col - self._col
        self._leave(step)
        self._sums[:, :, : self._plan.tile - step] = self._sums[:, :, step:].copy()
        self._sums[:, :, self._plan.tile - step :] = 0
        self._col = col
        self._enter(self._plan.tile - step, self._plan.tile)

    def _enter(self, first: int, last: int) -> None:
        """Take over what earlier bands left on columns that come into sight."""
        carried = self._carry_in[:, :, self._col + first : self._col + last]
        self._sums[:, : carried.shape[1], first : first + carried.shape[2]] += carried

    def _leave(self, count: int) -> None:
        """Give out the leftmost ``count`` columns, to which no more is added."""
        cols = slice(self._col, self._col + count)
        final = self.part.shape[1]
        sums = self._sums[:, :final, :count]
        self.part[:, :, cols] = divide(self._plan, self._members, sums, self._band.final[0], self._col)
        self.head[:, :, cols] = self._sums[:, : self.head.shape[1], :count]
        self.carry[:, :, cols] = self._sums[:, final : final + self.carry.shape[1], :count]


def divide(
    plan: WindowPlan, members: int, sums: NDArray[np.int64], first_row: int, first_col: int
) -> NDArray[np.float64]:
    """Turn sums ``(fields, rows, cols)`` over all windows into weighted means."""
    rows, cols = sums.shape[1:]
    weight = plan.row_sums[first_row : first_row + rows, None] * plan.col_sums[None, first_col : first_col + cols]
    means: NDArray[np.float64] = sums / (weight * np.float64(members) * np.float64(1 << UNIT_BITS))
    return means
