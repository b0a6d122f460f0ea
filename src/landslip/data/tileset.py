"""Tiles in memory and in one ``.npz`` file: what every training, scoring and study run is fed with."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from landslip.errors import LayerError, MissingInputError
from landslip.files import atomic_path, check_format
from landslip.files.arrays import open_arrays
from landslip.recipe import Recipe
from landslip.wording import counted


class Part(IntEnum):
    """Where a pixel or tile belongs in a split."""

    UNUSED = 0
    TRAIN = 1
    VALIDATION = 2
    TEST = 3


UNKNOWN = 255
"""Label of pixels outside the mapped extent: neither landslide nor not."""


@dataclass(frozen=True)
class TileSet:
    """Square tiles with their labels, every array indexed by tile first.

    A tile belongs to one part. Pixels of a tile that lie outside its part have NaN layers and
    :data:`UNKNOWN` labels, so nothing of another part can leak through it; a tile that two parts share
    appears once for each.

    Parameters
    ----------
    layers
        Names of the layers, in order.
    image
        ``(n, layers, size, size)`` float32 in physical units (reflectance, degrees); NaN = invalid.
    label
        ``(n, size, size)`` uint8: 0 not landslide, 1 landslide, 255 unknown.
    landslide
        ``(n, size, size)`` int32: 0, or the id of the mapped landslide. Ids are unique over the set.
    part
        ``(n,)`` uint8, values of :class:`Part`.
    block
        ``(n,)`` int32: spatial block, the unit of resampling for intervals.
    row, col
        ``(n,)`` int32: first pixel in the scene, or position in the patch grid.
    region
        ``(n,)`` int32: scene or region of the patch set.
    key
        ``(n,)`` int64: stable number of the tile; random draws are keyed by it.
    recipe
        How the layers were made, with statistics from training pixels; None before fitting.
    meta
        Provenance as JSON types: sources, prevalence, split settings, ``pixel_m``.
    """

    layers: tuple[str, ...]
    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    landslide: NDArray[np.int32]
    part: NDArray[np.uint8]
    block: NDArray[np.int32]
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    region: NDArray[np.int32]
    key: NDArray[np.int64]
    recipe: Recipe | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        n, layers, size, width = self.image.shape
        if layers != len(self.layers) or size != width:
            message = f"image {self.image.shape} does not fit {counted(len(self.layers), 'layer')} of square tiles"
            raise ValueError(message)
        for name in ("label", "landslide"):
            if getattr(self, name).shape != (n, size, size):
                message = f"{name} {getattr(self, name).shape} does not fit image {self.image.shape}"
                raise ValueError(message)
        for name in _PER_TILE:
            if getattr(self, name).shape != (n,):
                message = f"{name} {getattr(self, name).shape} is not one value per tile ({n})"
                raise ValueError(message)

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.image)

    @property
    def size(self) -> int:
        """Edge of a tile in pixels."""
        return int(self.image.shape[-1])

    def subset(self, which: NDArray[Any]) -> TileSet:
        """Return the tiles chosen by a boolean mask or by indices."""
        arrays = {name: getattr(self, name)[which] for name in ("image", "label", "landslide", *_PER_TILE)}
        return replace(self, **arrays)

    def with_recipe(self, recipe: Recipe) -> TileSet:
        """Return the same tiles with this recipe, whose layers must be theirs, in order."""
        if recipe.layers != self.layers:
            message = f"recipe of layers {recipe.layers} does not fit tiles of layers {self.layers}"
            raise ValueError(message)
        return replace(self, recipe=recipe)

    def of(self, part: Part) -> TileSet:
        """Return the tiles of one part."""
        return self.subset(self.part == part)

    def select(self, layers: Sequence[str]) -> TileSet:
        """Return the same tiles with some of the layers, in the order given.

        Raises
        ------
        LayerError
            A layer is not in the set.
        """
        missing = [name for name in layers if name not in self.layers]
        if missing:
            message = f"layer {missing[0]!r} is not in the data; there are: {', '.join(self.layers)}"
            raise LayerError(message)
        index = [self.layers.index(name) for name in layers]
        recipe = self.recipe.select(tuple(layers)) if self.recipe else None
        same = index == list(range(len(self.layers)))
        image = self.image if same else self.image[:, index]
        return replace(self, layers=tuple(layers), image=image, recipe=recipe)

    def valid(self) -> NDArray[np.bool_]:
        """``(n, size, size)``: all layers are valid."""
        return np.asarray(np.isfinite(self.image).all(axis=1), dtype=np.bool_)

    def counted(self) -> NDArray[np.bool_]:
        """``(n, size, size)``: valid and of known label, the pixels of loss and scores."""
        return np.asarray(self.valid() & (self.label != UNKNOWN), dtype=np.bool_)

    def prevalence(self, part: Part | None = None) -> float:
        """Share of landslide among the counted pixels, of all tiles or of a part (0 where there are none)."""
        counted = self.counted()
        if part is not None:
            counted &= (self.part == part)[:, None, None]
        return float((self.label[counted] == 1).mean()) if counted.any() else 0.0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one compressed ``.npz``, atomically, the same bytes for the same content."""
        head = {
            "format": 1,
            "layers": list(self.layers),
            "recipe": self.recipe.to_dict() if self.recipe else None,
            "meta": self.meta,
        }
        arrays = {name: getattr(self, name) for name in ("image", "label", "landslide", *_PER_TILE)}
        arrays["head"] = np.frombuffer(json.dumps(head, sort_keys=True).encode(), np.uint8)
        with atomic_path(path) as temporary:
            _write_npz(temporary, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        MissingInputError, FormatError
            No such file; not a tile set of ours, damaged or newer.
        """
        if not Path(path).is_file():
            message = f"{path}: no such file (prepared tiles); check the path"
            raise MissingInputError(message)
        damaged = "not a tile set written by 'landslip prepare', or damaged; make it again"
        with open_arrays(Path(path), damaged) as content:
            head = json.loads(content["head"].tobytes())
            check_format(head, path)
            arrays = {name: content[name] for name in ("image", "label", "landslide", *_PER_TILE)}
        recipe = Recipe.from_dict(head["recipe"], where=str(path)) if head["recipe"] else None
        return cls(tuple(head["layers"]), **arrays, recipe=recipe, meta=head["meta"])


_PER_TILE = ("part", "block", "row", "col", "region", "key")


def _write_npz(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    # numpy.savez stamps members with the current time in some versions; fixed times keep bytes equal.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)
