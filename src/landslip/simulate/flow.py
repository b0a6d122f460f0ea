"""Where water goes on a grid: flooding, receivers, drainage area, incision, height above the drainage.

Compiled kernels on plain arrays; nothing here knows of files, seeds or settings.
"""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit
from numpy.typing import NDArray

_RISE = 1e-3
"""Smallest fall in metres from a cell to its receiver, so that water never stands."""


@njit(cache=True)
def route(
    z: NDArray[np.float64], outlets: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Fill depressions and find each cell's receiver.

    Parameters
    ----------
    z
        (rows, cols) elevation in metres.
    outlets
        (rows, cols) cells where water leaves the grid.

    Returns
    -------
    filled, receiver, order
        Elevation without depressions; flat index of the steepest lower neighbour (itself at outlets);
        all cells so that a receiver always comes before its givers.

    References
    ----------
    Barnes, R., Lehman, C., Mulla, D. (2014). Priority-flood. Computers & Geosciences 62, 117-127.
    """
    rows, cols = z.shape
    filled = z.copy()
    receiver = np.arange(rows * cols)
    order = np.empty(rows * cols, np.int64)
    seen = np.zeros((rows, cols), np.bool_)
    heap = [(0.0, np.int64(0))]
    heap.pop()
    for r in range(rows):
        for c in range(cols):
            if outlets[r, c]:
                seen[r, c] = True
                heap.append((z[r, c], np.int64(r * cols + c)))
    heapq.heapify(heap)
    count = 0
    while len(heap) > 0:
        height, cell = heapq.heappop(heap)
        order[count] = cell
        count += 1
        r, c = cell // cols, cell % cols
        steepest = 0.0
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                nr, nc = r + dr, c + dc
                if (dr == 0 and dc == 0) or nr < 0 or nc < 0 or nr >= rows or nc >= cols:
                    continue
                far = 1.4142135623730951 if dr != 0 and dc != 0 else 1.0
                if not seen[nr, nc]:
                    seen[nr, nc] = True
                    filled[nr, nc] = max(z[nr, nc], height + _RISE)
                    heapq.heappush(heap, (filled[nr, nc], np.int64(nr * cols + nc)))
                elif not outlets[r, c]:
                    fall = (height - filled[nr, nc]) / far
                    if fall > steepest:
                        steepest = fall
                        receiver[cell] = nr * cols + nc
    return filled, receiver, order


@njit(cache=True)
def accumulate(receiver: NDArray[np.int64], order: NDArray[np.int64], cell_area: float) -> NDArray[np.float64]:
    """Drainage area of each cell (flat), in the unit of ``cell_area``."""
    area = np.full(receiver.size, cell_area)
    for i in range(order.size - 1, -1, -1):
        cell = order[i]
        if receiver[cell] != cell:
            area[receiver[cell]] += area[cell]
    return area


@njit(cache=True)
def incise(
    z: NDArray[np.float64],
    receiver: NDArray[np.int64],
    order: NDArray[np.int64],
    factor: NDArray[np.float64],
    steepest: NDArray[np.float64],
    spacing: float,
) -> None:
    """One implicit step of stream-power incision with a limiting hillslope, in place.

    Parameters
    ----------
    z
        (rows, cols) elevation in metres.
    receiver, order
        From :func:`route`.
    factor
        (rows, cols) erodibility of the step times drainage area to the power m (slope exponent 1), in metres.
    steepest
        (rows, cols) tangent of the steepest slope that stands.
    spacing
        Cell size in metres.

    References
    ----------
    Braun, J., Willett, S. D. (2013). A very efficient O(n), implicit and parallel method to solve the
    stream power equation. Geomorphology 180-181, 170-179.
    """
    cols = z.shape[1]
    heights, factors, limits = z.ravel(), factor.ravel(), steepest.ravel()
    for i in range(order.size):
        cell = order[i]
        low = receiver[cell]
        if low == cell or heights[cell] <= heights[low]:
            continue
        diagonal = cell // cols != low // cols and cell % cols != low % cols
        far = spacing * (1.4142135623730951 if diagonal else 1.0)
        cut = factors[cell] / far
        height = (heights[cell] + cut * heights[low]) / (1.0 + cut)
        heights[cell] = min(height, heights[low] + far * limits[cell])


@njit(cache=True)
def nearest_channel(
    z: NDArray[np.float64], receiver: NDArray[np.int64], order: NDArray[np.int64], channel: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Height above the channel that a cell drains to, and that channel cell's flat index (itself where none)."""
    height = np.zeros(z.shape, np.float32)
    target = np.arange(z.size)
    flat, heights, channels = z.ravel(), height.ravel(), channel.ravel()
    for i in range(order.size):
        cell = order[i]
        if not channels[cell]:
            target[cell] = target[receiver[cell]]
        heights[cell] = max(flat[cell] - flat[target[cell]], 0.0)
    return height, target


@njit(cache=True)
def cast_shadow(
    z: NDArray[np.float32], east_step: float, south_step: float, rise: float, reach: int
) -> NDArray[np.float32]:
    """How deep each cell lies under the shadow's edge, in metres (0 where the sun's disc is free).

    Parameters
    ----------
    z
        (rows, cols) elevation in metres.
    east_step, south_step
        Step towards the sun in cells, the longer component being 1.
    rise
        Rise of the sun's ray over one such step, in metres.
    reach
        Number of steps after which nothing can be high enough.
    """
    rows, cols = z.shape
    depth = np.zeros((rows, cols), np.float32)
    for r in range(rows):
        for c in range(cols):
            worst = 0.0
            for step in range(1, reach + 1):
                y, x = r + step * south_step, c + step * east_step
                r0, c0 = int(np.floor(y)), int(np.floor(x))
                if r0 < 0 or c0 < 0 or r0 + 1 >= rows or c0 + 1 >= cols:
                    break
                fy, fx = y - r0, x - c0
                high = (z[r0, c0] * (1 - fx) + z[r0, c0 + 1] * fx) * (1 - fy) + (
                    z[r0 + 1, c0] * (1 - fx) + z[r0 + 1, c0 + 1] * fx
                ) * fy
                over = high - z[r, c] - step * rise
                worst = max(worst, over)
            depth[r, c] = worst
    return depth
