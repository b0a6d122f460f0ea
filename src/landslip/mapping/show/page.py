"""``map.html``: image, landslides and their attributes on a map that opens in any browser without a network.

Everything is inside the one file: pictures as data, outlines as whole numbers, a script without libraries.
"""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from landslip._version import __version__
from landslip.files import write_text
from landslip.grid import Grid
from landslip.mapping.landslides.fields import FIELDS
from landslip.mapping.show.picture import encoded, image_picture, probability_picture, unmapped_picture
from landslip.mapping.show.style import CONFIDENCE_COLOURS, PROBABILITY_RAMP
from landslip.scene.store import Scene

STEPS = 10
"""Outlines are written in tenths of a pixel."""

_NODES = 9


def write_page(
    path: Path,
    scene: Scene,
    probability: Path,
    shapes: NDArray[Any],
    table: pd.DataFrame,
    facts: dict[str, Any],
) -> None:
    """Write the page.

    Parameters
    ----------
    path
        File.
    scene
        The scene, for the pictures.
    probability
        The map.
    shapes, table
        Landslides and their attributes.
    facts
        ``title``, ``summary`` (list of figure and caption), ``notes`` (lines below).

    Raises
    ------
    OutputError
        It cannot be written.
    """
    template = files("landslip.mapping.show").joinpath("page.html").read_text(encoding="utf-8")
    data = {
        "version": __version__,
        "size": list(scene.grid.shape),
        "grid": _grid(scene.grid),
        "images": _images(scene),
        "overlays": _overlays(probability),
        "fields": [
            {"name": field.name, "unit": field.unit, "meaning": field.meaning, "digits": field.digits}
            for field in FIELDS
        ],
        "columns": {str(name): _plain(table[name]) for name in table.columns},
        "steps": STEPS,
        "shapes": outlines_as_numbers(shapes, scene.grid),
        "colours": CONFIDENCE_COLOURS,
        "ramp": [colour for _, colour in PROBABILITY_RAMP],
        **facts,
    }
    # "<" would end the script element early if a name contained a tag.
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = template.replace("{{title}}", html.escape(str(facts["title"]))).replace("{{data}}", content)
    write_text(path, page)


def outlines_as_numbers(shapes: NDArray[Any], grid: Grid) -> list[list[list[int]]]:
    """Write rings as whole numbers: x and y of the first corner, then differences, in tenths of a pixel."""
    height, width = grid.resolution
    found = []
    for polygon in shapes:
        rings = []
        for ring in (polygon.exterior, *polygon.interiors):
            xy = shapely.get_coordinates(ring)[:-1]
            col = np.round((xy[:, 0] - grid.transform.c) / width * STEPS).astype(np.int64)
            row = np.round((grid.transform.f - xy[:, 1]) / height * STEPS).astype(np.int64)
            corners = np.stack([col, row], axis=1)
            rings.append(np.diff(corners, axis=0, prepend=np.zeros((1, 2), np.int64)).ravel().tolist())
        found.append(rings)
    return found


def _grid(grid: Grid) -> dict[str, Any]:
    """Describe the grid, with longitude and latitude at nodes between which the page interpolates."""
    west, south, east, north = grid.bounds
    x, y = np.meshgrid(np.linspace(west, east, _NODES), np.linspace(north, south, _NODES))
    lon, lat = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(x, y)
    code = grid.crs.to_epsg()
    return {
        "x": west,
        "y": north,
        "resolution": list(grid.resolution),
        "crs": f"{grid.crs.name} (EPSG:{code})" if code else grid.crs.name,
        "nodes": _NODES,
        "lon": np.round(lon, 6).ravel().tolist(),
        "lat": np.round(lat, 6).ravel().tolist(),
    }


def _images(scene: Scene) -> list[dict[str, str]]:
    found = []
    for name, prefix, days in (("After", "", "post"), ("Before", "pre_", "pre")):
        picture = image_picture(scene, prefix=prefix)
        if picture is not None:
            dates = ", ".join(scene.dates.get(days, []))
            found.append({"name": name, "date": dates, "source": _as_data(encoded(picture, "JPEG"), "jpeg")})
    return found


def _overlays(probability: Path) -> list[dict[str, str]]:
    found = [{"name": "Probability", "source": _as_data(encoded(probability_picture(probability), "PNG"), "png")}]
    missing = unmapped_picture(probability)
    if missing is not None:
        found.append({"name": "Not mapped", "source": _as_data(encoded(missing, "PNG"), "png")})
    return found


def _as_data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _plain(column: Any) -> list[Any]:  # noqa: ANN401 - a pandas Series of any type
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in column.tolist()]
