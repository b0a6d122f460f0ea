"""``landslip map``: one scene from prediction to files, resumable, with its provenance."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landslip.bundle import Bundle
from landslip.errors import ConfigError, InputError, OutputError
from landslip.files import locked, write_json
from landslip.files.outputs import output_folder
from landslip.mapping.config import MapConfig, PredictConfig
from landslip.mapping.landslides.density import density
from landslip.mapping.landslides.fields import COMMENTS, UNMAPPED_COMMENTS
from landslip.mapping.landslides.filters import check_masks
from landslip.mapping.landslides.find import NO_OBJECTS, find_landslides, open_objects
from landslip.mapping.landslides.unmapped import unmapped
from landslip.mapping.prepare import Prepared, member_of, prepare
from landslip.mapping.probability.assemble import assemble
from landslip.mapping.probability.network import Member
from landslip.mapping.probability.objects import SceneObjects
from landslip.mapping.probability.parts import Parts, remove_parts
from landslip.mapping.probability.predict import predict_bands
from landslip.mapping.probability.source import outside_training_range
from landslip.mapping.record import areas_of, file_settings, map_content, raster_tags, write_log
from landslip.mapping.result import MAP_JSON, PROBABILITY, MapResult
from landslip.mapping.show.draw import draw
from landslip.mapping.show.style import landslide_style, probability_style, unmapped_style
from landslip.mapping.show.writing import Layer, write_geopackage, write_polygons
from landslip.mapping.spread import Workers, spread_bands
from landslip.progress import SILENT, Progress
from landslip.scene.store import Scene

log = logging.getLogger(__name__)

LANDSLIDES = "landslides"


@dataclass
class _Clock:
    """Times of the stages, for log.json."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def as_members(models: Bundle | Member | Sequence[Bundle | Member]) -> tuple[Member, ...]:
    """Make members of whatever a caller has."""
    several = [models] if isinstance(models, Bundle | Member) else list(models)
    return tuple(
        model if isinstance(model, Member) else member_of(model, f"model {number}")
        for number, model in enumerate(several, start=1)
    )


def predict_scene(
    model: Bundle | Member | Sequence[Bundle | Member],
    scene: Scene | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    tile: int = 128,
    overlap: int = 32,
    batch: int = 16,
    device: str = "auto",
    precision: str = "auto",
    variants: str = "none",
    uncertainty: str = "none",
    resume: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Predict the landslide probability of a whole scene, in memory that does not grow with it.

    Parameters
    ----------
    model
        A trained run, or several as an ensemble of equal weights.
    scene
        An opened scene, or its folder.
    out
        Folder in which ``probability.tif`` is written, a cloud-optimised GeoTIFF: float32, NaN where an input
        is invalid.
    tile, overlap, batch
        Windows of ``tile`` pixels that share ``overlap`` with their neighbours, ``batch`` of them at a time.
    device, precision, variants, uncertainty
        As in :class:`landslip.mapping.config.PredictConfig`.
    resume
        Continue after the last complete band of an interrupted call; the result is the same.
    progress
        Shows the windows done.

    Returns
    -------
    pathlib.Path
        The raster.

    Raises
    ------
    LayerError, CRSMismatchError, ConfigError, InputError
        The scene has not what the recipe needs; the settings exclude each other.
    OutputError
        ``out`` is in use by another process, or was begun with other settings.
    """
    settings = {
        "tile": tile, "overlap": overlap, "batch": batch, "device": device, "precision": precision,
        "variants": variants, "uncertainty": uncertainty,
    }  # fmt: skip
    config = PredictConfig.from_dict(settings, where="predict_scene")
    opened = scene if isinstance(scene, Scene) else Scene.open(scene)
    prepared = prepare(as_members(model), opened, config)
    with locked(out, mark=MAP_JSON) as folder:
        parts = Parts(folder, prepared.identity(), resume=resume)
        path = _predict(prepared, parts, folder, prepared.threshold, progress)
        parts.remove()
    return path


def map_scene(
    models: Bundle | Member | Sequence[Bundle | Member],
    scene: Scene,
    out: str | os.PathLike[str],
    config: MapConfig | None = None,
    *,
    resume: bool = False,
    workers: Workers | None = None,
    progress: Progress = SILENT,
) -> MapResult:
    """Map a scene: probability, landslides with their attributes, density, unmapped ground, page.

    Parameters
    ----------
    models
        A trained run, or several as an ensemble.
    scene
        Where.
    out
        Output folder or ``s3://`` address; complete when it holds ``map.json``.
    config
        All settings.
    resume
        Continue an interrupted map; a finished one is returned as it is when it was made with the same settings.
    workers
        Who predicts the bands; None: this process. The result is the same.
    progress
        Shows the stages.

    Raises
    ------
    LandslipError
        See :func:`predict_scene`; and masks that cannot be used.
    """
    config = config or MapConfig()
    computing, size = (workers.computing(config.predict), workers.cluster.size()) if workers else (None, 0)
    prepared = prepare(as_members(models), scene, config.predict, computing)
    _check(prepared, config)
    identity = prepared.identity() | {"settings": file_settings(config)}
    with output_folder(out, MAP_JSON, resume=resume) as folder:
        finished = _finished(folder, identity, resume=resume)
        if finished:
            remove_parts(folder)  # of a run that ended before it could
            return MapResult.open(out)
        clock = _Clock()
        parts = Parts(folder, identity, resume=resume)
        content = _work(prepared, folder, config, parts, clock, workers, progress)
        write_log(folder, prepared, clock.seconds, size)
        write_json(folder / MAP_JSON, content | {"identity": identity})
        parts.remove()
    return MapResult.open(out)


def _check(prepared: Prepared, config: MapConfig) -> None:
    """Refuse what would fail only after hours: masks and objects that cannot be used."""
    grid = prepared.scene.grid
    check_masks(grid, config.filters, config.output.catchments)
    if config.output.density_cell_m < grid.resolution[0]:
        cell, pixel = config.output.density_cell_m, grid.resolution[0]
        message = f"density cell of {cell:g} m: smaller than a pixel of {pixel:g} m; give some hundred metres"
        raise ConfigError(message)
    if config.polygons.refine == "objects":
        if config.polygons.objects is not None:
            open_objects(config.polygons.objects, prepared.scene.grid)
        elif all(source.recipe.objects is None for source in prepared.prediction.sources):
            raise InputError(NO_OBJECTS)


def _work(
    prepared: Prepared,
    folder: Path,
    config: MapConfig,
    parts: Parts,
    clock: _Clock,
    workers: Workers | None,
    progress: Progress,
) -> dict[str, Any]:
    scene = prepared.scene
    threshold = config.polygons.threshold or prepared.threshold
    outside: dict[str, float] = {}
    for source in prepared.as_trained():
        for name, share in outside_training_range(source).items():
            outside[name] = max(share, outside.get(name, 0.0))  # of an ensemble's the one that is warned of
    with clock.stage("predict"):
        path = _predict(prepared, parts, folder, threshold, progress, workers)
    with clock.stage("landslides"):
        objects = _objects(prepared, parts, config, progress)
        found = find_landslides(
            path, scene, threshold, config.polygons, config.filters, objects=objects, progress=progress
        )
    with clock.stage("write"):
        layers = {name for member in prepared.members for name in member.recipe.layers}
        shapes, reasons = unmapped(path, scene, sorted(layers))
        main = Layer(LANDSLIDES, found.shapes, found.table, scene.grid.crs, COMMENTS, landslide_style())
        bare = Layer("unmapped", shapes, reasons, scene.grid.crs, UNMAPPED_COMMENTS, unmapped_style())
        write_geopackage(folder / f"{LANDSLIDES}.gpkg", [main, bare])
        for suffix in config.output.formats:
            if suffix != "gpkg":
                write_polygons(folder / f"{LANDSLIDES}.{suffix}", main)
        (folder / "probability.qml").write_text(probability_style(), encoding="utf-8")
    with clock.stage("density"):
        dense = density(
            found.outlines, path, scene.grid,
            cell_m=config.output.density_cell_m, catchments=config.output.catchments,
        )  # fmt: skip
        dense.write(folder / "density.tif")
        dense.cells.to_csv(folder / "density.csv", index=False, lineterminator="\n")
        if dense.catchments is not None:
            dense.catchments.to_csv(folder / "catchments.csv", index=False, lineterminator="\n")
    if config.output.page:
        with clock.stage("page"):
            models = [member.name for member in prepared.members]
            draw(scene, folder, found, models, threshold, areas_of(scene, reasons))
    return map_content(prepared, config, threshold, found, reasons, outside, folder)


def _predict(
    prepared: Prepared,
    parts: Parts,
    folder: Path,
    threshold: float,
    progress: Progress,
    workers: Workers | None = None,
) -> Path:
    path = folder / PROBABILITY
    # Parts are there until the whole map is done, so a raster beside them is theirs when it was assembled.
    if parts.assembled and path.is_file():
        return path
    ready = prepared.with_objects(parts.folder, progress=progress)
    if workers is None:
        predict_bands(ready.prediction, parts, progress=progress)
    else:
        spread_bands(ready, parts, workers, progress=progress)
    assemble(ready.prediction, parts, path, raster_tags(prepared, threshold), progress=progress)
    parts.mark_assembled()
    return path


def _objects(prepared: Prepared, parts: Parts, config: MapConfig, progress: Progress) -> SceneObjects | None:
    if config.polygons.refine == "none":
        return None
    if config.polygons.objects is not None:
        return open_objects(config.polygons.objects, prepared.scene.grid)
    ready = prepared.with_objects(parts.folder, progress=progress)
    return next((source.objects for source in ready.prediction.sources if source.objects is not None), None)


def _finished(folder: Path, identity: dict[str, Any], *, resume: bool) -> bool:
    if not (folder / MAP_JSON).is_file():
        return False
    if not resume:
        message = f"{folder}: holds a finished map already; choose another --out, or remove the folder"
        raise OutputError(message)
    finished = MapResult.open(folder)
    if finished.content.get("identity") != json.loads(json.dumps(identity)):
        message = f"{folder}: holds a map made from other inputs or settings; choose another --out"
        raise OutputError(message)
    return True
