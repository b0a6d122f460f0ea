"""What ``landslip segment`` does: choose bounds and a scale, segment, and write labels or a table of objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import InputError, OutputError
from landslip.files import keep_inputs, sha256, write_json
from landslip.objects.disk.raster import RasterSegmentation, segment_raster
from landslip.objects.disk.sources import Source, open_source
from landslip.objects.scale.curves import plot_scales
from landslip.objects.scale.supervised import ScaleSearch, choose_scale
from landslip.objects.scale.unsupervised import UnsupervisedSearch, choose_scale_unsupervised
from landslip.objects.table import object_polygons, object_table, write_objects
from landslip.progress import SILENT, Progress
from landslip.rasters import open_raster, read_window
from landslip.recipe import require_distinct
from landslip.scene.inventory import Inventory, rasterise, read_inventory
from landslip.scene.store import BANDS, INVENTORY, LABELS, SCENE_JSON, VALID, Scene

FIGURES = (".png", ".pdf", ".svg")
LABEL_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*LABEL_SUFFIXES, ".gpkg", ".parquet")


@dataclass(frozen=True)
class Request:
    """What was asked on the command line; see there."""

    source: Path
    out: Path
    scale: float | None
    layers: tuple[str, ...] = ()
    color: float = 0.9
    compactness: float = 0.5
    band_weights: tuple[float, ...] | None = None
    inventory: Path | None = None
    min_size: int = 1
    threads: int | None = None
    memory_gib: float = 4.0
    stretch: bool = True
    figure: Path | None = None
    resume: bool = False

    @property
    def labels_alone(self) -> bool:
        """Whether the result is a raster of labels, without polygons."""
        return self.out.suffix.lower() in LABEL_SUFFIXES

    @property
    def options(self) -> dict[str, Any]:
        """Weights for the functions of this room."""
        return {
            "color": self.color,
            "compactness": self.compactness,
            "band_weights": self.band_weights,
            "threads": self.threads,
        }


def run(request: Request, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Do what was asked; return the result as JSON types.

    Raises
    ------
    LandslipError
        Anything that the input or the options are wrong about.
    """
    if request.out.suffix.lower() not in SUFFIXES:
        message = f"{request.out}: must end in .tif (labels), .gpkg or .parquet (polygons); change --out"
        raise OutputError(message)
    if request.figure is not None and request.figure.suffix.lower() not in FIGURES:
        message = f"{request.figure}: must end in {', '.join(FIGURES)}; change --figure"
        raise OutputError(message)
    require_distinct(request.layers)
    own = (BANDS, VALID, LABELS, INVENTORY) if request.source.is_dir() else ("",)
    outputs = [path for path in (request.out, request.figure) if path is not None]
    keep_inputs(outputs, [*(request.source / name for name in own), request.inventory])
    source = open_source(request.source, request.layers or None)
    if request.inventory is not None or not request.labels_alone:
        remedy = "warp it to one that is (gdalwarp), or write labels alone (--out ….tif, without --inventory)"
        source.grid.require_metric(what=str(source.path), remedy=remedy)
    if request.stretch:
        source = source.stretched(source.percentiles())
    scale, search = (request.scale, None) if request.scale else _choose(source, request, progress)
    assert scale is not None
    content: dict[str, Any] = {
        "out": str(request.out),
        "scale": scale,
        "layers": list(source.layers),
        "bounds": [list(pair) for pair in source.bounds],
    }
    if search is not None:
        content["search"] = search.to_dict()
        if request.figure is not None:
            plot_scales(search, request.figure)
            content["figure"] = str(request.figure)
    with _labels(request) as path:
        done = segment_raster(
            source, path, scale, **request.options, min_size=request.min_size,
            memory_gib=request.memory_gib, resume=request.resume, progress=progress,
        )  # fmt: skip
        if path != request.out:
            _write_polygons(done, source, request, progress)
    content |= {"objects": done.objects, "windows": done.windows, "reruns": done.reruns, "passes": done.passes}
    write_json(record_path(request.out), {"format": 1, **content, "color": request.color,
               "compactness": request.compactness, "min_size": request.min_size, "asked": asked(request)})  # fmt: skip
    return content


def record_path(out: Path) -> Path:
    """Where it is recorded, last of all, how ``out`` was made."""
    return out.with_name(f"{out.name}.json")


def asked(request: Request) -> dict[str, Any]:
    """Return all that decides about the objects, as JSON types: the source's identity and the options."""
    described = request.source / SCENE_JSON
    whole = request.source / BANDS if request.source.is_dir() else request.source
    return {
        "source": sha256(described) if described.is_file() else request.source.name,
        "bytes": whole.stat().st_size if whole.is_file() else 0,
        "inventory": sha256(request.inventory) if request.inventory else None,
        "scale": request.scale,
        "layers": list(request.layers),
        "color": request.color,
        "compactness": request.compactness,
        "band_weights": list(request.band_weights) if request.band_weights else None,
        "min_size": request.min_size,
        "stretch": request.stretch,
    }


def _choose(source: Source, request: Request, progress: Progress) -> tuple[float, ScaleSearch | UnsupervisedSearch]:
    inventory = _inventory(source, request.inventory)
    window = source.sample(_middle(inventory, source) if inventory is not None else None)
    image = source.read(window)
    valid = np.isfinite(image).all(axis=0)
    if not valid.any():
        message = f"{source.path}: no valid pixel in the part that a scale is chosen on; give --scale"
        raise InputError(message)
    options = {**request.options, "valid": valid, "progress": progress}
    if inventory is None:
        free = choose_scale_unsupervised(image, **options)
        return free.scale, free
    try:
        fitted = choose_scale(image, rasterise(inventory, source.grid, window=window)[1], **options)
    except InputError as error:
        message = f"{source.path}: {error}"
        raise InputError(message) from error
    return fitted.scale, fitted


def _inventory(source: Source, path: Path | None) -> Inventory | None:
    if path is not None:
        return read_inventory(path, source.grid)
    if source.path.is_dir() and (frame := Scene.open(source.path).inventory()) is not None:
        return Inventory.of_frame(frame, source.grid)
    return None


def _middle(inventory: Inventory, source: Source) -> tuple[int, int]:
    centres = inventory.frame.geometry.representative_point()
    col, row = ~source.grid.transform * (float(centres.x.median()), float(centres.y.median()))
    return int(np.clip(row, 0, source.grid.rows - 1)), int(np.clip(col, 0, source.grid.cols - 1))


@contextlib.contextmanager
def _labels(request: Request) -> Iterator[Path]:
    """Where the label raster goes: to its final name, or for polygons to a folder beside it for the while."""
    if request.labels_alone:
        yield request.out
        return
    kept = request.out.with_name(f"{request.out.name}.labels.tif")  # a fixed name, so that parts are found again
    yield kept
    kept.unlink(missing_ok=True)


def _write_polygons(done: RasterSegmentation, source: Source, request: Request, progress: Progress) -> None:
    with open_raster(done.path) as dataset:
        labels = read_window(dataset)[0]
    names = list(source.layers)
    if source.path.is_dir() and "slope" in Scene.open(source.path).layers and "slope" not in names:
        names.append("slope")
    whole = source.grid.window

    def layers() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name in names:
            yield name, source.raw([name], whole)[0]

    with progress.task("describing objects", None):
        table = object_table(labels, source.grid, layers())
        write_objects(object_polygons(labels, source.grid, table), request.out)


__all__ = ["Request", "asked", "record_path", "run"]
