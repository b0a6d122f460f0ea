"""A figure of the curves from which a scale was chosen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from landslip.files import atomic_path
from landslip.objects.scale.supervised import ScaleSearch
from landslip.objects.scale.unsupervised import UnsupervisedSearch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"


def plot_scales(search: ScaleSearch | UnsupervisedSearch, path: str | os.PathLike[str]) -> None:
    """Draw the curves with the chosen scale (PNG, PDF or SVG by suffix).

    Parameters
    ----------
    search
        From :func:`landslip.objects.choose_scale` or :func:`landslip.objects.choose_scale_unsupervised`.
    path
        File to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if isinstance(search, ScaleSearch):
        _draw_fitness(axes, search)
    else:
        _draw_unsupervised(axes, search)
    axes.axvline(search.scale, color=GREY, linestyle=":", label=f"chosen: {search.scale:g}")
    axes.set_xscale("log")
    axes.set_xticks(search.scales, [f"{scale:g}" for scale in search.scales])
    axes.minorticks_off()
    axes.set_xlabel("scale")
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata=_undated(os.fspath(path)))


def _draw_fitness(axes: Axes, search: ScaleSearch) -> None:
    for name, text, color in (
        ("opi", "pureness (OPI)", BLUE),
        ("omi", "matching (OMI)", ORANGE),
        ("ofi", "fitness (OFI)", GREEN),
    ):
        axes.plot(search.scales, [getattr(one, name) for one in search.fitness], "o-", color=color, label=text)
    axes.set_ylim(0, 1)
    axes.set_ylabel(f"mean over {search.best.polygons} polygons")


def _draw_unsupervised(axes: Axes, search: UnsupervisedSearch) -> None:
    def to_unit(values: tuple[float, ...]) -> list[float]:
        low, high = min(values), max(values)
        return [(value - low) / (high - low) if high > low else 0.0 for value in values]

    axes.plot(search.scales, to_unit(search.variance), "o-", color=BLUE, label="variance within")
    axes.plot(search.scales, to_unit(search.moran), "o-", color=ORANGE, label="Moran's I between")
    axes.plot(search.scales, [value / 2 for value in search.score], "o-", color=GREEN, label="score (half)")
    axes.plot(search.scales, to_unit(search.local_variance), ".--", color=GREY, label="local variance")
    axes.set_ylabel("from its least to its greatest value")


def _undated(path: str) -> dict[str, Any] | None:
    # the same curves give the same bytes
    return {"Software": None} if path.lower().endswith(".png") else None
