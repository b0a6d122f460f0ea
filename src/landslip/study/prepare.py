"""From data to tiles: split first, then fit the layers on training pixels, then cut.

One tile set per fold, with the superset of all rows' layers; every row takes its layers from it, so that all
rows see the same tiles.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tiles import cut_tiles
from landslip.data.tileset import Part, TileSet
from landslip.layers.catalogue import Bands, bands_needed, require_bands
from landslip.layers.fit import FittedRecipe, ObjectOptions, fit_recipe
from landslip.layers.stack import as_patches, patch_regions
from landslip.splits import PatchSplit, Split, SplitConfig, check_parts, split_patches, split_scene
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.sources import Area, PatchPlaces, Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fold:
    """One split of the data: its name, its settings, and what is tested in words."""

    name: str
    split: SplitConfig
    words: str
    only: int | None = None
    """Fit the layers on this region's training pixels alone (for transfer)."""


@dataclass(frozen=True)
class Prepared:
    """Tiles of a fold, and the part and block of every pixel of each scene (none for patches)."""

    tiles: TileSet
    splits: tuple[Split, ...] = ()


def plan_folds(config: StudyConfig, source: Source | None) -> tuple[Fold, ...]:
    """Name the folds of a study: one, or one for each stripe or region."""
    split = config.split
    if config.data.kind == "tiles":
        return (Fold("main", split, "the test part that the tiles bring"),)
    if config.leave_one_region_out and source is not None:
        return tuple(
            Fold(f"region{value}", split.model_copy(update={"test_regions": (value,)}), f"region {value} as a whole")
            for value in regions_of(source)
        )
    if split.folds:
        return tuple(
            Fold(f"fold{k}", split.model_copy(update={"fold": k}), f"stripe {k + 1} of {split.folds}")
            for k in range(split.folds)
        )
    return (Fold("main", split, _test_in_words(config)),)


def regions_of(source: Source) -> tuple[int, ...]:
    """Name the regions of a patch set, or the numbers of the scenes."""
    if source.places is not None:
        return tuple(int(value) for value in np.unique(source.places.region))
    return tuple(area.region for area in source.areas)


def _test_in_words(config: StudyConfig) -> str:
    split = config.split
    if split.test_regions:
        return f"regions {', '.join(map(str, split.test_regions))} as a whole"
    if config.data.test_polygon is not None:
        return f"inside {config.data.test_polygon.name}"
    if split.design == "supplied":
        return "the split that came with the patches"
    return f"the {split.test_side}ern {split.test_fraction:.0%}"


def prepare(source: Source, base: Sequence[str], layers: Sequence[str], fold: Fold, config: StudyConfig) -> Prepared:
    """Split, fit the recipe of ``layers`` on training pixels, and cut tiles.

    Parameters
    ----------
    source
        The pixels.
    base
        Layers of the plain rows: a pixel that is invalid in them is in no part.
    layers
        Superset of the layers of all rows.
    fold
        Which split.
    config
        The study.

    Returns
    -------
    Prepared
        The tiles' recipe has its statistics, segmentation bounds and scale from training pixels alone.

    Raises
    ------
    SplitError
        A part is empty or without landslides.
    LayerError, InputError
        See :func:`landslip.layers.fit.fit_recipe`.
    """
    if source.places is not None:
        return _prepare_patches(source.areas[0], source.places, layers, fold, config)
    splits = split_scenes(source, base, fold, config.data)
    bands, training, landslide, regions = _side_by_side(source, splits, fold.split)
    if fold.only is not None:
        mine = [np.full((len(area.label), 1), area.region == fold.only) for area in source.areas]
        training &= np.concatenate(mine)
    fitted = fit_recipe(
        bands,
        layers,
        training=training,
        landslides=np.where(training, landslide, 0),
        regions=regions,
        options=config.objects,
        resolution_m=source.areas[0].pixel_m,
    )
    tiles = _cut(source, splits, fitted, base, layers, fold, config)
    return Prepared(_described(tiles, source, config), splits)


def split_scenes(source: Source, base: Sequence[str], fold: Fold, data: DataConfig) -> tuple[Split, ...]:
    """Split every scene; together they must have landslides in every part."""
    require_bands(base, source.bands)
    stored = bands_needed(base)
    splits = []
    for area in source.areas:
        test = area.test
        if fold.split.test_regions:
            test = np.full(area.label.shape, area.region in fold.split.test_regions)
        landslide = (area.label == 1).astype(np.uint8)
        splits.append(split_scene(area.usable(stored), fold.split, landslide=landslide, test=test, check=False))
    parts = np.concatenate([split.part.ravel() for split in splits])
    hits = np.concatenate([(area.label == 1).ravel() for area in source.areas])
    check_parts(parts, hits, where=_named(fold, "the scene" if len(splits) == 1 else "the scenes"))
    return tuple(splits)


def _named(fold: Fold, where: str) -> str:
    return where if fold.name == "main" else f"{fold.name} ({fold.words}), {where}"


def _side_by_side(
    source: Source, splits: Sequence[Split], config: SplitConfig
) -> tuple[Bands, NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]:
    """Lay scenes below one another; unused pixels become invalid, so that no object reaches into them."""
    width = max(area.label.shape[1] for area in source.areas)

    def column(arrays: Sequence[NDArray[np.generic]], fill: float) -> NDArray[np.generic]:
        padded = [np.pad(a, ((0, 0), (0, width - a.shape[1])), constant_values=fill) for a in arrays]
        return padded[0] if len(padded) == 1 else np.concatenate(padded)

    bands = {
        name: column(
            [np.where(s.part != Part.UNUSED, a.bands[name], np.float32(np.nan)) for a, s in _pairs(source, splits)],
            np.nan,
        )
        for name in source.bands
    }
    part = column([split.part for split in splits], 0)
    landslide = column([area.landslide for area in source.areas], 0)
    regions, offset = [], 0
    for split in splits:
        own = _object_regions(split, config) + offset
        offset = int(own.max())
        regions.append(own)
    return bands, part == Part.TRAIN, landslide, column(regions, 0)  # type: ignore[return-value]  # same types padded


def _pairs(source: Source, splits: Sequence[Split]) -> list[tuple[Area, Split]]:
    return list(zip(source.areas, splits, strict=True))


def _object_regions(split: Split, config: SplitConfig) -> NDArray[np.int32]:
    """Objects stay inside their part; with tiles drawn at random, inside their tile."""
    regions = split.part.astype(np.int32) + 1
    if config.design == "random":
        rows, cols = split.part.shape
        across = -(-cols // config.tile)
        number = (np.arange(rows) // config.tile)[:, None] * across + np.arange(cols)[None, :] // config.tile
        regions += 4 * number.astype(np.int32)
    return regions


def _cut(
    source: Source,
    splits: Sequence[Split],
    fitted: FittedRecipe,
    base: Sequence[str],
    layers: Sequence[str],
    fold: Fold,
    config: StudyConfig,
) -> TileSet:
    """Cut each scene by its base layers, then fill in the others: they may be invalid where base is not."""
    index = [list(layers).index(name) for name in base]
    sets, row, first_id, first_block = [], 0, 0, 0
    for area, split in _pairs(source, splits):
        rows, cols = area.label.shape
        image = fitted.image[:, row : row + rows, :cols]
        landslide = np.where(area.landslide > 0, area.landslide + first_id, 0).astype(np.int32)
        cut = _with_stride(
            image[index], area.label, landslide, split, fold.split.tile, config.data.stride, base, area.region
        )
        tiles = replace(cut, layers=tuple(layers), image=_gather(image, split.part, cut), recipe=fitted.recipe)
        sets.append(replace(tiles, block=tiles.block + np.int32(first_block)))
        row, first_id, first_block = (
            row + rows,
            int(max(first_id, landslide.max())),
            first_block + int(split.block.max()) + 1,
        )
    return concatenate(sets)


def _with_stride(
    image: NDArray[np.float32],
    label: NDArray[np.uint8],
    landslide: NDArray[np.int32],
    split: Split,
    size: int,
    stride: int | None,
    base: Sequence[str],
    region: int,
) -> TileSet:
    """Cut without overlap; training tiles with ``stride`` where one is given."""

    def cut(part: NDArray[np.uint8], step: int) -> TileSet:
        return cut_tiles(base, image, label, landslide, part, split.block, size=size, stride=step, region=region)

    if stride is None or stride >= size or not (split.part == Part.TRAIN).any():
        return cut(split.part, size)
    train = cut(np.where(split.part == Part.TRAIN, split.part, np.uint8(0)), stride)
    if (split.part == Part.TRAIN).sum() == (split.part != Part.UNUSED).sum():
        return train
    return concatenate([train, cut(np.where(split.part == Part.TRAIN, np.uint8(0), split.part), size)])


def _gather(image: NDArray[np.float32], part: NDArray[np.uint8], cut: TileSet) -> NDArray[np.float32]:
    tiles = np.full((len(cut), len(image), cut.size, cut.size), np.nan, np.float32)
    for i, (row, col, value) in enumerate(zip(cut.row, cut.col, cut.part, strict=True)):
        here = np.s_[row : row + cut.size, col : col + cut.size]
        inside = part[here] == value
        tiles[i][:, : inside.shape[0], : inside.shape[1]] = np.where(inside, image[:, *here], np.float32(np.nan))
    return tiles


def _prepare_patches(
    area: Area, places: PatchPlaces, layers: Sequence[str], fold: Fold, config: StudyConfig
) -> Prepared:
    n, size = len(places.row), places.size
    split, hits = split_of_patches(area, places, fold)
    check_parts(split.part, hits, where=_named(fold, "the patches"))
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
    return Prepared(_described(tiles.subset(used), Source((area,), places), config))


def split_of_patches(area: Area, places: PatchPlaces, fold: Fold) -> tuple[PatchSplit, NDArray[np.int64]]:
    """Split a patch set, and count the landslide pixels of each patch; nothing is refused."""
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


def _described(tiles: TileSet, source: Source, config: StudyConfig) -> TileSet:
    meta = {
        "kind": "patches" if source.places is not None else "scene",
        "pixel_m": source.areas[0].pixel_m,
        "sources": [area.about for area in source.areas],
        "simulated": any(area.about.get("simulated", False) for area in source.areas),
        "split": config.split.to_dict(),
    }
    if source.places is not None:
        meta["placed"] = source.places.placed
    return replace(tiles, meta=meta)


def concatenate(sets: Sequence[TileSet]) -> TileSet:
    """Join tile sets of the same layers and size; their landslide ids must differ already."""
    if len(sets) == 1:
        return sets[0]
    names = ("image", "label", "landslide", "part", "block", "row", "col", "region", "key")
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in sets]) for name in names}
    return replace(sets[0], **joined)
