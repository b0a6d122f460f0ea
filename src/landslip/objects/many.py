"""``landslip segment`` over many scenes, one job each."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from landslip.cluster import Batch, Cluster, Job, collect, run_all
from landslip.errors import OutputError
from landslip.files import locked, read_json
from landslip.objects.command import Request, asked, record_path, run
from landslip.progress import SILENT, Progress
from landslip.scene.listing import scene_name

RETRIES = 5
"""How often a segmentation is begun anew whose worker died."""


def segment_scenes(
    request: Request,
    scenes: Mapping[str, Path],
    out: Path,
    suffix: str,
    *,
    cluster: Cluster | None = None,
    progress: Progress = SILENT,
) -> Batch:
    """Segment scenes, each into ``out`` under its name; one that fails is noted, and the others go on.

    Parameters
    ----------
    request
        The options, for all scenes. With ``resume`` what is finished is left as it is.
    scenes
        Name -> scene folder or raster.
    out
        Folder, held by this process until all is done.
    suffix
        ``.tif``, ``.gpkg`` or ``.parquet``.
    cluster
        Who works; None: this process, one scene after another.
    progress
        Shows the scenes.

    Raises
    ------
    OutputError
        Another process works on ``out``.
    RemoteError
        The scheduler was lost.
    """
    with locked(out) as folder:
        jobs = [
            Job(name, (replace(request, source=scene.absolute(), out=(folder / f"{name}{suffix}").absolute()),))
            for name, scene in scenes.items()
        ]
        function = _segment_one if cluster else functools.partial(_segment_one, progress=progress)
        return collect(
            jobs, run_all(cluster, function, jobs, retries=RETRIES, label="scenes", total=len(jobs), progress=progress)
        )


def _segment_one(request: Request, *, progress: Progress = SILENT) -> dict[str, Any]:
    content = _finished(request) if request.resume else None
    if content is None:
        content = run(request, progress=progress)
    told = {key: content[key] for key in ("scale", "layers", "objects")}
    summary = f"{told['objects']:,} objects at scale {told['scale']:g} of {', '.join(told['layers'])}"
    return {"scene": {"name": scene_name(request.source)}, "folder": str(request.out), "summary": summary, **told}


def _finished(request: Request) -> dict[str, Any] | None:
    record = record_path(request.out)
    if not (record.is_file() and request.out.is_file()):
        return None
    content = read_json(record, what="segmentation")
    if content.get("asked") != json.loads(json.dumps(asked(request))):
        message = f"{request.out}: made from another scene or with other options; choose another --out"
        raise OutputError(message)
    return content
