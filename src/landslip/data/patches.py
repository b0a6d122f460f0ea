"""Patch data sets: ready-made tiles as others publish them, opened for reading patch by patch.

A new kind of file is one class with an ``accepts`` and the methods of :class:`PatchReader`; add it to
:data:`READERS`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from landslip.data.chips import ChipFolder
from landslip.data.landslide4sense import Landslide4SenseFolder
from landslip.data.npz import NpzFile
from landslip.data.places import Places
from landslip.data.tileset import UNKNOWN
from landslip.errors import FormatError, InputError, LayerError, MissingInputError

Scaling = Literal["reflectance", "per-patch-maximum"]


class PatchReader(Protocol):
    """What a kind of patch set has to offer."""

    bands: tuple[str, ...]
    """Names of all bands, in the order of the file."""
    names: tuple[str, ...]
    """Name of each patch."""
    places: Places
    """Where each lies."""
    labelled: bool
    """Whether there are masks."""
    scaling: Scaling
    """Unit of the image bands."""

    def read(self, index: int, bands: Sequence[int]) -> NDArray[np.float32]:
        """Read some bands of one patch: ``(bands, rows, cols)`` float32, NaN = invalid."""

    def mask(self, index: int) -> NDArray[Any]:
        """Read the labels of one patch: ``(rows, cols)`` as they are stored; they ought to be 0, 1 or 255."""


READERS = (NpzFile, Landslide4SenseFolder, ChipFolder)


@dataclass(frozen=True)
class PatchDataset:
    """A patch data set, of which nothing but the places is in memory until it is asked for.

    Parameters
    ----------
    reader
        Of its kind.
    bands
        Names of the bands that are read, in this order.
    """

    reader: PatchReader
    bands: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.reader.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each patch."""
        return self.reader.names

    @property
    def row(self) -> NDArray[np.int32]:
        """``(n,)``: row of each patch in the grid of its region; neighbours there are neighbours on the ground."""
        return self.reader.places.row

    @property
    def col(self) -> NDArray[np.int32]:
        """``(n,)``: column of each patch in the grid of its region."""
        return self.reader.places.col

    @property
    def region(self) -> NDArray[np.int32]:
        """``(n,)``: region of each patch; regions are apart."""
        return self.reader.places.region

    @property
    def split(self) -> NDArray[np.str_] | None:
        """``(n,)``: the part that the data set itself assigns, ``train``, ``validation`` or ``test``; or None."""
        return self.reader.places.split

    @property
    def scaling(self) -> Scaling:
        """``per-patch-maximum`` where values are not reflectance and each patch may have a scale of its own."""
        return self.reader.scaling

    def select(self, bands: Sequence[str]) -> PatchDataset:
        """Return the same patches with some of the bands, in the order given; nothing is read.

        Raises
        ------
        LayerError
            A band is not there.
        """
        missing = [name for name in bands if name not in self.reader.bands]
        if missing:
            message = f"band {missing[0]!r} is not in the patches; there are: {', '.join(self.reader.bands)}"
            raise LayerError(message)
        return PatchDataset(copy.copy(self.reader), tuple(bands))

    def read(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read one patch.

        Returns
        -------
        image
            ``(bands, rows, cols)`` float32, NaN = invalid.
        label
            ``(rows, cols)`` uint8: 0, 1, 255 unknown (everywhere, without masks).

        Raises
        ------
        FormatError, InputError
            The file is damaged; the image is of another shape than its mask; the mask has other values.
        """
        image = self.reader.read(index, [self.reader.bands.index(name) for name in self.bands])
        name = self.names[index]
        if not self.reader.labelled:
            return image, np.full(image.shape[1:], UNKNOWN, np.uint8)
        label = self.reader.mask(index)
        if label.shape != image.shape[1:]:
            message = f"patch {name}: its mask is {label.shape}, its image {image.shape[1:]}; they must match"
            raise InputError(message)
        strange = ~np.isin(label, (0, 1, UNKNOWN))  # as stored: as bytes 257 would be 1, and -1 unknown
        if strange.any():
            found = label[strange].min()
            message = f"patch {name}: its mask holds {found}; use 0 no landslide, 1 landslide, 255 unknown"
            raise InputError(message)
        return image, label.astype(np.uint8)

    @cached_property
    def _all(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        first, _ = self.read(0)
        size = first.shape[1:]
        image = np.empty((len(self), len(self.bands), *size), np.float32)
        label = np.empty((len(self), *size), np.uint8)
        for index in range(len(self)):
            one, mask = self.read(index)
            if one.shape[1:] != size:
                message = f"patch {self.names[index]}: {one.shape[1:]}, others are {size}; all must have one size"
                raise InputError(message)
            image[index], label[index] = one, mask
        return image, label

    @property
    def image(self) -> NDArray[np.float32]:
        """``(n, bands, rows, cols)`` float32, NaN = invalid: all patches, read when first asked for."""
        return self._all[0]

    @property
    def label(self) -> NDArray[np.uint8] | None:
        """``(n, rows, cols)`` uint8: all masks, or None when there are none."""
        return self._all[1] if self.reader.labelled else None


def open_patches(path: str | os.PathLike[str]) -> PatchDataset:
    """Open a patch data set.

    Parameters
    ----------
    path
        A Landslide4Sense folder (``img/`` and ``mask/`` with HDF5 files), an ``.npz`` file (``image``, ``mask``
        and optionally ``bands``, ``region``, ``row``, ``col``, ``split``), or a folder of GeoTIFF chips
        (``images/`` and ``masks/`` with equal names).

    Returns
    -------
    PatchDataset
        With all bands; see :meth:`PatchDataset.select`.

    Raises
    ------
    MissingInputError
        Nothing there.
    FormatError, InputError
        Not a patch set of a known kind; damaged; images without their masks.
    """
    path = Path(path)
    if not path.exists():
        message = f"{path}: no such patch set; check the path"
        raise MissingInputError(message)
    for kind in READERS:
        if kind.accepts(path):
            reader: PatchReader = kind(path)
            if not reader.names:
                message = f"{path}: no patch in it; check the path"
                raise InputError(message)
            return PatchDataset(reader, reader.bands)
    message = (
        f"{path}: not a patch set; give a Landslide4Sense folder (img/, mask/ with .h5), an .npz file, "
        "or a folder of GeoTIFF chips (images/, masks/)"
    )
    raise FormatError(message)
