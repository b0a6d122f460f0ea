"""Terrain: spectral synthesis, carved by rivers, with flat valley floors and a little roughness.

Made coarse first and refined, so that rivers are long and spurs are short whatever the scene's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, laplace

from landslip.progress import Task
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, enlarge, fractal, sample, smoothstep, stream
from landslip.simulate.flow import accumulate, incise, nearest_channel, route

PIXEL_M = 10.0
"""Cell size of all fields."""

_LEVELS = ((80, 70), (40, 30), (20, 16))
"""Cell size in metres and number of steps, from coarse to fine."""

_AREA_EXPONENT = 0.45
_ERODIBILITY = 0.26
_CHANNEL_M2 = 40_000.0


@dataclass(frozen=True)
class Relief:
    """Terrain on the 10 m working grid, with its water.

    Parameters
    ----------
    z
        Elevation in metres, without depressions.
    drainage_m2
        Drainage area in m².
    above_m
        Height above the nearest channel downstream, in metres.
    plain
        0 in the mountains to 1 in the lowland.
    slope_deg
        Slope at 10 m in degrees.
    receiver
        Flat index of the cell that each cell drains to.
    """

    z: Field2D
    drainage_m2: Field2D
    above_m: Field2D
    plain: Field2D
    slope_deg: Field2D
    receiver: NDArray[np.int64]


def make_relief(config: SimulateConfig, shape: tuple[int, int], task: Task) -> Relief:
    """Make the terrain of a working grid of ``shape`` 10 m cells."""
    z, plain = _evolve(config, shape, task)
    z += _roughness(config, shape, z)
    filled, receiver, order = route(z, _edge(z))
    area = accumulate(receiver, order, PIXEL_M**2)
    above, _ = nearest_channel(filled, receiver, order, area.reshape(shape) > _CHANNEL_M2)
    task.advance(note="drainage")
    return Relief(
        z=filled.astype(np.float32),
        drainage_m2=area.reshape(shape).astype(np.float32),
        above_m=above,
        plain=plain,
        slope_deg=slope_deg(filled),
        receiver=receiver,
    )


def slope_deg(z: NDArray[np.floating]) -> Field2D:
    """Slope of a 10 m field by central differences, in degrees."""
    south, east = np.gradient(z.astype(np.float32), PIXEL_M)
    steep: Field2D = np.degrees(np.arctan(np.hypot(south, east))).astype(np.float32)
    return steep


def _edge(z: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Water leaves over the lower third of the border, so that valleys run through the scene."""
    border = np.zeros(z.shape, bool)
    border[[0, -1], :] = True
    border[:, [0, -1]] = True
    outlets: NDArray[np.bool_] = border & (z <= np.quantile(z[border], 0.3))
    return outlets


def _evolve(config: SimulateConfig, shape: tuple[int, int], task: Task) -> tuple[NDArray[np.float64], Field2D]:
    rng = stream(config.seed, "terrain")
    cell = _LEVELS[0][0]
    size = _at(shape, cell)
    z = 0.25 * config.relief_m * fractal(size, rng, beta=3.6, longest_px=8000 / cell).astype(np.float64)
    low = np.zeros(size, np.float32)
    for cell, steps in _LEVELS:
        if z.shape != _at(shape, cell):
            size = _at(shape, cell)
            low = enlarge(low, size, 2)
            z = _warped(enlarge(z, size, 2), rng).astype(np.float64)
            z += 0.015 * cell * fractal(size, rng, beta=3.0, longest_px=16, shortest_px=4)
        z = _carve(config, z, low, float(cell), steps, rng)
        if cell == _LEVELS[0][0]:
            low = _lowland(config, z, float(cell), rng)
        task.advance(note=f"terrain at {cell} m")
    z = _flat_floors(z, float(cell), low)
    factor = int(cell / PIXEL_M)
    plain = np.clip(enlarge(low, shape, factor), 0, 1)
    return _warped(enlarge(z, shape, factor), rng).astype(np.float64), plain


def _carve(
    config: SimulateConfig,
    z: NDArray[np.float64],
    low: Field2D,
    cell: float,
    steps: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Uplift and incision, step by step."""
    size: tuple[int, int] = (z.shape[0], z.shape[1])
    regional = smoothstep(fractal(size, rng, beta=4.0, longest_px=9000 / cell), -1.6, 1.2)
    uplift = config.relief_m / 75 * (0.3 + 0.7 * regional) * (1 - 0.9 * low)
    rock = 0.4 * fractal(size, rng, beta=3.0, longest_px=3000 / cell) + 0.2 * fractal(
        size, rng, beta=2.0, longest_px=12
    )
    hardness = (_ERODIBILITY * np.exp(rock)).astype(np.float64)
    stands = np.tan(np.radians(33 + 4.0 * fractal(size, rng, beta=3.0, longest_px=2000 / cell))).astype(np.float64)
    outlets = _edge(z)
    jitter = 0.02 * cell if cell == _LEVELS[0][0] else 0.0
    for _ in range(steps):
        z += np.where(outlets, 0, uplift)
        # small bumps decide each time anew where water turns, or the grid's eight directions would show
        bumps = jitter * rng.standard_normal(size)
        filled, receiver, order = route(z + bumps, outlets)
        z = np.maximum(z, filled - bumps)
        area = accumulate(receiver, order, cell**2).reshape(size)
        incise(z, receiver, order, hardness * area**_AREA_EXPONENT, stands, cell)
        z += 0.2 * laplace(z, mode="nearest")
    return z


def _lowland(config: SimulateConfig, z: NDArray[np.float64], cell: float, rng: np.random.Generator) -> Field2D:
    """Lowland follows the large rivers: near them in height and in distance."""
    if not config.plain:
        return np.zeros(z.shape, np.float32)
    filled, receiver, order = route(z, _edge(z))
    area = accumulate(receiver, order, cell**2).reshape(z.shape)
    river = area >= min(4e6, float(np.quantile(area, 0.985)))
    above, _ = nearest_channel(filled, receiver, order, river)
    away = (
        distance_transform_edt(~river) * cell / np.sqrt(np.clip(gaussian_filter(area * river, 6) * 40, 1e6, 5e7) / 4e6)
    )
    shape = (z.shape[0], z.shape[1])
    score = -(above / 60 + away / 500 + 0.8 * fractal(shape, rng, beta=3.5, longest_px=3000 / cell)).astype(np.float32)
    edge = float(np.quantile(score, 1 - config.plain))
    low: Field2D = gaussian_filter(smoothstep(score, edge - 0.4, edge + 0.4), 1.0)
    return low


def _warped(field: Field2D, rng: np.random.Generator) -> Field2D:
    """Bend a field by a cell or two, so that no line keeps to the grid's directions."""
    shape = (field.shape[0], field.shape[1])
    rows, cols = np.indices(shape, dtype=np.float32)
    rows += 1.6 * fractal(shape, rng, beta=3.0, longest_px=40, shortest_px=8)
    cols += 1.6 * fractal(shape, rng, beta=3.0, longest_px=40, shortest_px=8)
    return sample(field, rows, cols)


def _flat_floors(z: NDArray[np.float64], cell: float, low: Field2D) -> NDArray[np.float64]:
    """Fill valley floors with sediment: the larger the river, the wider and flatter its floor."""
    filled, receiver, order = route(z, _edge(z))
    area = accumulate(receiver, order, cell**2)
    above, target = nearest_channel(filled, receiver, order, area.reshape(z.shape) > 4 * _CHANNEL_M2)
    river_km2 = area[target].reshape(z.shape) / 1e6
    depth = gaussian_filter(np.clip(1.5 + 3.2 * np.sqrt(river_km2), 0, 25), 5)
    sunk = np.maximum(0.9 * np.exp(-np.square(above / depth)), 0.9 * low)
    lowered: NDArray[np.float64] = filled - above * sunk
    return lowered


def _roughness(config: SimulateConfig, shape: tuple[int, int], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gullies and blocks under 200 m, stronger where it is steep."""
    steep = smoothstep(gaussian_filter(slope_deg(z), 3), 4, 25)
    rough = fractal(shape, stream(config.seed, "roughness"), beta=3.2, longest_px=14)
    uneven: NDArray[np.float64] = (rough * (0.1 + 0.6 * steep)).astype(np.float64)
    return uneven


def _at(shape: tuple[int, int], cell: int) -> tuple[int, int]:
    step = int(cell / PIXEL_M)
    return -(-shape[0] // step) + 2, -(-shape[1] // step) + 2
