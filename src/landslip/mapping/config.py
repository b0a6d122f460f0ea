"""Settings of ``landslip map``: prediction, polygons, filters, outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from landslip.config import Config
from landslip.data.augment import Variants

TILE_MULTIPLE = 32
"""Networks halve the image five times, so windows are multiples of this."""

Format = Literal["gpkg", "parquet", "geojson", "fgb"]


class PredictConfig(Config):
    """How the network is run over a scene.

    Everything here can change the probabilities, so all of it is recorded in ``map.json``.
    """

    tile: int = Field(128, ge=TILE_MULTIPLE, multiple_of=TILE_MULTIPLE)
    """Edge of a window in pixels, best that of training."""
    overlap: int = Field(32, ge=0)
    """Pixels that neighbouring windows share at least; less than the tile."""
    batch: int = Field(16, ge=1)
    """Windows per forward pass. The last batch is padded, so every pass has this many."""
    device: str = "auto"
    """``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """``auto``: bf16 where the device has it natively, else float32."""
    variants: Variants = "none"
    """Test-time variants: the image, its two flips and the half turn; or all eight elements of the square's group."""
    uncertainty: Literal["none", "entropy", "disagreement"] = "none"
    """Second band: entropy of the mean probability, or the part of it that members disagree on (bits)."""

    memory_gib: float = Field(4.0, gt=0)
    """Memory for the segmentation of a scene whose recipe has object layers; it never changes the result."""

    @model_validator(mode="after")
    def _overlap_below_tile(self) -> Self:
        if self.overlap >= self.tile:
            message = f"overlap {self.overlap} must be less than the tile {self.tile}"
            raise ValueError(message)
        return self


class PolygonConfig(Config):
    """From probability to landslide polygons."""

    threshold: float | None = Field(None, gt=0, lt=1)
    """Probability from which a pixel is landslide; default the model's own."""
    min_area_m2: float = Field(400.0, ge=0)
    """Minimum mapping unit: smaller polygons are left out."""
    fill_holes_m2: float = Field(400.0, ge=0)
    """Holes smaller than this are filled."""
    simplify_m: float = Field(0.0, ge=0)
    """Tolerance of simplification; 0 keeps the pixels' edges. Shared borders stay shared."""
    refine: Literal["none", "objects"] = "none"
    """``objects``: a segmentation object is landslide when its mean probability passes the threshold."""
    objects: Path | None = None
    """Label raster on the scene's grid for ``refine``; default segmented as the model's recipe says."""
    split: bool = False
    """Split landslides that run to several toes, along the drainage divides between them."""
    split_depth_m: float = Field(20.0, gt=0)
    """A toe counts when it lies at least this deep below the saddle to its neighbour."""

    @model_validator(mode="after")
    def _objects_are_used(self) -> Self:
        if self.objects is not None and self.refine == "none":
            message = 'objects are for refining; add --refine (refine = "objects"), or leave them out'
            raise ValueError(message)
        return self


class FilterConfig(Config):
    """What is taken out of the polygons afterwards; each filter is counted."""

    min_slope_deg: float = Field(0.0, ge=0, lt=90)
    """Minimum mean slope; polygons of unknown slope stay."""
    water: Path | None = None
    """Raster (not 0 = water) or polygons; landslides mostly on water are left out."""
    land_cover: Path | None = None
    """Raster of classes."""
    exclude_classes: tuple[int, ...] = ()
    """Classes of ``land_cover`` on which no landslide is mapped."""

    @model_validator(mode="after")
    def _classes_need_raster(self) -> Self:
        if bool(self.exclude_classes) != (self.land_cover is not None):
            message = "land_cover and exclude_classes go together: the raster, and which of its classes to leave out"
            raise ValueError(message)
        return self


class OutputConfig(Config):
    """Which files are written beside ``probability.tif``, ``landslides.gpkg`` and ``map.json``."""

    formats: tuple[Format, ...] = ("gpkg",)
    """Vector formats; the GeoPackage is always written."""
    density_cell_m: float = Field(1000.0, gt=0)
    """Cell of the landslide-density raster and table."""
    catchments: Path | None = None
    """Polygons for a second density table."""
    page: bool = True
    """Write ``map.html`` and ``quicklook.png``."""


class MapConfig(Config):
    """All settings of ``landslip map``."""

    predict: PredictConfig = PredictConfig()
    polygons: PolygonConfig = PolygonConfig()
    filters: FilterConfig = FilterConfig()
    output: OutputConfig = OutputConfig()
