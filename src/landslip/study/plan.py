"""What is ready before the first run of a study: rows, folds and tiles, prepared once and taken up on resuming."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslip.data.tileset import TileSet
from landslip.errors import ConfigError
from landslip.files import FORMAT, check_format, read_json, sha256, write_json
from landslip.progress import SILENT, Progress
from landslip.splits import save_splits
from landslip.study.areas import save_truth, truth_name
from landslip.study.checks import check_heard, check_settings
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.design import bands_of_study, base_layers, plan_rows
from landslip.study.folds import Fold, plan_folds, suffix
from landslip.study.guard import guard
from landslip.study.prepare import Prepared, prepare
from landslip.study.runs import Run, plan_runs
from landslip.study.scene_tiles import check_tests
from landslip.study.sources import Source, open_source
from landslip.study.transfer import check_places, check_split, rows_that_travel

log = logging.getLogger(__name__)

CONFIG = "config.toml"

STUDY = "study.json"

PLAN = "plan.json"
"""Rows, folds and checksums of the tiles: written when they are ready, read on resuming."""


@dataclass(frozen=True)
class Plan:
    """What is ready before the first run: rows, folds, and the tiles of each fold with their checksums."""

    config: StudyConfig
    base: tuple[str, ...]
    rows: tuple[RowConfig, ...]
    folds: tuple[Fold, ...]
    tiles: dict[str, TileSet]
    tiles_id: dict[str, str]
    guards: list[dict[str, Any]]
    bands: tuple[str, ...] | None = None
    """Bands of the data, from which the design takes its rows; None where tiles were split elsewhere."""
    grown: tuple[dict[str, Any], ...] = ()
    """Rows and seeds that were added after a table had been written, as ``plan.json`` has them."""

    def runs(self) -> tuple[Run, ...]:
        """List the runs."""
        return plan_runs(self.config, self.rows, self.folds, self.tiles)


def make_plan(config: StudyConfig, folder: Path, *, progress: Progress = SILENT) -> Plan:
    """Prepare rows and tiles in ``folder``, or take up those that lie there."""
    if (folder / PLAN).is_file():
        return _read_plan(config, folder)
    check_settings(config)
    check_heard(config)
    if config.data.kind == "tiles":
        assert config.data.tiles is not None
        if config.transfer:
            message = "transfer needs scenes or patches, not tiles: layers are fitted on each place anew"
            raise ConfigError(message)
        tiles = TileSet.load(config.data.tiles)
        config.data.check_names(tiles.region.tolist())
        return _write_plan(config, folder, tiles.layers, plan_folds(config, None), {"main": Prepared(tiles)})
    source = open_data(config, progress)
    base = base_layers(config, source.bands)
    if config.transfer:
        check_places(source)
        check_split(source, base, config)
    rows = plan_rows(config, source.bands)
    if config.transfer:
        rows_that_travel(config, rows)
    layers = tuple(dict.fromkeys(name for row in rows for name in row.layers))
    layers = tuple(dict.fromkeys((*base, *layers)))
    folds = plan_folds(config, source)
    if source.places is None:
        check_tests(source, base, folds)
    prepared = {}
    with progress.task("building layers and tiles", len(folds)) as task:
        for fold in folds:
            prepared[fold.name] = prepare(source, base, layers, fold, config)
            task.advance()
    return _write_plan(config, folder, base, folds, prepared, rows=rows, source=source)


def open_data(config: StudyConfig, progress: Progress) -> Source:
    """Read the data of a study, and of its bands those that its rows need."""
    with progress.task("reading data", 1) as task:
        source = open_source(config.data, seed=config.split.seed, bands=lambda there: bands_of_study(config, there))
        task.advance()
    return source


def _write_plan(
    config: StudyConfig,
    folder: Path,
    base: tuple[str, ...],
    folds: tuple[Fold, ...],
    prepared: dict[str, Prepared],
    *,
    rows: tuple[RowConfig, ...] | None = None,
    source: Source | None = None,
) -> Plan:
    if rows is None:  # tiles that were split elsewhere
        tiles = prepared["main"].tiles
        plain = tuple(name for name in tiles.layers if "_" not in name or name.startswith("aspect"))
        base = config.layers or tuple(name for name in plain if name not in ("ndvi", "ngrdi", "ndwi", "brightness"))
        rows = rows_of_tiles(config, base, tiles)
    ids, guards, entries = {}, [], []
    for fold in folds:
        one = prepared[fold.name]
        guards.append(guard(one.tiles, one.splits, fold, refuse=config.leakage == "refuse"))
        end = suffix(fold, folds)
        one.tiles.save(folder / f"tiles{end}.npz")
        split = f"split{end}.npz" if one.splits else None
        if split:
            save_splits(folder / split, one.splits)
        if source is not None and one.splits:
            save_truth(folder / truth_name(fold, folds), source, [split.part for split in one.splits])
        ids[fold.name] = sha256(folder / f"tiles{end}.npz")
        entries.append({"name": fold.name, "tiles": f"tiles{end}.npz", "split": split, "test": fold.words})
    for found in guards:
        if found["verdict"] != "ok":
            log.warning("%s: %s", found["fold"], found["text"])
    bands = None if source is None else source.bands
    content = {
        "format": FORMAT,
        "base": list(base),
        "bands": bands,
        "rows": [row.to_dict() for row in rows],
        "folds": entries,
        "tiles_id": ids,
        "guard": guards,
    }
    write_json(folder / PLAN, content)
    tiles_by_fold = {name: one.tiles for name, one in prepared.items()}
    return Plan(config, tuple(base), rows, folds, tiles_by_fold, ids, guards, bands)


def rows_of_tiles(config: StudyConfig, base: tuple[str, ...], tiles: TileSet) -> tuple[RowConfig, ...]:
    """Plan rows from the layers that the tiles have, which stand for the bands.

    Raises
    ------
    ConfigError
        A row of ``only`` has no layers there, or no row has.
    """
    rows = rows_possible(config, base, tiles.layers)
    kept = [row for row in rows if set(row.layers) <= set(tiles.layers)]
    for row in rows:
        if row not in kept:
            log.warning(
                "row %r is left out: the tiles lack %s", row.name, ", ".join(set(row.layers) - set(tiles.layers))
            )
    names = [row.name for row in kept]
    absent = [name for name in config.only if name not in names]
    if absent or not kept:
        message = (
            f"the tiles have no layers for row {absent[0] if absent else rows[0].name!r}; rows are: {', '.join(names)}"
        )
        raise ConfigError(message)
    return tuple(row for row in kept if not config.only or row.name in config.only)


def rows_possible(config: StudyConfig, base: tuple[str, ...], layers: tuple[str, ...]) -> tuple[RowConfig, ...]:
    """Plan all rows of a design on tiles with these layers, those whose own layers they lack too."""
    return plan_rows(config.model_copy(update={"layers": base, "only": ()}), _as_bands(layers))


def _as_bands(layers: tuple[str, ...]) -> tuple[str, ...]:
    before = tuple(f"pre_{name[2:]}" for name in layers if name.startswith("d_"))
    return tuple(dict.fromkeys((*layers, *before)))


def _read_plan(config: StudyConfig, folder: Path) -> Plan:
    content = read_json(folder / PLAN, what="study plan")
    check_format(content, folder / PLAN)
    tiles, ids, folds = {}, {}, []
    for entry in content["folds"]:
        path = folder / entry["tiles"]
        ids[entry["name"]] = sha256(path)
        if ids[entry["name"]] != content["tiles_id"][entry["name"]]:
            message = f"{path}: changed since the study was begun; put it back, or begin anew with another --out"
            raise ConfigError(message)
        tiles[entry["name"]] = TileSet.load(path)
        folds.append(Fold(entry["name"], config.split, entry["test"]))
    rows = tuple(RowConfig.from_dict(row, where=str(folder / PLAN)) for row in content["rows"])
    base, bands, grown = tuple(content["base"]), content.get("bands"), tuple(content.get("grown", ()))
    return Plan(config, base, rows, tuple(folds), tiles, ids, content["guard"], bands and tuple(bands), grown)
