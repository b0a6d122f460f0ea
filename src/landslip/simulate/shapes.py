"""The shape of one landslide: down the fall of the slope from its crown, scaled to its area exactly."""

from __future__ import annotations

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

from landslip.simulate.fields import Field2D
from landslip.simulate.relief import PIXEL_M

_LONG_M2 = 2500.0
_BRANCHED_M2 = 4000.0


def landslide_shape(
    area_m2: float, z: Field2D, crown: tuple[float, float], rng: np.random.Generator
) -> tuple[Polygon, tuple[float, float]] | None:
    """Outline of ``area_m2`` that starts at ``crown`` and follows the fall of the slope, and its toe."""
    large = min(area_m2 / 20_000, 1.0)
    ratio = float(np.exp(rng.normal(np.log(1.9 + 1.6 * large), 0.35)))
    if area_m2 > _LONG_M2 and rng.random() < 0.2:
        ratio *= rng.uniform(2.5, 5)  # flows down a channel
    area = area_m2 / PIXEL_M**2
    length = float(np.sqrt(area * ratio / 0.8))
    path = _descend(z, crown[0], crown[1], length, min(0.5, length / 10))
    run = 0.0 if len(path) < 4 else float(np.hypot(*np.diff(path, axis=0).T).sum())
    if run < 0.5 * length or run * run < 0.7 * area:
        return None
    toe = (float(path[-1, 0]), float(path[-1, 1]))
    if length > 3 and height(z, crown[0], crown[1]) - height(z, *toe) < 0.1 * run * PIXEL_M:
        return None
    arms = [(path, _profile(len(path), rng))]
    if area_m2 > _BRANCHED_M2 and rng.random() < 0.5:
        second = _second_head(z, path, area / run, rng)
        arms.append((second, 0.8 * _profile(len(second), rng)))
    width = area / run
    polygon = Polygon()
    for _ in range(5):
        polygon = _joined([_outline(line, width * profile) for line, profile in arms if len(line) > 3])
        if polygon.is_empty:
            return None
        width *= area / polygon.area
    if abs(polygon.area / area - 1) > 0.25:
        return None
    factor = np.sqrt(area / polygon.area)
    centre = shapely.get_coordinates(polygon.centroid)[0]
    return Polygon((shapely.get_coordinates(polygon.exterior) - centre) * factor + centre), toe


def _second_head(z: Field2D, path: NDArray[np.float64], width: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Path of a second source beside the first, which flows into it lower down."""
    beside = path[min(3, len(path) - 1)] - path[0]
    beside = np.array([-beside[1], beside[0]]) / max(float(np.hypot(*beside)), 1e-9)
    start = path[0] + rng.choice([-1, 1]) * rng.uniform(0.7, 1.4) * width * beside
    step = float(np.hypot(*(path[1] - path[0])))
    return _descend(z, start[0], start[1], rng.uniform(0.4, 0.9) * step * len(path), step)


def _joined(outlines: list[Polygon]) -> Polygon:
    """Union of outlines without holes; its largest part where they do not touch."""
    parts = shapely.get_parts(shapely.union_all(outlines))
    largest = max(parts, key=shapely.area, default=None)
    return Polygon() if largest is None or largest.is_empty else Polygon(largest.exterior)


def _profile(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Half-widths along the path on both sides, (2, count), of mean about one half."""
    t = np.linspace(0, 1, count)
    head = np.sqrt(np.clip(1 - np.square(1 - np.minimum(t / rng.uniform(0.12, 0.3), 1)), 0, 1))
    end = rng.uniform(0.08, 0.25)
    tail = np.sqrt(np.clip(1 - np.square(np.maximum(t - 1 + end, 0) / end), 0, 1))
    neck = 1 - rng.uniform(0, 0.6) * np.sin(np.pi * np.clip((t - 0.2) / 0.7, 0, 1))
    taper = 1 + rng.normal(0.25, 0.35) * (0.5 - t)
    sides = []
    for _ in range(2):
        ragged = np.zeros(count)
        for apart, spread in ((8, 0.22), (3, 0.22)):
            knots = rng.normal(0, spread, max(4, count // apart))
            ragged += np.interp(t, np.linspace(0, 1, knots.size), knots)
        sides.append(0.5 * head * tail * neck * taper * np.exp(ragged))
    return np.array(sides)


def _outline(path: NDArray[np.float64], half: NDArray[np.float64]) -> Polygon:
    """Polygon (x = col, y = row) around a path of (row, col) points with its left and right half-widths."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    ring = np.concatenate([path + normal * half[0][:, None], (path - normal * half[1][:, None])[::-1]])
    polygon = Polygon(ring[:, ::-1])
    if not polygon.is_valid:
        parts = shapely.get_parts(polygon.buffer(0))
        polygon = max(parts, key=shapely.area, default=Polygon())
    return Polygon(polygon.exterior) if not polygon.is_empty else polygon


@njit(cache=True)
def height(z: NDArray[np.float32], row: float, col: float) -> float:
    """Bilinear elevation; the centre of cell (0, 0) is at 0.5."""
    y = min(max(row - 0.5, 0.0), z.shape[0] - 1.001)
    x = min(max(col - 0.5, 0.0), z.shape[1] - 1.001)
    r, c = int(y), int(x)
    fy, fx = y - r, x - c
    top = z[r, c] * (1 - fx) + z[r, c + 1] * fx
    bottom = z[r + 1, c] * (1 - fx) + z[r + 1, c + 1] * fx
    return float(top * (1 - fy) + bottom * fy)


@njit(cache=True)
def _descend(z: NDArray[np.float32], row: float, col: float, length: float, step: float) -> NDArray[np.float64]:
    """Follow the fall of the slope, with inertia, for ``length`` cells or until it is flat: (points, 2)."""
    most = int(length / step) + 2
    path = np.empty((most, 2), np.float64)
    path[0, 0], path[0, 1] = row, col
    count, along_r, along_c, flat = 1, 0.0, 0.0, 0
    while count < most:
        down_r = height(z, row - 1, col) - height(z, row + 1, col)
        down_c = height(z, row, col - 1) - height(z, row, col + 1)
        fall = np.sqrt(down_r * down_r + down_c * down_c)
        if fall < 20 * 0.05:  # under 3 degrees
            flat += 1
            if flat * step > 2:
                break
        if fall > 1e-6:
            down_r, down_c = down_r / fall, down_c / fall
        weight = 0.8 if count > 1 else 0.0
        along_r, along_c = down_r + weight * along_r, down_c + weight * along_c
        size = max(np.sqrt(along_r * along_r + along_c * along_c), 1e-9)
        along_r, along_c = along_r / size, along_c / size
        row, col = row + step * along_r, col + step * along_c
        if row < 2 or col < 2 or row > z.shape[0] - 2 or col > z.shape[1] - 2:
            break
        path[count, 0], path[count, 1] = row, col
        count += 1
    return path[:count]
