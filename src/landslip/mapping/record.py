"""What a map says about itself: ``map.json`` (provenance, counts, areas), ``log.json`` (times, host), tags."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from landslip._version import __version__
from landslip.files import FORMAT, sha256, write_json
from landslip.files.places import absolute
from landslip.mapping.config import MapConfig
from landslip.mapping.landslides.find import Landslides
from landslip.mapping.prepare import Prepared, scene_identity
from landslip.mapping.result import LOG_JSON, MAP_JSON
from landslip.scene.store import Scene

_UNLISTED = (".lock", MAP_JSON, LOG_JSON)


def file_settings(config: MapConfig) -> dict[str, Any]:
    """Return the settings that decide about polygons and files, masks by name and checksum."""
    settings = {name: part for name, part in config.to_dict().items() if name != "predict"}
    masks = (("polygons", "objects"), ("filters", "water"), ("filters", "land_cover"), ("output", "catchments"))
    for part, name in masks:
        if settings[part][name] is not None:
            path = Path(settings[part][name])
            settings[part][name] = {"name": path.name, "checksum": sha256(path)}
    return settings


def raster_tags(prepared: Prepared, threshold: float) -> dict[str, str]:
    """Return the tags of ``probability.tif``: model, threshold, version, sources."""
    dates = prepared.scene.dates
    return {
        "MODEL": ", ".join(f"{member.name} ({member.checksum[:12]})" for member in prepared.members),
        "THRESHOLD": repr(threshold),
        "VERSION": f"landslip {__version__}",
        "SOURCES": "; ".join(f"{name}: {', '.join(days)}" for name, days in sorted(dates.items())) or "not recorded",
        "SCENE": str(scene_identity(prepared.scene)["checksum"]),
    }


def areas_of(scene: Scene, reasons: pd.DataFrame) -> dict[str, Any]:
    """Add up, in m², what was ``mapped`` and what was not (``unmapped``, by reason)."""
    by_reason = reasons.groupby("reason", sort=False)["area_m2"].sum()
    missing = {str(reason): float(area) for reason, area in by_reason.items()}
    whole = scene.grid.rows * scene.grid.cols * scene.grid.pixel_area_m2
    return {"mapped": whole - sum(missing.values()), "unmapped": missing}


def map_content(
    prepared: Prepared,
    config: MapConfig,
    threshold: float,
    found: Landslides,
    reasons: pd.DataFrame,
    outside: dict[str, float],
    folder: Path,
) -> dict[str, Any]:
    """Return what ``map.json`` says: nothing in it depends on when or where the map was made.

    Parameters
    ----------
    prepared, config, threshold
        Inputs and settings.
    found
        The landslides.
    reasons
        Table of unmapped ground.
    outside
        Share of pixels outside the training range, by layer.
    folder
        Its files are listed with their checksums.
    """
    scene = prepared.scene
    files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in _UNLISTED)
    return {
        "format": FORMAT,
        "version": __version__,
        "scene": {"name": scene.path.name, **scene_identity(scene), "dates": scene.dates, "grid": scene.grid.to_dict()},
        "models": [
            {
                "name": member.name,
                "checksum": member.checksum,
                "threshold": member.threshold,
                "layers": list(member.recipe.layers),
                "licence": member.licence,
                "architecture": member.architecture,
                "parameters": sum(weights.numel() for weights in member.network.parameters()),
                "statistics": {
                    name: {"mean": found.mean, "std": found.std} for name, found in member.recipe.statistics.items()
                },
            }
            for member in prepared.members
        ],
        "threshold": threshold,
        "scale": [source.scale for source in prepared.prediction.sources],
        "matching": [
            {name: {"factor": factor, "offset": offset} for name, (factor, offset) in source.matching.terms.items()}
            for source in prepared.prediction.sources
        ],
        "outside_training_range": {name: round(share, 4) for name, share in outside.items()},
        "settings": {"predict": config.predict.to_dict(), **file_settings(config)},
        "precision": prepared.prediction.forward.precision,
        "device": prepared.prediction.forward.device.type,
        "counts": found.counts,
        "areas_m2": {
            "landslides": found.counts["landslide_m2"],
            **areas_of(scene, reasons),
        },
        "files": {name: sha256(folder / name) for name in files},
    }


def write_log(folder: Path, prepared: Prepared, seconds: dict[str, float], workers: int = 0) -> None:
    """Write ``log.json``: what may differ from one run to the next of the same map; ``workers`` 0: none but this."""
    packages = ("torch", "numpy", "rasterio", "geopandas", "shapely", "pyproj", "numba")
    write_json(
        folder / LOG_JSON,
        {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": seconds,
            "inputs": {
                "scene": absolute(prepared.scene.path),
                "models": [member.location for member in prepared.members],
            },
            "windows": len(prepared.prediction.plan),
            "threads": torch.get_num_threads(),
            "workers": workers,
            "host": platform.platform(),
            "python": platform.python_version(),
            "packages": {name: installed(name) for name in packages},
        },
    )
