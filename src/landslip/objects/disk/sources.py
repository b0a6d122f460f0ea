"""What can be segmented from disk: a scene's layers, or the bands of any raster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.errors import ConfigError, InputError, LayerError
from landslip.grid import Grid
from landslip.rasters import open_raster, patiently, rasterio_window
from landslip.scene.store import Scene
from landslip.windows import Window

DEFAULT_LAYERS = ("blue", "green", "red", "nir")
"""Layers of a scene that are segmented unless others are asked for; those that it has."""

SAMPLE = 2048
"""Edge of the window in pixels that stands for a large raster where a scale or bounds are chosen."""


@dataclass(frozen=True)
class Source:
    """Layers on disk, read window by window; safe to share among threads.

    Parameters
    ----------
    path
        Scene folder or raster.
    grid
        The pixels' grid.
    layers
        Names, in order.
    raw
        Reads layers of a window as ``(layers, rows, cols)`` float32, NaN where invalid.
    bounds
        For each layer the values that become 0 and 255, linearly and unclipped; empty: taken as they are.
    """

    path: Path
    grid: Grid
    layers: tuple[str, ...]
    raw: Callable[[Sequence[str], Window], NDArray[np.float32]]
    bounds: tuple[tuple[float, float], ...] = ()

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read all layers of a window, mapped by the bounds."""
        pixels = self.raw(self.layers, window)
        for layer, (low, high) in zip(pixels, self.bounds, strict=False):
            layer[...] = (layer - low) * (255.0 / (high - low))
        return pixels

    def stretched(self, bounds: Sequence[tuple[float, float]]) -> Source:
        """Return the same layers mapped by ``bounds``.

        Raises
        ------
        ConfigError
            Not one pair per layer, or a pair that does not increase.
        """
        pairs = tuple((float(low), float(high)) for low, high in bounds)
        if len(pairs) != len(self.layers) or not all(low < high for low, high in pairs):
            message = f"bounds {list(pairs)} for layers {', '.join(self.layers)}; give low < high for each, in order"
            raise ConfigError(message)
        return replace(self, bounds=pairs)

    def sample(self, centre: tuple[int, int] | None = None, size: int = SAMPLE) -> Window:
        """Return a window of at most ``size²`` pixels around a pixel, by default the middle."""
        rows, cols = min(size, self.grid.rows), min(size, self.grid.cols)
        row, col = centre if centre is not None else (self.grid.rows // 2, self.grid.cols // 2)
        return Window(
            min(max(row - rows // 2, 0), self.grid.rows - rows),
            min(max(col - cols // 2, 0), self.grid.cols - cols),
            rows,
            cols,
        )

    def percentiles(self, low: float = 2, high: float = 98) -> tuple[tuple[float, float], ...]:
        """Return percentiles of each layer over valid pixels on a coarse grid of windows of the whole raster.

        Raises
        ------
        InputError
            A layer has no valid pixel, or one value only.
        """
        values: list[list[NDArray[np.float32]]] = [[] for _ in self.layers]
        for row in _spread(self.grid.rows):
            for col in _spread(self.grid.cols):
                window = Window(row, col, 256, 256).intersection(self.grid.window)
                for kept, layer in zip(values, self.raw(self.layers, window), strict=True):
                    kept.append(layer[np.isfinite(layer)])
        found = []
        for name, kept in zip(self.layers, values, strict=True):
            every = np.concatenate(kept)
            bounds = np.percentile(every, (low, high)) if every.size else (0.0, 0.0)
            if not bounds[0] < bounds[1]:
                message = f"{self.path}: layer {name} has no valid pixels or one value only; leave it out (--layers)"
                raise InputError(message)
            found.append((float(bounds[0]), float(bounds[1])))
        return tuple(found)


def open_source(path: str | os.PathLike[str], layers: Sequence[str] | None = None) -> Source:
    """Open a scene folder or any multi-band raster.

    Parameters
    ----------
    path
        Scene folder, or raster with a coordinate reference system.
    layers
        Names; by default those of :data:`DEFAULT_LAYERS` that a scene has, or all bands of a raster. A
        raster's bands are named by their descriptions, else by number from 1.

    Raises
    ------
    MissingInputError, InputError, LayerError, CRSMismatchError
        No such file; not readable; no such layer; no coordinate reference system.
    """
    folder = Path(path)
    if folder.is_dir():
        scene = Scene.open(folder)
        wanted = tuple(layers) if layers else tuple(name for name in DEFAULT_LAYERS if name in scene.layers)
        missing = [name for name in wanted if name not in scene.layers]
        if missing or not wanted:
            what = f"no layer {missing[0]!r}" if missing else f"none of {', '.join(DEFAULT_LAYERS)}"
            message = f"{folder}: {what}; the scene has {', '.join(scene.layers)}: choose with --layers"
            raise LayerError(message)
        return Source(folder, scene.grid, wanted, scene.read)
    return _open_raster(folder, layers)


def _open_raster(path: Path, layers: Sequence[str] | None) -> Source:
    with open_raster(path) as dataset:
        grid = Grid.of_raster(dataset)
        names = tuple(text or str(index) for index, text in enumerate(dataset.descriptions, start=1))
        types = tuple(dataset.dtypes)
    if len(set(names)) != len(names):
        names = tuple(str(index) for index in range(1, len(names) + 1))
    wanted = tuple(layers) if layers else names
    missing = [name for name in wanted if name not in names]
    if missing:
        message = f"{path}: no band {missing[0]!r}; it has {', '.join(names)}: choose with --layers"
        raise LayerError(message)
    for name in wanted:
        if "complex" in (kind := types[names.index(name)]):
            message = f"{path}: band {name} is of type {kind}; it must hold real numbers, as amplitudes are"
            raise InputError(message)

    def read(chosen: Sequence[str], window: Window) -> NDArray[np.float32]:
        with open_raster(path) as dataset:
            try:
                numbers = [names.index(name) + 1 for name in chosen]
                where = rasterio_window(window)
                pixels = patiently(lambda: dataset.read(numbers, window=where, masked=True), path)
            except OSError as error:
                message = f"{path}: pixels cannot be read, the file is truncated or damaged"
                raise InputError(message) from error
        filled: NDArray[np.float32] = pixels.astype(np.float32).filled(np.nan)
        return filled

    return Source(path, grid, wanted, read)


def _spread(length: int) -> list[int]:
    # beginnings of windows of 256: all of them up to 16, else 16 evenly spread
    count = min(16, -(-length // 256))
    return [round(k * max(length - 256, 0) / max(count - 1, 1)) for k in range(count)]
