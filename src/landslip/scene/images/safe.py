"""Sentinel-2 products as the archives deliver them: ``.SAFE`` folders, and zip archives without unpacking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from landslip.errors import InputError
from landslip.scene.images.bandfiles import date_in, open_band
from landslip.scene.images.image import BandFile, Image, band_label, check_image
from landslip.scene.images.metadata import ProductMetadata, parse_metadata
from landslip.scene.images.names import CLASSES, CORE, EXTRA, band_named
from landslip.scene.images.radiometry import QUANTIFICATION, Radiometry, baseline_in_name, by_baseline
from landslip.scene.images.tree import Tree

_IMAGE = re.compile(r"_(?P<band>B\d{2}|B8A|SCL)(_(?P<metres>10|20|60)m)?\.(jp2|tiff?)$", re.IGNORECASE)
_GRANULE = re.compile(r"^(?P<root>.*?/)?GRANULE/(?P<granule>[^/]+)/(?P<rest>.+)$")
_TIME = re.compile(r"\d{8}T\d{6}")
_NAME = re.compile(r"(S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_N\d{4}_R\d{3}_T\w{5}_\d{8}T\d{6})")


@dataclass(frozen=True)
class _Product:
    """Where a product lies in a tree."""

    tree: Tree
    root: str
    granule: str
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Product name, or what stands for it."""
        for text in (PurePosixPath(self.root).name, self.tree.path.name):
            if match := _NAME.search(text):
                return match[1]
        return PurePosixPath(self.root).name or self.tree.path.name

    @property
    def where(self) -> str:
        """Name for messages."""
        return str(self.tree.path) if not self.root else f"{self.tree.path}/{self.root.rstrip('/')}"


def is_product(tree: Tree) -> bool:
    """Whether a folder or archive holds a Sentinel-2 product."""
    names = tree.names()
    return any(_GRANULE.match(name) or _is_metadata(name) for name in names) or tree.path.name.endswith(".SAFE")


def read_product(tree: Tree, *, extra: Sequence[str] = (), what: str = "image") -> Image:
    """Describe a product.

    Parameters
    ----------
    tree
        Folder or archive.
    extra
        20 m bands that are wanted.
    what
        Word for messages.

    Raises
    ------
    InputError
        No granule or several, a band missing or ambiguous, metadata damaged.
    """
    product = _find(tree)
    metadata, metadata_file = _metadata(product)
    level = _level(product, metadata)
    chosen = _choose_files(product, metadata, (*CORE, *extra))
    remarks = _contradictions(product, metadata)
    bands: dict[str, BandFile] = {}
    for name, file in chosen.items():
        band, _ = open_band(tree.gdal_path(file), name, what=what)
        bands[name], more = _with_radiometry(band, product, metadata)
        remarks += [remark for remark in more if remark not in remarks]
    classes = bands.pop(CLASSES, None)
    used = [*chosen.values(), *([metadata_file] if metadata_file else [])]
    return check_image(
        Image(
            name=product.name,
            bands=bands,
            classes=classes,
            level=level,
            baseline=(metadata.baseline if metadata else None) or baseline_in_name(f"{product.name}_"),
            date=(metadata.date if metadata else None) or date_in(product.name),
            files=tree.local_files(used),
            remarks=tuple(remarks),
        )
    )


def _find(tree: Tree) -> _Product:
    granules: dict[tuple[str, str], list[str]] = {}
    for name in tree.names():
        match = _GRANULE.match(name)
        if match and _IMAGE.search(name):
            granules.setdefault((match["root"] or "", match["granule"]), []).append(name)
    if not granules:
        message = f"{tree.path}: a Sentinel-2 product without image files (GRANULE/*/IMG_DATA/*.jp2); fetch it again"
        raise InputError(message)
    roots = sorted({root for root, _ in granules})
    if len(roots) > 1:
        message = f"{tree.path}: holds {len(roots)} products ({roots[0]}, {roots[1]} …); give each by itself"
        raise InputError(message)
    if len(granules) > 1:
        names = sorted(granule for _, granule in granules)
        message = (
            f"{tree.path}: product with {len(granules)} granules ({names[0]}, {names[1]} …), as before December 2016; "
            "fetch the single-tile product, or give the band files of one granule"
        )
        raise InputError(message)
    ((root, granule), files) = next(iter(granules.items()))
    return _Product(tree, root, granule, tuple(files))


def _is_metadata(name: str) -> bool:
    return re.fullmatch(r"(MTD_MSIL(1C|2A)|S2\w_\w+_MTD_SAFL(1C|2A)_\w+)\.xml", PurePosixPath(name).name) is not None


def _metadata(product: _Product) -> tuple[ProductMetadata | None, str | None]:
    for name in product.tree.names():
        path = PurePosixPath(name)
        if _is_metadata(name) and f"{path.parent}/" in (product.root, "./"):
            return parse_metadata(product.tree.read(name), where=f"{product.tree.path}/{name}"), name
    return None, None


def _level(product: _Product, metadata: ProductMetadata | None) -> str | None:
    if metadata is not None:
        return metadata.level
    text = f"{product.name}/{product.granule}"
    return next((level for level in ("L2A", "L1C") if level in text), None)


def _choose_files(product: _Product, metadata: ProductMetadata | None, wanted: Iterable[str]) -> dict[str, str]:
    """Pick the finest file of each wanted band (and the classes where there are any)."""
    candidates = _own_files(product, metadata)
    chosen = {}
    for band in (*wanted, CLASSES):
        found = [(metres, name) for metres, held, name in candidates if held == band]
        if not found:
            if band == CLASSES:
                continue
            hint = "fetch the product again" if band in CORE else "leave it out of --extra-bands"
            message = f"{product.where}: band {band_label(band)} is missing from the product; {hint}"
            raise InputError(message)
        finest = min(metres for metres, _ in found)
        names = [name for metres, name in found if metres == finest]
        if len(names) > 1:
            message = (
                f"{product.where}: two files for band {band_label(band)}: {PurePosixPath(names[0]).name} and "
                f"{PurePosixPath(names[1]).name}; remove the one that does not belong to the product"
            )
            raise InputError(message)
        chosen[band] = names[0]
    return chosen


def _own_files(product: _Product, metadata: ProductMetadata | None) -> list[tuple[int, str, str]]:
    """List resolution, band and name of the image files that belong to the product."""
    listed = {PurePosixPath(image).name for image in metadata.images} if metadata else set()
    taken = _TIME.search(product.name)
    files = []
    for name in product.files:
        stem = PurePosixPath(name).stem
        time = _TIME.search(stem)
        # without a list, stray files of another acquisition are told by their time
        same_time = taken is None or time is None or time[0] == taken[0]
        belongs = stem in listed if listed else same_time
        match = _IMAGE.search(name)
        if belongs and match:
            band = band_named(match["band"])
            if band in (*CORE, *EXTRA, CLASSES):
                files.append((int(match["metres"] or 0), band, name))
    return files


def _contradictions(product: _Product, metadata: ProductMetadata | None) -> list[str]:
    named = baseline_in_name(f"{product.name}_")
    if metadata is None or named is None or metadata.baseline in (None, named):
        return []
    return [f"{product.where}: the name says baseline {named}, the metadata {metadata.baseline}; these are believed"]


def _with_radiometry(band: BandFile, product: _Product, metadata: ProductMetadata | None) -> tuple[BandFile, list[str]]:
    remarks: list[str] = []
    if metadata is not None:
        radiometry, remarks = metadata.radiometry(band.band, product.where)
    elif named := baseline_in_name(f"{product.name}_"):
        radiometry = by_baseline(named, "the product name; MTD_MSI*.xml is missing")
    else:
        radiometry = Radiometry(0.0, QUANTIFICATION, "MTD_MSI*.xml is missing", assumed=True)
    return replace(band, nodata=0.0, radiometry=radiometry), remarks


def product_folder(path: Path) -> Path | None:
    """Return the one product folder inside a folder that is none itself; None where there is not one."""
    inside = [p for p in sorted(path.iterdir()) if p.is_dir() and p.name.endswith(".SAFE")]
    return inside[0] if len(inside) == 1 else None
