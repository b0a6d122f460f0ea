"""Patches in one ``.npz`` file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from landslip.data.places import Places, band_names
from landslip.errors import FormatError, InputError
from landslip.files.arrays import open_arrays
from landslip.wording import counted


class NpzFile:
    """``image`` (n, rows, cols, bands) and ``mask`` (n, rows, cols), and what else there is.

    Optional arrays: ``bands`` (names), ``region``, ``row``, ``col``, ``split`` and ``l4s_id`` or ``id`` (n each).
    Images of whole numbers are divided by the largest value of their type (uint8: 255) and taken to be scaled
    patch by patch; those of floating point are taken to be reflectance.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as content:
            self._keys = set(content.files)
            if "image" not in self._keys:
                message = f"{path}: no array 'image' in it, so not a patch set; it needs image (n, rows, cols, bands)"
                raise FormatError(message)
            small = {key: content[key] for key in self._keys - {"image", "mask"} if content[key].ndim == 1}
        shape, dtype = self._image.shape, self._image.dtype
        if len(shape) != 4:
            message = f"{path}: image is {shape}, not (n, rows, cols, bands)"
            raise InputError(message)
        self._count = shape[0]
        names = [str(name) for name in small["bands"]] if "bands" in small else None
        self.bands = band_names(names, shape[3], path)
        self.labelled = "mask" in self._keys
        self.scaling: Literal["reflectance", "per-patch-maximum"] = (
            "per-patch-maximum" if np.issubdtype(dtype, np.integer) else "reflectance"
        )
        number = self._per_patch(small, "l4s_id" if "l4s_id" in small else "id", np.arange(self._count))
        self.names = tuple(str(value) for value in number)
        zero = np.zeros(self._count, np.int32)
        self.places = Places(
            row=self._per_patch(small, "row", zero).astype(np.int32),
            col=self._per_patch(small, "col", np.arange(self._count)).astype(np.int32),
            region=self._per_patch(small, "region", zero).astype(np.int32),
            split=self._per_patch(small, "split", zero).astype(str) if "split" in small else None,
            known={"row", "col"} <= small.keys(),
        )

    @staticmethod
    def accepts(path: Path) -> bool:
        """Whether this is such a file, by its name."""
        return path.is_file() and path.suffix.lower() == ".npz"

    def read(self, index: int, bands: Sequence[int]) -> NDArray[np.float32]:
        """Read some bands of one patch: ``(bands, rows, cols)`` float32."""
        patch = self._image[index][..., list(bands)]
        if np.issubdtype(patch.dtype, np.integer):
            patch = patch / np.float32(np.iinfo(patch.dtype).max)
        return np.ascontiguousarray(np.moveaxis(patch, -1, 0), dtype=np.float32)

    def mask(self, index: int) -> NDArray[Any]:
        """Read the labels of one patch, as they are stored."""
        if len(self._mask) != self._count:
            masks, images = counted(len(self._mask), "mask"), counted(self._count, "image")
            message = f"{self._path}: {masks} for {images}; give one for each"
            raise InputError(message)
        return np.asarray(self._mask[index])

    # an .npz member can only be decompressed whole, so each is, once
    @cached_property
    def _image(self) -> NDArray[Any]:
        return self._member("image")

    @cached_property
    def _mask(self) -> NDArray[Any]:
        return self._member("mask")

    def _member(self, key: str) -> NDArray[Any]:
        with self._open() as content:
            array: NDArray[Any] = content[key]
        return array

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with open_arrays(self._path, "not a readable .npz file, cut off or damaged; fetch it again") as content:
            yield content

    def _per_patch(self, arrays: dict[str, NDArray[Any]], key: str, default: NDArray[Any]) -> NDArray[Any]:
        array = arrays.get(key, default)
        if len(array) != self._count:
            message = (
                f"{self._path}: array {key!r} has {counted(len(array), 'value')} for {counted(self._count, 'image')}"
            )
            raise InputError(message)
        return array
