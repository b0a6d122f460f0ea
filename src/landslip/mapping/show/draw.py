"""The page and the picture of a finished map, with what is said above and below them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from landslip._version import __version__
from landslip.mapping.landslides.find import Landslides
from landslip.mapping.result import PROBABILITY
from landslip.mapping.show.page import write_page
from landslip.mapping.show.quicklook import write_quicklook
from landslip.scene.store import Scene


def draw(
    scene: Scene, folder: Path, found: Landslides, models: Sequence[str], threshold: float, areas: dict[str, Any]
) -> None:
    """Write ``map.html`` and ``quicklook.png`` into a map's folder.

    Parameters
    ----------
    scene
        The scene.
    folder
        With ``probability.tif``.
    found
        The landslides.
    models
        Names of the runs.
    threshold
        At which pixels became landslides.
    areas
        Mapped and unmapped ground in m², as in ``map.json``.
    """
    title, path = f"Landslides, {scene.path.name}", folder / PROBABILITY
    summary = [*_event(scene), *_summary(found, areas)]
    notes = [
        f"Mapped automatically by {', '.join(models)} (threshold {threshold:.2f}); not checked in the field.",
        "Volumes follow from area alone (Guzzetti et al. 2009); the range is that of published relations.",
        f"{scene.grid.crs.name}, pixels of {scene.grid.resolution[0]:g} m. Made with landslip {__version__}.",
    ]
    facts = {"title": title, "summary": summary, "notes": notes}
    write_page(folder / "map.html", scene, path, found.shapes, found.table, facts)
    words = "   ·   ".join(f"{figure} {caption}" for figure, caption in summary)
    write_quicklook(folder / "quicklook.png", scene, path, found.shapes, found.table, title, words)


def _event(scene: Scene) -> list[list[str]]:
    """Say first of all, where it is so, that nothing of this is real."""
    return [["simulated", "event"]] if scene.info.get("simulated") else []


def _summary(found: Landslides, areas: dict[str, Any]) -> list[list[str]]:
    """Pairs of a figure and what it counts."""
    mapped, covered = areas["mapped"], found.counts["landslide_m2"]
    missing = sum(areas["unmapped"].values())
    summary = [
        [f"{len(found):,}", "landslides"],
        [f"{covered / 1e6:.2f} km²", "landslide area"],
        [f"{covered / mapped:.1%}" if mapped else "–", f"of {mapped / 1e6:.1f} km² mapped"],
    ]
    return summary + ([[f"{missing / 1e6:.1f} km²", "not mapped"]] if missing else [])
