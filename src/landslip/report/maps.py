"""Pictures of a study: where the parts lie (Figure 1), what each row predicts (Figure 3).

Pixels are laid side by side from the tiles; nothing is smoothed, and nothing is chosen by looking at
predictions: zooms are test tiles at fixed quantiles of their mapped landslide share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import UNKNOWN, Part, TileSet
from landslip.report.style import MAP_COLORS, PART_COLORS

MOST_PIXELS: Final = 1400
"""Longest edge of an overview; larger areas are averaged down by a whole factor."""

NONE, HIT, MISS, FALSE_ALARM, OUTSIDE = 0, 1, 2, 3, 255
_CLASS_COLOR: Final = {HIT: MAP_COLORS["hit"], MISS: MAP_COLORS["miss"], FALSE_ALARM: MAP_COLORS["false_alarm"]}
_PART_COLOR: Final = {
    Part.TRAIN: PART_COLORS["train"],
    Part.VALIDATION: PART_COLORS["validation"],
    Part.TEST: PART_COLORS["test"],
}


@dataclass(frozen=True)
class Picture:
    """An image for the page.

    Parameters
    ----------
    title, alt
        Its caption, and what it shows for those who do not see it.
    pixels
        ``(rows, cols, 4)`` uint8: red, green, blue, opacity.
    pixel_m
        Ground size of one of its pixels in metres; None where it has no one scale.
    exact
        Each pixel matters (zooms): stored without loss and shown unsmoothed.
    """

    title: str
    alt: str
    pixels: NDArray[np.uint8]
    pixel_m: float | None = None
    exact: bool = False


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
    def of(cls, tiles: TileSet, *, patches: bool) -> Places:
        """Place tiles by pixel (scene) or by position in the patch grid (patches)."""
        step = tiles.size if patches else 1
        row, col = tiles.row.astype(np.int64) * step, tiles.col.astype(np.int64) * step
        corner = int(row.min()), int(col.min())
        row, col = row - corner[0], col - corner[1]
        return cls(row, col, (int(row.max()) + tiles.size, int(col.max()) + tiles.size), tiles.size, corner)

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
        ``(n, size, size)`` uint8: 0 neither mapped nor predicted, 1 hit, 2 miss, 3 false alarm, 255 not counted.
    """
    predicted, mapped = probability >= threshold, tiles.label == 1
    out = np.select([predicted & mapped, mapped, predicted], [HIT, MISS, FALSE_ALARM], NONE).astype(np.uint8)
    out[~np.isfinite(probability) | (tiles.label == UNKNOWN)] = OUTSIDE
    return out


def paint_classes(color: NDArray[np.uint8], found: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Paint classes over a grey version of the image.

    Parameters
    ----------
    color
        ``(…, 3)`` uint8 image.
    found
        ``(…)`` classes of :func:`classes`.

    Returns
    -------
    numpy.ndarray
        ``(…, 4)`` float64, 0 to 255; pixels that are not counted are transparent.
    """
    grey = color @ np.array([0.299, 0.587, 0.114])
    out = np.empty((*found.shape, 4))
    out[..., :3] = (28 + 0.5 * grey)[..., None]  # dark and flat, so that the three colours lead
    out[..., 3] = np.where(found == OUTSIDE, 0, 255)
    for value, name in _CLASS_COLOR.items():
        out[found == value, :3] = rgb(name)
    return out


def rgb(color: str) -> NDArray[np.float64]:
    """Return ``#rrggbb`` as three numbers from 0 to 255."""
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


def split_picture(
    tiles: TileSet,
    *,
    patches: bool,
    pixel_m: float | None,
    title: str = "",
    part: NDArray[np.uint8] | None = None,
) -> Picture:
    """Figure 1: the image tinted by part, with mapped landslides in white.

    Parameters
    ----------
    tiles
        All tiles of one scene, or of one region of a patch set.
    patches
        ``row`` and ``col`` are positions in a patch grid.
    pixel_m
        Ground size of a pixel, where there is one.
    title
        Caption.
    part
        ``(rows, cols)`` part of every pixel of the scene; without it, the part of each tile.
    """
    places = Places.of(tiles, patches=patches)
    valid = tiles.valid()
    color = places.mosaic(true_color(tiles), 0, valid)
    if part is not None:
        part = places.crop(part)
    else:
        # An unknown label of a valid pixel still lies in the part, so parts come from the layers.
        part = places.mosaic(np.broadcast_to(tiles.part[:, None, None], tiles.label.shape), 0, valid)
    mapped = places.mosaic(tiles.label == 1, 0, valid & (tiles.label == 1))
    shown = places.mosaic(valid, 0, valid) | (part > 0)
    out = np.dstack([color.astype(np.float64), np.where(shown, 255.0, 0.0)])
    for value, name in _PART_COLOR.items():
        where = part == value
        out[where, :3] = 0.72 * out[where, :3] + 0.28 * rgb(name)
    out[mapped, :3] = 255
    factor = _factor(places.shape)
    _draw_borders(out, part, max(1, factor) * 2 if not patches else factor)
    pixels = _reduce(out, factor)
    counts = ", ".join(f"{int((tiles.part == p).sum())} {p.name.lower()}" for p in (Part.TRAIN, Part.VALIDATION, Part.TEST))
    alt = f"{title + ': ' if title else ''}the image with the training, validation and test parts tinted ({counts} tiles)."
    return Picture(title, alt, pixels, pixel_m * factor if pixel_m else None)


def _draw_borders(out: NDArray[np.float64], part: NDArray[Any], width: int) -> None:
    for value, name in _PART_COLOR.items():
        inside = part == value
        inner = inside.copy()
        for axis in (0, 1):  # shrink by `width` along both axes; what goes is the border
            for shift in (width, -width):
                moved = np.roll(inside, shift, axis)
                edge = [slice(None)] * 2
                edge[axis] = slice(0, shift) if shift > 0 else slice(shift, None)
                moved[tuple(edge)] = False
                inner &= moved
        out[inside & ~inner, :3] = rgb(name)


def _factor(shape: tuple[int, int]) -> int:
    return max(1, -(-max(shape) // MOST_PIXELS))


def _reduce(pixels: NDArray[np.float64], factor: int) -> NDArray[np.uint8]:
    # Averaging weighted by opacity, so that the colour of transparent pixels does not bleed in.
    if factor > 1:
        rows, cols = (-(-n // factor) * factor for n in pixels.shape[:2])
        padded = np.zeros((rows, cols, 4))
        padded[: pixels.shape[0], : pixels.shape[1]] = pixels
        blocks = padded.reshape(rows // factor, factor, cols // factor, factor, 4)
        alpha = blocks[..., 3:].sum(axis=(1, 3))
        colors = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(alpha, 1e-9)
        pixels = np.dstack([colors, alpha / factor**2])
    return np.asarray(np.round(pixels), np.uint8)


def prediction_picture(tiles: TileSet, found: NDArray[np.uint8], *, title: str, told: str, pixel_m: float | None) -> Picture:
    """Figure 3: one row's hits, misses and false alarms over the whole test part of a scene.

    Parameters
    ----------
    tiles, found
        Test tiles and their classes.
    title, told
        Name of the row; its scores in words for the alternative text.
    pixel_m
        Ground size of a pixel.
    """
    places = Places.of(tiles, patches=False)
    valid = tiles.valid()
    # Pixels of unknown label keep their grey image without a class.
    shown = np.where(valid & (found == OUTSIDE), NONE, found).astype(np.uint8)
    painted = paint_classes(true_color(tiles), shown).astype(np.float32)
    mosaic = places.mosaic(painted, 0, valid)
    factor = _factor(places.shape)
    alt = f"{title}: map of hits, misses and false alarms over the test part. {told}"
    return Picture(title, alt, _reduce(mosaic.astype(np.float64), factor), pixel_m * factor if pixel_m else None)


def image_picture(tiles: TileSet, *, title: str, pixel_m: float | None) -> Picture:
    """Return the test part in its own colours, to be read beside the maps."""
    places = Places.of(tiles, patches=False)
    valid = tiles.valid()
    opaque = np.where(valid, 255, 0).astype(np.uint8)
    mosaic = places.mosaic(np.concatenate([true_color(tiles), opaque[..., None]], axis=-1), 0, valid)
    factor = _factor(places.shape)
    alt = f"{title}: the test part in true colour."
    return Picture(title, alt, _reduce(mosaic.astype(np.float64), factor), pixel_m * factor if pixel_m else None)


def choose_tiles(tiles: TileSet, wanted: int) -> NDArray[np.intp]:
    """Choose test tiles to show, from labels alone.

    Tiles with a landslide and at least half of their pixels counted are ranked by landslide share; those at
    evenly spaced quantiles from the highest to the median (up to three) or to the lowest are taken.

    Parameters
    ----------
    tiles
        Test tiles.
    wanted
        How many at most.

    Returns
    -------
    numpy.ndarray
        Indices, the highest share first.
    """
    counted = tiles.counted()
    pixels = counted.sum(axis=(1, 2))
    share = ((tiles.label == 1) & counted).sum(axis=(1, 2)) / np.maximum(pixels, 1)
    candidates = np.flatnonzero((share > 0) & (pixels >= pixels.max(initial=0) / 2))
    if not candidates.size:
        return candidates
    order = candidates[np.argsort(-share[candidates], kind="stable")]
    last = 0.5 if wanted <= 3 else 1.0
    at = np.round(np.linspace(0, last, wanted) * (len(order) - 1)).astype(int)
    return order[np.unique(at)]


def tile_picture(tiles: TileSet, index: int, color: NDArray[np.uint8], found: NDArray[np.uint8] | None, title: str) -> Picture:
    """Return one test tile: in its own colours, or with the classes of a row.

    Parameters
    ----------
    tiles, index
        Test tiles and which one.
    color
        ``(size, size, 3)`` its true colours.
    found
        ``(size, size)`` its classes, or None.
    title
        Name of the row, or of the image.
    """
    valid = tiles.valid()[index]
    if found is None:
        pixels = np.dstack([color, np.where(valid, 255, 0)]).astype(np.uint8)
        share = 100 * float((tiles.label[index] == 1).mean())
        return Picture(title, f"Test tile in true colour, {share:.1f} % of it mapped as landslide.", pixels, exact=True)
    painted = paint_classes(color, np.where(valid & (found == OUTSIDE), NONE, found).astype(np.uint8))
    hits, misses, alarms = (int((found == value).sum()) for value in (HIT, MISS, FALSE_ALARM))
    alt = f"{title}: {hits} pixels hit, {misses} missed, {alarms} false alarms."
    return Picture(title, alt, np.round(painted).astype(np.uint8), exact=True)
