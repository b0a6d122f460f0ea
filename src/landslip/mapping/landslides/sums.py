"""The sums per landslide from which its attributes come, in one compiled pass over the pixels."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

# Columns of the sums per landslide.
(
    PIXELS, P_SUM, P_MAX, S_COUNT, S_SUM, S_MAX,
    Z_COUNT, Z_MIN, Z_MAX, TOE_ROW, TOE_COL, CROWN_ROW, CROWN_COL,
    X_SUM, Y_SUM, Z_SUM, XX, XY, YY, XZ, YZ, P_COUNT,
) = range(22)  # fmt: skip

SUMS = 22


@numba.njit(cache=True, nogil=True)
def accumulate(
    burnt: NDArray[np.int32],
    probability: NDArray[np.float32],
    slope: NDArray[np.float32],
    elevation: NDArray[np.float32],
    first_row: int,
    origin: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add the pixels ``(rows, cols)`` of one band of the scene to the ``sums`` of their landslides.

    Positions are counted from ``origin`` (landslides, 3: row, column, elevation of the first pixel met), so
    that sums of squares lose no digits. The crown is the highest pixel, the toe the lowest; the first in
    raster order among equals.
    """
    rows, cols = burnt.shape
    for row in range(rows):
        for col in range(cols):
            which = burnt[row, col] - 1
            if which < 0:
                continue
            line = sums[which]
            line[PIXELS] += 1
            p = probability[row, col]
            if not math.isnan(p):
                line[P_COUNT] += 1
                line[P_SUM] += p
                line[P_MAX] = max(line[P_MAX], p)
            s = slope[row, col]
            if not math.isnan(s):
                line[S_COUNT] += 1
                line[S_SUM] += s
                line[S_MAX] = max(line[S_MAX], s)
            z = np.float64(elevation[row, col])
            if math.isnan(z):
                continue
            if line[Z_COUNT] == 0:
                origin[which, 0] = first_row + row
                origin[which, 1] = col
                origin[which, 2] = z
            if line[Z_COUNT] == 0 or z < line[Z_MIN]:
                line[Z_MIN] = z
                line[TOE_ROW] = first_row + row
                line[TOE_COL] = col
            if line[Z_COUNT] == 0 or z > line[Z_MAX]:
                line[Z_MAX] = z
                line[CROWN_ROW] = first_row + row
                line[CROWN_COL] = col
            y = first_row + row - origin[which, 0]
            x = col - origin[which, 1]
            z -= origin[which, 2]
            line[Z_COUNT] += 1
            line[X_SUM] += x
            line[Y_SUM] += y
            line[Z_SUM] += z
            line[XX] += x * x
            line[XY] += x * y
            line[YY] += y * y
            line[XZ] += x * z
            line[YZ] += y * z
