"""Refusing splits with which nothing can be learned or measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import SplitError
from landslip.splits.config import PART_NAMES


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
