"""Drawing the validation part from what is not test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.splits.config import TRAIN, UNUSED, VALIDATION, SplitConfig

DRAWS = 64
"""Draws of validation blocks among which the best is taken."""


def best_draw(
    part: NDArray[np.uint8],
    unit: NDArray[np.int32],
    landslide: NDArray[Any] | None,
    config: SplitConfig,
    grown: Any,  # noqa: ANN401 - a function from a mask to the mask with its surroundings
) -> NDArray[np.uint8]:
    """Draw validation units from the training part; of several draws keep the one that serves best.

    Best: validation nearest to its share of pixels and of landslides, least training lost to the buffer.
    """
    rng = np.random.default_rng(config.seed)
    free = part == TRAIN
    size = np.bincount(unit[free])
    hits = np.zeros(len(size)) if landslide is None else np.bincount(unit[free & (landslide > 0)], minlength=len(size))
    there = np.flatnonzero(size)
    best, best_cost = part, math.inf
    for _ in range(DRAWS if config.design == "blocks" else 1):
        order = rng.permutation(there)
        until = int(np.argmin(np.abs(np.cumsum(size[order]) / size.sum() - config.validation_fraction))) + 1
        chosen = np.isin(unit, order[:until]) & free
        lost = grown(chosen) & free & ~chosen
        left = free & ~chosen & ~lost
        cost = abs(chosen.sum() / size.sum() - config.validation_fraction) + lost.sum() / size.sum()
        if landslide is not None:
            in_validation, in_training = hits[order[:until]].sum(), np.count_nonzero(left & (landslide > 0))
            cost += abs(in_validation / max(1.0, hits.sum()) - config.validation_fraction)
            cost += 10.0 * (in_validation == 0) + 10.0 * (in_training == 0)
        if cost + 10.0 * (not left.any()) < best_cost:
            best_cost = cost + 10.0 * (not left.any())
            best = part.copy()
            best[chosen], best[lost] = VALIDATION, UNUSED
    return best
