"""Finished maps as the inputs of a mosaic: what each is called, where it lies, in which order they come.

Only ``map.json`` and ``log.json`` are read here; polygons and rasters stay where they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from landslip.errors import FormatError, InputError, MissingInputError
from landslip.files import read_json
from landslip.files.places import absolute, address_of, is_file, names_in
from landslip.grid import Grid
from landslip.mapping.landslides.fields import FIELDS
from landslip.mapping.result import LOG_JSON, MAP_JSON, PROBABILITY, MapResult

POLYGONS = "landslides.gpkg"

_EDGE_POINTS = 21
"""Points per side of a footprint: a straight side bends when it is brought to another projection."""


@dataclass(frozen=True)
class FinishedMap:
    """One map that goes into a mosaic.

    Parameters
    ----------
    name
        What it is called in the mosaic; no two maps of a mosaic share a name.
    folder
        Where it lies.
    content
        Its ``map.json``.
    log
        Its ``log.json``; empty without one.
    """

    name: str
    folder: Path
    content: dict[str, Any]
    log: dict[str, Any]

    @cached_property
    def grid(self) -> Grid:
        """Grid of its rasters."""
        return Grid.from_dict(self.content["scene"]["grid"])

    @property
    def threshold(self) -> float:
        """Probability from which its pixels were landslide."""
        return float(self.content["threshold"])

    @property
    def dates(self) -> dict[str, list[str]]:
        """Days of acquisition, ``post`` and ``pre``."""
        return dict(self.content["scene"].get("dates") or {})

    @property
    def polygons(self) -> Path:
        """Its landslides."""
        return self.folder / POLYGONS

    @property
    def probability(self) -> Path:
        """Its probability raster."""
        return self.folder / PROBABILITY

    def footprint(self, crs: CRS) -> BaseGeometry:
        """Outline of its grid as a polygon in ``crs``."""
        x, y = Transformer.from_crs(self.grid.crs, crs, always_xy=True).transform(*_edge(self.grid))
        return shapely.Polygon(np.stack([x, y], axis=1))

    def footprint_degrees(self) -> tuple[BaseGeometry, list[float]]:
        """Outline and bounding box in longitude and latitude, cut in two at the date line (RFC 7946, 3.1.9)."""
        x, y = Transformer.from_crs(self.grid.crs, 4326, always_xy=True).transform(*_edge(self.grid))
        crosses = float(np.ptp(x)) > 180
        outline = shapely.Polygon(np.stack([np.where(crosses & (x < 0), x + 360, x), y], axis=1))
        west, south, east, north = (round(value, 7) for value in outline.bounds)
        if not crosses:
            return outline, [west, south, east, north]
        halves = [
            shapely.transform(shapely.intersection(outline, shapely.box(left, -90, left + 360, 90)), _shift(turn))
            for left, turn in ((-180, 0.0), (180, -360.0))
        ]
        parts = [part for half in halves for part in shapely.get_parts(half)]
        return shapely.MultiPolygon(parts), [west, south, round(east - 360, 7), north]


def open_maps(folders: Sequence[str | os.PathLike[str]]) -> list[FinishedMap]:
    """Open finished maps in the order of a mosaic: from west to east, then from north to south, then by name.

    Parameters
    ----------
    folders
        Map folders, or folders whose sub-folders are maps. Given twice, a map counts once.

    Raises
    ------
    MissingInputError
        A folder is not there, or neither a finished map nor a folder of such.
    InputError
        No map is given.
    FormatError
        A map is damaged, of a newer format, or without polygons.
    """
    found = list(dict.fromkeys(Path(absolute(one)) for folder in folders for one in _expanded(Path(folder))))
    if not found:
        message = "no map was given; name at least one folder written by 'landslip map'"
        raise InputError(message)
    maps = [_open(folder, name) for folder, name in zip(found, distinct_names(found), strict=True)]
    return sorted(maps, key=_place)


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Name folders by as few of their last parts as tell them apart: ``valley``, or ``2018-valley``."""
    names = [folder.name for folder in folders]
    depth = 1
    while len(set(names)) < len(names):
        depth += 1
        twice = {name for name in names if names.count(name) > 1}
        names = [
            "-".join(folder.parts[-depth:]).strip("/") if name in twice else name
            for folder, name in zip(folders, names, strict=True)
        ]
    return names


def _expanded(folder: Path) -> list[Path]:
    if is_file(folder / MAP_JSON):
        return [folder]
    if address_of(folder):
        below = [(folder / name).parent for name in names_in(folder) if re.fullmatch(rf"[^/]+/{MAP_JSON}", name)]
    elif folder.is_dir():
        below = sorted(path.parent for path in folder.glob(f"*/{MAP_JSON}"))
    else:
        return [folder]
    if not below:
        message = f"{folder}: neither a finished map (no {MAP_JSON} in it) nor a folder of such; check the path"
        raise MissingInputError(message)
    return below


def _open(folder: Path, name: str) -> FinishedMap:
    content = MapResult.open(folder).content
    needed = ("scene", "threshold", "models", "areas_m2", "files")
    missing = next((key for key in needed if key not in content), None)
    if missing is not None or "grid" not in content["scene"]:
        message = f"{folder / MAP_JSON}: no '{missing or 'grid'}' entry; the map is damaged, make it again"
        raise FormatError(message)
    log = read_json(folder / LOG_JSON, what="log") if is_file(folder / LOG_JSON) else {}
    found = FinishedMap(name, folder, content, log)
    for path in (found.polygons, found.probability):
        if not is_file(path):
            message = f"{path}: is missing; the map is damaged, make it again"
            raise FormatError(message)
    return found


def check_columns(columns: Sequence[str], where: Path) -> None:
    """Refuse polygons without the attributes of a map.

    Raises
    ------
    FormatError
        An attribute is missing.
    """
    missing = [field.name for field in FIELDS if field.name not in columns]
    if missing:
        message = f"{where}: layer landslides has no column {missing[0]!r}; the map is damaged, make it again"
        raise FormatError(message)


def _place(one: FinishedMap) -> tuple[float, float, str]:
    """Return west edge and negative north edge in degrees, to a metre or so, and the name."""
    _, box = one.footprint_degrees()
    return round(box[0], 5), -round(box[3], 5), one.name


def _edge(grid: Grid) -> tuple[Any, Any]:
    west, south, east, north = grid.bounds
    x, y = np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS)
    low, high = np.full(_EDGE_POINTS, south), np.full(_EDGE_POINTS, north)
    left, right = np.full(_EDGE_POINTS, west), np.full(_EDGE_POINTS, east)
    sides = ((x, low), (right, y), (x[::-1], high), (left, y[::-1]))  # counter-clockwise, as RFC 7946 wants
    return np.concatenate([s[0][:-1] for s in sides]), np.concatenate([s[1][:-1] for s in sides])


def _shift(turn: float) -> Any:  # noqa: ANN401 - a function of coordinates
    return lambda corners: corners + np.array([turn, 0.0])
