"""What a scene is, in words and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pyproj import Transformer

from landslip.rasters import open_raster, read_reduced
from landslip.scene.store import BANDS, Scene
from landslip.wording import counted

SAMPLE = 1000
"""Statistics are taken from an overview of about this many pixels a side; they are rounded accordingly."""


def describe_scene(scene: Scene, *, statistics: bool = True) -> dict[str, Any]:
    """Return everything worth knowing of a scene, as JSON types.

    Parameters
    ----------
    scene
        The scene.
    statistics
        Whether to look at the pixels too (mean, standard deviation and percentiles of each layer).
    """
    info = scene.info
    west, south, east, north = scene.grid.bounds
    to_degrees = Transformer.from_crs(scene.grid.crs, 4326, always_xy=True)
    degrees = to_degrees.transform_bounds(*scene.grid.bounds)
    content: dict[str, Any] = {
        "kind": "scene",
        "path": str(scene.path),
        "version": info.get("version"),
        "rows": scene.grid.rows,
        "cols": scene.grid.cols,
        "resolution_m": scene.grid.resolution[1],
        "crs": scene.grid.crs.name,
        "epsg": scene.grid.crs.to_epsg(),
        "bounds": [west, south, east, north],
        "bounds_degrees": [round(value, 5) for value in degrees],
        "area_km2": round(scene.grid.rows * scene.grid.cols * scene.grid.pixel_area_m2 / 1e6, 6),
        "layers": list(scene.layers),
        "validity": info["validity"],
        "dates": scene.dates,
    }
    for key in ("images", "elevation", "pre_shift", "inventory", "remarks", "sources", "simulated"):
        if info.get(key):
            content[key] = info[key]
    if statistics:
        content["statistics"] = layer_statistics(scene)
    return content


def layer_statistics(scene: Scene) -> dict[str, dict[str, float | None]]:
    """Return mean, standard deviation, 1st, 50th and 99th percentile of each layer, from an overview.

    An overview averages pixels, so that the spread is a little less than that of the pixels themselves
    in scenes of more than :data:`SAMPLE` pixels a side.
    """
    found = {}
    share = max(1.0, max(scene.grid.shape) / SAMPLE)
    shape = tuple(max(1, math.ceil(n / share)) for n in scene.grid.shape)
    with open_raster(scene.path / BANDS, what="scene") as dataset:
        for index, name in enumerate(scene.layers, start=1):
            pixels = read_reduced(dataset, [index], shape)[0]
            values = pixels[np.isfinite(pixels)].astype(np.float64)
            found[name] = _numbers(values)
    return found


def in_words(content: dict[str, Any]) -> str:
    """Return the description of a scene as text, one fact a line."""
    lines = [
        f"scene {content['path']}",
        f"  grid       {content['rows']} x {content['cols']} pixels of {content['resolution_m']:g} m, "
        f"{content['area_km2']:g} km², {content['crs']}" + (f" (EPSG:{content['epsg']})" if content["epsg"] else ""),
        "  place      longitude {0:.4f} to {2:.4f}, latitude {1:.4f} to {3:.4f}".format(*content["bounds_degrees"]),
        f"  layers     {', '.join(content['layers'])}",
        "  valid      " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in content["validity"].items()),
    ]
    lines += _image_lines(content)
    if content.get("simulated"):
        lines.append("  simulated  yes: scores on it say nothing about real landslides")
    if "elevation" in content:
        models = ", ".join(model["path"] for model in content["elevation"]["models"])
        lines.append(f"  elevation  {models}, covers {100 * content['elevation']['coverage']:.1f} %")
    lines += _inventory_lines(content)
    for name, values in content.get("statistics", {}).items():
        if values["mean"] is None:
            lines.append(f"  {name:<10} no valid pixel")
        else:
            lines.append(
                "  {name:<10} mean {mean:.4g}, sd {std:.3g}, 1 % {p01:.4g}, median {p50:.4g}, 99 % {p99:.4g}".format(
                    name=name, **values
                )
            )
    lines += [f"  note       {remark}" for remark in content.get("remarks", [])]
    return "\n".join(lines)


def _numbers(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | None]:
    if values.size == 0:
        return dict.fromkeys(("mean", "std", "p01", "p50", "p99"))
    low, middle, high = np.percentile(values, [1, 50, 99])
    numbers = {"mean": values.mean(), "std": values.std(), "p01": low, "p50": middle, "p99": high}
    return {name: float(f"{number:.5g}") for name, number in numbers.items()}


def _image_lines(content: dict[str, Any]) -> list[str]:
    lines = []
    for key, label in (("post", "image"), ("pre", "before")):
        for image in content.get("images", {}).get(key, []):
            band = next(iter(image["bands"].values()))
            facts = [image["date"] or "date unknown", image["level"] or "level unknown"]
            facts += [f"baseline {image['baseline']}"] if image["baseline"] else []
            facts.append(f"(DN {band['offset']:+g}) / {band['quantification']:g}{' assumed' * band['assumed']}")
            lines.append(f"  {label:<10} {image['name']}: {', '.join(facts)}")
    if "pre_shift" in content:
        shift = content["pre_shift"]
        state = "corrected" if shift["corrected"] else "not corrected"
        known = f"{shift['rows_px']:+.2f} rows, {shift['cols_px']:+.2f} columns, {state}"
        lines.append(f"  shift      {known if shift['blocks'] else 'could not be estimated'}")
    return lines


def _inventory_lines(content: dict[str, Any]) -> list[str]:
    if "inventory" not in content:
        return ["  inventory  none"]
    inventory = content["inventory"]
    extent = inventory["mapped_extent"] or "no mapped extent: all else counts as free of landslides"
    return [
        f"  inventory  {inventory['file']}: {counted(inventory['polygons'], 'landslide')}, "
        f"{100 * inventory['prevalence']:.2f} % of {inventory['known_pixels']} labelled pixels ({extent})"
    ]
