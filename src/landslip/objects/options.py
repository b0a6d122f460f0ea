"""What may be asked of the segmentation, and the checks of what is given to it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landslip.errors import ConfigError, InputError

MAX_PIXELS = 2**31 - 1
"""Object ids are pixel indices in 32 bits."""


@dataclass(frozen=True)
class Options:
    """Checked weights and settings of one segmentation.

    Parameters
    ----------
    scales
        Increasing scales, each of them greater than 0.
    color
        Weight of colour against shape, 0 to 1.
    compactness
        Weight of compactness against smoothness within shape, 0 to 1.
    band_weights
        One weight per band, used as given.
    min_size
        Objects of fewer pixels are joined to their least neighbour after merging; 1 for none.
    threads
        Number of threads, None for all processors. It never changes the result.

    Raises
    ------
    ConfigError
        Anything out of range, in one line.
    """

    scales: tuple[float, ...]
    color: float
    compactness: float
    band_weights: tuple[float, ...]
    min_size: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if not self.scales:
            message = "no scale given; give at least one, for example 30"
            raise ConfigError(message)
        for scale in self.scales:
            if not _is_number(scale) or not 0 < scale < 1e150:
                message = (
                    f"scale is {scale!r}; it must be a number greater than 0 (and less than 1e150), for example 30"
                )
                raise ConfigError(message)
        if any(a >= b for a, b in zip(self.scales, self.scales[1:], strict=False)):
            message = f"scales {list(self.scales)} do not increase; list each once, the smallest first"
            raise ConfigError(message)
        for name in ("color", "compactness"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                message = f"{name} is {value!r}; it is a weight and must lie between 0 and 1"
                raise ConfigError(message)
        for name, least in (("min_size", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is None and name == "threads":
                continue
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                message = f"{name} is {value!r}; it must be a whole number of at least {least}"
                raise ConfigError(message)

    @classmethod
    def checked(
        cls,
        bands: int,
        scales: Sequence[float],
        *,
        color: float = 0.9,
        compactness: float = 0.5,
        band_weights: Sequence[float] | NDArray[np.floating] | None = None,
        min_size: int = 1,
        threads: int | None = None,
    ) -> Options:
        """Make options for an image of ``bands`` bands; weights of None are one over the number of bands."""
        weights = tuple(float(w) for w in band_weights) if band_weights is not None else (1.0 / bands,) * bands
        if len(weights) != bands:
            message = f"{len(weights)} band weights for an image of {bands} bands; give one per band, in order"
            raise ConfigError(message)
        if not all(math.isfinite(w) and w >= 0 for w in weights):
            message = f"band weights {list(weights)}; each must be a number of at least 0"
            raise ConfigError(message)
        if not any(weights):
            message = "all band weights are 0, so that no band would count; give one above 0 at least"
            raise ConfigError(message)
        return cls(tuple(scales), color, compactness, weights, min_size, threads)


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return bands, rows and columns of an image.

    Raises
    ------
    InputError
        Not three axes, an empty axis, or more pixels than 32 bits count.
    """
    if len(shape) != 3 or 0 in shape:
        message = f"image of shape {tuple(shape)}; it must be (bands, rows, cols), none of them 0"
        raise InputError(message)
    bands, rows, cols = (int(n) for n in shape)
    if rows * cols > MAX_PIXELS:
        message = (
            f"image of {rows:,} x {cols:,} pixels; object ids are 32-bit, which allows {MAX_PIXELS:,} pixels: "
            "segment it in parts, or resample it to larger pixels"
        )
        raise InputError(message)
    return bands, rows, cols


def check_image(image: ArrayLike) -> NDArray[np.float32]:
    """Return the image as float32 ``(bands, rows, cols)``, in C order, without a copy where it is so already."""
    pixels = np.asarray(image)
    check_shape(pixels.shape)
    if pixels.dtype.kind not in "buif":
        message = f"image of type {pixels.dtype}; it must hold real numbers"
        raise InputError(message)
    return np.ascontiguousarray(pixels, np.float32)


def check_plane(plane: ArrayLike | None, shape: tuple[int, int], name: str) -> NDArray[np.generic] | None:
    """Return ``valid`` (as bool) or ``regions`` (as integers) of the image's rows and columns.

    Raises
    ------
    InputError
        Another shape, or numbers that are not whole.
    """
    if plane is None:
        return None
    pixels = np.asarray(plane)
    if pixels.shape != shape:
        message = f"{name} of shape {pixels.shape} beside an image of {shape}; both must have the same rows and columns"
        raise InputError(message)
    if pixels.dtype.kind not in "bui":
        message = f"{name} of type {pixels.dtype}; it must hold {'booleans' if name == 'valid' else 'whole numbers'}"
        raise InputError(message)
    return pixels.astype(np.bool_, copy=False) if name == "valid" else pixels


def check_valid(valid: ArrayLike | None, image: ArrayLike, shape: tuple[int, int]) -> NDArray[np.generic] | None:
    """Return ``valid`` as :func:`check_plane` does; what a masked image masks in any band is invalid as well."""
    given = check_plane(valid, shape, "valid")
    if not np.ma.is_masked(image):
        return given
    shown = np.asarray(~np.ma.getmaskarray(np.ma.asarray(image)).any(axis=0), np.bool_)
    return shown if given is None else np.asarray(np.logical_and(shown, given))


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(float(value))
