"""Lists of scenes to build (``landslip scene --batch jobs.toml``), one job each."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field

from landslip.cluster import Batch, Cluster, Job, collect, run_all
from landslip.config import Config, read_toml
from landslip.errors import ConfigError, OutputError
from landslip.files import read_json
from landslip.files.places import absolute, is_file, joined
from landslip.progress import SILENT, Progress
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.describe import describe_scene
from landslip.scene.listing import scene_name
from landslip.scene.provenance import input_paths, settings_of
from landslip.scene.store import LOG, SCENE_JSON, Scene

RETRIES = 5
"""How often a scene is begun anew whose worker died."""

_LISTS = ("images", "dem", "pre")
_FILES = ("inventory", "aoi", "out")


class SceneJob(SceneConfig):
    """A scene to build: its settings, and where it goes."""

    out: str = Field(min_length=1)
    """Folder of the scene."""

    def settings(self) -> SceneConfig:
        """Return the settings alone."""
        return SceneConfig.from_dict(self.model_dump(mode="json", exclude={"out"}))


class SceneBatch(Config):
    """Scenes to build.

    Paths in the file are relative to it.
    """

    defaults: dict[str, Any] = Field(default_factory=dict)
    """Settings for all scenes that do not have their own."""
    scene: tuple[SceneJob, ...] = Field(min_length=1)
    """The scenes."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SceneBatch:
        """Read a list of scenes, with the defaults put into each, and paths as seen from here.

        Raises
        ------
        MissingInputError, ConfigError
            There is no such file; it is not TOML, or not valid; two scenes go to one folder.
        """
        path = Path(path)
        content = read_toml(path)
        defaults, entries = content.get("defaults", {}), content.get("scene")
        if isinstance(entries, list) and isinstance(defaults, dict):
            content["scene"] = [
                _placed({**defaults, **entry}, path) if isinstance(entry, dict) else entry for entry in entries
            ]
        batch = cls.from_dict(content, where=os.fspath(path))
        taken: dict[str, int] = {}
        for number, job in enumerate(batch.scene, start=1):
            place = absolute(job.out)
            if place in taken:
                message = f"{path}: scenes {taken[place]} and {number} both go to {job.out}; give each its own 'out'"
                raise ConfigError(message)
            taken[place] = number
        return batch


def _placed(entry: dict[str, Any], list_: Path) -> dict[str, Any]:
    def place(text: Any) -> Any:  # noqa: ANN401 - what is not text is refused by the settings
        return absolute(joined(list_, text)) if isinstance(text, str) and text else text

    for key in _LISTS:
        if isinstance(entry.get(key), list):
            entry[key] = [place(text) for text in entry[key]]
    return entry | {key: place(entry[key]) for key in _FILES if key in entry}


def build_scenes(
    batch: SceneBatch, *, resume: bool = False, cluster: Cluster | None = None, progress: Progress = SILENT
) -> Batch:
    """Build scenes, each in its folder; one that fails is noted with its reason, and the others go on.

    Parameters
    ----------
    batch
        The scenes.
    resume
        Leave scenes as they are that were finished from the same inputs and settings; else all are built anew.
    cluster
        Who works; None: this process, one scene after another.
    progress
        Shows the scenes.

    Raises
    ------
    RemoteError
        The scheduler was lost.
    """
    jobs = [Job(job.out, (job.settings().to_dict(), job.out, resume)) for job in batch.scene]
    function = _build_one if cluster else functools.partial(_build_one, progress=progress)
    return collect(
        jobs, run_all(cluster, function, jobs, retries=RETRIES, label="scenes", total=len(jobs), progress=progress)
    )


def _build_one(settings: dict[str, Any], out: str, resume: bool, *, progress: Progress = SILENT) -> dict[str, Any]:
    config = SceneConfig.from_dict(settings)
    finished = _finished(config, Path(out)) if resume else None
    scene = finished or build_scene(config, out, progress=progress)
    content = describe_scene(scene, statistics=False)
    told = {key: content[key] for key in ("rows", "cols", "crs", "layers", "dates")}
    summary = f"{content['rows']} x {content['cols']} pixels, {', '.join(content['layers'])}"
    return {"scene": {"name": scene_name(Path(out))}, "folder": out, "summary": summary, **told}


def _finished(config: SceneConfig, out: Path) -> Scene | None:
    if not is_file(out / SCENE_JSON):
        return None
    scene = Scene.open(out)
    made = {"inputs": read_json(out / LOG, what="log").get("inputs"), "settings": scene.info.get("settings")}
    if made != json.loads(json.dumps({"inputs": input_paths(config), "settings": settings_of(config)})):
        message = f"{out}: holds a scene of other inputs or settings; give another 'out', or run without --resume"
        raise OutputError(message)
    return scene
