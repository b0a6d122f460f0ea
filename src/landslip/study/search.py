"""A search of training settings: each tried on the training part and ranked by its F1 on validation.

Test tiles are dropped before the first trial and never looked at: what is chosen here is scored once, elsewhere.
"""

from __future__ import annotations

import difflib
import itertools
import json
import logging
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from landslip.config import Config
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, FormatError, InputError, ModelError, OutputError
from landslip.files import FORMAT, locked, read_json, write_json, write_text
from landslip.progress import SILENT, Progress
from landslip.study.checks import check_layers, try_network
from landslip.study.search_table import as_csv, as_markdown, record_of
from landslip.study.single import SingleConfig, TilesConfig, prepare_tiles
from landslip.training import TrainConfig

log = logging.getLogger(__name__)

SEARCH = "search.json"
CONFIG = "search.toml"
BEST = "best.toml"
FAILED = "failed.json"

MOST = 100
"""Most combinations that are all tried without being asked for."""

_FIXED = {
    "preset": "write out what it stands for",
    "tracker": "set it in [train]",
    "device": "set it in [train]",
    "devices": "set it in [train]",
    "num_nodes": "set it in [train]",
}
"""Settings that are not searched, and what to do."""

_NETWORK = ("model", "model_options", "weights", "freeze_encoder", "layers")
"""Settings that make a network."""


class SearchOptions(Config):
    """What is tried."""

    values: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Values of each setting of ``[train]`` that is searched; other settings are as there."""
    trials: int | None = Field(None, ge=1)
    """So many combinations, drawn at random; default all of them."""
    seed: int = Field(0, ge=0)
    """Of this draw."""


class SearchConfig(SingleConfig):
    """Settings of ``landslip search``: those of ``landslip train``, and what is tried."""

    search: SearchOptions = Field(default_factory=SearchOptions)

    def trials(self) -> tuple[Trial, ...]:
        """List the trials in order.

        Raises
        ------
        ConfigError
            Nothing to search; an unknown setting or value; an empty list; too many combinations.
        """
        values = self.search.values
        _check_names(values)
        total = math.prod(len(tried) for tried in values.values())
        chosen = range(total) if self.search.trials is None else _draw(total, self.search.trials, self.search.seed)
        if self.search.trials is None and total > MOST:
            message = (
                f"[search]: the lists make {total} combinations, more than {MOST}; set trials = {MOST} to draw so many "
                f"of them, trials = {total} for all, or shorten the lists"
            )
            raise ConfigError(message)
        return tuple(self._trial(number, index) for number, index in enumerate(chosen, 1))

    def _trial(self, number: int, index: int) -> Trial:
        settings: dict[str, Any] = {}
        for name, tried in reversed(self.search.values.items()):  # the last list goes round fastest
            index, place = divmod(index, len(tried))
            settings = {name: tried[place], **settings}
        where = f"[search.values], trial {number} ({in_words(settings)})"
        return Trial(number, settings, TrainConfig.from_dict(self.train.to_dict() | settings, where=where))

    def tiles(self) -> TilesConfig:
        """Return the settings of the tiles: with the layers of all trials."""
        tried = self.search.values.get("layers", ())
        layers = tuple(dict.fromkeys(itertools.chain(*tried))) if tried else self.train.layers
        return TilesConfig(data=self.data, split=self.split, objects=self.objects, layers=layers)


@dataclass(frozen=True)
class Trial:
    """One combination: its number from 1, the settings that make it, and the whole training."""

    number: int
    settings: dict[str, Any]
    train: TrainConfig

    @property
    def folder(self) -> str:
        """Folder of its run, relative to the search."""
        return f"trials/{self.number:03d}"


@dataclass(frozen=True)
class SearchResult:
    """A finished search: its folder, and one record per trial, the best first."""

    folder: Path
    table: list[dict[str, Any]]

    @property
    def best(self) -> Path:
        """Settings of the best trial, for ``landslip train``."""
        return self.folder / BEST


def run_search(
    config: SearchConfig, out: str | os.PathLike[str], *, resume: bool = False, progress: Progress = SILENT
) -> SearchResult:
    """Try settings and rank them by their F1 on validation.

    Parameters
    ----------
    config
        What is tried, on which data.
    out
        Search folder: ``trials/NNN`` (a run each), ``table.csv``, ``table.md``, ``best.toml``, ``search.json``.
    resume
        Go on with an interrupted search; finished trials are not made again.
    progress
        Who is told how far it is.

    Raises
    ------
    ConfigError
        As :meth:`SearchConfig.trials`; a resumed search with other settings.
    OutputError
        The folder holds a search and ``resume`` is off, or another process is at it.
    LayerError, ModelError
        Layers that a trial would turn or match and cannot; a network that cannot be built.
    FormatError
        The run of a trial is damaged.
    InputError
        No trial ended with a score.
    """
    trials, folder = config.trials(), Path(out)
    with locked(folder, mark=SEARCH):
        _check_begun(config, folder, resume=resume)
        tiles = tiles_of(config, progress)
        check_trials(trials, tiles.layers)
        config.to_toml(folder / CONFIG)  # not before it is known that it can be
        records = []
        with progress.task("trials", len(trials)) as task:
            for trial in trials:
                task.advance(0, note=in_words(trial.settings))
                records.append(_make(trial, tiles, folder, progress))
                task.advance(1, note=f"F1 {records[-1]['validation_f1'] or 0:.3f}")
        return _finish(config, trials, records, folder)


def check_trials(trials: Sequence[Trial], layers: tuple[str, ...]) -> None:
    """Refuse what no trial could be trained with, before the first is.

    Parameters
    ----------
    trials
        The trials.
    layers
        Of the tiles, for those that name none.

    Raises
    ------
    LayerError, ModelError, MissingInputError
        Layers that a trial would turn or match and cannot; a network, or its weights, that cannot be had.
    """
    networks = {json.dumps([trial.train.to_dict()[name] for name in _NETWORK]): trial for trial in reversed(trials)}
    for trial in trials:
        check_layers(f"trial {trial.number}", trial.train, trial.train.layers or layers)
    for trial in networks.values():
        try_network(f"trial {trial.number}", trial.train, trial.train.layers or layers)


def tiles_of(config: SearchConfig, progress: Progress = SILENT) -> TileSet:
    """Prepare the tiles of training and validation; where layers are searched, of pixels that all of them have."""
    tiles = prepare_tiles(config.tiles(), progress=progress).tiles
    tiles = tiles.subset(tiles.part != Part.TEST)
    if "layers" not in config.search.values:
        return tiles
    return replace(tiles, image=np.where(tiles.valid()[:, None], tiles.image, np.float32(np.nan)))


def in_words(settings: Mapping[str, Any]) -> str:
    """Write settings as they would stand in a config."""
    return ", ".join(f"{name} = {value!r}" for name, value in settings.items())


def _check_names(values: Mapping[str, tuple[Any, ...]]) -> None:
    if not values:
        message = "[search.values]: nothing to search; give lists, as learning_rate = [1e-4, 1e-3]"
        raise ConfigError(message)
    known = [name for name in TrainConfig.model_fields if name not in _FIXED]
    for name, tried in values.items():
        if name in _FIXED:
            message = f"[search.values]: {name!r} is not searched; {_FIXED[name]}"
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            message = f"[search.values]: unknown setting {name!r}; {hint}"
        elif not tried:
            message = f"[search.values]: the list of {name!r} is empty; give at least one value"
        elif any(value in tried[:i] for i, value in enumerate(tried)):
            message = f"[search.values]: the list of {name!r} has a value twice; take one of them out"
        else:
            continue
        raise ConfigError(message)


def _draw(total: int, trials: int, seed: int) -> list[int]:
    if trials > total:
        message = f"[search]: trials = {trials}, but the lists make {total} combinations; lower it, or leave it out"
        raise ConfigError(message)
    return sorted(random.Random(seed).sample(range(total), trials))


def _check_begun(config: SearchConfig, folder: Path, *, resume: bool) -> None:
    path = folder / CONFIG
    if not path.is_file():
        return
    if not resume:
        message = f"{folder}: holds a search already; go on with it by --resume, or choose another --out"
        raise OutputError(message)
    before = SearchConfig.from_toml(path)
    changed = [name for name in SearchConfig.model_fields if getattr(config, name) != getattr(before, name)]
    if changed:
        message = (
            f"{folder}: was begun with other settings of {', '.join(changed)}; go back to them, or choose another --out"
        )
        raise ConfigError(message)


def _make(trial: Trial, tiles: TileSet, folder: Path, progress: Progress) -> dict[str, Any]:
    """Make a trial, or read what it gave; one whose loss is lost has failed, and the others go on."""
    from landslip.training import fit

    place = folder / trial.folder
    if (place / FAILED).is_file():
        reason = read_json(place / FAILED, what="failed trial")["reason"]
        return record_of(trial.number, trial.settings, None, reason)
    try:
        bundle = fit(tiles, trial.train, place, resume=True, progress=progress)
    except FormatError as error:
        what = str(error).split("; ")[0]  # what to do is not what it would be with a training by itself
        message = f"{what}; remove {place}, and go on with --resume: the trial is then made again"
        raise FormatError(message) from error
    except ModelError as error:
        log.warning("trial %d failed: %s", trial.number, error)
        write_json(place / FAILED, {"format": FORMAT, "reason": str(error)})
        return record_of(trial.number, trial.settings, None, str(error))
    return record_of(trial.number, trial.settings, bundle, "")


def _finish(
    config: SearchConfig, trials: tuple[Trial, ...], records: list[dict[str, Any]], folder: Path
) -> SearchResult:
    scored = [record for record in records if record["validation_f1"] is not None]
    if not scored:
        message = f"{folder}: no trial ended with a score on validation; lower learning_rate, or train longer"
        raise InputError(message)
    # of equals the smaller loss, then the first
    scored.sort(key=lambda one: (-one["validation_f1"], one["validation_loss"] or math.inf, one["trial"]))
    ranked = scored + [record for record in records if record["validation_f1"] is None]
    table = [{"rank": rank if rank <= len(scored) else None, **record} for rank, record in enumerate(ranked, 1)]
    names = list(config.search.values)
    write_text(folder / "table.csv", as_csv(table, names))
    write_text(folder / "table.md", as_markdown(table, names))
    best = trials[table[0]["trial"] - 1]
    SingleConfig(data=config.data, split=config.split, objects=config.objects, train=best.train).to_toml(folder / BEST)
    write_json(folder / SEARCH, {"format": FORMAT, "best": best.folder, "table": table})
    return SearchResult(folder, table)
