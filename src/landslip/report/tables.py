"""The tables of a report: cells as text with the value that they sort by. No arithmetic beyond rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landslip.report.model import Estimate, Row, Study
from landslip.report.paper import DECIMALS, TABLE_1
from landslip.report.words import area, interval, listed, number, percent, signed, thousands
from landslip.scoring import Chance

PARTS = {"train": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text
        What it says.
    sort
        What it sorts by; None goes last either way.
    note
        A smaller line below: the interval.
    paper
        The paper's figure, below that.
    shade
        0 to 1: strength of a tinted ground, or None.
    """

    text: str
    sort: float | str | None = None
    note: str = ""
    paper: str = ""
    shade: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column names the row."""

    ident: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text_columns: tuple[int, ...] = (0,)
    """Columns that hold words and are set flush left."""
    sortable: bool = True


def figure(found: Estimate | None, paper: str = "", decimals: int = 3) -> Cell:
    """Return a cell with an estimate, its interval below, and the paper's figure below that."""
    if found is None:
        return Cell("–", paper=paper)
    return Cell(number(found.value, decimals), found.value, interval(found, decimals), paper)


def word(text: str) -> Cell:
    """Return a cell with words, sorted by alphabet."""
    return Cell(text, text.casefold())


def whole(value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    """Return a cell with a whole number."""
    return Cell(thousands(value), float(value)) if isinstance(value, int | float) else Cell("–")


_HEADS = (
    "Row",
    "Training loss",
    "Validation loss",
    "Precision",
    "Recall",
    "F1",
    "IoU",
    "MCC",
    "F1, chosen threshold",
)


def main_table(study: Study) -> Table:
    """Table 1: the rows as the paper has them, its figures below ours."""
    wanted = (
        ("train_loss", "train", "loss"),
        ("validation_loss", "validation", "loss"),
        ("precision", "test", "precision"),
        ("recall", "test", "recall"),
        ("f1", "test", "f1"),
    )
    rows = []
    for row in study.rows:
        paper = TABLE_1.get(row.paper or "", {})
        cells = [word(row.label)]
        for key, part, metric in wanted:
            theirs = number(paper[key], DECIMALS[key]) if key in paper else ""
            cells.append(figure(row.score(metric, part), theirs))
        for metric in ("iou", "mcc"):
            cells.append(figure(row.score(metric)))
        cells.append(figure(row.chosen.get("f1")))
        rows.append(tuple(cells))
    rows.extend(chance_rows(study))
    found = [row.score("f1") for row in study.rows]
    below = [
        "its 95 % interval" if any(one is not None and one.has_interval for one in found) else "",
        "the paper’s figure" if any(row.paper in TABLE_1 for row in study.rows) else "",
    ]
    caption = "Scores on the test part at threshold 0.5"
    caption += f"; below each figure {listed([text for text in below if text])}." if any(below) else "."
    if study.prevalence is not None:
        caption += (
            f" The last two rows are what chance gives where {percent(study.prevalence, 2)} is landslide: for a guess "
            "that calls a share q landslide, F1 is 2pq / (p + q) at prevalence p (Lipton et al. 2014)."
        )
    return Table("table-1", caption, _HEADS, tuple(rows))


def chance_rows(study: Study) -> list[tuple[Cell, ...]]:
    """Return the rows of Table 1 that no model has made: everything called landslide, and a guess at the prevalence."""
    share = study.prevalence
    if share is None:
        return []
    none = Cell("–")
    rows = []
    for label, called in (("Chance: everything is landslide", 1.0), ("Chance: a guess at the prevalence", share)):
        chance = Chance(share, called)
        found = [figure(Estimate(value)) for value in (chance.precision, chance.recall, chance.f1, chance.iou)]
        mcc = none if called == 1 else figure(Estimate(0.0))  # undefined where nothing is called not landslide
        rows.append((word(label), none, none, *found, mcc, none))
    return rows


def comparison_table(study: Study) -> Table | None:
    """Differences of F1 between rows, with what they support."""
    labels = {row.name: row.label for row in study.rows}
    rows = []
    for found in study.comparisons:
        d = found.difference
        span = f"{signed(d.low)} to {signed(d.high)}" if d.low is not None and d.high is not None else "–"
        rows.append(
            (
                word(labels.get(found.a, found.a)),
                word(labels.get(found.b, found.b)),
                Cell(signed(d.value), d.value),
                Cell(span, d.low),
                _p(found.p),
                _p(found.p_holm),
                word(_verdict(study, found.supported, found.difference.value)),
            )
        )
    if not rows:
        return None
    heads = ("Row", "less", "Difference of F1", "95 % interval", "p", "Holm’s p", "Supported")
    text = (
        "Pairs of rows on the same draws. A difference counts as supported where its interval leaves zero out and p "
        "after Holm’s correction is below 0.05."
    )
    return Table("table-comparisons", text, heads, tuple(rows), (0, 1, 6))


def _verdict(study: Study, supported: bool, value: float) -> str:
    from landslip.report.answer import why_nothing_is_claimed

    if why_nothing_is_claimed(study):
        return "not claimed"
    return ("higher" if value > 0 else "lower") if supported else "no difference"


def _p(value: float | None) -> Cell:
    if value is None:
        return Cell("–")
    return Cell("< 0.001" if value < 0.001 else number(value), value)


def plain_figure(value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    """Return a cell with a figure that has no interval."""
    return Cell(number(value), float(value)) if isinstance(value, int | float) else Cell("–")


def curves_table(study: Study) -> Table | None:
    """Area under the precision-recall curve and calibration error per row."""
    areas = {c.row: c.area for c in study.precision_recall}
    errors = {c.row: c.area for c in study.reliability}
    brier = {name: (entry or {}).get("brier") for name, entry in (study.info.get("calibration") or {}).items()}
    rows = [
        (word(row.label), figure(areas.get(row.name)), figure(errors.get(row.name)), plain_figure(brier.get(row.name)))
        for row in study.rows
        if row.name in areas or row.name in errors
    ]
    if not rows:
        return None
    heads = ("Row", "Area under the curve", "Expected calibration error", "Brier score")
    caption = "The curves in figures. Precision–recall area: larger is better; the other two: smaller is better."
    return Table("table-curves", caption, heads, tuple(rows))


def areas_table(study: Study) -> Table | None:
    """Give what sums up the area-frequency curves."""
    known = [curve for curve in study.area_frequency if curve.numbers]
    if not known:
        return None
    rows = []
    for curve in known:
        n = curve.numbers
        sizes = [n.get(name) for name in ("median_m2", "largest_m2", "total_m2")]
        cells = [Cell(area(value), value) if value is not None else Cell("–") for value in sizes]
        often = float(curve.x[np.argmax(curve.y)]) if curve.x.size else None
        rows.append(
            (
                word(curve.label),
                whole(n.get("landslides")),
                Cell(area(often), often) if often is not None else Cell("–"),
                *cells,
            )
        )
    heads = ("Landslides", "Number", "Most frequent", "Median", "Largest", "Total")
    caption = "How many and how large, in the test part; of a row, number and total are means over its seeds."
    return Table("table-areas", caption, heads, tuple(rows))


def effects_table(study: Study) -> Table | None:
    """Effect of each change on F1."""
    if not study.effects:
        return None
    rows = []
    for found in study.effects:
        e = found.effect
        span = f"{signed(e.low)} to {signed(e.high)}" if e.low is not None and e.high is not None else "–"
        verdict = _verdict(study, found.supported, e.value).replace("no difference", "no effect")
        cells = (
            word(found.factor),
            word(found.label),
            Cell(signed(e.value), e.value),
            Cell(span, e.low),
            _p(found.p_holm),
        )
        rows.append((*cells, word(verdict)))
    heads = ("Factor", "Change", "Effect on F1", "95 % interval", "Holm’s p", "Supported")
    caption = "Mean change of F1 on the test part, over all rows that differ in this alone."
    return Table("table-effects", caption, heads, tuple(rows), (0, 1, 5))


def seeds_of(rows: Sequence[Row]) -> int:
    """Return the largest number of seeds of a row."""
    return max((len(row.seeds) for row in rows), default=0)
