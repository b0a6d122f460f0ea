"""Multiresolution segmentation of arrays (Baatz & Schäpe 2000), order-free and exact."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import InputError
from landslip.objects import kernels
from landslip.objects.kernels import Criterion
from landslip.objects.merging import SERIAL, Merger, Workers, empty_graph, usable_threads
from landslip.objects.options import Options, check_image, check_plane


def segment(
    image: ArrayLike,
    scale: float,
    *,
    color: float = 0.9,
    compactness: float = 0.5,
    band_weights: Sequence[float] | None = None,
    valid: ArrayLike | None = None,
    regions: ArrayLike | None = None,
    min_size: int = 1,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Segment an image into objects by merging neighbours as long as that costs less than ``scale²``.

    Parameters
    ----------
    image
        ``(bands, rows, cols)`` float32 (other real types are converted). Taken as it is: what a scale
        means depends on the unit of the bands.
    scale
        Greater than 0; objects grow with it.
    color
        Weight of colour against shape, 0 to 1.
    compactness
        Weight of compactness against smoothness within shape, 0 to 1.
    band_weights
        One per band, used as given; default one over the number of bands.
    valid
        ``(rows, cols)`` bool; False joins nothing. Pixels that are not finite in every band are invalid
        anyway, with a warning where ``valid`` does not say so.
    regions
        ``(rows, cols)`` whole numbers; no object reaches from one value into another.
    min_size
        Objects of fewer pixels are joined, after merging, to the neighbour that costs least, until none
        is left that has a neighbour.
    threads
        Number of threads; None for all processors. It never changes the result.

    Returns
    -------
    numpy.ndarray
        ``(rows, cols)`` int32: 0 = invalid, 1..n in raster order of each object's first pixel.

    Raises
    ------
    ConfigError, InputError
        An option is out of range; shapes or types do not fit; more than 2³¹ pixels; nothing is valid.

    References
    ----------
    Baatz, M. & Schäpe, A. (2000): Multiresolution segmentation: an optimization approach for high quality
    multi-scale image segmentation. Angewandte Geographische Informationsverarbeitung XII, 12-23.
    """
    levels = segment_hierarchy(
        image,
        [scale],
        color=color,
        compactness=compactness,
        band_weights=band_weights,
        valid=valid,
        regions=regions,
        min_size=min_size,
        threads=threads,
    )
    return np.asarray(levels[0])


def segment_hierarchy(
    image: ArrayLike,
    scales: Sequence[float],
    *,
    color: float = 0.9,
    compactness: float = 0.5,
    band_weights: Sequence[float] | None = None,
    valid: ArrayLike | None = None,
    regions: ArrayLike | None = None,
    min_size: int = 1,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Segment at several increasing scales in one run: each level's objects are unions of the level's before.

    A level is not what :func:`segment` gives at its scale, except the first: it starts from the objects of
    the level before, which have merged without regard to what was to come.

    Parameters
    ----------
    scales
        Increasing.
    image, color, compactness, band_weights, valid, regions, threads
        As for :func:`segment`.
    min_size
        As for :func:`segment`, after the last level only.

    Returns
    -------
    numpy.ndarray
        ``(scales, rows, cols)`` int32, each level numbered as :func:`segment` does.

    Raises
    ------
    ConfigError, InputError
        As :func:`segment`; the scales do not increase.
    """
    pixels = check_image(image)
    shape = (pixels.shape[1], pixels.shape[2])
    options = Options.checked(
        pixels.shape[0],
        scales,
        color=color,
        compactness=compactness,
        band_weights=band_weights,
        min_size=min_size,
        threads=threads,
    )
    mask = check_plane(valid, shape, "valid")
    parts = check_plane(regions, shape, "regions")
    threads_used = usable_threads(threads)
    levels = np.empty((len(options.scales), *shape), np.int32)
    with Workers(threads_used) if threads_used > 1 else SERIAL as workers:
        merger, forest = _from_pixels(pixels, mask, parts, options, workers)
        for index, scale in enumerate(options.scales):
            if index:
                merger.wake()
            merger.run(scale * scale)
            if options.min_size > 1 and index == len(options.scales) - 1:
                merger.restart(np.inf, float(options.min_size))
                merger.run(np.inf)
            levels[index].ravel()[:] = forest
            kernels.label_forest(levels[index].reshape(-1))
    return levels


def _from_pixels(
    pixels: NDArray[np.float32],
    mask: NDArray[np.generic] | None,
    parts: NDArray[np.generic] | None,
    options: Options,
    workers: Workers,
) -> tuple[Merger, NDArray[np.int32]]:
    bands, rows, cols = pixels.shape
    criterion = Criterion(np.array(options.band_weights, np.float64), float(options.color), float(options.compactness))
    prune = float(options.scales[-1]) ** 2
    limit = float(options.scales[0]) ** 2
    link = np.empty((rows, cols), np.uint8)
    no_mask, no_parts = np.empty((0, 0), np.bool_), np.empty((0, 0), np.int64)
    stray = kernels.links(
        pixels,
        mask if mask is not None else no_mask,
        parts.astype(np.int64) if parts is not None else no_parts,
        link,
    )
    if stray:
        warnings.warn(f"{stray:,} pixels are not finite; they are left out as invalid", stacklevel=4)
    right, below = np.empty((rows, cols)), np.empty((rows, cols))
    kernels.pixel_costs(pixels, link, criterion, prune, right, below)
    direction = np.empty((rows, cols), np.uint8)
    kernels.pixel_pairs(link, right, below, limit, 0, 0, cols, direction)
    forest = np.empty(rows * cols, np.int32)
    nodes, entries = kernels.number_nodes(link, direction, forest)
    if not nodes:
        message = "no pixel is valid; check the validity mask and the nodata value of the image"
        raise InputError(message)
    graph = empty_graph(nodes, int(entries * 1.3), bands, forest)
    kernels.fill_nodes(pixels, link, direction, 0, 0, cols, np.zeros(4, np.bool_), graph)
    used = kernels.fill_lists(link, direction, right, below, criterion, prune, graph)
    return Merger(graph, used, criterion, prune, workers), forest
