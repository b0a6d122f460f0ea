"""The runs of a transfer matrix: on each place, and those that go on from them on a few tiles of a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.folds import Fold
from landslip.study.runs import Run, plan_runs
from landslip.study.transfer.places import Place
from landslip.training import TrainConfig

FINE_TUNE_RATE = 0.1
"""Learning rate of fine-tuning, as a share of that of training."""

FINE_TUNE_EPOCHS = 0.2
"""Epochs, or updates where they are set, of fine-tuning, as a share of those of training."""


def runs_at(row: RowConfig, rows: tuple[RowConfig, ...], place: Place, config: StudyConfig) -> tuple[Run, ...]:
    """List the runs of a row on one place, one for each seed; ``rows`` hold the one that it is matched to."""
    fold = Fold(f"from{place.region}", config.split, "", only=place.region)
    own = place.tiles.subset((place.tiles.region == place.region) & (place.tiles.part != Part.TEST))
    together = tuple(one for one in rows if one.name in (row.name, row.matched_to))
    found = plan_runs(config, together, (fold, replace(fold, name="unused")), {fold.name: own, "unused": own})
    return tuple(run for run in found if run.row.name == row.name and run.fold.name == fold.name)


def continuations(
    run: Run, place: Place, places: list[Place], config: StudyConfig, folder: Path
) -> Iterator[tuple[Place, Run, NDArray[np.bool_]]]:
    """Name the runs that go on from a run's weights: the target of each, the run, and the tiles that it may know."""
    assert run.train is not None
    for target in places:
        if target.region == place.region:
            continue
        keep = some_tiles(place.tiles, target.region, config.transfer_tiles, run.seed)
        train = fine_tuning(run.train, str(folder.resolve() / run.folder))  # where a worker finds it too
        name = f"{run.folder}-to{target.region}"
        yield target, replace(run, folder=name, train=train, begins_from=run.folder), keep


def fine_tuning(train: TrainConfig, weights: str) -> TrainConfig:
    """Make the settings of fine-tuning from those of the training that it goes on from."""
    epochs = max(1, round(train.epochs * FINE_TUNE_EPOCHS))
    return train.model_copy(
        update={
            "weights": weights,
            "learning_rate": train.learning_rate * FINE_TUNE_RATE,
            "epochs": epochs,
            "steps": None if train.steps is None else max(epochs, round(train.steps * FINE_TUNE_EPOCHS)),
            "freeze_encoder": False,
        }
    )


def some_tiles(tiles: TileSet, region: int, count: int, seed: int) -> NDArray[np.bool_]:
    """Choose tiles of a target: training tiles and a third as many validation tiles, and its test part."""
    rng = np.random.default_rng([seed, region, 5])
    keep = (tiles.part == Part.TEST) & (tiles.region == region)
    has = ((tiles.label == 1) & tiles.valid()).any(axis=(1, 2))
    for part, wanted in ((Part.TRAIN, count), (Part.VALIDATION, max(2, count // 3))):
        there = np.flatnonzero((tiles.region == region) & (tiles.part == part))
        first = np.flatnonzero(has[there])[:1]  # at least one with a landslide, or nothing can be learned
        order = np.concatenate([there[first], rng.permutation(np.delete(there, first))])
        keep[order[:wanted]] = True
    return np.asarray(keep, np.bool_)
