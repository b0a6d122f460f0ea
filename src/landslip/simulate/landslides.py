"""Landslides: where they start, how they run out, what shape they leave.

Areas are given; a shape follows the fall of the slope from its crown and is scaled to its area exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numba import njit
from numpy.typing import NDArray
from rasterio import features
from scipy.ndimage import gaussian_filter
from shapely import Polygon

from landslip.progress import Task
from landslip.simulate import areas
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, stream
from landslip.simulate.relief import PIXEL_M, Relief
from landslip.windows import Window

_FINE = 5
"""Sub-cells per cell edge when the covered share of cells is counted."""

_TRIES = 400
_LONG_M2 = 2500.0
_BRANCHED_M2 = 4000.0


@dataclass(frozen=True)
class Landslide:
    """One landslide of the event.

    Parameters
    ----------
    polygon
        Exact outline in cells of the working grid: x = column, y = row, cell (0, 0) covering 0 to 1.
    area_m2
        Its area in m².
    crown, toe
        Where it starts and ends, as (row, col) in the same coordinates.
    soil
        Offset of its soil's kind from the soil around.
    brightness
        Factor on its reflectance.
    regrowth
        Share of it under plants.
    """

    polygon: Polygon
    area_m2: float
    crown: tuple[float, float]
    toe: tuple[float, float]
    soil: float
    brightness: float
    regrowth: float


@dataclass(frozen=True)
class LandslideRasters:
    """The landslides on the working grid.

    Parameters
    ----------
    share
        Share of a cell under landslides.
    number
        Landslide (1..n) with the largest share of the cell, 0 where there is none.
    depth
        0 at the crown to 1 at the toe.
    """

    share: Field2D
    number: NDArray[np.int32]
    depth: Field2D


@dataclass(frozen=True)
class Wave:
    """One generation of landslides.

    Parameters
    ----------
    name
        Names its stream of random numbers.
    share
        Share of the window that it covers.
    regrowth
        The two parameters of the beta law of regrowth.
    """

    name: str
    share: float
    regrowth: tuple[float, float]


def make_landslides(
    config: SimulateConfig, relief: Relief, window: Window, waves: Sequence[Wave], task: Task
) -> list[list[Landslide]]:
    """Draw generations of landslides inside ``window`` of the working grid, none on another, largest first."""
    smooth = gaussian_filter(relief.z, 1.2)
    taken = np.zeros((2 * relief.z.shape[0], 2 * relief.z.shape[1]), np.uint8)
    return [_make_wave(config, relief, smooth, window, wave, taken, task) for wave in waves]


def _make_wave(
    config: SimulateConfig,
    relief: Relief,
    z: Field2D,
    window: Window,
    wave: Wave,
    taken: NDArray[np.uint8],
    task: Task,
) -> list[Landslide]:
    rng = stream(config.seed, wave.name)
    scene_m2 = window.rows * window.cols * PIXEL_M**2
    wanted = areas.draw_total(rng, wave.share * scene_m2, config.truncation * scene_m2)
    candidates = iter(_starts(config, relief, window, wave.name, 40 * wanted.size + 4000))
    found: list[Landslide] = []
    for area in -np.sort(-wanted):
        made = _place(area, z, window, taken, candidates, rng)
        if made is not None:
            polygon, crown, toe = made
            traits = rng.normal(0, 0.5), np.exp(rng.normal(-0.03, 0.26)), rng.beta(*wave.regrowth)
            found.append(Landslide(polygon, float(area), crown, toe, *(float(t) for t in traits)))
    task.advance(note=f"{len(found)} {wave.name}")
    return found


def _starts(config: SimulateConfig, relief: Relief, scene: Window, name: str, count: int) -> NDArray[np.int64]:
    """Draw crowns: steep, off the valley floor, clustered where the shaking or the rain was strongest."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    steep = gaussian_filter(relief.slope_deg, 1.5)
    cluster = fractal(shape, stream(config.seed, f"{name} cluster"), beta=3.4, longest_px=400, shortest_px=10)
    weight = np.exp(1.1 * np.clip(cluster, -2.5, 2.5)) / (1 + np.exp(-(steep - 31) / 2.5))
    weight *= (steep > 15) & (relief.above_m > 10)
    inside = np.zeros(shape, bool)
    inside[scene.slices] = True
    weight *= inside
    total = np.cumsum(weight.ravel(), dtype=np.float64)
    chosen = np.searchsorted(total, stream(config.seed, f"{name} starts").random(count) * total[-1])
    return np.stack(np.divmod(chosen, shape[1]), axis=1)


def _place(
    area_m2: float,
    z: Field2D,
    scene: Window,
    taken: NDArray[np.uint8],
    candidates: Iterator[NDArray[np.int64]],
    rng: np.random.Generator,
) -> tuple[Polygon, tuple[float, float], tuple[float, float]] | None:
    """Try crowns until a shape of ``area_m2`` fits: its outline, crown and toe."""
    for _, (row, col) in zip(range(_TRIES), candidates, strict=False):
        crown = (row + rng.uniform(0.1, 0.9), col + rng.uniform(0.1, 0.9))
        made = _shape(area_m2, z, crown, rng)
        if made is None:
            continue
        polygon, toe = made
        west, north, east, south = polygon.bounds
        if west < scene.col or north < scene.row or east > scene.col + scene.cols or south > scene.row + scene.rows:
            continue
        if _occupy(polygon, taken):
            return polygon, crown, toe
    return None


def _shape(
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
    if length > 3 and _height(z, crown[0], crown[1]) - _height(z, *toe) < 0.1 * run * PIXEL_M:
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


def _occupy(polygon: Polygon, taken: NDArray[np.uint8]) -> bool:
    """Mark the polygon's half-cells as taken; False (and nothing marked) if one is already."""
    west, north, east, south = (v * 2 for v in polygon.bounds)
    r0, c0 = max(int(north) - 1, 0), max(int(west) - 1, 0)
    window = taken[r0 : int(south) + 2, c0 : int(east) + 2]
    mask = features.rasterize(
        [polygon], window.shape, transform=Affine(0.5, 0, c0 / 2, 0, 0.5, r0 / 2), all_touched=True, dtype=np.uint8
    )
    if np.any(window & mask):
        return False
    window |= mask
    return True


def rasterise(slides: list[Landslide], z: Field2D) -> LandslideRasters:
    """Burn the landslides into the working grid of elevation ``z``."""
    share = np.zeros(z.shape, np.float32)
    most = np.zeros(z.shape, np.float32)
    number = np.zeros(z.shape, np.int32)
    depth = np.zeros(z.shape, np.float32)
    for index, slide in enumerate(slides, start=1):
        west, north, east, south = slide.polygon.bounds
        r0, c0 = int(north), int(west)
        rows, cols = int(south) + 1 - r0, int(east) + 1 - c0
        fine = features.rasterize(
            [slide.polygon],
            (rows * _FINE, cols * _FINE),
            transform=Affine(1 / _FINE, 0, c0, 0, 1 / _FINE, r0),
            dtype=np.uint8,
        )
        part = fine.reshape(rows, _FINE, cols, _FINE).mean(axis=(1, 3), dtype=np.float32)
        here = (slice(r0, r0 + rows), slice(c0, c0 + cols))
        share[here] += part
        mine = part > most[here]
        number[here][mine] = index
        most[here][mine] = part[mine]
        top, bottom = _height(z, *slide.crown), _height(z, *slide.toe)
        depth[here][mine] = np.clip((top - z[here][mine]) / max(top - bottom, 1.0), 0, 1)
    return LandslideRasters(np.minimum(share, 1), number, depth)


@njit(cache=True)
def _height(z: NDArray[np.float32], row: float, col: float) -> float:
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
        down_r = _height(z, row - 1, col) - _height(z, row + 1, col)
        down_c = _height(z, row, col - 1) - _height(z, row, col + 1)
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
