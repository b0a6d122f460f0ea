"""The paper's own claim, put to the test: the data-centric U-Net is at least as good as the attention network.

A question of non-inferiority, whose margin has to be fixed before any score is seen. The paper gives none, so
it is zero: "at least as good" is held only where the whole interval of the difference lies above zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from landslip.report.answer import why_nothing_is_claimed, why_open
from landslip.report.model import Comparison, Study
from landslip.report.words import difference

MARGIN: Final = 0
"""By how much F1 may be lower and still count as equally good."""

Standing = Literal["held", "not held", "not settled"]


@dataclass(frozen=True)
class Claim:
    """What became of the paper's claim.

    Parameters
    ----------
    standing
        ``held``: the interval of the difference lies above zero; ``not held``: below; ``not settled``: on both
        sides, or the test does not outlast the correction for all comparisons, or the study may claim nothing.
    text
        One sentence with the interval.
    comparison
        F1 of the data-centric row less F1 of the attention row.
    """

    standing: Standing
    text: str
    comparison: Comparison


def paper_claim(study: Study) -> Claim | None:
    """Say whether the paper's claim holds in a study; None where one of its two rows is missing.

    References
    ----------
    Non-inferiority by the confidence interval: Piaggio et al. (2012), doi:10.1001/jama.2012.87802.
    """
    data, attention = study.by_role("data"), study.by_role("attention")
    found = study.compare(data.name, attention.name) if data and attention else None
    if found is None:
        return None
    standing, why = _standing(study, found)
    text = (
        "The paper’s claim that a data-centric U-Net is at least as good as an attention network "
        f"(margin {MARGIN}) is {standing} here: {why}."
    )
    return Claim(standing, text, found)


def _standing(study: Study, found: Comparison) -> tuple[Standing, str]:
    if why_nothing_is_claimed(study) or not found.difference.has_interval:
        return "not settled", "this study claims no difference between its rows"
    if not found.supported:
        return "not settled", why_open(study, found)
    above = found.difference.value > 0
    where = f"the whole interval of the difference lies {'above' if above else 'below'} zero"
    return "held" if above else "not held", f"{where} ({difference(found.difference)})"
