"""Where the sun stands, and how it lights a slope."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from landslip.simulate.fields import Field2D
from landslip.simulate.flow import cast_shadow
from landslip.simulate.relief import PIXEL_M

_DIFFUSE = (0.30, 0.22, 0.17, 0.10)
"""Share of skylight in the light on level ground, by band."""


@dataclass(frozen=True)
class Sun:
    """Position of the sun, in degrees; the azimuth is clockwise from north."""

    elevation_deg: float
    azimuth_deg: float


def sun_at(time: datetime, longitude: float, latitude: float) -> Sun:
    """Position of the sun.

    Parameters
    ----------
    time
        With its time zone.
    longitude, latitude
        In degrees.

    References
    ----------
    Spencer, J. W. (1971). Fourier series representation of the position of the sun. Search 2, 172.
    """
    moment = time.astimezone(UTC)
    hours = moment.hour + moment.minute / 60 + moment.second / 3600
    g = 2 * math.pi * (moment.timetuple().tm_yday - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * math.cos(g)
        + 0.070257 * math.sin(g)
        - 0.006758 * math.cos(2 * g)
        + 0.000907 * math.sin(2 * g)
        - 0.002697 * math.cos(3 * g)
        + 0.00148 * math.sin(3 * g)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * math.cos(g)
        - 0.032077 * math.sin(g)
        - 0.014615 * math.cos(2 * g)
        - 0.040849 * math.sin(2 * g)
    )
    angle = math.radians(15 * (hours - 12) + longitude + minutes / 4)
    lat = math.radians(latitude)
    east = -math.cos(declination) * math.sin(angle)
    north = math.sin(declination) * math.cos(lat) - math.cos(declination) * math.sin(lat) * math.cos(angle)
    up = math.sin(declination) * math.sin(lat) + math.cos(declination) * math.cos(lat) * math.cos(angle)
    return Sun(math.degrees(math.asin(up)), math.degrees(math.atan2(east, north)) % 360)


def light(z: Field2D, sun: Sun) -> tuple[Field2D, Field2D]:
    """Direct light relative to level ground, and share of the sky seen.

    Parameters
    ----------
    z
        (rows, cols) elevation in metres at 10 m.
    sun
        Position of the sun.

    Returns
    -------
    direct, sky
        (rows, cols) cosine of incidence (0 in shadow) and view of the sky (0 to 1).
    """
    height, azimuth = math.radians(sun.elevation_deg), math.radians(sun.azimuth_deg)
    south, east = np.gradient(z, PIXEL_M)
    up = 1 / np.sqrt(1 + south * south + east * east)
    towards = math.cos(height) * (-east * math.sin(azimuth) + south * math.cos(azimuth)) + math.sin(height)
    step_e, step_s = math.sin(azimuth), -math.cos(azimuth)
    longest = max(abs(step_e), abs(step_s))
    rise = PIXEL_M / longest * math.tan(height)
    reach = min(200, int((float(z.max()) - float(z.min())) / rise) + 1)
    depth = cast_shadow(z, step_e / longest, step_s / longest, rise, reach)
    direct = np.clip(up * towards, 0, None) * np.exp(-depth / 3)
    return direct.astype(np.float32), ((1 + up) / 2).astype(np.float32)


def illumination(direct: Field2D, sky: Field2D, sun: Sun, band: int) -> Field2D:
    """Light on a slope relative to level ground in a band (0 to 3): direct by the cosine, plus skylight."""
    diffuse = _DIFFUSE[band]
    level = math.sin(math.radians(sun.elevation_deg))
    factor: Field2D = (1 - diffuse) * direct / level + diffuse * sky
    return factor
