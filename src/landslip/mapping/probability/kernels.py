"""The loops over pixels of predicting that numpy cannot do, compiled by numba."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def add_weighted(
    sums: NDArray[np.int64], top: int, weights: NDArray[np.int64], values: NDArray[np.float32], unit: float
) -> None:
    """Add ``weights * values`` (tile, tile), values counted in whole units, to ``sums`` from row ``top`` on."""
    rows, cols = weights.shape
    for row in range(rows):
        for col in range(cols):
            sums[top + row, col] += weights[row, col] * np.int64(math.floor(np.float64(values[row, col]) * unit + 0.5))


@numba.njit(cache=True, nogil=True)
def standardise(
    image: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Standardise ``(n, layers, rows, cols)`` into ``out`` ``(n, rows, cols, layers)``, 0 where not finite.

    The same numbers as :func:`landslip.data.standardise.standardise`, in one pass instead of five, and in the
    order of memory that networks on the CPU are fastest with.
    """
    count, layers, rows, cols = image.shape
    for one in range(count):
        for layer in range(layers):
            for row in range(rows):
                for col in range(cols):
                    value = (image[one, layer, row, col] - mean[layer]) / std[layer]
                    out[one, row, col, layer] = value if math.isfinite(value) else np.float32(0)
