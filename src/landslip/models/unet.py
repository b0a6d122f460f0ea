"""The baseline: a U-Net with double convolutions, as the paper describes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from landslip.models.blocks import ConvBlock

LEVELS = 5
"""Resolutions from the full one to a sixteenth of it."""


class UNet(nn.Module):
    """U-Net: five levels, channels doubled at each down-sampling, transposed convolutions upwards.

    With width 23 and five layers it has 4,012,282 parameters ("almost 4 million" in Shahabi & Ghorbanzadeh,
    2022).

    Parameters
    ----------
    in_channels
        Layers of the input.
    width
        Channels at full resolution.

    References
    ----------
    Ronneberger, Fischer & Brox (2015), doi:10.1007/978-3-319-24574-4_28; with batch normalisation and
    padded convolutions.
    """

    def __init__(self, in_channels: int, *, width: int = 23) -> None:
        super().__init__()
        if width < 1:
            message = "width must be at least 1"
            raise ValueError(message)
        channels = [width * 2**level for level in range(LEVELS)]
        inputs = [in_channels, *channels[:-1]]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip(inputs, channels, strict=True))
        self.pool = nn.MaxPool2d(2)
        upwards = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in upwards)
        self.up = nn.ModuleList(_double(2 * o, o) for _, o in upwards)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits ``(n, 1, h, w)`` for an image ``(n, layers, h, w)``."""
        skips: list[Tensor] = []
        x = image
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([skips.pop(), grow(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(ConvBlock(in_channels, out_channels), ConvBlock(out_channels, out_channels))
