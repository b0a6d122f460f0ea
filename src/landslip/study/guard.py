"""The guard against leakage: how far test pixels lie from training pixels, and how far alike pixels reach."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import SplitError
from landslip.splits import TEST, TRAIN, VALIDATION, Split
from landslip.study.folds import Fold

CORRELATED = 0.1
"""Labels count as related as far as their autocorrelation is above this."""

_MOST_TILES = 200


def guard(tiles: TileSet, splits: Sequence[Split], fold: Fold, *, refuse: bool) -> dict[str, Any]:
    """Measure the gap between training (or validation) and test pixels against the range of the labels.

    The range is measured on training tiles alone.

    Returns
    -------
    dict
        ``fold``, ``distance_px`` (unused pixels in between; null when unknown or in different regions),
        ``range_px``, ``verdict`` (``ok``, ``warning``, ``leaks``), ``text``.

    Raises
    ------
    SplitError
        With ``refuse``, when the verdict is not ``ok``.
    """
    gap = _gap(tiles, splits)
    training = tiles.of(Part.TRAIN)
    reach, open_ended = autocorrelation_range((training.label == 1).astype(np.float32), training.counted())
    shown = f"{'more than ' if open_ended else ''}{reach} px"
    if tiles.meta.get("placed") is False:
        gap, verdict = None, "warning"
        text = (
            "the patches do not say where they lie, so nobody knows how far test lies from training; "
            f"labels are alike over {shown}"
        )
    elif gap is None:
        verdict, text = "ok", f"no test pixel shares a region with training; labels are alike over {shown}"
    elif gap == 0:
        verdict = "leaks"
        text = (
            f"test pixels touch training or validation pixels while labels are alike over {shown}: "
            "the scores are optimistic"
        )
    elif gap < reach or open_ended:
        verdict = "warning"
        text = f"{gap} px lie between test and training, labels are alike over {shown}: raise split.buffer_px"
    else:
        verdict, text = "ok", f"{gap} px lie between test and training, labels are alike over {shown}"
    if refuse and verdict != "ok":
        message = f"{fold.name}: {text}; use split.design = 'blocks' with a wider buffer, or leakage = 'warn'"
        raise SplitError(message)
    return {"fold": fold.name, "distance_px": gap, "range_px": reach, "verdict": verdict, "text": text}


def autocorrelation_range(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[int, bool]:
    """Lag at which the mean autocorrelation over tiles falls below :data:`CORRELATED`.

    Parameters
    ----------
    values, valid
        ``(n, size, size)``; at most 200 tiles, evenly spread, are looked at.

    Returns
    -------
    tuple of int and bool
        Pixels, and whether it is at least that (no lag up to half a tile was below).

    References
    ----------
    Sums of products over all pairs at a lag by Fourier transform: Marcotte (1996),
    doi:10.1016/S0098-3004(96)00026-X.
    """
    some = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_TILES)).astype(int))
    values, valid = values[some].astype(np.float64), valid[some]
    mean = float(values[valid].mean())
    size = values.shape[-1]
    products, pairs = np.zeros((2 * size, 2 * size)), np.zeros((2 * size, 2 * size))
    for value, mask in zip(values, valid, strict=True):
        products += _correlate(np.where(mask, value - mean, 0.0), 2 * size)
        pairs += _correlate(mask.astype(np.float64), 2 * size)
    offset = np.fft.fftfreq(2 * size, 1 / (2 * size))
    lag = np.rint(np.hypot(offset[:, None], offset[None, :])).astype(int).ravel()
    most = size // 2
    total = np.bincount(lag, weights=products.ravel())[: most + 1]
    number = np.bincount(lag, weights=pairs.ravel())[: most + 1]
    covariance = total / np.maximum(number, 1.0)
    if covariance[0] <= 0:
        return 0, False
    below = np.flatnonzero(covariance / covariance[0] < CORRELATED)
    return (int(below[0]), False) if below.size else (most, True)


def _correlate(field: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft2(field, (size, size))
    return np.asarray(np.fft.irfft2(spectrum * spectrum.conj(), (size, size)), dtype=np.float64)


def _gap(tiles: TileSet, splits: Sequence[Split]) -> int | None:
    if not splits and tiles.meta.get("kind") != "scene":
        return _gap_of_patches(tiles)
    parts = [split.part for split in splits] or [_part_of_tiles(tiles, region) for region in np.unique(tiles.region)]
    if len(splits) > 1 and _overlap(tiles, parts):
        return 0
    gaps = [gap for part in parts if (gap := _gap_of_scene(part)) is not None]
    return min(gaps) if gaps else None


def _gap_of_scene(part: NDArray[np.uint8]) -> int | None:
    from scipy import ndimage

    seen, test = (part == TRAIN) | (part == VALIDATION), part == TEST
    if not seen.any() or not test.any():
        return None
    away = ndimage.distance_transform_cdt(~seen, metric="chessboard")
    return int(away[test].min()) - 1


def _part_of_tiles(tiles: TileSet, region: int) -> NDArray[np.uint8]:
    """Part of every pixel of a scene, put together from its tiles: a tile holds nothing of other parts."""
    here = np.flatnonzero(tiles.region == region)
    row, col = tiles.row[here] - tiles.row[here].min(), tiles.col[here] - tiles.col[here].min()
    part = np.zeros((int(row.max()) + tiles.size, int(col.max()) + tiles.size), np.uint8)
    for i, r, c in zip(here, row, col, strict=True):
        own = np.isfinite(tiles.image[i]).any(axis=0) & (tiles.label[i] <= 1)
        part[r : r + tiles.size, c : c + tiles.size][own] = tiles.part[i]
    return part


def _overlap(tiles: TileSet, parts: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether a test pixel of one scene lies on a training or validation pixel of another."""
    grids = [source.get("grid") for source in tiles.meta.get("sources", [])]
    if len(grids) != len(parts) or not all(grids):
        return False
    from pyproj import Transformer

    from landslip.grid import Grid

    known = [Grid.from_dict(grid) for grid in grids]
    for (one, mine), (other, theirs) in itertools.permutations(zip(known, parts, strict=True), 2):
        if not one.contains_bounds(other.bounds, other.crs):
            continue
        row, col = np.nonzero(mine == TEST)
        x, y = one.transform * (col + 0.5, row + 0.5)
        x, y = Transformer.from_crs(one.crs, other.crs, always_xy=True).transform(x, y)
        there = [np.floor(values).astype(np.int64) for values in ~other.transform * (x, y)]
        inside = (there[0] >= 0) & (there[0] < theirs.shape[1]) & (there[1] >= 0) & (there[1] < theirs.shape[0])
        if np.isin(theirs[there[1][inside], there[0][inside]], (TRAIN, VALIDATION)).any():
            return True
    return False


def _gap_of_patches(tiles: TileSet) -> int | None:
    gaps = []
    for region in np.unique(tiles.region):
        seen = np.flatnonzero((tiles.region == region) & np.isin(tiles.part, (TRAIN, VALIDATION)))
        test = np.flatnonzero((tiles.region == region) & (tiles.part == TEST))
        if seen.size and test.size:
            rows = np.abs(tiles.row[test, None].astype(np.int64) - tiles.row[seen]) * tiles.size
            cols = np.abs(tiles.col[test, None].astype(np.int64) - tiles.col[seen]) * tiles.size
            gaps.append(max(0, int(np.maximum(rows, cols).min()) - tiles.size))
    return min(gaps) if gaps else None
