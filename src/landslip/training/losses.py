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

_Function = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits, truth (0 or 1) and whether it counts of every pixel, ``(1, 1, pixels)``, to the loss."""

_NO = -1e4
"""Logit whose probability is 0 in float32, and a number all the same, so that its gradient is one too."""


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
        # chosen by where, not multiplied by zero, so that nothing of a pixel that does not count can get through;
        # and not selected, since the number of selected pixels would have to be waited for on a GPU
        chosen = torch.where(counted, logits.float()[:, 0], _NO)
        truth = torch.where(counted, target, 0).float()
        return function(chosen.reshape(1, 1, -1), truth.reshape(1, 1, -1), counted.reshape(1, 1, -1)), counted.sum()

    return loss


def _mean(each: Callable[[Tensor, Tensor], Tensor]) -> _Function:
    """Turn a loss of each pixel into the mean over those that count."""

    def function(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        values = torch.where(counted, each(logits, target).reshape(counted.shape), 0.0)
        return values.sum() / counted.sum().clamp(min=1)

    return function


def _bce(config: TrainConfig) -> _Function:
    from segmentation_models_pytorch.losses import SoftBCEWithLogitsLoss

    weight = None if config.positive_weight == 1 else torch.tensor(config.positive_weight)
    inner = SoftBCEWithLogitsLoss(ignore_index=None, reduction="none", pos_weight=weight)

    def each(logits: Tensor, target: Tensor) -> Tensor:
        result: Tensor = inner.to(logits.device)(logits, target)
        return result

    return _mean(each)


def _focal(config: TrainConfig) -> _Function:
    from segmentation_models_pytorch.losses import FocalLoss

    return _mean(FocalLoss("binary", alpha=config.focal_alpha, gamma=config.focal_gamma, reduction="none"))


def _dice(config: TrainConfig) -> _Function:
    from segmentation_models_pytorch.losses import DiceLoss

    del config
    return _of_sets(DiceLoss("binary"))


def _bce_and_dice(config: TrainConfig) -> _Function:
    one, other = _bce(config), _dice(config)
    return lambda *pixels: one(*pixels) + other(*pixels)


def _tversky(config: TrainConfig) -> _Function:
    from segmentation_models_pytorch.losses import TverskyLoss

    return _of_sets(TverskyLoss("binary", alpha=config.tversky_alpha, beta=config.tversky_beta))


def _of_sets(inner: Callable[[Tensor, Tensor], Tensor]) -> _Function:
    # a pixel that does not count is surely no landslide, in truth as in prediction: it adds nothing to any sum
    return lambda logits, target, counted: inner(logits, target)


_LOSSES = {"bce": _bce, "dice": _dice, "bce+dice": _bce_and_dice, "focal": _focal, "tversky": _tversky}
