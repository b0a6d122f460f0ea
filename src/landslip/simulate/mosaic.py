"""Mosaics of parcels and stands: which piece of land a pixel belongs to. Compiled, no state, no files."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def _hash(a: int, b: int, salt: int) -> float:
    """Uniform number in [0, 1) of a cell; mixing after SplitMix64 (Steele et al. 2014)."""
    x = np.uint64(a + 1_000_003) * np.uint64(0x9E3779B97F4A7C15)
    x ^= np.uint64(b + 7_000_003) * np.uint64(0xC2B2AE3D27D4EB4F)
    x ^= np.uint64(salt + 1) * np.uint64(0x165667B19E3779F9)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return float(x >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True)
def hashed(label: NDArray[np.int64], salt: int) -> NDArray[np.float32]:
    """Uniform numbers in [0, 1) from whole numbers: the same label always gives the same number."""
    values = np.empty(label.size, np.float32)
    for i, one in enumerate(label.ravel()):
        values[i] = min(_hash(int(one), 0, salt), 0.9999999)
    return values.reshape(label.shape)


@njit(cache=True)
def stands(
    shape: tuple[int, int], cell: float, bend_rows: NDArray[np.float32], bend_cols: NDArray[np.float32], salt: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Voronoi cells of one jittered seed per square of ``cell`` pixels.

    Returns
    -------
    label, edge
        A number for each cell of the mosaic, and the distance in pixels to its nearest border.
    """
    label = np.empty(shape, np.int64)
    edge = np.empty(shape, np.float32)
    for r in range(shape[0]):
        for c in range(shape[1]):
            y, x = (r + bend_rows[r, c]) / cell, (c + bend_cols[r, c]) / cell
            i0, j0 = int(np.floor(y)), int(np.floor(x))
            first, second, best = 1e9, 1e9, np.int64(0)
            for i in range(i0 - 1, i0 + 2):
                for j in range(j0 - 1, j0 + 2):
                    sy, sx = i + _hash(i, j, salt), j + _hash(i, j, salt + 1)
                    far = (y - sy) ** 2 + (x - sx) ** 2
                    if far < first:
                        second, first = first, far
                        best = np.int64(i + 100_000) * 1_000_000 + (j + 100_000)
                    elif far < second:
                        second = far
            label[r, c] = best
            edge[r, c] = (np.sqrt(second) - np.sqrt(first)) * 0.5 * cell
    return label, edge


@njit(cache=True)
def parcels(
    block: NDArray[np.int64], width: float, length: float, salt: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rectangular fields, in rows, turned to each block's own direction.

    Returns
    -------
    label, edge
        A number for each field, and the distance in pixels to its border.
    """
    label = np.empty(block.shape, np.int64)
    edge = np.empty(block.shape, np.float32)
    for r in range(block.shape[0]):
        for c in range(block.shape[1]):
            a, b = block[r, c] // 1_000_000, block[r, c] % 1_000_000
            angle = np.pi * _hash(a, b, salt)
            size = 0.6 + 1.1 * _hash(a, b, salt + 1)
            u = (c * np.cos(angle) + r * np.sin(angle)) / (length * size)
            v = (r * np.cos(angle) - c * np.sin(angle)) / (width * size)
            row = int(np.floor(v))
            u += _hash(row, a + b, salt + 2)
            col = int(np.floor(u))
            # neighbours may be worked as one field
            along = (u - col) * length * size
            ahead = (1 - (u - col)) * length * size
            if _hash(row, col, salt + 3) < 0.25:
                ahead = 9.0
            if _hash(row, col - 1, salt + 3) < 0.25:
                along, col = 9.0, col - 1
            across = min(v - row, 1 - (v - row)) * width * size
            label[r, c] = ((block[r, c] * 31 + row + 5_000) * 10_007 + col + 5_000) % 9_007_199_254_740_881
            edge[r, c] = min(along, ahead, across)
    return label, edge
