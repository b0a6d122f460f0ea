"""Counts of hits, false alarms and misses, and the scores that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Pixels counted by prediction and truth.

    Counts are pooled (added) before any score is taken from them; scores are never averaged over tiles.
    A score whose denominator is zero is undefined and is ``nan``: precision where nothing was predicted,
    recall where nothing was there, F1 and IoU where both, MCC where a row or column of the table is empty.

    Parameters
    ----------
    tp, fp, fn, tn
        True positives, false positives, false negatives, true negatives.

    References
    ----------
    F1: van Rijsbergen (1979), Information Retrieval; IoU: Jaccard (1912); MCC: Matthews (1975),
    doi:10.1016/0005-2795(75)90109-9.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def from_arrays(cls, pred: NDArray[Any], truth: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Confusion:
        """Count two masks of the same shape.

        Parameters
        ----------
        pred, truth
            Boolean, or 0 and 1, of any shape.
        valid
            Which pixels count; default all.

        Raises
        ------
        ValueError
            The shapes differ, or a counted value is neither 0 nor 1.
        """
        if pred.shape != truth.shape or (valid is not None and valid.shape != truth.shape):
            message = f"prediction {pred.shape}, truth {truth.shape} and valid must have the same shape"
            raise ValueError(message)
        pred, truth = (pred.ravel(), truth.ravel()) if valid is None else (pred[valid], truth[valid])
        code = _binary(truth, "truth").astype(np.uint8) * np.uint8(2) + _binary(pred, "prediction")
        tn, fp, fn, tp = (int(count) for count in np.bincount(code, minlength=4))
        return cls(tp, fp, fn, tn)

    def __add__(self, other: Confusion) -> Confusion:
        """Pool two sets of pixels."""
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def total(self) -> int:
        """Number of pixels counted."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def mcc(self) -> float:
        """Correlation of prediction and truth, -1 to 1."""
        product = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        # whole numbers of any size in Python, so the product cannot overflow
        return _ratio(self.tp * self.tn - self.fp * self.fn, math.sqrt(product))

    @property
    def prevalence(self) -> float:
        """Share of landslide in the truth."""
        return _ratio(self.tp + self.fn, self.total)

    def to_dict(self) -> dict[str, float | int | None]:
        """Return counts and scores as JSON types; undefined scores are None."""
        scores = {name: getattr(self, name) for name in ("precision", "recall", "f1", "iou", "mcc", "prevalence")}
        counts = {"tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn}
        return counts | {name: None if math.isnan(value) else value for name, value in scores.items()}


def confusions_by_group(
    pred: NDArray[Any], truth: NDArray[Any], valid: NDArray[np.bool_], group: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Count tiles group by group, for resampling.

    Parameters
    ----------
    pred, truth, valid
        ``(n, …)`` boolean; one entry per tile first.
    group
        ``(n,)``: the spatial block of each tile.

    Returns
    -------
    numpy.ndarray
        The groups, sorted.
    numpy.ndarray
        ``(groups, 4)`` int64: TP, FP, FN, TN.
    """
    groups, index = np.unique(group, return_inverse=True)
    counts = np.zeros((len(groups), 4), np.int64)
    for tile, where in enumerate(index):
        one = Confusion.from_arrays(pred[tile], truth[tile], valid[tile])
        counts[where] += (one.tp, one.fp, one.fn, one.tn)
    return groups, counts


def _binary(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    if values.dtype == np.bool_:
        return values
    mask = values == 1
    if not np.array_equal(mask, values != 0):
        message = f"{name} must be 0 or 1 wherever it counts; leave unknown pixels out through valid"
        raise ValueError(message)
    return np.asarray(mask, dtype=np.bool_)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
