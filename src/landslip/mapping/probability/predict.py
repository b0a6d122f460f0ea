"""From a scene and a model to bands of probabilities, in memory that does not grow with the scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray

from landslip.mapping.config import PredictConfig
from landslip.mapping.probability.ahead import CACHE_MB, Ahead
from landslip.mapping.probability.blending import Band, Blender, WindowPlan, divide
from landslip.mapping.probability.network import Forward
from landslip.mapping.probability.parts import Apart, Parts
from landslip.mapping.probability.source import Block, BlockReader, SceneSource
from landslip.progress import SILENT, Progress, Task
from landslip.windows import Window


@dataclass(frozen=True)
class Prediction:
    """All that is needed to predict one scene.

    Parameters
    ----------
    forward
        The networks.
    sources
        The layers, one source per distinct recipe.
    config
        Windows and batches.
    """

    forward: Forward
    sources: Sequence[SceneSource]
    config: PredictConfig

    @property
    def plan(self) -> WindowPlan:
        """The windows."""
        return WindowPlan(self.sources[0].scene.grid.shape, self.config.tile, self.config.overlap)

    @property
    def fields(self) -> int:
        """Values that are blended per pixel: the probability, and its entropy where disagreement is asked for."""
        return 2 if self.config.uncertainty == "disagreement" else 1

    @property
    def bands(self) -> tuple[str, ...]:
        """Descriptions of the bands of the result."""
        second = {"none": (), "entropy": ("entropy",), "disagreement": ("disagreement",)}
        return ("landslide probability", *second[self.config.uncertainty])


def predict_bands(prediction: Prediction, parts: Parts, *, progress: Progress = SILENT) -> None:
    """Predict the bands that are not done yet and keep each as a part.

    Raises
    ------
    ModelError
        The network gives something that is not a number.
    InputError, OutputError
        The scene cannot be read; a part cannot be written.
    """
    plan = prediction.plan
    done = parts.done(plan.bands)
    total = sum(len(plan.windows(band)) for band in plan.bands[done:])
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE_MB),
        progress.task("predict", total) as task,
        Ahead(BlockReader(prediction.sources, plan).blocks(plan.bands[done:])) as blocks,
    ):
        for band in plan.bands[done:]:
            carry = parts.carry(band, prediction.fields, plan.shape[1])
            blender = Blender(plan, band, prediction.fields, prediction.forward.predictions, carry)
            parts.write(band, _sweep(prediction, band, blocks, blender, task), blender.carry)


def predict_apart(prediction: Prediction, band: Band) -> Apart:
    """Predict one band without what the bands above leave on its first rows; :func:`join` adds that."""
    plan = prediction.plan
    nothing = np.zeros((prediction.fields, 0, plan.shape[1]), np.int64)
    above = plan.bands[band.number - 1].rows[1] if band.number else 0
    head = max(0, min(above, band.final[1]) - band.final[0])
    blender = Blender(plan, band, prediction.fields, prediction.forward.predictions, nothing, head)
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE_MB),
        SILENT.task("predict") as task,
        Ahead(BlockReader(prediction.sources, plan).blocks([band])) as blocks,
    ):
        part = _sweep(prediction, band, blocks, blender, task)
    return Apart(part, blender.head, blender.carry)


def join(prediction: Prediction, parts: Parts, done: int) -> int:
    """Join bands that were predicted apart to the ``done`` bands above them, as far as they follow each other.

    The sums are whole numbers, so the result is that of one sweep, to the last bit.

    Returns
    -------
    int
        How many bands, from the top, are finished now.
    """
    plan = prediction.plan
    for band in plan.bands[done:]:
        apart = parts.read_apart(band)
        if apart is None:
            return band.number
        left = parts.carry(band, prediction.fields, plan.shape[1])
        part, carry, rows = apart.part, apart.carry, apart.head.shape[1]
        head = np.empty(apart.head.shape, np.float32)
        head[:] = divide(plan, prediction.forward.predictions, apart.head + left[:, :rows], band.final[0], 0)
        head = _with_uncertainty(head, prediction.config.uncertainty)
        head[:, np.isnan(part[0, :rows])] = np.nan
        part[:, :rows] = head
        carry[:, : left.shape[1] - rows] += left[:, rows:]  # windows so tall that they reach over a whole band
        parts.write(band, part, carry)
    return len(plan.bands)


def _sweep(
    prediction: Prediction, band: Band, blocks: Iterator[Block], blender: Blender, task: Task
) -> NDArray[np.float32]:
    """Predict all windows of a band; return its part ``(bands, rows, cols)``, NaN where an input is invalid."""
    valid = np.zeros((band.final[1] - band.final[0], prediction.plan.shape[1]), np.bool_)
    for windows, values in _predictions(prediction, band, blocks, valid):
        for number, window in enumerate(windows):
            for one in values[:, number]:
                blender.add(window, one)
        task.advance(len(windows))
    part = _with_uncertainty(blender.finish(), prediction.config.uncertainty)
    part[:, ~valid] = np.nan
    return part


def _predictions(
    prediction: Prediction, band: Band, blocks: Iterator[Block], valid: NDArray[np.bool_]
) -> Iterator[tuple[list[Window], NDArray[np.float32]]]:
    """Yield windows of a band, in order, with ``(predictions, windows, fields, tile, tile)``; fill ``valid``."""
    config = prediction.config
    layers = sum(len(source.recipe.layers) for source in prediction.sources)
    batch = np.full((config.batch, layers, config.tile, config.tile), np.nan, np.float32)
    pending: list[Window] = []
    for window, pixels in _windows(prediction.plan, band, blocks, valid):
        batch[len(pending)] = pixels
        pending.append(window)
        if len(pending) == config.batch:
            yield pending, _run(prediction, batch)
            pending = []
    if pending:
        # The last batch is padded, so that every forward pass has the same size.
        batch[len(pending) :] = np.nan
        yield pending, _run(prediction, batch)[:, : len(pending)]


def _run(prediction: Prediction, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(batch[:, 0]).any():
        # Nothing valid in the whole batch (outside the swath): whatever the network says is not kept.
        shape = (prediction.forward.predictions, len(batch), prediction.fields, *batch.shape[-2:])
        return np.zeros(shape, np.float32)
    probability = prediction.forward(batch)
    if prediction.fields == 1:
        return probability[:, :, None]
    return np.stack([probability, entropy(probability)], axis=2)


def _windows(
    plan: WindowPlan, band: Band, blocks: Iterator[Block], valid: NDArray[np.bool_]
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Cut the windows of a band, in order, out of its blocks of columns."""
    top = band.rows[0]
    strip: NDArray[np.float32] | None = None
    first = 0
    waiting = list(plan.cols)
    for block in blocks:
        pixels = block.layers
        kept = min(valid.shape[0], pixels.shape[1])
        valid[:kept, block.col : block.col + pixels.shape[2]] = np.isfinite(pixels[:, :kept]).all(axis=0)
        pixels = _padded(pixels, band.starts[-1] + plan.tile - top, plan.tile if block.last else 0, block.col)
        strip = pixels if strip is None else np.concatenate([strip[:, :, waiting[0] - first :], pixels], axis=2)
        first = block.col if strip is pixels else waiting[0]
        while waiting and waiting[0] + plan.tile <= first + strip.shape[2]:
            col = waiting.pop(0)
            for row in band.starts:
                yield (
                    Window(row, col, plan.tile, plan.tile),
                    strip[:, row - top : row - top + plan.tile, col - first : col - first + plan.tile],
                )
        if block.last:
            return


def _padded(pixels: NDArray[np.float32], rows: int, cols: int, first_col: int) -> NDArray[np.float32]:
    """Fill up a scene that is smaller than a window with invalid pixels."""
    down, right = max(0, rows - pixels.shape[1]), max(0, cols - pixels.shape[2] - first_col)
    if not down and not right:
        return pixels
    return np.pad(pixels, ((0, 0), (0, down), (0, right)), constant_values=np.nan)


def entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of landslide or not, in bits (0 to 1), of any shape.

    References
    ----------
    Shannon (1948), doi:10.1002/j.1538-7305.1948.tb01338.x.
    """
    p = probability.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((p > 0) & (p < 1), bits, np.where(np.isnan(p), np.nan, 0.0)).astype(np.float32)


def _with_uncertainty(blended: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    if kind == "none":
        return blended
    whole = entropy(blended[0])
    if kind == "disagreement":
        # Entropy of the mean minus mean entropy: what the members do not agree on; never negative but for rounding.
        whole = np.maximum(whole - blended[1], 0)
    return np.stack([blended[0], whole])
