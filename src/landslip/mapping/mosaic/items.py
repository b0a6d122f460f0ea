"""Maps as a STAC item collection: where and when each is, what is in it, which model made it and how.

References
----------
STAC 1.1 (https://github.com/radiantearth/stac-spec); extensions Machine Learning Model 1.4, Processing 1.1,
Projection 2.0, File Info 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import shapely

from landslip.files.places import refer
from landslip.mapping.config import PredictConfig
from landslip.mapping.mosaic.finished import FinishedMap
from landslip.scene.store import SCENE_JSON

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("mlm/v1.4.0", "processing/v1.1.0", "projection/v2.0.0", "file/v2.1.0")
)

_KINDS: dict[str, tuple[str, str, str, str]] = {
    "probability.tif": (
        "probability", "Landslide probability", "image/tiff; application=geotiff; profile=cloud-optimized", "data",
    ),
    "landslides.gpkg": ("landslides", "Landslide polygons", "application/geopackage+sqlite3", "data"),
    "landslides.parquet": ("landslides-parquet", "Landslide polygons", "application/vnd.apache.parquet", "data"),
    "landslides.geojson": ("landslides-geojson", "Landslide polygons", "application/geo+json", "data"),
    "landslides.fgb": ("landslides-fgb", "Landslide polygons", "application/vnd.flatgeobuf", "data"),
    "density.tif": (
        "density", "Landslide density", "image/tiff; application=geotiff; profile=cloud-optimized", "data",
    ),
    "quicklook.png": ("quicklook", "Picture of the map", "image/png", "overview"),
    "map.html": ("page", "Map page", "text/html", "overview"),
}  # fmt: skip
"""File of a map -> asset key, title, media type, role."""


def item_collection(maps: Sequence[FinishedMap], folder: Path) -> dict[str, Any]:
    """Return a GeoJSON feature collection of one STAC item per map that has a date.

    Parameters
    ----------
    maps
        The maps, in order.
    folder
        Folder of the file that it will be written to; addresses are relative to it where they can be.
    """
    items = [item_of(one, folder) for one in maps if one.dates.get("post")]
    return {"type": "FeatureCollection", "features": items, "links": []}


def item_of(one: FinishedMap, folder: Path) -> dict[str, Any]:
    """Return the STAC item of a map."""
    outline, box = one.footprint_degrees()
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": one.name,
        "geometry": shapely.geometry.mapping(shapely.set_precision(outline, 1e-7)),
        "bbox": box,
        "properties": {
            **_dates(one.dates["post"]),
            "title": f"Landslides, {one.content['scene']['name']}",
            "bands": [{"name": name} for name in _layers(one)],
            **_model(one),
            **_processing(one),
            **_projection(one),
        },
        "links": [],
        "assets": _assets(one, folder),
    }


def _dates(days: Sequence[str]) -> dict[str, Any]:
    first, last = min(days), max(days)
    if first == last:
        return {"datetime": f"{first}T00:00:00Z"}
    return {"datetime": None, "start_datetime": f"{first}T00:00:00Z", "end_datetime": f"{last}T23:59:59Z"}


def _layers(one: FinishedMap) -> list[str]:
    return list(dict.fromkeys(name for model in one.content["models"] for name in model["layers"]))


def _model(one: FinishedMap) -> dict[str, Any]:
    """Fields of the Machine Learning Model extension: one input per member of an ensemble."""
    models, settings = one.content["models"], one.content["settings"]["predict"]
    names = [str(model["name"]) for model in models]
    architectures = list(dict.fromkeys(str(model.get("architecture") or "not recorded") for model in models))
    found: dict[str, Any] = {
        "mlm:name": _model_name(names),
        "mlm:architecture": ", ".join(architectures),
        "mlm:framework": "PyTorch",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:input": [_input(model, name, settings) for model, name in zip(models, names, strict=True)],
        "mlm:output": [
            {
                "name": "landslide probability",
                "tasks": ["semantic-segmentation"],
                "result": {
                    "shape": [-1, 1, settings["tile"], settings["tile"]],
                    "dim_order": ["batch", "channel", "height", "width"],
                    "data_type": "float32",
                },
                "description": "Probability of landslide per pixel, 0 to 1; NaN where an input is invalid.",
            }
        ],
        "mlm:accelerator": "cuda" if one.content.get("device") == "cuda" else None,
        "mlm:batch_size_suggestion": settings["batch"],
        "mlm:hyperparameters": {
            "threshold": one.threshold,
            **{key: settings[key] for key in PredictConfig.model_fields if key in ("tile", "overlap", "variants")},
            "precision": one.content.get("precision"),
        },
    }
    if all("parameters" in model for model in models):
        found["mlm:total_parameters"] = sum(int(model["parameters"]) for model in models)
    torch = re.match(r"\d+\.\d+\.\d+", str((one.log.get("packages") or {}).get("torch", "")))
    return found | ({"mlm:framework_version": torch[0]} if torch else {})


def _model_name(names: Sequence[str]) -> str:
    """Name a model within the letters that the extension allows."""
    text = names[0] if len(names) == 1 else f"ensemble of {' and '.join(names)}"
    text = re.sub(r"[^a-zA-Z0-9_.\- ]", "-", text).strip("-_. ")
    return text if re.match(r"[a-zA-Z].*[a-zA-Z0-9]", text) and len(text) > 2 else f"run {text or 'x'}"


def _input(model: dict[str, Any], name: str, settings: dict[str, Any]) -> dict[str, Any]:
    layers, statistics = model["layers"], model.get("statistics") or {}
    scaling = [
        {"type": "z-score", "mean": statistics[layer]["mean"], "stddev": statistics[layer]["std"]}
        for layer in layers
        if layer in statistics
    ]
    return {
        "name": name,
        "bands": list(layers),
        "input": {
            "shape": [-1, len(layers), settings["tile"], settings["tile"]],
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling if len(scaling) == len(layers) else None,
        "resize_type": None,
        "pre_processing_function": None,
    }


def _processing(one: FinishedMap) -> dict[str, Any]:
    days = {side: ", ".join(found) for side, found in sorted(one.dates.items())}
    images = "; ".join(f"{'after' if side == 'post' else 'before'} the event: {text}" for side, text in days.items())
    models = ", ".join(f"{model['name']} ({str(model['checksum'])[:12]})" for model in one.content["models"])
    packages = one.log.get("packages") or {}
    return {
        "processing:level": "L4",
        "processing:lineage": (
            f"Landslide probability predicted by {models} from images {images}; polygons where it is at least "
            f"{one.threshold:g}. Not checked in the field."
        ),
        "processing:software": {
            "landslip": str(one.content["version"]),
            **{name: str(packages[name]) for name in ("torch", "rasterio") if name in packages},
        },
    }


def _projection(one: FinishedMap) -> dict[str, Any]:
    grid = one.grid
    epsg = grid.crs.to_epsg()
    return {
        "proj:code": f"EPSG:{epsg}" if epsg else None,
        **({} if epsg else {"proj:wkt2": grid.crs.to_wkt()}),
        "proj:bbox": list(grid.bounds),
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform)[:6],
    }


def _assets(one: FinishedMap, folder: Path) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    for name, checksum in one.content["files"].items():
        if name not in _KINDS:
            continue
        key, title, media, role = _KINDS[name]
        assets[key] = {"href": _href(one.folder / name, folder), "title": title, "type": media, "roles": [role]}
        assets[key]["file:checksum"] = f"1220{checksum}"  # multihash: sha2-256, 32 bytes
    bands = [{"name": "landslide probability", "data_type": "float32", "nodata": "nan"}]
    if one.content["settings"]["predict"]["uncertainty"] != "none":
        bands.append(bands[0] | {"name": str(one.content["settings"]["predict"]["uncertainty"])})
    assets["probability"]["bands"] = bands
    assets["metadata"] = {
        "href": _href(one.folder / "map.json", folder),
        "title": "Provenance, settings, counts",
        "type": "application/json",
        "roles": ["metadata"],
    }
    return assets | _inputs(one, folder)


def _inputs(one: FinishedMap, folder: Path) -> dict[str, Any]:
    """Assets of what the map was made from: the scene, and each model under the role ``mlm:model``."""
    where = one.log.get("inputs") or {}
    found: dict[str, Any] = {}
    if where.get("scene"):
        found["scene"] = {
            "href": _href(f"{where['scene']}/{SCENE_JSON}", folder),
            "title": "Scene that was mapped",
            "type": "application/json",
            "roles": ["source"],
        }
    places = where.get("models") or []
    for number, model in enumerate(one.content["models"], start=1):
        place = places[number - 1] if number <= len(places) else ""
        found["model" if number == 1 else f"model-{number}"] = {
            # without a recorded place a name that tells the model from any other, not an address that leads nowhere
            "href": _href(f"{place}/model.safetensors", folder) if place else f"urn:sha256:{model['checksum']}",
            "title": f"Weights of {model['name']}",
            "type": "application/octet-stream",
            "roles": ["mlm:model"],
            "mlm:artifact_type": "safetensors.torch.save_file",
        }
    return found


def _href(target: str | Path, folder: Path) -> str:
    return quote(refer(target, folder)[0], safe="/:")
