"""What a training checks before it begins."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from landslip.data.augment import Directional
from landslip.data.matching import matched_layers
from landslip.data.standardise import with_recipe
from landslip.data.tiles import check_tile_size
from landslip.data.tileset import Part, TileSet
from landslip.errors import InputError, SplitError
from landslip.training.config import TrainConfig

_ARRAYS = ("image", "label", "part", "key")


def prepare(tiles: TileSet, config: TrainConfig) -> TileSet:
    """Select the layers, see to the recipe, and refuse what cannot be trained on.

    Raises
    ------
    LayerError
        A layer is not there; image layers are to be matched, and cannot be.
    ConfigError
        The tile size is no multiple of 32.
    SplitError
        No training or no validation tiles.
    InputError
        No counted pixel, or no landslide, in training or validation.
    """
    tiles = with_recipe(tiles if config.layers is None else tiles.select(config.layers))
    if config.match_images and tiles.recipe is not None:
        recipe = tiles.recipe.model_copy(update={"matched": True})
        matched_layers(recipe)  # refuses what cannot be matched
        tiles = tiles.with_recipe(recipe)
    check_tile_size(tiles.size)
    counted = tiles.counted()
    for part in (Part.TRAIN, Part.VALIDATION):
        chosen, word = tiles.part == part, "training" if part == Part.TRAIN else "validation"
        if not chosen.any():
            message = f"no tile is for {word}; look at the split"
            raise SplitError(message)
        if not counted[chosen].any():
            message = f"no {word} tile has a pixel that is valid in all layers and of known label; look at the layers"
            raise InputError(message)
        if not (counted[chosen] & (tiles.label[chosen] == 1)).any():
            message = f"not a single landslide in {word}; choose another split, or a larger mapped area"
            raise InputError(message)
    return tiles


def directional(tiles: TileSet, config: TrainConfig) -> Directional:
    """Find the layers that turn as vectors; with augmentation, refuse those that cannot be turned.

    Raises
    ------
    LayerError
        Names the layer.
    """
    return Directional() if config.augment == "none" else Directional.of(tiles.layers)


def fingerprint(tiles: TileSet) -> str:
    """Checksum of all that a training sees of its tiles, as hex digits."""
    digest = hashlib.sha256(json.dumps([tiles.layers, tiles.recipe.to_dict() if tiles.recipe else None]).encode())
    for name in _ARRAYS:
        digest.update(np.ascontiguousarray(getattr(tiles, name)).data)
    return digest.hexdigest()
