"""The study from settings to report: prepare tiles, do the runs, score them together, write it all down."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landslip._version import __version__
from landslip.cluster import Cluster
from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, LandslipError, OutputError
from landslip.files import FORMAT, atomic_path, check_format, locked, read_json, sha256, write_json, write_text
from landslip.progress import SILENT, Progress
from landslip.study.areas import area_curves, save_truth, truth_name
from landslip.study.checks import check_runs, check_settings
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.design import bands_of_study, base_layers, plan_rows
from landslip.study.guard import guard
from landslip.study.parallel import Work, make_runs
from landslip.study.prepare import Fold, Prepared, plan_folds, prepare
from landslip.study.results import Results, parts_entry
from landslip.study.runs import Run, execute, plan_runs
from landslip.study.sources import Source, open_source
from landslip.study.statistics import Draws, claims, factor_effects
from landslip.study.tables import as_csv, as_markdown, as_text, table_rows
from landslip.study.transfer import check_places, check_split, run_transfer

log = logging.getLogger(__name__)

STUDY = "study.json"
CONFIG = "config.toml"
PLAN = "plan.json"
"""Rows, folds and checksums of the tiles: written when they are ready, read on resuming."""


@dataclass(frozen=True)
class StudyResult:
    """A finished study.

    Parameters
    ----------
    folder
        Where everything lies.
    content
        ``study.json``.
    report
        The page, or None when it could not be written (the reason is logged).
    """

    folder: Path
    content: dict[str, Any]
    report: Path | None = None

    @property
    def table(self) -> list[dict[str, Any]]:
        """One record of plain figures per row."""
        return table_rows(self.content["rows"])

    def table_text(self) -> str:
        """Return the short table."""
        return as_text(self.table)

    def answer(self) -> list[str]:
        """Return what the numbers support: two sentences, and what became of the paper's claim."""
        from landslip.report.answer import answer
        from landslip.report.claim import paper_claim
        from landslip.report.read import read_study

        study = read_study(self.folder)
        told, claim = answer(study), paper_claim(study)
        return [told.first, told.second, *([claim.text] if claim else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return table and places as JSON types."""
        return {"out": str(self.folder), "report": str(self.report) if self.report else None, "table": self.table}


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

    def runs(self) -> tuple[Run, ...]:
        """List the runs."""
        return plan_runs(self.config, self.rows, self.folds, self.tiles)


def run_study(
    config: StudyConfig | None,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    report: bool = True,
    cluster: Cluster | None = None,
) -> StudyResult:
    """Run a study, or go on with an interrupted one.

    Parameters
    ----------
    config
        Settings; None with ``resume``: those of the interrupted study.
    out
        Study folder; see ``docs/study.md`` for what lies in it.
    resume
        Go on where an interrupted study left off; finished runs are not made again.
    progress
        Who is told how far it is.
    report
        Write figures and ``report.html`` at the end.
    cluster
        Where the runs are made, side by side; None: here, one after another. The tables are the same.

    Raises
    ------
    OutputError
        The folder holds a study and ``resume`` is off, or another process is at it, or the disk is full.
    ConfigError
        Settings that exclude each other, or differ from those of the interrupted study.
    SplitError
        A part without landslides, or (``leakage = "refuse"``) parts too near to each other.
    InputError
        Runs failed on the cluster; the others are finished.
    """
    folder = Path(out)
    if config is not None:
        check_settings(config)
    with locked(folder, mark="study.json"):
        begun = (folder / CONFIG).is_file()
        config = _begin(config, folder, resume=resume)
        try:
            plan = make_plan(config, folder, progress=progress)
            check_runs(plan.runs(), plan.tiles, folder)
        except LandslipError:
            if not begun:
                _forget(folder)
            raise
        started = time.time()
        records = _do_runs(plan, folder, progress, cluster)
        moved = _do_transfer(plan, folder, progress, cluster) if config.transfer else []
        content = _content(plan, records, folder, progress) | ({"transfer": moved} if moved else {})
        for name, text in (("table.csv", as_csv), ("table.md", as_markdown)):
            write_text(folder / name, text(table_rows(content["rows"])))
        write_json(folder / "log.json", _log(started))
        write_json(folder / STUDY, content)
    page = _report(folder) if report else None
    return StudyResult(folder, content, page)


def make_plan(config: StudyConfig, folder: Path, *, progress: Progress = SILENT) -> Plan:
    """Prepare rows and tiles in ``folder``, or take up those that lie there."""
    if (folder / PLAN).is_file():
        return _read_plan(config, folder)
    check_settings(config)
    if config.data.kind == "tiles":
        assert config.data.tiles is not None
        tiles = TileSet.load(config.data.tiles)
        return _write_plan(config, folder, tiles.layers, plan_folds(config, None), {"main": Prepared(tiles)})
    with progress.task("reading data", 1) as task:
        source = open_source(config.data, seed=config.split.seed, bands=lambda there: bands_of_study(config, there))
        task.advance()
    base = base_layers(config, source.bands)
    if config.transfer:
        check_places(source)
        check_split(source, base, config)
    rows = plan_rows(config, source.bands)
    layers = tuple(dict.fromkeys(name for row in rows for name in row.layers))
    layers = tuple(dict.fromkeys((*base, *layers)))
    folds = plan_folds(config, source)
    prepared = {}
    with progress.task("building layers and tiles", len(folds)) as task:
        for fold in folds:
            prepared[fold.name] = prepare(source, base, layers, fold, config)
            task.advance()
    return _write_plan(config, folder, base, folds, prepared, rows=rows, source=source)


def _begin(config: StudyConfig | None, folder: Path, *, resume: bool) -> StudyConfig:
    there = (folder / CONFIG).is_file()
    if there and not resume:
        message = f"{folder}: holds a study already; go on with it by --resume, or choose another --out"
        raise OutputError(message)
    if there:
        before = StudyConfig.from_toml(folder / CONFIG)
        if config is not None and config != before:
            changed = [name for name in StudyConfig.model_fields if getattr(config, name) != getattr(before, name)]
            message = (
                f"{folder}: was begun with other settings of {', '.join(changed)}; "
                "give no config to go on with its own, or choose another --out"
            )
            raise ConfigError(message)
        return before
    if config is None:
        message = f"{folder}: no study to resume there; give a config file (landslip study --init scene writes one)"
        raise ConfigError(message)
    config.to_toml(folder / CONFIG)
    return config


def _forget(folder: Path) -> None:
    """Take away what was prepared for a study that cannot be, so that it can be put right and begun again."""
    for pattern in (CONFIG, PLAN, "tiles*.npz", "split*.npz", "truth*.npz"):
        for path in folder.glob(pattern):
            path.unlink()


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
        rows = _rows_of_tiles(config, base, tiles)
    ids, guards, entries = {}, [], []
    for fold in folds:
        one = prepared[fold.name]
        guards.append(guard(one.tiles, one.splits, fold, refuse=config.leakage == "refuse"))
        suffix = _suffix(fold, folds)
        one.tiles.save(folder / f"tiles{suffix}.npz")
        split = f"split{suffix}.npz" if one.splits else None
        if split:
            _save_splits(folder / split, one)
        if source is not None and one.splits:
            save_truth(folder / truth_name(fold, folds), source, [split.part for split in one.splits])
        ids[fold.name] = sha256(folder / f"tiles{suffix}.npz")
        entries.append({"name": fold.name, "tiles": f"tiles{suffix}.npz", "split": split, "test": fold.words})
    for found in guards:
        if found["verdict"] != "ok":
            log.warning("%s: %s", found["fold"], found["text"])
    content = {
        "format": FORMAT,
        "base": list(base),
        "rows": [row.to_dict() for row in rows],
        "folds": entries,
        "tiles_id": ids,
        "guard": guards,
    }
    write_json(folder / PLAN, content)
    tiles_by_fold = {name: one.tiles for name, one in prepared.items()}
    return Plan(config, tuple(base), rows, folds, tiles_by_fold, ids, guards)


def _rows_of_tiles(config: StudyConfig, base: tuple[str, ...], tiles: TileSet) -> tuple[RowConfig, ...]:
    """Plan rows from the layers that the tiles have, which stand for the bands."""
    rows = plan_rows(config.model_copy(update={"layers": base, "only": ()}), _as_bands(tiles.layers))
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
    return Plan(config, tuple(content["base"]), rows, tuple(folds), tiles, ids, content["guard"])


def _save_splits(path: Path, prepared: Prepared) -> None:
    arrays: dict[str, Any] = {}
    for i, split in enumerate(prepared.splits):
        arrays[f"part_{i}"], arrays[f"block_{i}"] = split.part, split.block
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def _suffix(fold: Fold, folds: tuple[Fold, ...]) -> str:
    return "" if len(folds) == 1 else f"-{fold.name}"


def _do_runs(plan: Plan, folder: Path, progress: Progress, cluster: Cluster | None) -> list[dict[str, Any]]:
    runs = plan.runs()
    works = [Work(run, f"tiles{_suffix(run.fold, plan.folds)}.npz", plan.tiles_id[run.fold.name]) for run in runs]
    make_runs(cluster, works, folder, progress)  # what it finished is only read below
    records = []
    with progress.task("runs", len(runs)) as task:
        for run in runs:
            task.advance(0, note=f"{run.row.label}, seed {run.seed}")
            tiles, tiles_id = plan.tiles[run.fold.name], plan.tiles_id[run.fold.name]
            records.append(execute(run, tiles, folder, tiles_id, progress=progress))
            task.advance(1, note=f"F1 {records[-1]['scores']['test']['f1'] or 0:.3f}")
    return records


def _do_transfer(plan: Plan, folder: Path, progress: Progress, cluster: Cluster | None) -> list[dict[str, Any]]:
    config = plan.config
    if config.data.kind == "tiles":
        message = "transfer needs scenes or patches, not tiles: layers are fitted on each place anew"
        raise ConfigError(message)
    with progress.task("reading data", 1) as task:
        source = open_source(config.data, seed=config.split.seed, bands=lambda there: bands_of_study(config, there))
        task.advance()
    return run_transfer(source, plan.base, plan.rows, config, folder, progress, cluster)


def _content(plan: Plan, records: list[dict[str, Any]], folder: Path, progress: Progress) -> dict[str, Any]:
    config, results = plan.config, Results(folder, plan.tiles, plan.rows, records)
    blocks = len(results.blocks)
    draws = Draws.make(len(results.seeds), blocks, config.draws)
    may_claim, reason = claims(len(results.seeds), blocks)
    settings = {run.row.name: run.train for run in plan.runs()}
    with progress.task("scoring", len(plan.rows) + 1) as task:
        rows, curves, reliability, landslides, areas = [], {}, {}, {}, {}
        for row in plan.rows:
            train = settings[row.name]
            rows.append(results.row_entry(row, draws) | {"train": train.to_dict() if train else None})
            curves[row.name], reliability[row.name] = results.curves(row.name)
            landslides[row.name], areas[row.name] = results.landslides(row.name)
            task.advance()
        comparisons = results.comparisons(draws)
        task.advance()
    factors = {row.name: row.factors for row in plan.rows if row.factors}
    effects = factor_effects(factors, {name: results.counts(name) for name in factors}, draws)
    first = plan.tiles[plan.folds[0].name]
    return {
        "format": FORMAT,
        "version": __version__,
        "title": config.title or _title(config),
        "design": config.design,
        "kind": config.data.kind if config.data.kind != "tiles" else first.meta.get("kind", "tiles"),
        "simulated": bool(first.meta.get("simulated", False)),
        "pretrained": any(train is not None and train.weights != "none" for train in settings.values()),
        "seeds": list(results.seeds),
        "folds": read_json(folder / PLAN)["folds"],
        "blocks": blocks,
        "draws": config.draws,
        "claims": may_claim,
        "claims_reason": reason,
        "rows": rows,
        "comparisons": comparisons,
        **({"effects": effects} if effects else {}),
        "precision_recall": curves,
        "calibration": reliability,
        "landslides": landslides,
        "area_frequency": area_curves(results, areas, folder, plan.folds),
        "split": {
            "design": config.split.design,
            "in_words": _split_in_words(plan),
            "parts": [
                entry for fold in plan.folds for entry in parts_entry(fold.name, plan.tiles[fold.name], plan.base)
            ],
            "settings": config.split.to_dict(),
        },
        "guard": plan.guards,
        "data": {"layers": list(first.layers), "pixel_m": first.meta.get("pixel_m"), **_data(first)},
        "recipes": {name: tiles.recipe.to_dict() if tiles.recipe else None for name, tiles in plan.tiles.items()},
        "settings": config.to_dict(),
        "commands": [f"landslip study {CONFIG} --out {shlex.quote(folder.name)}"],
        "warnings": [f"{found['fold']}: {found['text']}" for found in plan.guards if found["verdict"] != "ok"],
        "limits": _limits(plan, reason),
    }


def _title(config: StudyConfig) -> str:
    data = config.data
    path = data.scene or data.patches or data.tiles or (data.scenes[0] if data.scenes else Path("study"))
    return f"Landslides in {path.stem}"


def _data(tiles: TileSet) -> dict[str, Any]:
    sources = tiles.meta.get("sources", [])
    return {"prevalence": tiles.prevalence(), "sources": sources, "dates": [one.get("dates") for one in sources]}


def _split_in_words(plan: Plan) -> str:
    split, folds = plan.config.split, plan.folds
    test = folds[0].words if len(folds) == 1 else f"{len(folds)} folds, each tested once"
    how = {
        "blocks": f"in blocks of {split.block_tiles} x {split.block_tiles} tiles, at least {split.buffer_px} px apart",
        "random": "tile by tile at random, next to training tiles",
        "supplied": "from the supplied training patches, at random",
    }[split.design]
    return f"Test: {test}. Validation: {split.validation_fraction:.0%} of the rest, drawn {how}."


def _limits(plan: Plan, reason: str) -> list[str]:
    limits = [reason] if reason else []
    if plan.config.split.design == "supplied":
        limits.append("The supplied split puts test patches next to training patches: its scores are optimistic.")
    if plan.config.split.design == "random":
        limits.append("Validation tiles lie next to training tiles: validation scores and the chosen epoch flatter.")
    if any(row.model.startswith(("resunet", "attention")) for row in plan.rows) and (
        plan.config.train.get("weights", "none") == "none"
    ):
        limits.append("The ResNet-34 rows start from random weights, unlike the paper's.")
    return limits


def _log(started: float) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "seconds": round(time.time() - started, 1),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": platform.node(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def _report(folder: Path) -> Path | None:
    from landslip.report import write_report

    try:
        return Path(write_report(folder))
    except LandslipError as error:
        log.warning("the report was not written: %s", error)
        return None
