"""Probabilities to a decision: the threshold of best F1, and the precision-recall curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import InputError
from landslip.scoring.confusion import Confusion

BINS = 10_000
"""Steps of the probability axis; a threshold is a multiple of 1 / BINS."""


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what it gives on the pixels that it was chosen on.

    Parameters
    ----------
    threshold
        A pixel is landslide where its probability is at least this.
    confusion
        Counts at the threshold.
    """

    threshold: float
    confusion: Confusion


@dataclass(frozen=True)
class ProbabilityHistogram:
    """Landslide and other pixels counted by probability; histograms of parts can be added.

    Parameters
    ----------
    positive, negative
        ``(BINS + 1,)`` int64; entry i counts probabilities in [i / BINS, (i + 1) / BINS), the last one
        those equal to 1. Scores at multiples of 1 / BINS are therefore exact.
    """

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]

    @classmethod
    def from_arrays(
        cls, probability: NDArray[Any], truth: NDArray[Any], valid: NDArray[np.bool_]
    ) -> ProbabilityHistogram:
        """Count arrays of one shape, a slice of the first axis at a time so that memory stays small.

        Raises
        ------
        InputError
            A counted probability is not between 0 and 1.
        """
        positive, negative = np.zeros(BINS + 1, np.int64), np.zeros(BINS + 1, np.int64)
        for p, t, v in zip(np.atleast_2d(probability), np.atleast_2d(truth), np.atleast_2d(valid), strict=True):
            values = p[v].astype(np.float64)
            if not np.all((values >= 0) & (values <= 1)):
                message = "a probability is outside 0 to 1, or not a number, where pixels count"
                raise InputError(message)
            index = bin_index(values)
            is_landslide = t[v] == 1
            positive += np.bincount(index[is_landslide], minlength=BINS + 1)
            negative += np.bincount(index[~is_landslide], minlength=BINS + 1)
        return cls(positive, negative)

    def __add__(self, other: ProbabilityHistogram) -> ProbabilityHistogram:
        """Pool two sets of pixels."""
        return ProbabilityHistogram(self.positive + other.positive, self.negative + other.negative)

    def confusion(self, threshold: float) -> Confusion:
        """Count when probabilities of at least ``threshold`` (a multiple of 1 / BINS) are landslide."""
        first = round(threshold * BINS)
        tp, fp = int(self.positive[first:].sum()), int(self.negative[first:].sum())
        return Confusion(tp, fp, int(self.positive.sum()) - tp, int(self.negative.sum()) - fp)

    def best(self) -> ThresholdChoice:
        """Find the threshold of best F1 in (0, 1).

        Among equals the one nearest to 0.5 wins, then the lower.

        Raises
        ------
        InputError
            There is no landslide pixel, so that F1 says nothing.
        """
        if not self.positive.sum():
            message = "no landslide among the pixels to choose a threshold on; look at the validation part"
            raise InputError(message)
        tp, fp = _from_above(self.positive), _from_above(self.negative)
        f1 = 2 * tp / (tp + fp + self.positive.sum())
        candidates = np.arange(1, BINS)
        score = f1[candidates]
        ties = candidates[score == score.max()]
        step = int(min(ties, key=lambda i: (abs(i - BINS // 2), i)))
        return ThresholdChoice(step / BINS, self.confusion(step / BINS))

    def precision_recall(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Precision and recall at every threshold at which either changes, from high to low threshold.

        Returns
        -------
        tuple
            Thresholds, precision, recall; each ``(points,)``.
        """
        tp, fp = _from_above(self.positive), _from_above(self.negative)
        changes = np.flatnonzero((self.positive + self.negative) > 0)[::-1]
        found, alarms = tp[changes], fp[changes]
        total = max(1, int(self.positive.sum()))
        return changes / BINS, found / np.maximum(1, found + alarms), found / total

    def average_precision(self) -> float:
        """Area under the precision-recall curve as the step sum Σ (Rₖ − Rₖ₋₁) Pₖ; nan without a landslide.

        References
        ----------
        Boyd, Eng & Page (2013), doi:10.1007/978-3-642-40994-3_29: the step sum does not flatter as
        straight lines between the points do.
        """
        if not self.positive.sum():
            return float("nan")
        _, precision, recall = self.precision_recall()
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def bin_index(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each probability, consistent with ``probability >= i / BINS`` in float64."""
    index = np.floor(probability * BINS).astype(np.int64)
    # multiplication may round across an edge; thresholds are compared by division, so follow that
    index += probability >= (index + 1) / BINS
    index -= probability < index / BINS
    return np.minimum(index, BINS)


def best_threshold(
    probability: NDArray[Any], truth: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> ThresholdChoice:
    """Find the threshold of best pooled F1, exact over all multiples of 1 / :data:`BINS` in (0, 1).

    Parameters
    ----------
    probability
        Any shape; 0 to 1 where ``valid``.
    truth
        The same shape; 1 = landslide.
    valid
        Which pixels count; default all.

    Returns
    -------
    ThresholdChoice
        Among equals the threshold nearest to 0.5, then the lower.

    Raises
    ------
    InputError
        No landslide pixel, or a probability outside 0 to 1.
    """
    valid = np.ones(truth.shape, np.bool_) if valid is None else valid
    return ProbabilityHistogram.from_arrays(probability, truth, valid).best()


def _from_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.cumsum(counts[::-1])[::-1], dtype=np.int64)
