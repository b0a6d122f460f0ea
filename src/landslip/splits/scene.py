"""The split of a scene, pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import SplitError
from landslip.splits.check import check_parts
from landslip.splits.config import TEST, TRAIN, UNUSED, SplitConfig
from landslip.splits.draw import best_draw
from landslip.splits.regions import check_stripes, dilated, tested_region


@dataclass(frozen=True)
class Split:
    """Split of a scene.

    Parameters
    ----------
    part
        ``(rows, cols)`` uint8: 0 unused, 1 train, 2 validation, 3 test.
    block
        ``(rows, cols)`` int32: tile-aligned spatial block, from 0.
    """

    part: NDArray[np.uint8]
    block: NDArray[np.int32]


def split_scene(
    usable: NDArray[np.bool_],
    config: SplitConfig | None = None,
    *,
    landslide: NDArray[Any] | None = None,
    test: NDArray[np.bool_] | None = None,
    check: bool = True,
) -> Split:
    """Split the pixels of a scene.

    Parameters
    ----------
    usable
        ``(rows, cols)``: valid pixels of known label; the others stay unused.
    config
        Settings.
    landslide
        ``(rows, cols)``, nonzero = landslide; keeps draws from leaving validation without landslides.
    test
        ``(rows, cols)``: the test region, when it is given (a polygon, a whole scene) instead of by side.
    check
        Refuse a split in which a part is empty or (with ``landslide``) has no landslide.

    Returns
    -------
    Split

    Raises
    ------
    SplitError
        No usable pixel; a part is empty or without landslide.
    """
    config = config or SplitConfig()
    if not usable.any():
        message = "no usable pixel to split: every pixel is invalid or outside the mapped extent; look at the inputs"
        raise SplitError(message)
    if config.design == "supplied":
        message = "split design 'supplied' is for patch sets that bring their own; use 'blocks' or 'random' for a scene"
        raise SplitError(message)
    block = _block_numbers(usable.shape, config.tile * config.block_tiles)
    if test is None:
        check_stripes([usable], config, least=config.tile // 2, unit="pixels")
    region = tested_region(usable, config) if test is None else test
    part = np.where(usable, np.uint8(TRAIN), np.uint8(UNUSED))
    part[usable & dilated(region, config.buffer_px)] = UNUSED
    part[usable & region] = TEST
    if (part == TRAIN).any():
        unit = block if config.design == "blocks" else _block_numbers(usable.shape, config.tile)
        buffer = config.buffer_px if config.design == "blocks" else 0
        part = best_draw(part, unit, landslide, config, lambda chosen: dilated(chosen, buffer))
    if check:
        check_parts(part, landslide)
    return Split(part, block)


def _block_numbers(shape: tuple[int, ...], edge: int) -> NDArray[np.int32]:
    across = math.ceil(shape[1] / edge)
    down = (np.arange(shape[0], dtype=np.int32) // edge) * across
    return np.asarray(down[:, None] + (np.arange(shape[1], dtype=np.int32) // edge)[None, :], dtype=np.int32)
