"""Fetching a scene: the clearest images before and after an event, elevation, and nothing more than needed.

What is fetched lies in ``inputs/`` of the scene's folder, as STAC items with windows of their files, so
that the scene can be built again without the network. Run again after an interruption, the choice made
before is kept and only what is missing is fetched.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from landslip.errors import CoverageError, FormatError, InputError, MissingInputError
from landslip.files import FORMAT, PARTIAL, locked, read_json, write_json
from landslip.files.web import Http
from landslip.progress import SILENT, Progress
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.elevation import ElevationConfig
from landslip.scene.fetch.choose import Item, Pass, classes_of, clear_share, clearest, group_passes
from landslip.scene.fetch.cog import RemoteFile, with_remote
from landslip.scene.fetch.config import FetchConfig
from landslip.scene.fetch.jobs import Job, file_name, https_of, run_jobs
from landslip.scene.fetch.search import search_items
from landslip.scene.images.names import CLASSES, CORE
from landslip.scene.images.stac import assets_of, choose_assets
from landslip.scene.store import Scene
from landslip.wording import counted

log = logging.getLogger(__name__)

INPUTS = "inputs"
PLAN = "fetch.json"

DEM_MARGIN_DEG = 0.01
"""Elevation is fetched this much beyond the images."""


def fetch_scene(
    config: FetchConfig, out: str | os.PathLike[str], *, http: Http | None = None, progress: Progress = SILENT
) -> Scene:
    """Find, fetch and build a scene.

    Parameters
    ----------
    config
        Area, event and choices.
    out
        Folder of the scene.
    http
        Client, with its patience.
    progress
        Who is told how far it is.

    Raises
    ------
    RemoteError
        The catalogue or a file cannot be had, or is not what it should be.
    CoverageError
        No image in the period, none that sees the area, or no elevation.
    LandslipError
        As :func:`landslip.scene.build.build_scene`.
    """
    client = http or Http()
    inputs = Path(out) / INPUTS
    area = config.area()
    with locked(inputs):
        kept = inputs / PARTIAL
        plan = _known_plan(inputs / PLAN, config)
        if plan is None:
            plan = _Chooser(client, config, area, kept, progress).plan()
            write_json(inputs / PLAN, plan)
        images = {}
        for side in plan["sides"]:
            jobs, items = _image_jobs(inputs / side, plan[side], area, config.stac)
            run_jobs(client, jobs, kept, progress, f"images of {plan[side]['date']}")
            images[side] = _local_items(items)
        dem = list(config.dem) or _fetch_dem(client, config, inputs / "dem", images["post"], kept, progress)
        shutil.rmtree(kept, ignore_errors=True)
    settings = SceneConfig(
        images=tuple(map(str, images["post"])),
        pre=tuple(map(str, images.get("pre", ()))),
        dem=tuple(dem),
        inventory=config.inventory,
        aoi=config.aoi if config.inventory else None,
        resolution=config.resolution,
        elevation=ElevationConfig(allow_partial=config.allow_partial_dem),
    )
    return build_scene(settings, out, progress=progress)


def read_plan(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Return which images were chosen for a fetched scene, among which others, as JSON types."""
    plan = read_json(Path(out) / INPUTS / PLAN, what="choice of images")
    return {side: {k: v for k, v in plan[side].items() if k != "content"} for side in plan["sides"]}


class _Chooser:
    """Search and choice, recorded as a plan."""

    def __init__(self, http: Http, config: FetchConfig, area: BaseGeometry, kept: Path, progress: Progress) -> None:
        self._http, self._config, self._area, self._kept, self._progress = http, config, area, kept, progress

    def plan(self) -> dict[str, Any]:
        sides = ("post", "pre") if self._config.pre else ("post",)
        plan: dict[str, Any] = {"format": FORMAT, "config": self._config.to_dict(), "sides": list(sides)}
        for side in sides:
            looked = self._look(side)
            chosen = clearest(looked, self._config.event)
            self._judge(chosen, side)
            plan[side] = {
                **chosen.to_dict(),
                "considered": [found.to_dict() for found in looked],
                "content": list(chosen.items),
            }
        return plan

    def _look(self, side: str) -> list[Pass]:
        config = self._config
        period = config.period(side)
        items = search_items(self._http, config.stac, config.collection, self._area.bounds, period=period)
        passes = group_passes(items, self._area, config.max_cloud)[: config.candidates]
        when = f"{'after' if side == 'post' else 'before'} the event ({period[0]} to {period[1]})"
        if not passes:
            message = (
                f"{config.stac}: {counted(len(items), 'image')} of {config.collection} {when} over the area, none with "
                f"at most {config.max_cloud:g} % cloud; give more --days or a higher --max-cloud"
            )
            raise CoverageError(message)
        with self._progress.task(f"clouds {when.split(' (')[0]}", len(passes)) as task:
            looked = []
            for found in passes:
                looked.append(replace(found, clear=clear_share(found, self._area, self._classes_at)))
                task.advance(note=found.date.isoformat())
        return looked

    def _classes_at(self, item: Item, lon: Any, lat: Any) -> Any:  # noqa: ANN401 - arrays in, array or None out
        assets = {asset.band: asset for asset in assets_of(item, _base(item, self._config.stac))}
        if CLASSES not in assets:
            return None
        url = https_of(assets[CLASSES].path)
        remote = RemoteFile(self._http, url, self._kept, what=f"scene classification of {item.get('id')}")
        return with_remote(remote, url, lambda dataset: classes_of(dataset, lon, lat))

    def _judge(self, chosen: Pass, side: str) -> None:
        clear = chosen.clear or 0.0
        word = "after" if side == "post" else "before"
        if clear < 0.01:
            seen = f"shows {100 * clear:.0f} % of the area"
            message = (
                f"{self._config.stac}: the clearest image {word} the event ({chosen.date}) {seen}; give more --days"
            )
            raise CoverageError(message)
        if clear < 0.7:
            log.warning(
                "the clearest image %s the event (%s) shows %.0f %% of the area; more --days may find a clearer one",
                word,
                chosen.date,
                100 * clear,
            )


def _known_plan(path: Path, config: FetchConfig) -> dict[str, Any] | None:
    """Return the plan of an earlier run with the same settings; None where there is none, and room is made."""
    try:
        plan = read_json(path, what="choice of images")
    except (MissingInputError, FormatError):
        plan = {}
    if plan.get("format") == FORMAT and plan.get("config") == config.to_dict():
        log.info("%s: the choice of an earlier run is kept", path)
        return plan
    for name in ("post", "pre", "dem"):
        shutil.rmtree(path.parent / name, ignore_errors=True)
    return None


def _image_jobs(
    folder: Path, chosen: dict[str, Any], area: BaseGeometry, catalogue: str
) -> tuple[list[Job], list[tuple[Path, Item]]]:
    """Return what to fetch of a pass, and its local STAC items, each beside its files."""
    jobs: list[Job] = []
    items: list[tuple[Path, Item]] = []
    for item in chosen["content"]:
        name = file_name(item.get("id"))
        assets = choose_assets(assets_of(item, _base(item, catalogue)), CORE, where=str(item.get("id")))
        local = {key: value for key, value in item.items() if key != "links"} | {"assets": {}, "links": []}
        for band, asset in assets.items():
            target = folder / name / f"{file_name(asset.key)}.tif"
            what, size = f"{band} of {item.get('id')}", asset.content.get("file:size")
            jobs.append(Job(https_of(asset.path), target, what, size, area.bounds, snap=True))
            said = {k: v for k, v in asset.content.items() if not k.startswith(("proj:", "file:", "alternate"))}
            local["assets"][asset.key] = {**said, "href": f"./{target.name}"}
        items.append((folder / name / "item.json", local))
    return jobs, items


def _local_items(items: list[tuple[Path, Item]]) -> list[Path]:
    """Write the items whose windows were fetched; a granule may end before the area begins."""
    found = []
    for path, local in items:
        if path.parent.is_dir():
            write_json(path, local)
            found.append(path)
    if not found:
        message = (
            f"{items[0][0].parent}: no pixel of the chosen images lies in the area; give more --days or another area"
        )
        raise CoverageError(message)
    return found


def _base(item: Item, catalogue: str) -> str:
    """Address that an item's relative addresses start from."""
    for link in item.get("links") or ():
        if isinstance(link, dict) and link.get("rel") == "self" and str(link.get("href", "")).startswith("http"):
            return str(link["href"])
    return catalogue


def _fetch_dem(
    http: Http, config: FetchConfig, folder: Path, images: list[Path], kept: Path, progress: Progress
) -> list[str]:
    bounds = _union_bounds(images)
    items = search_items(http, config.stac, config.dem_collection, bounds)
    jobs = []
    for item in items:
        asset = _elevation_asset(item)
        name = file_name(item.get("id"))
        size = asset.get("file:size")
        jobs.append(Job(https_of(asset["href"]), folder / f"{name}.tif", f"elevation {name}", size, bounds, snap=False))
    if not jobs:
        message = (
            f"{config.stac}: no elevation tile of {config.dem_collection} for the area (open sea has none); "
            "give a model of your own with --dem"
        )
        raise CoverageError(message)
    run_jobs(http, jobs, kept, progress, "elevation")
    return [str(job.target) for job in jobs if job.target.is_file()]


def _elevation_asset(item: Item) -> dict[str, Any]:
    assets = item.get("assets") if isinstance(item.get("assets"), dict) else {}
    assert isinstance(assets, dict)  # for the type checker
    usable = {k: a for k, a in assets.items() if isinstance(a, dict) and isinstance(a.get("href"), str)}
    rasters = [a for k, a in usable.items() if k == "data" or "tif" in str(a.get("type"))]
    if not rasters:
        message = f"{item.get('id')}: the elevation tile has no GeoTIFF among its assets; give a model with --dem"
        raise InputError(message)
    return usable.get("data", rasters[0])


def _union_bounds(images: list[Path]) -> tuple[float, float, float, float]:
    """Bounds in degrees of what was fetched of the images, and a margin."""
    import rasterio

    boxes = []
    for item in images:
        for path in item.parent.glob("*.tif"):
            with rasterio.open(path) as dataset:
                to_degrees = Transformer.from_crs(dataset.crs, 4326, always_xy=True)
                left, bottom, right, top = dataset.bounds
                boxes.append(shapely.box(*to_degrees.transform_bounds(left, bottom, right, top, densify_pts=21)))
    west, south, east, north = shapely.union_all(boxes).bounds
    margin = DEM_MARGIN_DEG
    return west - margin, south - margin, east + margin, north + margin
