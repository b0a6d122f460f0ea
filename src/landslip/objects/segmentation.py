"""Multiresolution segmentation of arrays (Baatz & Schäpe 2000), order-free and exact."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import InputError
from landslip.objects.kernels.handover import label_forest
from landslip.objects.kernels.layout import STRAY
from landslip.objects.kernels.weights import make_criterion
from landslip.objects.options import Options, check_image, check_plane, check_valid
from landslip.objects.windows.joining import Whole
from landslip.objects.windows.merging import SERIAL, Merger, Workers, usable_threads
from landslip.objects.windows.plans import Pixels, Plan, Task
from landslip.objects.windows.tiling import Arenas, Margins, first_pass, run_window
from landslip.windows import Window


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
        means depends on the unit of the bands. What a masked array masks is invalid.
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
        anyway, with a warning where nothing else says so.
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
    planes = Pixels(pixels, check_valid(valid, image, shape), check_plane(regions, shape, "regions"))
    return segment_planned(planes, options, Plan.of(shape, CORE, PASSES, None))


CORE, PASSES = 256, 13
"""Edge of a window, so that what two threads work on hardly leaves the processor's cache; and passes in windows, after
which there are 19 nodes for 100 pixels, most of which wait for what lies beyond the window."""


LEFT = 0.25, 0.1
"""Nodes, and further blocks of their lists, for which there is room at first, per pixel."""


def segment_planned(pixels: Pixels, options: Options, plan: Plan) -> NDArray[np.int32]:
    """Segment with the windows of ``plan``; the result does not depend on them."""
    shape = (pixels.image.shape[1], pixels.image.shape[2])
    criterion = make_criterion(options.band_weights, options.color, options.compactness)
    task = Task(shape, plan, criterion, float(options.scales[0]) ** 2, float(options.scales[-1]) ** 2)
    levels = np.empty((len(options.scales), *shape), np.int32)
    threads = usable_threads(options.threads)
    with Workers(threads) if threads > 1 else SERIAL as workers:
        merger, forest, stray = _start(pixels, task, levels[0], workers)
        if stray:
            warnings.warn(f"{stray:,} pixels are not finite; they are left out as invalid", stacklevel=4)
        if merger is None:
            message = "no pixel is valid; check the validity mask and the nodata value of the image"
            raise InputError(message)
        for index, scale in enumerate(options.scales):
            if index:
                merger.wake()
            merger.run(scale * scale)
            if options.min_size > 1 and index == len(options.scales) - 1:
                merger.restart(np.inf, float(options.min_size))
                merger.run(np.inf)
            if index + 1 < len(options.scales):
                following = forest.copy()
                label_forest(forest)
                levels[index] = forest.reshape(shape)
                forest = following
                merger.graph = merger.graph._replace(forest=forest)
        label_forest(forest)
        levels[-1] = forest.reshape(shape)
    return levels


def _start(
    pixels: Pixels, task: Task, out: NDArray[np.int32], workers: Workers
) -> tuple[Merger | None, NDArray[np.int32], int]:
    """Run the first passes, in windows where the image is large; return the graph, its forest, stray pixels."""
    cores = task.plan.windows(task.shape)
    if len(cores) == 1:
        merger, forest, link, _ = first_pass(pixels, task, cores[0], workers=workers)
        return merger, forest, int(np.count_nonzero(link & STRAY))
    whole = Whole(task, *(int(share * pixels.image[0].size) for share in LEFT))
    stray = _run_windows(pixels, task, cores, out, workers, whole)
    forest = out.reshape(-1)
    if not whole.nodes:
        return None, forest, stray
    merger, _ = whole.merger(workers)
    merger.graph = merger.graph._replace(forest=forest)
    merger.catch_up(task.limit, task.plan.passes)
    return merger, forest, stray


def _run_windows(
    pixels: Pixels, task: Task, cores: list[Window], out: NDArray[np.int32], workers: Workers, whole: Whole
) -> int:
    """Run the first passes in all windows, the graph of the whole takes them up; return the number of stray pixels."""
    arenas, margins = Arenas(), Margins(task.plan.around)  # gone when the windows are done

    def run(index: int, core: Window) -> int:
        part = run_window(pixels.window, task, core, out, (core.row, core.col), arenas, margins)
        whole.take(index, part.graph, part.ranges)
        return part.stray

    return sum(workers.map(run, range(len(cores)), cores))
