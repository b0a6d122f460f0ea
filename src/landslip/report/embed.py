"""Pictures as files for print and as data inside the page."""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from PIL import Image

from landslip.report.maps import Picture
from landslip.report.style import PAGE_HEIGHT_IN, PAGE_WIDTH_IN, drawing, save_png

QUALITY: Final = 84
"""Of lossy WebP: a third of the size of PNG with no visible loss on satellite images."""

LINE_IN: Final = 0.125
LETTERS_PER_IN: Final = 17
"""Room that a title takes in print, at 7 points."""

BAR_SHARE: Final = 0.28
"""A scale bar is at most this share of a picture's width."""


@dataclass(frozen=True)
class ScaleBar:
    """A round length and how much of the picture's width it takes."""

    label: str
    percent: float


@dataclass(frozen=True)
class Embedded:
    """A picture as the page shows it."""

    src: str
    width: int
    height: int
    title: str
    alt: str
    told: str = ""
    exact: bool = False
    bar: ScaleBar | None = None


def embed(picture: Picture, *, told: str = "") -> Embedded:
    """Put a picture into a data URI: without loss where each pixel matters, else as lossy WebP."""
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels, "RGBA" if picture.pixels.shape[-1] == 4 else "RGB").save(
        buffer, "WEBP", lossless=picture.exact or picture.lossless, quality=QUALITY, method=5
    )
    rows, cols = picture.pixels.shape[:2]
    src = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    bar = scale_bar(cols * picture.pixel_m) if picture.pixel_m else None
    return Embedded(src, cols, rows, picture.title, picture.alt, told, picture.exact, bar)


def scale_bar(width_m: float) -> ScaleBar:
    """Choose the longest of 1, 2, 5 times a power of ten that fits :data:`BAR_SHARE` of the width."""
    limit = width_m * BAR_SHARE
    power = 10.0 ** math.floor(math.log10(limit))
    length = max(step * power for step in (1, 2, 5) if step * power <= limit)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    return ScaleBar(label, round(100 * length / width_m, 3))


def save_pictures(
    pictures: Sequence[Picture], path: Path, *, columns: int | None = None, colors: Sequence[tuple[str, str]] = ()
) -> Path:
    """Lay pictures out for print, with a legend of colours and scale bars.

    Parameters
    ----------
    pictures
        In reading order.
    path
        The PNG.
    columns
        How many side by side; by default as few as fit one page.
    colors
        Legend: text and colour.
    """
    tallest = max(p.pixels.shape[0] / p.pixels.shape[1] for p in pictures)
    legend_in = 0.32 if colors else 0.0

    def titles(columns: int) -> list[str]:
        return [textwrap.fill(p.title, max(6, int(PAGE_WIDTH_IN / columns * LETTERS_PER_IN))) for p in pictures]

    def height(columns: int) -> float:
        title_in = 0.1 + LINE_IN * max(title.count("\n") + 1 for title in titles(columns))
        total: float = -(-len(pictures) // columns) * (PAGE_WIDTH_IN / columns * tallest + title_in) + legend_in
        return total

    if columns is None:
        columns = next((n for n in range(1, len(pictures)) if height(n) <= PAGE_HEIGHT_IN), len(pictures))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    with drawing(screen=False):
        figure = Figure(figsize=(PAGE_WIDTH_IN, height(columns)), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax in axes.flat:
            ax.axis("off")
        for ax, picture, title in zip(axes.flat, pictures, titles(columns), strict=False):
            ax.imshow(picture.pixels, interpolation="nearest" if picture.exact else "antialiased")
            if picture.title:
                ax.set_title(title, fontsize=7, loc="left", pad=3)
            if picture.pixel_m:
                _draw_bar(ax, picture)
        if colors:
            handles = [Patch(facecolor=color, edgecolor="none", label=label) for label, color in colors]
            figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7)
        return save_png(figure, path)


def _draw_bar(ax: Any, picture: Picture) -> None:  # noqa: ANN401 - matplotlib axes
    rows, cols = picture.pixels.shape[:2]
    bar = scale_bar(cols * (picture.pixel_m or 1.0))
    x, y = 0.03 * cols, rows - 0.03 * max(rows, cols)
    style: dict[str, Any] = {"path_effects": [withStroke(linewidth=1.6, foreground="#00000099")]}
    ax.plot([x, x + bar.percent / 100 * cols], [y, y], color="white", linewidth=2, solid_capstyle="butt", **style)
    ax.text(x, y - 0.015 * max(rows, cols), bar.label, color="white", fontsize=6, va="bottom", **style)
