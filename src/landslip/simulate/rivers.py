"""Rivers as lines: traced down the drainage, smoothed into bends, with a road along some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, sample, stream
from landslip.simulate.relief import PIXEL_M, Relief

_CHANNEL_M2 = 2.5e6
_SHORTEST = 12
_WIDEST = 16
_FAR = np.float32(1e4)


@dataclass(frozen=True)
class Rivers:
    """Rivers on the working grid.

    Parameters
    ----------
    water, gravel
        Share of a cell under water, and under bare gravel or sand.
    road_m
        Distance in metres to the nearest road along a river (very far where there is none).
    """

    water: Field2D
    gravel: Field2D
    road_m: Field2D


def make_rivers(config: SimulateConfig, relief: Relief) -> Rivers:
    """Trace the rivers of a terrain and lay water, gravel and roads along them."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    rng = stream(config.seed, "rivers")
    bends = [fractal(shape, rng, beta=3.2, longest_px=40, shortest_px=9) for _ in range(4)]
    lines = _lines(relief)
    if not lines:
        none = np.zeros(shape, np.float32)
        return Rivers(none, none, np.full(shape, _FAR))
    swing = (0.5 + 2.5 * relief.plain).astype(np.float32)
    bar = fractal(shape, rng, beta=2.6, longest_px=50, shortest_px=4)
    # the water winds inside its gravel belt: two sets of bends
    belt_px, km2 = _distance(lines, relief, [swing * b for b in bends[:2]])
    water_px, _ = _distance(lines, relief, [swing * (b + 0.5 * w) for b, w in zip(bends[:2], bends[2:], strict=True)])
    half_water = np.clip(0.2 * np.sqrt(km2) * (1 + 0.2 * bar), 0.1, 6)
    half_belt = np.clip(0.32 * np.sqrt(km2) * (1 + 0.9 * bar), 0, _WIDEST - 2)
    water = np.clip(half_water - water_px + 0.5, 0, 2 * half_water).clip(0, 1)
    gravel = np.clip(half_belt - belt_px + 0.5, 0, 1) * (half_belt > 0.5) * (1 - water)
    road_m = _roads(lines, shape, rng)
    return Rivers(water.astype(np.float32), gravel.astype(np.float32), road_m)


def _lines(relief: Relief) -> list[NDArray[np.float64]]:
    """Smoothed river lines of (row, col, drainage in km²) from head to mouth."""
    area = relief.drainage_m2.ravel()
    raw = _trace(relief.receiver, area > _CHANNEL_M2)
    cols = relief.z.shape[1]
    lines = []
    for start, end in zip(raw[1][:-1], raw[1][1:], strict=True):
        cells = raw[0][start:end]
        if cells.size < _SHORTEST:
            continue
        line = np.stack([cells // cols, cells % cols, area[cells] / 1e6], axis=1).astype(np.float64)
        smooth = gaussian_filter1d(line, 3.0, axis=0, mode="nearest")
        smooth[-1] = line[-1]
        lines.append(smooth)
    return lines


@njit(cache=True)
def _trace(receiver: NDArray[np.int64], channel: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells of all rivers one after another, and where each starts: from each head to a cell already traced."""
    fed = np.zeros(receiver.size, np.bool_)
    for cell in range(receiver.size):
        if channel[cell] and receiver[cell] != cell:
            fed[receiver[cell]] = True
    done = np.zeros(receiver.size, np.bool_)
    cells = [np.int64(0)]
    starts = [np.int64(0)]
    cells.pop()
    for head in range(receiver.size):
        if not channel[head] or fed[head]:
            continue
        cell = head
        while True:
            cells.append(np.int64(cell))
            if done[cell] or receiver[cell] == cell:
                break
            done[cell] = True
            cell = receiver[cell]
        starts.append(np.int64(len(cells)))
    return np.array(cells), np.array(starts)


def _distance(lines: list[NDArray[np.float64]], relief: Relief, bend: list[Field2D]) -> tuple[Field2D, Field2D]:
    """Distance in cells to the bent lines (far beyond the widest river), and the drainage in km² of the nearest."""
    points = [np.zeros((3, 0))]
    for line in lines:
        rows, cols, size = _dense(line)
        points.append(np.array([rows + sample(bend[0], rows, cols), cols + sample(bend[1], rows, cols), size]))
    return _near(np.concatenate(points, axis=1), relief.z.shape, _WIDEST)


@njit(cache=True)
def _near(
    points: NDArray[np.float64], shape: tuple[int, int], reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance of each cell to the nearest of (row, col, value) points within ``reach``, and that point's value."""
    distance = np.full(shape, np.float32(1e4))
    value = np.zeros(shape, np.float32)
    for k in range(points.shape[1]):
        row, col = int(np.rint(points[0, k])), int(np.rint(points[1, k]))
        for r in range(max(row - reach, 0), min(row + reach + 1, shape[0])):
            for c in range(max(col - reach, 0), min(col + reach + 1, shape[1])):
                far = np.sqrt((r - points[0, k]) ** 2 + (c - points[1, k]) ** 2)
                if far < distance[r, c]:
                    distance[r, c] = far
                    value[r, c] = points[2, k]
    return distance, value


def _dense(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of a line every third of a cell: (row, col, drainage)."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line[:, :2], axis=0).T))])
    at = np.arange(0, along[-1], 0.33)
    return np.array([np.interp(at, along, line[:, k]) for k in range(3)])


def _roads(lines: list[NDArray[np.float64]], shape: tuple[int, int], rng: np.random.Generator) -> Field2D:
    """Distance in metres to roads that keep to one side of the larger rivers."""
    points = [np.zeros((3, 0))]
    for line in lines:
        side, aside = rng.choice([-1, 1]), rng.uniform(8, 16)
        if line[-1, 2] < 2 * _CHANNEL_M2 / 1e6 or len(line) < 60:
            continue
        rows, cols, size = _dense(line)
        rows, cols = gaussian_filter1d(rows, 20), gaussian_filter1d(cols, 20)
        along_r, along_c = np.gradient(rows), np.gradient(cols)
        length = np.maximum(np.hypot(along_r, along_c), 1e-6)
        away = side * (aside + np.sqrt(size) + gaussian_filter1d(rng.normal(0, 20, rows.size), 50, mode="nearest"))
        points.append(np.array([rows - along_c / length * away, cols + along_r / length * away, size]))
    distance: Field2D = _near(np.concatenate(points, axis=1), shape, 3)[0] * np.float32(PIXEL_M)
    return distance
