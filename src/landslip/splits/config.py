"""How an area is to be split, and the values that say which part a pixel or patch is in."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from landslip.config import Config

UNUSED, TRAIN, VALIDATION, TEST = 0, 1, 2, 3
"""Values of a part array; the same as :class:`landslip.data.tileset.Part`, which lies above this module."""

PART_NAMES = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}


class SplitConfig(Config):
    """How an area is split into training, validation and test.

    The test region is, in this order: whole ``test_regions``; one of ``folds`` stripes; the supplied one
    (``design = "supplied"``); else the ``test_side`` part of ``test_fraction``.
    """

    design: Literal["blocks", "random", "supplied"] = "blocks"
    """How validation is drawn from what is not test: ``blocks`` of tiles with a buffer; ``random`` tiles as in
    the paper, next to training tiles and therefore flattering; ``supplied`` with a patch set."""
    test_side: Literal["east", "west", "north", "south"] = "east"
    """Side of the area, or of each region of a patch set, that is the test region."""
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
    """Edge of a tile in pixels, a multiple of 32."""
    block_tiles: int = Field(2, ge=1)
    """Edge of a block in tiles: the unit in which validation is drawn and intervals are resampled."""
    buffer_px: int = Field(64, ge=0)
    """Unused pixels between parts (training gives them up); patch sets: rounded up to whole patches."""
    seed: int = Field(0, ge=0)
    """Of the draw of validation, and of ``limit`` in ``[data]``."""

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
