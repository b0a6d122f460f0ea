"""Slope and other terrain layers, on the elevation model's own grid and in metres on the ground.

Everything here takes a whole array (or a window with its halo) and returns arrays of the same shape;
reading files and moving the result to a scene's grid is the work of :mod:`landslip.scene.elevation`.
"""

from landslip.terrain.ground import MAX_DISTORTION, Ground, Steps
from landslip.terrain.measures import (
    METRES,
    ZUnit,
    as_metres,
    aspect_of,
    curvature_on,
    gradient,
    gradient_on,
    hillshade_of,
    illumination_of,
    local_relief,
    slope,
    slope_of,
)

__all__ = [
    "MAX_DISTORTION",
    "METRES",
    "Ground",
    "Steps",
    "ZUnit",
    "as_metres",
    "aspect_of",
    "curvature_on",
    "gradient",
    "gradient_on",
    "hillshade_of",
    "illumination_of",
    "local_relief",
    "slope",
    "slope_of",
]
