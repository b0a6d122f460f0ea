"""Tiles as tensors, and which of them each update sees. No worker processes: everything is in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslip.data.augment import IDENTITY, Augment, Directional, augment, draw_elements, draw_scales, expansion
from landslip.data.draws import permutation
from landslip.data.matching import match_tiles
from landslip.data.tileset import UNKNOWN, TileSet
from landslip.layers.catalogue import follows_image_scale
from landslip.recipe import Recipe
from landslip.training.world import ALONE, World

Batch = tuple[Tensor, Tensor]
"""Standardised image ``(n, layers, h, w)`` float32 in channels-last memory, target ``(n, h, w)`` uint8."""

_SHARE_OF_GPU = 0.4
"""Of the free GPU memory that tiles may take; more stay on the host and travel batch by batch."""


class TileStore:
    """Tiles in physical units, from which batches for a network are made.

    Parameters
    ----------
    tiles
        In physical units.
    recipe
        With the statistics to standardise by.
    device
        Where batches are wanted; tiles are kept there too when they fit.
    directional
        Which layers are components of vectors, when tiles are to be turned.
    """

    def __init__(
        self, tiles: TileSet, recipe: Recipe, device: torch.device, directional: Directional | None = None
    ) -> None:
        self.device = device
        self.directional = directional or Directional()
        target = np.where(tiles.valid(), tiles.label, np.uint8(UNKNOWN))
        home = device if _fits(tiles.image.nbytes + target.nbytes, device) else torch.device("cpu")
        self.image = _shared(match_tiles(tiles.image, recipe)).to(home)
        self.target = torch.from_numpy(target).to(home)
        self.index = np.arange(len(tiles), dtype=np.int64)
        self.mean = torch.tensor(recipe.mean, dtype=torch.float32, device=device)[:, None, None]
        self.std = torch.tensor(recipe.std, dtype=torch.float32, device=device)[:, None, None]
        self.scaled = torch.tensor([follows_image_scale(name) for name in recipe.layers], device=device)

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.index)

    def of(self, which: NDArray[np.bool_]) -> TileStore:
        """Return some of the tiles, in the same memory."""
        part = copy.copy(self)
        part.index = self.index[which]
        return part

    def batch(
        self,
        index: NDArray[np.int64],
        elements: NDArray[np.int64] | None = None,
        scales: NDArray[np.float32] | None = None,
    ) -> Batch:
        """Gather tiles, turn each by its element, multiply its image layers by its scale, and standardise.

        Turning comes before standardising, since components of vectors turn in physical units.
        """
        home = self.image.device
        # by element, so that those turned alike lie together: whole slices are quick to turn
        order = np.argsort(np.zeros(len(index)) if elements is None else elements, kind="stable")
        where = torch.from_numpy(self.index[index[order]]).to(home)
        image, target = self.image.index_select(0, where), self.target.index_select(0, where)
        if elements is not None:
            kinds, begins = np.unique(elements[order], return_index=True)
            for element, begin, end in zip(kinds, begins, [*begins[1:], len(index)], strict=True):
                if element != IDENTITY:
                    turned = augment(image[begin:end], target[begin:end], int(element), self.directional)
                    image[begin:end], target[begin:end] = turned
            back = torch.from_numpy(np.argsort(order)).to(home)
            image, target = image.index_select(0, back), target.index_select(0, back)
        if home.type == "cpu" and self.device.type == "cuda":
            image, target = image.pin_memory(), target.pin_memory()  # else the copy would be waited for
        image = image.to(self.device, non_blocking=True)
        if scales is not None:
            factors = torch.from_numpy(scales).to(self.device)[:, None]
            image.mul_(torch.where(self.scaled, factors, torch.ones_like(factors))[:, :, None, None])
        image = image.sub_(self.mean).div_(self.std)
        torch.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0, out=image)
        return image.contiguous(memory_format=torch.channels_last), target.to(self.device, non_blocking=True)

    def targets(self) -> Tensor:
        """``(n, h, w)`` uint8 on the host: 0, 1, and 255 where a pixel does not count."""
        return self.target[torch.from_numpy(self.index).to(self.target.device)].cpu()

    def sequential(self, batch: int, element: int = IDENTITY) -> Iterator[Batch]:
        """Go through all tiles in order, each turned by an element, in batches of nearly equal size."""
        for index in split_evenly(np.arange(len(self), dtype=np.int64), batch):
            yield self.batch(index, None if element == IDENTITY else np.full(len(index), element, np.int64))


Draws = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32] | None]
"""Of an update: tiles, the element that each is turned by, the factor that its image is multiplied by."""


@dataclass(frozen=True)
class Plan:
    """Which tiles, turned how, each update sees: a function of (seed, pass, tile) alone.

    Training goes through pass after pass over the tiles, each in an order of its own; an epoch is an equal
    share of all updates.

    Parameters
    ----------
    key
        ``(n,)`` numbers of the tiles.
    augment
        Kind of augmentation; ``paper5`` and ``six`` multiply the tiles of a pass.
    batch
        Tiles per update, at most.
    seed
        Of the draws.
    epochs, steps
        Shares, and updates in all; without ``steps`` an epoch is one pass.
    random_scale
        Largest factor that an image is multiplied or divided by; 1 for none.
    """

    key: NDArray[np.int64]
    augment: Augment
    batch: int
    seed: int
    epochs: int
    steps: int | None = None
    random_scale: float = 1.0

    @property
    def updates_per_pass(self) -> int:
        """Number of batches in one pass."""
        return -(-len(self.key) * len(expansion(self.augment)) // self.batch)

    @property
    def smallest(self) -> int:
        """Number of tiles in the smallest batch."""
        return len(self.key) * len(expansion(self.augment)) // self.updates_per_pass

    @property
    def updates(self) -> int:
        """Number of batches in all."""
        return self.steps or self.epochs * self.updates_per_pass

    def first_update(self, epoch: int) -> int:
        """Return the first update of an epoch; for ``epochs``, the number of all."""
        return epoch * self.updates // self.epochs

    def of_epoch(self, epoch: int) -> Iterator[Draws]:
        """Yield tiles, elements and factors of each update of an epoch."""
        now, batches = -1, list[Draws]()
        for update in range(self.first_update(epoch), self.first_update(epoch + 1)):
            number, place = divmod(update, self.updates_per_pass)
            if number != now:
                now, batches = number, self._of_pass(number)
            yield batches[place]

    def _of_pass(self, number: int) -> list[Draws]:
        kinds = expansion(self.augment)
        tile = np.repeat(np.arange(len(self.key), dtype=np.int64), len(kinds))
        element = np.tile(np.array(kinds, np.int64), len(self.key))
        # tile numbers leave room: times 8 plus the element stays a distinct number
        order = permutation(self.seed, number, self.key[tile] * 8 + element)
        tile, element = tile[order], element[order]
        if self.augment == "d4":
            element = draw_elements(self.seed, number, self.key[tile])
        tiles, elements = split_evenly(tile, self.batch), split_evenly(element, self.batch)
        if self.random_scale == 1:
            return [(*one, None) for one in zip(tiles, elements, strict=True)]
        # a tile that appears several times in a pass, turned, gets a factor for each
        scale = draw_scales(self.seed, number, self.key[tile] * 8 + element, self.random_scale)
        return list(zip(tiles, elements, np.array_split(scale, len(tiles)), strict=True))


class EpochBatches:
    """What the training loop iterates over: the batches of the current epoch."""

    def __init__(self, store: TileStore, plan: Plan, current_epoch: Callable[[], int], world: World = ALONE) -> None:
        self._store, self._plan, self._current_epoch, self._world = store, plan, current_epoch, world

    def __iter__(self) -> Iterator[Batch]:
        """Yield this process's shares of the batches; which epoch it is, is asked when the first is wanted."""
        share = self._world.share
        for index, elements, scales in self._plan.of_epoch(self._current_epoch()):
            image, target = self._store.batch(share(index), share(elements), None if scales is None else share(scales))
            yield image, self._world.fill(target, len(index))


class SequentialBatches:
    """What validation iterates over: every tile once, in order, in one of the processes."""

    def __init__(self, store: TileStore, batch: int, world: World = ALONE) -> None:
        self._store, self._batch, self._world = store, batch, world

    def __iter__(self) -> Iterator[Batch]:
        """Yield this process's shares of the batches."""
        for index in split_evenly(np.arange(len(self._store), dtype=np.int64), self._batch):
            share = self._world.share(index)
            # networks want a tile to look at; where none is left for this process, one that does not count
            image, target = self._store.batch(share if len(share) else index[:1])
            yield image, self._world.fill(target[: len(share)], len(index))


def split_evenly(array: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
    """Divide into as few parts of at most ``batch`` as can be, of nearly equal size.

    Rather than a small rest: the batch statistics of one or two tiles would be poor.
    """
    return list(np.array_split(array, -(-len(array) // batch))) if len(array) else []


def _fits(size: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return device.type == "cpu"
    free, _total = torch.cuda.mem_get_info(device)
    return size < _SHARE_OF_GPU * free


def _shared(image: NDArray[np.float32]) -> Tensor:
    # no copy; torch wants writable memory even for what nobody writes to
    return torch.from_numpy(image if image.flags.writeable else image.copy())
