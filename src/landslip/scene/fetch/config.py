"""What to fetch: the area, the event, and where from."""

from __future__ import annotations

import datetime as dt
import os
from typing import Self

import numpy as np
import shapely
from pydantic import Field, field_validator, model_validator
from shapely.geometry.base import BaseGeometry

from landslip.config import Config
from landslip.errors import InputError
from landslip.scene.fetch.search import EARTH_SEARCH

Box = tuple[float, float, float, float]

LARGEST_KM = 400.0
"""Areas wider or higher than this are a slip of the pen."""


class FetchConfig(Config):
    """Area, event and choices of :func:`landslip.scene.fetch.fetch.fetch_scene`."""

    event: dt.date
    """Day of the event; images of that day are not used, they may be of before or after."""
    bbox: Box | None = None
    """West, south, east, north in degrees."""
    aoi: str | None = None
    """File with the polygon of the area, instead of ``bbox``."""
    days: int = Field(90, ge=1, le=3660)
    """Days before and after the event among which the clearest images are chosen."""
    stac: str = EARTH_SEARCH
    """Address of the STAC API."""
    collection: str = "sentinel-2-l2a"
    """Its collection of Sentinel-2 Level-2A images."""
    dem_collection: str = "cop-dem-glo-30"
    """Its collection of elevation tiles."""
    dem: tuple[str, ...] = ()
    """Elevation models that are here already; then none is fetched."""
    inventory: str | None = None
    """Landslide polygons for the labels; with ``aoi`` as the mapped extent."""
    pre: bool = True
    """Whether to fetch an image from before the event too."""
    max_cloud: float = Field(80.0, ge=0, le=100)
    """Scenes that the catalogue gives as cloudier than this (percent) are not looked at."""
    candidates: int = Field(6, ge=1, le=50)
    """Passes on each side of the event whose clouds over the area are looked at."""
    allow_partial_dem: bool = False
    """Accept elevation for under nine tenths of the scene (coasts: no tile is made of open sea)."""
    resolution: float = Field(10.0, gt=0, le=1000)
    """Pixel edge of the scene in metres."""

    @model_validator(mode="after")
    def _one_area(self) -> Self:
        if (self.bbox is None) == (self.aoi is None):
            message = "give the area either as bbox or as aoi"
            raise ValueError(message)
        return self

    @field_validator("bbox")
    @classmethod
    def _possible_box(cls, bbox: Box | None) -> Box | None:
        if bbox is not None:
            _require_box(bbox)
        return bbox

    @field_validator("stac")
    @classmethod
    def _address(cls, stac: str) -> str:
        if not stac.startswith(("http://", "https://")):
            message = f"{stac!r} is no address; give one that begins with https://"
            raise ValueError(message)
        return stac

    def area(self) -> BaseGeometry:
        """Return the area as a polygon in longitude and latitude.

        Raises
        ------
        MissingInputError, InputError, CRSMismatchError
            The file is not a polygon file, or its polygons lie across the date line or are too large.
        """
        if self.bbox is not None:
            return shapely.box(*self.bbox)
        return read_area(self.aoi or "")

    def period(self, side: str) -> tuple[str, str]:
        """Return the first and last day of the search before (``pre``) or after (``post``) the event."""
        day, reach = dt.timedelta(days=1), dt.timedelta(days=self.days)
        first, last = (
            (self.event - reach, self.event - day) if side == "pre" else (self.event + day, self.event + reach)
        )
        return first.isoformat(), last.isoformat()


def read_area(path: str | os.PathLike[str]) -> BaseGeometry:
    """Read the union of a file's polygons in longitude and latitude."""
    from landslip.scene.inventory.polygons import read_polygons

    frame = read_polygons(path, what="area of interest").to_crs(4326)
    shapes = np.asarray(frame.geometry.values)
    shapes = shapely.make_valid(shapely.force_2d(shapes[~shapely.is_missing(shapes)]))
    area = shapely.union_all(shapes)
    try:
        _require_box(area.bounds)
    except ValueError as error:
        message = f"{os.fspath(path)}: {error}"
        raise InputError(message) from error
    return area


def _require_box(box: Box) -> None:
    west, south, east, north = box
    if not all(np.isfinite(box)) or max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        message = "expected west,south,east,north in degrees, longitude within 180 and latitude within 90"
        raise ValueError(message)
    if west >= east or south >= north:
        message = (
            f"west {west:g} must be less than east {east:g} and south {south:g} less than north {north:g}; "
            "an area across the date line is fetched in two halves"
        )
        raise ValueError(message)
    height = (north - south) * 111.2
    width = (east - west) * 111.3 * np.cos(np.radians((south + north) / 2))
    if max(height, width) > LARGEST_KM:
        message = f"{width:.0f} x {height:.0f} km; a scene may have {LARGEST_KM:.0f} km, give a part of it"
        raise ValueError(message)
