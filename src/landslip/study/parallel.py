"""Runs of a study side by side: each a job that names its tiles and leaves its own folder, on any worker.

What a job leaves is what the run would have left here, so that afterwards everything goes on as if the runs had been
made one after another.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.cluster import Cluster, Job, connect, run_all
from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, InputError
from landslip.files import sha256
from landslip.progress import SILENT, Progress
from landslip.study.predictions import SCORES
from landslip.study.runs import Run, execute
from landslip.wording import counted

_NAMED = 3
"""Failures that a message tells of in full."""


@dataclass(frozen=True)
class Work:
    """A run to be made, and where its tiles lie.

    Parameters
    ----------
    run
        The run.
    tiles
        Name of the tile set in the study folder.
    tiles_id
        Its checksum.
    keep
        Indices of the tiles that the run may know; None for all.
    """

    run: Run
    tiles: str
    tiles_id: str
    keep: tuple[int, ...] | None = None


@contextlib.contextmanager
def on_devices(numbers: Sequence[int]) -> Iterator[Cluster]:
    """Start one worker on this machine for each of these GPUs.

    Parameters
    ----------
    numbers
        Of the GPUs that this process may use, from 0.

    Raises
    ------
    ConfigError
        There are no such GPUs, or one is named twice.
    """
    import torch

    there = torch.cuda.device_count()
    if not there:
        message = "there is no GPU on this machine; for N processes on its processor give --dask local:N"
        raise ConfigError(message)
    wrong = [number for number in numbers if not 0 <= number < there]
    if wrong or len(set(numbers)) != len(numbers) or not numbers:
        message = f"devices {','.join(map(str, numbers))}: give different numbers of GPUs, from 0 to {there - 1}"
        raise ConfigError(message)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = before.split(",") if before else [str(number) for number in range(there)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[number] for number in numbers)
    try:
        with connect(f"local:{len(numbers)}") as cluster:  # it gives each worker one of those in sight
            yield cluster
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def make_runs(cluster: Cluster | None, works: Sequence[Work], study: Path, progress: Progress) -> None:
    """Make those of the runs that are not finished, each on a worker; without a cluster do nothing.

    A run whose worker dies is begun again once, from its last epoch's end. One that fails does not stop the others.

    Raises
    ------
    ConfigError
        A run names a GPU: which one it gets is the worker's business.
    InputError
        Runs failed: which, and why. The others are finished.
    RemoteError
        The scheduler was lost.
    """
    left = [work for work in works if not (study / work.run.folder / SCORES).is_file()]
    if cluster is None or not left:
        return
    for work in left:
        train = work.run.train
        if train is not None and ":" in train.device:
            message = (
                f"row {work.run.row.name!r}: device = {train.device!r} is one GPU; workers bring their own: 'auto'"
            )
            raise ConfigError(message)
    jobs = [Job(work.run.folder.removeprefix("runs/"), (str(study.resolve()), work)) for work in left]
    failed = [
        f"{outcome.job.name}: {outcome.reason}"
        for outcome in run_all(cluster, make_run, jobs, label="runs", total=len(jobs), progress=progress)
        if outcome.failed
    ]
    if failed:
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        message = (
            f"{len(failed)} of {counted(len(jobs), 'run')} failed, the others are finished: "
            f"{'; '.join(failed[:_NAMED])}{more}; mend it and go on with --resume"
        )
        raise InputError(message)


def make_run(study: str, work: Work) -> None:
    """Make a run, or go on with it: the job of a worker.

    Parameters
    ----------
    study
        The study folder, which all workers see at this place.
    work
        The run.
    """
    folder = Path(study)
    tiles = _tiles(folder / work.tiles, work.tiles_id)
    keep = None if work.keep is None else _mask(work.keep, len(tiles))
    execute(work.run, tiles, folder, work.tiles_id, keep=keep, progress=SILENT)


@functools.lru_cache(maxsize=1)
def _tiles(path: Path, tiles_id: str) -> TileSet:
    # a worker makes one run after another, mostly on the same tiles
    if sha256(path) != tiles_id:
        message = f"{path}: not the tiles of the study as this worker sees it; let all see the same file system"
        raise ConfigError(message)
    return TileSet.load(path)


def indices(keep: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return a mask of tiles as numbers."""
    return tuple(int(one) for one in np.flatnonzero(keep))


def _mask(keep: tuple[int, ...], count: int) -> NDArray[Any]:
    mask = np.zeros(count, bool)
    mask[list(keep)] = True
    return mask
