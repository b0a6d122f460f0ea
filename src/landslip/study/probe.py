"""``--dry-run``: the runs of a study, their sizes, and time and memory from a few measured updates."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landslip.data.augment import VARIANTS
from landslip.data.checkup import check_up
from landslip.data.matching import layers_to_match
from landslip.data.tileset import Part, TileSet
from landslip.files import read_json
from landslip.progress import SILENT, Progress
from landslip.study.checks import check_finished, check_runs
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.estimate import Estimate, RowEstimate, in_words
from landslip.study.growth import grow, settle
from landslip.study.pairs import few_draws
from landslip.study.plan import PLAN, Plan, make_plan
from landslip.study.predictions import SCORES
from landslip.study.runs import Run, tiles_with_pixels, updates
from landslip.study.transfer import Place, fine_tuning, runs_at, some_tiles
from landslip.training import TrainConfig

BUSY = 0.7
"""Share of the processors' time below which the estimate says that other work ran beside it."""

UPDATES = 3
"""Updates that are timed for each network and layer count, after one that is not."""


@dataclass(frozen=True)
class Speed:
    """How fast a network was in the probe: seconds per update and per tile looked at; its size and GPU memory."""

    per_update: float
    per_tile: float
    parameters: int
    gpu_mib: float | None
    share: float
    """Of the processors' time, while it was measured; less than 1 where other work ran beside it."""

    def seconds(self, train: TrainConfig, updates: int, validation: int, once: int) -> float:
        """Return the time of a run: updates, validation tiles in every epoch, tiles that are looked at once."""
        return updates * self.per_update + (validation * train.epochs + once) * self.per_tile


def probe_study(
    config: StudyConfig | None, out: str | os.PathLike[str], *, resume: bool = False, progress: Progress = SILENT
) -> Estimate:
    """Plan a study, or what one in ``out`` would grow to, and time a few updates of every row that has a run left.

    Nothing is kept in ``out``. Tiles that a study left there are used, else they are made in a temporary folder.

    Parameters
    ----------
    config
        Settings; None: those of the study in ``out``.
    out
        Study folder, which need not be there.
    resume
        ``config`` may add to a study in ``out``.
    progress
        Who is told how far it is.

    Raises
    ------
    LandslipError
        All that :func:`run_study` would refuse before training.
    """
    folder = Path(out)
    config, before = settle(config, folder, resume=resume or config is None)
    if (folder / PLAN).is_file():
        plan = make_plan(before or config, folder, progress=progress)
        return _probe(grow(plan, config, folder) if before is not None else plan, folder, progress)
    with tempfile.TemporaryDirectory(prefix="landslip-") as temporary:
        return _probe(make_plan(config, Path(temporary), progress=progress), folder, progress)


def _probe(plan: Plan, folder: Path, progress: Progress) -> Estimate:
    runs = plan.runs()
    check_finished(runs, plan.tiles_id, folder)
    check_runs(runs, plan.tiles, folder)
    moving = plan.config.transfer_rows if plan.config.transfer else ()
    rows, speeds = [], dict[str, Speed]()
    with progress.task("timing a few updates", len(plan.rows)) as task:
        for row in plan.rows:
            mine = [run for run in runs if run.row.name == row.name]
            tiles, train = plan.tiles[mine[0].fold.name], mine[0].train
            if train is not None and (row.name in moving or _finished(mine, folder) < len(mine)):
                speeds[row.name] = _measure(train, tiles_with_pixels(tiles, row.layers).of(Part.TRAIN))
            rows.append(_estimate(mine, tiles, speeds.get(row.name), folder))
            task.advance(note=row.label)
    chosen = [row for row in plan.rows if row.name in moving and row.name in speeds]
    rows += [_transfer_estimate(plan, row, speeds[row.name], folder) for row in chosen]
    gpu = max((speed.gpu_mib for speed in speeds.values() if speed.gpu_mib is not None), default=None)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    size = max(tiles.image.nbytes for tiles in plan.tiles.values()) / 2**20
    remarks = [f"{found['fold']}: {found['text']}" for found in plan.guards if found["verdict"] != "ok"]
    remarks += [told] if (told := few_draws(plan.rows, plan.config.draws)) else []
    # other folds hold the same pixels, dealt anew
    remarks += check_up(next(iter(plan.tiles.values())), matched=_matched(runs)).remarks
    estimate = Estimate(tuple(rows), peak, size, gpu)
    share = min((speed.share for speed in speeds.values()), default=1.0)
    if share < BUSY:
        free = sum((row.seconds or 0.0) * speeds[row.name.split(" ")[0]].share for row in rows if row.seconds)
        remarks.append(f"other work kept the processors busy while this was timed: about {in_words(free)} without it")
    return replace(estimate, remarks=tuple(remarks))


def _matched(runs: Sequence[Run]) -> set[str]:
    """Name the layers that every row which trains on them matches."""
    names = {True: set[str](), False: set[str]()}
    for run in runs:
        if run.train is not None:
            matched = layers_to_match(run.row.layers) if run.train.match_images else ()
            names[True].update(matched)
            names[False].update(set(run.row.layers) - set(matched))
    return names[True] - names[False]


def _finished(runs: list[Run], folder: Path) -> int:
    return sum((folder / run.folder / SCORES).is_file() for run in runs)


def _estimate(runs: list[Run], tiles: TileSet, speed: Speed | None, folder: Path) -> RowEstimate:
    """Estimate a row from its runs, sizes from the first; ``speed`` is None for a forest, or where none is left."""
    row, train = runs[0].row, runs[0].train
    chosen = tiles_with_pixels(tiles, row.layers)
    trained, finished = int((chosen.part == Part.TRAIN).sum()), _finished(runs, folder)
    known = (row.name, row.label, row.model, len(row.layers), trained)
    if train is None:
        return RowEstimate(*known, 0, 0, len(runs), None, finished)
    total = updates(train, tiles)
    if speed is None:
        parameters = read_json(folder / runs[0].folder / SCORES, what="run")["parameters"]
        return RowEstimate(*known, total, parameters, len(runs), 0.0, finished)
    looks = len(VARIANTS[row.variants])
    each = speed.seconds(train, total, int((chosen.part == Part.VALIDATION).sum()), len(chosen) * looks)
    return RowEstimate(*known, total, speed.parameters, len(runs), (len(runs) - finished) * each, finished)


def _transfer_estimate(plan: Plan, row: RowConfig, speed: Speed, folder: Path) -> RowEstimate:
    """Estimate a row's runs of the transfer matrix, from the tiles that places have in the study's own split."""
    jobs = list(_transfer_jobs(plan, row))
    seconds, finished, looks = 0.0, 0, len(VARIANTS[row.variants])
    for runs, train, tiles in jobs:
        validation = int((tiles.part == Part.VALIDATION).sum())
        done = sum((folder / run / SCORES).is_file() for run in runs)
        seconds += (len(runs) - done) * speed.seconds(train, updates(train, tiles), validation, len(tiles) * looks)
        finished += done
    return RowEstimate(
        f"{row.name} (transfer)",
        f"{row.label}, transfer",
        row.model,
        len(row.layers),
        max(int((tiles.part == Part.TRAIN).sum()) for _, _, tiles in jobs),
        max(updates(train, tiles) for _, train, tiles in jobs),
        speed.parameters,
        sum(len(runs) for runs, _, _ in jobs),
        seconds,
        finished,
    )


def _transfer_jobs(plan: Plan, row: RowConfig) -> Iterator[tuple[list[str], TrainConfig, TileSet]]:
    """Yield the runs of all seeds on each place, then those that go on on each other: folders, settings, tiles."""
    config = plan.config
    regions = sorted({int(region) for tiles in plan.tiles.values() for region in np.unique(tiles.region)})
    for region in regions:
        own = max(plan.tiles.values(), key=lambda t: int(((t.region == region) & (t.part == Part.TRAIN)).sum()))
        place = Place(region, own, "")
        runs = runs_at(row, plan.rows, place, config)
        train = runs[0].train
        assert train is not None
        yield [run.folder for run in runs], train, own.subset(place.own())
        for other in regions:
            if config.transfer_tiles and other != region:
                tiles = own.subset(some_tiles(own, other, config.transfer_tiles, runs[0].seed))
                yield [f"{run.folder}-to{other}" for run in runs], fine_tuning(train, ""), tiles


def _measure(train: TrainConfig, tiles: TileSet) -> Speed:
    import torch

    from landslip.models import build_model, parameter_counts
    from landslip.training.batches import TileStore
    from landslip.training.device import autocast, resolve_device, resolve_precision

    assert tiles.recipe is not None
    device = resolve_device(train.device)
    precision = resolve_precision(train.precision, device)
    some = tiles.subset(np.arange(min(train.batch, len(tiles))))
    store = TileStore(some, tiles.recipe, device)
    # random weights take as long as downloaded ones
    network = build_model(train.model, len(tiles.layers), **train.model_options).to(device)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters())
    image, _ = next(iter(store.sequential(train.batch)))

    def update() -> None:
        optimiser.zero_grad()
        with autocast(device, precision):
            loss = network(image).float().square().mean()
        loss.backward()
        optimiser.step()

    per_update, share = _timed(update, device)
    network.eval()
    with torch.inference_mode(), autocast(device, precision):
        per_batch, _ = _timed(lambda: network(image), device)
    gpu = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    parameters = parameter_counts(network).total
    return Speed(per_update * train.batch / len(image), per_batch / len(image), parameters, gpu, share)


def _timed(action: Any, device: Any) -> tuple[float, float]:  # noqa: ANN401 - a function and a torch device
    """Seconds that an action takes, and the share of the processors' time that it was given."""
    import torch

    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(UPDATES):
        action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    if device.type == "cuda":
        return seconds / UPDATES, 1.0
    given = (time.process_time() - worked) / torch.get_num_threads()
    return seconds / UPDATES, min(1.0, given / max(seconds, 1e-9))
