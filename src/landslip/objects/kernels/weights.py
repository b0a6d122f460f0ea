"""The weights of the merge criterion as the kernels take them, exact and approximate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels.layout import (
    LANES,
    Criterion,
    Screen,
    steps_of,
)


def at_least(value: float) -> np.float32:
    """Round up to single precision, to infinity beyond its range."""
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
        # as Python's numbers: numpy would round the value itself before it compares
        return rounded if float(rounded) >= value else np.nextafter(rounded, np.float32(np.inf))


def make_criterion(band_weights: Sequence[float], color: float, compactness: float) -> Criterion:
    """Prepare the weights for the kernels."""
    bands = len(band_weights)
    steps = steps_of(bands)
    weights = np.zeros(LANES * len(steps), np.float64)
    weights[:bands] = band_weights
    return Criterion(steps, weights, float(color), float(compactness))


def make_screen(criterion: Criterion, low: NDArray[np.float32], high: NDArray[np.float32]) -> Screen:
    """Prepare approximate costs for pixels between the two values of each band; see :mod:`.costs`.

    Weights that single precision cannot hold leave every decision to the exact costs.
    """
    bands = low.size
    first, last = (np.where(low <= high, bound, 0.0).astype(np.float64) for bound in (low, high))
    reach = (last - first) / 2 * (1 + 2.0**-20) + 2.0**-26 * np.maximum(abs(first), abs(last)) + 2.0**-40
    exactly = criterion.color * criterion.weights[:bands]
    shape = 1.0 - criterion.color
    compact, smooth = shape * criterion.compactness, shape * (1.0 - criterion.compactness)
    each = np.array([*exactly, compact, smooth])
    fits = bool(((each == 0) | ((each > 2.0**-100) & (each < 2.0**100))).all())
    offset, weights = np.zeros(criterion.weights.size), np.zeros(criterion.weights.size, np.float32)
    offset[:bands] = (first + last) / 2
    if not fits:
        nothing = np.float32(0.0)
        return Screen(offset, weights, nothing, nothing, np.float32(np.inf), nothing)
    weights[:bands] = exactly
    relative = (20 + 2 * len(criterion.steps)) * 2.0**-24
    per_pixel = min(1.5 * 2.0**-24 * float(exactly @ reach), 1e38)
    return Screen(offset, weights, np.float32(compact), np.float32(smooth), np.float32(relative), np.float32(per_pixel))
