"""Where the patches of a data set lie, and what bands are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.errors import InputError
from landslip.wording import counted

LANDSLIDE4SENSE = (
    "coastal", "blue", "green", "red", "re1", "re2", "re3", "nir", "watervapour", "cirrus", "swir1", "swir2",
    "slope", "elevation",
)  # fmt: skip
"""The 14 channels of Landslide4Sense: twelve of Sentinel-2, then slope and elevation."""

_BY_COUNT = {1: ("gray",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "nir"), 14: LANDSLIDE4SENSE}
"""What bands are taken to be when nobody says."""


@dataclass(frozen=True)
class Places:
    """Place of each patch, ``(n,)`` each: region, row and column in its grid, and the supplied part, if any."""

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    region: NDArray[np.int32]
    split: NDArray[np.str_] | None = None
    known: bool = True
    """Whether the data say where patches lie; else places are a guess from their order."""
    shared: bool = False
    """Whether patches overlap, so that only the supplied part keeps what is scored out of training."""


def band_names(given: Sequence[str] | None, count: int, where: object) -> tuple[str, ...]:
    """Name the bands as given, or by their number: 1, 3 (red, green, blue), 4 (and nir), 14 (Landslide4Sense).

    Raises
    ------
    InputError
        Not one name per band, a name twice, or no name and another number.
    """
    if given is None:
        if count not in _BY_COUNT:
            message = f"{where}: {counted(count, 'band')} without names; add their names (.npz: an array 'bands')"
            raise InputError(message)
        return _BY_COUNT[count]
    if len(given) != count or len(set(given)) != count:
        message = (
            f"{where}: {counted(len(given), 'band name')} for {counted(count, 'band')}, or a name twice; name each once"
        )
        raise InputError(message)
    return tuple(given)


def find_folder(path: Path, names: Sequence[str]) -> Path | None:
    """Find the first of the sub-folders ``names`` that is there."""
    return next((path / name for name in names if (path / name).is_dir()), None)


def number_in(name: str) -> int:
    """Return the last number in a file name, 0 without one; for sorting and for places in a row."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else 0
