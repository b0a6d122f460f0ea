"""The table of a search: one line per trial, scored on validation alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslip.bundle import Bundle

_SCORES = {
    "validation_f1": "F1",
    "validation_precision": "precision",
    "validation_recall": "recall",
    "validation_loss": "validation loss",
    "train_f1": "F1 in training",
}

WARNING = (
    "Chosen by F1 on validation, each at the threshold that is best there: the first line flatters itself, the more so "
    "the more was tried. The test part was not looked at; `landslip train best.toml --out RUN` scores it, once."
)


def record_of(number: int, settings: dict[str, Any], bundle: Bundle | None, failed: str) -> dict[str, Any]:
    """Make the record of a trial; without a bundle it has failed, and why."""
    record: dict[str, Any] = {"trial": number, "settings": settings, **dict.fromkeys(_SCORES), "threshold": None}
    record |= {"best_epoch": None, "epochs": None, "failed": failed}
    if bundle is None:
        return record
    seen = bundle.scores["validation"]
    scores = {name: seen["at_threshold"][name.removeprefix("validation_")] for name in list(_SCORES)[:3]}
    scores |= {"validation_loss": seen["loss"], "train_f1": bundle.scores["train"]["at_threshold"]["f1"]}
    facts = {name: bundle.training[name] for name in ("best_epoch", "epochs")}
    return record | scores | {"threshold": bundle.threshold} | facts


def as_csv(table: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Write all figures in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = (*_SCORES, "threshold", "best_epoch", "epochs", "failed")
    writer.writerow(("rank", "trial", *names, *columns))
    for record in table:
        tried = [_value(record["settings"][name]) for name in names]
        writer.writerow((record["rank"], record["trial"], *tried, *(record[name] for name in columns)))
    return text.getvalue()


def as_markdown(table: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Write what is read, with what it means."""
    head = ("", "trial", *names, *_SCORES.values(), "threshold", "best epoch")
    lines = [WARNING, "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for record in table:
        tried = [_value(record["settings"][name]).replace("|", "\\|") for name in names]
        scores = ["–" if record[name] is None else f"{record[name]:.3f}" for name in (*_SCORES, "threshold")]
        cells = (
            str(record["rank"] or "failed"),
            str(record["trial"]),
            *tried,
            *scores,
            str(record["best_epoch"] or "–"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a setting takes
    return value if isinstance(value, str) else json.dumps(value)
