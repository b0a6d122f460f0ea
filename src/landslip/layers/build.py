"""Follow a recipe: from the bands of a scene, a window or a stack of patches to the layers of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.errors import LayerError
from landslip.layers.catalogue import Bands, bands_needed, compute, describe, require_bands
from landslip.recipe import ObjectRecipe, Recipe


@dataclass(frozen=True)
class ObjectTable:
    """Objects segmented elsewhere (a whole scene), with the means that a window of it needs.

    Parameters
    ----------
    labels
        ``(rows, cols)`` int32, 0 = invalid.
    means
        Name of the averaged layer -> ``(objects + 1,)`` float32 by label; NaN where an object has none.
    """

    labels: NDArray[np.int32]
    means: Mapping[str, NDArray[np.float32]]


def stored_bands(recipe: Recipe) -> tuple[str, ...]:
    """Name the stored layers that a recipe reads: those of its layers and of its segmentation."""
    segmentation = bands_needed(recipe.objects.inputs) if recipe.objects else ()
    return tuple(dict.fromkeys((*bands_needed(recipe.layers), *segmentation)))


def build_layers(
    bands: Bands,
    recipe: Recipe,
    *,
    regions: NDArray[np.int32] | None = None,
    objects: ObjectTable | None = None,
) -> NDArray[np.float32]:
    """Build the layers of a recipe, in its order and in physical units.

    Parameters
    ----------
    bands
        Stored layers by name, each ``(rows, cols)`` float32, NaN = invalid; at least those that
        :func:`stored_bands` names.
    recipe
        What to build.
    regions
        ``(rows, cols)`` int32: objects never cross from one value to another.
    objects
        Objects of the whole scene when ``bands`` is a window of it; else they are segmented here.

    Returns
    -------
    numpy.ndarray
        ``(layers, rows, cols)`` float32, NaN = invalid.

    Raises
    ------
    LayerError
        A band that a layer needs is absent.
    """
    require_bands(recipe.layers, bands)
    plain = [name for name in recipe.layers if not describe(name).of]
    averaged = [describe(name).of for name in recipe.layers if describe(name).of]
    built = {name: compute(name, bands) for name in plain}
    if averaged:
        if recipe.objects is None:
            message = f"layer {averaged[0] + '_obj'!r} needs the recipe's objects entry, which is missing"
            raise LayerError(message)
        if objects is None:
            objects = segment_objects(bands, recipe.objects, averaged, regions=regions)
        built |= {f"{name}_obj": objects.means[name][objects.labels] for name in averaged}
    return np.stack([built[name] for name in recipe.layers]).astype(np.float32, copy=False)


def segmentation_image(bands: Bands, recipe: ObjectRecipe) -> NDArray[np.float32]:
    """Scale the segmentation's inputs, ``(inputs, rows, cols)`` float32: low -> 0, high -> 255, unclipped."""
    scaled = []
    for name, low, high in zip(recipe.inputs, recipe.low, recipe.high, strict=True):
        layer = compute(name, bands).astype(np.float64)
        scaled.append(((layer - low) * (255.0 / (high - low))).astype(np.float32))
    return np.stack(scaled)


def segment_objects(
    bands: Bands,
    recipe: ObjectRecipe,
    averaged: Iterable[str],
    *,
    regions: NDArray[np.int32] | None = None,
) -> ObjectTable:
    """Segment ``bands`` as the recipe says and average layers over the objects.

    Pixels where an input is invalid belong to no object.
    """
    from landslip import objects  # numba stays out of reach until objects are wanted

    image = segmentation_image(bands, recipe)
    valid = np.isfinite(image).all(axis=0)
    labels = objects.segment(
        image,
        recipe.scale,
        color=recipe.color,
        compactness=recipe.compactness,
        band_weights=recipe.band_weights,
        valid=valid,
        regions=regions,
    )
    return ObjectTable(labels, {name: means_by_label(labels, compute(name, bands)) for name in averaged})


def means_by_label(labels: NDArray[np.int32], layer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of a layer over the valid pixels of each object, ``(objects + 1,)`` float32; entry 0 is NaN."""
    size = int(labels.max(initial=0)) + 1
    finite = np.isfinite(layer)
    where, values = labels[finite], layer[finite].astype(np.float64)
    count = np.bincount(where, minlength=size)
    total = np.bincount(where, weights=values, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total / count).astype(np.float32)
    means[0] = np.nan
    return means
