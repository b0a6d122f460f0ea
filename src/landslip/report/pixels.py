"""The pictures of a study, from its tiles and its runs' predictions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import FormatError
from landslip.files.arrays import open_arrays
from landslip.report import maps, mosaic
from landslip.report.maps import Picture
from landslip.report.model import Fold, Row, Study
from landslip.report.words import number, percent

SCENE_ZOOMS, PATCH_ZOOMS = 3, 6
MOST_PLACES = 6
"""Scenes or regions shown in Figure 1; further ones would be stamps."""


@dataclass(frozen=True)
class Zoom:
    """One test tile: its image and every row's prediction."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a study."""

    split: tuple[Picture, ...] = ()
    maps: tuple[Picture, ...] = ()
    zooms: tuple[Zoom, ...] = ()
    fold: str = ""
    """Name of the fold that the maps are of, where there are several."""
    seed: int | None = None
    faded: bool = False
    """Whether some row could not predict everywhere."""


def read_pictures(folder: Path, study: Study) -> Pictures:
    """Make the pictures of Figures 1 and 3.

    With several folds, Figure 1 shows each and Figure 3 the first. Every map is of a row's first run, the
    lowest seed, at threshold 0.5.

    Parameters
    ----------
    folder, study
        The study folder and what was read from it.

    Raises
    ------
    MissingInputError, FormatError
        A tile set or a prediction is missing or damaged.
    """
    if not study.folds:
        return Pictures()
    split: list[Picture] = []
    result = Pictures()
    for number_, fold in enumerate(study.folds):
        tiles = _visible(TileSet.load(folder / fold.tiles))
        split += _split_pictures(folder, study, fold, tiles)
        if number_ == 0:
            result = _predictions(folder, study, fold, tiles)
    return replace(result, split=tuple(split[:MOST_PLACES]))


def _visible(tiles: TileSet) -> TileSet:
    # Only what is seen is kept, and a pixel is shown where that is valid.
    names = ("red", "green", "blue")
    return tiles.select(names if set(names) <= set(tiles.layers) else tiles.layers[:1])


def _pixel_m(study: Study, tiles: TileSet) -> float | None:
    found = tiles.meta.get("pixel_m") or (study.info.get("data") or {}).get("pixel_m")
    return float(found) if isinstance(found, int | float) else None


def _split_pictures(folder: Path, study: Study, fold: Fold, tiles: TileSet) -> list[Picture]:
    regions = np.unique(tiles.region)
    pictures = []
    for region in regions:
        words = []
        if len(study.folds) > 1:
            words.append(f"fold {fold.name}")
        if len(regions) > 1:
            words.append(_place(study, int(region)))
        part = _parts(folder, fold, int(region))
        chosen = tiles.subset(tiles.region == region)
        title = ", ".join(words)
        title = title[:1].upper() + title[1:]
        pictures.append(
            maps.split_picture(chosen, patches=study.patches, pixel_m=_pixel_m(study, tiles), title=title, part=part)
        )
    return pictures


def _place(study: Study, region: int) -> str:
    """Name a scene, or a region of a patch set."""
    names = (study.info.get("data") or {}).get("regions") or {}
    return str(names.get(str(region), f"{'scene' if study.kind == 'scene' else 'region'} {region}"))


def _parts(folder: Path, fold: Fold, region: int) -> NDArray[np.uint8] | None:
    if not fold.split or not (folder / fold.split).is_file():
        return None
    damaged = "the split is damaged; remove the file, and the report does without its picture"
    with open_arrays(folder / fold.split, damaged) as content:
        name = f"part_{region}"
        return np.asarray(content[name], np.uint8) if name in content else None


def _predictions(folder: Path, study: Study, fold: Fold, tiles: TileSet) -> Pictures:
    test = tiles.of(Part.TEST)
    if not len(test):
        return Pictures()
    position = np.full(len(tiles), -1)
    position[tiles.part == Part.TEST] = np.arange(len(test))
    found: list[tuple[Row, NDArray[np.uint8]]] = []
    seeds = []
    for row in study.rows:
        run = _first_run(row, fold)
        path = folder / run["folder"] / "predictions.npz" if run else None
        if run is None or path is None or not path.is_file():
            continue
        found.append((row, mosaic.classes(_probability(path, position, test), test, 0.5)))
        seeds.append(run.get("seed"))
    overview = _overviews(study, test, found) if not study.patches else ()
    name = fold.name if len(study.folds) > 1 else ""
    valid = test.valid()
    faded = any(bool(((classes == mosaic.UNSEEN) & valid).any()) for _, classes in found)
    return Pictures((), overview, _zooms(study, test, found), name, seeds[0] if seeds else None, faded)


def _first_run(row: Row, fold: Fold) -> dict[str, Any] | None:
    own = [run for run in row.runs if run.get("fold") in (None, fold.name)]
    return min(own, key=lambda run: int(run.get("seed") or 0), default=None)


def _probability(path: Path, position: NDArray[np.intp], test: TileSet) -> NDArray[np.float32]:
    with open_arrays(path, "not the predictions of a run, or damaged; make them again with --resume") as content:
        index, values = content["index"], content["probability"]
    out = np.full(test.label.shape, np.nan, np.float32)
    if values.shape[1:] != out.shape[1:] or index.max(initial=-1) >= len(position):
        message = f"{path}: does not belong to these tiles; make it again with --resume"
        raise FormatError(message)
    at = position[index]
    out[at[at >= 0]] = values[at >= 0]
    return out


def scores_in_words(row: Row) -> str:
    """Return precision, recall and F1 of a row on the test part as text."""
    parts = [
        (name, row.score(metric)) for name, metric in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    ]
    return ", ".join(f"{name} {number(found.value, 2)}" for name, found in parts if found)


def _overviews(study: Study, test: TileSet, found: list[tuple[Row, NDArray[np.uint8]]]) -> tuple[Picture, ...]:
    # Where several scenes hold test tiles, the one with most of them is mapped.
    regions, counts = np.unique(test.region, return_counts=True)
    where = test.region == regions[np.argmax(counts)]
    chosen, pixel_m = test.subset(where), _pixel_m(study, test)
    color = mosaic.true_color(chosen)
    title = f"Image, {_place(study, int(chosen.region[0]))}" if len(regions) > 1 else "Image"
    pictures = [maps.image_picture(chosen, color, title=title, pixel_m=pixel_m)]
    for row, classes in found:
        told = scores_in_words(row)
        pictures.append(
            maps.prediction_picture(chosen, color, classes[where], title=row.label, told=told, pixel_m=pixel_m)
        )
    return tuple(pictures)


def _zooms(study: Study, test: TileSet, found: list[tuple[Row, NDArray[np.uint8]]]) -> tuple[Zoom, ...]:
    if not found:
        return ()
    color, several = mosaic.true_color(test), len(np.unique(test.region)) > 1
    zooms = []
    for index in maps.choose_tiles(test, PATCH_ZOOMS if study.patches else SCENE_ZOOMS):
        i = int(index)
        pictures = [maps.tile_picture(test, i, color[i], None, "Image")]
        pictures += [maps.tile_picture(test, i, color[i], classes[i], row.label) for row, classes in found]
        counted = test.label[i] != 255
        share = float((test.label[i] == 1).sum() / max(1, counted.sum()))
        place = f"row {test.row[i]}, column {test.col[i]}"
        if several:  # rows and columns begin anew in each
            place = f"{place} of {_place(study, int(test.region[i]))}"
        zooms.append(
            Zoom(f"Test tile at {place}: {percent(share, 1 if share >= 0.001 else 3)} landslide", tuple(pictures))
        )
    return tuple(zooms)
