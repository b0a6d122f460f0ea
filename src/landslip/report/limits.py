"""What a study does not show, in words, written from what it is."""

from __future__ import annotations

from landslip.report.answer import reasons_against_claims
from landslip.report.model import Study
from landslip.report.words import capital, count, sentence


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
    own = [*(study.info.get("limits") or []), *(study.info.get("warnings") or [])]
    said = study.info.get("claims_reason") or ""  # already told above, in full
    found += [sentence(str(text)) for text in own if text and text != said]
    return tuple(dict.fromkeys(found))
