"""From a mask, row by row, to polygons with pixel edges: exact, in memory that follows their outlines.

The mask is never held whole. No polygon is cut where one block of rows ends and the next begins, because
nothing is traced per block: corners are linked to corners as the rows go by. Landslides are 4-connected;
where one touches itself at a corner, its ring is divided there, so that every polygon is valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from landslip.mapping.landslides import kernels
from landslip.windows import Window


@dataclass(frozen=True)
class Outlines:
    """Polygons with pixel edges, in whole pixel coordinates, in raster order of their first pixels.

    Parameters
    ----------
    corners
        ``(n, 2)`` int32: row and column of each corner; rings are open.
    offsets
        ``(rings + 1,)`` int64: where each ring begins in ``corners``.
    areas
        ``(rings,)`` int64: pixels within each ring; negative for holes.
    polygon
        ``(rings,)`` int64: which polygon a ring belongs to, ascending; its outer ring comes first.
    """

    corners: NDArray[np.int32]
    offsets: NDArray[np.int64]
    areas: NDArray[np.int64]
    polygon: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Outlines:
        """No polygons."""
        none = np.zeros(0, np.int64)
        return cls(np.zeros((0, 2), np.int32), np.zeros(1, np.int64), none, none)

    def __len__(self) -> int:
        """Return the number of polygons."""
        return int(self.polygon[-1]) + 1 if self.polygon.size else 0

    @property
    def pixels(self) -> NDArray[np.int64]:
        """``(polygons,)`` pixels of each, holes taken off."""
        return np.bincount(self.polygon, self.areas, minlength=len(self)).astype(np.int64)

    @property
    def outer(self) -> NDArray[np.int64]:
        """``(polygons,)`` index of the outer ring of each."""
        return np.flatnonzero(self.areas > 0)

    def bounds(self) -> NDArray[np.int64]:
        """``(polygons, 4)``: first row, first column, last row, last column, the last ones excluded."""
        if not len(self):
            return np.zeros((0, 4), np.int64)
        outer = self.outer
        # reduceat over the outer rings alone: their corners are gathered first
        gathered, starts = _gather(self.corners, self.offsets, outer)
        low = np.minimum.reduceat(gathered, starts[:-1], axis=0)
        high = np.maximum.reduceat(gathered, starts[:-1], axis=0)
        return np.concatenate([low, high], axis=1).astype(np.int64)

    def take(self, keep: NDArray[Any]) -> Outlines:
        """Return the polygons chosen by a boolean mask or ascending indices, numbered anew."""
        chosen = np.zeros(len(self), np.bool_)
        chosen[keep] = True
        return self._rings(np.flatnonzero(chosen[self.polygon]))

    def _rings(self, rings: NDArray[np.int64]) -> Outlines:
        corners, offsets = _gather(self.corners, self.offsets, rings)
        _, polygon = np.unique(self.polygon[rings], return_inverse=True)
        return Outlines(corners, offsets, self.areas[rings], polygon.astype(np.int64))

    def without_holes(self, below_pixels: float) -> Outlines:
        """Fill the holes of fewer than ``below_pixels``; polygons inside a filled hole become part of it."""
        fill = (self.areas < 0) & (-self.areas < below_pixels)
        if not fill.any():
            return self
        filled = self._rings(np.flatnonzero(~fill))
        holes = self._as_polygons(np.flatnonzero(fill))
        first = filled.corners[filled.offsets[filled.outer]]
        inner: Any = shapely.points(first[:, 1] + 0.5, first[:, 0] + 0.5)
        inside = np.unique(shapely.STRtree(inner).query(holes, predicate="contains")[1])
        keep = np.ones(len(filled), np.bool_)
        keep[inside] = False
        return filled.take(keep)

    def _as_polygons(self, rings: NDArray[np.int64]) -> NDArray[Any]:
        corners, offsets = _gather(self.corners, self.offsets, rings)
        closed, starts = _close(corners, offsets)
        polygons: NDArray[Any] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON,
            np.ascontiguousarray(closed[:, ::-1], dtype=np.float64),
            (starts, np.arange(starts.size)),
        )
        return polygons

    def polygons(self, transform: Affine) -> NDArray[Any]:
        """``(polygons,)`` shapely polygons in map coordinates, outer rings counter-clockwise."""
        if not len(self):
            return np.zeros(0, object)
        closed, starts = _close(self.corners, self.offsets)
        # Rows run southward, so rings that run clockwise on the map are reversed, ring by ring.
        position = np.arange(closed.shape[0])
        lengths = np.diff(starts)
        begin = np.repeat(starts[:-1], lengths)
        mirrored = begin + np.repeat(lengths, lengths) - 1 - (position - begin)
        row, col = closed[mirrored, 0].astype(np.float64), closed[mirrored, 1].astype(np.float64)
        x = transform.a * col + transform.c
        y = transform.e * row + transform.f
        first_ring = np.searchsorted(self.polygon, np.arange(len(self) + 1))
        found: NDArray[Any] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, np.stack([x, y], axis=1), (starts, first_ring)
        )
        return found

    def burn(self, window: Window) -> NDArray[np.int32]:
        """``(rows, cols)`` of ``window``: 0, or the number of the polygon counted from 1."""
        out = np.zeros(window.shape, np.int32)
        if not len(self):
            return out
        rings = self._rings_in(window)
        corners = self.corners
        if window.col:
            corners = corners.copy()
            # Edges left of the window still open landslides that reach into it.
            corners[:, 1] = np.maximum(corners[:, 1] - window.col, 0)
        kernels.burn(corners, self.offsets, (self.polygon + 1).astype(np.int32), rings, window.row, out)
        return out

    def _rings_in(self, window: Window) -> NDArray[np.int64]:
        low = np.minimum.reduceat(self.corners[:, 0], self.offsets[:-1])
        high = np.maximum.reduceat(self.corners[:, 0], self.offsets[:-1])
        return np.flatnonzero((low < window.row + window.rows) & (high > window.row))


class Outliner:
    """Takes a mask block of rows by block of rows, from the top, and gives its outlines at the end.

    Parameters
    ----------
    cols
        Width of the mask.
    """

    def __init__(self, cols: int) -> None:
        room = max(4 * (cols + 1), 1 << 16)
        self._above = np.zeros(cols, np.int64)
        self._hanging = np.zeros(cols + 1, np.int64)
        self._table = np.zeros((room, 6), np.int64)
        self._parent = np.zeros(room, np.int64)
        self._segments, self._labels, self._row = 0, 1, 0

    def add(self, mask: NDArray[np.bool_]) -> None:
        """Add the next ``(rows, cols)`` of the mask."""
        mask = np.ascontiguousarray(mask, dtype=np.bool_)
        while mask.shape[0]:
            done, self._segments, self._labels = kernels.scan_rows(
                mask, self._row, self._above, self._hanging, self._table, self._segments, self._parent, self._labels
            )
            self._row += done
            mask = mask[done:]
            if mask.shape[0]:
                self._grow()

    def _grow(self) -> None:
        room = self._above.size + 1
        if self._segments + room > len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        if self._labels + room > self._parent.size:
            self._parent = np.concatenate([self._parent, np.zeros_like(self._parent)])

    def finish(self) -> Outlines:
        """Close the lower edge and return the outlines of everything that was added."""
        self._grow()
        end = np.zeros_like(self._above)
        used = kernels.trace_row(self._row, self._above, end, self._hanging, self._table, self._segments)
        if used == 0:
            return Outlines.empty()
        corners, offsets, owners = kernels.follow_rings(self._table[:used], self._parent)
        corners, offsets, owners = _divide(corners, offsets, owners)
        return _arrange(corners, offsets, owners)


def outline(mask: NDArray[np.bool_]) -> Outlines:
    """Outlines of a mask ``(rows, cols)`` held in memory."""
    outliner = Outliner(mask.shape[1])
    outliner.add(mask)
    return outliner.finish()


def concatenate(parts: list[Outlines]) -> Outlines:
    """Put outlines together and sort them by first pixel. They must not overlap."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return Outlines.empty()
    corners = np.concatenate([part.corners for part in parts])
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    shift = np.cumsum([0, *(len(part) for part in parts[:-1])])
    owners = np.concatenate([part.polygon + add for part, add in zip(parts, shift, strict=True)])
    return _arrange(corners, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), owners)


def shifted(outlines: Outlines, rows: int, cols: int) -> Outlines:
    """Return the outlines moved down and to the right by whole pixels."""
    moved = outlines.corners + np.array([rows, cols], np.int32)
    return Outlines(moved, outlines.offsets, outlines.areas, outlines.polygon)


def _gather(
    corners: NDArray[np.int32], offsets: NDArray[np.int64], rings: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    lengths = (offsets[1:] - offsets[:-1])[rings]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.repeat(offsets[:-1][rings] - starts[:-1], lengths) + np.arange(starts[-1])
    return corners[index], starts


def _close(corners: NDArray[np.int32], offsets: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    closed = np.insert(corners, offsets[1:], corners[offsets[:-1]], axis=0)
    return closed, offsets + np.arange(offsets.size)


def _divide(
    corners: NDArray[np.int32], offsets: NDArray[np.int64], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Divide the rings that pass a corner twice, so that every ring is simple."""
    ring = np.repeat(np.arange(owners.size), np.diff(offsets))
    key = corners[:, 0].astype(np.int64) * (int(corners[:, 1].max()) + 1) + corners[:, 1]
    order = np.lexsort((key, ring))
    again = (ring[order][1:] == ring[order][:-1]) & (key[order][1:] == key[order][:-1])
    touching = np.unique(ring[order][1:][again])
    if not touching.size:
        return corners, offsets, owners
    keep = np.setdiff1d(np.arange(owners.size), touching)
    kept, starts = _gather(corners, offsets, keep)
    pieces, lengths, new_owners = [kept], [np.diff(starts)], [owners[keep]]
    for index in touching:
        loops = _simple_loops(corners[offsets[index] : offsets[index + 1]])
        pieces += loops
        lengths.append(np.array([len(loop) for loop in loops]))
        new_owners.append(np.full(len(loops), owners[index]))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return np.concatenate(pieces), starts, np.concatenate(new_owners)


def _simple_loops(corners: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    stack: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    loops = []
    for corner in map(tuple, corners.tolist()):
        if corner in place:
            cut = place[corner]
            loops.append(np.array(stack[cut:], np.int32))
            for gone in stack[cut + 1 :]:
                del place[gone]
            del stack[cut + 1 :]
        else:
            place[corner] = len(stack)
            stack.append(corner)
    loops.append(np.array(stack, np.int32))
    return loops


def _arrange(corners: NDArray[np.int32], offsets: NDArray[np.int64], owners: NDArray[np.int64]) -> Outlines:
    """Sort the rings: polygons by first pixel in raster order, outer ring first, holes by first corner."""
    areas = kernels.ring_areas(corners, offsets)
    width = int(corners[:, 1].max()) + 1
    key = corners[:, 0].astype(np.int64) * width + corners[:, 1]
    corners, key = _rotate_to_first(corners, offsets, key)
    first = key[offsets[:-1]]
    outer = areas > 0
    # Every owner has exactly one outer ring; its first corner orders the polygons.
    number = np.zeros(int(owners.max()) + 1, np.int64)
    number[owners[outer][np.argsort(first[outer])]] = np.arange(int(outer.sum()))
    order = np.lexsort((first, ~outer, number[owners]))
    sorted_corners, starts = _gather(corners, offsets, order)
    return Outlines(sorted_corners, starts, areas[order], number[owners][order])


def _rotate_to_first(
    corners: NDArray[np.int32], offsets: NDArray[np.int64], key: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Let every ring begin with its first corner in raster order."""
    lengths = np.diff(offsets)
    ring = np.repeat(np.arange(lengths.size), lengths)
    low = np.minimum.reduceat(key, offsets[:-1])
    start = np.flatnonzero(key == low[ring])  # simple rings pass each corner once
    begin = np.repeat(offsets[:-1], lengths)
    index = begin + (np.arange(key.size) - begin + (start - offsets[:-1])[ring]) % np.repeat(lengths, lengths)
    return corners[index], key[index]
