"""Elevation and terrain layers on a scene's grid, from elevation models in any CRS.

Everything is computed on the model's own grid, in metres on the ground, and then interpolated to the
scene: the other order leaves the facets of the interpolation in the slope. Windows are read with the
halo that they need, so that memory does not grow with the scene and no seam shows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from landslip import terrain
from landslip.config import Config
from landslip.errors import CoverageError
from landslip.grid import Grid
from landslip.scene.elevation.fill import fill_reach, fill_voids
from landslip.scene.elevation.resample import Positions, interpolate
from landslip.scene.elevation.tiles import DemGrid, group_tiles, open_tiles
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

TerrainLayer = Literal["aspect_sin", "aspect_cos", "curvature", "relief", "hillshade", "illumination"]

NEEDED_COVERAGE = 0.9
"""Share of the scene that an elevation model must cover unless a part is allowed."""

_CHECK_BLOCK = 2048  # scene pixels per side read at a time when the coverage is measured


class ElevationConfig(Config):
    """How elevation models are read and which layers are made of them."""

    layers: tuple[TerrainLayer, ...] = ()
    """Terrain layers beside ``elevation`` and ``slope``; sine and cosine of the aspect come together."""
    z_unit: Literal["auto", "m", "ft"] = "auto"
    """Unit of the elevations; ``auto``: what the file states, else metres."""
    band: int | str | None = None
    """Number or description of the elevation band, for files with several."""
    fill_voids_m: float = Field(0.0, ge=0, le=2000)
    """Voids between known cells at most this far away are interpolated; 0: voids stay invalid."""
    relief_radius_m: float = Field(250.0, gt=0, le=5000)
    """Half the side of the square of the local relief."""
    sun_azimuth_deg: float = Field(315.0, ge=0, le=360)
    """Where the light of ``hillshade`` and ``illumination`` comes from, clockwise from north."""
    sun_elevation_deg: float = Field(45.0, gt=0, le=90)
    """Height of that light above the horizon."""
    allow_partial: bool = False
    """Accept a model that covers less than nine tenths of the scene; layers are invalid there."""


@dataclass(frozen=True)
class Elevation:
    """Elevation models opened for one scene grid.

    Parameters
    ----------
    grid
        The scene.
    config
        Settings.
    models
        The tiles, those that share a grid together; where two overlap the first given wins.
    coverage
        Share of the scene's pixels that have an elevation.
    """

    grid: Grid
    config: ElevationConfig
    models: tuple[Positions, ...]
    coverage: float

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that :meth:`read` gives, in order."""
        asked = dict.fromkeys(self.config.layers)
        aspect = ("aspect_sin", "aspect_cos") if {"aspect_sin", "aspect_cos"} & set(asked) else ()
        return ("elevation", "slope", *aspect, *(name for name in asked if name not in aspect))

    @property
    def sources(self) -> tuple[dict[str, Any], ...]:
        """What was used, as JSON types: one entry per file."""
        return tuple(
            {
                "path": tile.path,
                "band": tile.band,
                "crs": model.dem.crs.to_string() if model.dem.crs.to_epsg() else model.dem.crs.name,
                "cell_m": [round(size / model.dem.average, 3) for size in model.dem.ground.cell_size_m()],
                "averaged": model.dem.average,
                "z_unit": tile.unit,
            }
            for model in self.models
            for tile in model.dem.tiles
        )

    def read(self, window: Window) -> dict[str, NDArray[np.float32]]:
        """Return each layer of a window of the scene, ``(rows, cols)`` float32, NaN where invalid.

        ``elevation`` and ``relief`` in metres, ``slope`` in degrees, ``curvature`` in 1/km,
        ``aspect_sin`` and ``aspect_cos`` as components of the downhill direction along the scene's
        columns and rows, ``hillshade`` 0 to 1, ``illumination`` -1 to 1.
        """
        pixels = self._read(window, self.layers)
        return dict(zip(self.layers, pixels, strict=True))

    def lit(self, window: Window, sun: tuple[float, float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return illumination (-1 to 1) by a sun at an azimuth and elevation in degrees, and slope in degrees."""
        settings = {"sun_azimuth_deg": sun[0], "sun_elevation_deg": sun[1]}
        turned = replace(self, config=self.config.model_copy(update=settings))
        illumination, slope = turned._read(window, ("illumination", "slope"))
        return illumination, slope

    def _read(self, window: Window, names: Sequence[str], stride: int = 1) -> NDArray[np.float32]:
        shape = (len(names), -(-window.rows // stride), -(-window.cols // stride))
        pixels = np.full(shape, np.nan, np.float32)
        for model in self.models:
            nodes = model.nodes(window)
            cells = model.window(nodes, _halo(model.dem, names, self.config))
            if cells is None:
                continue
            layers = _layers_on(model.dem, cells, names, self.config)
            values = interpolate(layers, (cells.row, cells.col), nodes, window, stride)
            if "aspect_sin" in names or "aspect_cos" in names:
                _turn_aspect(values, names, model.north(nodes, window, stride))
            missing = np.isnan(pixels)
            pixels[missing] = values[missing]
            if not np.isnan(pixels).any():
                break
        return pixels


def open_elevation(
    paths: str | Path | Sequence[str | Path], grid: Grid, config: ElevationConfig | None = None
) -> Elevation:
    """Open elevation models for a scene.

    Parameters
    ----------
    paths
        Files in any CRS, or folders of them. Where they overlap the first wins.
    grid
        The scene's grid, projected in metres.
    config
        Settings.

    Raises
    ------
    MissingInputError
        A file is not there.
    InputError, CRSMismatchError, GridMismatchError
        A file is no usable elevation model; the message says why.
    CoverageError
        The models do not overlap the scene, or cover under nine tenths of it without ``allow_partial``.
    """
    config = config or ElevationConfig()
    grid.require_metric()
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    tiles = open_tiles(given, band=config.band, z_unit=config.z_unit)
    models = tuple(Positions(grid, dem) for dem in group_tiles(tiles, min(grid.resolution)))
    for model in models:
        if model.dem.average > 1:
            log.info(
                "%s: cells averaged %d x %d to the scene's pixels", model.dem.tiles[0].path, *[model.dem.average] * 2
            )
    opened = Elevation(grid, config, models, 0.0)
    coverage = _coverage(opened)
    _require_coverage(opened, coverage)
    return Elevation(grid, config, models, coverage)


def _coverage(elevation: Elevation) -> float:
    """Share of pixels with an elevation, counted on every n-th pixel, one or more per cell of the model."""
    cell_m = min(min(model.dem.ground.cell_size_m()) for model in elevation.models)
    stride = max(1, int(cell_m / max(elevation.grid.resolution)))
    block = _CHECK_BLOCK // stride * stride
    known = total = 0
    for window in split_windows(elevation.grid.shape, (block, block)):
        pixels = elevation._read(window, ("elevation",), stride)
        known += int(np.count_nonzero(~np.isnan(pixels)))
        total += pixels.size
    return known / total


def _require_coverage(elevation: Elevation, coverage: float) -> None:
    names = ", ".join(tile.path for model in elevation.models for tile in model.dem.tiles[:2])
    if coverage == 0:
        message = (
            f"{names}: the elevation model does not overlap the scene ({_place(elevation.grid)}); "
            f"it lies at {_place(_grid_of(elevation.models[0].dem))}; give the tiles of the scene's area"
        )
        raise CoverageError(message)
    if coverage < NEEDED_COVERAGE and not elevation.config.allow_partial:
        message = (
            f"{names}: the elevation model covers {100 * coverage:.0f} % of the scene, 90 % are needed; add the "
            "missing tiles, or give --allow-partial-dem to leave terrain invalid there"
        )
        raise CoverageError(message)
    if coverage < NEEDED_COVERAGE:
        log.warning(
            "%s: the elevation model covers %.0f %% of the scene; terrain layers are invalid elsewhere",
            names,
            100 * coverage,
        )


def _grid_of(dem: DemGrid) -> Grid:
    return Grid(dem.shape, dem.ground.transform, dem.crs)


def _place(grid: Grid) -> str:
    """Where a grid lies, in degrees."""
    from pyproj import Transformer

    west, south, east, north = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform_bounds(*grid.bounds)
    return f"longitude {west:.2f} to {east:.2f}, latitude {south:.2f} to {north:.2f}"


def _relief_radius(dem: DemGrid, config: ElevationConfig) -> tuple[int, int]:
    height, width = dem.ground.cell_size_m()
    return max(1, round(config.relief_radius_m / height)), max(1, round(config.relief_radius_m / width))


def _halo(dem: DemGrid, names: Sequence[str], config: ElevationConfig) -> int:
    """Cells around a window that its layers depend on."""
    derivatives = 0 if tuple(names) == ("elevation",) else 2
    relief = max(_relief_radius(dem, config)) if "relief" in names else 0
    return max(derivatives, relief) + fill_reach(config.fill_voids_m, dem.ground.cell_size_m())


def _turn_aspect(values: NDArray[np.float32], names: Sequence[str], north: NDArray[np.float64]) -> None:
    """Express the aspect along the scene's columns and rows, in place: the model's north is not the scene's."""
    sine, cosine = values[names.index("aspect_sin")].copy(), values[names.index("aspect_cos")].copy()
    values[names.index("aspect_sin")] = sine * np.cos(north) + cosine * np.sin(north)
    values[names.index("aspect_cos")] = cosine * np.cos(north) - sine * np.sin(north)


def _layers_on(dem: DemGrid, cells: Window, names: Sequence[str], config: ElevationConfig) -> NDArray[np.float64]:
    """Layers of a window of the model, on its own grid: ``(layers, rows, cols)``."""
    heights = fill_voids(dem.read(cells), config.fill_voids_m, dem.ground.cell_size_m())
    if tuple(names) == ("elevation",):
        return heights[None]
    steps = dem.ground.steps(cells)
    east, north = terrain.gradient_on(heights, steps)
    sun = {"sun_azimuth_deg": config.sun_azimuth_deg, "sun_elevation_deg": config.sun_elevation_deg}
    made: list[NDArray[Any]] = []
    for name in names:
        if name == "elevation":
            made.append(heights)
        elif name == "slope":
            made.append(terrain.slope_of(east, north))
        elif name in ("aspect_sin", "aspect_cos"):
            made.append(terrain.aspect_of(east, north)[name == "aspect_cos"])
        elif name == "curvature":
            made.append(terrain.curvature_on(heights, steps))
        elif name == "relief":
            made.append(terrain.local_relief(heights, _relief_radius(dem, config)))
        elif name == "hillshade":
            made.append(terrain.hillshade_of(east, north, **sun))
        else:
            made.append(terrain.illumination_of(east, north, **sun))
    return np.stack(made).astype(np.float64)
