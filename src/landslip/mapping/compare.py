"""A map against an inventory: hits, false alarms and misses as pixels, polygons and landslides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray

from landslip._version import __version__
from landslip.bundle import Bundle
from landslip.data.tileset import UNKNOWN
from landslip.errors import GridMismatchError, InputError
from landslip.files import FORMAT, locked, sha256, write_json
from landslip.mapping.config import MapConfig
from landslip.mapping.landslides.filters import burn_polygons, polygons_on
from landslip.mapping.landslides.outlines import Outliner
from landslip.mapping.probability.network import Member
from landslip.mapping.result import MAP_JSON, MapResult
from landslip.mapping.run import LANDSLIDES, map_scene
from landslip.mapping.show.style import comparison_style
from landslip.mapping.show.writing import Layer, write_geopackage
from landslip.progress import SILENT, Progress
from landslip.rasters import BLOCK, RasterSpec, cog_writer, open_raster, read_window, write_block
from landslip.scene.store import Scene
from landslip.scoring import Confusion, LandslideScores, ProbabilityHistogram, per_landslide
from landslip.windows import Window, split_windows

EVALUATION = "evaluation.json"
NOT_COUNTED = 255
CLASSES = {0: "TN", 1: "TP", 2: "FP", 3: "FN"}
COMMENTS = {
    "class": "TP hit, FP false alarm, FN miss; pixels of known label alone",
    "area_m2": "area in the map's projection [m²]",
    "landslide": "id in the inventory",
    "covered": "share of its counted pixels that was mapped, 0 to 1",
    "found": "no, partly, half (at least half of it)",
}


@dataclass(frozen=True)
class Comparison:
    """Scores of a map.

    Parameters
    ----------
    folder
        Where its files are.
    pixels
        Scores of the landslides as mapped (polygons, after minimum area and filters).
    raw
        Scores of the pixels at the model's threshold, before polygons.
    half
        The same at a threshold of 0.5.
    average_precision
        Over all thresholds; nan without a landslide.
    landslides
        Scores per landslide by size class.
    content
        What ``evaluation.json`` says.
    """

    folder: Path
    pixels: Confusion
    raw: Confusion
    half: Confusion
    average_precision: float
    landslides: LandslideScores
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The scores in a few lines."""
        overall = self.landslides.overall

        def line(name: str, one: Confusion) -> str:
            figures = {"precision": one.precision, "recall": one.recall, "F1": one.f1, "IoU": one.iou}
            words = (f"{word} {'undefined' if np.isnan(value) else f'{value:.3f}'}" for word, value in figures.items())
            return f"{name}: {', '.join(words)}"

        return "\n".join(
            [
                line("landslides as mapped", self.pixels),
                line("pixels at the model's threshold", self.raw),
                line("pixels at 0.5", self.half),
                f"of {overall.mapped} landslides of the inventory {overall.found_any} were touched, "
                f"{overall.found_half} found by half; of {overall.predicted} predicted ones {overall.real_any} "
                "touch a landslide of the inventory",
            ]
        )


def evaluate_scene(
    models: Bundle | Member | Sequence[Bundle | Member],
    scene: Scene,
    out: str | os.PathLike[str],
    config: MapConfig | None = None,
    *,
    within: Path | None = None,
    outside: Path | None = None,
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
    resume
        Continue an interrupted map.
    progress
        Shows the stages.

    Raises
    ------
    InputError
        The scene has no inventory, or no scored pixel.
    LandslipError
        As in :func:`landslip.mapping.run.map_scene`.
    """
    _require_inventory(scene)
    done = (Path(out) / MAP_JSON).is_file()
    result = map_scene(models, scene, out, config, resume=resume or done, progress=progress)
    return compare_map(result, scene, out, within=within, outside=outside, progress=progress)


def compare_map(
    result: MapResult,
    scene: Scene,
    out: str | os.PathLike[str],
    *,
    within: Path | None = None,
    outside: Path | None = None,
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
    area = _Area(scene, within, outside)
    with locked(out, mark=MAP_JSON) as folder, rasterio.Env(GDAL_CACHEMAX=64):
        passed = _Pass(result, scene, area, folder)
        with progress.task("compare", len(passed.windows)) as task:
            for _ in passed.run():
                task.advance()
        if not passed.counted:
            message = f"{scene.path}: no pixel is both mapped and of known label in the area that is scored"
            raise InputError(message)
        comparison = passed.comparison()
        _write(comparison, passed, scene, result, folder, within, outside)
    return comparison


def _require_inventory(scene: Scene) -> None:
    if not scene.has_inventory:
        message = f"{scene.path}: the scene has no inventory to compare with; build it with --inventory"
        raise InputError(message)


class _Area:
    """Which pixels are scored by place."""

    def __init__(self, scene: Scene, within: Path | None, outside: Path | None) -> None:
        self._scene = scene
        self._within = None if within is None else polygons_on(within, scene.grid, what="area to score in")
        self._outside = None if outside is None else polygons_on(outside, scene.grid, what="area to leave out")

    def mask(self, window: Window) -> NDArray[np.bool_]:
        scored = np.ones(window.shape, np.bool_)
        for shapes, wanted in ((self._within, True), (self._outside, False)):
            if shapes is not None:
                burnt = burn_polygons(shapes, np.ones(len(shapes), np.int32), self._scene.grid, window) > 0
                scored &= burnt == wanted
        return scored


class _Pass:
    """One pass over the scene by bands of rows."""

    def __init__(self, result: MapResult, scene: Scene, area: _Area, folder: Path) -> None:
        self.result, self.scene, self.area, self.folder = result, scene, area, folder
        self.windows = list(split_windows(scene.grid.shape, (BLOCK, scene.grid.cols)))
        self.raw = self.half = self.pixels = Confusion(0, 0, 0, 0)
        self.histogram = ProbabilityHistogram.from_arrays(*(np.zeros(0, t) for t in (float, np.uint8, np.bool_)))
        self.outliners = {code: Outliner(scene.grid.cols) for code in (1, 2, 3)}
        self.counted = 0
        self._kept: list[tuple[Window, NDArray[np.bool_], NDArray[np.bool_]]] = []

    def run(self) -> Iterator[Window]:
        grid = self.scene.grid
        spec = RasterSpec(grid, "uint8", ("comparison",), nodata=NOT_COUNTED, average=False,
                          tags={"CLASSES": "0 TN, 1 TP, 2 FP, 3 FN, 255 not counted"})  # fmt: skip
        polygons = geopandas.read_file(self.result.folder / f"{LANDSLIDES}.gpkg", layer=LANDSLIDES).geometry.to_numpy()
        ones = np.ones(len(polygons), np.int32)
        with (
            open_raster(self.result.probability, what="probability") as dataset,
            cog_writer(self.folder / "comparison.tif", spec) as target,
        ):
            if (dataset.height, dataset.width) != grid.shape or not dataset.transform.almost_equals(
                grid.transform, 1e-6
            ):
                message = f"{self.result.folder}: is a map of another scene than {self.scene.path}"
                raise GridMismatchError(message)
            for window in self.windows:
                probability = read_window(dataset, window, [1])[0]
                predicted = burn_polygons(polygons, ones, grid, window) > 0
                write_block(target, self._band(window, probability, predicted)[None], window)
                yield window

    def _band(
        self, window: Window, probability: NDArray[np.float32], predicted: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        labels = self.scene.labels(window)
        assert labels is not None  # checked before: the scene has an inventory
        truth = labels == 1
        counts = np.isfinite(probability) & (labels != UNKNOWN) & self.area.mask(window)
        self.counted += int(counts.sum())
        self.pixels += Confusion.from_arrays(predicted, truth, counts)
        self.raw += Confusion.from_arrays(probability >= np.float32(self.result.threshold), truth, counts)
        self.half += Confusion.from_arrays(probability >= np.float32(0.5), truth, counts)
        self.histogram += ProbabilityHistogram.from_arrays(probability, truth, counts)
        classes = np.where(truth, np.where(predicted, 1, 3), np.where(predicted, 2, 0)).astype(np.uint8)
        classes[~counts] = NOT_COUNTED
        for code, outliner in self.outliners.items():
            outliner.add(classes == code)
        self._kept.append((window, predicted, counts))
        return classes

    def comparison(self) -> Comparison:
        predicted = np.concatenate([kept[1] for kept in self._kept])
        counts = np.concatenate([kept[2] for kept in self._kept])
        rows, cols = (np.flatnonzero(counts.any(axis=axis)) for axis in (1, 0))
        window = Window(rows[0], cols[0], rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1)
        landslides = per_landslide(
            predicted[window.slices],
            self.scene.landslides(window),
            counts[window.slices],
            pixel_area_m2=self.scene.grid.pixel_area_m2,
        )
        precision = self.histogram.average_precision()
        return Comparison(self.folder, self.pixels, self.raw, self.half, precision, landslides, {})

    def layer(self) -> Layer:
        """Polygons of hits, false alarms and misses."""
        transform = self.scene.grid.transform
        found = {code: outliner.finish().polygons(transform) for code, outliner in self.outliners.items()}
        shapes = np.concatenate(list(found.values()))
        names = [CLASSES[code] for code, one in found.items() for _ in one]
        table = pd.DataFrame({"class": pd.Series(names, dtype=str), "area_m2": shapely.area(shapes)})
        return Layer("comparison", shapes, table, self.scene.grid.crs, COMMENTS, comparison_style())


def _write(
    comparison: Comparison,
    passed: _Pass,
    scene: Scene,
    result: MapResult,
    folder: Path,
    within: Path | None,
    outside: Path | None,
) -> None:
    inventory = _inventory_layers(comparison.landslides, scene)
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


def _inventory_layers(scores: LandslideScores, scene: Scene) -> list[Layer]:
    """Every landslide of the inventory that counts, with the share mapped; and those missed, alone."""
    frame = scene.inventory()
    assert frame is not None  # checked before
    chosen = frame.set_index("id").loc[scores.ids]
    found = np.where(scores.covered == 0, "no", np.where(scores.covered < 0.5, "partly", "half"))
    table = pd.DataFrame(
        {
            "landslide": scores.ids,
            "area_m2": scores.area_m2,
            "covered": scores.covered.round(4),
            "found": pd.Series(found, dtype=str),
        }
    )
    shapes = chosen.geometry.to_numpy()
    missed = np.flatnonzero(scores.covered == 0)
    rest = table.iloc[missed].drop(columns=["covered", "found"]).reset_index(drop=True)
    return [
        Layer("inventory", shapes, table, scene.grid.crs, COMMENTS),
        Layer("missed", shapes[missed], rest, scene.grid.crs, COMMENTS),
    ]
