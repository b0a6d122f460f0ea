"""A whole training, from tiles to a run folder."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landslip.bundle import MODEL, Bundle
from landslip.config import Config
from landslip.data.draws import integer
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError
from landslip.files import locked, write_json
from landslip.models import build_model, parameter_counts
from landslip.progress import SILENT, Progress
from landslip.recipe import Recipe
from landslip.training.batches import Plan, TileStore
from landslip.training.config import TrainConfig
from landslip.training.device import device_name, resolve_precision
from landslip.training.distributed import Order, launch, node_rank
from landslip.training.evaluate import evaluate
from landslip.training.prepare import directional, fingerprint, prepare
from landslip.training.record import LAST, Record, require_no_run
from landslip.training.tracker import UNTRACKED, Tracker, require_tracker, tracking
from landslip.training.world import ALONE, World

log = logging.getLogger(__name__)

_PARTS = {"train": Part.TRAIN, "validation": Part.VALIDATION, "test": Part.TEST}
_RECORDED = ("landslip", "torch", "lightning", "segmentation-models-pytorch", "numpy")


def fit(
    tiles: TileSet,
    config: TrainConfig,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    settings: Config | None = None,
    beside: Callable[[Path], None] | None = None,
) -> Bundle:
    """Train a network on tiles and write its run folder.

    The weights kept are those of the smallest validation loss, the threshold kept is that of the best F1 on
    validation. Test tiles, where there are any, are looked at once, at the end, to score.

    Parameters
    ----------
    tiles
        With training and validation tiles. Without a recipe, statistics are taken from the training tiles.
    config
        What to train, and how.
    out
        The run folder.
    resume
        Go on from the last epoch's end of an interrupted training; the result is that of an undisturbed one. A
        finished run is returned as it is.
    progress
        Who hears how far it is.
    settings
        What ``config.toml`` shall hold; default ``config``.
    beside
        Writes into the folder what else belongs to the run, before it is trained.

    Returns
    -------
    Bundle
        The run, as written.

    Raises
    ------
    OutputError
        The folder holds a run already and ``resume`` is off, or another process is at it.
    SplitError, InputError
        No training or validation tiles, or no landslide among them.
    LayerError, ModelError, ConfigError
        Layers, network or settings that cannot be; a resumed run with other settings or data.
    """
    out, started = Path(out), time.time()
    require_tracker(config.tracker)
    tiles = prepare(tiles, config)
    plan_of(tiles, config)
    directional(tiles, config)
    order = Order(config, out, Record(config.decisive(), fingerprint(tiles)), started, resume)
    if node_rank(config) > 0:  # machine 0 has the folder
        if not (resume and (out / MODEL).is_file()):
            launch(work, tiles, order, progress)
        return Bundle.load(out)
    with locked(out, mark=MODEL):
        finished = _begin(out, order.record, resume=resume)
        if finished is not None:
            return finished
        (settings or config).to_toml(out / "config.toml")
        if beside is not None:
            beside(out)
        bundle = work(tiles, order, ALONE, progress) if config.processes == 1 else None
        if bundle is None:
            launch(work, tiles, order, progress)
    return bundle or Bundle.load(out)


def work(tiles: TileSet, order: Order, world: World, progress: Progress) -> Bundle | None:
    """Do the part of one process: all of them train, the first scores and writes what ends the run."""
    setup = _Setup.of(tiles, order.config, world)
    with _own_randomness(setup.device):
        network = _network(order.config, setup.recipe, _prior(tiles, order.config))
        if world.rank:
            _train(network, setup, order, world, UNTRACKED, progress)
            return None
        with tracking(order.config.tracker, order.out, order.record) as tracker:
            _train(network, setup, order, world, tracker, progress)
            bundle = _score(network, setup, order, progress)
            tracker.results(bundle.threshold, bundle.scores)
    _write_log(order, setup)
    bundle.save(order.out)
    (order.out / LAST).unlink(missing_ok=True)  # large, and of no more use
    return bundle


def plan_of(tiles: TileSet, config: TrainConfig) -> Plan:
    """Plan the updates of a training.

    Raises
    ------
    ConfigError
        More processes than tiles in an update.
    """
    key = tiles.key[tiles.part == Part.TRAIN]
    size, draws = config.tiles_per_update, (config.seed, config.epochs, config.steps, config.random_scale)
    plan = Plan(key, config.augment, size, *draws)
    if plan.smallest < config.processes:
        message = (
            f"{config.processes} processes, but updates of {plan.smallest} tiles: some would have none; "
            "raise batch, or lower devices"
        )
        raise ConfigError(message)
    return plan


@dataclass(frozen=True)
class _Setup:
    """Tiles by part, and where and how they are computed with."""

    recipe: Recipe
    stores: dict[str, TileStore]
    plan: Plan
    device: torch.device
    precision: str
    licence: str
    grounds: list[dict[str, Any]]
    """Name of each scene or patch set that the tiles are from; the scene's grid, the set's regions."""

    @classmethod
    def of(cls, tiles: TileSet, config: TrainConfig, world: World) -> _Setup:
        recipe = tiles.recipe
        assert recipe is not None  # prepare has seen to it
        device = world.device(config.device)
        store = TileStore(tiles, recipe, device, directional(tiles, config))
        stores = {name: store.of(tiles.part == part) for name, part in _PARTS.items()}
        precision = resolve_precision(config.precision, device)
        licence = str(tiles.meta.get("licence", ""))
        kept = ("path", "grid", "regions")
        grounds = [{key: about[key] for key in kept if key in about} for about in tiles.meta.get("sources", ())]
        return cls(recipe, stores, plan_of(tiles, config), device, precision, licence, grounds)


def _begin(out: Path, record: Record, *, resume: bool) -> Bundle | None:
    # the finished run when there is one to resume; else the record is filled with the epochs done
    if not resume:
        require_no_run(out)
        return None
    if (out / MODEL).is_file():
        bundle = Bundle.load(out)
        record.require_same(bundle.training, out)
        (out / LAST).unlink(missing_ok=True)
        return bundle
    record.resume(out)
    if not record.epochs:
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return None


def _prior(tiles: TileSet, config: TrainConfig) -> float | None:
    """Return the share of landslide in the training pixels, as the loss weighs them."""
    if not config.prior_bias:
        return None
    share = tiles.prevalence(Part.TRAIN)
    weight = config.positive_weight if "bce" in config.loss else 1.0  # no other loss knows of it
    odds = share / max(1 - share, 1e-6) * weight
    return odds / (1 + odds)


def _network(config: TrainConfig, recipe: Recipe, prior: float | None) -> nn.Module:
    torch.manual_seed(integer(config.seed, 0, purpose=3))
    network = build_model(
        config.model,
        len(recipe.layers),
        weights=config.weights,
        freeze_encoder=config.freeze_encoder,
        layers=recipe.layers,
        prior=prior,
        **config.model_options,
    )
    counts = parameter_counts(network)
    log.info("%s: %d parameters, %d trained", config.model, counts.total, counts.trained)
    return network.to(memory_format=torch.channels_last)


def _train(network: nn.Module, setup: _Setup, order: Order, world: World, tracker: Tracker, progress: Progress) -> None:
    from landslip.training.loop import Job, run  # Lightning takes seconds to import

    train, validation = setup.stores["train"], setup.stores["validation"]
    config, out, record = order.config, order.out, order.record
    run(Job(network, train, validation, setup.plan, config, setup.precision, out, record, world, tracker), progress)


def _score(network: nn.Module, setup: _Setup, order: Order, progress: Progress) -> Bundle:
    config, record = order.config, order.record
    record.load_best(order.out, network)
    threshold, scores = evaluate(network, setup.stores, config, setup.precision, progress)
    counts = parameter_counts(network)
    architecture = {
        "name": config.model,
        "in_channels": len(setup.recipe.layers),
        "options": config.to_dict()["model_options"],
        "weights": config.weights,
        "freeze_encoder": config.freeze_encoder,
        "parameters": counts.total,
        "trained_parameters": counts.trained,
    }
    training = {
        "best_epoch": record.best_epoch,
        "epochs": record.epochs,
        "updates": setup.plan.first_update(record.epochs),
        "device": setup.device.type,
        "precision": setup.precision,
        "settings": record.settings,
        "data": record.data,
        "grounds": setup.grounds,
    }
    return Bundle(architecture, setup.recipe, threshold, network.state_dict(), scores, setup.licence, training)


@contextlib.contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Keep torch's generators as they were for the caller, and let a GPU compute the same way every time."""
    cudnn = torch.backends.cudnn
    memory: Any = torch.utils.deterministic  # the type checker takes it for a module
    fills, before = (
        memory.fill_uninitialized_memory,
        (cudnn.deterministic, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()),
    )
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS's own condition
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            if device.type == "cuda":
                cudnn.deterministic, cudnn.benchmark = True, False
                # some networks of the library have up-sampling without a deterministic gradient
                torch.use_deterministic_algorithms(True, warn_only=True)
                memory.fill_uninitialized_memory = False  # a pass over all memory, to find mistakes that we test for
            yield
    finally:
        memory.fill_uninitialized_memory = fills
        cudnn.deterministic, cudnn.benchmark = before[:2]
        torch.use_deterministic_algorithms(before[2], warn_only=warn_only)


def _write_log(order: Order, setup: _Setup) -> None:
    content: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(order.started)),
        "seconds": round(time.time() - order.started, 1),
        "resumed": order.resumed,
        "device": device_name(setup.device),
        "processes": order.config.processes,
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _RECORDED},
    }
    write_json(order.out / "log.json", content)
