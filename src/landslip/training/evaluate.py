"""Scores of a trained network on every part, and the threshold chosen on validation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landslip.data.tileset import UNKNOWN
from landslip.progress import Progress
from landslip.scoring import Confusion, best_threshold
from landslip.training.batches import TileStore, split_evenly
from landslip.training.config import TrainConfig
from landslip.training.losses import masked_loss
from landslip.training.predict import predict_logits


def evaluate(
    network: nn.Module, stores: dict[str, TileStore], config: TrainConfig, precision: str, progress: Progress
) -> tuple[float, dict[str, Any]]:
    """Choose the threshold on ``validation`` and score every part at it and at 0.5.

    Parameters
    ----------
    network
        With its best weights.
    stores
        By part; ``validation`` must be there and have landslides, empty ones are left out.
    config
        For the loss and the batch.
    precision
        ``bf16`` or ``float32``.

    Returns
    -------
    float
        The threshold.
    dict
        By part: ``tiles``, ``loss``, ``at_half`` and ``at_threshold`` with counts and scores.
    """
    logits: dict[str, Tensor] = {}
    total = sum(len(store) for store in stores.values())
    with progress.task("scoring", total) as task:
        for part, store in stores.items():
            if len(store):
                logits[part] = predict_logits(network, store, config.batch, precision, advance=task.advance)
    targets = {part: stores[part].targets() for part in logits}
    probability = {part: np.asarray(torch.sigmoid(values).numpy()) for part, values in logits.items()}
    truth = {part: values.numpy() for part, values in targets.items()}
    counted = {part: values != UNKNOWN for part, values in truth.items()}
    threshold = best_threshold(probability["validation"], truth["validation"], counted["validation"]).threshold
    scores = {
        part: {
            "tiles": len(truth[part]),
            "loss": _loss(logits[part], targets[part], config),
            "at_half": Confusion.from_arrays(probability[part] >= 0.5, truth[part], counted[part]).to_dict(),
            "at_threshold": Confusion.from_arrays(probability[part] >= threshold, truth[part], counted[part]).to_dict(),
        }
        for part in logits
    }
    return threshold, scores


def _loss(logits: Tensor, target: Tensor, config: TrainConfig) -> float | None:
    # in the batches of validation, so that losses of sets (Dice, Tversky) are those of metrics.csv
    loss, total, count = masked_loss(config), 0.0, 0.0
    for index in split_evenly(np.arange(len(logits), dtype=np.int64), config.tiles_per_update):
        chosen = torch.from_numpy(index)
        value, counted = loss(logits[chosen][:, None], target[chosen])
        total += float(value) * float(counted)
        count += float(counted)
    mean = total / count if count else math.nan
    return mean if math.isfinite(mean) else None
