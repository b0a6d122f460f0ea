"""From digital numbers to reflectance: which offset and quantification, and who says so.

Reflectance = (DN + offset) / quantification. Since processing baseline 04.00 (January 2022)
Sentinel-2 products carry an offset of -1000, so that dark pixels are not cut at zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from rasterio.io import DatasetReader

from landslip.errors import InputError

QUANTIFICATION = 10000.0
"""Sentinel-2's factor between reflectance and digital numbers."""

OFFSET_SINCE = (4, 0)
"""Processing baseline from which on the offset is :data:`OFFSET`."""

OFFSET = -1000.0

_BASELINE_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")


@dataclass(frozen=True)
class Radiometry:
    """How the digital numbers of a band become reflectance.

    Parameters
    ----------
    offset
        Added to the digital number.
    quantification
        The sum is divided by it.
    source
        Who said so, in words.
    assumed
        Whether nobody did and it is an assumption.
    """

    offset: float
    quantification: float
    source: str
    assumed: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if not (math.isfinite(self.offset) and math.isfinite(self.quantification) and self.quantification > 0):
            message = (
                f"offset {self.offset:g} and quantification {self.quantification:g} ({self.source}) cannot be; "
                "give --offset and --quantification"
            )
            raise InputError(message)

    @property
    def factors(self) -> tuple[float, float]:
        """Slope and intercept: reflectance = slope * DN + intercept."""
        return 1 / self.quantification, self.offset / self.quantification

    def agrees_with(self, other: Radiometry) -> bool:
        """Whether both give the same reflectance to four digits."""
        return all(
            math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-9) for a, b in zip(self.factors, other.factors, strict=True)
        )

    def words(self) -> str:
        """Describe it in a few words."""
        return f"(DN {self.offset:+g}) / {self.quantification:g}, {self.source}"


def parse_baseline(text: str | None) -> tuple[int, int] | None:
    """Return ``(4, 0)`` for ``"04.00"``; None when there is none or it is not understood."""
    match = re.fullmatch(r"\s*(\d{1,2})\.(\d{2})\s*", text or "")
    return (int(match[1]), int(match[2])) if match else None


def baseline_in_name(name: str) -> str | None:
    """Return ``"04.00"`` from a product name with ``_N0400_``; else None."""
    match = _BASELINE_IN_NAME.search(name)
    return f"{match[1]}.{match[2]}" if match else None


def by_baseline(baseline: str, where: str) -> Radiometry:
    """Radiometry that a processing baseline implies (an assumption: the metadata proper was absent)."""
    parsed = parse_baseline(baseline)
    offset = OFFSET if parsed is not None and parsed >= OFFSET_SINCE else 0.0
    return Radiometry(offset, QUANTIFICATION, f"from baseline {baseline} in {where}", assumed=True)


def of_dataset(dataset: DatasetReader, band: int, *, name: str) -> tuple[Radiometry, list[str]]:
    """Find the radiometry of a band file: its tags, GDAL's scale and offset, its name, else an assumption.

    Parameters
    ----------
    dataset
        Open raster.
    band
        1-based index.
    name
        For messages.

    Returns
    -------
    tuple
        The radiometry, and remarks on contradictions.

    Raises
    ------
    InputError
        The tags are there and are no numbers.
    """
    tags = {**dataset.tags(), **dataset.tags(band)}
    from_tags = _of_tags(tags, name)
    from_gdal = _of_scale(dataset, band)
    if from_tags is not None and from_gdal is not None and not from_tags.agrees_with(from_gdal):
        remark = (
            f"{name}: its tags say {from_tags.words()}, its scale and offset say {from_gdal.words()}; "
            "the tags are believed, give --offset to decide otherwise"
        )
        return from_tags, [remark]
    found = from_tags or from_gdal
    if found is not None:
        return found, []
    if dataset.dtypes[band - 1].startswith("float"):
        return Radiometry(0.0, 1.0, "floating-point pixels without metadata taken as reflectance", assumed=True), []
    baseline = tags.get("PROCESSING_BASELINE") or baseline_in_name(name)
    if baseline:
        return by_baseline(baseline, "the name" if "PROCESSING_BASELINE" not in tags else "its tags"), []
    return Radiometry(0.0, QUANTIFICATION, "no metadata, as before baseline 04.00", assumed=True), []


def _of_tags(tags: Mapping[str, str], name: str) -> Radiometry | None:
    offset = next((tags[k] for k in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET") if k in tags), None)
    keys = ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE")
    quantification = next((tags[k] for k in keys if k in tags), None)
    if offset is None and quantification is None:
        return None
    try:
        values = float(offset or 0), float(quantification or QUANTIFICATION)
    except ValueError as error:
        message = f"{name}: tags BOA_ADD_OFFSET and QUANTIFICATION_VALUE are not numbers; give --offset"
        raise InputError(message) from error
    return Radiometry(*values, "from its tags")


def _of_scale(dataset: DatasetReader, band: int) -> Radiometry | None:
    scale, offset = dataset.scales[band - 1], dataset.offsets[band - 1]
    if (scale, offset) == (1.0, 0.0):
        return None
    if not scale > 0:
        return Radiometry(offset, scale, "from its scale and offset")  # refuses itself with the remedy
    return Radiometry(round(offset / scale, 6), 1 / scale, "from its scale and offset")
