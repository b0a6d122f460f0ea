"""Landslides: where they start, how they run out, what shape they leave.

Areas are given; a shape follows the fall of the slope from its crown and is scaled to its area exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio import features
from scipy.ndimage import gaussian_filter
from shapely import Polygon

from landslip.progress import Task
from landslip.simulate import areas
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, stream
from landslip.simulate.relief import PIXEL_M, Relief
from landslip.simulate.shapes import height, landslide_shape
from landslip.windows import Window

_FINE = 5
"""Sub-cells per cell edge when the covered share of cells is counted."""

_TRIES = 400


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
        made = landslide_shape(area_m2, z, crown, rng)
        if made is None:
            continue
        polygon, toe = made
        west, north, east, south = polygon.bounds
        if west < scene.col or north < scene.row or east > scene.col + scene.cols or south > scene.row + scene.rows:
            continue
        if _occupy(polygon, taken):
            return polygon, crown, toe
    return None


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
        top, bottom = height(z, *slide.crown), height(z, *slide.toe)
        depth[here][mine] = np.clip((top - z[here][mine]) / max(top - bottom, 1.0), 0, 1)
    return LandslideRasters(np.minimum(share, 1), number, depth)
