"""Taking the terrain's own light and shade out of an image: the C-correction.

References
----------
Teillet, P. M., Guindon, B., & Goodenough, D. G. (1982). On the slope-aspect correction of multispectral
scanner data. Canadian Journal of Remote Sensing 8(2), 84-106.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.scene.elevation.elevation import Elevation
from landslip.windows import Window, split_windows

log = logging.getLogger(__name__)

STEEP_DEG = 5.0
"""Only steeper ground takes part in the fit: on flat ground light does not vary."""

LEAST_PIXELS = 1000
"""Fewer sloping pixels cannot settle a fit."""

_PLACE, _PLACES = 512, 24
"""Edge in pixels and number of the places on which the constants are fitted."""

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


@dataclass(frozen=True)
class Illumination:
    """The correction of one image on its scene.

    Parameters
    ----------
    elevation
        The terrain.
    sun
        Azimuth and elevation of the sun in degrees.
    correction
        Constants of the bands.
    """

    elevation: Elevation
    sun: tuple[float, float]
    correction: CCorrection

    @classmethod
    def fit(
        cls,
        elevation: Elevation,
        sun: tuple[float, float],
        bands: tuple[str, ...],
        read: Callable[[Window], NDArray[np.float32]],
    ) -> Illumination:
        """Fit the constants on places spread over the scene.

        Parameters
        ----------
        read
            Gives the reflectance of a window, ``(bands, rows, cols)``, NaN where invalid.
        """
        fitted = CFit(bands)
        for window in _spread(elevation.grid.shape):
            lit, slope_deg = elevation.lit(window, sun)
            fitted.add(dict(zip(bands, read(window), strict=True)), lit, slope_deg)
        return cls(elevation, sun, fitted.correction(sun[1]))

    def apply(self, window: Window, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct the reflectance of a window, ``(bands, rows, cols)``."""
        names = tuple(self.correction.constants)
        lit, _ = self.elevation.lit(window, self.sun)
        corrected = self.correction.apply(dict(zip(names, pixels, strict=True)), lit)
        return np.stack([corrected[name] for name in names])

    def to_dict(self) -> dict[str, Any]:
        """Return sun and constants as JSON types."""
        constants = {name: None if c is None else round(c, 5) for name, c in self.correction.constants.items()}
        return {"sun_azimuth_deg": self.sun[0], "sun_elevation_deg": self.sun[1], "c": constants}


def _spread(shape: tuple[int, int]) -> list[Window]:
    windows = list(split_windows(shape, (_PLACE, _PLACE)))
    step = max(1, len(windows) // _PLACES)
    return windows[::step]


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
