"""Landslide4Sense folders: one HDF5 file per patch and per mask.

References
----------
Ghorbanzadeh et al. (2022), doi:10.1109/JSTARS.2022.3220845.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landslip.data.places import LANDSLIDE4SENSE, Places, find_folder, number_in
from landslip.errors import FormatError, InputError

_IMAGES, _MASKS = ("img", "image", "images"), ("mask", "masks")


class Landslide4SenseFolder:
    """``img/image_N.h5`` with ``img`` (rows, cols, 14) and ``mask/mask_N.h5`` with ``mask`` (rows, cols).

    The files do not say where a patch lies. Their numbers run along the rows of a region, so that neighbouring
    numbers are taken for neighbours: each patch is at column N of one row.
    """

    bands: tuple[str, ...] = LANDSLIDE4SENSE
    # each band is normalised by a scale that the data set does not tell
    scaling: Literal["reflectance", "per-patch-maximum"] = "per-patch-maximum"

    def __init__(self, path: Path) -> None:
        images = find_folder(path, _IMAGES)
        assert images is not None  # accepts has found it
        self._images = sorted(images.glob("*.h5"), key=lambda file: (number_in(file.stem), file.stem))
        masks = find_folder(path, _MASKS)
        self.labelled = masks is not None
        self._masks = [self._mask_of(file, masks) for file in self._images] if masks else []
        self.names = tuple(file.stem for file in self._images)
        number = np.array([number_in(name) for name in self.names], np.int32)
        zero = np.zeros(len(number), np.int32)
        self.places = Places(zero, number, zero, known=False)

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether this is such a folder."""
        images = find_folder(path, _IMAGES)
        return images is not None and any(images.glob("*.h5"))

    def read(self, index: int, bands: Sequence[int]) -> NDArray[np.float32]:
        """Read some bands of one patch: ``(bands, rows, cols)`` float32; not finite is invalid."""
        patch = self._dataset(self._images[index], "img", 3)
        if patch.shape[2] != len(self.bands):
            message = f"{self._images[index]}: {patch.shape[2]} channels, Landslide4Sense has {len(self.bands)}"
            raise InputError(message)
        chosen = np.ascontiguousarray(np.moveaxis(patch[..., list(bands)], -1, 0), dtype=np.float32)
        chosen[~np.isfinite(chosen)] = np.nan
        return chosen

    def mask(self, index: int) -> NDArray[Any]:
        """Read the labels of one patch, as they are stored."""
        return self._dataset(self._masks[index], "mask", 2)

    @staticmethod
    def _mask_of(image: Path, masks: Path) -> Path:
        candidates = [masks / image.name.replace("image", "mask"), masks / image.name]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            message = f"{image}: no mask for it ({candidates[0]} is missing); fetch it, or take the image out"
            raise InputError(message)
        return found

    @staticmethod
    def _dataset(path: Path, key: str, axes: int) -> NDArray[Any]:
        import h5py  # only this kind of file needs it

        try:
            with h5py.File(path) as file:
                if key not in file:
                    message = f"{path}: no data set {key!r} in it; not a Landslide4Sense file"
                    raise FormatError(message)
                array: NDArray[Any] = file[key][()]
        except OSError as error:
            message = f"{path}: not readable as HDF5, cut off or damaged; fetch it again"
            raise FormatError(message) from error
        if array.ndim != axes:
            message = f"{path}: {key!r} is {array.shape}, not of {axes} axes; not a Landslide4Sense file"
            raise FormatError(message)
        return array
