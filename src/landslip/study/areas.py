"""How large landslides are: those of the inventory, of each row's map, the true ones where they are known.

The truth is known of simulated events alone. It is looked at here and nowhere else: nothing is trained,
chosen or scored on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part
from landslip.files import atomic_path
from landslip.files.arrays import open_arrays
from landslip.scoring import area_frequency
from landslip.study.folds import Fold, suffix
from landslip.study.results import Results
from landslip.study.sources import Source

Record = dict[str, Any]


def truth_name(fold: Fold, folds: Sequence[Fold]) -> str:
    """Name the file with the true landslides of a fold's test part."""
    return f"truth{suffix(fold, folds)}.npz"


def save_truth(path: Path, source: Source, parts: Sequence[NDArray[np.uint8]]) -> bool:
    """Write the areas of the true landslides in the test part, and return whether there are any to write.

    Parameters
    ----------
    path
        The file.
    source
        Its areas may know the truth.
    parts
        Part of every pixel of each area.
    """
    known = [(area, part) for area, part in zip(source.areas, parts, strict=True) if area.truth is not None]
    if not known:
        return False
    found = [_areas(area.truth[part == Part.TEST], area.pixel_m) for area, part in known if area.truth is not None]
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, areas_m2=np.concatenate(found))
    return True


def area_curves(results: Results, found: dict[str, Record], folder: Path, folds: Sequence[Fold]) -> Record:
    """Put together ``area_frequency`` of ``study.json``: inventory, truth, the general law, and each row's map."""
    curves: Record = {"mapped": area_frequency(_mapped(results)).to_dict()}
    files = [folder / truth_name(fold, folds) for fold in folds]
    if all(path.is_file() for path in files):
        curves["true"] = area_frequency(np.concatenate([_load(path) for path in files])).to_dict()
    whole = [curve for curve in (*curves.values(), *found.values()) if curve["landslides"]]
    if whole:
        low, high = min(c["area_m2"][0] for c in whole), max(c["area_m2"][-1] for c in whole)
        curves["law"] = _law(low, high)
    return curves | found


def _law(low: float, high: float) -> Record:
    from landslip.simulate.areas import density

    area = np.geomspace(low, max(high, 2 * low), 60)
    return {"area_m2": area.tolist(), "density_per_m2": density(area).tolist(), "count": [0] * len(area)}


def _mapped(results: Results) -> NDArray[np.float64]:
    """Areas of the inventory's landslides in the test part, in m²."""
    first = results.rows[0].name
    areas = [np.zeros(0)]
    for name in results.tiles:
        mask = results.mask(first)[name]
        for _, landslide, valid, pixel_area in results.planes(name, mask, mask):
            areas.append(_areas(landslide[valid], np.sqrt(pixel_area)))
    return np.concatenate(areas)


def _areas(landslide: NDArray[np.int32], pixel_m: float) -> NDArray[np.float64]:
    count = np.bincount(landslide[landslide > 0])
    return np.asarray(count[count > 0] * pixel_m**2, np.float64)


def _load(path: Path) -> NDArray[np.float64]:
    with open_arrays(path, "the areas of true landslides are damaged; remove the file to do without them") as content:
        areas: NDArray[np.float64] = content["areas_m2"]
    return areas
