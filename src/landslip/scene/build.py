"""Building a scene folder from images, elevation and an inventory, window by window.

Nothing is ever held for the whole scene at once, so memory does not grow with it. The radiometry of
each image is settled in :mod:`landslip.scene.images.radiometry`, the grid in :mod:`landslip.scene.target`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import CoverageError, InputError
from landslip.files import keep_inputs, write_json
from landslip.files.outputs import output_folder
from landslip.progress import SILENT, Progress
from landslip.rasters import RasterSpec, write_block
from landslip.scene.config import SceneConfig
from landslip.scene.elevation.illumination import Illumination
from landslip.scene.inputs import Inputs, open_inputs
from landslip.scene.mosaic import Mosaic
from landslip.scene.provenance import checksums, input_files, input_paths, scene_content
from landslip.scene.remarks import Remarks
from landslip.scene.sampling import gdal_settings
from landslip.scene.statistics import LayerTally, implausible
from landslip.scene.store import BANDS, INVENTORY, LABELS, LOG, SCENE_JSON, VALID, Scene
from landslip.scene.writing import require_space, scene_raster
from landslip.windows import Window, split_windows

WINDOW = 2048
"""Edge of the windows that are worked on: four tiles of ours, two of a JP2 product."""

VISIBLE = ("blue", "green", "red")


def build_scene(config: SceneConfig, out: str | os.PathLike[str], *, progress: Progress = SILENT) -> Scene:
    """Build a scene folder.

    Parameters
    ----------
    config
        Inputs and choices.
    out
        Folder of the scene, or ``s3://`` address; made when absent, a scene in it is replaced.
    progress
        Who is told how far it is.

    Returns
    -------
    Scene
        The finished scene, opened.

    Raises
    ------
    LandslipError
        An input is missing, damaged or contradictory, or the output cannot be written or is an input.
    """
    started, place = time.time(), out
    with output_folder(place, SCENE_JSON, replace=True) as out, gdal_settings():
        remarks = Remarks()
        inputs = open_inputs(config, remarks)
        names = (BANDS, VALID, LABELS, INVENTORY, SCENE_JSON, LOG)
        keep_inputs([out / name for name in names], [path for _, path in input_files(inputs, config)])
        require_space(out, inputs.grid.rows * inputs.grid.cols * len(inputs.layers))
        for name in (SCENE_JSON, LABELS, INVENTORY):  # from here on the folder is no finished scene
            (out / name).unlink(missing_ok=True)
        tally, counts, light = _write_rasters(inputs, config, out, progress)
        for remark in implausible(tally, [name for name in tally.layers if name.removeprefix("pre_") in VISIBLE]):
            remarks.add(remark)
        content = scene_content(inputs, config, tally, counts) | light
        if inputs.inventory is not None:
            from landslip.scene.inventory.check import check_inventory  # imports geopandas
            from landslip.scene.inventory.store import write_inventory

            check = check_inventory(inputs.inventory, out / BANDS, inputs.layers)
            write_inventory(check.inventory, out / INVENTORY)
            content["inventory"] |= check.content
            for remark in check.remarks:
                remarks.add(remark)
        content["remarks"] = remarks.said
        content["sources"] = checksums(input_files(inputs, config), progress)
        write_json(
            out / LOG,
            {"started": round(started), "seconds": round(time.time() - started, 2), "inputs": input_paths(config)},
        )
        write_json(out / SCENE_JSON, content)
    return Scene.open(place)


def _write_rasters(
    inputs: Inputs, config: SceneConfig, out: Path, progress: Progress
) -> tuple[LayerTally, dict[str, int], dict[str, Any]]:
    grid = inputs.grid
    tally = LayerTally(inputs.layers)
    counts = dict.fromkeys((*inputs.sources, "landslide", "unknown"), 0)
    windows = list(split_windows(grid.shape, (WINDOW, WINDOW)))
    bands = RasterSpec(grid, "float32", inputs.layers, nodata=float("nan"), compress="zstd")
    valid = RasterSpec(grid, "uint8", inputs.sources, average=False, compress="zstd")
    labels = RasterSpec(grid, "uint8", ("label",), average=False, compress="zstd")
    with progress.task("scene", len(windows) + 1) as task:
        with ExitStack() as stack:
            reader = stack.enter_context(_Reader(inputs, config))
            bands_file = stack.enter_context(scene_raster(out / BANDS, bands))
            valid_file = stack.enter_context(scene_raster(out / VALID, valid))
            labels_file = (
                stack.enter_context(scene_raster(out / LABELS, labels)) if inputs.inventory is not None else None
            )
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
        task.advance(note="overviews")  # made when the files were closed
    return tally, counts, reader.light


def _require_pixels(inputs: Inputs, tally: LayerTally, counts: dict[str, int]) -> None:
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


def _labels(inputs: Inputs, window: Window) -> NDArray[np.uint8]:
    from landslip.scene.inventory import rasterise

    assert inputs.inventory is not None  # labels are only written with an inventory
    return rasterise(inputs.inventory, inputs.grid, aoi=inputs.aoi, window=window)[0]


class _Reader:
    """All layers and masks of a window."""

    def __init__(self, inputs: Inputs, config: SceneConfig) -> None:
        self._inputs = inputs
        self._post = Mosaic(inputs.post, inputs.grid, config.merging())
        moved = (inputs.shift.rows, inputs.shift.cols) if inputs.shift and config.coregister else (0.0, 0.0)
        self._pre = Mosaic(inputs.pre, inputs.grid, config.merging(moved)) if inputs.pre else None
        self._suns = {"post": config.sun, "pre": config.pre_sun if inputs.pre else None}
        self._light: dict[str, Illumination] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Reader:
        self._stack.enter_context(self._post)
        if self._pre is not None:
            self._stack.enter_context(self._pre)
        for side, sun in self._suns.items():
            elevation, images = self._inputs.elevation, getattr(self._inputs, side)
            if sun is not None and elevation is not None:
                self._light[side] = Illumination.fit(elevation, sun, tuple(images[0].bands), self._bands_of(side))
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return layers ``(layers, rows, cols)`` and masks ``(sources, rows, cols)``."""
        post = self._post.read(window)
        layers = [*self._lit("post", window, post.bands)]
        masks = {"image": post.image, "clouds": post.clear | ~post.image}
        if self._inputs.elevation is not None:
            terrain = self._inputs.elevation.read(window)
            layers += [terrain[name] for name in self._inputs.elevation.layers]
            masks["dem"] = np.isfinite(terrain["elevation"])
        if self._pre is not None:
            pre = self._pre.read(window)
            layers += [*self._lit("pre", window, pre.bands)]
            masks["pre"] = pre.clear
        return np.stack(layers), np.stack([masks[name] for name in self._inputs.sources])

    @property
    def light(self) -> dict[str, Any]:
        """How light and shade were corrected, for ``scene.json``."""
        return {"illumination": {side: found.to_dict() for side, found in self._light.items()}} if self._light else {}

    def _bands_of(self, side: str) -> Callable[[Window], NDArray[np.float32]]:
        mosaic = self._post if side == "post" or self._pre is None else self._pre
        return lambda window: mosaic.read(window).bands

    def _lit(self, side: str, window: Window, bands: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct the light of an image where that is wanted."""
        return self._light[side].apply(window, bands) if side in self._light else bands
