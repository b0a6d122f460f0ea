"""From the ground to digital numbers: texture, light, cloud, the sensor's blur and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, smoothstep, stream
from landslip.simulate.landcover import LandCover
from landslip.simulate.landslides import Landslide, LandslideRasters
from landslip.simulate.relief import PIXEL_M
from landslip.simulate.spectra import BANDS, MATERIALS, SENESCENCE, SOILS, Cover, column, table
from landslip.simulate.sun import Sun, illumination, light

OFFSET, QUANTIFICATION = -1000, 10000
"""Reflectance = (DN + offset) / quantification, as in Level-2A products from baseline 04.00 on."""

_BLUR_PX = (0.52, 0.50, 0.50, 0.54)
"""Standard deviation of the point-spread function by band, in pixels."""

_HAZE = (1.0, 0.62, 0.42, 0.12)
_CLOUD = (0.43, 0.42, 0.42, 0.44)
_CLOUD_HEIGHT_M = 1300.0


@dataclass(frozen=True)
class Scars:
    """Landslides of one age, with their rasters."""

    slides: list[Landslide]
    rasters: LandslideRasters


@dataclass(frozen=True)
class Ground:
    """What both dates share, and the event.

    Parameters
    ----------
    z, cover
        Elevation in metres and land cover on the working grid.
    old, new
        Landslides from before both images, partly overgrown, and those of the event.
    soil
        Kind of soil, a number on the scale of :data:`~landslip.simulate.spectra.SOILS`.
    """

    z: Field2D
    cover: LandCover
    old: Scars
    new: Scars
    soil: Field2D


def soil_field(config: SimulateConfig, shape: tuple[int, int]) -> Field2D:
    """Kind of soil from place to place."""
    field = fractal(shape, stream(config.seed, "soil"), beta=3.4, longest_px=500, shortest_px=12)
    kinds: Field2D = np.clip(1.0 + 1.1 * field, 0, len(SOILS) - 1).astype(np.float32)
    return kinds


def digital_numbers(config: SimulateConfig, ground: Ground, sun: Sun, *, after: bool) -> list[NDArray[np.uint16]]:
    """Level-2A digital numbers of the four bands on the working grid, before or after the event."""
    name = "post" if after else "pre"
    direct, sky = light(ground.z, sun)
    surface = _surface(config, ground, name, after=after)
    opacity = _cloud(config, name, direct.shape, config.cloud if after else config.cloud / 2)
    shaded = _shadow(opacity, sun)
    shape = (direct.shape[0], direct.shape[1])
    haze = 0.004 + 0.0018 * fractal(
        shape, stream(config.seed, f"{name} haze"), beta=4.0, longest_px=600, shortest_px=40
    )
    common = stream(config.seed, f"{name} noise").standard_normal(shape, dtype=np.float32)
    bands = []
    for band, ground_reflectance in enumerate(surface):
        seen = ground_reflectance * illumination(direct * shaded, sky, sun, band)
        seen += _HAZE[band] * haze
        seen += opacity * (_CLOUD[band] - seen)
        seen = gaussian_filter(seen, _BLUR_PX[band], truncate=5)
        own = stream(config.seed, f"{name} noise {band}").standard_normal(shape, dtype=np.float32)
        seen += (0.0005 + 0.005 * np.clip(seen, 0, 1)) * (0.6 * common + 0.8 * own)
        bands.append(np.clip(np.rint(seen * QUANTIFICATION - OFFSET), 1, 65535).astype(np.uint16))
    return bands


def _surface(config: SimulateConfig, ground: Ground, name: str, *, after: bool) -> Iterator[Field2D]:
    """Give the reflectance of level, evenly lit ground, band after band."""
    cover = ground.cover.post if after else ground.cover.pre
    shape = (cover.shape[0], cover.shape[1])
    texture = _texture(config, ground, cover)
    nir_own = fractal(shape, stream(config.seed, "near infrared"), beta=1.5, longest_px=20)
    leaves = _turned(config, ground, cover) if after else None
    scars = [_exposed(config, ground, ground.old, "old")]
    if after:
        scars.append(_exposed(config, ground, ground.new, "new"))
    classes, soil_share = table(), column("soil")
    for band in range(len(BANDS)):
        soil = _soil(ground.soil, band)
        value = classes[cover, band]
        value *= 1 + soil_share[cover] * (soil - 1)
        value *= np.exp(texture if band < 3 else 0.7 * texture + 0.08 * nir_own)
        if leaves is not None:
            value *= 1 + leaves * (SENESCENCE[band] - 1)
        road = MATERIALS[Cover.ROAD].reflectance[band] * (0.6 + 0.4 * soil)
        value += ground.cover.road * (road - value)
        for part, kind_of in ((ground.cover.gravel, Cover.GRAVEL), (ground.cover.water, Cover.WATER)):
            value += np.where(cover == kind_of, 0, part) * (MATERIALS[kind_of].reflectance[band] - value)
        for share, bare, brightness, kind in scars:
            soil_there = MATERIALS[Cover.LANDSLIDE].reflectance[band] * _soil(kind, band) * brightness
            plants = MATERIALS[Cover.SCRUB].reflectance[band] * np.exp(texture)
            value += share * (bare * soil_there + (1 - bare) * plants - value)
        yield value.astype(np.float32)


def _texture(config: SimulateConfig, ground: Ground, cover: NDArray[np.uint8]) -> Field2D:
    """Logarithm of the brightness factor of each cell, common to the bands, lasting over both dates."""
    shape = (cover.shape[0], cover.shape[1])
    fine = fractal(shape, stream(config.seed, "fine texture"), beta=1.4, longest_px=8)
    coarse = fractal(shape, stream(config.seed, "coarse texture"), beta=2.6, longest_px=120, shortest_px=3)
    texture: Field2D = column("fine")[cover] * fine + column("coarse")[cover] * coarse
    texture += column("parcel")[cover] * np.float32(math.sqrt(3)) * (2 * ground.cover.parcel - 1)
    return texture


def _turned(config: SimulateConfig, ground: Ground, cover: NDArray[np.uint8]) -> Field2D:
    """How far the leaves have turned by the second date."""
    shape = (cover.shape[0], cover.shape[1])
    field = fractal(shape, stream(config.seed, "turned"), beta=2.8, longest_px=200, shortest_px=3)
    high = (ground.z - ground.z.mean()) / max(float(ground.z.std()), 1.0)
    turned = np.clip(0.22 + 0.16 * field + 0.12 * high, 0, 1)
    leafy = np.isin(cover, (Cover.BROADLEAF, Cover.SCRUB, Cover.GRASS))
    result: Field2D = np.where(leafy, turned, 0).astype(np.float32)
    return result


def _exposed(config: SimulateConfig, ground: Ground, scars: Scars, name: str) -> tuple[Field2D, ...]:
    """Share of cells under landslides, bare part of that share, brightness, kind of soil."""
    rasters = scars.rasters
    shape = (rasters.share.shape[0], rasters.share.shape[1])
    rng = stream(config.seed, f"{name} scars")
    grain = fractal(shape, rng, beta=1.8, longest_px=10)
    patch = fractal(shape, rng, beta=2.2, longest_px=24)
    regrowth, bright, soil = (
        np.array([0.0, *(getattr(s, key) for s in scars.slides)], np.float32)[rasters.number]
        for key in ("regrowth", "brightness", "soil")
    )
    # trees carried along and plants between: more of them towards the toe
    plants = regrowth + 0.15 * (rasters.depth - 0.4)
    bare = 1 - smoothstep((plants + 0.16 * patch).astype(np.float32), 0.15, 0.9)
    material = MATERIALS[Cover.LANDSLIDE]
    brightness = bright * np.exp(material.fine * grain + material.coarse * patch - 0.25 * (rasters.depth - 0.3))
    kind = np.clip(ground.soil + soil + 0.4 * rasters.depth, 0, len(SOILS) - 1)
    return rasters.share, bare.astype(np.float32), brightness.astype(np.float32), kind.astype(np.float32)


def _soil(kind: Field2D, band: int) -> Field2D:
    colour: Field2D = np.interp(kind, np.arange(len(SOILS)), SOILS[:, band]).astype(np.float32)
    return colour


def _cloud(config: SimulateConfig, name: str, shape: tuple[int, ...], share: float) -> Field2D:
    """Opacity of thin cloud, 0 to about 0.6."""
    grid = (shape[0], shape[1])
    if share <= 0:
        return np.zeros(grid, np.float32)
    rng = stream(config.seed, f"{name} cloud")
    field = fractal(grid, rng, beta=3.4, longest_px=140, shortest_px=6)
    edge = float(np.quantile(field[::3, ::3], 1 - share))
    thick = np.clip(field - edge, 0, None)
    densest = 0.15 + 0.5 * smoothstep(fractal(grid, rng, beta=4.0, longest_px=300, shortest_px=60), -1.5, 2.0)
    opacity: Field2D = (densest * (1 - np.exp(-1.5 * thick - 2.0 * thick * thick))).astype(np.float32)
    return opacity


def _shadow(opacity: Field2D, sun: Sun) -> Field2D:
    """Share of the direct light that passes the cloud."""
    away = _CLOUD_HEIGHT_M / math.tan(math.radians(sun.elevation_deg)) / PIXEL_M
    azimuth = math.radians(sun.azimuth_deg)
    moved = shift(opacity, (away * math.cos(azimuth), -away * math.sin(azimuth)), order=1, mode="constant")
    passed: Field2D = 1 - 0.9 * gaussian_filter(moved, 1.5)
    return passed
