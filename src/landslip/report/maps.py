"""Pictures of a study: where the parts lie (Figure 1), what each row predicts (Figure 3).

Pixels are laid side by side from the tiles; nothing is smoothed, and nothing is chosen by looking at
predictions: zooms are test tiles at fixed quantiles of their mapped landslide share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.report.mosaic import (
    FALSE_ALARM,
    HIT,
    MISS,
    Places,
    paint_classes,
    rgb,
    shrink,
    shrink_factor,
    true_color,
)
from landslip.report.style import PART_COLORS
from landslip.wording import counted

_PART_COLOR: Final = {
    Part.TRAIN: PART_COLORS["train"],
    Part.VALIDATION: PART_COLORS["validation"],
    Part.TEST: PART_COLORS["test"],
}
TINT: Final = 0.28
"""How strongly a part colours the image."""
NO_IMAGE: Final = 128
"""Grey of a part's pixels that no tile shows."""


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
    lossless: bool = False
    """Few colours that must not bleed (maps of classes): stored without loss, shown smoothed."""


def trimmed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut away the margins in which nothing is shown."""
    rows, cols = (np.flatnonzero((pixels[..., 3] > 0).any(axis=axis)) for axis in (1, 0))
    return pixels[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] if rows.size else pixels


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
    pixels, factor = _split_of_patches(tiles) if patches else _split_of_scene(tiles, part)
    counts = ", ".join(
        f"{int((tiles.part == p).sum())} {p.name.lower()}" for p in (Part.TRAIN, Part.VALIDATION, Part.TEST)
    )
    where_ = f"{title}: " if title else ""
    alt = f"{where_}the image with the training, validation and test parts tinted ({counts} tiles)."
    return Picture(title, alt, trimmed(pixels), pixel_m * factor if pixel_m else None)


def _split_of_scene(tiles: TileSet, part: NDArray[np.uint8] | None) -> tuple[NDArray[np.uint8], int]:
    places, valid = Places.of(tiles, patches=False), tiles.valid()
    if part is not None:
        part = places.crop(part)
    else:
        # An unknown label of a valid pixel still lies in the part, so parts come from the layers.
        part = places.mosaic(np.broadcast_to(tiles.part[:, None, None], tiles.label.shape), 0, valid)
    color = places.mosaic(true_color(tiles), NO_IMAGE, valid)
    mapped = places.mosaic(tiles.label == 1, 0, valid & (tiles.label == 1))
    out = _tinted(color, part, mapped, places.mosaic(valid, 0, valid) | (part > 0))
    factor = shrink_factor(places.shape)
    _draw_borders(out, part, 2 * factor)
    return shrink(out, factor), factor


def _split_of_patches(tiles: TileSet) -> tuple[NDArray[np.uint8], int]:
    # Patches are made small before they are laid out: their grid may be many times larger than a screen.
    wanted = shrink_factor(Places.of(tiles, patches=True).shape)
    factor = next(n for n in range(min(wanted, tiles.size), tiles.size + 1) if tiles.size % n == 0)
    color, valid = true_color(tiles), tiles.valid()
    small = tiles.size // factor
    painted = np.empty((len(tiles), small, small, 4), np.uint8)
    for i in range(len(tiles)):
        part = np.full(tiles.label[i].shape, tiles.part[i])
        painted[i] = shrink(_tinted(color[i], part, (tiles.label[i] == 1) & valid[i], valid[i]), factor)
    places = Places.of(tiles, patches=True, size=small)
    everywhere = np.ones(painted.shape[:3], np.bool_)
    out = places.mosaic(painted, 0, everywhere)
    _draw_borders(out, places.mosaic(np.broadcast_to(tiles.part[:, None, None], painted.shape[:3]), 0, everywhere), 1)
    return out, factor


def _tinted(
    color: NDArray[np.uint8], part: NDArray[Any], mapped: NDArray[np.bool_], shown: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    out = np.concatenate([color, np.where(shown, 255, 0).astype(np.uint8)[..., None]], axis=-1)
    for value, name in _PART_COLOR.items():
        where = part == value
        out[where, :3] = np.round((1 - TINT) * out[where, :3] + TINT * rgb(name))
    out[mapped, :3] = 255
    return out


def _draw_borders(out: NDArray[Any], part: NDArray[Any], width: int) -> None:
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


def prediction_picture(
    tiles: TileSet, color: NDArray[np.uint8], found: NDArray[np.uint8], *, title: str, told: str, pixel_m: float | None
) -> Picture:
    """Figure 3: one row's hits, misses and false alarms over the whole test part of a scene.

    Parameters
    ----------
    tiles, color, found
        Test tiles, their true colours, their classes.
    title, told
        Name of the row; its scores in words for the alternative text.
    pixel_m
        Ground size of a pixel.
    """
    alt = f"{title}: map of hits, misses and false alarms over the test part. {told}"
    return _overview(tiles, paint_classes(color, found, tiles.valid()), title, alt, pixel_m, lossless=True)


def image_picture(tiles: TileSet, color: NDArray[np.uint8], *, title: str, pixel_m: float | None) -> Picture:
    """Return the test part in its own colours, to be read beside the maps."""
    opaque = np.where(tiles.valid(), 255, 0).astype(np.uint8)
    pixels = np.concatenate([color, opaque[..., None]], axis=-1)
    return _overview(tiles, pixels, title, f"{title}: the test part in true colour.", pixel_m, lossless=False)


def _overview(
    tiles: TileSet, pixels: NDArray[np.uint8], title: str, alt: str, pixel_m: float | None, *, lossless: bool
) -> Picture:
    places = Places.of(tiles, patches=False)
    factor = shrink_factor(places.shape)
    whole = trimmed(shrink(places.mosaic(pixels, 0, tiles.valid()), factor))
    return Picture(title, alt, whole, pixel_m * factor if pixel_m else None, lossless=lossless)


def choose_tiles(tiles: TileSet, wanted: int) -> NDArray[np.intp]:
    """Choose test tiles to show, from labels alone.

    Tiles with a landslide, and at least three quarters as many counted pixels as the fullest tile, are ranked by
    landslide share; those at evenly spaced quantiles from the highest to the median (up to three) or to the lowest
    are taken.

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
    candidates = np.flatnonzero((share > 0) & (pixels >= 0.75 * pixels.max(initial=0)))
    if not candidates.size:
        return candidates
    order = candidates[np.argsort(-share[candidates], kind="stable")]
    last = 0.5 if wanted <= 3 else 1.0
    at = np.round(np.linspace(0, last, wanted) * (len(order) - 1)).astype(int)
    return np.asarray(order[np.unique(at)])


def tile_picture(
    tiles: TileSet, index: int, color: NDArray[np.uint8], found: NDArray[np.uint8] | None, title: str
) -> Picture:
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
    hits, misses, alarms = (int((found == value).sum()) for value in (HIT, MISS, FALSE_ALARM))
    alt = f"{title}: {counted(hits, 'pixel')} hit, {misses} missed, {counted(alarms, 'false alarm')}."
    return Picture(title, alt, paint_classes(color, found, valid), exact=True)
