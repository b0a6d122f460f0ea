"""The long tables of a report: every part, every run, every row's settings, every size class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landslip.report.charts import class_name
from landslip.report.model import Study
from landslip.report.tables import PARTS, Cell, Table, figure, plain_figure, whole, word
from landslip.report.words import number, percent, thousands


def parts_table(study: Study) -> Table:
    """All scores on all parts, at 0.5 and at the threshold chosen on validation."""
    metrics = ("loss", "precision", "recall", "f1", "iou", "mcc")
    rows = []
    for row in study.rows:
        sets = [(PARTS[part], "0.5", row.scores.get(part, {})) for part in PARTS]
        if row.chosen:
            sets.append(
                ("test", "chosen" if row.threshold is None else f"chosen, {number(row.threshold, 2)}", row.chosen)
            )
        for part, threshold, scores in sets:
            if scores:
                cells = (word(row.label), word(part), word(threshold), *(figure(scores.get(m)) for m in metrics))
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
            cells = [word(row.label), whole(run.get("seed"))]
            cells += [word(str(run.get("fold")))] if folds else []
            cells += [whole(run.get("epochs")), whole(run.get("best_epoch"))]
            cells += [plain_figure(test.get(m)) for m in ("precision", "recall", "f1", "iou", "mcc")]
            cells += [plain_figure(run.get("threshold")), plain_figure((run.get("chosen") or {}).get("f1"))]
            rows.append(tuple(cells))
    if not rows:
        return None
    heads = (
        "Row",
        "Seed",
        *(("Fold",) if folds else ()),
        "Epochs",
        "Best epoch",
        "Precision",
        "Recall",
        "F1",
        "IoU",
        "MCC",
    )
    heads = (*heads, "Chosen threshold", "F1 there")
    caption = (
        "Every run by itself: scores on the test part at threshold 0.5, and at the threshold chosen on validation."
    )
    return Table("table-runs", caption, heads, tuple(rows), (0, 2) if folds else (0,))


def rows_table(study: Study) -> Table:
    """Tell what each row is: network, layers, augmentation, levers, sizes."""
    first = study.rows[0].facts.get("train") or {}
    rows = []
    for row in study.rows:
        f = row.facts
        layers = f.get("layers") or []
        rows.append(
            (
                word(row.label),
                word(str(f.get("model", "–"))),
                Cell(", ".join(layers) or "–", len(layers)),
                word(str(f.get("augment") or "–")),
                word(_otherwise(f, first) or "–"),
                whole(f.get("parameters")),
                whole(f.get("trained_parameters")),
                whole(f.get("updates")),
                Cell(", ".join(str(seed) for seed in row.seeds), len(row.seeds)),
            )
        )
    heads = ("Row", "Network", "Layers", "Augmentation", "Otherwise", "Parameters", "Trained", "Updates", "Seeds")
    caption = "What each row is, and how its training, or its predicting, otherwise differs from the first row’s."
    return Table("table-rows", caption, heads, tuple(rows), (0, 1, 2, 3, 4))


_OWN_COLUMN = {"model", "layers", "augment", "seed"}


def _otherwise(facts: dict[str, Any], first: dict[str, Any]) -> str:
    train = facts.get("train") or {}
    found = [_lever(k, v) for k, v in (facts.get("levers") or {}).items() if v]
    found += [_lever(k, v) for k, v in train.items() if k not in _OWN_COLUMN and k in first and v != first[k]]
    if facts.get("variants", "none") != "none":
        found.append(f"test-time variants {facts['variants']}")
    if facts.get("matched_to"):
        found.append(f"as many updates as {facts['matched_to']}")
    found += [f"{thousands(facts[name])} {name}" for name in ("trees", "objects") if facts.get(name)]
    return ", ".join(found)


def _lever(name: str, value: Any) -> str:  # noqa: ANN401 - a JSON value
    name = name.replace("_", " ")
    return name if value is True else f"{name} {value}"


def size_table(study: Study) -> Table | None:
    """Scores per landslide by size class, for each row."""
    if not study.size_classes:
        return None
    metrics = ("recall_any", "recall_half", "precision_any", "precision_half", "f1_any", "f1_half")
    rows = []
    for row in study.rows:
        for one in (study.all_sizes, *study.size_classes):
            if one is not None and (scores := one.scores.get(row.name)):
                name = Cell("all", -1.0) if one is study.all_sizes else Cell(class_name(one), one.low_m2)
                mapped = Cell(thousands(one.mapped), one.mapped)
                rows.append((word(row.label), name, mapped, *(figure(scores.get(m), decimals=2) for m in metrics)))
    scores_ = [f"{score}, {rule}" for score in ("Recall", "Precision", "F1") for rule in ("touched", "by half")]
    heads = ("Row", "Area", "Mapped", *scores_)
    caption = (
        "Landslide by landslide. A landslide is found where predictions touch it, or cover at least half of it; a "
        "predicted object is right where it touches mapped landslides, or at least half of it lies on them. One may "
        "match many."
    )
    return Table("table-sizes", caption, heads, tuple(rows), (0, 1))


def split_table(study: Study) -> Table | None:
    """Tiles, pixels, landslides and blocks of each part."""
    parts: Sequence[dict[str, Any]] = (study.info.get("split") or {}).get("parts") or []
    if not parts:
        return None
    folds = len({part.get("fold") for part in parts}) > 1
    rows = []
    for part in parts:
        cells = [word(PARTS.get(str(part["part"]), str(part["part"])))]
        cells += [word(str(part.get("fold")))] if folds else []
        cells += [whole(part.get(name)) for name in ("tiles", "pixels", "landslide_pixels", "landslides")]
        share = part.get("prevalence")
        cells.append(Cell(percent(share, 2), share) if share is not None else Cell("–"))
        cells.append(whole(part.get("blocks")))
        rows.append(tuple(cells))
    heads = (
        "Part",
        *(("Fold",) if folds else ()),
        "Tiles",
        "Pixels",
        "Landslide pixels",
        "Landslides",
        "Prevalence",
        "Blocks",
    )
    caption = "What each part holds. Prevalence: share of landslide among the pixels that count."
    return Table("table-split", caption, heads, tuple(rows), (0, 1) if folds else (0,))
