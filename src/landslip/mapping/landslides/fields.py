"""The attributes of a mapped landslide: names, units, meaning. One list for files, page and documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One attribute.

    Parameters
    ----------
    name
        Column name.
    unit
        Unit, empty for none.
    meaning
        What it says, in a sentence fragment.
    digits
        Digits after the point that are written: enough for the attribute, the same on every machine.
    """

    name: str
    unit: str
    meaning: str
    digits: int = 0

    @property
    def comment(self) -> str:
        """Meaning with unit, as it is written into files."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


FIELDS = (
    Field("id", "", "number of the landslide, from the north-west, row by row"),
    Field("area_m2", "m²", "area in the map's projection, before simplification", 1),
    Field("perimeter_m", "m", "length of outer and inner borders along the pixels' edges", 1),
    Field("probability_mean", "", "mean landslide probability of its pixels, 0 to 1", 4),
    Field("probability_max", "", "highest landslide probability of its pixels, 0 to 1", 4),
    Field("slope_mean_deg", "°", "mean slope of the ground", 2),
    Field("slope_max_deg", "°", "steepest slope of the ground", 2),
    Field("relief_m", "m", "highest minus lowest elevation", 1),
    Field("fall_aspect_deg", "°", "direction down the plane fitted to the ground, clockwise from grid north", 1),
    Field("length_m", "m", "extent along the fall line (where unknown: long side of the smallest rectangle)", 1),
    Field("width_m", "m", "extent across the fall line (where unknown: short side of the smallest rectangle)", 1),
    Field("runout_m", "m", "horizontal distance from crown to toe", 1),
    Field("crown_x", "m", "easting of the crown, the highest pixel", 1),
    Field("crown_y", "m", "northing of the crown", 1),
    Field("toe_x", "m", "easting of the toe, the lowest pixel", 1),
    Field("toe_y", "m", "northing of the toe", 1),
    Field("volume_m3", "m³", "volume by area, Guzzetti et al. (2009): 0.074 A^1.450", 0),
    Field("volume_low_m3", "m³", "lowest volume of the published relations in use", 0),
    Field("volume_high_m3", "m³", "highest volume of the published relations in use", 0),
    Field("confidence", "", "low, medium, high: thirds of the way of the mean probability from threshold to 1"),
)

DIGITS = {field.name: field.digits for field in FIELDS}
COMMENTS = {field.name: field.comment for field in FIELDS}

CONFIDENCE = ("low", "medium", "high")

UNMAPPED_COMMENTS = {
    "reason": "why nothing could be mapped here",
    "area_m2": "area in the map's projection [m²]",
}
