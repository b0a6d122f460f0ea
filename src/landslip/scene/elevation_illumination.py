"""Taking the terrain's own light and shade out of an image: the C-correction.

References
----------
Teillet, P. M., Guindon, B., & Goodenough, D. G. (1982). On the slope-aspect correction of multispectral
scanner data. Canadian Journal of Remote Sensing 8(2), 84-106.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

STEEP_DEG = 5.0
"""Only steeper ground takes part in the fit: on flat ground light does not vary."""

LEAST_PIXELS = 1000
"""Fewer sloping pixels cannot settle a fit."""

LARGEST_FACTOR = 3.0
"""No pixel is changed by more than this factor: in deep shade there is nothing left to be amplified."""


@dataclass
class CFit:
    """Sums for the regression of each band on the cosine of the sun's incidence; windows add to it.

    Parameters
    ----------
    bands
        Names.
    """

    bands: tuple[str, ...]

    def __post_init__(self) -> None:
        """Start from nothing."""
        self._sums = np.zeros((len(self.bands), 5))

    def add(
        self,
        pixels: Mapping[str, NDArray[np.float32]],
        illumination: NDArray[np.float32],
        slope_deg: NDArray[np.float32],
        usable: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add a window.

        Parameters
        ----------
        pixels
            Reflectance of each band, ``(rows, cols)``, NaN where invalid.
        illumination
            Cosine of the angle between sun and normal (terrain layer ``illumination``).
        slope_deg
            Slope.
        usable
            Pixels of one kind of cover, if that is known (vegetation); all by default.
        """
        with np.errstate(invalid="ignore"):
            chosen = (slope_deg > STEEP_DEG) & (illumination > 0)
        if usable is not None:
            chosen &= usable
        for sums, name in zip(self._sums, self.bands, strict=True):
            here = chosen & np.isfinite(pixels[name])
            x, y = illumination[here].astype(np.float64), pixels[name][here].astype(np.float64)
            sums += (x.size, x.sum(), y.sum(), (x * x).sum(), (x * y).sum())

    def correction(self, sun_elevation_deg: float) -> CCorrection:
        """Return the correction that the sums give; bands that do not follow the light stay as they are."""
        constants: dict[str, float | None] = {}
        for sums, name in zip(self._sums, self.bands, strict=True):
            constants[name] = _constant(*sums)
            if constants[name] is None:
                log.warning("%s does not follow the terrain's light; it is not corrected", name)
        return CCorrection(constants, float(np.sin(np.radians(sun_elevation_deg))))


@dataclass(frozen=True)
class CCorrection:
    """``reflectance (cos z + c) / (cos i + c)`` with one constant per band.

    Parameters
    ----------
    constants
        c of each band; None for bands that are left as they are.
    flat
        Cosine of the sun's zenith angle, which is the illumination of flat ground.
    """

    constants: Mapping[str, float | None]
    flat: float

    def apply(
        self, pixels: Mapping[str, NDArray[np.float32]], illumination: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        """Correct a window; NaN where the band or the terrain is invalid."""
        corrected = {}
        lit = np.maximum(illumination, 0)
        for name, values in pixels.items():
            c = self.constants.get(name)
            if c is None:
                corrected[name] = values
                continue
            factor = np.minimum((self.flat + c) / np.maximum(lit + c, 1e-6), LARGEST_FACTOR)
            corrected[name] = (values * factor).astype(np.float32)
        return corrected


def _constant(count: float, x: float, y: float, xx: float, xy: float) -> float | None:
    """Intercept over slope of the regression; None where the band does not brighten towards the sun."""
    if count < LEAST_PIXELS:
        return None
    variance = xx / count - (x / count) ** 2
    covariance = xy / count - (x / count) * (y / count)
    if variance < 1e-6 or covariance <= 0:
        return None
    gain = covariance / variance
    constant = float((y - gain * x) / count / gain)
    return constant if constant > -0.1 else None  # far below zero the formula would divide by nothing
