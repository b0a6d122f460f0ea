"""Pixel windows: which rows and columns, and how a raster is cut into them. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels: first row and column, number of rows and columns."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this window in an array whose last two axes are rows and columns."""
        return slice(self.row, self.row + self.rows), slice(self.col, self.col + self.cols)

    @property
    def empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.rows <= 0 or self.cols <= 0

    def intersection(self, other: Window) -> Window:
        """Return the common pixels; :attr:`empty` when there are none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        bottom = min(self.row + self.rows, other.row + other.rows)
        right = min(self.col + self.cols, other.col + other.cols)
        return Window(row, col, max(0, bottom - row), max(0, right - col))

    def expanded(self, margin: int, shape: tuple[int, int]) -> Window:
        """Return this window with ``margin`` more pixels on every side, cut to ``shape``."""
        grown = Window(self.row - margin, self.col - margin, self.rows + 2 * margin, self.cols + 2 * margin)
        return grown.intersection(Window(0, 0, *shape))

    def relative_to(self, other: Window) -> Window:
        """Return this window counted from the corner of ``other``."""
        return Window(self.row - other.row, self.col - other.col, self.rows, self.cols)


def split_windows(shape: tuple[int, int], size: tuple[int, int]) -> Iterator[Window]:
    """Cut a raster into windows of at most ``size``, row by row from the top left corner."""
    for row in range(0, shape[0], size[0]):
        for col in range(0, shape[1], size[1]):
            yield Window(row, col, min(size[0], shape[0] - row), min(size[1], shape[1] - col))
