"""Scores per landslide instead of per pixel: which were found, which predictions were real, by size class.

A geologist counts landslides. One prediction may cover several mapped landslides, and one landslide may be
covered by several predictions; neither is punished (one-to-many matching).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_EDGES_M2 = (0.0, 1_000.0, 5_000.0, 20_000.0, float("inf"))
"""Default size classes: under ten pixels of 10 m, to 0.5 ha, to 2 ha, larger."""


@dataclass(frozen=True)
class SizeClass:
    """Scores of one size class; mapped landslides are classed by their area, predictions by theirs.

    Parameters
    ----------
    low_m2, high_m2
        Area from (inclusive) and to (exclusive).
    mapped, found_any, found_half
        Mapped landslides; of them covered at all; covered by at least half.
    predicted, real_any, real_half
        Predicted objects; of them touching a mapped landslide; at least half on mapped landslides.
    """

    low_m2: float
    high_m2: float
    mapped: int
    found_any: int
    found_half: int
    predicted: int
    real_any: int
    real_half: int

    def to_dict(self) -> dict[str, Any]:
        """Return counts and scores as JSON types; undefined scores and an open upper end are None."""
        scores: dict[str, float | None] = {}
        for rule in ("any", "half"):
            found, real = getattr(self, f"found_{rule}"), getattr(self, f"real_{rule}")
            recall = found / self.mapped if self.mapped else None
            precision = real / self.predicted if self.predicted else None
            scores[f"recall_{rule}"], scores[f"precision_{rule}"] = recall, precision
            scores[f"f1_{rule}"] = _f1(precision, recall)
        fields = ("mapped", "found_any", "found_half", "predicted", "real_any", "real_half")
        high = None if np.isinf(self.high_m2) else self.high_m2
        return {"low_m2": self.low_m2, "high_m2": high, **{name: getattr(self, name) for name in fields}, **scores}


@dataclass(frozen=True)
class LandslideScores:
    """Scores over all sizes and by size class, with the numbers of each landslide behind them.

    Parameters
    ----------
    overall
        All sizes together.
    classes
        One per size class, small to large.
    ids, area_m2, covered
        ``(mapped,)``: id of each mapped landslide, its area, the share of it that was predicted.
    """

    overall: SizeClass
    classes: tuple[SizeClass, ...]
    ids: NDArray[np.int64]
    area_m2: NDArray[np.float64]
    covered: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON types, without the single landslides."""
        return {"overall": self.overall.to_dict(), "classes": [one.to_dict() for one in self.classes]}


def per_landslide(
    pred: NDArray[np.bool_],
    landslide: NDArray[Any],
    valid: NDArray[np.bool_] | None = None,
    *,
    pixel_area_m2: float = 100.0,
    edges_m2: Sequence[float] = SIZE_EDGES_M2,
) -> LandslideScores:
    """Match predicted objects with mapped landslides, one to many.

    Parameters
    ----------
    pred
        ``(rows, cols)`` or ``(n, rows, cols)``: predicted landslide pixels. Predicted objects are connected
        over edges and corners, within a tile where there are several.
    landslide
        The same shape: 0, or the id of the mapped landslide; an id may go over several tiles.
    valid
        Which pixels count (valid layers, known label); others are neither mapped nor predicted.
    pixel_area_m2
        Area of a pixel.
    edges_m2
        Edges of the size classes, ascending.

    Returns
    -------
    LandslideScores
        A landslide is found by half where at least half of its counted pixels are predicted; a predicted
        object is real by half where at least half of its pixels lie on mapped landslides, whichever.
    """
    from scipy import ndimage  # kept out of the import of this room: prepared tiles train without it

    valid = np.ones(pred.shape, np.bool_) if valid is None else valid
    pred, mapped = pred & valid, np.where(valid, landslide, 0)
    ids, index = np.unique(mapped, return_inverse=True)
    index = index.reshape(mapped.shape)
    if not len(ids) or ids[0] != 0:  # no background at all
        ids, index = np.concatenate([[0], ids]), index + 1
    area = np.bincount(index.ravel(), minlength=len(ids))[1:]
    hit = np.bincount(index[pred], minlength=len(ids))[1:]
    covered = np.asarray(hit / np.maximum(area, 1), np.float64)

    plane = np.ones((3, 3), np.bool_)
    structure = plane if pred.ndim == 2 else np.stack([~plane, plane, ~plane])
    objects, n = ndimage.label(pred, structure)
    sizes = np.bincount(objects.ravel(), minlength=n + 1)[1:]
    on_mapped = np.bincount(objects[mapped > 0], minlength=n + 1)[1:]
    real = np.asarray(on_mapped / np.maximum(sizes, 1), np.float64)

    areas, sizes_m2 = (np.asarray(n * pixel_area_m2, np.float64) for n in (area, sizes))
    classes = tuple(
        _size_class(low, high, areas, covered, sizes_m2, real) for low, high in itertools.pairwise(edges_m2)
    )
    overall = _size_class(0.0, float("inf"), areas, covered, sizes_m2, real)
    return LandslideScores(overall, classes, ids[1:].astype(np.int64), areas, covered)


def _size_class(
    low: float,
    high: float,
    areas: NDArray[np.float64],
    covered: NDArray[np.float64],
    sizes: NDArray[np.float64],
    real: NDArray[np.float64],
) -> SizeClass:
    mapped, predicted = (areas >= low) & (areas < high), (sizes >= low) & (sizes < high)
    covered, real = covered[mapped], real[predicted]
    return SizeClass(
        low,
        high,
        int(mapped.sum()),
        int((covered > 0).sum()),
        int((covered >= 0.5).sum()),
        int(predicted.sum()),
        int((real > 0).sum()),
        int((real >= 0.5).sum()),
    )


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
