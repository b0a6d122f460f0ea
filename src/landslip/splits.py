"""Which pixel trains, validates or tests: contiguous test regions, buffered blocks, folds.

Splits are made first, on the bare grid, before any layer is computed. Every design has a contiguous test
region with a buffer around it; what differs is how validation is drawn from the rest. Labels are looked at
only to keep a part from being empty of landslides and to choose among equally good draws of validation
blocks; never to choose the test region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from landslip.config import Config
from landslip.errors import SplitError

UNUSED, TRAIN, VALIDATION, TEST = 0, 1, 2, 3
"""Values of a part array; the same as :class:`landslip.data.tileset.Part`, which lies above this module."""

PART_NAMES = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}

DRAWS = 64
"""Draws of validation blocks among which the best is taken."""


class SplitConfig(Config):
    """How an area is split into training, validation and test.

    The test region is, in this order: whole ``test_regions``; one of ``folds`` stripes; the supplied one
    (``design = "supplied"``); else the ``test_side`` part of ``test_fraction``.
    """

    design: Literal["blocks", "random", "supplied"] = "blocks"
    """How validation is drawn from what is not test: ``blocks`` of tiles with a buffer; ``random`` tiles as in
    the paper, next to training tiles and therefore flattering; ``supplied`` with a patch set."""
    test_side: Literal["east", "west", "north", "south"] = "east"
    test_fraction: float = Field(0.25, gt=0, lt=1)
    """Share of the usable pixels (or patches of each region) in the test region."""
    test_regions: tuple[int, ...] = ()
    """Regions of a patch set, or numbers of scenes (from 0), that are test as a whole."""
    folds: int = Field(0, ge=0)
    """Number of contiguous stripes for spatial cross-validation; 0 for a single test region."""
    fold: int = Field(0, ge=0)
    """Which stripe is test here; a study goes through all of them."""
    validation_fraction: float = Field(0.3, gt=0, lt=1)
    """Share of what is not test."""
    tile: int = Field(128, ge=32)
    """Edge of a tile in pixels."""
    block_tiles: int = Field(2, ge=1)
    """Edge of a block in tiles: the unit in which validation is drawn and intervals are resampled."""
    buffer_px: int = Field(64, ge=0)
    """Unused pixels between parts (training gives them up); patch sets: rounded up to whole patches."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tile % 32:
            message = f"tile size {self.tile} is not a multiple of 32; take {32 * max(1, round(self.tile / 32))}"
            raise ValueError(message)
        if self.folds == 1 or self.fold >= max(1, self.folds):
            message = f"folds = {self.folds}, fold = {self.fold}: give at least 2 folds, and fold below folds"
            raise ValueError(message)
        if self.folds and self.test_regions:
            message = "folds and test_regions exclude each other; choose one"
            raise ValueError(message)
        return self


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


@dataclass(frozen=True)
class PatchSplit:
    """Split of a patch set: ``part`` and ``block``, one value per patch."""

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
    region = _test_region(usable, config) if test is None else test
    part = np.where(usable, np.uint8(TRAIN), np.uint8(UNUSED))
    part[usable & _dilated(region, config.buffer_px)] = UNUSED
    part[usable & region] = TEST
    if (part == TRAIN).any():
        unit = block if config.design == "blocks" else _block_numbers(usable.shape, config.tile)
        buffer = config.buffer_px if config.design == "blocks" else 0
        part = _best_draw(part, unit, landslide, config, lambda chosen: _dilated(chosen, buffer))
    if check:
        check_parts(part, landslide)
    return Split(part, block)


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
        part = _best_draw(part, unit, landslide, config, lambda chosen: _near(chosen, row, col, region, ring))
    if check:
        check_parts(part, landslide)
    return PatchSplit(part, block)


def check_parts(part: NDArray[np.uint8], landslide: NDArray[Any] | None, *, where: str = "the data") -> None:
    """Refuse a split in which training, validation or test is empty or has no landslide.

    Raises
    ------
    SplitError
        Which part, and what to change.
    """
    for value, name in PART_NAMES.items():
        if not (part == value).any():
            message = (
                f"{where}: no {name} pixel is left by the split; lower buffer_px, block_tiles or test_fraction, "
                "or use a larger area"
            )
            raise SplitError(message)
        if landslide is not None and not np.any((landslide > 0) & (part == value)):
            message = (
                f"{where}: not a single landslide in the {name} part; choose another test_side, fold or seed, "
                "smaller blocks, or an area with landslides in it"
            )
            raise SplitError(message)


def _test_region(usable: NDArray[np.bool_], config: SplitConfig) -> NDArray[np.bool_]:
    per_col, per_row = usable.sum(axis=0), usable.sum(axis=1)
    if config.folds:
        along_cols = bool(np.count_nonzero(per_col) >= np.count_nonzero(per_row))
        stripe = _stripes(per_col if along_cols else per_row, config.folds) == config.fold
        return _across(stripe, usable.shape, along_cols)
    along_cols = config.test_side in ("east", "west")
    counts = per_col if along_cols else per_row
    from_far_end = config.test_side in ("east", "south")
    line = _far_end(counts if from_far_end else counts[::-1], config.test_fraction)
    if not from_far_end:
        line = line[::-1]
    return _across(line, usable.shape, along_cols)


def _across(line: NDArray[np.bool_], shape: tuple[int, ...], along_cols: bool) -> NDArray[np.bool_]:
    return np.array(np.broadcast_to(line[None, :] if along_cols else line[:, None], shape), dtype=np.bool_)


def _far_end(counts: NDArray[Any], fraction: float) -> NDArray[np.bool_]:
    """Return the fewest lines from the end that hold ``fraction`` of the total."""
    share = np.cumsum(counts[::-1])[::-1] / counts.sum()
    start = int(np.flatnonzero(share >= fraction)[-1])
    return np.asarray(np.arange(len(counts)) >= start, dtype=np.bool_)


def _stripes(counts: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """Give every line the number of its stripe, so that every stripe holds about the same share."""
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.asarray(np.minimum(middle * folds, folds - 1), dtype=np.int64)


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
    for value in np.unique(region):
        inside = np.flatnonzero(region == value)
        r, c = row[inside] - row[inside].min(), col[inside] - col[inside].min()
        grid = np.zeros((int(r.max()) + 1, int(c.max()) + 1), np.bool_)
        grid[r, c] = True
        test[inside] = _test_region(grid, config)[r, c]
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


def _best_draw(
    part: NDArray[np.uint8],
    unit: NDArray[np.int32],
    landslide: NDArray[Any] | None,
    config: SplitConfig,
    grown: Any,  # noqa: ANN401 - a function from a mask to the mask with its surroundings
) -> NDArray[np.uint8]:
    """Draw validation units from the training part; of several draws keep the one that serves best.

    Best: validation nearest to its share of pixels and of landslides, least training lost to the buffer.
    """
    rng = np.random.default_rng(config.seed)
    free = part == TRAIN
    size = np.bincount(unit[free])
    hits = np.zeros(len(size)) if landslide is None else np.bincount(unit[free & (landslide > 0)], minlength=len(size))
    there = np.flatnonzero(size)
    best, best_cost = part, math.inf
    for _ in range(DRAWS if config.design == "blocks" else 1):
        order = rng.permutation(there)
        until = int(np.argmin(np.abs(np.cumsum(size[order]) / size.sum() - config.validation_fraction))) + 1
        chosen = np.isin(unit, order[:until]) & free
        lost = grown(chosen) & free & ~chosen
        left = free & ~chosen & ~lost
        cost = abs(chosen.sum() / size.sum() - config.validation_fraction) + lost.sum() / size.sum()
        if landslide is not None:
            in_validation, in_training = hits[order[:until]].sum(), np.count_nonzero(left & (landslide > 0))
            cost += abs(in_validation / max(1.0, hits.sum()) - config.validation_fraction)
            cost += 10.0 * (in_validation == 0) + 10.0 * (in_training == 0)
        if cost + 10.0 * (not left.any()) < best_cost:
            best_cost = cost + 10.0 * (not left.any())
            best = part.copy()
            best[chosen], best[lost] = VALIDATION, UNUSED
    return best


def _block_numbers(shape: tuple[int, ...], edge: int) -> NDArray[np.int32]:
    across = math.ceil(shape[1] / edge)
    down = (np.arange(shape[0], dtype=np.int32) // edge) * across
    return np.asarray(down[:, None] + (np.arange(shape[1], dtype=np.int32) // edge)[None, :], dtype=np.int32)


def _patch_blocks(
    row: NDArray[np.int64], col: NDArray[np.int64], region: NDArray[np.int64], edge: int
) -> NDArray[np.int32]:
    keys = np.stack([region, row // edge, col // edge], axis=1)
    _, block = np.unique(keys, axis=0, return_inverse=True)
    return block.reshape(-1).astype(np.int32)


def _dilated(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Grow a mask by ``reach`` pixels in every direction, diagonals included."""
    grown = mask
    for axis in (0, 1):
        counts = np.cumsum(np.moveaxis(grown, axis, 0), axis=0, dtype=np.int32)
        n = counts.shape[0]
        upper = counts[np.minimum(np.arange(n) + reach, n - 1)]
        lower = np.concatenate([np.zeros((1, counts.shape[1]), np.int32), counts])[np.maximum(np.arange(n) - reach, 0)]
        grown = np.moveaxis(upper > lower, 0, axis)
    return grown


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
        near[inside] |= _dilated(grid, reach)[r, c]
    return near
