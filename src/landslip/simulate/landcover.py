"""Land cover before and after the event: forest stands, fields, rivers, roads, quarries, clear-cuts.

Much of it is as bright as a landslide, on purpose: bare fields, gravel, roads, quarries, cuts, old scars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, gaussian_filter

from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, share_mask, stream
from landslip.simulate.mosaic import hashed, parcels, stands
from landslip.simulate.relief import PIXEL_M, Relief
from landslip.simulate.rivers import make_rivers
from landslip.simulate.spectra import Cover

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LandCover:
    """Land cover of both dates on the working grid, without the event's landslides.

    Parameters
    ----------
    pre, post
        Class of each cell before and after the event (uint8, see :class:`~landslip.simulate.spectra.Cover`).
    parcel
        A number in [0, 1) that is the same all over a stand or field.
    road, water, gravel
        Shares of a cell under a road, water, and bare gravel; they lie over the class.
    """

    pre: NDArray[np.uint8]
    post: NDArray[np.uint8]
    parcel: Field2D
    road: Field2D
    water: Field2D
    gravel: Field2D


def make_landcover(config: SimulateConfig, relief: Relief) -> LandCover:
    """Cover the terrain."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    seed = config.seed
    bend = 6 * fractal(shape, stream(seed, "bend"), beta=3.0, longest_px=60, shortest_px=6)
    stand, _ = stands(shape, 26.0, bend, np.roll(bend, 311, axis=0), seed)
    block, block_edge = stands(shape, 85.0, bend, np.roll(bend, 311, axis=0), seed + 17)
    field, field_edge = parcels(block, 9.0, 21.0, seed)

    cover = _wild(config, relief, stand)
    farmed = _farmed(config, relief)
    cover[farmed] = Cover.GRASS
    parcel = np.where(farmed, hashed(field, seed + 9), hashed(stand, seed + 9))
    pre, post = cover.copy(), cover.copy()
    inner = farmed & (field_edge > 0.6)
    pre[inner] = _crops(field, seed, 0)[inner]
    post[inner] = _crops(field, seed, 1)[inner]

    rivers = make_rivers(config, relief)
    water = rivers.water >= 0.5
    for date in (pre, post):
        date[_settled(config, farmed, block, block_edge)] = Cover.BUILT
    _cut(config, relief, stand, farmed, pre, post)
    dug = _quarries(config, relief) & ~water
    scars = _scars(config, relief) & ~farmed
    for date in (pre, post):
        date[scars] = Cover.BARE_ROCK
        date[dug] = Cover.QUARRY
        date[rivers.gravel >= 0.5] = Cover.GRAVEL
        date[water] = Cover.WATER
    road = _roads(config, relief, farmed, block_edge, rivers.road_m) * (1 - rivers.water)
    return LandCover(pre, post, parcel, road, rivers.water, rivers.gravel)


def _wild(config: SimulateConfig, relief: Relief, stand: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Forest with plantations, scrub on ridges and grass on gentle ground."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    cover = np.full(shape, Cover.BROADLEAF, np.uint8)
    planted = fractal(shape, stream(config.seed, "planted"), beta=3.0, longest_px=400, shortest_px=16)
    cover[hashed(stand, config.seed + 1) < 0.22 + 0.3 * np.clip(planted, -0.6, 1.5)] = Cover.CONIFER
    open_land = fractal(shape, stream(config.seed, "open"), beta=2.6, longest_px=180, shortest_px=3)
    cover[share_mask(open_land, 0.07)] = Cover.SCRUB
    grass = np.roll(open_land, 257, axis=1) - 0.06 * relief.slope_deg
    cover[share_mask(grass.astype(np.float32), 0.08)] = Cover.GRASS
    return cover


def _farmed(config: SimulateConfig, relief: Relief) -> Mask:
    shape = (relief.z.shape[0], relief.z.shape[1])
    smooth = gaussian_filter(relief.slope_deg, 4)
    wish = fractal(shape, stream(config.seed, "farmed"), beta=3.0, longest_px=150, shortest_px=8)
    flat = (smooth < 5.5 + wish) & ((relief.plain > 0.35) | (relief.above_m < 12 + 4 * wish))
    farmed: Mask = binary_opening(flat, iterations=3)
    return farmed


def _crops(field: NDArray[np.int64], seed: int, date: int) -> NDArray[np.uint8]:
    """Each field has its crop; half of them have changed by the second date."""
    kind = hashed(field, seed + 2)
    turned = hashed(field, seed + 3) < 0.5
    if date:
        kind = np.where(turned, hashed(field, seed + 4), kind)
    bounds = np.array([0.34, 0.58, 0.78] if date else [0.40, 0.68, 0.80])
    kinds = np.array([Cover.CROP, Cover.GRASS, Cover.STUBBLE, Cover.BARE_FIELD], np.uint8)
    crops: NDArray[np.uint8] = kinds[np.searchsorted(bounds, kind)]
    return crops


def _settled(config: SimulateConfig, farmed: Mask, block: NDArray[np.int64], block_edge: Field2D) -> Mask:
    """Farms and hamlets along the lanes between blocks."""
    shape = (farmed.shape[0], farmed.shape[1])
    rng = stream(config.seed, "settled")
    chance = hashed(block, config.seed + 6)
    dense = np.where(chance < 0.08, 0.5, np.where(chance < 0.5, 0.05, 0.0))
    lots = rng.random(shape, dtype=np.float32)
    settled: Mask = farmed & (block_edge > 1) & (block_edge < 7) & (lots < dense)
    return settled


def _cut(
    config: SimulateConfig,
    relief: Relief,
    stand: NDArray[np.int64],
    farmed: Mask,
    pre: NDArray[np.uint8],
    post: NDArray[np.uint8],
) -> None:
    """Clear-cuts are whole stands; a third of them are felled between the dates."""
    chance = hashed(stand, config.seed + 5)
    forest = ((post == Cover.BROADLEAF) | (post == Cover.CONIFER)) & ~farmed & (relief.slope_deg > 3)
    post[forest & (chance < 0.034)] = Cover.CLEAR_CUT
    pre[forest & (chance < 0.022)] = Cover.CLEAR_CUT


def _blobs(
    shape: tuple[int, int], centres: NDArray[np.int64], radius_px: NDArray[np.floating], rng: np.random.Generator
) -> Mask:
    """Round patches with ragged edges."""
    mask = np.zeros(shape, bool)
    ragged = fractal(shape, rng, beta=3.6, longest_px=24, shortest_px=5)
    for (r, c), radius in zip(centres, radius_px, strict=True):
        reach = int(radius * 2) + 2
        r0, r1, c0, c1 = max(r - reach, 0), r + reach + 1, max(c - reach, 0), c + reach + 1
        part = ragged[r0:r1, c0:c1]
        y, x = np.indices(part.shape)
        away = np.hypot(y + r0 - r, x + c0 - c)
        mask[r0:r1, c0:c1] |= away < radius * (1 + 0.3 * part)
    return mask


def _scattered(where: Mask, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``count`` places of a mask."""
    places = np.flatnonzero(where)
    if not places.size or not count:
        return np.zeros((0, 2), np.int64)
    chosen = rng.choice(places, size=count)
    return np.stack(np.divmod(chosen, where.shape[1]), axis=1)


def _quarries(config: SimulateConfig, relief: Relief) -> Mask:
    """Quarries and borrow pits at the foot of steep slopes: about one per 25 km²."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    rng = stream(config.seed, "quarries")
    count = max(1, round(shape[0] * shape[1] * 1e-4 / 25))
    foot = (relief.slope_deg > 12) & (relief.above_m < 45)
    return _blobs(shape, _scattered(foot, count, rng), rng.uniform(5, 16, count), rng)


def _scars(config: SimulateConfig, relief: Relief) -> Mask:
    """Old scars, outcrops and gullies on steep slopes: bare before and after."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    rng = stream(config.seed, "scars")
    rough = fractal(shape, rng, beta=2.2, longest_px=40, shortest_px=2)
    where = fractal(shape, rng, beta=3.0, longest_px=300, shortest_px=30)
    likely = rough + 0.5 * where + 0.05 * (np.minimum(relief.slope_deg, 45) - 30)
    return share_mask(likely.astype(np.float32), 0.002)


def _roads(config: SimulateConfig, relief: Relief, farmed: Mask, block_edge: Field2D, valley: Field2D) -> Field2D:
    """Share of each cell under a road: along rivers, between blocks, and tracks along the contours."""
    shape = (relief.z.shape[0], relief.z.shape[1])
    rng = stream(config.seed, "roads")
    wander = fractal(shape, rng, beta=4.0, longest_px=150, shortest_px=20)
    lanes = np.where(farmed, block_edge * PIXEL_M, 1e4)
    smooth = gaussian_filter(relief.above_m, 4) + 6 * wander
    south, east = np.gradient(smooth, PIXEL_M)
    grade = np.hypot(south, east)
    spaced = np.abs((smooth + 35) % 70 - 35) / np.maximum(grade, 0.12)
    tracked = fractal(shape, rng, beta=3.0, longest_px=250, shortest_px=20)
    tracks = np.where((tracked > 0.7) & ~farmed & (grade > 0.12), spaced, 1e4)
    road = np.zeros(shape, np.float32)
    for away, width in ((valley, 9.0), (lanes, 6.0), (tracks, 5.0)):
        np.maximum(road, np.clip((width / 2 + 5 - away) / PIXEL_M, 0, width / PIXEL_M), out=road)
    return road
