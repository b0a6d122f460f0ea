"""Choosing the clearest pass over an area: by the catalogue's word first, then by the clouds over the area."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.io import DatasetReader
from shapely.geometry.base import BaseGeometry

from landslip.rasters import rasterio_window
from landslip.scene.clouds import CLASS_NUMBERS, INVALID
from landslip.windows import Window

log = logging.getLogger(__name__)

Item = dict[str, Any]

POINTS = 120
"""Points along the longer side of the area at which clouds are looked up."""

_WORTHWHILE = 0.005  # share of the area that a further tile must add


@dataclass(frozen=True)
class Pass:
    """Items of one satellite on one day that together cover an area.

    Parameters
    ----------
    date
        Day of acquisition.
    items
        STAC items, the one that covers most first.
    coverage
        Share of the area inside their footprints.
    cloud
        Cloud cover in percent by the catalogue, weighted by what each item adds; 100 where unknown.
    clear
        Share of the area that is seen without clouds; None while nobody has looked.
    """

    date: dt.date
    items: tuple[Item, ...]
    coverage: float
    cloud: float
    clear: float | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what there is to know about the choice as JSON types."""
        return {
            "date": self.date.isoformat(),
            "items": [str(item.get("id")) for item in self.items],
            "coverage": round(self.coverage, 3),
            "cloud_percent": round(self.cloud, 1),
            "clear": None if self.clear is None else round(self.clear, 3),
        }


def group_passes(items: Sequence[Item], area: BaseGeometry, max_cloud: float) -> list[Pass]:
    """Put items of one satellite and day together, each with as few items as cover the area, best first.

    Items without a footprint or date, cloudier than ``max_cloud``, or outside the area are left out.
    """
    groups: dict[tuple[dt.date, str], list[Item]] = defaultdict(list)
    for item in items:
        day = _day(item)
        cloud = _number(item, "eo:cloud_cover")
        if day is not None and (cloud is None or cloud <= max_cloud):
            groups[day, str(item.get("properties", {}).get("platform", ""))].append(item)
    passes = [found for (day, _), members in groups.items() if (found := _cover(day, members, area)) is not None]
    return sorted(passes, key=lambda found: (-round(found.coverage, 1), found.cloud, found.date))


def clearest(passes: Sequence[Pass], event: dt.date) -> Pass:
    """Return the pass that sees most of the area; among equals (to a percent) the one nearest the event."""
    return min(passes, key=lambda found: (-round(found.clear or 0.0, 2), abs((found.date - event).days)))


def clear_share(
    found: Pass, area: BaseGeometry, classes_at: Callable[[Item, NDArray[Any], NDArray[Any]], Any]
) -> float:
    """Look up the clouds over an area.

    Parameters
    ----------
    found
        The pass.
    area
        In longitude and latitude.
    classes_at
        Scene classes of an item at longitudes and latitudes, 0 where it has none; None where it has no
        classification at all, and the catalogue's word is taken for it.

    Returns
    -------
    float
        Share of the area's points that are seen and not hidden.
    """
    lon, lat = _points(area)
    classes = np.zeros(lon.size, np.uint8)
    guessed = 0.0
    for item in found.items:
        unseen = classes == 0
        if not unseen.any():
            break
        there = classes_at(item, lon[unseen], lat[unseen])
        if there is None:
            inside = shapely.contains_xy(_footprint(item), lon[unseen], lat[unseen])
            cloud = _number(item, "eo:cloud_cover")
            guessed += float(inside.sum()) * (1 - (100.0 if cloud is None else cloud) / 100)
            continue
        classes[unseen] = there
    hidden = [CLASS_NUMBERS[name] for name in INVALID]
    clear = np.count_nonzero(~np.isin(classes, hidden))
    return min(1.0, (clear + guessed) / max(1, lon.size))


def classes_of(dataset: DatasetReader, lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[np.uint8]:
    """Scene classes at points, read coarsely: overviews of a remote file are enough to judge clouds."""
    x, y = Transformer.from_crs(4326, dataset.crs, always_xy=True).transform(lon, lat)
    cols, rows = ~dataset.transform * (np.asarray(x), np.asarray(y))
    inside = (rows >= 0) & (rows < dataset.height) & (cols >= 0) & (cols < dataset.width)
    classes = np.zeros(lon.size, np.uint8)
    if not inside.any():
        return classes
    top, left = int(rows[inside].min()), int(cols[inside].min())
    window = Window(top, left, int(rows[inside].max()) - top + 1, int(cols[inside].max()) - left + 1)
    coarse = max(1, max(window.shape) // (4 * POINTS))
    shape = -(-window.rows // coarse), -(-window.cols // coarse)
    pixels = dataset.read(1, window=rasterio_window(window), out_shape=shape)
    at_row = ((rows[inside] - top) * shape[0] / window.rows).astype(int)
    at_col = ((cols[inside] - left) * shape[1] / window.cols).astype(int)
    classes[inside] = pixels[np.minimum(at_row, shape[0] - 1), np.minimum(at_col, shape[1] - 1)]
    return classes


def _cover(day: dt.date, members: Sequence[Item], area: BaseGeometry) -> Pass | None:
    """Take greedily the item that adds most, the newest processing first among equals."""
    left, chosen, cloud = area, [], 0.0
    waiting = sorted(members, key=lambda item: (_baseline(item), str(item.get("id"))), reverse=True)
    while waiting:
        gains = [shapely.area(shapely.intersection(_footprint(item), left)) / area.area for item in waiting]
        best = int(np.argmax(np.round(gains, 3)))
        if gains[best] < _WORTHWHILE:
            break
        item = waiting.pop(best)
        known = _number(item, "eo:cloud_cover")
        cloud += float(gains[best]) * (100.0 if known is None else known)
        left = shapely.difference(left, _footprint(item))
        chosen.append(item)
    coverage = 1 - left.area / area.area
    return Pass(day, tuple(chosen), coverage, cloud / coverage) if chosen else None


def _points(area: BaseGeometry) -> tuple[NDArray[Any], NDArray[Any]]:
    west, south, east, north = area.bounds
    step = max(east - west, north - south) / POINTS
    lon, lat = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    inside = shapely.contains_xy(area, lon, lat)
    if not inside.any():  # an area thinner than the step
        point = area.representative_point()
        return np.array([point.x]), np.array([point.y])
    return lon[inside], lat[inside]


def _footprint(item: Item) -> BaseGeometry:
    try:
        return shapely.make_valid(shapely.geometry.shape(item["geometry"]))
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError):
        return shapely.Polygon()  # no footprint: it covers nothing that we could know of


def _day(item: Item) -> dt.date | None:
    properties = item.get("properties")
    text = str((properties.get("datetime") or properties.get("start_datetime") or "") if properties else "")[:10]
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _number(item: Item, name: str) -> float | None:
    value = item.get("properties", {}).get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _baseline(item: Item) -> str:
    return str(item.get("properties", {}).get("s2:processing_baseline", ""))
