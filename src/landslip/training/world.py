"""One process among those of a training: what it gets of each batch, and how the shares come together again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist

from landslip.data.tileset import UNKNOWN
from landslip.training.device import resolve_device

Numbers = TypeVar("Numbers", bound=np.generic)


@dataclass(frozen=True)
class World:
    """One process among those of a training.

    Parameters
    ----------
    rank
        Its number; 0 writes the run folder.
    size
        How many there are.
    local
        Its number on its machine, which is the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    def device(self, wanted: str) -> torch.device:
        """Where this process computes."""
        device = resolve_device(wanted)
        return torch.device("cuda", self.local) if self.size > 1 and device.type == "cuda" else device

    def share(self, batch: NDArray[Numbers]) -> NDArray[Numbers]:
        """Part of a batch that this process sees: the batch cut into ``size`` runs of nearly equal length."""
        shares: list[NDArray[Numbers]] = np.array_split(batch, self.size)
        return shares[self.rank]

    def fill(self, target: Tensor, tiles: int) -> Tensor:
        """Lengthen a share's targets by tiles that do not count to the largest share of ``tiles``.

        Parameters
        ----------
        target
            ``(n, h, w)`` uint8.
        tiles
            Tiles of the whole batch.
        """
        missing = -(-tiles // self.size) - len(target)
        return torch.nn.functional.pad(target, (0, 0, 0, 0, 0, missing), value=UNKNOWN) if missing else target

    def together(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Put the shares of all processes together, so that loss and counts are those of the whole batch.

        The gradient of a loss of the result, times ``size`` for the averaging over processes, is that of one
        process with the whole batch.

        Parameters
        ----------
        logits
            ``(n, 1, h, w)`` of this share.
        target
            ``(m, h, w)`` as :meth:`fill` returned it, ``m >= n``.

        Returns
        -------
        tuple of torch.Tensor
            ``(size * m, 1, h, w)``, only this share with a gradient, and ``(size * m, h, w)``.
        """
        if self.size == 1:
            return logits, target
        missing = len(target) - len(logits)
        own = torch.nn.functional.pad(logits.float(), (0, 0, 0, 0, 0, 0, 0, missing)).contiguous()
        shares, targets = ([torch.empty_like(one) for _ in range(self.size)] for one in (own, target.contiguous()))
        dist.all_gather(shares, own.detach())
        dist.all_gather(targets, target.contiguous())
        shares[self.rank] = own
        return torch.cat(shares), torch.cat(targets)

    def agree(self, numbers: Tensor) -> Tensor:
        """Return the first process's numbers in all."""
        if self.size > 1:
            dist.broadcast(numbers, 0)
        return numbers


ALONE = World()
"""The only process of a training."""
