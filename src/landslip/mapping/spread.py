"""One huge scene over many workers: bands of rows are the jobs, their parts are left in the client's output.

Workers read the run and the scene by path and write into the ``.partial`` folder of the map, under the lock that
the client holds. Only names, settings and the number of the band pass through the scheduler.
"""

from __future__ import annotations

import functools
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslip.bundle import MODEL, Bundle, run_name
from landslip.cluster import Cluster, Job, run_all
from landslip.errors import ConfigError, InputError, RemoteError
from landslip.files import read_complete, sha256
from landslip.files.places import absolute
from landslip.mapping.config import PredictConfig
from landslip.mapping.prepare import Prepared, member_of, prepare
from landslip.mapping.probability.network import Member, computes_with
from landslip.mapping.probability.parts import Parts, write_apart
from landslip.mapping.probability.predict import join, predict_apart
from landslip.progress import SILENT, Progress
from landslip.scene.store import Scene

RETRIES = 5
"""How often a band or scene is begun anew whose worker died: deaths are no fault of theirs, unless they repeat."""

RunFolders = tuple[tuple[str, str], ...]
"""Folders of runs, each with the checksum of what describes it, so that a worker sees when a run was changed."""


@dataclass(frozen=True)
class Workers:
    """Who predicts, and with which runs.

    Parameters
    ----------
    cluster
        The workers.
    runs
        The ensemble, as :func:`run_folders` gives it.
    """

    cluster: Cluster
    runs: RunFolders

    def computing(self, config: PredictConfig) -> tuple[str, str]:
        """Ask the workers which kind of device and which precision the settings come to.

        Raises
        ------
        ConfigError
            The device is not there; workers differ.
        """
        found = self.cluster.on_all_workers(_computing, config.to_dict())
        first = next(iter(found))
        for worker, (said, reason) in found.items():
            if said is None:
                message = f"{worker}: {reason}"
                raise ConfigError(message)
            if said != found[first][0]:
                message = (
                    f"workers would compute differently: {first} with {' '.join(found[first][0])}, {worker} with "
                    f"{' '.join(said)}; give --device and --precision"
                )
                raise ConfigError(message)
        kind, precision = found[first][0]
        return str(kind), str(precision)


def _computing(config: dict[str, Any]) -> tuple[tuple[str, str] | None, str]:
    try:
        return computes_with(PredictConfig.from_dict(config)), ""
    except ConfigError as error:
        return None, str(error)


def run_folders(folders: list[Path]) -> RunFolders:
    """Name runs so that workers find them.

    Raises
    ------
    MissingInputError, FormatError
        A folder is not there, or holds no finished run.
    """
    for folder in folders:
        read_complete(folder, MODEL, what="run")
    return tuple((absolute(folder), sha256(folder / MODEL)) for folder in folders)


@functools.lru_cache(maxsize=1)
def members_of(runs: RunFolders) -> tuple[Member, ...]:
    """Load an ensemble; a worker keeps the last one.

    Raises
    ------
    InputError
        A run is not the one that the client saw.
    LandslipError
        A run cannot be loaded.
    """
    members = []
    for folder, checksum in runs:
        bundle = Bundle.load(folder)
        if sha256(Path(folder) / MODEL) != checksum:
            message = f"{folder}: the worker on {platform.node()} finds another run there; share one file system"
            raise InputError(message)
        members.append(member_of(bundle, run_name(folder), folder))
    return tuple(members)


def spread_bands(ready: Prepared, parts: Parts, workers: Workers, *, progress: Progress = SILENT) -> None:
    """Predict the bands that are not done yet on workers, and keep each as a part.

    Raises
    ------
    RemoteError
        The scheduler was lost; a band failed on its worker.
    OutputError
        A part cannot be written.
    """
    prediction = ready.prediction
    bands = prediction.plan.bands
    done = join(prediction, parts, parts.done(bands))
    order = (
        workers.runs, absolute(ready.scene.path), json.dumps(prediction.config.to_dict()),
        json.dumps(ready.identity()), absolute(parts.folder), parts.token,
    )  # fmt: skip
    left = [band for band in bands[done:] if not parts.has_apart(band)]
    jobs = (Job(f"band {band.number + 1} of {len(bands)}", (*order, band.number)) for band in left)
    for outcome in run_all(
        workers.cluster, _predict_one, jobs,
        retries=RETRIES, label="predict", total=len(left), remarks=False, progress=progress,
    ):  # fmt: skip
        if outcome.failed:
            message = f"{ready.scene.path}: {outcome.job.name} failed: {outcome.reason}"
            raise RemoteError(message)
        done = join(prediction, parts, done)


def _predict_one(runs: RunFolders, scene: str, config: str, identity: str, work: str, token: str, number: int) -> None:
    """Predict one band on a worker."""
    ready = _ready(runs, scene, config, identity, work)
    band = ready.prediction.plan.bands[number]
    write_apart(Path(work), token, number, predict_apart(ready.prediction, band))


@functools.lru_cache(maxsize=1)
def _ready(runs: RunFolders, scene: str, config: str, identity: str, work: str) -> Prepared:
    """Set up a prediction; a worker keeps the last one, since the next band is most often of the same scene."""
    settings = PredictConfig.from_dict(json.loads(config))
    prepared = prepare(members_of(runs), Scene.open(scene), settings)
    wanted, found = json.loads(identity), json.loads(json.dumps(prepared.identity()))
    for key, value in wanted.items():
        if found.get(key) != value:
            message = (
                f"the worker on {platform.node()} sees another {key} than the command; workers must find the same "
                "files under the same paths, and compute alike"
            )
            raise InputError(message)
    return prepared.with_objects(Path(work))
