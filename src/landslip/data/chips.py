"""Folders of GeoTIFF chips: an image and a mask of equal name for each patch."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landslip.data.chip_list import CHIPS, places_listed
from landslip.data.places import Places, band_names, find_folder
from landslip.errors import FormatError, InputError

_IMAGES, _MASKS = ("images", "image", "img"), ("masks", "mask", "labels", "label")
_SUFFIXES = (".tif", ".tiff")


class ChipFolder:
    """``images/NAME.tif`` with its bands and ``masks/NAME.tif`` with one.

    Bands are named by their descriptions. Places come from the georeference: chips of one CRS are one region,
    whose grid has the size of a chip; without georeference, a row in the order of names. Where there is a
    ``chips.json`` (:func:`landslip.data.chip_list.write_chips`), places and parts are taken from it. Whole numbers
    are divided by 10,000, as Sentinel-2 products mean them, or for 8 bits by 255; nodata is invalid.
    """

    def __init__(self, path: Path) -> None:
        images, masks = find_folder(path, _IMAGES), find_folder(path, _MASKS)
        assert images is not None  # accepts has found it
        self._images = sorted(file for file in images.iterdir() if file.suffix.lower() in _SUFFIXES)
        self.names = tuple(file.stem for file in self._images)
        self.labelled = masks is not None
        self._masks = [self._mask_of(file, masks) for file in self._images] if masks else []
        heads = [_head(file) for file in self._images]
        first = heads[0]
        self.bands = band_names(first.descriptions, first.count, self._images[0])
        self.scaling: Literal["reflectance", "per-patch-maximum"] = (
            "per-patch-maximum" if first.dtype == "uint8" else "reflectance"
        )
        for file, head in zip(self._images, heads, strict=True):
            if (head.count, head.descriptions) != (first.count, first.descriptions):
                message = f"{file}: its bands are not those of {self._images[0].name}; all chips need the same"
                raise InputError(message)
        listed = (path / CHIPS).is_file()
        self.places = places_listed(path, self.names) if listed else _places(heads)

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether this is such a folder."""
        images = find_folder(path, _IMAGES)
        return images is not None and any(file.suffix.lower() in _SUFFIXES for file in images.iterdir())

    def read(self, index: int, bands: Sequence[int]) -> NDArray[np.float32]:
        """Read some bands of one patch: ``(bands, rows, cols)`` float32, NaN = invalid."""
        patch = _pixels(self._images[index], [band + 1 for band in bands])
        integer = np.issubdtype(patch.dtype, np.integer)
        scale = (255.0 if patch.dtype == np.uint8 else 10_000.0) if integer else 1.0
        filled = np.where(np.ma.getmaskarray(patch), np.nan, patch.data.astype(np.float32) / np.float32(scale))
        filled[~np.isfinite(filled)] = np.nan
        return np.ascontiguousarray(filled, dtype=np.float32)

    def mask(self, index: int) -> NDArray[Any]:
        """Read the labels of one patch, as they are stored."""
        return np.asarray(_pixels(self._masks[index], [1]).data[0])

    @staticmethod
    def _mask_of(image: Path, masks: Path) -> Path:
        path = masks / image.name
        if not path.is_file():
            message = f"{image}: no mask for it ({path} is missing); add it, or take the image out"
            raise InputError(message)
        return path


@dataclass(frozen=True)
class _Head:
    """What a chip says of itself."""

    count: int
    dtype: str
    descriptions: tuple[str, ...] | None
    crs: str
    left: float
    top: float
    width: float
    height: float


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from rasterio.errors import NotGeoreferencedWarning, RasterioError  # only this kind of file needs it

    from landslip.rasters import open_raster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # chips need not be
        with open_raster(path, what="chip") as source:
            try:
                yield source
            except RasterioError as error:
                message = f"{path}: its pixels cannot be read, cut off or damaged; fetch the chip again"
                raise FormatError(message) from error


def _pixels(path: Path, bands: Sequence[int]) -> np.ma.MaskedArray[Any, Any]:
    with _opened(path) as source:
        pixels: np.ma.MaskedArray[Any, Any] = source.read(list(bands), masked=True)
    return pixels


def _head(path: Path) -> _Head:
    with _opened(path) as source:
        named = all(source.descriptions)
        bounds = source.bounds
        return _Head(
            source.count,
            source.dtypes[0],
            tuple(source.descriptions) if named else None,
            source.crs.to_wkt() if source.crs else "",
            bounds.left,
            bounds.top,
            bounds.right - bounds.left,
            bounds.top - bounds.bottom,
        )


def _places(heads: Sequence[_Head]) -> Places:
    n = len(heads)
    if not all(head.crs for head in heads):
        return Places(np.zeros(n, np.int32), np.arange(n, dtype=np.int32), np.zeros(n, np.int32), known=False)
    names = sorted({head.crs for head in heads})
    region = np.array([names.index(head.crs) for head in heads], np.int32)
    left, top = (np.array([getattr(head, name) for head in heads]) for name in ("left", "top"))
    row, col = np.zeros(n, np.int32), np.zeros(n, np.int32)
    for value in range(len(names)):
        here = np.flatnonzero(region == value)
        size = heads[here[0]]
        col[here] = np.round((left[here] - left[here].min()) / abs(size.width))
        row[here] = np.round((top[here].max() - top[here]) / abs(size.height))
    return Places(row, col, region)
