"""Segmentation of a raster on disk into a raster of labels, within a given memory."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio

from landslip.errors import ConfigError
from landslip.files import locked, writing
from landslip.objects.disk.planning import GIB, plans_for
from landslip.objects.disk.run import Run, first_passes
from landslip.objects.disk.sources import Source, open_source
from landslip.objects.kernels.memory import give_back
from landslip.objects.kernels.weights import make_criterion
from landslip.objects.options import Options, check_shape
from landslip.objects.windows.merging import SERIAL, Workers, usable_threads
from landslip.objects.windows.plans import Plan, Task
from landslip.progress import SILENT, Progress


@dataclass(frozen=True)
class RasterSegmentation:
    """What a segmentation on disk came to.

    Parameters
    ----------
    path
        The label raster: int32, 0 = invalid.
    objects
        Number of objects.
    windows
        Windows of the first passes.
    reruns
        How often a window had to be run again with a wider margin.
    passes
        Passes in all.
    """

    path: Path
    objects: int
    windows: int
    reruns: int
    passes: int


def segment_raster(
    src: str | os.PathLike[str] | Source,
    dst: str | os.PathLike[str],
    scale: float,
    *,
    layers: Sequence[str] | None = None,
    bounds: Sequence[tuple[float, float]] | None = None,
    color: float = 0.9,
    compactness: float = 0.5,
    band_weights: Sequence[float] | None = None,
    min_size: int = 1,
    threads: int | None = None,
    memory_gib: float = 4.0,
    resume: bool = False,
    plan: Plan | None = None,
    progress: Progress = SILENT,
) -> RasterSegmentation:
    """Segment a raster on disk into a raster of labels, with the result of :func:`landslip.objects.segment`.

    Parameters
    ----------
    src
        Scene folder, any multi-band raster, or an open source.
    dst
        Label raster to write (a cloud-optimised GeoTIFF); it appears when it is whole.
    scale, color, compactness, band_weights, min_size, threads
        As for :func:`landslip.objects.segment`.
    layers
        Which layers; by default a scene's blue, green, red and nir, or all bands.
    bounds
        For each layer the values that become 0 and 255; by default the values are taken as they are.
    memory_gib
        Memory that the work may take, in GiB, beyond what Python and its libraries hold.
    resume
        Take up the parts that an interrupted run with the same settings left behind.
    plan
        Windows; chosen from the memory by default. It never changes the result.
    progress
        Who is told how far it is.

    Returns
    -------
    RasterSegmentation
        Where the labels are and what was done.

    Raises
    ------
    ConfigError, InputError, LayerError, MissingInputError
        Options or input unusable.
    ResourceError
        The memory does not suffice; the message says how much would.
    OutputError
        The disk is full, or the output is in use.
    """
    source = src if isinstance(src, Source) else open_source(src, layers)
    if bounds is not None:
        source = source.stretched(bounds)
    bands, rows, cols = check_shape((len(source.layers), *source.grid.shape))
    options = Options.checked(
        bands, [scale], color=color, compactness=compactness, band_weights=band_weights,
        min_size=min_size, threads=threads,
    )  # fmt: skip
    if not 0 < memory_gib < math.inf:
        message = f"memory_gib is {memory_gib!r}; it must be a number greater than 0, for example 4"
        raise ConfigError(message)
    used = usable_threads(threads)
    plans = plans_for((rows, cols), bands, used, memory_gib) if plan is None else [(plan, used)]
    criterion = make_criterion(options.band_weights, options.color, options.compactness)
    folder = Path(f"{os.fspath(dst)}.partial")
    # GDAL would keep a twentieth of the machine's memory in blocks that are read once
    with rasterio.Env(GDAL_CACHEMAX=128), writing(dst), locked(folder), contextlib.ExitStack() as stack:
        runs = []
        for chosen, threads_of in plans:
            task = Task((rows, cols), chosen, criterion, float(scale) ** 2, float(scale) ** 2)
            workers = stack.enter_context(Workers(threads_of)) if threads_of > 1 else SERIAL
            runs.append(Run(source, options, task, folder, memory_gib * GIB, workers, progress))
        give_back()  # what segmentations before have kept would come on top of the memory allowed
        stack.callback(give_back)  # what follows has a use for the memory
        run = first_passes(runs, resume=resume)
        labels, cells, pixel, passes, objects = run.merge()
        run.write(Path(dst), labels, cells, pixel)
    shutil.rmtree(folder, ignore_errors=True)
    return RasterSegmentation(Path(dst), objects, len(run.cores), run.reruns, passes)
