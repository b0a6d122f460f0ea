"""From physical units to what a network eats, and the statistics for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import SplitError
from landslip.layers.catalogue import describe
from landslip.layers.fit import layer_statistics
from landslip.recipe import Recipe


def standardise(image: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Subtract each layer's mean, divide by its standard deviation, and put 0 where it is invalid.

    Parameters
    ----------
    image
        ``(..., layers, rows, cols)`` float32 in physical units, NaN = invalid.
    recipe
        With the layers in the same order.

    Returns
    -------
    numpy.ndarray
        The same shape, float32, finite.
    """
    mean = np.array(recipe.mean, np.float32)[:, None, None]
    std = np.array(recipe.std, np.float32)[:, None, None]
    out = image - mean
    out /= std
    np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return out


def with_recipe(tiles: TileSet) -> TileSet:
    """Return the tiles with a recipe: their own, or else one of plain layers with statistics of training tiles.

    Raises
    ------
    SplitError
        No tile is for training.
    InputError
        A layer has no valid training pixel.
    """
    if tiles.recipe is not None:
        return tiles
    training = tiles.of(Part.TRAIN)
    if not len(training):
        message = "no tile is for training, so there are no statistics; look at the split"
        raise SplitError(message)
    recipe = Recipe(
        layers=tiles.layers,
        statistics={name: layer_statistics(name, training.image[:, i]) for i, name in enumerate(tiles.layers)},
        formulas={name: describe(name).formula for name in tiles.layers if describe(name).formula},
        scaling=tiles.meta.get("scaling", "reflectance"),
        resolution_m=tiles.meta.get("pixel_m", 10.0),
    )
    return tiles.with_recipe(recipe)
