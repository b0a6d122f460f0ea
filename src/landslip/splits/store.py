"""Splits of scenes in a file, ``split.npz``: ``part_0``, ``block_0``, ``part_1`` … for each scene in turn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.files import atomic_path
from landslip.files.arrays import open_arrays
from landslip.files.places import nearby
from landslip.splits.scene import Split

SPLIT = "split.npz"
"""Name of the file in a run or study of one fold."""


def save_splits(path: str | os.PathLike[str], splits: Sequence[Split]) -> None:
    """Write the splits of scenes, the same bytes for the same splits."""
    arrays: dict[str, Any] = {}
    for i, split in enumerate(splits):
        arrays[f"part_{i}"], arrays[f"block_{i}"] = split.part, split.block
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_part(path: str | os.PathLike[str], scene: int) -> NDArray[np.uint8]:
    """Read the part of every pixel of one scene, ``(rows, cols)`` uint8: 0 unused, 1 train, 2 validation, 3 test.

    Raises
    ------
    FormatError
        The file is damaged, or knows nothing of this scene.
    """
    damaged = "the split is damaged, or of other scenes; make it again with the run"
    with nearby(path, what="split") as file, open_arrays(file, damaged) as content:
        return np.asarray(content[f"part_{scene}"], np.uint8)
