"""U-Nets on a ResNet-34 encoder, with and without attention gates on the skip connections."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landslip.models.blocks import AttentionGate, ConvBlock

DECODER = (128, 64, 32, 16, 8)
"""Channels of the decoder from a sixteenth of the resolution to the full one."""


class ResUNet34(nn.Module):
    """U-Net with the ResNet-34 of segmentation-models-pytorch as encoder.

    Each of the five decoder levels is a 4 x 4 transposed convolution of stride 2 with batch normalisation,
    the skip connection (none at full resolution), and a 3 x 3 convolution block. With five layers it has
    23,107,369 parameters, 1,816,425 of them outside the encoder.

    Parameters
    ----------
    in_channels
        Layers of the input.
    decoder
        Channels of the decoder's levels.
    attention
        Put an attention gate on each of the four skip connections.

    References
    ----------
    He et al. (2016), doi:10.1109/CVPR.2016.90; Oktay et al. (2018), arXiv:1804.03999, for the gates.
    """

    def __init__(self, in_channels: int, *, decoder: Sequence[int] = DECODER, attention: bool = False) -> None:
        super().__init__()
        from segmentation_models_pytorch.encoders import get_encoder  # heavy, and only needed here

        self.encoder = get_encoder("resnet34", in_channels=in_channels, weights=None)
        deep_to_shallow = list(self.encoder.out_channels[:0:-1])
        inputs = [deep_to_shallow[0], *decoder[:-1]]
        skips = [*deep_to_shallow[1:], 0]
        levels = list(zip(inputs, skips, decoder, strict=True))
        self.grow = nn.ModuleList(_grow(i, o) for i, _, o in levels)
        self.gates = nn.ModuleList(AttentionGate(s, o) for _, s, o in levels if s) if attention else None
        self.up = nn.ModuleList(ConvBlock(o + s, o) for _, s, o in levels)
        self.head = nn.Conv2d(decoder[-1], 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits ``(n, 1, h, w)`` for an image ``(n, layers, h, w)``."""
        # the first "feature" of the encoder is the image itself, which no level takes
        skips: list[Tensor] = self.encoder(image)[1:]
        x = skips.pop()
        for level, (grow, block) in enumerate(zip(self.grow, self.up, strict=True)):
            x = grow(x)
            if skips:
                skip = skips.pop()
                x = torch.cat([x, skip if self.gates is None else self.gates[level](skip, x)], dim=1)
            x = block(x)
        logits: Tensor = self.head(x)
        return logits


def _grow(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
