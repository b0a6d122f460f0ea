"""The tables of a report: cells as text with the value that they sort by. No arithmetic beyond rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from landslip.report.charts import class_name
from landslip.report.model import Estimate, Row, Study, Transfer
from landslip.report.paper import DECIMALS, TABLE_1
from landslip.report.words import interval, number, percent, signed, thousands

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


def _figure(found: Estimate | None, paper: str = "", decimals: int = 3) -> Cell:
    if found is None:
        return Cell("–", paper=paper)
    return Cell(number(found.value, decimals), found.value, interval(found, decimals), paper)


def _word(text: str) -> Cell:
    return Cell(text, text.casefold())


def _whole(value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    return Cell(thousands(value), float(value)) if isinstance(value, int | float) else Cell("–")


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
        cells = [_word(row.label)]
        for key, part, metric in wanted:
            theirs = number(paper[key], DECIMALS[key]) if key in paper else ""
            cells.append(_figure(row.score(metric, part), theirs))
        for metric in ("iou", "mcc"):
            cells.append(_figure(row.score(metric)))
        cells.append(_figure(row.chosen.get("f1")))
        rows.append(tuple(cells))
    heads = ("Row", "Training loss", "Validation loss", "Precision", "Recall", "F1", "IoU", "MCC", "F1, chosen threshold")
    caption = "Scores on the test part at threshold 0.5; below each figure its 95 % interval, where there is one, and the paper’s figure."
    return Table("table-1", caption, heads, tuple(rows))


def comparison_table(study: Study) -> Table | None:
    """Differences of F1 between rows, with what they support."""
    labels = {row.name: row.label for row in study.rows}
    rows = []
    for found in study.comparisons:
        d = found.difference
        span = f"{signed(d.low)} to {signed(d.high)}" if d.low is not None and d.high is not None else "–"
        rows.append(
            (
                _word(labels.get(found.a, found.a)),
                _word(labels.get(found.b, found.b)),
                Cell(signed(d.value), d.value),
                Cell(span, d.low),
                _p(found.p),
                _p(found.p_holm),
                _word(_verdict(study, found.supported, found.difference.value)),
            )
        )
    if not rows:
        return None
    heads = ("Row", "less", "Difference of F1", "95 % interval", "p", "Holm’s p", "Supported")
    text = "Pairs of rows on the same draws. A difference counts as supported where its interval leaves zero out and p after Holm’s correction is below 0.05."
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


def parts_table(study: Study) -> Table:
    """All scores on all parts, at 0.5 and at the threshold chosen on validation."""
    metrics = ("loss", "precision", "recall", "f1", "iou", "mcc")
    rows = []
    for row in study.rows:
        sets = [(PARTS[part], "0.5", row.scores.get(part, {})) for part in PARTS]
        if row.chosen:
            sets.append(("test", "chosen" if row.threshold is None else f"chosen, {number(row.threshold, 2)}", row.chosen))
        for part, threshold, scores in sets:
            if scores:
                cells = (_word(row.label), _word(part), _word(threshold), *(_figure(scores.get(m)) for m in metrics))
                rows.append(cells)
    heads = ("Row", "Part", "Threshold", "Loss", "Precision", "Recall", "F1", "IoU", "MCC")
    caption = "Every score on every part. The chosen threshold is the mean over runs of the best on validation."
    return Table("table-parts", caption, heads, tuple(rows), (0, 1, 2))


def runs_table(study: Study) -> Table | None:
    """Every single run."""
    folds = len({run.get("fold") for row in study.rows for run in row.runs}) > 1
    rows = []
    for row in study.rows:
        for run in row.runs:
            test = run.get("scores", {}).get("test", {})
            cells = [_word(row.label), _whole(run.get("seed"))]
            cells += [_word(str(run.get("fold")))] if folds else []
            cells += [_whole(run.get("epochs")), _whole(run.get("best_epoch"))]
            cells += [_plain(test.get(m)) for m in ("precision", "recall", "f1", "iou", "mcc")]
            cells += [_plain(run.get("threshold")), _plain((run.get("chosen") or {}).get("f1"))]
            rows.append(tuple(cells))
    if not rows:
        return None
    heads = ("Row", "Seed", *(("Fold",) if folds else ()), "Epochs", "Best epoch", "Precision", "Recall", "F1", "IoU", "MCC")
    heads = (*heads, "Chosen threshold", "F1 there")
    caption = "Every run by itself: scores on the test part at threshold 0.5, and at the threshold chosen on validation."
    return Table("table-runs", caption, heads, tuple(rows), (0, 2) if folds else (0,))


def _plain(value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    return Cell(number(value), float(value)) if isinstance(value, int | float) else Cell("–")


def rows_table(study: Study) -> Table:
    """What each row is: network, layers, augmentation, levers, sizes."""
    rows = []
    for row in study.rows:
        f = row.facts
        layers = f.get("layers") or []
        levers = ", ".join(_lever(k, v) for k, v in (f.get("levers") or {}).items() if v)
        rows.append(
            (
                _word(row.label),
                _word(str(f.get("model", "–"))),
                Cell(", ".join(layers) or "–", len(layers)),
                _word(str(f.get("augment") or "–")),
                _word(levers or "–"),
                _whole(f.get("parameters")),
                _whole(f.get("trained_parameters")),
                _whole(f.get("updates")),
                Cell(", ".join(str(seed) for seed in row.seeds), len(row.seeds)),
            )
        )
    heads = ("Row", "Network", "Layers", "Augmentation", "Levers", "Parameters", "Trained", "Updates", "Seeds")
    return Table("table-rows", "What each row is.", heads, tuple(rows), (0, 1, 2, 3, 4))


def _lever(name: str, value: Any) -> str:  # noqa: ANN401 - a JSON value
    name = name.replace("_", " ")
    return name if value is True else f"{name} {value}"


def curves_table(study: Study) -> Table | None:
    """Area under the precision-recall curve and calibration error per row."""
    areas = {c.row: c.area for c in study.precision_recall}
    errors = {c.row: c.area for c in study.reliability}
    brier = {name: (entry or {}).get("brier") for name, entry in (study.info.get("calibration") or {}).items()}
    rows = [
        (_word(row.label), _figure(areas.get(row.name)), _figure(errors.get(row.name)), _plain(brier.get(row.name)))
        for row in study.rows
        if row.name in areas or row.name in errors
    ]
    if not rows:
        return None
    heads = ("Row", "Area under the curve", "Expected calibration error", "Brier score")
    caption = "The curves in figures. Precision–recall area: larger is better; the other two: smaller is better."
    return Table("table-curves", caption, heads, tuple(rows))


def size_table(study: Study) -> Table | None:
    """Scores per landslide by size class, for each row."""
    if not study.size_classes:
        return None
    metrics = ("recall_any", "recall_half", "precision_half", "f1_half")
    rows = []
    for row in study.rows:
        for one in study.size_classes:
            if scores := one.scores.get(row.name):
                name = Cell(class_name(one), one.low_m2)
                mapped = Cell(thousands(one.mapped), one.mapped)
                rows.append((_word(row.label), name, mapped, *(_figure(scores.get(m), decimals=2) for m in metrics)))
    heads = ("Row", "Area", "Mapped", "Recall, touched", "Recall, by half", "Precision, by half", "F1, by half")
    caption = (
        "Landslide by landslide. A landslide is found where a prediction touches it, or covers at least half of it; a "
        "predicted object is right where at least half of it lies on mapped landslides. One may match many."
    )
    return Table("table-sizes", caption, heads, tuple(rows), (0, 1))


def effects_table(study: Study) -> Table | None:
    """Effect of each change on F1."""
    if not study.effects:
        return None
    rows = []
    for found in study.effects:
        e = found.effect
        span = f"{signed(e.low)} to {signed(e.high)}" if e.low is not None and e.high is not None else "–"
        verdict = _verdict(study, found.supported, e.value).replace("no difference", "no effect")
        cells = (_word(found.factor), _word(found.label), Cell(signed(e.value), e.value), Cell(span, e.low), _p(found.p_holm))
        rows.append((*cells, _word(verdict)))
    heads = ("Factor", "Change", "Effect on F1", "95 % interval", "Holm’s p", "Supported")
    caption = "Mean change of F1 on the test part, over all rows that differ in this alone."
    return Table("table-effects", caption, heads, tuple(rows), (0, 1, 5))


def transfer_table(found: Transfer, index: int, label: str) -> Table:
    """F1 trained on the place of the row, tested on the place of the column."""
    rows = []
    for place, line in zip(found.places, found.f1, strict=True):
        cells = [_word(place)]
        for value in line:
            shade = None if value is None else min(1.0, max(0.0, value.value))
            cell = _figure(value, decimals=2)
            cells.append(Cell(cell.text, cell.sort, cell.note, shade=shade))
        rows.append(tuple(cells))
    heads = ("Trained on", *(f"tested on {place}" for place in found.places))
    title = found.title or f"F1 of the {label} trained on one place and tested on another."
    return Table(f"table-transfer-{index}", title, heads, tuple(rows))


def split_table(study: Study) -> Table | None:
    """Tiles, pixels, landslides and blocks of each part."""
    parts: Sequence[dict[str, Any]] = (study.info.get("split") or {}).get("parts") or []
    if not parts:
        return None
    folds = len({part.get("fold") for part in parts}) > 1
    rows = []
    for part in parts:
        cells = [_word(PARTS.get(str(part["part"]), str(part["part"])))]
        cells += [_word(str(part.get("fold")))] if folds else []
        cells += [_whole(part.get(name)) for name in ("tiles", "pixels", "landslide_pixels", "landslides")]
        share = part.get("prevalence")
        cells.append(Cell(percent(share, 2), share) if share is not None else Cell("–"))
        cells.append(_whole(part.get("blocks")))
        rows.append(tuple(cells))
    heads = ("Part", *(("Fold",) if folds else ()), "Tiles", "Pixels", "Landslide pixels", "Landslides", "Prevalence", "Blocks")
    caption = "What each part holds. Prevalence: share of landslide among the pixels that count."
    return Table("table-split", caption, heads, tuple(rows), (0, 1) if folds else (0,))


def seeds_of(rows: Sequence[Row]) -> int:
    """Return the largest number of seeds of a row."""
    return max((len(row.seeds) for row in rows), default=0)
