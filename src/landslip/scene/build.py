"""Building a scene folder from images, elevation and an inventory, window by window.

Nothing is ever held for the whole scene at once, so memory does not grow with it. The radiometry of
each image is settled in :mod:`landslip.scene.radiometry`, the grid in :mod:`landslip.scene.target`.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landslip._version import __version__
from landslip.errors import CoverageError, InputError
from landslip.files import FORMAT, locked, write_json
from landslip.grid import Grid
from landslip.progress import SILENT, Progress
from landslip.rasters import RasterSpec, write_block
from landslip.scene.config import SceneConfig
from landslip.scene.coregister import Shift, estimate_shift
from landslip.scene.elevation import Elevation, open_elevation
from landslip.scene.image import Image
from landslip.scene.mosaic import Mosaic
from landslip.scene.provenance import checksums, files_of
from landslip.scene.remarks import Remarks
from landslip.scene.sampling import gdal_settings
from landslip.scene.sources import ReadOptions, read_images
from landslip.scene.statistics import LayerTally, implausible, shares
from landslip.scene.store import BANDS, INVENTORY, LABELS, LOG, SCENE_JSON, VALID, Scene
from landslip.scene.target import choose_grid
from landslip.scene.writing import require_space, scene_raster
from landslip.windows import Window, split_windows

if TYPE_CHECKING:
    from landslip.scene.inventory import Inventory, MappedExtent

WINDOW = 2048
"""Edge of the windows that are worked on: four tiles of ours, two of a JP2 product."""

VISIBLE = ("blue", "green", "red")

SHIFT_BAND = "red"
"""Band whose pre- and post-event images are compared."""

NOTEWORTHY_PX = 0.5
"""Shifts beyond this many pixels are remarked on."""


@dataclass(frozen=True)
class _Inputs:
    """Everything opened and checked, before a pixel is read."""

    grid: Grid
    post: list[Image]
    pre: list[Image]
    elevation: Elevation | None
    inventory: Inventory | None
    aoi: MappedExtent | None
    shift: Shift | None = None
    """Of the pre-event image; None without one."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Bands of ``valid.tif``."""
        masked = any(image.classes is not None for image in self.post)
        there = {"image": True, "clouds": masked, "dem": self.elevation is not None, "pre": bool(self.pre)}
        return tuple(name for name, present in there.items() if present)

    @property
    def layers(self) -> tuple[str, ...]:
        """Bands of ``bands.tif``."""
        terrain = self.elevation.layers if self.elevation is not None else ()
        before = tuple(f"pre_{name}" for name in self.pre[0].bands) if self.pre else ()
        return (*self.post[0].bands, *terrain, *before)


def build_scene(config: SceneConfig, out: str | os.PathLike[str], *, progress: Progress = SILENT) -> Scene:
    """Build a scene folder.

    Parameters
    ----------
    config
        Inputs and choices.
    out
        Folder of the scene; made when absent, a scene in it is replaced.
    progress
        Who is told how far it is.

    Returns
    -------
    Scene
        The finished scene, opened.

    Raises
    ------
    LandslipError
        An input is missing, damaged or contradictory, or the output cannot be written.
    """
    started = time.time()
    out = Path(out)
    with locked(out), gdal_settings():
        remarks = Remarks()
        inputs = _open(config, remarks)
        require_space(out, inputs.grid.rows * inputs.grid.cols * len(inputs.layers))
        (out / SCENE_JSON).unlink(missing_ok=True)  # from here on the folder is no finished scene
        tally, counts = _write_rasters(inputs, config, out, progress)
        for remark in implausible(tally, [name for name in tally.layers if name.removeprefix("pre_") in VISIBLE]):
            remarks.add(remark)
        if inputs.inventory is not None:
            from landslip.scene.inventory_store import write_inventory

            write_inventory(inputs.inventory, out / INVENTORY)
        content = _content(inputs, config, tally, counts)
        content["remarks"] = remarks.said
        content["sources"] = checksums(_input_files(inputs, config), progress)
        write_json(out / LOG, {"started": round(started), "seconds": round(time.time() - started, 2), **_paths(config)})
        write_json(out / SCENE_JSON, content)
    return Scene.open(out)


def _open(config: SceneConfig, remarks: Remarks) -> _Inputs:
    options = ReadOptions(config.bands, config.extra_bands, config.offset, config.quantification)
    post = read_images(config.images, options, remarks)
    pre = _open_pre(config, post, remarks)
    grid = choose_grid(post, config.crs, config.resolution)
    elevation = _open_elevation(config, grid)
    inventory, aoi = _open_inventory(config, grid, remarks)
    if "nir" not in post[0].bands:
        remarks.add("no near-infrared band: NDVI cannot be had, the visible index ngrdi can stand in for it")
    shift = _estimate_shift(post, pre, grid, config, remarks) if pre else None
    return _Inputs(grid, post, pre, elevation, inventory, aoi, shift)


def _estimate_shift(post: list[Image], pre: list[Image], grid: Grid, config: SceneConfig, remarks: Remarks) -> Shift:
    merging = config.merging()
    with (
        Mosaic([image.select((SHIFT_BAND,)) for image in post], grid, merging) as after,
        Mosaic([image.select((SHIFT_BAND,)) for image in pre], grid, merging) as before,
    ):
        shift = estimate_shift(lambda w: after.read(w).bands[0], lambda w: before.read(w).bands[0], grid.shape)
    if not shift.known:
        remarks.add("the shift of the pre-event image could not be estimated: too little in common with the image")
    elif not config.coregister and np.hypot(shift.rows, shift.cols) > NOTEWORTHY_PX:
        remarks.add(
            f"the pre-event image lies {shift.rows:.2f} pixels down and {shift.cols:.2f} right of the image "
            f"({shift.blocks} places, spread {shift.spread:.2f}); give --coregister to move it back"
        )
    return shift


def _open_elevation(config: SceneConfig, grid: Grid) -> Elevation | None:
    if not config.dem:
        return None
    return open_elevation(config.dem, grid, config.elevation)


def _open_pre(config: SceneConfig, post: list[Image], remarks: Remarks) -> list[Image]:
    if not config.pre:
        return []
    offset = config.offset if config.pre_offset is None else config.pre_offset
    options = ReadOptions(config.bands, (), offset, config.quantification, "pre-event image")
    pre = read_images(config.pre, options, remarks)
    missing = [name for name in post[0].bands if name not in pre[0].bands]
    if missing:
        remarks.add(f"the pre-event image has no {', '.join(missing)}; differences of it cannot be had")
    return pre


def _open_inventory(config: SceneConfig, grid: Grid, remarks: Remarks) -> tuple[Inventory | None, MappedExtent | None]:
    if config.inventory is None:
        return None, None
    from landslip.scene.inventory import NO_EXTENT, read_aoi, read_inventory  # imports geopandas

    inventory = read_inventory(config.inventory, grid, layer=config.inventory_layer)
    if inventory.hygiene.changed:
        remarks.add(f"{Path(config.inventory).name}: {' '.join(inventory.hygiene.words)}")
    if config.aoi is None:
        remarks.add(NO_EXTENT)
        return inventory, None
    return inventory, read_aoi(config.aoi, grid)


def _write_rasters(
    inputs: _Inputs, config: SceneConfig, out: Path, progress: Progress
) -> tuple[LayerTally, dict[str, int]]:
    grid = inputs.grid
    tally = LayerTally(inputs.layers)
    counts = dict.fromkeys((*inputs.sources, "landslide", "unknown"), 0)
    windows = list(split_windows(grid.shape, (WINDOW, WINDOW)))
    bands = RasterSpec(grid, "float32", inputs.layers, nodata=float("nan"))
    valid = RasterSpec(grid, "uint8", inputs.sources, average=False)
    labels = RasterSpec(grid, "uint8", ("label",), average=False)
    with ExitStack() as stack:
        reader = stack.enter_context(_Reader(inputs, config))
        bands_file = stack.enter_context(scene_raster(out / BANDS, bands))
        valid_file = stack.enter_context(scene_raster(out / VALID, valid))
        labels_file = stack.enter_context(scene_raster(out / LABELS, labels)) if inputs.inventory else None
        task = stack.enter_context(progress.task("scene", len(windows)))
        for window in windows:
            pixels, masks = reader.read(window)
            tally.add(pixels)
            write_block(bands_file, pixels, window)
            write_block(valid_file, masks.astype(np.uint8), window)
            for name, mask in zip(inputs.sources, masks, strict=True):
                counts[name] += int(np.count_nonzero(mask))
            if labels_file is not None:
                label = _labels(inputs, window)
                write_block(labels_file, label[np.newaxis], window)
                counts["landslide"] += int(np.count_nonzero(label == 1))
                counts["unknown"] += int(np.count_nonzero(label == 255))
            task.advance()
        _require_pixels(inputs, tally, counts)  # before the files get their names
    return tally, counts


def _require_pixels(inputs: _Inputs, tally: LayerTally, counts: dict[str, int]) -> None:
    name = inputs.post[0].name
    if counts["image"] == 0:
        message = f"{name}: not one valid pixel in the scene: all is nodata; check the image"
        raise InputError(message)
    if tally.valid[0] == 0:
        message = f"{name}: not one clear pixel: all is cloud or shadow by its classification; take another date"
        raise InputError(message)
    if inputs.pre and counts["pre"] == 0:
        message = f"{inputs.pre[0].name}: the pre-event image has no usable pixel in the scene; give one of this area"
        raise CoverageError(message)


def _labels(inputs: _Inputs, window: Window) -> NDArray[np.uint8]:
    from landslip.scene.inventory import rasterise

    assert inputs.inventory is not None  # labels are only written with an inventory
    return rasterise(inputs.inventory, inputs.grid, aoi=inputs.aoi, window=window)[0]


class _Reader:
    """All layers and masks of a window."""

    def __init__(self, inputs: _Inputs, config: SceneConfig) -> None:
        self._inputs = inputs
        self._post = Mosaic(inputs.post, inputs.grid, config.merging())
        moved = (inputs.shift.rows, inputs.shift.cols) if inputs.shift and config.coregister else (0.0, 0.0)
        self._pre = Mosaic(inputs.pre, inputs.grid, config.merging(moved)) if inputs.pre else None
        self._stack = ExitStack()

    def __enter__(self) -> _Reader:
        self._stack.enter_context(self._post)
        if self._pre is not None:
            self._stack.enter_context(self._pre)
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return layers ``(layers, rows, cols)`` and masks ``(sources, rows, cols)``."""
        post = self._post.read(window)
        layers, masks = [*post.bands], {"image": post.image, "clouds": post.clear | ~post.image}
        if self._inputs.elevation is not None:
            terrain = self._inputs.elevation.read(window)
            layers += [terrain[name] for name in self._inputs.elevation.layers]
            masks["dem"] = np.isfinite(terrain["elevation"])
        if self._pre is not None:
            pre = self._pre.read(window)
            layers += [*pre.bands]
            masks["pre"] = pre.clear
        return np.stack(layers), np.stack([masks[name] for name in self._inputs.sources])


def _content(inputs: _Inputs, config: SceneConfig, tally: LayerTally, counts: dict[str, int]) -> dict[str, Any]:
    total = inputs.grid.rows * inputs.grid.cols
    masks = {name: counts[name] for name in inputs.sources}
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": "scene",
        "version": __version__,
        "grid": inputs.grid.to_dict(),
        "layers": list(inputs.layers),
        "validity": shares(masks, total),
        "valid_layers": tally.valid_share(),
        "dates": {key: _dates(images) for key, images in (("post", inputs.post), ("pre", inputs.pre)) if images},
        "images": {
            key: [image.to_dict() for image in images]
            for key, images in (("post", inputs.post), ("pre", inputs.pre))
            if images
        },
        "settings": _settings(config),
        "simulated": any(image.simulated for image in [*inputs.post, *inputs.pre]),
    }
    if inputs.shift is not None:
        content["pre_shift"] = inputs.shift.to_dict(corrected=config.coregister)
    if inputs.elevation is not None:
        content["elevation"] = {
            "coverage": round(inputs.elevation.coverage, 4),
            "models": [{**source, "path": Path(source["path"]).name} for source in inputs.elevation.sources],
        }
    if inputs.inventory is not None:
        known = total - counts["unknown"]
        content["inventory"] = {
            "file": Path(config.inventory or "").name,
            "polygons": len(inputs.inventory.frame),
            "landslide_pixels": counts["landslide"],
            "known_pixels": known,
            "prevalence": round(counts["landslide"] / max(1, known), 6),
            "mapped_extent": Path(config.aoi).name if config.aoi else None,
            "hygiene": inputs.inventory.hygiene.to_dict(),
        }
    return content


def _dates(images: list[Image]) -> list[str]:
    return sorted({image.date for image in images if image.date})


def _settings(config: SceneConfig) -> dict[str, Any]:
    paths = ("images", "dem", "pre", "inventory", "aoi")
    return {key: value for key, value in config.to_dict().items() if key not in paths}


def _paths(config: SceneConfig) -> dict[str, Any]:
    return {"inputs": {key: getattr(config, key) for key in ("images", "dem", "pre", "inventory", "aoi")}}


def _input_files(inputs: _Inputs, config: SceneConfig) -> list[str]:
    others = [*config.dem, *([config.inventory] if config.inventory else []), *([config.aoi] if config.aoi else [])]
    return [*files_of([*inputs.post, *inputs.pre]), *others]
