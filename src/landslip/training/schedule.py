"""The learning rate as a function of the update alone, so that resuming needs no state."""

from __future__ import annotations

import math

from landslip.training.config import TrainConfig

_WARM_UP = 0.05


def learning_rate(config: TrainConfig, update: int, updates: int) -> float:
    """Learning rate of update ``update`` (from 0) of ``updates``.

    References
    ----------
    Loshchilov & Hutter (2017), arXiv:1608.03983, for the cosine; without restarts.
    """
    if config.schedule == "constant":
        return config.learning_rate
    warm_up = max(1, round(_WARM_UP * updates))
    if update < warm_up:
        return config.learning_rate * (update + 1) / warm_up
    done = (update - warm_up) / max(1, updates - warm_up)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
