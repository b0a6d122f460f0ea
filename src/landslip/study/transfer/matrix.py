"""The entries of ``study.json`` on transfer: scores from every place to every other, and how unlike they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from landslip.data.tileset import Part, TileSet
from landslip.recipe import Recipe
from landslip.scoring import confusions_by_group
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.evaluate import outside_range
from landslip.study.predictions import PREDICTIONS, load_predictions
from landslip.study.statistics import Draws, row_estimates
from landslip.study.transfer.places import Place
from landslip.training import TrainConfig

Record = dict[str, Any]


def matrix(
    row: RowConfig,
    places: list[Place],
    records: dict[tuple[int, int], list[Record]],
    folder: Path,
    config: StudyConfig,
    title: str,
) -> Record:
    """Put the entry of one row together: F1, and the share of the target outside the training range, cell by cell."""
    f1: list[list[Record | None]] = []
    outside: list[list[float]] = []
    worst: list[list[Record]] = []
    blocks = {place.region: _test_blocks(place.tiles, place.region) for place in places}
    for place in places:
        chosen = place.tiles.select(row.layers)
        test = np.flatnonzero(chosen.part == Part.TEST)
        f1.append([])
        outside.append([])
        worst.append([])
        for target in places:
            here = test[chosen.region[test] == target.region]
            found = records.get((place.region, target.region))
            f1[-1].append(_f1(found, chosen, here, folder, config) if found else None)
            there = chosen.subset(here)
            shares = outside_range(there, _as_seen(chosen, row, config))
            outside[-1].append(float(np.mean(list(shares.values()))))
            layer = max(shares, key=lambda name: shares[name])
            worst[-1].append({"layer": layer, "share": float(shares[layer])})
    return {
        "row": row.name,
        "title": f"{row.label}, {title}",
        "places": [config.data.place(place.region) for place in places],
        "f1": f1,
        "seeds": len(config.seeds),
        "blocks": list(blocks.values()),
        "outside": outside,
        "worst": worst,
    }


def _as_seen(tiles: TileSet, row: RowConfig, config: StudyConfig) -> Recipe:
    """Return the recipe of tiles, matching images where the row's network does."""
    assert tiles.recipe is not None
    told = {name: value for name, value in {**config.train, **row.train}.items() if name == "match_images"}
    matched = row.model != "forest" and TrainConfig.from_dict(told).match_images
    return tiles.recipe.model_copy(update={"matched": matched})


def _test_blocks(tiles: TileSet, region: int) -> int:
    return len(np.unique(tiles.block[(tiles.region == region) & (tiles.part == Part.TEST)]))


def _f1(records: list[Record], tiles: TileSet, here: Any, folder: Path, config: StudyConfig) -> Record:  # noqa: ANN401
    """Pool a cell's runs over seeds; blocks of the target's test part and seeds are resampled together."""
    blocks = np.unique(tiles.block[here])
    counted = tiles.subset(here).counted()
    counts = np.zeros((len(records), len(blocks), 4), np.int64)
    for i, record in enumerate(records):
        index, probability = load_predictions(folder / record["folder"] / PREDICTIONS)
        place = {int(one): k for k, one in enumerate(index)}
        known = np.array([int(one) in place for one in here])
        mine = here[known]
        pred = probability[[place[int(one)] for one in mine]].astype(np.float64) >= 0.5
        groups, found = confusions_by_group(pred, tiles.label[mine] == 1, counted[known], tiles.block[mine])
        counts[i][np.searchsorted(blocks, groups)] += found
    draws = Draws.make(len(records), len(blocks), config.draws)
    return row_estimates(counts, draws)["f1"]
