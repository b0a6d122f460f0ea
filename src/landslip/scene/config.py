"""What a scene is built from and how."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from landslip.config import Config
from landslip.scene.clouds import INVALID, ClassName
from landslip.scene.elevation import ElevationConfig
from landslip.scene.images.names import EXTRA
from landslip.scene.mosaic import Merge, Merging


class SceneConfig(Config):
    """Inputs of a scene and the choices made for it."""

    images: tuple[str, ...] = Field(min_length=1)
    """Product folders or archives, STAC items, folders of band files, or band files."""
    dem: tuple[str, ...] = ()
    """Elevation models: one or several tiles, any CRS."""
    pre: tuple[str, ...] = ()
    """Images from before the event, as ``images``."""
    inventory: str | None = None
    """Landslide polygons."""
    inventory_layer: str | None = None
    """Layer of the inventory file, where it has several."""
    inventory_encoding: str | None = None
    """Encoding of the inventory's attributes, where the file states none or a wrong one."""
    aoi: str | None = None
    """Polygon of the area that was mapped; outside it labels are unknown."""
    crs: str = "auto"
    """CRS of the scene; auto: that of the image where it is projected in metres, else its UTM zone."""
    resolution: float = Field(10.0, gt=0, le=1000)
    """Pixel edge in metres."""
    bands: tuple[str, ...] | None = None
    """Names of the bands of plain files, in their order."""
    extra_bands: tuple[str, ...] = ()
    """20 m bands to store beside blue, green, red and nir."""
    offset: float | None = Field(None, allow_inf_nan=False)
    """Overrides the offset that is added to digital numbers."""
    pre_offset: float | None = Field(None, allow_inf_nan=False)
    """The same for the pre-event images; ``offset`` where absent."""
    quantification: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Overrides the number by which they are then divided."""
    merge: Merge = "first"
    """How several images of a place become one."""
    invalid_classes: tuple[ClassName, ...] = INVALID
    """Classes of the scene classification that are left out."""
    mask_snow: bool = False
    """Leave out snow too."""
    dilate_clouds: int = Field(0, ge=0, le=200)
    """Pixels by which clouds and shadows grow."""
    coregister: bool = False
    """Move the pre-event image by its estimated shift."""
    sun: tuple[float, float] | None = None
    """Azimuth and elevation of the sun in degrees: the terrain's light and shade are corrected for them."""
    pre_sun: tuple[float, float] | None = None
    """The same for the pre-event images."""
    elevation: ElevationConfig = ElevationConfig()
    """How elevation models are read and which layers are made of them."""

    @model_validator(mode="after")
    def _known_bands(self) -> Self:
        for name in self.extra_bands:
            if name not in EXTRA:
                message = f"extra band {name!r} is unknown; known are {', '.join(EXTRA)}"
                raise ValueError(message)
        if self.aoi is not None and self.inventory is None:
            message = "an area of interest says where the inventory is complete; give the inventory too"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _image_before(self) -> Self:
        given = {
            "pre_offset": self.pre_offset is not None,
            "pre_sun": bool(self.pre_sun),
            "coregister": self.coregister,
        }
        idle = next((name for name, is_given in given.items() if is_given and not self.pre), None)
        if idle is not None:
            message = f"{idle} is about the image from before the event; give that too (pre), or leave it out"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _possible_light(self) -> Self:
        for name, sun in (("sun", self.sun), ("pre_sun", self.pre_sun)):
            if sun is not None and not (0 <= sun[0] <= 360 and 0 < sun[1] <= 90):
                message = f"{name} {sun[0]:g},{sun[1]:g}: azimuth must be 0 to 360, elevation over 0 to 90 degrees"
                raise ValueError(message)
        if (self.sun or self.pre_sun) and not self.dem:
            message = "light and shade are corrected with an elevation model; give one"
            raise ValueError(message)
        if self.pre and (self.sun is None) != (self.pre_sun is None):
            message = "give the sun of both images, before and after, or of none: else their difference shows the light"
            raise ValueError(message)
        return self

    def merging(self, shift: tuple[float, float] = (0.0, 0.0)) -> Merging:
        """Return how images become one."""
        classes = self.invalid_classes
        if self.mask_snow and "snow" not in classes:
            classes = (*classes, "snow")
        return Merging(self.merge, classes, self.dilate_clouds, shift)
