"""From what the user names (folder, archive, item, files) to images, each by the reader that knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from landslip.errors import InputError
from landslip.files import require_file
from landslip.files.places import address_of
from landslip.scene.images.bandfiles import SUFFIXES, band_paths, images_from_files
from landslip.scene.images.image import Image, band_label
from landslip.scene.images.names import CORE, EXTRA, REQUIRED, ordered
from landslip.scene.images.safe import is_product, product_folder, read_product
from landslip.scene.images.stac import is_item, read_item
from landslip.scene.images.tree import is_zip, open_tree, reading
from landslip.scene.remarks import Remarks


@dataclass(frozen=True)
class ReadOptions:
    """How images are to be read.

    Parameters
    ----------
    bands
        Names of the bands of plain files, in order; None: from descriptions and file names.
    extra
        20 m bands to add.
    offset, quantification
        Override the metadata; None: as found.
    what
        Word for messages.
    """

    bands: tuple[str, ...] | None = None
    extra: tuple[str, ...] = ()
    offset: float | None = None
    quantification: float | None = None
    what: str = "image"


def read_images(paths: Sequence[str], options: ReadOptions, remarks: Remarks) -> list[Image]:
    """Open every image that the user named, say what is assumed, and agree on the bands.

    Raises
    ------
    MissingInputError
        A path is not there.
    InputError
        A source cannot be read as an image, or the images have not the bands that are needed.
    """
    if not paths:
        message = f"no {options.what} given; name a product folder or archive, or band files"
        raise InputError(message)
    images: list[Image] = []
    loose: list[str] = []
    for path in paths:
        if _is_plain_raster(path):
            loose.append(path)
        else:
            images += _read_one(path, options)
    if loose:
        images += images_from_files(loose, bands=options.bands, what=options.what)
    images = [image.with_radiometry(options.offset, options.quantification) for image in images]
    wanted = _agreed_bands(images, options)
    images = [image.select(wanted) for image in images]
    for image in images:
        _remark(image, options, remarks)
    _refuse_unclear_mixture(images, options)
    return images


def _read_one(path: str, options: ReadOptions) -> list[Image]:
    if is_item(path):
        return [read_item(path, extra=options.extra, what=options.what)]
    local = Path(path) if address_of(path) else require_file(path, what=options.what)
    with reading(local):
        if local.is_dir():
            local = product_folder(local) or local
        tree = open_tree(local)
        if is_product(tree):
            return [read_product(tree, extra=options.extra, what=options.what)]
        files = band_paths(tree, bands=options.bands, what=options.what)
    return images_from_files(files, bands=options.bands, what=options.what)


def _is_plain_raster(path: str) -> bool:
    if address_of(path) or "://" in path or path.startswith("/vsi"):
        return Path(path.partition("?")[0]).suffix.lower() in SUFFIXES
    local = Path(path)
    with reading(local):
        return local.is_file() and not is_item(path) and not is_zip(local)


def _agreed_bands(images: Sequence[Image], options: ReadOptions) -> tuple[str, ...]:
    for image in images:
        missing = [name for name in REQUIRED if name not in image.bands]
        if missing:
            message = f"{image.name}: band {band_label(missing[0])} is missing; a scene needs blue, green and red"
            raise InputError(message)
        for name in options.extra:
            if name not in image.bands:
                message = f"{image.name}: band {band_label(name)} is not there; leave it out of --extra-bands"
                raise InputError(message)
    common = {name for name in (*CORE, *EXTRA) if all(name in image.bands for image in images)}
    partly = {name for image in images for name in image.bands if name in CORE} - common
    for name in sorted(partly):
        without = next(image.name for image in images if name not in image.bands)
        message = f"{without}: has no band {band_label(name)}, the other images have it; add it or leave it out"
        raise InputError(message)
    return ordered(name for name in common if name in CORE or name in options.extra)


def _remark(image: Image, options: ReadOptions, remarks: Remarks) -> None:
    for remark in image.remarks:
        remarks.add(remark)
    first = next(iter(image.bands.values())).radiometry
    if first.assumed:
        remedy = "--pre-offset" if options.what.startswith("pre") else "--offset"
        remarks.add(
            f"{image.name}: reflectance = (DN {first.offset:+g}) / {first.quantification:g} is assumed "
            f"({first.source}); give {remedy} (-1000 from baseline 04.00 on, 0 before) if that is wrong"
        )
    if image.level == "L1C":
        remarks.add(
            f"{image.name}: Level-1C is top-of-atmosphere reflectance, not what models of Level-2A were trained on"
        )


def _refuse_unclear_mixture(images: Sequence[Image], options: ReadOptions) -> None:
    kinds = {image.name: next(iter(image.bands.values())).radiometry for image in images}
    guessed = [name for name, r in kinds.items() if r.assumed]
    known = [name for name, r in kinds.items() if not r.assumed]
    if not guessed or not known or options.offset is not None:
        return
    unlike = [n for n in known if not kinds[n].agrees_with(kinds[guessed[0]])]
    if unlike:
        message = (
            f"{guessed[0]}: mixed baselines: its offset is not known, that of {unlike[0]} is "
            f"{kinds[unlike[0]].offset:+g}; build them apart, or give --offset for all"
        )
        raise InputError(message)
