"""Patches to tiles: split, fit the layers on training patches, keep what is in a part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import SplitError
from landslip.layers.fit import ObjectOptions, fit_recipe
from landslip.layers.stack import as_patches, patch_regions
from landslip.splits import PatchSplit, check_parts, split_patches
from landslip.study.config import StudyConfig
from landslip.study.folds import Fold, named
from landslip.study.sources import Area, PatchPlaces


def patch_tiles(area: Area, places: PatchPlaces, layers: Sequence[str], fold: Fold, config: StudyConfig) -> TileSet:
    """Split a patch set, fit the recipe of ``layers`` on training patches, and make tiles of those in a part.

    Raises
    ------
    SplitError
        A part is empty or without landslides.
    """
    n, size = len(places.row), places.size
    split, hits = split_of_patches(area, places, fold)
    check_parts(split.part, hits, where=named(fold, "the patches"))
    trained = (split.part == Part.TRAIN) & ((fold.only is None) | (places.region == (fold.only or 0)))
    training = np.repeat(trained, size)[:, None] & np.ones((1, size), np.bool_)
    regions = patch_regions(n, size, size)
    landslide = np.where(training, area.landslide, 0)
    options = _scale_on_some(area, layers, training, landslide, regions, trained, size, config)
    fitted = fit_recipe(
        area.bands,
        layers,
        training=training,
        landslides=landslide,
        regions=regions,
        options=options,
        resolution_m=area.pixel_m,
        scaling=area.scaling,
    )
    recipe = fitted.recipe
    if recipe.objects is not None and config.objects.scale == "auto":
        recipe = recipe.model_copy(update={"objects": recipe.objects.model_copy(update={"chosen_by": "fitness"})})
    image = as_patches(fitted.image, size)
    label, used = area.label.reshape(n, size, size), split.part != Part.UNUSED
    tiles = TileSet(
        tuple(layers), image, label, area.landslide.reshape(n, size, size), split.part, split.block,
        places.row, places.col, places.region, places.index.astype(np.int64), recipe,
    )  # fmt: skip
    return tiles.subset(used)


def split_of_patches(area: Area, places: PatchPlaces, fold: Fold) -> tuple[PatchSplit, NDArray[np.int64]]:
    """Split a patch set, and count the landslide pixels of each patch; no part is refused.

    Raises
    ------
    SplitError
        Patches overlap, and are to be split otherwise than they came.
    """
    if places.shared and fold.split.design != "supplied":
        message = (
            "the patches overlap, so parts drawn from them would share ground; keep the split that they came with: "
            "[split] design = 'supplied'"
        )
        raise SplitError(message)
    hits = (area.label.reshape(len(places.row), -1) == 1).sum(axis=1)
    settings = fold.split.model_copy(update={"tile": places.size})
    split = split_patches(
        places.row, places.col, places.region, settings, supplied=places.supplied, landslide=hits, check=False
    )
    return split, hits


def _scale_on_some(
    area: Area,
    layers: Sequence[str],
    training: NDArray[np.bool_],
    landslide: NDArray[np.int32],
    regions: NDArray[np.int32],
    trained: NDArray[np.bool_],
    size: int,
    config: StudyConfig,
) -> ObjectOptions:
    """Choose the segmentation scale on some training patches: on all of them it takes long and gives the same."""
    if config.objects.scale != "auto" or not any(name.endswith("_obj") for name in layers):
        return config.objects
    has = (landslide.reshape(len(trained), -1) > 0).any(axis=1)
    some = np.flatnonzero(trained & has)
    if len(some) > config.data.scale_patches:
        rng = np.random.default_rng(config.split.seed)
        some = np.sort(rng.choice(some, config.data.scale_patches, replace=False))
    rows = (some[:, None] * size + np.arange(size)).ravel()
    averaged = [name for name in layers if name.endswith("_obj")][:1]
    fitted = fit_recipe(
        {name: band[rows] for name, band in area.bands.items()},
        averaged,
        training=training[rows],
        landslides=landslide[rows],
        regions=regions[rows],
        options=config.objects,
    )
    assert fitted.recipe.objects is not None
    return config.objects.model_copy(update={"scale": fitted.recipe.objects.scale})
