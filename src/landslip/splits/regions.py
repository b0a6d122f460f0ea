"""Contiguous test regions along rows or columns, and what lies near a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import SplitError
from landslip.splits.config import SplitConfig


def tested_region(usable: NDArray[np.bool_], config: SplitConfig) -> NDArray[np.bool_]:
    """Return the test region of ``(rows, cols)`` usable pixels or patches: a stripe of the folds, or the test side."""
    per_col, per_row = usable.sum(axis=0), usable.sum(axis=1)
    if config.folds:
        along_cols = bool(np.count_nonzero(per_col) >= np.count_nonzero(per_row))
        stripe = _stripes(per_col if along_cols else per_row, config.folds) == config.fold
        return _across(stripe, usable.shape, along_cols)
    along_cols = config.test_side in ("east", "west")
    counts = per_col if along_cols else per_row
    from_far_end = config.test_side in ("east", "south")
    line = _far_end(counts if from_far_end else counts[::-1], config.test_fraction)
    if not from_far_end:
        line = line[::-1]
    return _across(line, usable.shape, along_cols)


def check_stripes(usable: Sequence[NDArray[np.bool_]], config: SplitConfig, *, least: int, unit: str) -> None:
    """Refuse folds whose stripes would be too thin to hold anything.

    Parameters
    ----------
    usable
        ``(rows, cols)`` usable pixels or patches, of each area; the longest side of any counts.
    config
        With ``folds``, or nothing is checked.
    least
        Fewest rows or columns of a stripe.
    unit
        What these are, for the message.

    Raises
    ------
    SplitError
        How many folds there may be.
    """
    lines = max(int(max(np.count_nonzero(area.any(axis=axis)) for axis in (0, 1))) for area in usable)
    if config.folds * least <= lines:
        return
    most = lines // least
    remedy = f"choose at most {most}" if most > 1 else "the data are too small for folds, leave them out"
    message = (
        f"folds = {config.folds}: over {lines} {unit} of the data a stripe would have {lines / config.folds:.1f}, "
        f"and needs {least}; {remedy}"
    )
    raise SplitError(message)


def _across(line: NDArray[np.bool_], shape: tuple[int, ...], along_cols: bool) -> NDArray[np.bool_]:
    return np.array(np.broadcast_to(line[None, :] if along_cols else line[:, None], shape), dtype=np.bool_)


def _far_end(counts: NDArray[Any], fraction: float) -> NDArray[np.bool_]:
    """Return the fewest lines from the end that hold ``fraction`` of the total."""
    share = np.cumsum(counts[::-1])[::-1] / counts.sum()
    start = int(np.flatnonzero(share >= fraction)[-1])
    return np.asarray(np.arange(len(counts)) >= start, dtype=np.bool_)


def _stripes(counts: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """Give every line the number of its stripe, so that every stripe holds about the same share."""
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.asarray(np.minimum(middle * folds, folds - 1), dtype=np.int64)


def dilated(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Grow a mask by ``reach`` pixels in every direction, diagonals included."""
    grown = mask
    for axis in (0, 1):
        counts = np.cumsum(np.moveaxis(grown, axis, 0), axis=0, dtype=np.int32)
        n = counts.shape[0]
        upper = counts[np.minimum(np.arange(n) + reach, n - 1)]
        lower = np.concatenate([np.zeros((1, counts.shape[1]), np.int32), counts])[np.maximum(np.arange(n) - reach, 0)]
        grown = np.moveaxis(upper > lower, 0, axis)
    return grown
