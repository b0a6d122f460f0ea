"""Probabilities of tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslip.bundle import Bundle
from landslip.data.augment import IDENTITY, VARIANTS, Directional, Variants, inverse, turn
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
    variants: Variants = "none",
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
    variants
        Test-time variants: the mean of the predictions of each tile flipped and turned, and turned back
        (:data:`landslip.data.augment.VARIANTS`).

    Returns
    -------
    numpy.ndarray
        ``(n, size, size)`` float32, also where pixels are invalid (there it means nothing).

    Raises
    ------
    LayerError
        The tiles lack a layer of the run; or variants are asked for, and a layer cannot be turned.
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
    elements = VARIANTS[variants]
    store = TileStore(tiles, recipe, where, Directional.of(recipe.layers, "variants") if len(elements) > 1 else None)
    computed = resolve_precision(precision, where)
    total = torch.zeros((len(store), *store.image.shape[-2:]))
    with progress.task("predicting tiles", len(store) * len(elements)) as task:
        for element in elements:
            logits = predict_logits(network, store, batch, computed, advance=task.advance, element=element)
            total += turn(torch.sigmoid(logits), inverse(element))
    return np.asarray(total.div_(len(elements)).numpy(), dtype=np.float32)


def predict_logits(
    network: nn.Module,
    store: TileStore,
    batch: int,
    precision: str,
    advance: Callable[[float], None] | None = None,
    element: int = IDENTITY,
) -> Tensor:
    """Run a network over a store, in inference mode; its training flag is left as it was.

    Tiles are turned by ``element`` (:mod:`landslip.data.augment`), and the logits are those of the turned tiles.

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
            for image, _target in store.sequential(batch, element):
                out[done : done + len(image)] = network(image)[:, 0].float().cpu()
                done += len(image)
                if advance is not None:
                    advance(len(image))
    finally:
        network.train(training)
    return out
