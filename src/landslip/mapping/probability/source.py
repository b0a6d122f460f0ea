"""The layers of a recipe over a whole scene, block by block, each pixel read from disk once.

A scale, or what matches the scene to the training pixels, is found in a pass of its own beforehand. Object layers
follow the objects of the whole scene, segmented beforehand too (:mod:`landslip.mapping.probability.segment`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from landslip.data.matching import NO_MATCHING, Matching, matched_layers
from landslip.errors import InputError
from landslip.layers.build import ObjectTable, build_layers, stored_bands
from landslip.layers.catalogue import IMAGE_BANDS, require_bands
from landslip.mapping.probability.blending import Band, WindowPlan
from landslip.mapping.probability.objects import SceneObjects
from landslip.rasters import BLOCK
from landslip.recipe import Recipe
from landslip.scene.store import Scene
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

SCALE_QUANTILE = 0.999
"""Scenes for models trained on patches of unknown scale are divided by this quantile of their valid pixels."""

OUTSIDE_SHARE = 0.25
"""Share of pixels outside the training range (1st to 99th percentile there, so 2 % is normal) that is warned of."""

_SAMPLE_WINDOWS = 64


@dataclass(frozen=True)
class SceneSource:
    """Builds the layers of one recipe from a scene, by window.

    Parameters
    ----------
    scene
        The scene.
    recipe
        Which layers, how made.
    objects
        Objects of the whole scene, where the recipe has object layers.
    scale
        Image layers are divided by this (1 for models trained on reflectance).
    matching
        How image layers are brought to the training pixels' mean and deviation, for models trained so.
    """

    scene: Scene
    recipe: Recipe
    objects: SceneObjects | None = None
    scale: float = 1.0
    matching: Matching = NO_MATCHING

    def read(self, window: Window) -> NDArray[np.float32]:
        """Return ``(layers, rows, cols)`` float32 in the recipe's order and units, NaN = invalid."""
        bands = self.read_bands(window)
        table = None
        if self.objects is not None:
            table = ObjectTable(self.objects.labels(window), self.objects.means)
        layers = build_layers(bands, self.recipe, objects=table)
        self.matching.apply(layers, self.recipe.layers)
        return layers

    def read_bands(self, window: Window, names: Sequence[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """Return stored layers, by default those that the recipe needs, image layers divided by the scale."""
        names = stored_bands(self.recipe) if names is None else names
        pixels = self.scene.read(names, window)
        if self.scale != 1.0:
            for layer, name in zip(pixels, names, strict=True):
                if name.removeprefix("pre_") in IMAGE_BANDS:
                    layer /= np.float32(self.scale)
        return dict(zip(names, pixels, strict=True))


def scene_source(scene: Scene, recipe: Recipe) -> SceneSource:
    """Set up the layers of a recipe on a scene, with what has to be known of the whole scene first.

    Raises
    ------
    InputError
        The scene has no valid pixel in an image band, or nothing but zeros.
    """
    source = SceneSource(scene, recipe, None, scene_scale(scene, recipe))
    names = matched_layers(recipe)
    if not names:
        return source
    bare = replace(source, recipe=recipe.select(names))
    windows = split_windows(scene.grid.shape, (BLOCK, 4 * BLOCK))
    blocks = (dict(zip(names, bare.read(window), strict=True)) for window in windows)
    return replace(source, matching=Matching.of(recipe, blocks, where=str(scene.path)))


def check_scene(scene: Scene, recipe: Recipe) -> None:
    """Refuse a scene on which the recipe cannot be followed; warn of another resolution.

    Raises
    ------
    CRSMismatchError
        The scene is not in metres.
    LayerError
        A band that a layer needs is absent.
    """
    scene.grid.require_metric(what=f"scene {scene.path}")
    inputs = recipe.objects.inputs if recipe.objects else ()
    remedy = "the model was trained with it: build the scene with it, or take a run that was trained without"
    require_bands((*recipe.layers, *inputs), scene.layers, where=f"scene {scene.path}", remedy=remedy)
    found = scene.grid.resolution[0]
    if abs(found - recipe.resolution_m) > 0.05 * recipe.resolution_m:
        log.warning(
            "%s has pixels of %g m, the model was trained at %g m; expect worse results", scene.path, found,
            recipe.resolution_m,
        )  # fmt: skip


def scene_scale(scene: Scene, recipe: Recipe) -> float:
    """One scale for a scene, for a model trained on patches of unknown scale; 1 for any other model.

    The 99.9th percentile of the valid pixels of the image bands that the recipe needs, to 0.05 %.

    Raises
    ------
    InputError
        The scene has no valid pixel in them, or nothing but zeros.
    """
    if recipe.scaling == "reflectance":
        return 1.0
    names = [name for name in stored_bands(recipe) if name in IMAGE_BANDS]
    if not names:
        return 1.0
    counts = np.zeros(1 << 20, np.int64)
    for window in split_windows(scene.grid.shape, (BLOCK, 4 * BLOCK)):
        pixels = scene.read(names, window)
        valid = np.isfinite(pixels).all(axis=0)
        values = np.maximum(pixels[:, valid], 0).ravel()
        # Positive float32 sort like their bit patterns; without the last 12 bits they are bins of 0.05 %.
        counts += np.bincount(values.view(np.uint32) >> 12, minlength=counts.size)
    total = np.cumsum(counts)
    if total[-1] == 0 or total[-1] == counts[0]:
        message = f"{scene.path}: no valid pixel above zero in {', '.join(names)}; nothing can be mapped"
        raise InputError(message)
    key = np.searchsorted(total, SCALE_QUANTILE * total[-1])
    return float((np.array([key], np.uint32) << np.uint32(12)).view(np.float32)[0])


def outside_training_range(source: SceneSource) -> dict[str, float]:
    """Share of sampled valid pixels beyond the training range, by layer, and a warning where it is large.

    Samples windows spread over the scene. Object layers are left out: their inputs tell the same.
    """
    plain = tuple(name for name in source.recipe.layers if not name.endswith("_obj"))
    if not plain:
        return {}
    recipe = source.recipe.select(plain)
    sampled = SceneSource(source.scene, recipe, None, source.scale, source.matching)
    windows = list(split_windows(source.scene.grid.shape, (BLOCK // 4, BLOCK // 4)))
    chosen = windows[:: max(1, len(windows) // _SAMPLE_WINDOWS)]
    outside, valid = np.zeros(len(plain)), np.zeros(len(plain))
    low = np.array([recipe.statistics[name].low for name in plain], np.float32)[:, None, None]
    high = np.array([recipe.statistics[name].high for name in plain], np.float32)[:, None, None]
    for window in chosen:
        pixels = sampled.read(window)
        finite = np.isfinite(pixels)
        outside += (finite & ((pixels < low) | (pixels > high))).sum(axis=(1, 2))
        valid += finite.sum(axis=(1, 2))
    shares = {name: float(o / v) for name, o, v in zip(plain, outside, valid, strict=True) if v}
    far = [f"{name} {share:.0%}" for name, share in shares.items() if share > OUTSIDE_SHARE]
    if far:
        log.warning(
            "%s is unlike the training data: outside the range seen in training (2 %% would be usual) are %s; "
            "look at the map with care", source.scene.path, ", ".join(far),
        )  # fmt: skip
    return shares


@dataclass(frozen=True)
class Block:
    """Some columns of a band: layers in physical units, and which pixels are valid.

    Parameters
    ----------
    band
        The band.
    col
        First column.
    layers
        ``(layers, rows, cols)`` float32, rows of the band.
    last
        Whether the sweep over the band ends with it.
    """

    band: Band
    col: int
    layers: NDArray[np.float32]
    last: bool


@dataclass
class BlockReader:
    """Sweeps over bands from left to right, in blocks of columns, decoding every pixel once.

    Bands and internal tiles of the raster rarely end on the same row: rows that were decoded for one band and
    belong to the next are kept, column by column.

    Parameters
    ----------
    sources
        Their layers follow one another in the blocks.
    plan
        The windows.
    """

    sources: Sequence[SceneSource]
    plan: WindowPlan
    _kept: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def blocks(self, bands: Sequence[Band]) -> Iterator[Block]:
        """Yield the blocks of consecutive ``bands``."""
        decoded = bands[0].rows[0] // BLOCK * BLOCK if bands else 0
        self._kept = {}
        rows, cols = self.plan.shape
        for number, band in enumerate(bands):
            top, bottom = band.rows
            end = max(decoded, min(-(-bottom // BLOCK) * BLOCK, rows))
            following = bands[number + 1].rows[0] if number + 1 < len(bands) else rows
            for col in range(0, cols, BLOCK):
                width = min(BLOCK, cols - col)
                pixels = self._rows(top, decoded, end, col, width)
                self._kept[col] = pixels[:, max(0, following - top) :].copy()
                yield Block(band, col, pixels[:, : bottom - top], col + width == cols)
            decoded = end

    def _rows(self, top: int, decoded: int, end: int, col: int, width: int) -> NDArray[np.float32]:
        kept = self._kept.get(col)
        first = max(top, decoded) if kept is not None else top
        parts = [] if kept is None else [kept]
        if end > first:
            window = Window(first, col, end - first, width)
            parts.append(np.concatenate([source.read(window) for source in self.sources]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
