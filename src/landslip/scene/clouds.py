"""Which pixels of an image are usable, by the scene classification of Level-2A products."""

from __future__ import annotations

import functools
import logging
from typing import Literal, get_args

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

log = logging.getLogger(__name__)

ClassName = Literal[
    "nodata",
    "saturated",
    "dark",
    "cloud-shadow",
    "vegetation",
    "bare",
    "water",
    "unclassified",
    "cloud-medium",
    "cloud-high",
    "cirrus",
    "snow",
]

CLASS_NUMBERS: dict[str, int] = {name: number for number, name in enumerate(get_args(ClassName))}
"""Values of the scene classification layer (Sen2Cor Algorithm Theoretical Basis Document, table of classes)."""

INVALID: tuple[ClassName, ...] = ("nodata", "saturated", "cloud-shadow", "cloud-medium", "cloud-high", "cirrus")
"""Left out by default; snow is left out by option, dark areas (terrain shadow) stay."""

DEFECTS = (CLASS_NUMBERS["nodata"], CLASS_NUMBERS["saturated"])
"""Classes that are no weather and are not dilated."""


def as_classes(numbers: NDArray[np.float32], valid: NDArray[np.bool_], path: str) -> NDArray[np.uint8]:
    """Turn the numbers of a classification file into classes; what is no class is unclassified, with a warning."""
    known = numbers <= max(CLASS_NUMBERS.values())
    if not known[valid].all():
        _warn_of_unknown(path)
    classes = np.where(valid & known, numbers, CLASS_NUMBERS["unclassified"])
    classes[~valid] = CLASS_NUMBERS["nodata"]
    return classes.astype(np.uint8)


@functools.cache
def _warn_of_unknown(path: str) -> None:
    log.warning("%s: values beyond 11 are no classes of a scene classification; taken as unclassified (usable)", path)


def clear_sky(classes: NDArray[np.uint8], invalid: tuple[ClassName, ...], dilate: int) -> NDArray[np.bool_]:
    """Return where the sky is clear.

    Parameters
    ----------
    classes
        ``(rows, cols)`` uint8, scene classification on the scene grid.
    invalid
        Classes that are left out.
    dilate
        Clouds and shadows grow by this many pixels on every side (a square, so that the result does not
        depend on how the grid is turned).

    Returns
    -------
    ndarray
        ``(rows, cols)`` bool.
    """
    numbers = [CLASS_NUMBERS[name] for name in invalid]
    defect = np.isin(classes, [n for n in numbers if n in DEFECTS])
    weather = np.isin(classes, [n for n in numbers if n not in DEFECTS])
    if dilate:
        weather = scipy.ndimage.maximum_filter(weather.view(np.uint8), size=2 * dilate + 1, mode="constant") > 0
    clear: NDArray[np.bool_] = ~(weather | defect)
    return clear
