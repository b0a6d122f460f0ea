"""Segments a whole scene as a recipe says, and averages layers over the objects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.errors import LayerError
from landslip.files import atomic_path
from landslip.files.arrays import open_arrays
from landslip.layers.build import segmentation_image
from landslip.layers.catalogue import bands_needed, compute, describe
from landslip.mapping.probability.objects import ObjectMeans, SceneObjects, object_windows
from landslip.mapping.probability.source import SceneSource
from landslip.progress import SILENT, Progress
from landslip.recipe import ObjectRecipe
from landslip.windows import Window


def segment_scene(
    source: SceneSource, work: Path, *, memory_gib: float = 4.0, progress: Progress = SILENT
) -> SceneObjects:
    """Segment a scene as the recipe of ``source`` says, and average the layers that it averages.

    Parameters
    ----------
    source
        Scene, recipe and scale.
    work
        Folder in which the label raster and the means are left, and taken from when they are there already.
    memory_gib
        Memory that the segmentation may take; it does not change the result.
    progress
        Shows the passes.

    Raises
    ------
    LayerError
        The recipe has no object settings, or a band is absent.
    ResourceError
        The scene cannot be segmented in the memory allowed.
    """
    recipe = source.recipe.objects
    if recipe is None:
        message = "the recipe has no objects; object layers cannot be built"
        raise LayerError(message)
    key = hashlib.sha256(json.dumps([recipe.to_dict(), source.scale]).encode()).hexdigest()[:12]
    labels = work / f"objects-{key}.tif"
    if not labels.is_file():
        _segment(source, recipe, labels, memory_gib, progress)
    averaged = [describe(name).of for name in source.recipe.layers if describe(name).of]
    kept = work / f"{labels.stem}-{hashlib.sha256(' '.join(averaged).encode()).hexdigest()[:12]}.npz"
    if not kept.is_file():
        objects = measure_objects(labels, source, averaged, progress=progress)
        with atomic_path(kept) as temporary, temporary.open("wb") as handle:
            np.savez(handle, allow_pickle=False, count=objects.count, **objects.means)
    with open_arrays(kept, "part of an interrupted map is damaged; run again without --resume") as arrays:
        return SceneObjects(labels, int(arrays["count"]), {name: arrays[name] for name in averaged})


def measure_objects(
    labels: Path, source: SceneSource, averaged: Sequence[str], *, progress: Progress = SILENT
) -> SceneObjects:
    """Count the objects of a label raster and average layers over them, in two passes by window."""
    objects = SceneObjects(labels, 0)
    windows = object_windows(source.scene.grid.shape)
    count = max(int(objects.labels(window).max(initial=0)) for window in windows)
    sums = {name: ObjectMeans(count) for name in averaged}
    with progress.task("average objects", len(windows)) as task:
        for window in windows:
            inside = objects.labels(window)
            bands = source.read_bands(window)
            for name, total in sums.items():
                total.add(inside, compute(name, bands))
            task.advance()
    return SceneObjects(labels, count, {name: total.means() for name, total in sums.items()})


def _segment(source: SceneSource, recipe: ObjectRecipe, labels: Path, memory_gib: float, progress: Progress) -> None:
    from landslip.objects import segment_raster
    from landslip.objects.disk.sources import Source

    needed = bands_needed(recipe.inputs)

    def read(_: Sequence[str], window: Window) -> NDArray[np.float32]:
        return segmentation_image(source.read_bands(window, needed), recipe)

    scene = source.scene
    segment_raster(
        Source(scene.path, scene.grid, recipe.inputs, read),
        labels,
        recipe.scale,
        color=recipe.color,
        compactness=recipe.compactness,
        band_weights=recipe.band_weights,
        memory_gib=memory_gib,
        resume=True,
        progress=progress,
    )
