"""Training curves: loss and F1 by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.report.model import History, Study
from landslip.report.style import PALETTE, Chart, Key, Panel
from landslip.report.words import number
from landslip.wording import counted


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
    alt = f"{label}: loss and F1 over {counted(epochs, 'epoch')}. At the end, {told}."
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
