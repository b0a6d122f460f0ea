"""Probabilities of tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslip.bundle import Bundle
from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, InputError
from landslip.progress import SILENT, Progress
from landslip.training.batches import TileStore
from landslip.training.device import autocast, resolve_device, resolve_precision


def predict_tiles(
    model: nn.Module | Bundle,
    tiles: TileSet,
    *,
    batch: int = 32,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Predict the probability of landslide for every pixel of tiles.

    Parameters
    ----------
    model
        A trained run, which brings its own layers and statistics; or a network, for which the tiles must have
        a recipe of exactly its layers.
    tiles
        In physical units.
    batch
        Tiles at a time.
    device, precision
        As in :class:`landslip.training.TrainConfig`.

    Returns
    -------
    numpy.ndarray
        ``(n, size, size)`` float32, also where pixels are invalid (there it means nothing).

    Raises
    ------
    LayerError
        The tiles lack a layer of the run.
    InputError
        A network without a recipe.
    """
    if batch < 1:
        message = f"batch {batch}: must be at least 1"
        raise ConfigError(message)
    if isinstance(model, Bundle):
        recipe, network = model.recipe, model.network()
        tiles = tiles.select(recipe.layers)
    elif tiles.recipe is None:
        message = "tiles without a recipe have no statistics to standardise by; fit a recipe first"
        raise InputError(message)
    else:
        recipe, network = tiles.recipe, model
    where = resolve_device(device)
    store = TileStore(tiles, recipe, where)
    with progress.task("predicting tiles", len(store)) as task:
        logits = predict_logits(network, store, batch, resolve_precision(precision, where), advance=task.advance)
    return np.asarray(torch.sigmoid(logits).numpy(), dtype=np.float32)


def predict_logits(
    network: nn.Module,
    store: TileStore,
    batch: int,
    precision: str,
    advance: Callable[[float], None] | None = None,
) -> Tensor:
    """Run a network over a store, in inference mode; its training flag is left as it was.

    Returns
    -------
    torch.Tensor
        ``(n, size, size)`` float32 on the host.
    """
    training = network.training
    network.eval().to(store.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    size = store.image.shape[-1]
    out = torch.empty((len(store), size, size), dtype=torch.float32)
    done = 0
    try:
        with torch.inference_mode(), autocast(store.device, precision):
            for image, _target in store.sequential(batch):
                out[done : done + len(image)] = network(image)[:, 0].float().cpu()
                done += len(image)
                if advance is not None:
                    advance(len(image))
    finally:
        network.train(training)
    return out
