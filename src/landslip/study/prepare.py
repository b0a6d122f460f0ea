"""From data to tiles: split first, then fit the layers on training pixels, then cut.

One tile set per fold, with the superset of all rows' layers; every row takes its layers from it, so that all
rows see the same tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from landslip.data.tileset import TileSet
from landslip.splits import SPLIT, Split, save_splits
from landslip.study.config import StudyConfig
from landslip.study.folds import Fold
from landslip.study.patch_tiles import patch_tiles
from landslip.study.scene_tiles import scene_tiles, split_scenes
from landslip.study.sources import Source


@dataclass(frozen=True)
class Prepared:
    """Tiles of a fold, and the part and block of every pixel of each scene (none for patches)."""

    tiles: TileSet
    splits: tuple[Split, ...] = ()

    def keep_splits(self, folder: Path) -> None:
        """Leave the splits of scenes in a run's folder, so that it can be scored on its test part later."""
        if self.splits:
            save_splits(folder / SPLIT, self.splits)


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
        splits: tuple[Split, ...] = ()
        tiles = patch_tiles(source.areas[0], source.places, layers, fold, config)
    else:
        splits = split_scenes(source, base, fold, config.data)
        tiles = scene_tiles(source, splits, base, layers, fold, config)
    return Prepared(_described(tiles, source, config), splits)


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
