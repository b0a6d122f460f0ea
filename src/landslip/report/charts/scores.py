"""Points with intervals, for print."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from landslip.report.model import Estimate
from landslip.report.style import PALETTE, Chart, Panel
from landslip.report.words import number


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
