"""Many scenes, one map each: on the workers of a cluster, or one after another in this process."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from landslip.cluster import Batch, Cluster, Job, collect, run_all
from landslip.errors import OutputError
from landslip.files import PARTIAL, locked
from landslip.files.places import absolute, address_of, is_file, shown
from landslip.mapping.config import MapConfig
from landslip.mapping.result import MAP_JSON, MapResult
from landslip.mapping.run import map_scene
from landslip.mapping.spread import RETRIES, RunFolders, members_of
from landslip.progress import SILENT, Progress
from landslip.scene.store import Scene


def map_scenes(
    runs: RunFolders,
    scenes: Mapping[str, Path],
    out: Path,
    config: MapConfig,
    *,
    resume: bool = False,
    cluster: Cluster | None = None,
    progress: Progress = SILENT,
) -> Batch:
    """Map scenes, each into the folder of its name in ``out``.

    A scene that fails is noted with its reason, and the others go on.

    Parameters
    ----------
    runs
        One run, or several as an ensemble (:func:`landslip.mapping.spread.run_folders`).
    scenes
        Name -> scene folder.
    out
        Held by this process until all is done.
    config
        All settings.
    resume
        Take finished maps as they are, and continue those that were begun.
    cluster
        Who works; None: this process, one scene after another.
    progress
        Shows the scenes.

    Raises
    ------
    OutputError
        Another process works on ``out``; a scene is mapped there already, and it is not to be resumed.
    RemoteError
        The scheduler was lost.
    """
    with _held(out) as on_disk:
        if not resume:
            _begin_anew([out / name for name in scenes])
        settings = config.to_dict()
        # On disk what was begun is gone now, so that whatever a job finds is of its own earlier attempt.
        jobs = [
            Job(name, (runs, absolute(scene), absolute(out / name), settings, resume or on_disk))
            for name, scene in scenes.items()
        ]
        function = _map_one if cluster else functools.partial(_map_one, progress=progress)
        return collect(
            jobs, run_all(cluster, function, jobs, retries=RETRIES, label="scenes", total=len(jobs), progress=progress)
        )


@contextlib.contextmanager
def _held(out: Path) -> Iterator[bool]:
    """Hold a folder on disk, and say that it is one; under an address each map is held by itself."""
    with contextlib.nullcontext() if address_of(out) else locked(out):
        yield address_of(out) is None


def _begin_anew(folders: list[Path]) -> None:
    for folder in folders:
        if is_file(folder / MAP_JSON):
            message = (
                f"{shown(folder)}: holds a finished map already; continue with --resume, choose another --out, "
                "or remove the folder"
            )
            raise OutputError(message)
    for folder in folders:
        if folder.is_dir():
            with locked(folder):
                shutil.rmtree(folder / PARTIAL, ignore_errors=True)


def _map_one(
    runs: RunFolders, scene: str, out: str, settings: dict[str, Any], resume: bool, *, progress: Progress = SILENT
) -> dict[str, Any]:
    """Map one scene."""
    config = MapConfig.from_dict(settings)
    return brief(map_scene(members_of(runs), Scene.open(scene), out, config, resume=resume, progress=progress))


def brief(result: MapResult) -> dict[str, Any]:
    """Return what is told of each of many maps; the rest stands in its ``map.json``."""
    content = result.content
    return {
        "scene": {"name": content["scene"]["name"]},
        "folder": shown(result.folder),
        "summary": result.summary,
        **{key: content[key] for key in ("threshold", "counts", "areas_m2")},
    }
