"""Finished parts as one cloud-optimised raster of probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetWriter

from landslip.files import atomic_path
from landslip.mapping.probability.ahead import CACHE_MB
from landslip.mapping.probability.parts import Parts
from landslip.mapping.probability.predict import Prediction
from landslip.progress import SILENT, Progress
from landslip.rasters import BLOCK, RasterSpec, to_cog, write_block
from landslip.windows import Window


def assemble(
    prediction: Prediction, parts: Parts, path: Path, tags: Mapping[str, str], *, progress: Progress = SILENT
) -> None:
    """Put the parts together as a cloud-optimised GeoTIFF under ``path``.

    Raises
    ------
    FormatError
        A part is damaged.
    OutputError
        The file cannot be written.
    """
    plan = prediction.plan
    grid = prediction.sources[0].scene.grid
    spec = RasterSpec(grid, "float32", prediction.bands, nodata=float("nan"), tags=dict(tags))
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE_MB),
        progress.task("write probability", len(plan.bands)) as task,
        _uncompressed(path, spec) as dataset,
    ):
        rows = np.empty((len(spec.bands), BLOCK, plan.shape[1]), np.float32)
        filled, first = 0, 0
        for band in plan.bands:
            part = parts.read(band)
            while part.shape[1]:
                taken = min(BLOCK - filled, part.shape[1])
                rows[:, filled : filled + taken] = part[:, :taken]
                part, filled = part[:, taken:], filled + taken
                if filled == BLOCK or first + filled == plan.shape[0]:
                    write_block(dataset, rows[:, :filled], Window(first, 0, filled, plan.shape[1]))
                    first, filled = first + filled, 0
            task.advance()


@contextlib.contextmanager
def _uncompressed(path: Path, spec: RasterSpec) -> Iterator[DatasetWriter]:
    """As :func:`landslip.rasters.cog_writer`, but what lies in between is not compressed: it is read once."""
    with atomic_path(path) as final:
        plain = final.with_name("plain.tif")
        profile = {name: value for name, value in spec.profile().items() if name not in _COMPRESSION}
        with rasterio.open(plain, "w", **profile) as dataset:
            for index, name in enumerate(spec.bands, start=1):
                dataset.set_band_description(index, name)
            dataset.update_tags(**spec.tags)
            yield dataset
        to_cog(plain, final, average=spec.average)
        plain.unlink()


_COMPRESSION = ("compress", "zlevel", "predictor", "num_threads")
