"""Where nothing could be mapped, and why: a layer of its own, so that no one takes it for safe ground."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from landslip.layers.catalogue import describe
from landslip.mapping.landslides.outlines import Outliner
from landslip.rasters import BLOCK, open_raster, read_window
from landslip.scene.store import Scene
from landslip.windows import split_windows

REASONS = {
    "image": "no image",
    "clouds": "cloud or shadow",
    "dem": "no elevation",
    "pre": "no image before the event",
}
"""Source of the scene -> reason, in the order in which they are looked for."""

OTHER = "layer not defined"
"""Everything is there but a layer cannot be computed (an index without reflected light)."""


def relevant_sources(scene: Scene, layers: Iterable[str]) -> tuple[str, ...]:
    """Name the scene's sources on which the layers depend."""
    needed: set[str] = {source for name in layers for source in describe(name).sources}
    if "image" in needed:
        needed.add("clouds")
    return tuple(source for source in REASONS if source in needed and source in scene.sources)


def unmapped(probability: Path, scene: Scene, layers: Iterable[str]) -> tuple[NDArray[Any], pd.DataFrame]:
    """Outline the pixels without probability, by reason.

    Parameters
    ----------
    probability
        The map.
    scene
        What it was made from.
    layers
        Layers that the model eats.

    Returns
    -------
    tuple
        Polygons in the scene's CRS, and a table of ``reason`` and ``area_m2``.
    """
    sources = relevant_sources(scene, layers)
    reasons = [REASONS[source] for source in sources] + [OTHER]
    outliners = [Outliner(scene.grid.cols) for _ in reasons]
    with open_raster(probability, what="probability") as dataset:
        for window in split_windows(scene.grid.shape, (BLOCK, scene.grid.cols)):
            left = np.isnan(read_window(dataset, window, [1])[0])
            for source, outliner in zip(sources, outliners, strict=False):
                missing = left & ~scene.validity(source, window) if left.any() else left
                outliner.add(missing)
                left = left & ~missing
            outliners[-1].add(left)
    polygons, names = [], []
    for reason, outliner in zip(reasons, outliners, strict=True):
        found = outliner.finish().polygons(scene.grid.transform)
        polygons.append(found)
        names += [reason] * len(found)
    shapes = np.concatenate(polygons)
    return shapes, pd.DataFrame({"reason": pd.Series(names, dtype=str), "area_m2": shapely.area(shapes)})
