"""Losses over the counted pixels alone: invalid and unknown ones have no influence at all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from landslip.data.tileset import UNKNOWN
from landslip.training.config import TrainConfig

MaskedLoss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Logits ``(n, 1, h, w)`` and targets ``(n, h, w)`` uint8 (0, 1, 255 = not counted) to the loss (a scalar)
and the number of counted pixels."""


def masked_loss(config: TrainConfig) -> MaskedLoss:
    """Make the loss of a configuration, from those of segmentation-models-pytorch.

    Every loss is over the counted pixels of the batch pooled. A batch without any has the loss 0;
    so has, for Dice and Tversky, one without a landslide, about which they say nothing. ``bce+dice`` is the sum
    of the two.

    References
    ----------
    Dice: Milletari et al. (2016), doi:10.1109/3DV.2016.79. Focal: Lin et al. (2017),
    doi:10.1109/ICCV.2017.324. Tversky: Salehi et al. (2017), doi:10.1007/978-3-319-67389-9_44.
    """
    function = _LOSSES[config.loss](config)

    def loss(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        counted = target != UNKNOWN
        count = counted.sum()
        number = int(count)  # waits for a GPU, once
        if number == 0:
            return logits.sum() * 0.0, count
        if number == target.numel():
            return function(logits.float().reshape(1, 1, -1), target.reshape(1, 1, -1).float()), count
        # selecting, not multiplying by zero, so that nothing of a pixel that does not count can get through
        chosen = logits.float()[:, 0][counted]
        return function(chosen.reshape(1, 1, -1), target[counted].reshape(1, 1, -1).float()), count

    return loss


def _bce(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    from segmentation_models_pytorch.losses import SoftBCEWithLogitsLoss

    weight = None if config.positive_weight == 1 else torch.tensor(config.positive_weight)
    inner = SoftBCEWithLogitsLoss(ignore_index=None, pos_weight=weight)

    def function(logits: Tensor, target: Tensor) -> Tensor:
        result: Tensor = inner.to(logits.device)(logits, target)
        return result

    return function


def _dice(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    from segmentation_models_pytorch.losses import DiceLoss

    del config
    function: Callable[[Tensor, Tensor], Tensor] = DiceLoss("binary")
    return function


def _bce_and_dice(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    one, other = _bce(config), _dice(config)

    def function(logits: Tensor, target: Tensor) -> Tensor:
        return one(logits, target) + other(logits, target)

    return function


def _focal(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    from segmentation_models_pytorch.losses import FocalLoss

    function: Callable[[Tensor, Tensor], Tensor] = FocalLoss(
        "binary", alpha=config.focal_alpha, gamma=config.focal_gamma
    )
    return function


def _tversky(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    from segmentation_models_pytorch.losses import TverskyLoss

    function: Callable[[Tensor, Tensor], Tensor] = TverskyLoss(
        "binary", alpha=config.tversky_alpha, beta=config.tversky_beta
    )
    return function


_LOSSES = {"bce": _bce, "dice": _dice, "bce+dice": _bce_and_dice, "focal": _focal, "tversky": _tversky}
