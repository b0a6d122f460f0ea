"""Settings of ``landslip mosaic``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from landslip.config import Config


class MosaicConfig(Config):
    """How finished maps become one."""

    crs: str = "auto"
    """CRS of the polygons, projected in metres; auto: that of the maps where they share one, else an equal-area
    projection (Lambert azimuthal) about their middle."""
    min_overlap: float = Field(0.1, gt=0, le=1)
    """Polygons of two maps are one landslide when they share at least this part of the smaller of them."""
    formats: tuple[Literal["gpkg", "parquet"], ...] = ("gpkg",)
    """Vector formats; the GeoPackage is always written."""
