"""Tiles of scenes as GeoTIFF chips for other programs, and the list of them from which they are read back.

``images/NAME.tif``, ``masks/NAME.tif`` and ``chips.json``, which says of each chip where it lies and in which part.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landslip.data.places import Places
from landslip.data.tileset import UNKNOWN, Part, TileSet
from landslip.errors import FormatError, InputError, OutputError
from landslip.files import FORMAT, atomic_path, check_format, read_json, write_json
from landslip.progress import SILENT, Progress
from landslip.windows import Window

if TYPE_CHECKING:
    from landslip.grid import Grid

CHIPS = "chips.json"
"""Name of the list in a folder of chips."""

_WORDS = {Part.TRAIN: "train", Part.VALIDATION: "validation", Part.TEST: "test"}


def check_chips(folder: str | os.PathLike[str], kind: str) -> None:
    """Refuse chips that cannot be written, before what takes long.

    Parameters
    ----------
    folder
        Where they shall go.
    kind
        ``scene``, or what else the tiles are of.

    Raises
    ------
    OutputError
        Something lies there.
    InputError
        Not of a scene.
    """
    if Path(folder).exists():
        message = f"{os.fspath(folder)}: is there already, and chips are not mixed; give --chips a new folder"
        raise OutputError(message)
    if kind != "scene":
        message = "--chips needs a scene: patches do not say where on the ground they lie; leave --chips out"
        raise InputError(message)


def write_chips(tiles: TileSet, folder: str | os.PathLike[str], *, progress: Progress = SILENT) -> Path:
    """Write tiles of scenes as georeferenced chips; the folder appears when it is whole.

    Parameters
    ----------
    tiles
        Cut from scenes: ``meta["sources"]`` has the grid of each, by its number.
    folder
        New folder. ``images/NAME.tif`` holds the layers, float32 in physical units, described by their names, NaN
        where invalid; ``masks/NAME.tif`` 0, 1, and 255 (its nodata) where unknown. Pixels of other parts are NaN and
        255, and so is what reaches over the scene's edge. ``NAME`` is scene, first row, first column, part.

    Returns
    -------
    pathlib.Path
        ``folder``.

    Raises
    ------
    OutputError
        The folder is there, or cannot be written.
    InputError
        The tiles are of a patch set.
    """
    check_chips(folder, str(tiles.meta.get("kind")))
    scenes = _scenes(tiles)
    names = [
        f"{scenes[region][0]}_r{row:05d}_c{col:05d}_{_WORDS[Part(part)]}"
        for region, row, col, part in zip(tiles.region, tiles.row, tiles.col, tiles.part, strict=True)
    ]
    with atomic_path(folder) as whole, progress.task("writing chips", len(tiles)) as task:
        for kind in ("images", "masks"):
            (whole / kind).mkdir(parents=True)
        for i, name in enumerate(names):
            _write_chip(tiles, i, scenes[tiles.region[i]][1], whole, name)
            task.advance()
        write_json(whole / CHIPS, _listed(tiles, scenes, names))
    return Path(folder)


def places_listed(folder: Path, names: Sequence[str]) -> Places:
    """Read from ``chips.json`` where chips lie, in units of a chip, and in which part they are.

    Raises
    ------
    FormatError
        The list is damaged, or newer.
    InputError
        A chip is not in it.
    """
    where = folder / CHIPS
    content = read_json(where, what="list of chips")
    check_format(content, where)
    try:
        size = int(content["size"])
        entries = {str(one["name"]): one for one in content["chips"]}
        absent = next((name for name in names if name not in entries), None)
        if absent is not None:
            message = f"{where}: chip {absent!r} is not in it; take the chip out, or delete the list to do without"
            raise InputError(message)
        row, col, region = (np.array([entries[name][key] for name in names], np.int64) for key in _PLACE)
        split = np.array([str(entries[name]["part"]) for name in names])
        if size <= 0:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        message = f"{where}: the list of chips is damaged; write the chips again, or delete the list to do without"
        raise FormatError(message) from error
    places = np.stack([region, row // size, col // size])
    shared = bool((row % size).any() or (col % size).any() or np.unique(places, axis=1).shape[1] < len(names))
    region, row, col = places.astype(np.int32)
    return Places(row, col, region, split, shared=shared)


_PLACE = ("row", "col", "region")


def _scenes(tiles: TileSet) -> dict[int, tuple[str, Grid]]:
    """Name and grid of each scene by its number."""
    from landslip.grid import Grid  # prepared tiles train without geodata libraries

    sources: list[dict[str, Any]] = list(tiles.meta["sources"])
    words = [str(about.get("path") or "scene") for about in sources]
    if len(set(words)) < len(words):
        words = [f"{word}-{number}" for number, word in enumerate(words)]
    return {
        i: (word, Grid.from_dict(about["grid"])) for i, (word, about) in enumerate(zip(words, sources, strict=True))
    }


def _write_chip(tiles: TileSet, i: int, grid: Grid, folder: Path, name: str) -> None:
    from landslip.rasters import RasterSpec, create_raster

    size = tiles.size
    place = grid.crop(Window(int(tiles.row[i]), int(tiles.col[i]), size, size))
    with create_raster(
        folder / "images" / f"{name}.tif", RasterSpec(place, "float32", tiles.layers, nodata=float("nan"), block=size)
    ) as file:
        file.write(tiles.image[i])
    with create_raster(
        folder / "masks" / f"{name}.tif", RasterSpec(place, "uint8", ("landslide",), nodata=UNKNOWN, block=size)
    ) as file:
        file.write(tiles.label[i][None])


def _listed(tiles: TileSet, scenes: dict[int, tuple[str, Grid]], names: Sequence[str]) -> dict[str, Any]:
    chips = [
        {
            "name": name,
            "part": _WORDS[Part(tiles.part[i])],
            "scene": scenes[int(tiles.region[i])][0],
            "region": int(tiles.region[i]),
            "row": int(tiles.row[i]),
            "col": int(tiles.col[i]),
            "block": int(tiles.block[i]),
        }
        for i, name in enumerate(names)
    ]
    return {"format": FORMAT, "layers": list(tiles.layers), "size": tiles.size, "chips": chips}
