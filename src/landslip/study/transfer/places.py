"""The places of a transfer matrix, the tiles whose layers were fitted on each, and what must hold of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, InputError
from landslip.files import sha256
from landslip.progress import Progress
from landslip.splits import check_parts
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.folds import Fold, regions_of
from landslip.study.patch_tiles import split_of_patches
from landslip.study.prepare import prepare
from landslip.study.scene_tiles import split_scenes
from landslip.study.sources import Source


@dataclass(frozen=True)
class Place:
    """A place, the tiles whose layers were fitted on it, and their checksum."""

    region: int
    tiles: TileSet
    tiles_id: str

    def own(self) -> NDArray[np.bool_]:
        """Mask of its own training and validation tiles and of all places' test tiles."""
        return np.asarray((self.tiles.region == self.region) | (self.tiles.part == Part.TEST), np.bool_)


def check_split(source: Source, base: tuple[str, ...], config: StudyConfig) -> None:
    """Refuse a split that leaves a place without landslides in a part, before anything is trained.

    Raises
    ------
    SplitError
        Which place, and what to change.
    """
    fold = Fold("main", config.split, "")
    if source.places is None:
        for area, scene in zip(source.areas, split_scenes(source, base, fold, config.data), strict=True):
            hits = (area.label == 1).ravel()
            check_parts(scene.part.ravel(), hits, where=f"transfer, {config.data.place(area.region)}")
        return
    patches, landslide = split_of_patches(source.areas[0], source.places, fold)
    for region in regions_of(source):
        here = source.places.region == region
        check_parts(patches.part[here], landslide[here], where=f"transfer, {config.data.place(region)}")


def check_places(source: Source) -> None:
    """Refuse a transfer matrix that says nothing.

    Raises
    ------
    ConfigError
        Only one place.
    InputError
        Two scenes overlap, so that a model would be tested where it was trained.
    """
    if len(regions_of(source)) < 2:
        message = "transfer needs at least two scenes, or a patch set with at least two regions"
        raise ConfigError(message)
    if source.places is not None:
        return
    from landslip.grid import Grid

    grids = [(area.about["path"], Grid.from_dict(area.about["grid"])) for area in source.areas if "grid" in area.about]
    for (name, one), (other_name, other) in itertools.combinations(grids, 2):
        if one.contains_bounds(other.bounds, other.crs):
            message = f"scenes {name} and {other_name} overlap: a model would be tested where it was trained; cut one"
            raise InputError(message)


def rows_that_travel(config: StudyConfig, rows: tuple[RowConfig, ...]) -> tuple[RowConfig, ...]:
    """Take the rows of which matrices are made.

    Raises
    ------
    ConfigError
        None of them is in the study.
    """
    chosen = tuple(row for row in rows if row.name in config.transfer_rows)
    if not chosen:
        message = f"transfer_rows names no row of the study; rows are: {', '.join(row.name for row in rows)}"
        raise ConfigError(message)
    return chosen


def layers_that_travel(base: tuple[str, ...], rows: tuple[RowConfig, ...], config: StudyConfig) -> tuple[str, ...]:
    """Name the layers that are fitted on every place: those of the rows of matrices and of what these are matched to.

    Raises
    ------
    ConfigError
        None of the rows is in the study.
    """
    chosen = rows_that_travel(config, rows)
    partners = {row.matched_to for row in chosen}
    needed = [row for row in rows if row in chosen or row.name in partners]
    return tuple(dict.fromkeys((*base, *(name for row in needed for name in row.layers))))


def make_places(
    source: Source | None,
    base: tuple[str, ...],
    rows: tuple[RowConfig, ...],
    config: StudyConfig,
    folder: Path,
    progress: Progress,
) -> list[Place]:
    """Prepare the tiles of every place in ``folder``, or take up those that lie there."""
    layers = layers_that_travel(base, rows, config)
    places = []
    regions = regions_of(source) if source is not None else _regions_there(folder)
    with progress.task("layers of each place", len(regions)) as task:
        for region in regions:
            path = folder / f"tiles-from{region}.npz"
            if not path.is_file():
                if source is None:
                    message = f"{path}: is missing; begin the study anew with another --out"
                    raise ConfigError(message)
                fold = Fold(f"from{region}", config.split, f"trained on {region}", only=region)
                prepare(source, base, layers, fold, config).tiles.save(path)
            places.append(Place(region, TileSet.load(path), sha256(path)))
            task.advance()
    return places


def _regions_there(folder: Path) -> tuple[int, ...]:
    return tuple(sorted(int(path.stem.removeprefix("tiles-from")) for path in folder.glob("tiles-from*.npz")))
