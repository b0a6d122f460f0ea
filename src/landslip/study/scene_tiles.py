"""Scenes to tiles: split, fit the layers on training pixels of all scenes together, cut each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tiles import cut_tiles
from landslip.data.tileset import Part, TileSet
from landslip.errors import SplitError
from landslip.layers.catalogue import Bands, bands_needed, require_bands
from landslip.layers.fit import FittedRecipe, fit_recipe
from landslip.splits import Split, SplitConfig, check_parts, split_scene
from landslip.splits.regions import check_stripes, tested_region
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.folds import Fold, named
from landslip.study.sources import Area, Source


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
    check_parts(parts, hits, where=named(fold, "the scene" if len(splits) == 1 else "the scenes"))
    return tuple(splits)


def check_tests(source: Source, base: Sequence[str], folds: Sequence[Fold]) -> None:
    """Refuse stripes that are too thin or hold no landslide, before the layers of any fold are built.

    Raises
    ------
    SplitError
        Which fold, and what to change.
    """
    stored = bands_needed(base)
    usable = [(area.label == 1, area.usable(stored)) for area in source.areas if area.test is None]
    for fold in folds:
        if not fold.split.folds or not usable:
            continue
        for _, free in usable:
            check_stripes([free], fold.split, least=fold.split.tile // 2, unit="pixels")
        if not any((hit & free & tested_region(free, fold.split)).any() for hit, free in usable):
            where = named(fold, "the scene" if len(source.areas) == 1 else "the scenes")
            message = f"{where}: not a single landslide in the test part; choose fewer folds"
            raise SplitError(message)


def scene_tiles(
    source: Source,
    splits: Sequence[Split],
    base: Sequence[str],
    layers: Sequence[str],
    fold: Fold,
    config: StudyConfig,
) -> TileSet:
    """Fit the recipe of ``layers`` on the training pixels of scenes that are split, and cut them into tiles."""
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
    return _cut(source, splits, fitted, base, layers, fold, config)


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


def concatenate(sets: Sequence[TileSet]) -> TileSet:
    """Join tile sets of the same layers and size; their landslide ids must differ already."""
    if len(sets) == 1:
        return sets[0]
    names = ("image", "label", "landslide", "part", "block", "row", "col", "region", "key")
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in sets]) for name in names}
    return replace(sets[0], **joined)
