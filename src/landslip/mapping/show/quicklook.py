"""``quicklook.png``: the image with the landslides on it, for a report or a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from landslip.files import atomic_path
from landslip.mapping.show.picture import image_picture, unmapped_picture
from landslip.mapping.show.style import CONFIDENCE_COLOURS, UNMAPPED_COLOUR
from landslip.scene.store import Scene

WIDTH_IN, DPI, EDGE = 10.0, 150, 1500
TEXT = "#1c2430"


def write_quicklook(
    path: Path, scene: Scene, probability: Path, shapes: NDArray[Any], table: pd.DataFrame, title: str, summary: str
) -> None:
    """Draw the landslides over the image, with a scale bar and a legend.

    Parameters
    ----------
    path
        PNG file.
    scene, probability
        What is drawn below.
    shapes, table
        Landslides.
    title, summary
        Lines above.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    west, south, east, north = scene.grid.bounds
    share = (north - south) / (east - west)
    height = WIDTH_IN * min(max(share, 0.25), 2.5)
    figure = Figure(figsize=(WIDTH_IN, height + 0.75), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, height / (height + 0.75)))
    figure.text(0.012, 1 - 0.28 / (height + 0.75), title, fontsize=14, weight="bold", color=TEXT, va="center")
    figure.text(0.012, 1 - 0.56 / (height + 0.75), summary, fontsize=10, color="#5b6675", va="center")
    extent = (west, east, south, north)
    picture = image_picture(scene, edge=EDGE)
    if picture is not None:
        axes.imshow(np.moveaxis(picture, 0, -1), extent=extent, interpolation="antialiased", aspect="auto")
    missing = unmapped_picture(probability, edge=EDGE)
    if missing is not None:
        axes.imshow(np.moveaxis(missing, 0, -1), extent=extent, interpolation="nearest", aspect="auto", alpha=0.8)
    for name, colour in CONFIDENCE_COLOURS.items():
        chosen = shapes[(table["confidence"] == name).to_numpy()]
        rings = shapely.get_rings(chosen)
        lines = [shapely.get_coordinates(ring) for ring in rings]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.9))
    _legend(axes, table, missing is not None)
    _scale_bar(axes, extent)
    axes.set(xlim=(west, east), ylim=(south, north))
    axes.set_axis_off()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})


def _legend(axes: Axes, table: pd.DataFrame, missing: bool) -> None:
    counts = table["confidence"].value_counts()
    entries = [
        Patch(
            facecolor="none", edgecolor=colour, linewidth=1.6, label=f"{name} confidence ({int(counts.get(name, 0))})"
        )
        for name, colour in CONFIDENCE_COLOURS.items()
    ]
    if missing:
        entries.append(Patch(facecolor=UNMAPPED_COLOUR, alpha=0.6, label="not mapped"))
    axes.legend(handles=entries, loc="upper right", fontsize=8.5, framealpha=0.92, edgecolor="#dfe3e8", labelcolor=TEXT)


def _scale_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    west, east, south, north = extent
    wide = (east - west) / 5
    power = 10.0 ** np.floor(np.log10(wide))
    metres = max(step * power for step in (1, 2, 5) if step * power <= wide)
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    left, low = west + (east - west) * 0.02, south + (north - south) * 0.025
    thick = (north - south) * 0.008
    axes.add_patch(
        Rectangle(
            (left - (east - west) * 0.008, low - thick), metres + (east - west) * 0.016, thick * 7.5,
            facecolor="white", alpha=0.92, edgecolor="#dfe3e8", zorder=5,
        )
    )  # fmt: skip
    for begin, colour in ((left, TEXT), (left + metres / 2, "white")):
        axes.add_patch(Rectangle((begin, low), metres / 2, thick, facecolor=colour, edgecolor=TEXT, lw=0.8, zorder=6))
    axes.text(left + metres / 2, low + thick * 1.7, text, ha="center", va="bottom", fontsize=8.5, color=TEXT, zorder=6)
