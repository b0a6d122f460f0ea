"""Trained on one place, tested on every other: how far a model travels, with and without a few tiles of the target.

A place is a region of a patch set or a scene. All places are split alike; a model sees training and validation
tiles of its own place (layers are fitted on these alone) and is tested on every place's test part.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.cluster import Cluster
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, InputError
from landslip.files import sha256
from landslip.progress import Progress
from landslip.scoring import confusions_by_group
from landslip.splits import check_parts
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.evaluate import outside_range
from landslip.study.parallel import Work, indices, make_runs
from landslip.study.prepare import Fold, prepare, regions_of, split_of_patches, split_scenes
from landslip.study.runs import PREDICTIONS, Run, execute, load_predictions, plan_runs
from landslip.study.sources import Source
from landslip.study.statistics import Draws, row_estimates
from landslip.study.warning import warning_against_drop
from landslip.training import TrainConfig

log = logging.getLogger(__name__)

FINE_TUNE_RATE = 0.1
"""Learning rate of fine-tuning, as a share of that of training."""

FINE_TUNE_EPOCHS = 0.2
"""Epochs, or updates where they are set, of fine-tuning, as a share of those of training."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A place, the tiles whose layers were fitted on it, and their checksum."""

    region: int
    tiles: TileSet
    tiles_id: str

    def own(self) -> Any:  # noqa: ANN401 - a mask
        """Mask of its own training and validation tiles and of all places' test tiles."""
        return (self.tiles.region == self.region) | (self.tiles.part == Part.TEST)


def check_split(source: Source, base: tuple[str, ...], config: StudyConfig) -> None:
    """Refuse a split that leaves a place without landslides in a part, before anything is trained.

    Raises
    ------
    SplitError
        Which place, and what to change.
    """
    fold = Fold("main", config.split, "")
    if source.places is None:
        for area, scene in zip(source.areas, split_scenes(source, base, fold, config.data), strict=True):
            hits = (area.label == 1).ravel()
            check_parts(scene.part.ravel(), hits, where=f"transfer, {config.data.place(area.region)}")
        return
    patches, landslide = split_of_patches(source.areas[0], source.places, fold)
    for region in regions_of(source):
        here = source.places.region == region
        check_parts(patches.part[here], landslide[here], where=f"transfer, {config.data.place(region)}")


def check_places(source: Source) -> None:
    """Refuse a transfer matrix that says nothing.

    Raises
    ------
    ConfigError
        Only one place.
    InputError
        Two scenes overlap, so that a model would be tested where it was trained.
    """
    if len(regions_of(source)) < 2:
        message = "transfer needs at least two scenes, or a patch set with at least two regions"
        raise ConfigError(message)
    if source.places is not None:
        return
    from landslip.grid import Grid

    grids = [(area.about["path"], Grid.from_dict(area.about["grid"])) for area in source.areas if "grid" in area.about]
    for (name, one), (other_name, other) in itertools.combinations(grids, 2):
        if one.contains_bounds(other.bounds, other.crs):
            message = f"scenes {name} and {other_name} overlap: a model would be tested where it was trained; cut one"
            raise InputError(message)


def run_transfer(
    source: Source | None,
    base: tuple[str, ...],
    rows: tuple[RowConfig, ...],
    config: StudyConfig,
    folder: Path,
    progress: Progress,
    cluster: Cluster | None = None,
) -> list[Record]:
    """Do the runs of the transfer matrix and return the entries of ``study.json``.

    Parameters
    ----------
    source
        The pixels; None when the tiles of all places lie in ``folder`` already.
    base, rows
        As in the study; of the rows, those of ``config.transfer_rows``.
    config
        The study.
    folder
        Its folder.
    progress
        Who is told how far it is.
    cluster
        Where the runs are made, side by side; None: here, one after another.
    """
    chosen = tuple(row for row in rows if row.name in config.transfer_rows)
    if not chosen:
        message = f"transfer_rows names no row of the study; rows are: {', '.join(row.name for row in rows)}"
        raise ConfigError(message)
    partners = {row.matched_to for row in chosen}
    needed = tuple(row for row in rows if row in chosen or row.name in partners)
    places = _places(source, base, needed, config, folder, progress)
    _make_side_by_side(cluster, chosen, rows, places, config, folder, progress)
    entries, tuned_entries = [], []
    with progress.task("transfer", len(chosen) * len(places) * len(config.seeds)) as task:
        for row in chosen:
            records: dict[tuple[int, int], list[Record]] = {}
            tuned: dict[tuple[int, int], list[Record]] = {}
            for place in places:
                for run in runs_at(row, rows, place, config):
                    record = execute(run, place.tiles, folder, place.tiles_id, keep=place.own(), progress=progress)
                    for target in places:
                        records.setdefault((place.region, target.region), []).append(record)
                    if config.transfer_tiles and run.train is not None:
                        _fine_tune(run, place, places, config, folder, tuned, progress)
                    task.advance()
            entries.append(_matrix(row, places, records, folder, config, "as it is"))
            if tuned:
                title = f"after fine-tuning on {config.transfer_tiles} tiles of the target"
                tuned_entries.append(_matrix(row, places, tuned, folder, config, title))
    for entry in entries:
        entry["warning"] = warning_against_drop(entry)
    return entries + tuned_entries


def _places(
    source: Source | None,
    base: tuple[str, ...],
    rows: tuple[RowConfig, ...],
    config: StudyConfig,
    folder: Path,
    progress: Progress,
) -> list[Place]:
    layers = tuple(dict.fromkeys((*base, *(name for row in rows for name in row.layers))))
    places = []
    regions = regions_of(source) if source is not None else _regions_there(folder)
    with progress.task("layers of each place", len(regions)) as task:
        for region in regions:
            path = folder / f"tiles-from{region}.npz"
            if not path.is_file():
                if source is None:
                    message = f"{path}: is missing; begin the study anew with another --out"
                    raise ConfigError(message)
                fold = Fold(f"from{region}", config.split, f"trained on {region}", only=region)
                prepare(source, base, layers, fold, config).tiles.save(path)
            places.append(Place(region, TileSet.load(path), sha256(path)))
            task.advance()
    return places


def _regions_there(folder: Path) -> tuple[int, ...]:
    return tuple(sorted(int(path.stem.removeprefix("tiles-from")) for path in folder.glob("tiles-from*.npz")))


def runs_at(row: RowConfig, rows: tuple[RowConfig, ...], place: Place, config: StudyConfig) -> tuple[Run, ...]:
    """List the runs of a row on one place, one for each seed; ``rows`` hold the one that it is matched to."""
    fold = Fold(f"from{place.region}", config.split, "", only=place.region)
    own = place.tiles.subset((place.tiles.region == place.region) & (place.tiles.part != Part.TEST))
    together = tuple(one for one in rows if one.name in (row.name, row.matched_to))
    found = plan_runs(config, together, (fold, replace(fold, name="unused")), {fold.name: own, "unused": own})
    return tuple(run for run in found if run.row.name == row.name and run.fold.name == fold.name)


def _fine_tune(
    run: Run,
    place: Place,
    places: list[Place],
    config: StudyConfig,
    folder: Path,
    tuned: dict[tuple[int, int], list[Record]],
    progress: Progress,
) -> None:
    """Go on training from a run's weights on a few tiles of each other place, with the run's own statistics."""
    for target, again, keep in _again(run, place, places, config, folder):
        record = execute(again, place.tiles, folder, place.tiles_id, keep=keep, progress=progress)
        tuned.setdefault((place.region, target.region), []).append(record)


def _again(
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


def _make_side_by_side(
    cluster: Cluster | None,
    chosen: tuple[RowConfig, ...],
    rows: tuple[RowConfig, ...],
    places: list[Place],
    config: StudyConfig,
    folder: Path,
    progress: Progress,
) -> None:
    """Make the runs of the matrix on a cluster, then those that go on from them; here they are only read then."""
    if cluster is None:
        return
    first = [(place, run) for row in chosen for place in places for run in runs_at(row, rows, place, config)]
    works = [_work(place, run, place.own()) for place, run in first]
    make_runs(cluster, works, folder, progress)
    if config.transfer_tiles:
        works = [
            _work(place, again, keep)
            for place, run in first
            if run.train is not None
            for _, again, keep in _again(run, place, places, config, folder)
        ]
        make_runs(cluster, works, folder, progress)


def _work(place: Place, run: Run, keep: NDArray[np.bool_]) -> Work:
    return Work(run, f"tiles-from{place.region}.npz", place.tiles_id, indices(keep))


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


def some_tiles(tiles: TileSet, region: int, count: int, seed: int) -> Any:  # noqa: ANN401 - a mask
    """Choose tiles of a target: training tiles and a third as many validation tiles, and its test part."""
    rng = np.random.default_rng([seed, region, 5])
    keep = (tiles.part == Part.TEST) & (tiles.region == region)
    has = ((tiles.label == 1) & tiles.valid()).any(axis=(1, 2))
    for part, wanted in ((Part.TRAIN, count), (Part.VALIDATION, max(2, count // 3))):
        there = np.flatnonzero((tiles.region == region) & (tiles.part == part))
        first = np.flatnonzero(has[there])[:1]  # at least one with a landslide, or nothing can be learned
        order = np.concatenate([there[first], rng.permutation(np.delete(there, first))])
        keep[order[:wanted]] = True
    return keep


def _matrix(
    row: RowConfig,
    places: list[Place],
    records: dict[tuple[int, int], list[Record]],
    folder: Path,
    config: StudyConfig,
    title: str,
) -> Record:
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
            assert chosen.recipe is not None
            shares = outside_range(there, chosen.recipe)
            outside[-1].append(float(np.mean(list(shares.values()))))
            layer = max(shares, key=lambda name: shares[name])
            worst[-1].append({"layer": layer, "share": shares[layer]})
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
