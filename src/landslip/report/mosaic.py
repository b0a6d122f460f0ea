"""Tiles laid side by side as pictures: where they go, their natural colours, hits and misses painted over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import UNKNOWN, TileSet
from landslip.report.style import MAP_COLORS

MOST_PIXELS: Final = 1400
"""Longest edge of an overview; larger areas are averaged down by a whole factor."""

NONE, HIT, MISS, FALSE_ALARM, UNSEEN, OUTSIDE = 0, 1, 2, 3, 254, 255
FADED: Final = 90
"""Opacity where a row could not predict, for want of one of its layers."""
_CLASS_COLOR: Final = {HIT: MAP_COLORS["hit"], MISS: MAP_COLORS["miss"], FALSE_ALARM: MAP_COLORS["false_alarm"]}


@dataclass(frozen=True)
class Places:
    """Where each tile goes in a mosaic: first pixels relative to the mosaic's corner, and its shape."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    shape: tuple[int, int]
    size: int
    corner: tuple[int, int]
    """First row and column of the mosaic in the scene."""

    @classmethod
    def of(cls, tiles: TileSet, *, patches: bool, size: int | None = None) -> Places:
        """Place tiles by pixel (scene), or patches of ``size`` (default their own) by position in their grid."""
        size = size or tiles.size
        step = size if patches else 1
        row, col = tiles.row.astype(np.int64) * step, tiles.col.astype(np.int64) * step
        corner = int(row.min()), int(col.min())
        row, col = row - corner[0], col - corner[1]
        return cls(row, col, (int(row.max()) + size, int(col.max()) + size), size, corner)

    def crop(self, scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut a raster of the whole scene to the mosaic; 0 where tiles reach beyond the scene."""
        out = np.zeros(self.shape, scene.dtype)
        cut = scene[self.corner[0] : self.corner[0] + self.shape[0], self.corner[1] : self.corner[1] + self.shape[1]]
        out[: cut.shape[0], : cut.shape[1]] = cut
        return out

    def mosaic(self, values: NDArray[Any], empty: float, present: NDArray[np.bool_]) -> NDArray[Any]:
        """Lay ``values`` (n, size, size, …) where ``present``; the rest is ``empty``."""
        out = np.full((*self.shape, *values.shape[3:]), empty, values.dtype)
        for i, (row, col) in enumerate(zip(self.row, self.col, strict=True)):
            view = out[row : row + self.size, col : col + self.size]
            view[present[i]] = values[i][present[i]]
        return out


def true_color(tiles: TileSet) -> NDArray[np.uint8]:
    """Return the tiles as pictures.

    Returns
    -------
    numpy.ndarray
        ``(n, size, size, 3)`` uint8: red, green and blue, each from its 1st percentile over one common range,
        so that colours stay natural; the first layer in grey where the study has no such layers.
    """
    names = ("red", "green", "blue") if {"red", "green", "blue"} <= set(tiles.layers) else (tiles.layers[0],) * 3
    bands = [tiles.image[:, tiles.layers.index(name)] for name in names]
    ends = [_ends(band) for band in bands]
    width = max(max(high - low for low, high in ends), 1e-9)
    out = np.empty((len(tiles), tiles.size, tiles.size, 3), np.uint8)
    for k, (band, (low, _)) in enumerate(zip(bands, ends, strict=True)):
        scaled = np.clip((band - np.float32(low)) / np.float32(width), 0, 1)
        out[..., k] = np.nan_to_num(scaled**0.7 * 255)  # lifts dark forest
    return out


def _ends(band: NDArray[np.float32]) -> tuple[float, float]:
    sample = band.ravel()[:: max(1, band.size // 2_000_000)]
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (1, 99)) if sample.size else (0.0, 1.0)
    return float(low), float(high)


def classes(probability: NDArray[Any], tiles: TileSet, threshold: float) -> NDArray[np.uint8]:
    """Tell hits, misses and false alarms apart.

    Parameters
    ----------
    probability
        ``(n, size, size)`` probability of landslide, NaN where there is none.
    tiles
        The tiles it belongs to.
    threshold
        A pixel is predicted where its probability is at least this.

    Returns
    -------
    numpy.ndarray
        ``(n, size, size)`` uint8: 0 neither mapped nor predicted, 1 hit, 2 miss, 3 false alarm, 254 no prediction,
        255 label unknown.
    """
    predicted, mapped = probability >= threshold, tiles.label == 1
    out = np.select([predicted & mapped, mapped, predicted], [HIT, MISS, FALSE_ALARM], NONE).astype(np.uint8)
    out[tiles.label == UNKNOWN] = OUTSIDE
    out[~np.isfinite(probability)] = UNSEEN
    return out


def paint_classes(color: NDArray[np.uint8], found: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Paint classes over a grey version of the image.

    Parameters
    ----------
    color
        ``(…, 3)`` uint8 image.
    found
        ``(…)`` classes of :func:`classes`.
    valid
        ``(…)`` where there is an image.

    Returns
    -------
    numpy.ndarray
        ``(…, 4)`` uint8; transparent without an image, faded where the row could not predict.
    """
    grey = color @ np.array([0.299, 0.587, 0.114], np.float32)
    out = np.empty((*found.shape, 4), np.uint8)
    # Dark and flat, so that the three colours lead; in steps of 4, which the eye does not see and files are small by.
    out[..., :3] = (28 + 4 * np.round(grey / 8))[..., None]
    out[..., 3] = np.where(found == UNSEEN, FADED, 255)
    out[~valid, 3] = 0
    for value, name in _CLASS_COLOR.items():
        out[found == value, :3] = rgb(name)
    return out


def rgb(color: str) -> NDArray[np.float64]:
    """Return ``#rrggbb`` as three numbers from 0 to 255."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


def shrink_factor(shape: tuple[int, int]) -> int:
    """Return the whole factor by which a mosaic is averaged down to :data:`MOST_PIXELS`."""
    return max(1, -(-max(shape) // MOST_PIXELS))


def shrink(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Average ``(rows, cols, 4)`` down by ``factor``, weighted by opacity so that no hidden colour bleeds in."""
    if factor == 1:
        return pixels
    rows, cols = (-(-n // factor) for n in pixels.shape[:2])
    out = np.empty((rows, cols, 4), np.uint8)
    band = np.zeros((factor, cols * factor, 4), np.float32)  # one line at a time: scenes are large
    for row in range(rows):
        cut = pixels[row * factor : (row + 1) * factor]
        band[:] = 0
        band[: cut.shape[0], : cut.shape[1]] = cut
        blocks = band.reshape(factor, cols, factor, 4)
        alpha = blocks[..., 3:].sum(axis=(0, 2))
        colors = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(0, 2)) / np.maximum(alpha, 1e-9)
        out[row] = np.round(np.concatenate([colors, alpha / factor**2], axis=-1))
    return out
