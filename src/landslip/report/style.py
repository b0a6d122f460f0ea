"""How figures look: one palette for paper and screen, fixed metadata, no global plotting state.

Charts are drawn twice from the same functions: as PNG for print (white ground, 300 dots per inch) and as
inline SVG whose colours are CSS variables, so that they follow the reader's light or dark theme.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from landslip.files import atomic_path

DPI: Final = 300
PAGE_WIDTH_IN: Final = 7.2
"""Text width of an A4 page with usual margins."""
PAGE_HEIGHT_IN: Final = 8.6
"""Its height, with room for a caption."""

PALETTE: Final = {
    "ink": "#1c2126",
    "muted": "#59636e",
    "rule": "#d5dae0",
    "ground": "#ffffff",
    "row-0": "#5d6873",
    "row-1": "#2387b5",
    "row-2": "#0a4f94",
    "row-3": "#c8500b",
    "row-4": "#8f6900",
    "row-5": "#00785a",
    "row-6": "#a3387c",
    "row-7": "#6b4fb0",
}
"""Name of a CSS variable to its colour in light theme; SVG colours are replaced by the variables."""

ROLE_COLOR: Final = {
    "baseline": "row-0",
    "model": "row-1",
    "attention": "row-2",
    "data": "row-3",
    "control": "row-4",
    "attention-control": "row-7",
    "forest": "row-5",
}
"""Baseline grey, networks in blues, data in orange: the question in colour."""

SPARE: Final = ("row-6", "row-5", "row-7", "row-1", "row-4", "row-2", "row-3", "row-0")
DASHES: Final = {"control": (0, (4, 2)), "attention-control": (0, (4, 2)), "other": (0, (1.5, 1.5))}
"""Rows differ in line as well as in colour."""

MAP_COLORS: Final = {"hit": "#4db8ff", "miss": "#ffe14d", "false_alarm": "#e0287d"}
"""Hits, misses, false alarms: told apart with any colour vision, and in grey by their lightness."""

PART_COLORS: Final = {"train": "#3f7fe0", "validation": "#f2c230", "test": "#d0317f"}

_COMMON: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same on every machine
    "text.color": PALETTE["ink"],
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["muted"],
    "axes.facecolor": "none",
    "figure.facecolor": PALETTE["ground"],
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE["rule"],
    "legend.frameon": False,
    "axes.unicode_minus": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "landslip",
    "path.simplify": True,
}
_PRINT: Final = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}
_SCREEN: Final = {
    "font.size": 11.5,
    "axes.titlesize": 12,
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}


@dataclass(frozen=True)
class Panel:
    """One small chart: what it is called, how it is drawn, and what it says to those who do not see it."""

    title: str
    draw: Callable[[Any], None]
    """Draws on a figure or sub-figure."""
    alt: str
    width: int = 320
    """Size on the screen in CSS pixels; text keeps its size at this width."""
    height: int = 240


@dataclass(frozen=True)
class Key:
    """One entry of a legend."""

    label: str
    color: str
    """Name in :data:`PALETTE`."""
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure of one or more panels with one legend."""

    name: str
    """File name under ``figures/`` without suffix."""
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...] = ()
    columns: int = 1


@contextmanager
def drawing(*, screen: bool) -> Iterator[None]:
    """Apply our settings while figures are made and saved, then restore what was there."""
    settings: dict[Any, Any] = {**_COMMON, **(_SCREEN if screen else _PRINT)}
    with mpl.rc_context(settings):
        yield


def save_chart(chart: Chart, folder: Path) -> Path:
    """Write a chart for print, the same bytes each time.

    Parameters
    ----------
    chart
        What to draw.
    folder
        The study's ``figures`` folder.

    Returns
    -------
    pathlib.Path
        The PNG.
    """
    columns = min(chart.columns, len(chart.panels))
    rows = -(-len(chart.panels) // columns)
    first = chart.panels[0]
    width = PAGE_WIDTH_IN if columns > 1 else min(PAGE_WIDTH_IN, 4.6 * first.width / 320)
    height = rows * (width / columns) * first.height / first.width
    with drawing(screen=False):
        across = legend_columns(chart.keys, width)
        legend_in = 0.12 + 0.15 * -(-len(chart.keys) // across) if chart.keys else 0.0
        figure = Figure(figsize=(width, height + legend_in), layout="constrained")
        body: Any = figure
        if chart.keys:
            halves: Any = figure.subfigures(2, 1, height_ratios=(legend_in, height))
            _draw_legend(halves[0], chart.keys, across)
            body = halves[1]
        cells = body.subfigures(rows, columns, squeeze=False).flat
        for panel, cell in zip(chart.panels, cells, strict=False):
            panel.draw(cell)
            if panel.title:
                cell.suptitle(panel.title, fontsize=8, fontweight="bold")
        return save_png(figure, folder / f"{chart.name}.png")


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, atomically, without date or version in it."""
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png", metadata={"Software": "landslip"})
    return path


def inline_svg(panel: Panel, ident: str) -> str:
    """Return a panel as an SVG element for HTML, coloured by CSS variables.

    Parameters
    ----------
    panel
        What to draw.
    ident
        Prefix that makes the element's ids unique in the page.
    """
    with drawing(screen=True):
        # One CSS pixel per point, so that font sizes are what they say at the panel's own width.
        figure = Figure(figsize=(panel.width / 72, panel.height / 72), layout="constrained")
        figure.patch.set_visible(False)
        panel.draw(figure)
        FigureCanvasSVG(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _themed(buffer.getvalue().decode("utf-8"), panel, ident)


def _themed(svg: str, panel: Panel, ident: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    opening = (
        f'<svg viewBox="0 0 {panel.width} {panel.height}" role="img" aria-labelledby="{ident}-t" '
        f'style="max-width:{int(panel.width * 1.25)}px"><title id="{ident}-t">{_escaped(panel.alt)}</title>'
    )
    svg = re.sub(r"^<svg[^>]*>", lambda _: opening, svg, count=1)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(r'(id="|url\(#|href="#)', lambda found: found.group(1) + f"{ident}-", svg)
    svg = svg.replace(f'id="{ident}-{ident}-t"', f'id="{ident}-t"').replace("xlink:href", "href")
    svg = re.sub(r'<defs>\s*<style type="text/css">.*?</style>\s*</defs>', "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r"font: ((?:[a-z0-9]+ )*?[0-9.]+px) [^;\"]*", _font, svg)
    for name, color in PALETTE.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg.strip()


def _font(found: re.Match[str]) -> str:
    *words, size = found.group(1).split(" ")
    weight = next((word for word in words if word in {"700", "bold"}), "")
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def legend_columns(keys: Sequence[Key], width_in: float) -> int:
    """Return how many entries of a legend fit side by side, by the longest label, at most five."""
    longest = max((len(key.label) for key in keys), default=0)
    entry_in = 0.45 + 0.055 * longest  # the line with its gaps, and letters of 7.5 points
    return int(max(1, min(len(keys), 5, width_in // entry_in)))


def _draw_legend(figure: Any, keys: Sequence[Key], columns: int) -> None:  # noqa: ANN401 - a matplotlib sub-figure
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=PALETTE[k.color], linestyle=(0, (3, 1.5)) if k.dashed else "-") for k in keys]
    figure.legend(lines, [k.label for k in keys], loc="center", ncols=columns, handlelength=2.2)
