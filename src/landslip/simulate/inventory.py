"""The inventory as somebody drew it: shifted, smoothed, a few missed, neighbours drawn as one."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from landslip.grid import Grid
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import stream
from landslip.simulate.landslides import Landslide

_MERGE_M = 12.0
_MERGE_SHARE = 0.5
_TOLERANCE_M = 4.0


def exact_outlines(slides: list[Landslide], working: Grid) -> list[Polygon]:
    """Return the true outlines in the CRS of the working grid."""
    return [_to_map(slide.polygon, working) for slide in slides]


def draw_inventory(config: SimulateConfig, slides: list[Landslide], working: Grid, extent: Polygon) -> list[Polygon]:
    """Outlines of the landslides in ``extent`` as a mapper would have left them, in the CRS of the grid."""
    rng = stream(config.seed, "inventory")
    seen = [s for s in slides if extent.contains(_to_map(s.polygon, working).centroid)]
    kept = [s for s, gone in zip(seen, _missed(config, seen, rng), strict=True) if not gone]
    common = rng.normal(0, 0.6 * config.shift_m, 2)
    drawn = [_drawn(_to_map(s.polygon, working), common, config.shift_m, rng) for s in kept]
    return _merged(drawn, rng)


def mapped_extent(config: SimulateConfig, scene: Grid) -> Polygon:
    """Return the area that the mapper searched: the scene without an uneven rim."""
    rng = stream(config.seed, "extent")
    west, south, east, north = scene.bounds
    angle = np.linspace(0, 2 * np.pi, 73)[:-1]
    waves = sum(rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 7))
    # a rounded square (superellipse) with a wavy rim, a few per cent inside the scene
    radius = (np.abs(np.cos(angle)) ** 8 + np.abs(np.sin(angle)) ** 8) ** (-1 / 8) * (0.96 + 0.06 * (waves - 0.5))
    x = (west + east) / 2 + radius * np.cos(angle) * (east - west) / 2
    y = (south + north) / 2 + radius * np.sin(angle) * (north - south) / 2
    box = shapely.box(west, south, east, north).buffer(-20.0)
    inside = Polygon(np.stack([x, y], axis=1)).intersection(box)
    return Polygon(shapely.get_exterior_ring(inside))


def _to_map(polygon: Polygon, working: Grid) -> Polygon:
    to = working.transform
    moved: Polygon = shapely.transform(
        polygon, lambda xy: np.stack([to.c + xy[:, 0] * to.a, to.f + xy[:, 1] * to.e], 1)
    )
    return moved


def _missed(config: SimulateConfig, slides: list[Landslide], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Small and overgrown ones are missed more often."""
    if not slides:
        return np.zeros(0, bool)
    area = np.array([s.area_m2 for s in slides])
    hidden = (400 / (area + 200)) ** 0.5 * (0.5 + np.array([s.regrowth for s in slides]))
    missed: NDArray[np.bool_] = rng.random(area.size) < config.missed * hidden / hidden.mean()
    return missed


def _drawn(polygon: Polygon, common: NDArray[np.float64], shift_m: float, rng: np.random.Generator) -> Polygon:
    """One outline, shifted, smoothed and drawn a little too wide or too narrow."""
    move = common + rng.normal(0, shift_m, 2)
    wide = float(rng.normal(1.0, 2.5))
    shifted = shapely.transform(polygon, lambda xy: xy + move)
    smooth = shifted.buffer(_TOLERANCE_M).buffer(-2 * _TOLERANCE_M).buffer(_TOLERANCE_M + wide).simplify(1.5)
    parts = shapely.get_parts(smooth)
    largest = max(parts, key=shapely.area, default=None)
    # too narrow to survive the smoothing: kept as it is, however small
    return shifted if largest is None or largest.area < 0.5 * polygon.area else Polygon(largest.exterior)


def _merged(drawn: list[Polygon], rng: np.random.Generator) -> list[Polygon]:
    """Half of the neighbours that nearly touch are drawn as one."""
    tree = shapely.STRtree(drawn)
    first, second = tree.query(np.array(drawn, dtype=object), predicate="dwithin", distance=_MERGE_M)
    group = np.arange(len(drawn))
    for a, b in sorted({(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j}):
        if rng.random() < _MERGE_SHARE:
            group[group == group[b]] = group[a]
    result = []
    for number in dict.fromkeys(group.tolist()):
        members = [drawn[i] for i in np.flatnonzero(group == number)]
        if len(members) == 1:
            result.append(members[0])
            continue
        bridged = shapely.union_all([m.buffer(_MERGE_M / 2 + 1) for m in members]).buffer(-_MERGE_M / 2 - 1)
        parts = shapely.get_parts(shapely.union_all([bridged, *members]))
        result.extend(Polygon(part.exterior) for part in parts)
    return result
