"""A finished map, opened: what its folder holds and says. Imports nothing that predicts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslip.files import read_complete
from landslip.wording import counted

MAP_JSON = "map.json"
LOG_JSON = "log.json"
PROBABILITY = "probability.tif"


@dataclass(frozen=True)
class MapResult:
    """A finished map.

    Parameters
    ----------
    folder
        Where its files are.
    content
        What ``map.json`` says.
    """

    folder: Path
    content: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> MapResult:
        """Open a finished map.

        Raises
        ------
        MissingInputError, FormatError
            Not there, unfinished, damaged or newer.
        """
        return cls(Path(folder), read_complete(folder, MAP_JSON, what="map"))

    @property
    def probability(self) -> Path:
        """The probability raster."""
        return self.folder / PROBABILITY

    @property
    def threshold(self) -> float:
        """Probability from which pixels were landslide."""
        return float(self.content["threshold"])

    @property
    def summary(self) -> str:
        """What was found, in a line or two."""
        areas, counts = self.content["areas_m2"], self.content["counts"]
        text = (
            f"{counted(counts['landslides'], 'landslide')}, {areas['landslides'] / 1e6:.3f} km² of "
            f"{areas['mapped'] / 1e6:.3f} km² mapped"
        )
        missing = [f"{reason} {area / 1e6:.3f} km²" for reason, area in areas["unmapped"].items()]
        return text + (f"; not mapped: {', '.join(missing)}" if missing else "")
