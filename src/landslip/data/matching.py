"""Images brought to the mean and deviation of the training pixels, layer by layer, each by its own statistics.

For images whose scale nobody knows (patches scaled each by its own maximum) and scenes from elsewhere, under
another haze or sun: after it a network meets every image at the brightness and contrast that it was trained on. What
tells images apart by brightness alone is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.errors import InputError, LayerError
from landslip.layers.catalogue import follows_image_scale
from landslip.recipe import LayerStatistics, Recipe


def matched_layers(recipe: Recipe) -> tuple[str, ...]:
    """Name the layers of a recipe that are matched: the image's; none where the recipe does not ask for it.

    Raises
    ------
    LayerError
        Object means of image layers, or no image layer at all.
    """
    return layers_to_match(recipe.layers) if recipe.matched else ()


def layers_to_match(names: Iterable[str]) -> tuple[str, ...]:
    """Name those of some layers that are matched: the image's.

    Raises
    ------
    LayerError
        As in :func:`matched_layers`.
    """
    layers = tuple(name for name in names if follows_image_scale(name))
    means = next((name for name in layers if name.endswith("_obj")), None)
    if means is not None:
        message = f"match_images: layer {means!r} is a mean over objects; it cannot be matched: take one of the two out"
        raise LayerError(message)
    if not layers:
        message = "match_images: no image layer is among the layers; leave it out, or add red, green, blue"
        raise LayerError(message)
    return layers


def match_tiles(image: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Match every tile by its own mean and deviation.

    Parameters
    ----------
    image
        ``(n, layers, rows, cols)`` float32 in physical units, NaN = invalid; left as it is.
    recipe
        With the layers in the same order.

    Returns
    -------
    numpy.ndarray
        The same shape; the given array where the recipe matches nothing. A tile that is constant in a layer gets the
        training pixels' mean there.
    """
    names = matched_layers(recipe)
    if not names:
        return image
    out = image.copy()
    for name in names:
        layer = out[:, recipe.layers.index(name)]
        for tile in layer:
            finite = tile[np.isfinite(tile)]
            if finite.size:
                mean, std = float(finite.mean(dtype=np.float64)), float(finite.std(dtype=np.float64))
                _bring(tile, _to(recipe.statistics[name], mean, std))
    return out


@dataclass(frozen=True)
class Matching:
    """What every pixel of some layers of a scene is multiplied by, and what is added then.

    Parameters
    ----------
    terms
        Layer -> factor and offset.
    """

    terms: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, recipe: Recipe, blocks: Iterable[Mapping[str, NDArray[np.float32]]], *, where: str) -> Matching:
        """Find them from all pixels of a scene.

        Parameters
        ----------
        recipe
            Whose image layers are matched.
        blocks
            The scene in pieces: layer -> ``(rows, cols)`` float32, NaN = invalid.
        where
            For messages.

        Raises
        ------
        InputError
            A layer has no valid pixel.
        """
        names = matched_layers(recipe)
        sums = {name: np.zeros(3, np.float64) for name in names}
        for block in blocks:
            for name, total in sums.items():
                values = block[name][np.isfinite(block[name])].astype(np.float64)
                total += (values.size, values.sum(), np.square(values).sum())
        terms = {}
        for name, (count, values_sum, squares) in sums.items():
            if not count:
                message = f"{where}: no valid pixel in {name}; nothing can be mapped"
                raise InputError(message)
            mean = float(values_sum / count)
            terms[name] = _to(recipe.statistics[name], mean, math.sqrt(max(float(squares / count) - mean * mean, 0.0)))
        return cls(terms)

    def apply(self, image: NDArray[np.float32], layers: tuple[str, ...]) -> None:
        """Match layers ``(layers, rows, cols)`` in place."""
        for layer, name in zip(image, layers, strict=True):
            if name in self.terms:
                _bring(layer, self.terms[name])


NO_MATCHING = Matching({})
"""Leaves everything as it is."""


def _to(training: LayerStatistics, mean: float, std: float) -> tuple[float, float]:
    """Return factor and offset that bring a mean and a deviation to those of training."""
    factor = training.std / std if std > 1e-6 * max(abs(mean), 1e-6) else 0.0
    return factor, training.mean - factor * mean


def _bring(layer: NDArray[np.float32], terms: tuple[float, float]) -> None:
    """Multiply a layer by the factor and add the offset, in place."""
    factor, offset = terms
    layer *= np.float32(factor)
    layer += np.float32(offset)
