"""Which pixel trains, validates or tests: contiguous test regions, buffered blocks, folds.

Splits are made first, on the bare grid, before any layer is computed. Every design has a contiguous test
region with a buffer around it; what differs is how validation is drawn from the rest. Labels are looked at
only to keep a part from being empty of landslides and to choose among equally good draws of validation
blocks; never to choose the test region.
"""

from landslip.splits.check import check_parts
from landslip.splits.config import PART_NAMES, TEST, TRAIN, UNUSED, VALIDATION, SplitConfig
from landslip.splits.patches import PatchSplit, split_patches
from landslip.splits.scene import Split, split_scene
from landslip.splits.store import SPLIT, load_part, save_splits

__all__ = [
    "PART_NAMES",
    "SPLIT",
    "TEST",
    "TRAIN",
    "UNUSED",
    "VALIDATION",
    "PatchSplit",
    "Split",
    "SplitConfig",
    "check_parts",
    "load_part",
    "save_splits",
    "split_patches",
    "split_scene",
]
