"""Trained on one place, tested on every other: how far a model travels, with and without a few tiles of the target.

A place is a region of a patch set or a scene. All places are split alike; a model sees training and validation
tiles of its own place (layers are fitted on these alone) and is tested on every place's test part.
"""

from landslip.study.transfer.places import Place, check_places, check_split, layers_that_travel, rows_that_travel
from landslip.study.transfer.run import run_transfer
from landslip.study.transfer.runs import fine_tuning, runs_at, some_tiles

__all__ = [
    "Place",
    "check_places",
    "check_split",
    "fine_tuning",
    "layers_that_travel",
    "rows_that_travel",
    "run_transfer",
    "runs_at",
    "some_tiles",
]
