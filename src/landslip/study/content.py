"""What ``study.json`` says: scores, comparisons, curves, how the data were split, and what the numbers cannot tell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from landslip._version import __version__
from landslip.data.tileset import TileSet
from landslip.files import FORMAT, read_json
from landslip.progress import Progress
from landslip.study.areas import area_curves
from landslip.study.config import StudyConfig
from landslip.study.design import level_words
from landslip.study.pairs import few_draws
from landslip.study.plan import CONFIG, PLAN, Plan
from landslip.study.results import Results, parts_entry
from landslip.study.statistics import Draws, claims, factor_effects
from landslip.training.config import TrainConfig


def study_content(plan: Plan, records: list[dict[str, Any]], folder: Path, progress: Progress) -> dict[str, Any]:
    """Score the runs together and put ``study.json`` together."""
    config, results = plan.config, Results(folder, plan.tiles, plan.rows, records)
    blocks = len(results.blocks)
    may_claim, reason = claims(len(results.seeds), blocks)
    settings = {run.row.name: run.train for run in plan.runs()}
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
        **_grown(plan),
        "folds": read_json(folder / PLAN)["folds"],
        "blocks": blocks,
        "draws": config.draws,
        "claims": may_claim,
        "claims_reason": reason,
        **_scores(plan, results, settings, folder, progress),
        "split": _split(plan),
        "guard": plan.guards,
        "data": {"layers": list(first.layers), "pixel_m": first.meta.get("pixel_m"), **_data(first, config)},
        "recipes": {name: tiles.recipe.to_dict() if tiles.recipe else None for name, tiles in plan.tiles.items()},
        "settings": config.to_dict(),
        "commands": [f"landslip study {CONFIG} --out {shlex.quote(folder.name)}"],
        "warnings": [_warning(found, len(plan.folds)) for found in plan.guards if found["verdict"] != "ok"],
        "limits": _limits(plan, reason, settings),
    }


def _scores(
    plan: Plan, results: Results, settings: dict[str, TrainConfig | None], folder: Path, progress: Progress
) -> dict[str, Any]:
    """Score rows on the same draws, compare them, and gather their curves."""
    draws = Draws.make(len(results.seeds), len(results.blocks), plan.config.draws)
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
    counts = {name: results.counts(name) for name in factors}
    effects = factor_effects(factors, counts, draws, words=level_words(plan.rows))
    return {
        "rows": rows,
        "comparisons": comparisons,
        **({"effects": effects} if effects else {}),
        "precision_recall": curves,
        "calibration": reliability,
        "landslides": landslides,
        "area_frequency": area_curves(results, areas, folder, plan.folds),
    }


def _grown(plan: Plan) -> dict[str, Any]:
    """Tell what was added after a look at a table; a growth that was killed and given up left seeds that never ran."""
    told = [one | {"seeds": [seed for seed in one["seeds"] if seed in plan.config.seeds]} for one in plan.grown]
    told = [one for one in told if one["rows"] or one["seeds"]]
    return {"grown": told} if told else {}


def _split(plan: Plan) -> dict[str, Any]:
    parts = [entry for fold in plan.folds for entry in parts_entry(fold.name, plan.tiles[fold.name], plan.base)]
    split = plan.config.split
    return {"design": split.design, "in_words": _split_in_words(plan), "parts": parts, "settings": split.to_dict()}


def _title(config: StudyConfig) -> str:
    data = config.data
    path = data.scene or data.patches or data.tiles or (data.scenes[0] if data.scenes else Path("study"))
    return f"Landslides in {path.stem}"


def _warning(found: dict[str, Any], folds: int) -> str:
    return f"{found['fold']}: {found['text']}" if folds > 1 else str(found["text"])


def _data(tiles: TileSet, config: StudyConfig) -> dict[str, Any]:
    sources = tiles.meta.get("sources", [])
    places = {str(region): config.data.place(int(region)) for region in np.unique(tiles.region)}
    given = {region: name for region, name in places.items() if name != region}
    named = {"regions": given} if given else {}
    dates = [one.get("dates") for one in sources]
    return {"prevalence": tiles.prevalence(), "sources": sources, "dates": dates, **named}


def _split_in_words(plan: Plan) -> str:
    split, folds = plan.config.split, plan.folds
    test = folds[0].words if len(folds) == 1 else f"{len(folds)} folds, each tested once"
    how = {
        "blocks": f"in blocks of {split.block_tiles} x {split.block_tiles} tiles, at least {split.buffer_px} px apart",
        "random": "tile by tile at random, next to training tiles",
        "supplied": "from the supplied training patches, at random",
    }[split.design]
    rest = " Training: what is then left." if split.design == "blocks" else ""  # less than the fractions promise
    return f"Test: {test}. Validation: {100 * split.validation_fraction:.0f} % of the rest, drawn {how}.{rest}"


def _limits(plan: Plan, reason: str, settings: dict[str, TrainConfig | None]) -> list[str]:
    limits = [reason] if reason else []
    if plan.config.split.design == "supplied":
        limits.append("The supplied split puts test patches next to training patches: its scores are optimistic.")
    if plan.config.split.design == "random":
        limits.append("Validation tiles lie next to training tiles: validation scores and the chosen epoch flatter.")
    if told := few_draws(plan.rows, plan.config.draws):
        limits.append(f"{told}.")
    encoded = [row for row in plan.rows if row.model in ("resunet34", "attention-resunet34")]
    random = [row for row in encoded if (train := settings[row.name]) is not None and train.weights == "none"]
    if random and len(random) == len(encoded):
        limits.append("The ResNet-34 rows start from random weights, unlike the paper's.")
    elif random:
        names = ", ".join(row.label for row in random)
        limits.append(f"Of the ResNet-34 rows these start from random weights, unlike the paper's: {names}.")
    return limits
