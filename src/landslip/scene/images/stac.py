"""STAC items, local or by URL: assets to bands, and whether the offset was applied already."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from landslip.errors import InputError
from landslip.files import require_file
from landslip.files.places import address_of, http, joined, read_bytes, size_of
from landslip.scene.images.bandfiles import open_band
from landslip.scene.images.image import BandFile, Image, band_label, check_image
from landslip.scene.images.names import CLASSES, CORE, EXTRA, REQUIRED, bands_in
from landslip.scene.images.radiometry import (
    OFFSET,
    OFFSET_SINCE,
    QUANTIFICATION,
    Radiometry,
    by_baseline,
    parse_baseline,
)

MAX_ITEM_BYTES = 32 << 20

FINEST_M = 10.0
"""Pixel size of an asset that states none."""

_NO_PIXELS = {"thumbnail", "overview", "visual", "metadata"}


@dataclass(frozen=True)
class _Asset:
    band: str
    key: str
    path: str
    content: Mapping[str, Any]

    @property
    def rank(self) -> tuple[float, bool, str]:
        """Order of preference: finest, GeoTIFF before JP2, name."""
        transform = self.content.get("proj:transform") or (FINEST_M,)
        gsd = self.content.get("gsd") or _nested(self.content, "spatial_resolution") or transform[0]
        return float(gsd), self.path.lower().partition("?")[0].endswith(".jp2"), self.key


def is_item(path: str) -> bool:
    """Whether a path or URL is to be read as a STAC item."""
    bare = path.partition("?")[0]
    if path.startswith(("http://", "https://")):
        return Path(bare).suffix.lower() not in (".tif", ".tiff", ".jp2", ".vrt")
    return Path(bare).suffix.lower() in (".json", ".geojson")


def read_item(path: str, *, extra: Sequence[str] = (), what: str = "image") -> Image:
    """Describe the image of a STAC item.

    Parameters
    ----------
    path
        File or URL. Assets beside a local item, under the name that ends their address, go before the
        addresses themselves.
    extra
        20 m bands that are wanted.
    what
        Word for messages.

    Raises
    ------
    MissingInputError, RemoteError
        The item is not there or cannot be fetched.
    InputError
        It is no STAC item, or lacks a band.
    """
    item = _load(path)
    name = str(item.get("id") or Path(path).stem)
    properties = item.get("properties") if isinstance(item.get("properties"), dict) else {}
    assert isinstance(properties, dict)  # for the type checker
    assets = choose_assets(assets_of(item, path), (*CORE, *extra), where=path)
    remarks: list[str] = []
    bands: dict[str, BandFile] = {}
    for band, asset in assets.items():
        opened, _ = open_band(asset.path, band, what=what)
        radiometry, more = radiometry_of(properties, asset.content, where=name)
        bands[band] = replace(opened, nodata=0.0 if opened.nodata is None else opened.nodata, radiometry=radiometry)
        remarks += [remark for remark in more if remark not in remarks and band != CLASSES]
    classes = bands.pop(CLASSES, None)
    local = [p for p in (path, *(asset.path for asset in assets.values())) if "://" not in p]
    return check_image(
        Image(
            name=name,
            bands=bands,
            classes=classes,
            level=_level(item, properties),
            baseline=_baseline(properties),
            date=str(properties.get("datetime") or properties.get("start_datetime") or "")[:10] or None,
            files=tuple(local),
            remarks=tuple(remarks),
        )
    )


def radiometry_of(
    properties: Mapping[str, Any], asset: Mapping[str, Any], *, where: str
) -> tuple[Radiometry, list[str]]:
    """Settle offset and quantification of an asset from everything the item says.

    Parameters
    ----------
    properties
        The item's.
    asset
        The asset, with ``raster:bands`` or ``raster:scale`` and ``raster:offset``.
    where
        For messages.

    Returns
    -------
    tuple
        The radiometry, and remarks on contradictions.

    Notes
    -----
    Earth Search says with ``earthsearch:boa_offset_applied`` whether it has already subtracted the
    offset from the pixels, and goes on to list it in ``raster:bands``: it must not be subtracted twice.
    """
    scale, offset = _nested(asset, "scale"), _nested(asset, "offset")
    quantification = round(1 / scale, 6) if scale else QUANTIFICATION
    listed = None if offset is None else round(offset * quantification, 6)
    baseline = _baseline(properties)
    parsed = parse_baseline(baseline)
    due = None if parsed is None else OFFSET if parsed >= OFFSET_SINCE else 0.0
    applied = properties.get("earthsearch:boa_offset_applied")
    if applied is True:
        remarks = []
        if listed:
            remarks.append(
                f"{where}: raster:bands lists the offset {listed:g}, earthsearch:boa_offset_applied says that it "
                "is applied already; it is not applied again"
            )
        return Radiometry(0.0, quantification, "STAC item, offset applied already"), remarks
    if listed is None and due is None:
        return Radiometry(0.0, quantification, "the STAC item says nothing of it", assumed=True), []
    if listed is None:
        return replace(by_baseline(baseline or "", "the STAC item"), quantification=quantification), []
    if due is not None and listed != due:
        # below baseline 04.00 pixels cannot carry the offset; from it on only a provider who says so took it off
        believed = due if applied is False or due == 0 else listed
        remark = (
            f"{where}: raster:bands says offset {listed:g}, baseline {baseline} implies {due:g}; "
            f"{believed:g} is taken, see --offset"
        )
        return Radiometry(believed, quantification, "STAC item, contradictory"), [remark]
    return Radiometry(listed, quantification, "from the STAC item"), []


def _load(path: str) -> dict[str, Any]:
    if path.startswith(("http://", "https://")):
        item = http().json(path, what="a STAC item")
    else:
        file = require_file(path, what="STAC item")
        if size_of(file) > MAX_ITEM_BYTES:
            message = f"{path}: larger than {MAX_ITEM_BYTES >> 20} MB, no STAC item is; check the path"
            raise InputError(message)
        try:
            item = json.loads(read_bytes(file, what="STAC item").decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            message = f"{path}: not JSON ({error}); give a STAC item"
            raise InputError(message) from error
    if not isinstance(item, dict) or not isinstance(item.get("assets"), dict):
        kind = item.get("type") if isinstance(item, dict) else type(item).__name__
        message = f"{path}: not a STAC item with assets (it is a {kind}); give the address of one item"
        raise InputError(message)
    return item


def assets_of(item: Mapping[str, Any], path: str) -> list[_Asset]:
    """Return the assets of an item that are bands or classes; addresses are made absolute from ``path``."""
    found = []
    for key, content in item["assets"].items():
        if not isinstance(content, dict) or _NO_PIXELS & {str(r).lower() for r in content.get("roles") or ()}:
            continue
        href = content.get("href")
        band = _band_of(str(key), content)
        if isinstance(href, str) and band in (*CORE, *EXTRA, CLASSES):
            found.append(_Asset(band, str(key), _resolve(href, path), content))
    return found


def _band_of(key: str, content: Mapping[str, Any]) -> str | None:
    named = bands_in(key.removesuffix("-jp2"))
    if len(named) == 1:
        return named[0]
    listed: list[Any] = content.get("eo:bands") or content.get("bands") or []
    if len(listed) == 1 and isinstance(listed[0], dict):
        for word in ("name", "common_name", "eo:common_name"):
            told = bands_in(str(listed[0].get(word) or ""))
            if len(told) == 1:
                return told[0]
    return None


def _resolve(href: str, item: str) -> str:
    """Find what an address means: a copy beside a local item, else the address, made absolute."""
    if address_of(item):
        return joined(item, href)
    beside = Path(item).parent / Path(href.partition("?")[0]).name
    if beside.is_file():
        return str(beside)
    if "://" in href or href.startswith("/"):
        return href.removeprefix("file://")
    return str(Path(item).parent / href)


def choose_assets(assets: Sequence[_Asset], wanted: Sequence[str], *, where: str) -> dict[str, _Asset]:
    """Return the best asset of each wanted band, and the classes where there are any."""
    chosen = {}
    for band in (*wanted, CLASSES):
        found = [asset for asset in assets if asset.band == band]
        if found:
            chosen[band] = min(found, key=lambda asset: asset.rank)
        elif band in REQUIRED or (band in EXTRA):
            there = ", ".join(sorted({asset.key for asset in assets})) or "none that is a band"
            message = f"{where}: no asset for band {band_label(band)}; its assets: {there}"
            raise InputError(message)
    return chosen


def _nested(asset: Mapping[str, Any], name: str) -> float | None:
    listed = asset.get("raster:bands") or asset.get("bands") or ()
    first = listed[0] if listed and isinstance(listed[0], dict) else {}
    for holder, key in ((first, name), (first, f"raster:{name}"), (asset, f"raster:{name}")):
        value = holder.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _baseline(properties: Mapping[str, Any]) -> str | None:
    for key in ("s2:processing_baseline", "processing:version"):
        value = properties.get(key)
        if isinstance(value, str) and parse_baseline(value):
            return value
    return None


def _level(item: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    words = (properties.get("s2:product_type"), properties.get("processing:level"), item.get("collection"))
    text = " ".join(str(word) for word in words if word).upper()
    if "1C" in text or "L1" in text.split():
        return "L1C"
    return "L2A" if "2A" in text or "L2" in text.split() else None
