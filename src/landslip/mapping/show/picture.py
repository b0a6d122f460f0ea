"""Pictures of a scene and its map at screen size: image, probability, ground that was not mapped."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from landslip.mapping.show.style import PROBABILITY_RAMP, UNMAPPED_COLOUR, rgb
from landslip.rasters import open_raster, read_reduced
from landslip.scene.store import BANDS, Scene

EDGE = 2048
"""Longer side of a picture in pixels, at most."""

INVALID = (226, 228, 232)
"""Colour where the scene has no image."""

FAINT = 0.05
"""Probabilities below this are not coloured."""


def picture_shape(shape: tuple[int, int], edge: int = EDGE) -> tuple[int, int]:
    """Rows and columns of the picture of a scene."""
    share = max(1.0, max(shape) / edge)
    return max(1, round(shape[0] / share)), max(1, round(shape[1] / share))


def image_picture(scene: Scene, *, prefix: str = "", edge: int = EDGE) -> NDArray[np.uint8] | None:
    """Return the image ``(3, rows, cols)`` in true colour, stretched between its 2nd and 98th percentile.

    Without the three visible bands, the first layer there is in grey; None without a layer of this prefix.

    Parameters
    ----------
    scene
        The scene.
    prefix
        ``"pre_"`` for the image before the event.
    edge
        Longer side in pixels, at most.
    """
    wanted = [f"{prefix}{name}" for name in ("red", "green", "blue")]
    if not all(name in scene.layers for name in wanted):
        there = [name for name in scene.layers if name.startswith("pre_") == bool(prefix)]
        if not there:
            return None
        wanted = [there[0]] * 3
    indices = [scene.layers.index(name) + 1 for name in wanted]
    with open_raster(scene.path / BANDS, what="scene") as dataset:
        shape = picture_shape(scene.grid.shape, edge)
        bands = read_reduced(dataset, indices, shape)
    valid = np.isfinite(bands).all(axis=0)
    picture = np.stack([_stretched(band, valid) for band in bands])
    picture[:, ~valid] = np.array(INVALID, np.uint8)[:, None]
    return picture


def _stretched(band: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    values = band[valid]
    if not values.size:
        return np.zeros(band.shape, np.uint8)
    low, high = (float(q) for q in np.percentile(values, (2, 98)))
    share = np.clip((np.nan_to_num(band, nan=low) - low) / max(high - low, 1e-6), 0, 1)
    # A little lighter in the shadows, where slopes face away from the sun.
    grey: NDArray[np.uint8] = np.round(255 * share**0.8).astype(np.uint8)
    return grey


def probability_picture(path: Path, *, edge: int = EDGE) -> NDArray[np.uint8]:
    """Return the probability ``(4, rows, cols)`` as colours with opacity; see-through where it is small."""
    field = _coarse(path, edge)
    positions = [value for value, _ in PROBABILITY_RAMP]
    colours = np.array([rgb(colour) for _, colour in PROBABILITY_RAMP], float)
    known = np.nan_to_num(field)
    out = np.zeros((4, *field.shape), np.uint8)
    for channel in range(3):
        out[channel] = np.round(np.interp(known, positions, colours[:, channel]))
    out[3] = np.where(known >= FAINT, np.round(255 * np.clip(0.35 + 0.65 * known, 0, 1)), 0)
    return out


def unmapped_picture(path: Path, *, edge: int = EDGE) -> NDArray[np.uint8] | None:
    """Return hatching ``(4, rows, cols)`` where nothing was mapped; None where everything was."""
    missing = np.isnan(_coarse(path, edge))
    if not missing.any():
        return None
    row, col = np.indices(missing.shape)
    out = np.zeros((4, *missing.shape), np.uint8)
    out[:3, missing] = np.array(rgb(UNMAPPED_COLOUR), np.uint8)[:, None]
    out[3] = np.where(missing, np.where((row + col) % 8 < 2, 255, 110), 0)
    return out


def _coarse(path: Path, edge: int) -> NDArray[np.float32]:
    with open_raster(path, what="probability") as dataset:
        shape = picture_shape((dataset.height, dataset.width), edge)
        field: NDArray[np.float32] = read_reduced(dataset, [1], shape)[0]
    return field


def encoded(pixels: NDArray[np.uint8], driver: str) -> bytes:
    """Encode ``(bands, rows, cols)`` as PNG or JPEG."""
    options = {"quality": 85} if driver == "JPEG" else {"zlevel": 6}
    profile = {
        "driver": driver,
        "count": pixels.shape[0],
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": "uint8",
    }
    with rasterio.MemoryFile() as memory, warnings.catch_warnings():
        # A picture has no place on the earth, and needs none.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile, **options) as dataset:
            dataset.write(pixels)
        content: bytes = memory.read()
    return content
