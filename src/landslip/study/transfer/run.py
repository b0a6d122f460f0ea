"""Does the runs of a transfer matrix, here or on a cluster, and puts the matrix together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.cluster import Cluster
from landslip.progress import Progress
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.parallel import Work, indices, make_runs
from landslip.study.runs import Run, execute
from landslip.study.sources import Source
from landslip.study.transfer.matrix import Record, matrix
from landslip.study.transfer.places import Place, make_places, rows_that_travel
from landslip.study.transfer.runs import continuations, runs_at
from landslip.study.transfer.warning import warning_against_drop
from landslip.wording import counted


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
    chosen = rows_that_travel(config, rows)
    places = make_places(source, base, rows, config, folder, progress)
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
            entries.append(matrix(row, places, records, folder, config, "as it is"))
            if tuned:
                title = f"after fine-tuning on {counted(config.transfer_tiles, 'tile')} of the target"
                tuned_entries.append(matrix(row, places, tuned, folder, config, title))
    for entry in entries:
        entry["warning"] = warning_against_drop(entry)
    return entries + tuned_entries


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
    for target, again, keep in continuations(run, place, places, config, folder):
        record = execute(again, place.tiles, folder, place.tiles_id, keep=keep, progress=progress)
        tuned.setdefault((place.region, target.region), []).append(record)


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
            for _, again, keep in continuations(run, place, places, config, folder)
        ]
        make_runs(cluster, works, folder, progress)


def _work(place: Place, run: Run, keep: NDArray[np.bool_]) -> Work:
    return Work(run, f"tiles-from{place.region}.npz", place.tiles_id, indices(keep))
