"""How often landslides of an area occur: the frequency-area distribution of an inventory or of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AreaFrequency:
    """Probability density of landslide areas in logarithmic bins, and what sums it up.

    Parameters
    ----------
    area_m2
        ``(bins,)`` geometric middle of each bin that is not empty.
    density_per_m2
        ``(bins,)`` share of the landslides in the bin over the bin's width.
    count
        ``(bins,)`` landslides in it.
    landslides
        How many there are; over several runs together they count once for each.
    median_m2, largest_m2, total_m2
        Of all areas; None without a landslide.
    """

    area_m2: NDArray[np.float64]
    density_per_m2: NDArray[np.float64]
    count: NDArray[np.int64]
    landslides: int
    median_m2: float | None
    largest_m2: float | None
    total_m2: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return as JSON types."""
        curve = {name: getattr(self, name).tolist() for name in ("area_m2", "density_per_m2", "count")}
        return curve | {name: getattr(self, name) for name in ("landslides", "median_m2", "largest_m2", "total_m2")}


def area_frequency(areas_m2: NDArray[Any], *, bins_per_decade: int = 5) -> AreaFrequency:
    """Frequency-area distribution of landslides.

    Parameters
    ----------
    areas_m2
        ``(landslides,)`` areas in m²; zeros are left out.
    bins_per_decade
        Bins for each factor of ten.

    References
    ----------
    Malamud et al. (2004), doi:10.1002/esp.1064, equation 1.
    """
    areas = np.asarray(areas_m2, np.float64)
    areas = areas[areas > 0]
    if not areas.size:
        return AreaFrequency(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), 0, None, None, None)
    first = np.floor(np.log10(areas.min()) * bins_per_decade)
    last = np.floor(np.log10(areas.max()) * bins_per_decade) + 1
    edges = 10.0 ** (np.arange(first, last + 1) / bins_per_decade)
    edges[0], edges[-1] = min(edges[0], areas.min()), max(edges[-1], np.nextafter(areas.max(), np.inf))
    count, _ = np.histogram(areas, edges)
    filled = count > 0
    density = count / (areas.size * np.diff(edges))
    return AreaFrequency(
        np.sqrt(edges[:-1] * edges[1:])[filled],
        density[filled],
        count[filled].astype(np.int64),
        int(areas.size),
        float(np.median(areas)),
        float(areas.max()),
        float(areas.sum()),
    )
