"""What a study does not show, in words, written from what it is."""

from __future__ import annotations

from typing import Any

from landslip.report.answer import reasons_against_claims
from landslip.report.model import Study
from landslip.report.words import capital, count, listed, number, percent, sentence
from landslip.scoring import Chance

NEARLY_ALL = 0.98
"""Share of the test pixels below which a row is said to stand on fewer."""


def limits(study: Study) -> tuple[str, ...]:
    """Collect the limits: what the numbers do not carry, then what the study itself noted.

    Parameters
    ----------
    study
        The study.

    Returns
    -------
    tuple of str
        Full sentences, each once.
    """
    found = [f"{capital(reason)}." for reason in reasons_against_claims(study)]
    if not found:
        blocks = f"{study.blocks} spatial blocks" if study.blocks else "spatial blocks"
        draws = f" ({study.draws} draws)" if study.draws else ""
        found.append(
            f"The intervals hold for this area: they resample {blocks} of the test part and {count(len(study.seeds))} "
            f"seeds{draws}, and know nothing of other places, dates or inventories."
        )
    found += _added_after_a_look(study)
    if study.simulated:
        found.append("The event is simulated: what works on it need not work on real images.")
    found.append(
        "The inventory is taken as the truth. Where it is late, generalised or shifted by a pixel, a right prediction "
        "counts as a false alarm and a wrong one as a hit."
    )
    if any(row.paper for row in study.rows):
        found.append(
            "The paper’s figures come from single runs on another cut of another area; ours and theirs are not "
            "measured on the same pixels and do not rank against each other."
        )
    found += _at_chance(study)
    found += _on_fewer_pixels(study)
    found += _still_learning(study)
    own = [*(study.info.get("limits") or []), *(study.info.get("warnings") or [])]
    said = study.info.get("claims_reason") or ""  # already told above, in full
    found += [sentence(str(text)) for text in own if text and text != said]
    return tuple(dict.fromkeys(found))


def _added_after_a_look(study: Study) -> list[str]:
    # Who adds until a difference shows finds one too often (optional stopping).
    grown = study.info.get("grown") or []
    labels = {row.name: row.label for row in study.rows}
    rows = [labels.get(name, name) for one in grown for name in one["rows"]]
    seeds = [str(seed) for one in grown for seed in one["seeds"]]
    both = (("row", rows), ("seed", seeds))
    told = [f"{word if len(some) == 1 else f'{word}s'} {listed(some)}" for word, some in both if some]
    if not told:
        return []
    return [
        "Added after a table had been written, a look that neither the intervals nor Holm’s correction know of: "
        f"{'; '.join(told)}."
    ]


def _at_chance(study: Study) -> list[str]:
    # A table of small differences hides that none of its rows may be a map at all.
    if not study.prevalence:
        return []
    floor = Chance(study.prevalence).f1
    scores = {row.label: row.score("f1") for row in study.rows}
    low = [label for label, f1 in scores.items() if f1 and (f1.value if f1.low is None else f1.low) <= floor]
    if not low:
        return []
    return [
        f"At threshold 0.5 not surely better than calling everything landslide (F1 {number(floor)}), and so no map "
        f"yet: {listed(low)}."
    ]


def _on_fewer_pixels(study: Study) -> list[str]:
    # Layers that do not reach everywhere take pixels away from a row, and its scores stand on the rest.
    totals = {row.label: sum(_counted(run) for run in row.runs) / max(1, len(row.runs)) for row in study.rows}
    most = max(totals.values(), default=0)
    fewer = [f"{label} ({percent(n / most, 0)})" for label, n in totals.items() if 0 < n < NEARLY_ALL * most]
    if not fewer:
        return []
    return [
        f"Scored on fewer test pixels than the other rows, because a layer does not reach everywhere: {listed(fewer)}. "
        "Table 1 is not like for like there; comparisons of pairs use the pixels that both have."
    ]


def _still_learning(study: Study) -> list[str]:
    # Rows that were stopped while they still got better say more about the length of training than about the data.
    known = {
        row.label: [
            run["best_epoch"] == run["epochs"] for run in row.runs if run.get("best_epoch") and run.get("epochs")
        ]
        for row in study.rows
    }
    short = [label for label, last in known.items() if 2 * sum(last) > len(last)]
    if not short:
        return []
    return [
        f"Least validation loss in the last epoch in most of their runs, so that longer training may change scores and "
        f"order: {listed(short)}."
    ]


def _counted(run: dict[str, Any]) -> int:
    scores = (run.get("scores") or {}).get("test") or {}
    return sum(scores.get(name) or 0 for name in ("tp", "fp", "fn", "tn"))
