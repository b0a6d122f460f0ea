"""Parts that the networks share: convolution blocks, attention gates, and the check of what comes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from landslip.errors import ModelError

STRIDE = 32
"""Rows and columns of every input are multiples of this, for all networks alike."""


class ConvBlock(nn.Sequential):
    """3 x 3 convolution, batch normalisation, ReLU; the size stays.

    Parameters
    ----------
    in_channels, out_channels
        Channels before and after.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            # no bias: the normalisation that follows has one
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class AttentionGate(nn.Module):
    """Additive attention gate: weighs each place of a skip connection by what the decoder looks for.

    ``alpha = sigmoid(psi(relu(W_x x + W_g g)))`` with 1 x 1 convolutions, and ``x * alpha`` is passed on. The
    gating signal ``g`` is taken after the decoder's transposed convolution, on the grid of ``x``, so that
    the weights need no resampling.

    Parameters
    ----------
    channels
        Channels of the skip connection ``x``.
    gate_channels
        Channels of the gating signal ``g``.

    References
    ----------
    Oktay et al. (2018), Attention U-Net, arXiv:1804.03999, equations 1 and 2.
    """

    def __init__(self, channels: int, gate_channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.of_skip = nn.Conv2d(channels, inner, 1, bias=False)
        self.of_gate = nn.Conv2d(gate_channels, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Return the weighted skip connection ``(n, channels, h, w)``."""
        return skip * self.weights(skip, gate)

    def weights(self, skip: Tensor, gate: Tensor) -> Tensor:
        """Return the attention weights ``(n, 1, h, w)``, each between 0 and 1."""
        return torch.sigmoid(self.psi(torch.relu(self.of_skip(skip) + self.of_gate(gate))))


def check_input(network: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Refuse an input that the network cannot take (a forward pre-hook on every network).

    Raises
    ------
    ModelError
        Not ``(n, channels, h, w)``, another number of layers, or a size that is no multiple of 32.
    """
    image: Tensor = arguments[0]
    channels = network.in_channels
    if image.ndim != 4 or image.shape[1] != channels:
        message = f"the network takes (n, {channels}, h, w), that is {channels} layers; this is {tuple(image.shape)}"
        raise ModelError(message)
    rows, cols = image.shape[-2:]
    if rows % STRIDE or cols % STRIDE or not rows or not cols:
        message = f"tile of {rows} x {cols} pixels: both must be multiples of {STRIDE}; choose {_nearest(rows, cols)}"
        raise ModelError(message)


def _nearest(rows: int, cols: int) -> str:
    return " x ".join(str(max(STRIDE, round(size / STRIDE) * STRIDE)) for size in (rows, cols))
