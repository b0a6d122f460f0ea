"""What probabilities are worth: precision against recall, and whether they mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from landslip.report.charts.rows import MOST_LINES, SMALL, WIDE, keys, row_colors
from landslip.report.model import Curve, Study
from landslip.report.style import DASHES, PALETTE, Chart, Key, Panel
from landslip.report.words import number, percent


def precision_recall(study: Study) -> Chart | None:
    """Precision against recall over all thresholds, one line per row."""
    curves = [curve for curve in study.precision_recall if curve.row][:MOST_LINES]
    if not curves:
        return None
    told = "; ".join(f"{c.label} {number(c.area.value)}" for c in curves if c.area)
    alt = f"Precision against recall on the test part. Area under the curve: {told}."
    chance: tuple[Key, ...] = ()
    if study.prevalence is not None:
        alt += f" A guess has the prevalence, {number(study.prevalence)}, as its precision at any recall."
        chance = (Key(f"chance: the prevalence, {percent(study.prevalence, 2)}", "ink", dashed=True),)
    panel = Panel("", partial(_draw_precision_recall, study=study, curves=curves), alt, *WIDE)
    return Chart("precision-recall", (panel,), (*keys(study, curves), *chance))


def _draw_precision_recall(figure: Any, study: Study, curves: Sequence[Curve]) -> None:  # noqa: ANN401
    axes = figure.subplots()
    _f1_contours(axes)
    if study.prevalence is not None:
        axes.axhline(study.prevalence, color=PALETTE["ink"], linestyle=(0, (3, 1.5)), linewidth=1.0, zorder=1)
    for curve, key in zip(curves, keys(study, curves), strict=True):
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
        # whole powers of ten around the bars: without two of them in view the axis would have no figure at all
        low, high = (np.log10(end) for end in (curve.size[curve.size > 0].min(), curve.size.max()))
        ends = 10.0 ** np.array([np.ceil(low) - 1, np.ceil(high)])
        bottom.set(ylim=ends, yticks=ends)
        bottom.yaxis.set_minor_formatter("")  # within one power of ten they would be written over one another
        bottom.set_ylabel("pixels")
        bottom.tick_params(axis="y", which="minor", left=False)
        bottom.grid(visible=False)
    bottom.set_xlabel("predicted probability")
