"""A study that gets more seeds or rows: what may differ from what was begun, its new plan, and keeping that.

Tiles stay as they are, and so does all that was trained: what a study grows by must lie in its tiles.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, LayerError, OutputError
from landslip.files import read_json, write_json
from landslip.layers.catalogue import describe
from landslip.study.checks import check_settings
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.design import plan_rows
from landslip.study.plan import CONFIG, PLAN, STUDY, Plan, rows_of_tiles, rows_possible
from landslip.study.sources import bands_there
from landslip.study.transfer import layers_that_travel

log = logging.getLogger(__name__)

GROWS = ("title", "seeds", "rows", "only", "forest")
"""Settings that may differ where a study grows; what they may do is add."""

_ELSE = "or choose another --out"


def settle(config: StudyConfig | None, folder: Path, *, resume: bool) -> tuple[StudyConfig, StudyConfig | None]:
    """Find the settings of a study in ``folder``, and where they add to those it was begun with, these.

    Raises
    ------
    OutputError
        The folder holds a study and ``resume`` is off.
    ConfigError
        There are no settings, or they change what was begun, or a growth was stopped before it was kept whole.
    """
    there = (folder / CONFIG).is_file()
    if there and not resume:
        message = f"{folder}: holds a study already; go on with it by --resume, or choose another --out"
        raise OutputError(message)
    if there:
        before = StudyConfig.from_toml(folder / CONFIG)
        if config is None or config.to_dict() == before.to_dict():
            _check_whole(before, folder)
            return before, None
        _check_settings(config, before, folder)
        return config, before
    if config is None:
        message = f"{folder}: no study to resume there; give a config file (landslip study --init scene writes one)"
        raise ConfigError(message)
    return config, None


def _check_whole(config: StudyConfig, folder: Path) -> None:
    """Refuse to go on where :func:`keep_growth` wrote the plan and was killed before it wrote the settings."""
    if not (folder / PLAN).is_file():
        return
    content = read_json(folder / PLAN, what="study plan")
    if config.data.kind == "tiles":
        layers = TileSet.load(folder / content["folds"][0]["tiles"]).layers
        rows = rows_possible(config, tuple(content["base"]), layers)
        planned = {row.name for row in rows if not config.only or row.name in config.only}
    elif content.get("bands") is None:
        return  # of an early version, which named no bands; the data need not be there any more
    else:
        planned = {row.name for row in plan_rows(config, content["bands"])}
    more = [repr(row["name"]) for row in content["rows"] if row["name"] not in planned]
    if more:
        message = (
            f"{folder}: {PLAN} has rows that {CONFIG} does not plan ({', '.join(more)}): the study was stopped while "
            "it grew; give the CONFIG of that growth again, with --resume"
        )
        raise ConfigError(message)


def _check_settings(config: StudyConfig, before: StudyConfig, folder: Path) -> None:
    fixed = set(StudyConfig.model_fields) - set(GROWS)
    changed = _differences(config.model_dump(mode="json", include=fixed), before.model_dump(mode="json", include=fixed))
    if changed:
        message = (
            f"{folder}: was begun with other settings of {', '.join(changed)}; only seeds and rows can be added to it: "
            f"give no config to go on with its own, {_ELSE}"
        )
        raise ConfigError(message)
    removed = [str(seed) for seed in before.seeds if seed not in config.seeds]
    if removed:
        message = f"{folder}: seeds {', '.join(removed)} of the study are not in the settings; put them back, {_ELSE}"
        raise ConfigError(message)
    if not (folder / PLAN).is_file():
        message = (
            f"{folder}: was begun with other settings of {', '.join(_differences(config.to_dict(), before.to_dict()))} "
            "and stopped before anything was trained; remove the folder and begin anew"
        )
        raise ConfigError(message)


def _differences(one: dict[str, Any], other: dict[str, Any], within: str = "") -> list[str]:
    """Name the settings that differ, those of a table by table and name."""
    found = []
    for name in dict.fromkeys((*one, *other)):
        a, b = one.get(name), other.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{within}{name}.")
        elif a != b:
            found.append(f"{within}{name}")
    return found


def grow(plan: Plan, config: StudyConfig, folder: Path) -> Plan:
    """Add to the plan of a study in ``folder`` what ``config`` adds to its settings; nothing is written.

    Raises
    ------
    ConfigError
        A row of the study is changed or left out, or would be trained otherwise beside the new ones.
    LayerError
        A new row has a layer that the tiles lack.
    """
    check_settings(config)
    tiles = next(iter(plan.tiles.values()))
    rows = _rows(plan, config, tiles, folder)
    _check_rows(plan.rows, rows, folder)
    grown = replace(plan, config=config, rows=rows, grown=_added(plan, config, rows, folder))
    _check_runs(plan, grown, folder)
    if config.transfer:
        _check_places(grown, folder)
    return grown


def keep_growth(plan: Plan, folder: Path) -> None:
    """Write plan and settings of a study that has grown in the place of those that it was begun with."""
    content = read_json(folder / PLAN, what="study plan")
    # the plan first: killed in between, the same command finds rows that it has already, and goes on
    grown = {"grown": list(plan.grown)} if plan.grown else {}
    write_json(folder / PLAN, content | {"rows": [row.to_dict() for row in plan.rows]} | grown)
    plan.config.to_toml(folder / CONFIG)


def _added(plan: Plan, config: StudyConfig, rows: Sequence[RowConfig], folder: Path) -> tuple[dict[str, Any], ...]:
    """Say what is added, and put it to what was added before where there is a table that may have led to it."""
    before = {row.name for row in plan.rows}
    names = [row.name for row in rows if row.name not in before]
    seeds = [seed for seed in config.seeds if seed not in plan.config.seeds]
    both = (("row", names), ("seed", seeds))
    told = [f"{word if len(some) == 1 else f'{word}s'} {', '.join(map(str, some))}" for word, some in both if some]
    if told:
        log.warning("%s: adds %s", folder, "; ".join(told))  # a design may bring rows that nobody asked for
    known = {seed for one in plan.grown for seed in one["seeds"]}  # of this growth, where it was killed half kept
    seeds = [seed for seed in seeds if seed not in known]
    if not (folder / STUDY).is_file() or not (names or seeds):
        return plan.grown
    return (*plan.grown, {"rows": names, "seeds": seeds, "table_written": True})


def _rows(plan: Plan, config: StudyConfig, tiles: TileSet, folder: Path) -> tuple[RowConfig, ...]:
    for row in config.rows:  # before bands are asked for: those of a scene may not be among what was read
        if not config.only or row.name in config.only:
            for name in row.layers:
                describe(name)
            _check_layers(row, tiles.layers, folder)
    if config.data.kind == "tiles":
        rows = rows_of_tiles(config, plan.base, tiles)
    else:
        rows = plan_rows(config, plan.bands if plan.bands is not None else bands_there(config.data))
    for row in rows:
        _check_layers(row, tiles.layers, folder)
    return rows


def _check_layers(row: RowConfig, there: Sequence[str], folder: Path) -> None:
    absent = [name for name in row.layers if name not in there]
    if absent:
        message = (
            f"row {row.name!r}: the tiles of {folder} lack {', '.join(absent)}, and a study that is begun keeps its "
            "tiles; take the row out, or choose another --out"
        )
        raise LayerError(message)


def _check_rows(before: Sequence[RowConfig], after: Sequence[RowConfig], folder: Path) -> None:
    new = {row.name: row for row in after}
    for row in before:
        if row.name not in new:
            message = f"{folder}: row {row.name!r} of the study is not in the settings; put it back, {_ELSE}"
            raise ConfigError(message)
        changed = _differences(new[row.name].to_dict(), row.to_dict())
        if changed:
            message = (
                f"{folder}: row {row.name!r} was begun with other settings of {', '.join(changed)}; "
                f"put them back and give the changed row a name of its own, {_ELSE}"
            )
            raise ConfigError(message)


def _check_runs(before: Plan, after: Plan, folder: Path) -> None:
    """Refuse rows beside which a row of the study would be trained otherwise (who has an encoder gets the weights)."""
    new = {run.folder: run for run in after.runs()}
    for run in before.runs():
        again = new[run.folder]
        if run.digest("") != again.digest(""):
            one, other = (one.train.to_dict() if one.train else {} for one in (run, again))
            message = (
                f"{folder}: beside the new rows, row {run.row.name!r} would be trained with other settings of "
                f"{', '.join(_differences(one, other))}; take them out, {_ELSE}"
            )
            raise ConfigError(message)


def _check_places(plan: Plan, folder: Path) -> None:
    """Refuse a row that travels and whose layers were not fitted on the places, where these are prepared already."""
    needed = layers_that_travel(plan.base, plan.rows, plan.config)
    made = next(iter(sorted(folder.glob("tiles-from*.npz"))), None)
    absent = [name for name in needed if made is not None and name not in TileSet.load(made).layers]
    if absent:
        message = (
            f"{made}: the places of the transfer matrix lack {', '.join(absent)} of the new rows of transfer_rows, and "
            "a study that is begun keeps its tiles; take the rows out, or choose another --out"
        )
        raise LayerError(message)
