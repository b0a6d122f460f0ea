"""A map against an inventory: hits, false alarms and misses as pixels, polygons and landslides."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from landslip._version import __version__
from landslip.bundle import Bundle
from landslip.errors import InputError
from landslip.files import FORMAT, locked, sha256, write_json
from landslip.mapping.comparison import EVALUATION, Area, Comparison, Pass, inventory_layers, require_scored
from landslip.mapping.config import MapConfig
from landslip.mapping.probability.network import Member
from landslip.mapping.result import MAP_JSON, MapResult
from landslip.mapping.run import LANDSLIDES, map_scene
from landslip.mapping.show.writing import write_geopackage
from landslip.progress import SILENT, Progress
from landslip.scene.store import Scene

log = logging.getLogger(__name__)


def evaluate_scene(
    models: Bundle | Member | Sequence[Bundle | Member],
    scene: Scene,
    out: str | os.PathLike[str],
    config: MapConfig | None = None,
    *,
    within: Path | None = None,
    outside: Path | None = None,
    held_out: NDArray[np.bool_] | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Comparison:
    """Map a scene and compare the map with the scene's inventory.

    Parameters
    ----------
    models
        A trained run, or several as an ensemble.
    scene
        With an inventory.
    out
        Folder for the map and the comparison.
    config
        Settings of the map.
    within, outside
        Polygons: only pixels within, or outside of them, are scored (the part that was not trained on).
    held_out
        ``(rows, cols)``: only these pixels are scored (:func:`landslip.mapping.ground.held_out`).
    resume
        Continue an interrupted map.
    progress
        Shows the stages.

    Raises
    ------
    InputError
        The scene has no inventory, or no pixel that can be scored; told before it is mapped.
    FormatError
        Its inventory is damaged.
    LandslipError
        As in :func:`landslip.mapping.run.map_scene`.
    """
    _require_inventory(scene)
    members = [models] if isinstance(models, Bundle | Member) else models
    require_scored(scene, Area(scene, within, outside, held_out), [model.recipe for model in members])
    done = (Path(out) / MAP_JSON).is_file()
    result = map_scene(models, scene, out, config, resume=resume or done, progress=progress)
    return compare_map(result, scene, out, within=within, outside=outside, held_out=held_out, progress=progress)


def compare_map(
    result: MapResult,
    scene: Scene,
    out: str | os.PathLike[str],
    *,
    within: Path | None = None,
    outside: Path | None = None,
    held_out: NDArray[np.bool_] | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare a finished map with the inventory of its scene.

    Writes ``comparison.tif`` (0 TN, 1 TP, 2 FP, 3 FN, 255 not counted), ``comparison.gpkg`` (polygons of hits,
    false alarms and misses; every landslide of the inventory with the share that was mapped; those missed) and
    ``evaluation.json``. Only pixels count that were mapped and whose label is known.

    Parameters
    ----------
    result
        The map.
    scene
        Its scene, with an inventory.
    out
        Output folder; may be that of the map.
    within, outside
        Polygons: only pixels within, or outside of them, are scored.
    held_out
        ``(rows, cols)``: only these pixels are scored.
    progress
        Shows the pass.

    Raises
    ------
    InputError
        No inventory, or no scored pixel.
    GridMismatchError
        The map is of another scene.
    """
    _require_inventory(scene)
    _warn_of_changed_polygons(result)
    area = Area(scene, within, outside, held_out)
    with locked(out, mark=MAP_JSON) as folder, rasterio.Env(GDAL_CACHEMAX=64):
        passed = Pass(result, scene, area, folder)
        with progress.task("compare", len(passed.windows)) as task:
            for _ in passed.run():
                task.advance()
        comparison = passed.comparison()
        _write(comparison, passed, scene, result, folder, within, outside, held_out is not None)
    return comparison


def _warn_of_changed_polygons(result: MapResult) -> None:
    """Say that scores would not be the model's where somebody edited its landslides."""
    path = result.folder / f"{LANDSLIDES}.gpkg"
    if sha256(path) != result.content.get("files", {}).get(path.name):
        log.warning(
            "%s: was changed since it was mapped, so the scores 'as mapped' are of the changed landslides; those of "
            "pixels are the model's",
            path,
        )


def _require_inventory(scene: Scene) -> None:
    if not scene.has_inventory:
        message = f"{scene.path}: the scene has no inventory to compare with; build it with --inventory"
        raise InputError(message)
    scene.inventory()  # a damaged one is told now, not after the map


def _write(
    comparison: Comparison,
    passed: Pass,
    scene: Scene,
    result: MapResult,
    folder: Path,
    within: Path | None,
    outside: Path | None,
    held_out: bool,
) -> None:
    inventory = inventory_layers(comparison.landslides, scene)
    write_geopackage(folder / "comparison.gpkg", [passed.layer(), *inventory])
    average = comparison.average_precision
    comparison.content.update(
        {
            "format": FORMAT,
            "version": __version__,
            "scene": scene.path.name,
            "models": [model["name"] for model in result.content["models"]],
            "threshold": result.threshold,
            "within": None if within is None else {"name": Path(within).name, "checksum": sha256(within)},
            "outside": None if outside is None else {"name": Path(outside).name, "checksum": sha256(outside)},
            "held_out": held_out,
            "counted_pixels": passed.counted,
            "as_mapped": comparison.pixels.to_dict(),
            "at_threshold": comparison.raw.to_dict(),
            "at_half": comparison.half.to_dict(),
            "average_precision": None if np.isnan(average) else average,
            "per_landslide": comparison.landslides.to_dict(),
            "missed": [int(i) for i in comparison.landslides.ids[comparison.landslides.covered == 0]],
        }
    )
    write_json(folder / EVALUATION, comparison.content)
