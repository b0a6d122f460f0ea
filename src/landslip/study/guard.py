"""The guard against leakage: how far test pixels lie from training pixels, and how far alike pixels reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import SplitError
from landslip.splits import TEST, TRAIN, VALIDATION, Split
from landslip.study.prepare import Fold

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
    gap = _gap_of_scenes(splits) if splits else _gap_of_patches(tiles)
    training = tiles.of(Part.TRAIN)
    reach, open_ended = autocorrelation_range((training.label == 1).astype(np.float32), training.counted())
    shown = f"{'over ' if open_ended else ''}{reach} px"
    if gap is None:
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


def _gap_of_scenes(splits: Sequence[Split]) -> int | None:
    from scipy import ndimage

    gaps = []
    for split in splits:
        seen = (split.part == TRAIN) | (split.part == VALIDATION)
        if seen.any() and (split.part == TEST).any():
            away = ndimage.distance_transform_cdt(~seen, metric="chessboard")
            gaps.append(int(away[split.part == TEST].min()) - 1)
    return min(gaps) if gaps else None


def _gap_of_patches(tiles: TileSet) -> int | None:
    gaps = []
    step = tiles.size if tiles.meta.get("kind") != "scene" else 1
    for region in np.unique(tiles.region):
        seen = np.flatnonzero((tiles.region == region) & np.isin(tiles.part, (TRAIN, VALIDATION)))
        test = np.flatnonzero((tiles.region == region) & (tiles.part == TEST))
        if seen.size and test.size:
            rows = np.abs(tiles.row[test, None].astype(np.int64) - tiles.row[seen]) * step
            cols = np.abs(tiles.col[test, None].astype(np.int64) - tiles.col[seen]) * step
            gaps.append(max(0, int(np.maximum(rows, cols).min()) - tiles.size))
    return min(gaps) if gaps else None
