"""The split of a patch set, patch by patch, by their places in the grid of their region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import SplitError
from landslip.splits.check import check_parts
from landslip.splits.config import TEST, TRAIN, UNUSED, VALIDATION, SplitConfig
from landslip.splits.draw import best_draw
from landslip.splits.regions import check_stripes, dilated, tested_region


@dataclass(frozen=True)
class PatchSplit:
    """Split of a patch set: ``part`` and ``block``, one value per patch."""

    part: NDArray[np.uint8]
    block: NDArray[np.int32]


def split_patches(
    row: NDArray[Any],
    col: NDArray[Any],
    region: NDArray[Any],
    config: SplitConfig | None = None,
    *,
    supplied: NDArray[Any] | None = None,
    landslide: NDArray[Any] | None = None,
    check: bool = True,
) -> PatchSplit:
    """Split a patch set whose patches have a place in the grid of their region.

    Parameters
    ----------
    row, col, region
        ``(n,)`` whole numbers. Neighbours in a region's grid are neighbours on the ground; regions are apart.
    config
        Settings. In each region the test side (or fold) is cut off at a column or row of patches.
    supplied
        ``(n,)`` the words ``train``, ``validation``, ``test``, for ``design = "supplied"``. Without ``test``
        the supplied validation patches are what is tested, and validation is drawn from the training patches,
        so that no threshold or checkpoint is chosen on patches that are scored. No buffer is put in.
    landslide
        ``(n,)``: landslide pixels in each patch.
    check
        Refuse a split in which a part is empty or (with ``landslide``) has no landslide.

    Raises
    ------
    SplitError
        No patch; a part is empty or without landslide; unknown words in ``supplied``.
    """
    config = config or SplitConfig()
    row, col, region = (np.asarray(values, np.int64) for values in (row, col, region))
    if not len(row):
        message = "no patch to split; look at the patch set and the regions chosen"
        raise SplitError(message)
    block = _patch_blocks(row, col, region, config.block_tiles)
    buffer = 0 if config.design == "supplied" else math.ceil(config.buffer_px / config.tile)
    part = np.full(len(row), TRAIN, np.uint8)
    if config.design == "supplied":
        given = _supplied_parts(supplied, len(row))
        if (given == VALIDATION).any():
            if check:
                check_parts(given, landslide)
            return PatchSplit(given, block)
        test = given == TEST
    else:
        test = _test_patches(row, col, region, config)
    part[_near(test, row, col, region, buffer)] = UNUSED
    part[test] = TEST
    if (part == TRAIN).any():
        by_tile = config.design != "blocks"
        unit = np.arange(len(row), dtype=np.int32) if by_tile else block
        ring = 0 if by_tile else buffer
        part = best_draw(part, unit, landslide, config, lambda chosen: _near(chosen, row, col, region, ring))
    if check:
        check_parts(part, landslide)
    return PatchSplit(part, block)


def _test_patches(
    row: NDArray[np.int64], col: NDArray[np.int64], region: NDArray[np.int64], config: SplitConfig
) -> NDArray[np.bool_]:
    if config.test_regions:
        there = set(np.unique(region).tolist())
        absent = [value for value in config.test_regions if value not in there]
        if absent:
            message = f"test region {absent[0]} is not in the data; there are: {', '.join(map(str, sorted(there)))}"
            raise SplitError(message)
        return np.isin(region, config.test_regions)
    test = np.zeros(len(row), np.bool_)
    grids = []
    for value in np.unique(region):
        inside = np.flatnonzero(region == value)
        r, c = row[inside] - row[inside].min(), col[inside] - col[inside].min()
        grid = np.zeros((int(r.max()) + 1, int(c.max()) + 1), np.bool_)
        grid[r, c] = True
        grids.append(grid)
        test[inside] = tested_region(grid, config)[r, c]
    check_stripes(grids, config, least=1, unit="rows or columns of patches")
    return test


def _supplied_parts(supplied: NDArray[Any] | None, n: int) -> NDArray[np.uint8]:
    if supplied is None or len(supplied) != n:
        message = "the patch set brings no split of its own; use design = 'blocks' or 'random'"
        raise SplitError(message)
    words = np.char.lower(np.asarray(supplied).astype(str))
    known = {"train": TRAIN, "training": TRAIN, "validation": VALIDATION, "val": VALIDATION, "test": TEST}
    unknown = sorted(set(words.tolist()) - set(known))
    if unknown:
        message = f"supplied split has the word {unknown[0]!r}; known are train, validation, test"
        raise SplitError(message)
    part = np.array([known[word] for word in words.tolist()], np.uint8)
    if not (part == TEST).any():
        part[part == VALIDATION] = TEST
    return part


def _patch_blocks(
    row: NDArray[np.int64], col: NDArray[np.int64], region: NDArray[np.int64], edge: int
) -> NDArray[np.int32]:
    keys = np.stack([region, row // edge, col // edge], axis=1)
    _, block = np.unique(keys, axis=0, return_inverse=True)
    return block.reshape(-1).astype(np.int32)


def _near(
    mask: NDArray[np.bool_],
    row: NDArray[np.int64],
    col: NDArray[np.int64],
    region: NDArray[np.int64],
    reach: int,
) -> NDArray[np.bool_]:
    """Mark the patches within ``reach`` patches of the marked ones, in the same region."""
    near = mask.copy()
    for value in np.unique(region[mask]):
        inside = np.flatnonzero(region == value)
        r, c = row[inside] - row[inside].min(), col[inside] - col[inside].min()
        grid = np.zeros((int(r.max()) + 1, int(c.max()) + 1), np.bool_)
        grid[r[mask[inside]], c[mask[inside]]] = True
        near[inside] |= dilated(grid, reach)[r, c]
    return near
