"""Fit a recipe on training pixels: segmentation bounds and scale, then the statistics of every layer.

Nothing here looks at a pixel outside ``training``; a test poisons the others and compares.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from landslip.config import Config
from landslip.errors import InputError, LayerError
from landslip.layers.build import build_layers, segmentation_image
from landslip.layers.catalogue import Bands, compute, describe, require_bands
from landslip.recipe import LayerStatistics, ObjectRecipe, Recipe, require_distinct

log = logging.getLogger(__name__)

_UNFITTED = LayerStatistics(mean=0.0, std=1.0, low=0.0, high=1.0)


class ObjectOptions(Config):
    """How objects are made when a layer needs them."""

    inputs: tuple[str, ...] | None = None
    """Layers that are segmented; default: blue, green, red and nir, those that there are."""
    scale: float | Literal["auto"] = "auto"
    """A scale, or the one of best object fitness over training polygons."""
    scales: tuple[float, ...] | None = None
    """Scales that ``auto`` tries; default: the geometric grid of :func:`landslip.objects.choose_scale`."""
    color: float = Field(0.9, ge=0, le=1)
    """Weight of colour against shape."""
    compactness: float = Field(0.5, ge=0, le=1)
    """Weight of compactness against smoothness in the shape."""
    band_weights: tuple[float, ...] | None = None
    """A weight for each of ``inputs``; default equal."""


@dataclass(frozen=True)
class FittedRecipe:
    """A recipe, the layers it gave on the pixels it was fitted on, and how its scale was found.

    Parameters
    ----------
    recipe
        What travels with the model.
    image
        ``(layers, rows, cols)`` float32, NaN = invalid: the recipe followed on all of ``bands``.
    scale_search
        The curve of object fitness over scales, or None when no layer needs objects or the scale was given.
    """

    recipe: Recipe
    image: NDArray[np.float32]
    scale_search: Any = None


def fit_recipe(
    bands: Bands,
    layers: Sequence[str],
    *,
    training: NDArray[np.bool_],
    landslides: NDArray[np.int32],
    regions: NDArray[np.int32] | None = None,
    options: ObjectOptions | None = None,
    resolution_m: float = 10.0,
    scaling: Literal["reflectance", "per-patch-maximum", "random-scale"] = "reflectance",
) -> FittedRecipe:
    """Fit the recipe of ``layers`` on training pixels and follow it.

    Parameters
    ----------
    bands
        Stored layers by name, each ``(rows, cols)`` float32, NaN = invalid.
    layers
        Names of the layers, in the order in which a model shall eat them.
    training
        ``(rows, cols)``: the training pixels.
    landslides
        ``(rows, cols)``: 0 or the id of the mapped landslide; looked at inside ``training`` only.
    regions
        ``(rows, cols)``: objects never cross from one value to another.
    options
        Segmentation settings.
    resolution_m
        Pixel size.
    scaling
        Unit of the image layers.

    Raises
    ------
    LayerError
        A layer is unknown or named twice, or its bands are absent.
    InputError
        No valid training pixel in a layer.
    """
    if not layers:
        message = "no layers given; name at least one, for example blue, green, red, slope"
        raise LayerError(message)
    require_distinct(layers)
    require_bands(layers, bands)
    fitted, search = None, None
    if any(describe(name).of for name in layers):
        fitted, search = _fit_objects(bands, training, landslides, regions, options or ObjectOptions())
    recipe = Recipe(
        layers=tuple(layers),
        statistics=dict.fromkeys(layers, _UNFITTED),
        objects=fitted,
        formulas={name: describe(name).formula for name in layers if describe(name).formula},
        resolution_m=resolution_m,
        scaling=scaling,
    )
    image = build_layers(bands, recipe, regions=regions)
    statistics = {name: layer_statistics(name, image[i][training]) for i, name in enumerate(layers)}
    return FittedRecipe(recipe.model_copy(update={"statistics": statistics}), image, search)


def layer_statistics(name: str, values: NDArray[np.float32]) -> LayerStatistics:
    """Mean, standard deviation, 1st and 99th percentile of the finite values.

    Raises
    ------
    InputError
        No value is finite.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        message = f"layer {name!r} has no valid training pixel; look at clouds, coverage and the split"
        raise InputError(message)
    low, high = np.percentile(finite, (1, 99))
    wide = finite.astype(np.float64)
    std = float(wide.std())
    if std == 0:
        log.warning("layer %r is constant over the training pixels and tells a model nothing", name)
    return LayerStatistics(mean=float(wide.mean()), std=std or 1.0, low=float(low), high=float(high))


def _fit_objects(
    bands: Bands,
    training: NDArray[np.bool_],
    landslides: NDArray[np.int32],
    regions: NDArray[np.int32] | None,
    options: ObjectOptions,
) -> tuple[ObjectRecipe, Any]:
    inputs = options.inputs or tuple(name for name in ("blue", "green", "red", "nir") if name in bands)
    if not inputs:
        message = "object layers need an image to segment: none of blue, green, red, nir is there; give inputs"
        raise LayerError(message)
    require_bands(inputs, bands)
    bounds = [_bounds(name, compute(name, bands)[training]) for name in inputs]
    draft = ObjectRecipe(
        inputs=inputs,
        low=tuple(low for low, _ in bounds),
        high=tuple(high for _, high in bounds),
        scale=options.scale if isinstance(options.scale, float | int) else 1.0,
        color=options.color,
        compactness=options.compactness,
        band_weights=options.band_weights,
    )
    if options.scale != "auto":
        return draft, None
    from landslip import objects  # numba stays out of reach until objects are wanted

    box = _bounding_slices(training)
    inside = training[box]
    image = segmentation_image({name: layer[box] for name, layer in bands.items()}, draft)
    search = objects.choose_scale(
        image,
        np.where(inside, landslides[box], 0),
        options.scales,
        color=options.color,
        compactness=options.compactness,
        band_weights=options.band_weights,
        valid=inside & np.isfinite(image).all(axis=0),
        regions=None if regions is None else regions[box],
    )
    return draft.model_copy(update={"scale": float(search.scale), "chosen_by": "fitness"}), search


def _bounds(name: str, values: NDArray[np.float32]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        message = f"layer {name!r} has no valid training pixel to scale the segmentation by; look at the split"
        raise InputError(message)
    low, high = (float(value) for value in np.percentile(finite, (2, 98)))
    if high <= low:
        message = f"layer {name!r} is constant over the training pixels; leave it out of the segmentation's inputs"
        raise InputError(message)
    return low, high


def _bounding_slices(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        message = "there is no training pixel; look at the split"
        raise InputError(message)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
