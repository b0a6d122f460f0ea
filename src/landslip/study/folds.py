"""The folds of a study: which part of the data each tests, and how its files are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landslip.splits import SplitConfig
from landslip.study.config import StudyConfig
from landslip.study.sources import Source


@dataclass(frozen=True)
class Fold:
    """One split of the data: its name, its settings, and what is tested in words."""

    name: str
    split: SplitConfig
    words: str
    only: int | None = None
    """Fit the layers on this region's training pixels alone (for transfer)."""


def plan_folds(config: StudyConfig, source: Source | None) -> tuple[Fold, ...]:
    """Name the folds of a study: one, or one for each stripe or region."""
    split = config.split
    if config.data.kind == "tiles":
        return (Fold("main", split, "the test part that the tiles bring"),)
    if config.leave_one_region_out and source is not None:
        return tuple(
            Fold(f"region{value}", split.model_copy(update={"test_regions": (value,)}), f"region {value} as a whole")
            for value in regions_of(source)
        )
    if split.folds:
        return tuple(
            Fold(f"fold{k}", split.model_copy(update={"fold": k}), f"stripe {k + 1} of {split.folds}")
            for k in range(split.folds)
        )
    return (Fold("main", split, _test_in_words(config)),)


def regions_of(source: Source) -> tuple[int, ...]:
    """Name the regions of a patch set, or the numbers of the scenes."""
    if source.places is not None:
        return tuple(int(value) for value in np.unique(source.places.region))
    return tuple(area.region for area in source.areas)


def _test_in_words(config: StudyConfig) -> str:
    split = config.split
    if split.test_regions:
        return f"regions {', '.join(map(str, split.test_regions))} as a whole"
    if config.data.test_polygon is not None:
        return f"inside {config.data.test_polygon.name}"
    if split.design == "supplied":
        return "the split that came with the patches"
    return f"the {split.test_side}ern {100 * split.test_fraction:.0f} %"


def suffix(fold: Fold, folds: Sequence[Fold]) -> str:
    """Name a fold in the names of its files: nothing where it is the only one."""
    return "" if len(folds) == 1 else f"-{fold.name}"


def named(fold: Fold, where: str) -> str:
    """Put a fold's name before a place in a message."""
    return where if fold.name == "main" else f"{fold.name} ({fold.words}), {where}"
