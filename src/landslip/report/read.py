"""A study folder as values: ``study.json``, ``config.toml`` and the runs' ``metrics.csv``. Reads, never computes."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import FormatError, InputError
from landslip.files import read_complete
from landslip.report.model import (
    LAW,
    MAPPED,
    Comparison,
    Curve,
    Effect,
    Estimate,
    Fold,
    History,
    Row,
    SizeClass,
    Study,
    Transfer,
)

CURVES = ("train_loss", "validation_loss", "train_f1", "validation_f1")
"""Columns of ``metrics.csv`` that are drawn."""


def read_study(folder: Path) -> Study:
    """Read everything but the pixels.

    Parameters
    ----------
    folder
        A finished study.

    Raises
    ------
    MissingInputError
        No such folder, or the study is not finished.
    FormatError
        ``study.json`` is damaged, newer than this version, or lacks what every study has.
    InputError
        The study has no rows.
    """
    info = read_complete(folder, "study.json", what="study")
    try:
        study = _study(info, folder)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        message = f"{folder / 'study.json'}: not as a study writes it ({error!r}); make it again with --resume"
        raise FormatError(message) from error
    if not study.rows:
        message = f"{folder}: the study has no rows to report; make it again"
        raise InputError(message)
    return study


def _study(info: dict[str, Any], folder: Path) -> Study:
    rows = tuple(_row(entry) for entry in info["rows"])
    labels = {row.name: row.label for row in rows}
    config = folder / "config.toml"
    return Study(
        title=info["title"],
        design=info["design"],
        rows=rows,
        seeds=tuple(info["seeds"]),
        kind=info["kind"],
        blocks=info.get("blocks"),
        draws=info.get("draws"),
        claims_reason="" if info.get("claims", True) else info.get("claims_reason", ""),
        simulated=bool(info.get("simulated")),
        pretrained=bool(info.get("pretrained")),
        version=str(info.get("version", "")),
        folds=tuple(Fold(f["name"], f["tiles"], f.get("split"), f.get("test", "")) for f in info.get("folds", [])),
        comparisons=tuple(_comparison(entry) for entry in info.get("comparisons") or []),
        precision_recall=_precision_recall(info.get("precision_recall") or {}, labels),
        reliability=_reliability(info.get("calibration") or {}, labels),
        size_classes=_size_classes(info.get("landslides") or {}, labels),
        all_sizes=_all_sizes(info.get("landslides") or {}, labels),
        area_frequency=_area_frequency(info.get("area_frequency") or {}, labels),
        effects=tuple(_effect(entry) for entry in info.get("effects") or []),
        transfer=tuple(_transfer(entry) for entry in info.get("transfer") or []),
        histories=tuple(h for row in rows if (h := _history(row, folder)) is not None),
        info=info,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )


def estimate(entry: Any) -> Estimate | None:  # noqa: ANN401 - a JSON value
    """Read an estimate; None where the figure is undefined."""
    if entry is None:
        return None
    if isinstance(entry, int | float):
        return Estimate(float(entry)) if math.isfinite(entry) else None
    value, low, high = entry["value"], entry.get("low"), entry.get("high")
    return None if value is None else Estimate(value, low, high)


def _estimates(entries: dict[str, Any] | None) -> dict[str, Estimate]:
    found = {name: estimate(entry) for name, entry in (entries or {}).items()}
    return {name: value for name, value in found.items() if value is not None}


def _row(entry: dict[str, Any]) -> Row:
    own = {"name", "label", "role", "paper", "seeds", "scores", "chosen", "threshold", "runs"}
    return Row(
        name=entry["name"],
        label=entry["label"],
        role=entry.get("role") or "other",
        paper=entry.get("paper"),
        seeds=tuple(entry["seeds"]),
        scores={part: _estimates(scores) for part, scores in entry["scores"].items()},
        chosen=_estimates(entry.get("chosen")),
        threshold=entry.get("threshold"),
        runs=tuple(entry.get("runs") or []),
        facts={name: value for name, value in entry.items() if name not in own},
    )


def _comparison(entry: dict[str, Any]) -> Comparison:
    difference = estimate(entry["difference"]) or Estimate(float("nan"))
    return Comparison(entry["a"], entry["b"], difference, entry.get("p"), entry.get("p_holm"))


def _effect(entry: dict[str, Any]) -> Effect:
    return Effect(
        entry["factor"], entry["label"], estimate(entry["effect"]) or Estimate(float("nan")), entry.get("p_holm")
    )


def _array(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _precision_recall(entries: dict[str, Any], labels: dict[str, str]) -> tuple[Curve, ...]:
    return tuple(
        Curve(name, label, _array(e["recall"]), _array(e["precision"]), area=estimate(e.get("area")))
        for name, label in labels.items()
        if (e := entries.get(name))
    )


def _reliability(entries: dict[str, Any], labels: dict[str, str]) -> tuple[Curve, ...]:
    curves = []
    for name, label in labels.items():
        if not (entry := entries.get(name)):
            continue
        x, y, size = _array(entry["predicted"]), _array(entry["observed"]), _array(entry["count"])
        filled = (size > 0) & np.isfinite(x) & np.isfinite(y)
        curves.append(Curve(name, label, x[filled], y[filled], size[filled], estimate(entry.get("ece"))))
    return tuple(curves)


def _size_classes(entries: dict[str, Any], labels: dict[str, str]) -> tuple[SizeClass, ...]:
    known = {name: entries[name]["classes"] for name in labels if entries.get(name)}
    if not known:
        return ()
    first = next(iter(known.values()))
    return tuple(_size_class({name: classes[i] for name, classes in known.items()}) for i in range(len(first)))


def _all_sizes(entries: dict[str, Any], labels: dict[str, str]) -> SizeClass | None:
    known = {name: entries[name]["overall"] for name in labels if (entries.get(name) or {}).get("overall")}
    return _size_class(known) if known else None


def _size_class(of_rows: dict[str, dict[str, Any]]) -> SizeClass:
    one = next(iter(of_rows.values()))
    skipped = {"low_m2", "high_m2", "mapped"}
    return SizeClass(
        low_m2=one["low_m2"],
        high_m2=float("inf") if one["high_m2"] is None else one["high_m2"],
        mapped=round(one["mapped"]),
        scores={
            name: _estimates({k: v for k, v in found.items() if k not in skipped}) for name, found in of_rows.items()
        },
    )


def _area_frequency(entries: dict[str, Any], labels: dict[str, str]) -> tuple[Curve, ...]:
    named: list[tuple[str | None, str, str]] = [
        (None, "mapped", MAPPED),
        (None, "true", "true landslides"),
        (None, "law", LAW),
    ]
    named += [(name, name, label) for name, label in labels.items()]
    sums = ("landslides", "median_m2", "largest_m2", "total_m2")
    return tuple(
        Curve(
            row,
            label,
            _array(e["area_m2"]),
            _array(e["density_per_m2"]),
            _array(e["count"]),
            numbers={name: float(e[name]) for name in sums if e.get(name) is not None},
        )
        for row, key, label in named
        if (e := entries.get(key))
    )


def _transfer(entry: dict[str, Any]) -> Transfer:
    f1 = tuple(tuple(estimate(value) for value in row) for row in entry["f1"])
    return Transfer(
        entry.get("row", ""),
        tuple(entry["places"]),
        f1,
        entry.get("title", ""),
        entry.get("seeds", 1),
        tuple(entry.get("blocks") or ()),
        entry.get("warning") or {},
    )


def _history(row: Row, folder: Path) -> History | None:
    """Put the training curves of a row's runs side by side; None for rows that have none (a forest)."""
    tables = [(run, _metrics(path)) for run in row.runs if (path := folder / run["folder"] / "metrics.csv").is_file()]
    if not tables:
        return None
    epochs = np.array(sorted({epoch for _, table in tables for epoch in table}), np.float64)
    values = {
        name: np.array([[table.get(epoch, {}).get(name, np.nan) for epoch in epochs] for _, table in tables])
        for name in CURVES
        if any(name in entry for _, table in tables for entry in table.values())
    }
    best = tuple(int(run["best_epoch"]) for run, _ in tables if run.get("best_epoch") is not None)
    return History(row.name, epochs, values, best if len(best) == len(tables) else ())


def _metrics(path: Path) -> dict[float, dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as handle:
        table: dict[float, dict[str, float]] = {}
        for line in csv.DictReader(handle):
            try:
                entry = {name: float(value) for name, value in line.items() if name in CURVES and value}
                table.setdefault(float(line["epoch"]), {}).update(entry)
            except (KeyError, ValueError) as error:
                message = f"{path}: not a table of training metrics ({error}); train the run again with --resume"
                raise FormatError(message) from error
    return table
