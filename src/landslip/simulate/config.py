"""Settings of a synthetic event."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, field_validator, model_validator

from landslip.config import Config


class SimulateConfig(Config):
    """What to simulate. Everything that is written follows from these settings, byte for byte."""

    size_px: int = Field(default=1024, ge=128, le=16384)
    """Edge of the square scene in 10 m pixels."""
    seed: int = Field(default=0, ge=0)
    """Seed of all random draws."""
    prevalence: float = Field(default=0.02, ge=0.01, le=0.03)
    """Share of the scene that landslides cover."""
    truncation: float = Field(default=0.002, gt=0, le=0.01)
    """Largest landslide as a share of the scene's area."""
    old_scars: float = Field(default=0.006, ge=0.0005, le=0.03)
    """Share of the scene under older landslides, partly overgrown, bare in both images and in no inventory."""
    relief_m: float = Field(default=500.0, ge=100, le=2000)
    """About the height of the mountains over the plains."""
    plain: float = Field(default=0.2, ge=0, le=0.6)
    """Share of the scene that is lowland, where fields lie."""
    cloud: float = Field(default=0.02, ge=0, le=0.3)
    """Share of the post-event scene under thin cloud (the pre-event scene has half of it)."""
    missed: float = Field(default=0.05, ge=0, lt=1)
    """Share of the landslides that the inventory lacks."""
    shift_m: float = Field(default=5.0, ge=0, le=50)
    """Standard deviation of an inventory polygon's displacement, in each direction."""
    swath_gap: float = Field(default=0.04, ge=0, lt=0.5)
    """Share of the pre-event scene beyond the swath's edge (nodata)."""
    epsg: int = 32654
    """Projected CRS of the bands, in metres."""
    longitude: float = Field(default=141.95, ge=-180, le=180)
    """Centre of the scene in degrees."""
    latitude: float = Field(default=42.72, ge=-66, le=66)
    """Centre of the scene in degrees."""
    pre_time: datetime = datetime.fromisoformat("2023-06-18T01:27:01+00:00")
    """Sensing time of the image before (UTC); it sets the sun and the season."""
    post_time: datetime = datetime.fromisoformat("2023-09-21T01:27:01+00:00")
    """The same after."""

    @field_validator("pre_time", "post_time")
    @classmethod
    def _with_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            message = "needs a time zone, for example 2023-09-21T01:27:01Z"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _in_order(self) -> SimulateConfig:
        if self.pre_time >= self.post_time:
            message = "pre_time must be before post_time"
            raise ValueError(message)
        return self
