"""A model's warning that a place leaves its training range, set against what its scores lost there."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from landslip.study.evaluate import OUTSIDE

Record = dict[str, Any]


def warning_against_drop(entry: Record) -> Record:
    """Set a model's warning beside what became of its scores, for every pair of different places.

    A model warns where a layer has more than :data:`landslip.study.evaluate.OUTSIDE` of its pixels outside the 1st
    to 99th percentile of training. Its drop is F1 at home less F1 there: what somebody loses who trusts the score
    of the training place.

    Parameters
    ----------
    entry
        Matrix of a row as it stands in ``study.json``.

    Returns
    -------
    dict
        ``pairs``: for each pair ``trained``, ``tested``, ``layer``, ``share`` (the worst layer's), ``warned``,
        ``drop`` (None where a score is undefined); ``rank_correlation`` of share and drop (Spearman's, None below
        three pairs); ``drop_warned`` and ``drop_silent``, the mean drops with and without a warning (None without a
        pair).
    """
    places, f1, pairs = entry["places"], entry["f1"], []
    for i, j in itertools.permutations(range(len(places)), 2):
        here, there = f1[i][i], f1[i][j]
        known = here is not None and there is not None and None not in (here["value"], there["value"])
        pairs.append(
            {
                "trained": places[i],
                "tested": places[j],
                **entry["worst"][i][j],
                "warned": bool(entry["worst"][i][j]["share"] > OUTSIDE),
                "drop": here["value"] - there["value"] if known else None,
            }
        )
    known_pairs = [pair for pair in pairs if pair["drop"] is not None]
    return {
        "pairs": pairs,
        "rank_correlation": _rank_correlation([p["share"] for p in known_pairs], [p["drop"] for p in known_pairs]),
        "drop_warned": _mean([p["drop"] for p in known_pairs if p["warned"]]),
        "drop_silent": _mean([p["drop"] for p in known_pairs if not p["warned"]]),
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rank_correlation(one: list[float], other: list[float]) -> float | None:
    from scipy.stats import rankdata

    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
