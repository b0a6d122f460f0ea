"""Whether a probability of 0.7 means seven in ten: reliability curve, expected calibration error, Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """Reliability of probabilities in equal-width bins.

    Parameters
    ----------
    edges
        ``(bins + 1,)`` bin edges from 0 to 1.
    count
        ``(bins,)`` pixels in each bin.
    predicted, observed
        ``(bins,)`` mean probability and share of landslide; nan in an empty bin.
    brier
        Mean squared difference of probability and truth.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    brier: float

    @property
    def ece(self) -> float:
        """Expected calibration error: |predicted − observed| averaged over pixels; nan without pixels."""
        filled = self.count > 0
        if not filled.any():
            return float("nan")
        gap = np.abs(self.predicted[filled] - self.observed[filled])
        return float(np.average(gap, weights=self.count[filled]))

    def to_dict(self) -> dict[str, Any]:
        """Return as JSON types, undefined values as None."""

        def plain(values: NDArray[np.float64]) -> list[float | None]:
            return [float(value) if np.isfinite(value) else None for value in values]

        return {
            "edges": [float(edge) for edge in self.edges],
            "count": [int(count) for count in self.count],
            "predicted": plain(self.predicted),
            "observed": plain(self.observed),
            "ece": plain(np.array([self.ece]))[0],
            "brier": plain(np.array([self.brier]))[0],
        }


def calibration(
    probability: NDArray[Any], truth: NDArray[Any], valid: NDArray[np.bool_] | None = None, *, bins: int = 15
) -> Calibration:
    """Compare probabilities with what was there.

    Parameters
    ----------
    probability, truth, valid
        Any one shape; ``truth`` 1 = landslide; only ``valid`` pixels count (default all).
    bins
        Number of equal-width bins.

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602; Guo et al. (2017), arXiv:1706.04599
    (15 bins); Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    valid = np.ones(truth.shape, np.bool_) if valid is None else valid
    count = np.zeros(bins, np.int64)
    predicted, observed = np.zeros(bins), np.zeros(bins)
    squared = 0.0
    for p, t, v in zip(np.atleast_2d(probability), np.atleast_2d(truth), np.atleast_2d(valid), strict=True):
        values, hits = p[v].astype(np.float64), (t[v] == 1).astype(np.float64)
        index = np.minimum((values * bins).astype(np.int64), bins - 1)
        count += np.bincount(index, minlength=bins)
        predicted += np.bincount(index, weights=values, minlength=bins)
        observed += np.bincount(index, weights=hits, minlength=bins)
        squared += float(np.sum((values - hits) ** 2))
    total = int(count.sum())
    with np.errstate(invalid="ignore"):
        return Calibration(
            np.linspace(0, 1, bins + 1),
            count,
            np.where(count > 0, predicted / np.maximum(count, 1), np.nan),
            np.where(count > 0, observed / np.maximum(count, 1), np.nan),
            squared / total if total else float("nan"),
        )
