"""What the ground reflects: classes, their spectra and how much they vary.

Surface reflectance in B02, B03, B04, B08. How the numbers were measured stands in ``docs/simulation.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BANDS = ("B02", "B03", "B04", "B08")
"""Order of the bands everywhere in this room."""


class Cover(IntEnum):
    """Land cover, as in ``truth/landcover.tif``."""

    BROADLEAF = 1
    CONIFER = 2
    SCRUB = 3
    GRASS = 4
    CROP = 5
    STUBBLE = 6
    BARE_FIELD = 7
    GRAVEL = 8
    WATER = 9
    ROAD = 10
    BUILT = 11
    QUARRY = 12
    CLEAR_CUT = 13
    BARE_ROCK = 14
    LANDSLIDE = 15


@dataclass(frozen=True)
class Material:
    """Spectrum and variability of a class.

    Parameters
    ----------
    reflectance
        Mean in B02, B03, B04, B08.
    fine, coarse
        Relative standard deviation of its texture from pixel to pixel, and from place to place.
    parcel
        Relative standard deviation between parcels or stands.
    soil
        How far it takes on the colour of the soil of the place, 0 to 1.
    """

    reflectance: tuple[float, float, float, float]
    fine: float
    coarse: float
    parcel: float
    soil: float = 0.0


MATERIALS: dict[Cover, Material] = {
    Cover.BROADLEAF: Material((0.027, 0.048, 0.030, 0.310), 0.12, 0.07, 0.07),
    Cover.CONIFER: Material((0.020, 0.033, 0.021, 0.205), 0.13, 0.06, 0.09),
    Cover.SCRUB: Material((0.034, 0.056, 0.047, 0.265), 0.10, 0.14, 0.10),
    Cover.GRASS: Material((0.039, 0.069, 0.054, 0.320), 0.05, 0.12, 0.14),
    Cover.CROP: Material((0.035, 0.063, 0.042, 0.390), 0.04, 0.07, 0.18),
    Cover.STUBBLE: Material((0.058, 0.086, 0.104, 0.260), 0.04, 0.09, 0.16, 0.4),
    Cover.BARE_FIELD: Material((0.068, 0.091, 0.122, 0.200), 0.04, 0.10, 0.24, 0.9),
    Cover.GRAVEL: Material((0.098, 0.118, 0.132, 0.180), 0.09, 0.20, 0.0, 0.3),
    Cover.WATER: Material((0.040, 0.048, 0.034, 0.022), 0.04, 0.10, 0.0),
    Cover.ROAD: Material((0.086, 0.102, 0.116, 0.165), 0.06, 0.15, 0.0, 0.4),
    Cover.BUILT: Material((0.098, 0.108, 0.116, 0.185), 0.32, 0.10, 0.10),
    Cover.QUARRY: Material((0.115, 0.138, 0.158, 0.210), 0.12, 0.16, 0.12, 0.4),
    Cover.CLEAR_CUT: Material((0.050, 0.070, 0.084, 0.215), 0.12, 0.22, 0.24, 0.5),
    Cover.BARE_ROCK: Material((0.078, 0.096, 0.112, 0.180), 0.14, 0.20, 0.14, 0.6),
    Cover.LANDSLIDE: Material((0.074, 0.101, 0.141, 0.212), 0.10, 0.14, 0.22, 1.0),
}
"""All classes."""

SOILS: NDArray[np.float32] = np.array(
    [
        [1.00, 1.00, 1.00, 1.00],  # ochre
        [1.22, 1.18, 1.12, 1.02],  # pale pumice and tuff
        [1.18, 1.06, 0.90, 0.86],  # grey sandstone and shale
        [0.84, 0.88, 1.02, 0.98],  # red weathered granite
        [0.62, 0.62, 0.64, 0.72],  # dark volcanic humus
    ],
    dtype=np.float32,
)
"""Colours of soil relative to the ochre one: (kinds, bands)."""

SENESCENCE: NDArray[np.float32] = np.array([1.06, 1.03, 1.42, 0.86], dtype=np.float32)
"""What a fully turned leaf does to a forest's reflectance."""


def table() -> NDArray[np.float32]:
    """Reflectance by class number: (classes + 1, bands)."""
    values = np.zeros((max(Cover) + 1, len(BANDS)), np.float32)
    for cover, material in MATERIALS.items():
        values[cover] = material.reflectance
    return values


def column(name: str) -> NDArray[np.float32]:
    """One number per class (``fine``, ``coarse``, ``parcel`` or ``soil``): (classes + 1,)."""
    values = np.zeros(max(Cover) + 1, np.float32)
    for cover, material in MATERIALS.items():
        values[cover] = getattr(material, name)
    return values
