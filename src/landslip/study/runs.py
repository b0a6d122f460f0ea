"""One run: a row trained with one seed on one fold, and its predictions and scores on every part."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, FormatError, InputError, SplitError
from landslip.files import FORMAT, check_format, read_json, write_json
from landslip.progress import Progress
from landslip.scoring import Confusion, ProbabilityHistogram
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.folds import Fold
from landslip.study.levers import pull
from landslip.study.predictions import PREDICTIONS, SCORES, save_predictions
from landslip.training import TrainConfig
from landslip.training.batches import Plan

EPOCHS = 100
"""Default number of epochs of a study, as in the paper."""

_PARTS = {"train": Part.TRAIN, "validation": Part.VALIDATION, "test": Part.TEST}


@dataclass(frozen=True)
class Run:
    """A row, a seed, a fold, and the folder of what comes out, relative to the study."""

    row: RowConfig
    seed: int
    fold: Fold
    folder: str
    train: TrainConfig | None
    """Training settings; None for the random forest."""
    begins_from: str | None = None
    """Folder, relative to the study, of the run whose weights this one begins with."""

    def digest(self, tiles_id: str) -> str:
        """Fingerprint of all that the run depends on."""
        content = {
            "row": self.row.model_dump(mode="json", include={"model", "layers"}),
            "seed": self.seed,
            "train": self._train_as_digested(),
            "tiles": tiles_id,
        }
        if self.row.levers.any:
            content["levers"] = self.row.levers.to_dict()
        if self.row.variants != "none":
            content["variants"] = self.row.variants
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _train_as_digested(self) -> dict[str, Any] | None:
        content = self.train.decisive() if self.train else None
        for name in ("devices", "num_nodes"):  # one each, in every run
            (content or {}).pop(name, None)
        if content is not None and not content["prior_bias"]:
            del content["prior_bias"]  # as in runs that were made before there was such a setting
        if content is not None and self.begins_from is not None:
            content["weights"] = self.begins_from  # not where the study lies at the moment
        return content


def plan_runs(
    config: StudyConfig, rows: tuple[RowConfig, ...], folds: tuple[Fold, ...], tiles: dict[str, TileSet]
) -> tuple[Run, ...]:
    """List the runs of a study: seed by seed, so that an interrupted study has whole comparisons.

    Raises
    ------
    ConfigError
        Training settings that do not exist or exclude each other.
    """
    runs = []
    for seed in config.seeds:
        for fold in folds:
            for row in rows:
                name = f"seed{seed}" if len(folds) == 1 else f"seed{seed}-{fold.name}"
                train = None if row.model == "forest" else _train_config(config, row, rows, seed, tiles[fold.name])
                runs.append(Run(row, seed, fold, f"runs/{row.name}/{name}", train))
    return tuple(runs)


def updates(train: TrainConfig, tiles: TileSet) -> int:
    """Count the parameter updates of a training on these tiles."""
    key = tiles_with_pixels(tiles.of(Part.TRAIN), train.layers).key
    return Plan(key, train.augment, train.tiles_per_update, train.seed, train.epochs, train.steps).updates


def _train_config(
    config: StudyConfig, row: RowConfig, rows: tuple[RowConfig, ...], seed: int, tiles: TileSet
) -> TrainConfig:
    own = {"model": row.model, "layers": row.layers, "augment": row.augment, "seed": seed}
    options = {"model_options": config.model_options.get(row.model, {})}
    content = {"epochs": EPOCHS} | options | _shared_settings(config, row, rows) | row.train | own
    train = TrainConfig.from_dict(content, where=f"settings of row {row.name!r}")
    if train.processes > 1:
        message = f"row {row.name!r}: a run of a study has one device; leave devices and num_nodes out, see --devices"
        raise ConfigError(message)
    if row.matched_to is None:
        return train
    other = next((one for one in rows if one.name == row.matched_to), None)
    if other is None:  # left out through ``only``: its augmentation and layers are unknown here
        message = f"row {row.name!r} is matched to {row.matched_to!r}, which 'only' leaves out; keep both or neither"
        raise InputError(message)
    target = _train_config(config, other, rows, seed, tiles)
    return TrainConfig.from_dict(train.to_dict() | {"steps": updates(target, tiles)}, where=f"row {row.name!r}")


def _shared_settings(config: StudyConfig, row: RowConfig, rows: tuple[RowConfig, ...]) -> dict[str, Any]:
    """Take the study's training settings; what they say of encoders is for the networks that have one."""
    from landslip.models import has_encoder

    of_encoders = {"weights", "freeze_encoder"} & set(config.train)
    if not of_encoders or has_encoder(row.model):
        return config.train
    if not any(one.model != "forest" and has_encoder(one.model) for one in rows):
        return config.train  # they can only be meant for this network: refused, or followed, when it is built
    return {name: value for name, value in config.train.items() if name not in of_encoders}


def execute(
    run: Run,
    tiles: TileSet,
    study: Path,
    tiles_id: str,
    *,
    keep: NDArray[np.bool_] | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Do a run, or take up one that was interrupted, and return its scores; a finished one is only read.

    With ``keep``, ``(n,)``, the run knows nothing of the other tiles.

    Raises
    ------
    FormatError
        The folder holds a run with other settings, or of another version.
    SplitError
        A part has no landslide in the layers of this row.
    """
    folder = study / run.folder
    if (folder / SCORES).is_file():
        return read_finished(run, study, tiles_id)
    chosen = tiles_with_pixels(tiles if keep is None else tiles.subset(keep), run.row.layers)
    check_landslides(chosen, run)
    if run.train is None:
        from landslip.study.forest import fit_forest

        probability, facts = fit_forest(chosen, seed=run.seed)
    else:
        guide = _guide(tiles, chosen) if run.row.levers.any else None
        probability, facts = _train(run, run.train, chosen, guide, folder, progress)
    return _write(run, chosen, tiles, probability, facts, folder, tiles_id)


def _train(
    run: Run, train: TrainConfig, tiles: TileSet, guide: TileSet | None, folder: Path, progress: Progress
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    from landslip.training import fit, predict_tiles

    # training gets no test tile into its hands
    seen = pull(tiles.subset(tiles.part != Part.TEST), run.row.levers, seed=run.seed, guide=guide)
    bundle = fit(seen, train, folder, resume=folder.exists(), progress=progress)
    probability = predict_tiles(
        bundle,
        tiles,
        batch=train.batch,
        device=train.device,
        precision=train.precision,
        variants=run.row.variants,
        progress=progress,
    )
    facts = {key: bundle.training[key] for key in ("epochs", "best_epoch", "updates", "device", "precision")}
    return probability, facts | {key: bundle.architecture[key] for key in ("parameters", "trained_parameters")}


def _guide(tiles: TileSet, chosen: TileSet) -> TileSet:
    """Take the training tiles with all layers but the pre-event ones, for the forest that judges labels."""
    plain = [name for name in tiles.layers if not name.startswith(("pre_", "d_"))]
    return tiles.subset((tiles.part == Part.TRAIN) & np.isin(tiles.key, chosen.key)).select(plain)


def _write(
    run: Run,
    chosen: TileSet,
    tiles: TileSet,
    probability: NDArray[np.float32],
    facts: dict[str, Any],
    folder: Path,
    tiles_id: str,
) -> dict[str, Any]:
    counted = chosen.counted()
    stored = np.where(chosen.valid(), probability, np.float32(np.nan)).astype(np.float16)
    masks = {name: chosen.part == value for name, value in _PARTS.items()}
    histograms = {
        name: ProbabilityHistogram.from_arrays(stored[mask], chosen.label[mask], counted[mask])
        for name, mask in masks.items()
    }
    threshold = histograms["validation"].best().threshold
    scores = {
        name: {"loss": _log_loss(probability[mask], chosen.label[mask], counted[mask])}
        | histograms[name].confusion(0.5).to_dict()
        for name, mask in masks.items()
    }
    test = np.flatnonzero(masks["test"])
    place = {int(key): i for i, key in enumerate(tiles.key)}
    index = np.array([place[int(key)] for key in chosen.key[test]], np.int32)
    save_predictions(folder / PREDICTIONS, index, stored[test])
    content = {
        "format": FORMAT,
        "digest": run.digest(tiles_id),
        "row": run.row.name,
        "seed": run.seed,
        "fold": run.fold.name,
        "folder": run.folder,
        **facts,
        "threshold": threshold,
        "scores": scores,
        "chosen": histograms["test"].confusion(threshold).to_dict(),
        "average_precision": _plain(histograms["test"].average_precision()),
    }
    write_json(folder / SCORES, content)
    return content


def read_finished(run: Run, study: Path, tiles_id: str) -> dict[str, Any]:
    """Read the scores of a finished run.

    Raises
    ------
    FormatError
        They are damaged, or the run was made with other settings, other data or another version.
    """
    folder = study / run.folder
    content = read_json(folder / SCORES, what="run")
    check_format(content, folder / SCORES)
    if content.get("digest") != run.digest(tiles_id):
        message = (
            f"{folder}: was made with other settings, other data or another version; "
            "move it away or choose another --out (nothing was changed)"
        )
        raise FormatError(message)
    return content


def tiles_with_pixels(tiles: TileSet, layers: tuple[str, ...] | None) -> TileSet:
    """Take the row's layers; leave out tiles without a counted pixel in them."""
    chosen = tiles.select(layers) if layers else tiles
    some = np.asarray(chosen.counted().any(axis=(1, 2)))
    return chosen if some.all() else chosen.subset(some)


def check_landslides(tiles: TileSet, run: Run) -> None:
    """Refuse a run of which a part has no landslide in the row's layers.

    Raises
    ------
    SplitError
        Which row and part, and what to change.
    """
    hit = ((tiles.label == 1) & tiles.valid()).any(axis=(1, 2))
    for name, value in _PARTS.items():
        if not (hit & (tiles.part == value)).any():
            message = (
                f"row {run.row.name!r}, {run.fold.name}: no landslide in the {name} tiles where its layers are valid; "
                "leave the row out through 'only', or change the split"
            )
            raise SplitError(message)


def _log_loss(probability: NDArray[np.float32], label: NDArray[np.uint8], counted: NDArray[np.bool_]) -> float | None:
    total, n = 0.0, 0
    for p, t, v in zip(probability, label, counted, strict=True):
        values = np.clip(p[v].astype(np.float64), 1e-7, 1 - 1e-7)
        total -= float(np.sum(np.log(np.where(t[v] == 1, values, 1 - values))))
        n += int(v.sum())
    return total / n if n else None


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def pooled(records: list[dict[str, Any]], part: str) -> Confusion:
    """Add up the counts of several runs on one part (``chosen``: test at the chosen thresholds)."""
    total = Confusion(0, 0, 0, 0)
    for record in records:
        one = record["chosen"] if part == "chosen" else record["scores"][part]
        total += Confusion(one["tp"], one["fp"], one["fn"], one["tn"])
    return total
