"""Landslides by their size: scores by class of area, and how often each area occurs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from landslip.report.charts.rows import MOST_LINES, SMALL, WIDE, keys, row_colors
from landslip.report.model import LAW, Curve, Row, SizeClass, Study
from landslip.report.style import PALETTE, Chart, Key, Panel
from landslip.report.words import area, number


def size_classes(study: Study) -> Chart | None:
    """Recall, precision and F1 of landslides by class of area, one panel per score."""
    wanted = (("recall_half", "recall"), ("precision_half", "precision"), ("f1_half", "F1"))
    present = [(m, t) for m, t in wanted if any(m in s for c in study.size_classes for s in c.scores.values())]
    if not present:
        return None
    rows = [row for row in study.rows if any(row.name in c.scores for c in study.size_classes)][:MOST_LINES]
    colors = row_colors(study.rows)
    panels = tuple(
        Panel(
            title.capitalize() if title != "F1" else title,
            partial(_draw_sizes, classes=study.size_classes, rows=rows, colors=colors, metric=metric),
            _sizes_alt(study.size_classes, rows, metric, title),
            *SMALL,
        )
        for metric, title in present
    )
    keys = tuple(Key(row.label, colors[row.name]) for row in rows)
    return Chart("size-classes", panels, keys, columns=3)


def class_name(one: SizeClass) -> str:
    """Return the class as text: ``< 1 000 m²``, ``0.1–0.5 ha``, ``≥ 2 ha``."""
    if not np.isfinite(one.high_m2):
        return f"≥ {area(one.low_m2)}"
    if one.low_m2 <= 0:
        return f"< {area(one.high_m2)}"
    low, high = area(one.low_m2), area(one.high_m2)
    same_unit = low.rpartition(" ")[2] == high.rpartition(" ")[2]
    return f"{low.rpartition(' ')[0]}–{high}" if same_unit else f"{low} – {high}"


def _sizes_alt(classes: Sequence[SizeClass], rows: Sequence[Row], metric: str, title: str) -> str:
    told = []
    for row in rows:
        values = [(class_name(c), c.scores.get(row.name, {}).get(metric)) for c in classes]
        told.append(f"{row.label}: " + ", ".join(f"{name} {number(e.value, 2)}" for name, e in values if e))
    return f"{title} of landslides by size class. {'; '.join(told)}."


def _draw_sizes(
    figure: Any,  # noqa: ANN401 - matplotlib
    classes: Sequence[SizeClass],
    rows: Sequence[Row],
    colors: dict[str, str],
    metric: str,
) -> None:
    axes = figure.subplots()
    step = 0.62 / max(1, len(rows))
    for i, row in enumerate(rows):
        found = [(k, c.scores.get(row.name, {}).get(metric)) for k, c in enumerate(classes)]
        points = [(k, e) for k, e in found if e is not None]
        if not points:  # an empty line that may leave the axes has no bounds to lay out
            continue
        x = np.array([k for k, _ in points]) + (i - (len(rows) - 1) / 2) * step
        axes.plot(x, [e.value for _, e in points], "o", color=PALETTE[colors[row.name]], clip_on=False, zorder=3)
        for at, (_, e) in zip(x, points, strict=True):
            if e.has_interval:
                axes.plot([at, at], [e.low, e.high], color=PALETTE[colors[row.name]])
    axes.set_xticks(range(len(classes)), [_short(c) for c in classes])
    axes.set(ylim=(0, 1), xlim=(-0.55, len(classes) - 0.45), xlabel="area of the landslide, ha")
    axes.grid(visible=False, axis="x")


def _short(one: SizeClass) -> str:
    low, high = f"{one.low_m2 / 1e4:g}", f"{one.high_m2 / 1e4:g}"
    if not np.isfinite(one.high_m2):
        return f"≥ {low}"
    return f"< {high}" if one.low_m2 <= 0 else f"{low}–{high}"


def area_frequency(study: Study) -> Chart | None:
    """Density of landslide areas on logarithmic axes: mapped landslides, and each row's."""
    curves = [curve for curve in study.area_frequency if curve.x.size][: MOST_LINES + 3]
    if not curves:
        return None
    told = "; ".join(
        f"{c.label}: most frequent at {area(float(c.x[np.argmax(c.y)]))}" for c in curves if c.label != LAW
    )
    alt = f"Probability density of landslide area, both axes logarithmic. {told}."
    panel = Panel("", partial(_draw_areas, study=study, curves=curves), alt, *WIDE)
    return Chart("area-frequency", (panel,), keys(study, curves))


def _draw_areas(figure: Any, study: Study, curves: Sequence[Curve]) -> None:  # noqa: ANN401 - matplotlib
    axes = figure.subplots()
    for curve, key in zip(curves, keys(study, curves), strict=True):
        own = curve.row is not None
        style = (0, (3, 1.5)) if key.dashed else "-"
        law = curve.label == LAW
        axes.plot(
            curve.x, curve.y, marker="" if law else "o", linestyle=style, color=PALETTE[key.color],
            linewidth=1.0 if law else None if own else 2.4, zorder=2 if own or law else 3,
        )  # fmt: skip
    measured = [curve.y for curve in curves if curve.label != LAW]
    if measured:  # the law alone would stretch the axis far below one landslide
        axes.set_ylim(min(float(y.min()) for y in measured) / 3, max(float(y.max()) for y in measured) * 3)
    axes.set(xscale="log", yscale="log", xlabel="area, m²", ylabel="probability density, per m²")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_power_of_ten)
        axis.set_minor_formatter("")


def _power_of_ten(value: float, _: int | None = None) -> str:
    # Plain characters, so that the SVG needs no formula layout.
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + str(round(np.log10(value))).translate(raised) if value > 0 else ""
