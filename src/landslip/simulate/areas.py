"""How large landslides are: the three-parameter inverse-gamma law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammaincc, gammainccinv

RHO = 1.40
"""Shape: the density of large landslides falls as ``area ** -(RHO + 1)``."""
SCALE_KM2 = 1.28e-3
"""Scale a: sets the most frequent size."""
SHIFT_KM2 = -1.32e-4
"""Shift s: sets the fall-off towards small landslides."""


def cumulative(area_m2: NDArray[np.floating], largest_m2: float) -> NDArray[np.float64]:
    """Share of landslides smaller than ``area_m2``, the law being truncated to (0, ``largest_m2``).

    Parameters
    ----------
    area_m2
        Areas in m².
    largest_m2
        Where the law is cut off, in m².

    References
    ----------
    Malamud, B. D., Turcotte, D. L., Guzzetti, F., Reichenbach, P. (2004). Landslide inventories and their
    statistical properties. Earth Surface Processes and Landforms 29, 687-711, eq. 3.
    """
    low, high = _share(np.array([0.0, largest_m2]))
    share: NDArray[np.float64] = np.clip((_share(np.asarray(area_m2)) - low) / (high - low), 0, 1)
    return share


def density(area_m2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability density of landslide areas in 1/m², the law not being truncated.

    Parameters
    ----------
    area_m2
        Areas in m².

    References
    ----------
    Malamud et al. (2004), as in :func:`cumulative`, eq. 3 with the parameters of their three inventories.
    """
    ratio = SCALE_KM2 / (np.asarray(area_m2, np.float64) * 1e-6 - SHIFT_KM2)
    per_km2: NDArray[np.float64] = ratio ** (RHO + 1) * np.exp(-ratio) / (SCALE_KM2 * gamma(RHO))
    return 1e-6 * per_km2


def draw(rng: np.random.Generator, count: int, largest_m2: float) -> NDArray[np.float64]:
    """Draw ``count`` areas in m² from the truncated law, by inversion."""
    low, high = _share(np.array([0.0, largest_m2]))
    share = low + (high - low) * rng.random(count)
    area: NDArray[np.float64] = 1e6 * (SHIFT_KM2 + SCALE_KM2 / gammainccinv(RHO, share))
    return area


def draw_total(rng: np.random.Generator, total_m2: float, largest_m2: float) -> NDArray[np.float64]:
    """Draw areas until they add up to ``total_m2``: the last one is kept if that comes nearer."""
    areas = draw(rng, max(64, int(total_m2 / 1000)), largest_m2)
    while areas.sum() < total_m2:
        areas = np.concatenate([areas, draw(rng, areas.size, largest_m2)])
    sums = np.concatenate([[0.0], np.cumsum(areas)])
    after = int(np.searchsorted(sums, total_m2))
    nearer_below = after > 1 and total_m2 - sums[after - 1] < sums[after] - total_m2
    return areas[: after - 1 if nearer_below else after]


def _share(area_m2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cumulative distribution of the law without truncation."""
    share: NDArray[np.float64] = gammaincc(RHO, SCALE_KM2 / (area_m2 * 1e-6 - SHIFT_KM2))
    return share
