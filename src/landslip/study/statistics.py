"""Intervals and tests: spatial blocks and seeds resampled together, rows compared on the same draws.

Pixels next to one another are not independent, and neither are runs that share test blocks; so blocks, not
pixels, are drawn, and all rows are scored on the same draw before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.wording import counted

FEWEST_BLOCKS = 20
"""With fewer blocks in the test part a study claims nothing: the bootstrap would be too sure of itself."""

LEVEL = 0.05

Counts = NDArray[np.int64]
"""``(seeds, blocks, 4)``: TP, FP, FN, TN of one row."""


@dataclass(frozen=True)
class Draws:
    """How often each seed and each block comes up in every draw.

    Parameters
    ----------
    seeds, blocks
        ``(draws, seeds)`` and ``(draws, blocks)`` int64; each row sums to the number of seeds or blocks.
    """

    seeds: NDArray[np.int64]
    blocks: NDArray[np.int64]

    @classmethod
    def make(cls, seeds: int, blocks: int, draws: int, *, seed: int = 0) -> Draws:
        """Draw with replacement, seeds and blocks independently (a two-way bootstrap).

        References
        ----------
        Resampling crossed factors independently: Owen (2007), doi:10.1214/07-AOAS122; spatial blocks: Lahiri
        (2003), Resampling Methods for Dependent Data.
        """
        rng = np.random.default_rng(seed)
        return cls(
            rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(np.int64),
            rng.multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(np.int64),
        )

    def scores(self, counts: Counts) -> dict[str, NDArray[np.float64]]:
        """Scores of a row in every draw, ``(draws,)`` each: counts are added up first."""
        drawn = np.einsum("ds,db,sbk->dk", self.seeds, self.blocks, counts, optimize=True)
        return scores_of(drawn)


def scores_of(counts: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Precision, recall, F1, IoU and MCC of ``(..., 4)`` counts; nan where undefined."""
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / (np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)),
        }


def estimate(value: float, draws: NDArray[np.float64] | None) -> dict[str, float | None]:
    """Make a figure with its 95 % percentile interval, as JSON types; draws without a value are left out."""
    low = high = None
    if draws is not None and np.isfinite(draws).any():
        low, high = (float(edge) for edge in np.nanpercentile(draws, (2.5, 97.5)))
    return {"value": float(value) if np.isfinite(value) else None, "low": low, "high": high}


def row_estimates(counts: Counts, draws: Draws | None) -> dict[str, dict[str, float | None]]:
    """Scores of a row over all seeds and blocks, with intervals when there are draws."""
    values = scores_of(counts.sum(axis=(0, 1)))
    drawn = draws.scores(counts) if draws is not None else {}
    return {name: estimate(float(value), drawn.get(name)) for name, value in values.items()}


def two_sided_p(differences: NDArray[np.float64]) -> float:
    """Two-sided bootstrap p-value of a difference being zero; never exactly zero.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap Methods and their Application, equation 4.11 (the added one).
    """
    finite = differences[np.isfinite(differences)]
    if not finite.size:
        return 1.0
    below, above = np.count_nonzero(finite <= 0), np.count_nonzero(finite >= 0)
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + finite.size)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of a family of tests.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, (len(p_values) - rank) * p_values[i])
        corrected[i] = min(1.0, running)
    return corrected


@dataclass(frozen=True)
class Difference:
    """F1 of one row less that of another, over the same pixels and draws."""

    a: str
    b: str
    value: float
    draws: NDArray[np.float64]


def compare(a: str, b: str, counts_a: Counts, counts_b: Counts, draws: Draws) -> Difference:
    """Compare two rows draw by draw."""
    value = scores_of(counts_a.sum(axis=(0, 1)))["f1"] - scores_of(counts_b.sum(axis=(0, 1)))["f1"]
    return Difference(a, b, float(value), draws.scores(counts_a)["f1"] - draws.scores(counts_b)["f1"])


def comparisons_as_json(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Correct a family of differences together and spell it out."""
    p = [two_sided_p(one.draws) for one in differences]
    return [
        {
            "a": one.a,
            "b": one.b,
            "difference": estimate(one.value, one.draws),
            "p": p_one,
            "p_holm": p_holm,
            "pixels": "common",
        }
        for one, p_one, p_holm in zip(differences, p, holm(p), strict=True)
    ]


def factor_effects(
    factors: Mapping[str, Mapping[str, str]],
    counts: Mapping[str, Counts],
    draws: Draws,
    *,
    words: Mapping[str, Mapping[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Mean change of F1 from the first level of each factor to each other, over rows alike in all else.

    Parameters
    ----------
    factors
        Row to its level of each factor; the first row's levels are the references.
    counts
        Row to its counts, all over the same pixels.
    draws
        Shared by all rows.
    words
        Factor to what its levels are called; those without an entry are called as they are.

    Returns
    -------
    list of dict
        ``factor``, ``label``, ``effect`` (estimate), ``p``, ``p_holm`` (over all effects), ``pairs``.
    """
    rows = [name for name in factors if factors[name] and name in counts]
    if not rows:
        return []
    drawn = {name: draws.scores(counts[name])["f1"] for name in rows}
    whole = {name: float(scores_of(counts[name].sum(axis=(0, 1)))["f1"]) for name in rows}
    found = []
    for factor, reference in factors[rows[0]].items():
        called = (words or {}).get(factor, {})
        levels = dict.fromkeys(factors[name].get(factor, "") for name in rows)
        for level in (one for one in levels if one not in (reference, "")):
            pairs = _pairs(factors, rows, factor, reference, level)
            if pairs:
                values = np.array([whole[b] - whole[a] for a, b in pairs])
                draws_of = np.mean([drawn[b] - drawn[a] for a, b in pairs], axis=0)
                label = f"{called.get(level, level)} against {called.get(reference, reference)}"
                found.append((factor, label, float(values.mean()), draws_of, len(pairs)))
    corrected = holm([two_sided_p(one[3]) for one in found])
    return [
        {"factor": factor, "label": label, "effect": estimate(value, d), "p": two_sided_p(d), "p_holm": p, "pairs": n}
        for (factor, label, value, d, n), p in zip(found, corrected, strict=True)
    ]


def _pairs(
    factors: Mapping[str, Mapping[str, str]], rows: Sequence[str], factor: str, reference: str, level: str
) -> list[tuple[str, str]]:
    def rest(name: str) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((key, value) for key, value in factors[name].items() if key != factor))

    at_reference = {rest(name): name for name in rows if factors[name].get(factor) == reference}
    return [
        (at_reference[rest(name)], name)
        for name in rows
        if factors[name].get(factor) == level and rest(name) in at_reference
    ]


def claims(seeds: int, blocks: int) -> tuple[bool, str]:
    """Whether a study may speak of differences, and if not, why.

    Returns
    -------
    tuple of bool and str
        The reason is empty when it may.
    """
    if blocks < FEWEST_BLOCKS:
        return False, (
            f"the test part has {counted(blocks, 'spatial block')}, fewer than {FEWEST_BLOCKS}: "
            "too few to tell differences from chance, so nothing is claimed"
        )
    if seeds < 2:
        return False, "one seed proves nothing: another seed may turn the order of the rows round"
    return True, ""
