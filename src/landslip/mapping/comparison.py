"""The pass over a scene that compares its map with its inventory, and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from landslip.data.tileset import UNKNOWN
from landslip.errors import GridMismatchError, InputError
from landslip.layers.catalogue import bands_needed
from landslip.mapping.landslides.filters import burn_polygons, polygons_on
from landslip.mapping.landslides.outlines import Outliner
from landslip.mapping.result import MapResult
from landslip.mapping.run import LANDSLIDES
from landslip.mapping.show.style import comparison_style
from landslip.mapping.show.writing import Layer
from landslip.rasters import BLOCK, RasterSpec, cog_writer, open_raster, read_window, write_block
from landslip.recipe import Recipe
from landslip.scene.store import Scene
from landslip.scoring import Confusion, LandslideScores, ProbabilityHistogram, per_landslide
from landslip.windows import Window, split_windows
from landslip.wording import counted

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
                f"of {counted(overall.mapped, 'landslide')} of the inventory "
                f"{counted(overall.found_any, 'was', 'were')} touched, {overall.found_half} found by half; "
                f"of {counted(overall.predicted, 'predicted one')} "
                f"{counted(overall.real_any, 'touches', 'touch')} a landslide of the inventory",
            ]
        )


class Area:
    """Which pixels are scored by place.

    Parameters
    ----------
    scene
        The scene.
    within, outside
        Polygons: only pixels within, or outside of them, are scored.
    held_out
        ``(rows, cols)``: only these pixels are scored.
    """

    def __init__(
        self, scene: Scene, within: Path | None, outside: Path | None, held_out: NDArray[np.bool_] | None = None
    ) -> None:
        self._scene, self._held_out = scene, held_out
        self._within = None if within is None else polygons_on(within, scene.grid, what="area to score in")
        self._outside = None if outside is None else polygons_on(outside, scene.grid, what="area to leave out")

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """``(rows, cols)`` of a window: whether a pixel is scored."""
        scored = np.ones(window.shape, np.bool_) if self._held_out is None else self._held_out[window.slices].copy()
        for shapes, wanted in ((self._within, True), (self._outside, False)):
            if shapes is not None:
                burnt = burn_polygons(shapes, np.ones(len(shapes), np.int32), self._scene.grid, window) > 0
                scored &= burnt == wanted
        return scored


def require_scored(scene: Scene, area: Area, recipes: Sequence[Recipe]) -> None:
    """Refuse to compare where no pixel can count, before the map is made.

    Parameters
    ----------
    scene
        With an inventory.
    area
        Where it is scored.
    recipes
        Of the models: a pixel is mapped where the bands of one are valid, if not everywhere there.

    Raises
    ------
    InputError
        No pixel of known label in the area has valid bands.
    """
    needed = [bands_needed(recipe.layers) for recipe in recipes]
    if any(name not in scene.layers for bands in needed for name in bands):
        return  # no map can be made, which is told when it is tried
    for window in split_windows(scene.grid.shape, (BLOCK, scene.grid.cols)):
        labels = scene.labels(window)
        assert labels is not None  # checked before: the scene has an inventory
        counts = (labels != UNKNOWN) & area.mask(window)
        if not counts.any():
            continue
        for bands in needed:
            if (counts & np.isfinite(scene.read(bands, window)).all(axis=0)).any():
                return
    raise InputError(_none_counts(scene))


def _none_counts(scene: Scene) -> str:
    return (
        f"{scene.path}: no pixel is both mapped and of known label in the area that is scored; look at its mapped "
        "extent and at --within, --outside or --held-out"
    )


class Pass:
    """One pass over the scene by bands of rows."""

    def __init__(self, result: MapResult, scene: Scene, area: Area, folder: Path) -> None:
        self.result, self.scene, self.area, self.folder = result, scene, area, folder
        self.windows = list(split_windows(scene.grid.shape, (BLOCK, scene.grid.cols)))
        self.raw = self.half = self.pixels = Confusion(0, 0, 0, 0)
        self.histogram = ProbabilityHistogram.from_arrays(*(np.zeros(0, t) for t in (float, np.uint8, np.bool_)))
        self.outliners = {code: Outliner(scene.grid.cols) for code in (1, 2, 3)}
        self.counted = 0
        self._kept: list[tuple[Window, NDArray[np.bool_], NDArray[np.bool_]]] = []

    def run(self) -> Iterator[Window]:
        """Compare band by band, write ``comparison.tif``, and yield each window when it is done.

        The scores of a comparison before this one go when its raster does.

        Raises
        ------
        GridMismatchError
            The map is of another scene.
        InputError
            No pixel counts; what was there stays.
        """
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
            if not self.counted:
                raise InputError(_none_counts(self.scene))
            (self.folder / EVALUATION).unlink(missing_ok=True)

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
        """Return the scores of what was compared."""
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


def inventory_layers(scores: LandslideScores, scene: Scene) -> list[Layer]:
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
