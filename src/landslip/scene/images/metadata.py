"""Sentinel-2 product metadata (``MTD_MSIL2A.xml``, ``MTD_MSIL1C.xml``): what a scene needs of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from landslip.errors import InputError
from landslip.scene.images.names import NUMBERS
from landslip.scene.images.radiometry import OFFSET_SINCE, Radiometry, by_baseline, parse_baseline

BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Band numbers in the order of the metadata's ``band_id``."""


@dataclass(frozen=True)
class ProductMetadata:
    """What the product metadata say.

    Parameters
    ----------
    level
        ``"L2A"`` or ``"L1C"``.
    baseline
        Such as ``"05.09"``, or None.
    date
        Day of acquisition, or None.
    quantification
        Divisor of digital numbers, or None.
    offsets
        Number added to the digital numbers of each band (``B02`` …); empty where there is no list.
    images
        Image files of the product, relative and without suffix.
    """

    level: str | None
    baseline: str | None
    date: str | None
    quantification: float | None
    offsets: dict[str, float] = field(default_factory=dict)
    images: tuple[str, ...] = ()

    def radiometry(self, band: str, where: str) -> tuple[Radiometry, list[str]]:
        """Return the radiometry of a band, with a remark where the metadata contradict themselves."""
        number = NUMBERS.get(band, "")
        parsed = parse_baseline(self.baseline)
        due = parsed is not None and parsed >= OFFSET_SINCE
        if self.quantification is None:
            return by_baseline(self.baseline or "", where), []
        if not self.offsets and due:
            remark = f"{where}: baseline {self.baseline} without a list of offsets; -1000 is taken, see --offset"
            return Radiometry(-1000.0, self.quantification, "from the product metadata"), [remark]
        offset = self.offsets.get(number, 0.0)
        remarks = []
        if due != (offset != 0):
            remarks.append(
                f"{where}: baseline {self.baseline} and offset {offset:g} contradict each other; "
                "the offset is believed, see --offset"
            )
        return Radiometry(offset, self.quantification, "from the product metadata"), remarks


def parse_metadata(content: bytes, *, where: str) -> ProductMetadata:
    """Parse product metadata, without entities or references outward.

    Raises
    ------
    InputError
        Not XML, XML with entities, or not Sentinel-2's.
    """
    root = parse_xml(content, where=where)
    name = _local(root)
    if "Level-2A" not in name and "Level-1C" not in name:
        message = f"{where}: not the metadata of a Sentinel-2 product (root element {name!r}); check the product"
        raise InputError(message)
    values = {_local(element): (element.text or "").strip() for element in root.iter()}
    start = values.get("PRODUCT_START_TIME") or values.get("DATATAKE_SENSING_START") or ""
    return ProductMetadata(
        level="L2A" if "Level-2A" in name else "L1C",
        baseline=values.get("PROCESSING_BASELINE") or None,
        date=start[:10] or None,
        quantification=_number(
            values.get("BOA_QUANTIFICATION_VALUE") or values.get("QUANTIFICATION_VALUE"), where, "quantification"
        ),
        offsets=_offsets(root, where),
        images=tuple((e.text or "").strip() for e in root.iter() if _local(e) in ("IMAGE_FILE", "IMAGE_FILE_2A")),
    )


def parse_xml(content: bytes, *, where: str) -> Element:
    """Parse XML from outside.

    Raises
    ------
    InputError
        Not well-formed, or with a document type or entities (which could be made to exhaust memory).
    """
    try:
        root: Element = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        message = f"{where}: XML with entities or a document type, as no Sentinel-2 product has; do not trust it"
        raise InputError(message) from error
    except (ParseError, ValueError, LookupError) as error:
        message = f"{where}: not XML ({error}); the metadata are damaged, fetch the product again"
        raise InputError(message) from error
    return root


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _offsets(root: Element, where: str) -> dict[str, float]:
    offsets = {}
    for element in root.iter():
        if _local(element) not in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
            continue
        position = element.get("band_id", "")
        value = _number(element.text, where, "offset")
        if not position.isdigit() or int(position) >= len(BAND_IDS) or value is None:
            message = f"{where}: offset of unknown band {position!r}; the metadata are damaged, fetch the product again"
            raise InputError(message)
        offsets[BAND_IDS[int(position)]] = value
    return offsets


def _number(text: str | None, where: str, what: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        message = f"{where}: {what} {text.strip()!r} is not a number; the metadata are damaged, fetch the product again"
        raise InputError(message) from error
