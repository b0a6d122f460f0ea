"""Which pixels of an image are usable, by the scene classification of Level-2A products."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

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
