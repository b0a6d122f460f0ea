"""How far models travel: matrices of F1 between places, and the model's own warning beside what it lost."""

from __future__ import annotations

from typing import Any

from landslip.report.model import FEWEST_BLOCKS, Study, Transfer
from landslip.report.tables import Cell, Table, figure, word
from landslip.report.words import count, number, percent, signed
from landslip.wording import counted


def transfer_tables(study: Study) -> list[Table]:
    """Make one matrix per row, as it is and after fine-tuning."""
    labels = {row.name: row.label for row in study.rows}
    return [_matrix(one, i, labels.get(one.row, one.row)) for i, one in enumerate(study.transfer)]


def _matrix(found: Transfer, index: int, label: str) -> Table:
    """F1 trained on the place of the row, tested on the place of the column."""
    rows = []
    for place, line in zip(found.places, found.f1, strict=True):
        cells = [word(place)]
        for j, value in enumerate(line):
            shown = value.bare() if value is not None and not found.trusted(j) else value
            cell = figure(shown, decimals=2)
            shade = None if value is None else min(1.0, max(0.0, value.value))
            cells.append(Cell(cell.text, cell.sort, cell.note, shade=shade))
        rows.append(tuple(cells))
    heads = [f"tested on {place}" for place in found.places]
    if found.blocks:
        heads = [f"{head} ({counted(n, 'block')})" for head, n in zip(heads, found.blocks, strict=True)]
    caption = f"F1. {found.title}." if found.title else f"F1 of the {label} trained on one place and tested on another."
    if found.seeds < 2:
        caption += " One seed: no intervals."
    elif not all(found.trusted(j) for j in range(len(found.places))):
        caption += f" No interval where the test part has fewer than {FEWEST_BLOCKS} blocks."
    return Table(f"table-transfer-{index}", caption, ("Trained on", *heads), tuple(rows))


def warning_table(study: Study) -> Table | None:
    """Give, for every pair of places, how much lies outside the training range and what F1 lost."""
    labels = {row.name: row.label for row in study.rows}
    rows = []
    for one in study.transfer:
        for pair in one.warning.get("pairs", []):
            drop = pair["drop"]
            rows.append(
                (
                    word(labels.get(one.row, one.row)),
                    word(str(pair["trained"])),
                    word(str(pair["tested"])),
                    word(str(pair["layer"])),
                    Cell(percent(pair["share"]), pair["share"]),
                    word("yes" if pair["warned"] else "no"),
                    Cell("–") if drop is None else Cell(signed(-drop), -drop),
                )
            )
    if not rows:
        return None
    heads = ("Row", "Trained on", "Tested on", "Worst layer", "Outside the range", "Warns", "Change of F1")
    caption = (
        "The model’s warning (more than 5 % of a layer’s pixels outside the 1st to 99th percentile of training) beside "
        "the change of F1 from the training place to the other."
    )
    return Table("table-warning", caption, heads, tuple(rows), (0, 1, 2, 3, 5))


def warning_words(study: Study) -> list[str]:
    """Say in a sentence for each row whether the warning went with a loss; no claim is made from few pairs."""
    labels = {row.name: row.label for row in study.rows}
    return [f"{labels.get(one.row, one.row)}: {text}." for one in study.transfer if (text := _in_words(one.warning))]


def _in_words(warning: dict[str, Any]) -> str:
    known = [pair for pair in warning.get("pairs", []) if pair["drop"] is not None]
    if not known:
        return ""
    warned = sum(pair["warned"] for pair in known)
    told = [
        f"it warned of {count(n)} of {count(len(known))} pairs of places, where F1 changed by {signed(-value, 2)}"
        if key == "drop_warned"
        else f"where it did not warn ({count(n)}), F1 changed by {signed(-value, 2)}"
        for key, n in (("drop_warned", warned), ("drop_silent", len(known) - warned))
        if (value := warning[key]) is not None
    ]
    if warning.get("rank_correlation") is not None:
        told.append(f"rank correlation of share outside and loss {number(warning['rank_correlation'], 2)}")
    return "; ".join(told)
