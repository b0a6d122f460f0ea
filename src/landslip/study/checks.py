"""What a study looks at before the first training, so that nothing fails after hours that could be seen at once."""

from __future__ import annotations

import json
from pathlib import Path

from landslip.data.augment import Directional, Variants
from landslip.data.matching import layers_to_match
from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, LayerError, MissingInputError, ModelError
from landslip.study.config import StudyConfig
from landslip.study.predictions import SCORES
from landslip.study.runs import Run, check_landslides, read_finished, tiles_with_pixels
from landslip.training import TrainConfig
from landslip.training.tracker import require_tracker


def check_settings(config: StudyConfig) -> None:
    """Refuse training settings that are unknown or out of range before anything is read.

    Raises
    ------
    ConfigError
        Names the table and the setting, or the package that a tracker needs.
    """
    for table, train in (("[train]", config.train), *((f"row {row.name!r}", row.train) for row in config.rows)):
        alone = {name: value for name, value in train.items() if name != "steps"}  # that depends on the row's epochs
        require_tracker(TrainConfig.from_dict(alone, where=table).tracker)


def check_heard(config: StudyConfig) -> None:
    """Refuse settings of a new study that nothing would listen to, so that nobody believes in what was not done.

    Raises
    ------
    ConfigError
        Names the setting, and what it belongs to.
    """
    data, split = config.data, config.split
    several = [
        name
        for name, given in (
            ("leave_one_region_out", config.leave_one_region_out),
            ("split.folds", bool(split.folds)),
            ("split.test_regions", bool(split.test_regions)),
        )
        if given
    ]
    if len(several) > 1:
        message = f"{' and '.join(several)} both say what is tested; take one of them out"
        raise ConfigError(message)
    if config.transfer and (split.folds or split.test_regions):
        message = (
            f"transfer tests every place on its own test part, and {several[0]} says another; take one of them out"
        )
        raise ConfigError(message)
    unheard = [
        message
        for message, given in (
            ("transfer_tiles needs transfer = true", config.transfer_tiles > 0 and not config.transfer),
            ("data.regions needs data.patches", bool(data.regions) and data.patches is None),
            ("data.limit needs data.patches", data.limit is not None and data.patches is None),
            ("data.stride needs a scene, or scenes", data.stride is not None and data.kind != "scene"),
            *_unheard_of_forests(config),
        )
        if given
    ]
    if unheard:
        message = f"{unheard[0]}; without it, nothing would come of the setting: take it out"
        raise ConfigError(message)


def _unheard_of_forests(config: StudyConfig) -> list[tuple[str, bool]]:
    return [
        (f"row {row.name!r}: {name} needs a network, not a forest", given)
        for row in config.rows
        if row.model == "forest"
        for name, given in (
            ("levers", row.levers.any),
            ("augment", row.augment != "none"),
            ("matched_to", row.matched_to is not None),
            ("train", bool(row.train)),
        )
    ]


def check_runs(runs: tuple[Run, ...], tiles: dict[str, TileSet], study: Path) -> None:
    """Refuse what would fail after hours: parts without landslides in a row's layers, networks that cannot be built.

    Runs that are finished are not looked at.

    Raises
    ------
    SplitError
        A part has no landslide in the layers of a row.
    LayerError
        A row has layers that it would turn or match and cannot; the message names it.
    ModelError, MissingInputError
        A network, or its weights, cannot be had; the message names the row.
    """
    seen: set[str] = set()
    for run in runs:
        if (study / run.folder / SCORES).is_file():
            continue
        if _first(seen, run.fold.name, run.row.layers):
            check_landslides(tiles_with_pixels(tiles[run.fold.name], run.row.layers), run)
        train = run.train
        if train is None:
            continue
        check_layers(f"row {run.row.name!r}", train, run.row.layers, variants=run.row.variants)
        if _first(seen, train.model, train.model_options, train.weights, train.freeze_encoder, run.row.layers):
            try_network(f"row {run.row.name!r}", train, run.row.layers)


def check_finished(runs: tuple[Run, ...], tiles_id: dict[str, str], study: Path) -> None:
    """Refuse a finished run that does not belong to the study before others are made beside it.

    Raises
    ------
    FormatError
        A run was made with other settings, other data or another version, or is damaged.
    """
    for run in runs:
        if (study / run.folder / SCORES).is_file():
            read_finished(run, study, tiles_id[run.fold.name])


def check_layers(who: str, train: TrainConfig, layers: tuple[str, ...], variants: Variants = "none") -> None:
    """Refuse layers that a training would turn or match and cannot, by their names alone.

    Raises
    ------
    LayerError
        Which layer; the message says ``who`` has it.
    """
    try:
        if train.augment != "none":
            Directional.of(layers)
        if variants != "none":
            Directional.of(layers, "variants")
        if train.match_images:
            layers_to_match(layers)
    except LayerError as error:
        message = f"{who}: {error}"
        raise LayerError(message) from error


def _first(seen: set[str], *key: object) -> bool:
    text = json.dumps(key, sort_keys=True, default=str)
    new = text not in seen
    seen.add(text)
    return new


def try_network(who: str, train: TrainConfig, layers: tuple[str, ...]) -> None:
    """Build the network of a training, and let it go.

    Raises
    ------
    ModelError, MissingInputError
        It, or its weights, cannot be had; the message says ``who`` wants it.
    """
    import torch

    from landslip.models import build_model

    try:
        with torch.random.fork_rng(devices=[]):
            build_model(
                train.model,
                len(layers),
                weights=train.weights,
                freeze_encoder=train.freeze_encoder,
                layers=layers,
                prior=0.5 if train.prior_bias else None,
                **train.model_options,
            )
    except (ModelError, MissingInputError) as error:
        message = f"{who}: {error}"
        raise type(error)(message) from error
