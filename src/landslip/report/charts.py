"""The charts of a study: training curves, precision and recall, reliability, sizes, areas, scores.

Each function turns values into a :class:`~landslip.report.style.Chart` or None where the study has none
of them; nothing is computed here that the study did not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.report.model import LAW, MAPPED, Curve, Estimate, History, Row, SizeClass, Study
from landslip.report.style import DASHES, PALETTE, ROLE_COLOR, SPARE, Chart, Key, Panel
from landslip.report.words import area, number

MOST_LINES = 8
"""Rows that one panel can tell apart; a longer study shows its first and says so."""

SMALL, WIDE = (288, 264), (372, 300)


def row_colors(rows: Sequence[Row]) -> dict[str, str]:
    """Give every row a colour name: by its role, then spare colours in order."""
    colors: dict[str, str] = {}
    spare = 0
    for row in rows:
        wanted = ROLE_COLOR.get(row.role)
        if wanted is None or wanted in colors.values():
            wanted = SPARE[spare % len(SPARE)]
            spare += 1
        colors[row.name] = wanted
    return colors


def training_curves(study: Study) -> Chart | None:
    """Figure 2: loss and F1 of training and validation by epoch, mean over seeds with the range of seeds."""
    if not study.histories:
        return None
    limit = _loss_limit(study.histories)
    panels = tuple(_training_panel(study, history, limit) for history in study.histories)
    keys = (Key("training", "row-0", dashed=True), Key("validation", "row-3"))
    return Chart("figure-2-training", panels, keys, columns=3)


def _loss_limit(histories: Sequence[History]) -> float:
    # One spike must not flatten every curve: the axis ends at the 98th percentile of all losses.
    losses = [values for h in histories for name, values in h.values.items() if name.endswith("loss")]
    joined = np.concatenate([values[np.isfinite(values)].ravel() for values in losses]) if losses else np.zeros(0)
    return float(np.percentile(joined, 98)) * 1.08 if joined.size else 1.0


def _training_panel(study: Study, history: History, loss_limit: float) -> Panel:
    label = study.row(history.row).label
    last = {name: float(np.nanmean(values[:, -1])) for name, values in history.values.items()}
    told = ", ".join(f"{name.replace('_', ' ')} {number(value, 2)}" for name, value in last.items())
    epochs = int(history.epochs[-1])
    alt = f"{label}: loss and F1 over {epochs} epoch{'s' if epochs != 1 else ''}. At the end, {told}."
    return Panel(label, partial(_draw_training, history=history, loss_limit=loss_limit), alt, 300, 330)


def _draw_training(figure: Any, history: History, loss_limit: float) -> None:  # noqa: ANN401 - matplotlib
    top, bottom = figure.subplots(2, 1, sharex=True)
    for axes, metric, name in ((top, "loss", "loss"), (bottom, "f1", "F1")):
        for part, color, style in (("train", "row-0", (0, (3, 1.5))), ("validation", "row-3", "-")):
            values = history.values.get(f"{part}_{metric}")
            if values is not None:
                _band(axes, history.epochs, values, PALETTE[color], style)
        axes.set_ylabel(name)
    top.set_ylim(0, loss_limit)
    bottom.set_ylim(0, 1)
    _mark_best(bottom, history)
    bottom.set_xlabel("epoch")
    bottom.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    if len(history.epochs) == 1:
        bottom.set_xlim(history.epochs[0] - 1, history.epochs[0] + 1)


def _mark_best(axes: Any, history: History) -> None:  # noqa: ANN401 - matplotlib
    values = history.values.get("validation_f1")
    if values is None:
        return
    for seed, epoch in enumerate(history.best_epoch):
        where = np.flatnonzero(history.epochs == epoch)
        if where.size and np.isfinite(values[seed, where[0]]):
            axes.plot(epoch, values[seed, where[0]], "o", color=PALETTE["row-3"], markerfacecolor=PALETTE["ground"])


def _band(axes: Any, x: NDArray[Any], values: NDArray[Any], color: str, style: Any) -> None:  # noqa: ANN401
    filled = np.isfinite(values).any(axis=0)
    x, values = x[filled], values[:, filled]
    if len(values) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, np.nanmean(values, axis=0), color=color, linestyle=style, marker=marker)


def precision_recall(study: Study) -> Chart | None:
    """Precision against recall over all thresholds, one line per row."""
    curves = [curve for curve in study.precision_recall if curve.row][:MOST_LINES]
    if not curves:
        return None
    told = "; ".join(f"{c.label} {number(c.area.value)}" for c in curves if c.area)
    alt = f"Precision against recall on the test part. Area under the curve: {told}."
    panel = Panel("", partial(_draw_precision_recall, study=study, curves=curves), alt, *WIDE)
    return Chart("precision-recall", (panel,), _keys(study, curves))


def _keys(study: Study, curves: Sequence[Curve]) -> tuple[Key, ...]:
    colors = row_colors(study.rows)
    return tuple(
        Key(c.label, colors[c.row], dashed=study.row(c.row).role in DASHES)
        if c.row
        else Key(c.label, "muted" if c.label == LAW else "ink", dashed=c.label != MAPPED)
        for c in curves
    )


def _draw_precision_recall(figure: Any, study: Study, curves: Sequence[Curve]) -> None:  # noqa: ANN401
    axes = figure.subplots()
    _f1_contours(axes)
    for curve, key in zip(curves, _keys(study, curves), strict=True):
        style = DASHES.get(study.row(curve.row or "").role, "-")
        axes.plot(curve.x, curve.y, color=PALETTE[key.color], linestyle=style)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="recall", ylabel="precision")


def _f1_contours(axes: Any) -> None:  # noqa: ANN401 - matplotlib
    for f1 in (0.2, 0.4, 0.6, 0.8):
        recall = np.linspace(f1 / 2 + 0.004, 1, 200)
        precision = f1 * recall / (2 * recall - f1)
        shown = precision <= 1
        axes.plot(recall[shown], precision[shown], color=PALETTE["rule"], linewidth=0.8, zorder=0)
        axes.annotate(
            f"F1 {f1}", (1, f1 / (2 - f1)), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize="small", color=PALETTE["muted"], annotation_clip=False,
        )  # fmt: skip


def reliability(study: Study) -> Chart | None:
    """Observed share of landslide against predicted probability, one small panel per row."""
    curves = [curve for curve in study.reliability if curve.x.size][:MOST_LINES]
    if not curves:
        return None
    colors = row_colors(study.rows)
    panels = tuple(
        Panel(
            curve.label,
            partial(_draw_reliability, curve=curve, color=colors.get(curve.row or "", "ink")),
            _reliability_alt(curve),
            *SMALL,
        )
        for curve in curves
    )
    return Chart("reliability", panels, columns=3)


def _reliability_alt(curve: Curve) -> str:
    error = f"Expected calibration error {number(curve.area.value)}." if curve.area else ""
    gap = float(np.average(curve.y - curve.x, weights=curve.size))
    side = "too low" if gap > 0 else "too high"
    return f"{curve.label}: observed share of landslide by predicted probability. {error} On average {side}."


def _draw_reliability(figure: Any, curve: Curve, color: str) -> None:  # noqa: ANN401 - matplotlib
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    top.plot([0, 1], [0, 1], color=PALETTE["muted"], linestyle=(0, (2, 2)), linewidth=0.9)
    top.plot(curve.x, curve.y, "o-", color=PALETTE[color], clip_on=False)
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="observed")
    if curve.size is not None and curve.size.sum() > 0:
        bottom.bar(curve.x, curve.size, width=0.04, color=PALETTE[color], linewidth=0)
        bottom.set_yscale("log")
        bottom.yaxis.set_minor_formatter("")  # within one power of ten they would be written over one another
        bottom.set_ylabel("pixels")
        bottom.tick_params(axis="y", which="minor", left=False)
        bottom.grid(visible=False)
    bottom.set_xlabel("predicted probability")


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
    return Chart("area-frequency", (panel,), _keys(study, curves))


def _draw_areas(figure: Any, study: Study, curves: Sequence[Curve]) -> None:  # noqa: ANN401 - matplotlib
    axes = figure.subplots()
    for curve, key in zip(curves, _keys(study, curves), strict=True):
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


def score_chart(entries: Sequence[tuple[str, Estimate, str, float | None]], axis: str, name: str) -> Chart | None:
    """Points with intervals, one line per entry: label, estimate, colour, the paper's figure or None.

    On the page the same is drawn in HTML; this is the version for print.
    """
    if not entries:
        return None
    alt = "; ".join(f"{label} {number(estimate.value)}" for label, estimate, _, _ in entries)
    panel = Panel(
        "", partial(_draw_scores, entries=entries, axis=axis + _marks(entries)), alt, 460, 44 + 24 * len(entries)
    )
    return Chart(name, (panel,))


def _marks(entries: Sequence[tuple[str, Estimate, str, float | None]]) -> str:
    marks = ["bar: 95 % interval"] if any(estimate.has_interval for _, estimate, _, _ in entries) else []
    marks += ["diamond: the paper"] if any(paper is not None for *_, paper in entries) else []
    return f" ({', '.join(marks)})" if marks else ""


def _draw_scores(figure: Any, entries: Sequence[Any], axis: str) -> None:  # noqa: ANN401 - matplotlib
    axes = figure.subplots()
    for y, (_, estimate, color, paper) in enumerate(entries):
        shade = PALETTE[color]
        if estimate.has_interval:
            axes.plot([estimate.low, estimate.high], [y, y], color=shade, linewidth=2, solid_capstyle="round")
        axes.plot(estimate.value, y, "o", color=shade, markersize=5)
        if paper is not None:
            axes.plot(paper, y, "D", markerfacecolor="none", markeredgecolor=PALETTE["muted"], markersize=4)
    axes.set_yticks(range(len(entries)), [label for label, *_ in entries])
    axes.set(ylim=(len(entries) - 0.5, -0.5), xlabel=axis)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    low, high = axes.get_xlim()
    if low < 0 < high:
        axes.axvline(0, color=PALETTE["muted"], linewidth=0.8)
