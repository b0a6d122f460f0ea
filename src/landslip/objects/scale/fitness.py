"""How well objects fit mapped polygons: pureness, matching and fitness. numpy alone.

A reconstruction: the Object Fitness Index of Tavakkoli Piralilou et al. (2019) combines an object pureness
index and an object matching index, whose formula could not be found. For a reference polygon r, s(r) is the
object that shares most pixels with it (of equals the lowest label), and::

    OPI(r) = |r ∩ s| / |s|        OMI(r) = |r ∩ s| / |r|        OFI = √(mean OPI · mean OMI)

Pureness falls and matching rises as objects grow, so OFI has its peak between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import InputError
from landslip.objects.means import check_labels

MIN_POLYGON = 4
"""Polygons of fewer pixels say nothing about a scale and are left out of the means."""


@dataclass(frozen=True)
class PolygonFitness:
    """Fitness of each polygon, as columns of equal length.

    Parameters
    ----------
    polygon, pixels
        Id, and number of pixels.
    object, object_pixels, overlap
        Label of the object with the largest overlap (0: none), its pixels, and the pixels shared.
    opi, omi
        Pureness and matching, 0 to 1.
    """

    polygon: NDArray[np.int64]
    pixels: NDArray[np.int64]
    object: NDArray[np.int64]
    object_pixels: NDArray[np.int64]
    overlap: NDArray[np.int64]
    opi: NDArray[np.float64]
    omi: NDArray[np.float64]


@dataclass(frozen=True)
class ObjectFitness:
    """Fitness of a segmentation.

    Parameters
    ----------
    opi, omi, ofi
        Means over the polygons of at least :data:`MIN_POLYGON` pixels, each counting the same.
    opi_area, omi_area, ofi_area
        The same weighted by the polygons' pixels.
    polygons
        How many polygons the means are of.
    per_polygon
        Every polygon, the small ones too.
    """

    opi: float
    omi: float
    ofi: float
    opi_area: float
    omi_area: float
    ofi_area: float
    polygons: int
    per_polygon: PolygonFitness


def object_fitness(labels: ArrayLike, reference: ArrayLike) -> ObjectFitness:
    """Measure how well the objects fit reference polygons.

    Parameters
    ----------
    labels
        ``(rows, cols)`` whole numbers, 0 = invalid.
    reference
        ``(rows, cols)`` whole numbers: 0, or the id of the polygon that covers the pixel. Pixels of a
        polygon where ``labels`` is 0 are left out of it.

    Returns
    -------
    ObjectFitness
        Indices in all and per polygon.

    Raises
    ------
    InputError
        The shapes differ, or no polygon has :data:`MIN_POLYGON` valid pixels.
    """
    objects, polygons = check_labels(labels), check_labels(reference, "reference")
    if objects.shape != polygons.shape:
        message = f"labels of {objects.shape} and reference of {polygons.shape}; rows and columns must be the same"
        raise InputError(message)
    table = _per_polygon(objects.ravel(), polygons.ravel())
    counted = table.pixels >= MIN_POLYGON
    if not counted.any():
        message = (
            f"no reference polygon has {MIN_POLYGON} valid pixels or more; "
            "give larger polygons, or a number as the scale (--scale NUMBER, in settings objects.scale)"
        )
        raise InputError(message)
    opi, omi = float(table.opi[counted].mean()), float(table.omi[counted].mean())
    weight = table.pixels[counted] / table.pixels[counted].sum()
    opi_area, omi_area = float(table.opi[counted] @ weight), float(table.omi[counted] @ weight)
    return ObjectFitness(
        opi=opi,
        omi=omi,
        ofi=float(np.sqrt(opi * omi)),
        opi_area=opi_area,
        omi_area=omi_area,
        ofi_area=float(np.sqrt(opi_area * omi_area)),
        polygons=int(counted.sum()),
        per_polygon=table,
    )


def _per_polygon(objects: NDArray[np.integer], polygons: NDArray[np.integer]) -> PolygonFitness:
    both = (objects > 0) & (polygons > 0)
    inside, mapped = objects[both].astype(np.int64), polygons[both].astype(np.int64)
    pairs, overlap = np.unique(np.stack([mapped, inside]), axis=1, return_counts=True)
    # largest overlap first, then the lowest label: the first row of each polygon is its object
    order = np.lexsort((pairs[1], -overlap, pairs[0]))
    ids, first, _ = np.unique(pairs[0][order], return_index=True, return_counts=True)
    chosen = order[first]
    sizes = np.bincount(objects[objects > 0].astype(np.int64)) if both.any() else np.zeros(1, np.int64)
    _, pixels = np.unique(mapped, return_counts=True)
    label = pairs[1][chosen]
    shared = overlap[chosen].astype(np.int64)
    object_pixels = sizes[label].astype(np.int64)
    return PolygonFitness(
        polygon=ids,
        pixels=pixels.astype(np.int64),
        object=label,
        object_pixels=object_pixels,
        overlap=shared,
        opi=shared / object_pixels,
        omi=shared / pixels,
    )
