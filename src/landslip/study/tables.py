"""Table 1: one line per row, the paper's figures beside ours, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from landslip.report.paper import TABLE_1

_SCORES = ("precision", "recall", "f1", "iou", "mcc")


def table_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flatten the rows of ``study.json`` to one record of plain figures each."""
    records = []
    for row in rows:
        scores = row["scores"]
        record: dict[str, Any] = {
            "row": row["name"],
            "label": row["label"],
            "model": row["model"],
            "layers": " ".join(row["layers"]),
            "augment": row["augment"],
            "parameters": row["parameters"],
            "updates": row["updates"],
            "seeds": len(row["seeds"]),
            "train_loss": scores["train"]["loss"]["value"],
            "validation_loss": scores["validation"]["loss"]["value"],
            "test_loss": scores["test"]["loss"]["value"],
        }
        for part in ("train", "validation"):
            record |= {f"{part}_{name}": scores[part][name]["value"] for name in _SCORES}
        for name in _SCORES:
            for end in ("value", "low", "high"):
                record[f"test_{name}" if end == "value" else f"test_{name}_{end}"] = scores["test"][name][end]
        record["threshold"] = row["threshold"]
        record |= {f"chosen_{name}": row["chosen"][name]["value"] for name in _SCORES}
        paper: Mapping[str, float] = TABLE_1.get(row["paper"] or "", {})
        record |= {f"paper_{name}": paper.get(name) for name in ("precision", "recall", "f1")}
        records.append(record)
    return records


def as_csv(records: list[dict[str, Any]]) -> str:
    """Write records with six significant digits; empty where undefined."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _csv(value) for key, value in record.items()} for record in records)
    return text.getvalue()


def as_markdown(records: list[dict[str, Any]]) -> str:
    """Write the table that the paper prints, with intervals where there are."""
    head = (
        "model", "train loss", "val. loss", "precision", "recall", "F1 [95 %]", "IoU", "MCC", "F1 at chosen threshold",
        "threshold", "parameters", "updates", "paper P / R / F1",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for record in records:
        paper = " / ".join(
            _figure(record[f"paper_{name}"], 2 + (name == "f1")) for name in ("precision", "recall", "f1")
        )
        cells = (
            record["label"],
            _figure(record["train_loss"]),
            _figure(record["validation_loss"]),
            _figure(record["test_precision"]),
            _figure(record["test_recall"]),
            _figure(record["test_f1"]) + _interval(record["test_f1_low"], record["test_f1_high"]),
            _figure(record["test_iou"]),
            _figure(record["test_mcc"]),
            _figure(record["chosen_f1"]),
            _figure(record["threshold"], 2),
            _whole(record["parameters"]),
            _whole(record["updates"]),
            "" if record["paper_f1"] is None else paper,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_text(records: list[dict[str, Any]]) -> str:
    """Write the short table for a terminal."""
    width = max(len(record["label"]) for record in records)
    lines = [f"{'':{width}}  precision  recall     F1  95 % interval   paper's F1"]
    for record in records:
        interval = _interval(record["test_f1_low"], record["test_f1_high"]).strip() or "–"
        lines.append(
            f"{record['label']:{width}}  {_figure(record['test_precision']):>9}  {_figure(record['test_recall']):>6}  "
            f"{_figure(record['test_f1']):>5}  {interval:<14}  {_figure(record['paper_f1'])}"
        )
    return "\n".join(lines)


def _csv(value: Any) -> Any:  # noqa: ANN401 - any cell
    return f"{value:.6g}" if isinstance(value, float) else value


def _figure(value: float | None, decimals: int = 3) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _whole(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
