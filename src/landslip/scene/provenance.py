"""Where a scene comes from: names and checksums of its inputs, for ``scene.json``.

Names go without folders, so that the same inputs give the same file wherever they lie; full paths are
kept in ``log.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from landslip._version import __version__
from landslip.files import FORMAT, sha256
from landslip.files.places import address_of, shown
from landslip.progress import Progress
from landslip.scene.config import SceneConfig
from landslip.scene.images.image import Image
from landslip.scene.inputs import Inputs
from landslip.scene.statistics import LayerTally, shares

_PATHS = ("images", "dem", "pre", "inventory", "aoi")


def _files_of(images: Iterable[Image]) -> list[str]:
    """List every local file that the images are read from, without repeats."""
    return list(dict.fromkeys(path for image in images for path in image.files))


def checksums(files: Sequence[tuple[str, str]], progress: Progress) -> list[dict[str, Any]]:
    """Return role, name and SHA-256 of each local file, given as role and path; a URL has no checksum."""
    entries = []
    with progress.task("checksums", len(files)) as task:
        for role, path in files:
            remote = address_of(path) is not None or "://" in path or path.startswith("/vsi")
            entries.append({"role": role, "file": _name(path), "sha256": None if remote else sha256(path)})
            task.advance()
    return entries


def _name(path: str) -> str:
    return shown(path) if address_of(path) else Path(path).name


def scene_content(inputs: Inputs, config: SceneConfig, tally: LayerTally, counts: dict[str, int]) -> dict[str, Any]:
    """Return ``scene.json`` without remarks and checksums."""
    total = inputs.grid.rows * inputs.grid.cols
    masks = {name: counts[name] for name in inputs.sources}
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": "scene",
        "version": __version__,
        "grid": inputs.grid.to_dict(),
        "layers": list(inputs.layers),
        "validity": shares(masks, total),
        "valid_layers": tally.valid_share(),
        "dates": {key: _dates(images) for key, images in (("post", inputs.post), ("pre", inputs.pre)) if images},
        "images": {
            key: [image.to_dict() for image in images]
            for key, images in (("post", inputs.post), ("pre", inputs.pre))
            if images
        },
        "settings": settings_of(config),
        "simulated": any(image.simulated for image in [*inputs.post, *inputs.pre]),
    }
    if inputs.shift is not None:
        content["pre_shift"] = inputs.shift.to_dict(corrected=config.coregister)
    if inputs.elevation is not None:
        content["elevation"] = {
            "coverage": round(inputs.elevation.coverage, 4),
            "models": [{**source, "path": Path(source["path"]).name} for source in inputs.elevation.sources],
        }
    if inputs.inventory is not None:
        known = total - counts["unknown"]
        content["inventory"] = {
            "file": Path(config.inventory or "").name,
            "polygons": len(inputs.inventory.frame),
            "landslide_pixels": counts["landslide"],
            "known_pixels": known,
            "prevalence": round(counts["landslide"] / max(1, known), 6),
            "mapped_extent": Path(config.aoi).name if config.aoi else None,
            "hygiene": inputs.inventory.hygiene.to_dict(),
        }
    return content


def _dates(images: list[Image]) -> list[str]:
    return sorted({image.date for image in images if image.date})


def settings_of(config: SceneConfig) -> dict[str, Any]:
    """Return the settings without paths, as ``scene.json`` keeps them."""
    return {key: value for key, value in config.to_dict().items() if key not in _PATHS}


def input_paths(config: SceneConfig) -> dict[str, Any]:
    """Return the paths as they were given, for the log."""
    return {key: getattr(config, key) for key in _PATHS}


def input_files(inputs: Inputs, config: SceneConfig) -> list[tuple[str, str]]:
    """List every file that the scene is made from: what it is there for, and its path."""
    given = {
        "image after": _files_of(inputs.post),
        "image before": _files_of(inputs.pre),
        "elevation": config.dem,
        "inventory": [config.inventory] if config.inventory else [],
        "mapped extent": [config.aoi] if config.aoi else [],
    }
    return [(role, path) for role, paths in given.items() for path in paths]
