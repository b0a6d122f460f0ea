"""The loops over pixels that numpy cannot do, compiled by numba: labels, boundaries, filling, basins.

Kernels that call one another are in this one module, because numba's cache watches the file that a kernel is in.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

# Columns of the table of horizontal boundary segments.
ROW, FIRST, LAST, KIND, LABEL, NEXT = range(6)

TOP, BOTTOM = 0, 1
"""Kinds: landslide below the segment, which runs eastward; landslide above it, running westward."""


@numba.njit(cache=True)
def find(parent: NDArray[np.int64], label: int) -> int:
    """Root of ``label``; the path to it is shortened on the way."""
    root = label
    while parent[root] != root:
        root = parent[root]
    while parent[label] != root:
        following = parent[label]
        parent[label] = root
        label = following
    return root


@numba.njit(cache=True)
def label_row(
    mask: NDArray[np.bool_], above: NDArray[np.int64], labels: NDArray[np.int64], parent: NDArray[np.int64], used: int
) -> int:
    """Label one row of pixels, joined 4-connected to the row above; return the number of labels in use.

    ``above`` and ``labels`` are ``(cols,)`` with 0 outside; ``parent`` is the union-find forest over labels.
    A root is always the smallest label of its tree, the one met first in raster order.
    """
    current = 0
    for col in range(mask.size):
        if not mask[col]:
            labels[col] = 0
            current = 0
            continue
        up = above[col]
        if current == 0:
            if up:
                current = find(parent, up)
            else:
                current = used
                parent[used] = used
                used += 1
        elif up:
            one, two = find(parent, current), find(parent, up)
            if one < two:
                parent[two] = one
                current = one
            else:
                parent[one] = two
                current = two
        labels[col] = current
    return used


@numba.njit(cache=True)
def trace_row(
    row: int,
    above: NDArray[np.int64],
    below: NDArray[np.int64],
    hanging: NDArray[np.int64],
    table: NDArray[np.int64],
    used: int,
) -> int:
    """Follow the boundary along the line between two rows of pixels; return the number of segments.

    Directed so that landslide lies to the right of the way: along its top eastward, down its right side,
    along its bottom westward, up its left side. Every corner joins one horizontal with one vertical edge,
    so horizontal segments and the links between them describe all rings, without collinear points. Where
    four edges meet, the two landslide pixels are kept apart (4-connected).

    Parameters
    ----------
    row
        Number of the line, 0 above the first pixels.
    above, below
        ``(cols,)`` labels of the pixels on either side, 0 outside landslides.
    hanging
        ``(cols + 1,)`` segment at the upper end of the vertical edge that comes down to each corner.
    table
        Segments so far, with room for ``cols`` more.
    used
        Number of segments so far.
    """
    cols = above.size
    current = -1
    for col in range(cols + 1):
        a = above[col - 1] if col > 0 else 0
        b = above[col] if col < cols else 0
        d = below[col - 1] if col > 0 else 0
        e = below[col] if col < cols else 0
        if a == 0 and b == 0 and d == 0 and e == 0:
            continue
        vertical_above = (a != 0) != (b != 0)
        vertical_below = (d != 0) != (e != 0)
        left = current
        right = -1
        if (b != 0) != (e != 0):
            if left >= 0 and not vertical_above and not vertical_below:
                continue
            right = used
            table[right, ROW] = row
            table[right, FIRST] = col
            table[right, KIND] = TOP if e != 0 else BOTTOM
            table[right, LABEL] = e if e != 0 else b
            used += 1
        if left >= 0:
            table[left, LAST] = col
        current = right
        if left >= 0 and right >= 0 and vertical_above and vertical_below:
            if a != 0:
                table[hanging[col], NEXT] = left
                hanging[col] = right
            else:
                table[right, NEXT] = hanging[col]
                hanging[col] = left
            continue
        here = left if left >= 0 else right
        if here >= 0 and vertical_above:
            if a != 0:
                table[hanging[col], NEXT] = here
            else:
                table[here, NEXT] = hanging[col]
        elif here >= 0 and vertical_below:
            hanging[col] = here
    return used


@numba.njit(cache=True, nogil=True)
def scan_rows(
    mask: NDArray[np.bool_],
    first_row: int,
    above: NDArray[np.int64],
    hanging: NDArray[np.int64],
    table: NDArray[np.int64],
    segments: int,
    parent: NDArray[np.int64],
    labels: int,
) -> tuple[int, int, int]:
    """Label and trace ``(rows, cols)`` of mask below what was seen so far.

    Stops early where ``table`` or ``parent`` have no room for another row. Returns the rows done, the
    segments and the labels in use. ``above`` and ``hanging`` are carried from call to call.
    """
    rows, cols = mask.shape
    below = np.empty(cols, np.int64)
    for row in range(rows):
        if segments + cols + 1 > table.shape[0] or labels + cols + 1 > parent.size:
            return row, segments, labels
        labels = label_row(mask[row], above, below, parent, labels)
        segments = trace_row(first_row + row, above, below, hanging, table, segments)
        above[:] = below
    return rows, segments, labels


@numba.njit(cache=True)
def follow_rings(
    table: NDArray[np.int64], parent: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Walk from segment to segment until every ring is closed.

    Returns corners ``(n, 2)`` as row and column (rings open: the first is not repeated), the offset of
    each ring with a final total, and the label of each ring.
    """
    count = table.shape[0]
    corners = np.empty((2 * count, 2), np.int32)
    offsets = np.empty(count + 1, np.int64)
    owners = np.empty(count, np.int64)
    seen = np.zeros(count, np.bool_)
    rings = 0
    used = 0
    for start in range(count):
        if seen[start]:
            continue
        offsets[rings] = used
        owners[rings] = find(parent, table[start, LABEL])
        segment = start
        while not seen[segment]:
            seen[segment] = True
            eastward = table[segment, KIND] == TOP
            corners[used, 0] = table[segment, ROW]
            corners[used, 1] = table[segment, FIRST] if eastward else table[segment, LAST]
            corners[used + 1, 0] = table[segment, ROW]
            corners[used + 1, 1] = table[segment, LAST] if eastward else table[segment, FIRST]
            used += 2
            segment = table[segment, NEXT]
        rings += 1
    offsets[rings] = used
    return corners, offsets[: rings + 1], owners[:rings]


@numba.njit(cache=True)
def ring_areas(corners: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Signed area of each ring in pixels: positive for outer rings, negative for holes. Exact."""
    areas = np.zeros(offsets.size - 1, np.int64)
    for ring in range(areas.size):
        total = 0
        first, last = offsets[ring], offsets[ring + 1]
        for index in range(first, last):
            following = index + 1 if index + 1 < last else first
            # Sum over the horizontal edges alone: eastward ones count from the row up, westward ones down.
            total -= int(corners[index, 0]) * (int(corners[following, 1]) - int(corners[index, 1]))
        areas[ring] = total
    return areas


@numba.njit(cache=True, nogil=True)
def burn(
    corners: NDArray[np.int32],
    offsets: NDArray[np.int64],
    values: NDArray[np.int32],
    rings: NDArray[np.int64],
    first_row: int,
    out: NDArray[np.int32],
) -> None:
    """Fill pixel-edged rings into ``out`` (rows, cols), whose first row is ``first_row`` of the scene.

    A vertical edge that goes down closes its landslide to the left, one that goes up opens one to the right;
    the running sum along a row is then the value at each pixel. Rings of one polygon share its value and
    different polygons do not overlap, so the result is exact.
    """
    rows, cols = out.shape
    out[:] = 0
    for ring in rings:
        value = values[ring]
        first, last = offsets[ring], offsets[ring + 1]
        for index in range(first, last):
            following = index + 1 if index + 1 < last else first
            col = corners[index, 1]
            if col != corners[following, 1] or col >= cols:
                continue
            begin, end = corners[index, 0] - first_row, corners[following, 0] - first_row
            step = -value
            if begin > end:
                begin, end = end, begin
                step = value
            for row in range(max(begin, 0), min(end, rows)):
                out[row, col] += step
    for row in range(rows):
        total = 0
        for col in range(cols):
            total += out[row, col]
            out[row, col] = total


@numba.njit(cache=True, nogil=True)
def flow_basins(
    inside: NDArray[np.bool_], elevation: NDArray[np.float32], depth: float
) -> tuple[NDArray[np.int32], int]:
    """Split the pixels ``inside`` (rows, cols) by the toe that they drain to.

    Pixels are flooded from the lowest up (ties in raster order), 8-connected; each joins the flood of its
    lowest neighbour, the way water would leave it. Where the floods of two toes meet, the saddle, they are
    joined when the shallower of the two toes lies less than ``depth`` metres below; else the divide stays.
    Pixels without elevation come last. Returns basins 1..n (0 outside) and n.

    References
    ----------
    Vincent & Soille (1991), doi:10.1109/34.87344, for watersheds by flooding.
    """
    rows, cols = inside.shape
    flat = np.where(np.isnan(elevation), np.float32(np.inf), elevation).ravel()
    members = np.flatnonzero(inside.ravel())
    order = members[np.argsort(flat[members], kind="mergesort")]
    basin = np.zeros(rows * cols, np.int32)
    parent = np.arange(members.size + 1)
    floor = np.zeros(members.size + 1, np.float64)
    count = 0
    for pixel in order:
        row, col = pixel // cols, pixel % cols
        height = np.float64(flat[pixel])
        mine = 0
        lowest = np.inf
        for step in range(9):
            beside_row, beside_col = row + step // 3 - 1, col + step % 3 - 1
            if step == 4 or not (0 <= beside_row < rows and 0 <= beside_col < cols):
                continue
            beside = beside_row * cols + beside_col
            if basin[beside] and (mine == 0 or flat[beside] < lowest):
                mine = find(parent, basin[beside])
                lowest = flat[beside]
        if mine == 0:
            count += 1
            mine = count
            floor[mine] = height
        for step in range(9):
            beside_row, beside_col = row + step // 3 - 1, col + step % 3 - 1
            if step == 4 or not (0 <= beside_row < rows and 0 <= beside_col < cols):
                continue
            beside = beside_row * cols + beside_col
            root = find(parent, basin[beside])
            if root == 0 or root == mine:
                continue
            low, high = (mine, root) if floor[mine] <= floor[root] else (root, mine)
            if not height - floor[high] >= depth:
                parent[high] = low
                mine = low
        basin[pixel] = mine
    number = np.zeros(count + 1, np.int32)
    total = 0
    for pixel in members:
        root = find(parent, basin[pixel])
        if number[root] == 0:
            total += 1
            number[root] = total
        basin[pixel] = number[root]
    return basin.reshape(rows, cols), total
