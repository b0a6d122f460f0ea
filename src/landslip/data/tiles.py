"""Cutting a scene into tiles, each of one part of the split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import UNKNOWN, Part, TileSet
from landslip.errors import ConfigError, InputError
from landslip.windows import Window
from landslip.wording import counted

_MULTIPLE = 32
_PLACES = 1 << 20
"""Rows or columns that a tile's number has room for."""


def cut_tiles(
    layers: Sequence[str],
    image: NDArray[np.float32],
    label: NDArray[np.uint8],
    landslide: NDArray[np.int32],
    part: NDArray[np.uint8],
    block: NDArray[np.int32],
    *,
    size: int,
    stride: int | None = None,
    region: int = 0,
) -> TileSet:
    """Cut layers and labels into square tiles.

    Tiles lie on a lattice from the top left corner; those that reach over the edge are filled up with NaN and
    unknown. A tile that several parts share appears once for each, the pixels of the others being NaN and
    unknown in it. Tiles without a counted pixel (valid in all layers, of known label, in the part) are left
    out.

    Parameters
    ----------
    layers
        Names of the layers.
    image
        ``(layers, rows, cols)`` float32, NaN = invalid.
    label
        ``(rows, cols)`` uint8: 0, 1 or 255.
    landslide
        ``(rows, cols)`` int32: 0 or the landslide's id.
    part
        ``(rows, cols)`` uint8, values of :class:`Part`; unused pixels are in no tile.
    block
        ``(rows, cols)`` int32. A tile gets the block of most of its counted pixels.
    size
        Edge of a tile in pixels, a multiple of 32.
    stride
        Pixels from tile to tile; default ``size``, so that tiles do not overlap.
    region
        Number of the scene.

    Returns
    -------
    TileSet
        In the order of part within tile within row of tiles; without a recipe.

    Raises
    ------
    ConfigError
        ``size`` is no multiple of 32, or ``stride`` not from 1 to ``size``.
    InputError
        Not one counted pixel.
    """
    check_tile_size(size)
    stride = size if stride is None else stride
    if not 1 <= stride <= size:
        message = f"stride {stride}: must be from 1 to the tile size {size}, else pixels are left out"
        raise ConfigError(message)
    _check_shapes(layers, image, [label, landslide, part, block])
    known = np.isfinite(image).all(axis=0) & (label != UNKNOWN) & (part != Part.UNUSED)
    places = [
        (window, value) for window in _lattice(label.shape, size, stride) for value in _parts(window, part, known)
    ]
    if not places:
        message = "no tile holds a pixel that is valid in all layers, labelled, and in a part; look at the split"
        raise InputError(message)
    return _fill(layers, image, label, landslide, part, block, known, places, size=size, region=region)


def check_tile_size(size: int) -> None:
    """Refuse a tile size that the networks cannot take.

    Raises
    ------
    ConfigError
        Not a positive multiple of 32.
    """
    if size <= 0 or size % _MULTIPLE:
        nearest = max(_MULTIPLE, round(size / _MULTIPLE) * _MULTIPLE)
        message = f"tile size {size}: must be a multiple of {_MULTIPLE}; choose {nearest}"
        raise ConfigError(message)


def tile_key(region: int, row: int, col: int, part: int) -> int:
    """Return the stable number of a tile: the same place in the same part has the same draws in every run."""
    return ((region * _PLACES + row) * _PLACES + col) * 4 + part


def _check_shapes(layers: Sequence[str], image: NDArray[np.float32], maps: list[NDArray[np.generic]]) -> None:
    if image.ndim != 3 or len(image) != len(layers):
        message = f"image {image.shape} is not (layers, rows, cols) of {counted(len(layers), 'layer')}"
        raise InputError(message)
    for array in maps:
        if array.shape != image.shape[1:]:
            message = f"labels, parts and the like must be {image.shape[1:]} as the image, not {array.shape}"
            raise InputError(message)


def _lattice(shape: tuple[int, ...], size: int, stride: int) -> Iterator[Window]:
    for row in range(0, shape[0], stride):
        for col in range(0, shape[1], stride):
            yield Window(row, col, min(size, shape[0] - row), min(size, shape[1] - col))


def _parts(window: Window, part: NDArray[np.uint8], known: NDArray[np.bool_]) -> list[int]:
    inside = part[window.slices][known[window.slices]]
    return [int(value) for value in np.unique(inside)]


def _fill(
    layers: Sequence[str],
    image: NDArray[np.float32],
    label: NDArray[np.uint8],
    landslide: NDArray[np.int32],
    part: NDArray[np.uint8],
    block: NDArray[np.int32],
    known: NDArray[np.bool_],
    places: list[tuple[Window, int]],
    *,
    size: int,
    region: int,
) -> TileSet:
    n = len(places)
    images = np.full((n, len(layers), size, size), np.nan, np.float32)
    labels = np.full((n, size, size), UNKNOWN, np.uint8)
    landslides = np.zeros((n, size, size), np.int32)
    blocks = np.zeros(n, np.int32)
    for i, (window, value) in enumerate(places):
        here, corner = window.slices, np.s_[: window.rows, : window.cols]
        inside = part[here] == value
        images[i][:, *corner] = np.where(inside, image[:, *here], np.nan)
        labels[i][corner] = np.where(inside, label[here], UNKNOWN)
        landslides[i][corner] = np.where(inside, landslide[here], 0)
        values, counts = np.unique(block[here][inside & known[here]], return_counts=True)
        blocks[i] = values[counts.argmax()]
    return TileSet(
        tuple(layers),
        images,
        labels,
        landslides,
        part=np.array([value for _, value in places], np.uint8),
        block=blocks,
        row=np.array([window.row for window, _ in places], np.int32),
        col=np.array([window.col for window, _ in places], np.int32),
        region=np.full(n, region, np.int32),
        key=np.array([tile_key(region, w.row, w.col, value) for w, value in places], np.int64),
    )
