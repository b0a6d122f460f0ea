"""``--dry-run``: the runs of a study, their sizes, and time and memory from a few measured updates."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from landslip.data.checkup import check_up
from landslip.data.tileset import Part, TileSet
from landslip.progress import SILENT, Progress
from landslip.study.checks import check_runs
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.plan import Plan, make_plan
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


@dataclass(frozen=True)
class RowEstimate:
    """What one row will take.

    Parameters
    ----------
    name, label, model
        The row.
    layers, tiles, updates, parameters
        Of one run (first seed, first fold).
    runs
        Seeds times folds.
    seconds
        Of all its runs together; None for the random forest, which is not probed.
    """

    name: str
    label: str
    model: str
    layers: int
    tiles: int
    updates: int
    parameters: int
    runs: int
    seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """Outcome of a dry run.

    Parameters
    ----------
    rows
        One estimate per row.
    memory_mib
        Largest resident memory while probing.
    tiles_mib
        Of that, the tiles of one fold.
    gpu_mib
        Largest GPU memory while probing; None without a GPU.
    """

    rows: tuple[RowEstimate, ...]
    memory_mib: float
    tiles_mib: float
    gpu_mib: float | None = None
    remarks: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """All runs, one after another."""
        return sum(row.seconds or 0.0 for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON types."""
        return {
            "seconds": self.seconds,
            "memory_mib": self.memory_mib,
            "gpu_mib": self.gpu_mib,
            "rows": [vars(row) for row in self.rows],
            "remarks": list(self.remarks),
        }

    def text(self) -> str:
        """Return the estimate as a table."""
        width = max(len(row.label) for row in self.rows)
        lines = [f"{'':{width}}  layers  tiles  updates  parameters  runs  time"]
        for row in self.rows:
            shown = "not probed" if row.seconds is None else in_words(row.seconds)
            lines.append(
                f"{row.label:{width}}  {row.layers:>6}  {row.tiles:>5}  {row.updates:>7}  {row.parameters:>10,}  "
                f"{row.runs:>4}  {shown}"
            )
        memory = f"memory about {self.memory_mib:,.0f} MiB (tiles {self.tiles_mib:,.0f} MiB)"
        if self.gpu_mib is not None:
            memory += f", GPU {self.gpu_mib:,.0f} MiB"
        lines += ["", f"about {in_words(self.seconds)} one after another; {memory}", *self.remarks]
        return "\n".join(lines)


def probe_study(config: StudyConfig | None, out: str | os.PathLike[str], *, progress: Progress = SILENT) -> Estimate:
    """Plan a study and time a few updates of every row; nothing is kept in ``out``.

    Tiles that an interrupted study left in ``out`` are used, else they are made in a temporary folder.

    Raises
    ------
    LandslipError
        All that :func:`run_study` would refuse before training.
    """
    folder = Path(out)
    if config is None or (folder / "plan.json").is_file():
        config = StudyConfig.from_toml(folder / "config.toml")
    if (folder / "plan.json").is_file():
        return _probe(make_plan(config, folder, progress=progress), folder, progress)
    with tempfile.TemporaryDirectory(prefix="landslip-") as temporary:
        return _probe(make_plan(config, Path(temporary), progress=progress), folder, progress)


def _probe(plan: Plan, folder: Path, progress: Progress) -> Estimate:
    runs = plan.runs()
    check_runs(runs, plan.tiles, folder)
    first = {run.row.name: run for run in reversed(runs)}
    rows, speeds = [], dict[str, Speed]()
    with progress.task("timing a few updates", len(plan.rows)) as task:
        for row in plan.rows:
            run = first[row.name]
            tiles = plan.tiles[run.fold.name]
            if run.train is not None:
                speeds[row.name] = _measure(run.train, tiles_with_pixels(tiles, row.layers).of(Part.TRAIN))
            count = sum(one.row.name == row.name for one in runs)
            rows.append(_estimate(run, tiles, count, speeds.get(row.name)))
            task.advance(note=row.label)
    if plan.config.transfer:
        chosen = [row for row in plan.rows if row.name in plan.config.transfer_rows and row.name in speeds]
        rows += [_transfer_estimate(plan, row, speeds[row.name]) for row in chosen]
    gpu = max((speed.gpu_mib for speed in speeds.values() if speed.gpu_mib is not None), default=None)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    size = max(tiles.image.nbytes for tiles in plan.tiles.values()) / 2**20
    remarks = [f"{found['fold']}: {found['text']}" for found in plan.guards if found["verdict"] != "ok"]
    remarks += check_up(next(iter(plan.tiles.values()))).remarks  # other folds hold the same pixels, dealt anew
    estimate = Estimate(tuple(rows), peak, size, gpu)
    share = min((speed.share for speed in speeds.values()), default=1.0)
    if share < BUSY:
        free = sum((row.seconds or 0.0) * speeds[row.name.split(" ")[0]].share for row in rows if row.seconds)
        remarks.append(f"other work kept the processors busy while this was timed: about {in_words(free)} without it")
    return replace(estimate, remarks=tuple(remarks))


def _estimate(run: Run, tiles: TileSet, count: int, speed: Speed | None) -> RowEstimate:
    chosen = tiles_with_pixels(tiles, run.row.layers)
    row, train = run.row, int((chosen.part == Part.TRAIN).sum())
    if run.train is None or speed is None:
        return RowEstimate(row.name, row.label, "forest", len(row.layers), train, 0, 0, count, None)
    total = updates(run.train, tiles)
    seconds = count * speed.seconds(run.train, total, int((chosen.part == Part.VALIDATION).sum()), len(chosen))
    return RowEstimate(row.name, row.label, row.model, len(row.layers), train, total, speed.parameters, count, seconds)


def _transfer_estimate(plan: Plan, row: RowConfig, speed: Speed) -> RowEstimate:
    """Estimate a row's runs of the transfer matrix, from the tiles that places have in the study's own split."""
    config = plan.config
    jobs = list(_transfer_jobs(plan, row))
    seconds = 0.0
    for train, tiles in jobs:
        validation = int((tiles.part == Part.VALIDATION).sum())
        seconds += speed.seconds(train, updates(train, tiles), validation, len(tiles))
    return RowEstimate(
        f"{row.name} (transfer)",
        f"{row.label}, transfer",
        row.model,
        len(row.layers),
        max(int((tiles.part == Part.TRAIN).sum()) for _, tiles in jobs),
        max(updates(train, tiles) for train, tiles in jobs),
        speed.parameters,
        len(config.seeds) * len(jobs),
        len(config.seeds) * seconds,
    )


def _transfer_jobs(plan: Plan, row: RowConfig) -> Iterator[tuple[TrainConfig, TileSet]]:
    """Yield settings and tiles of every run of one seed: on each place, then fine-tuned on each other."""
    config = plan.config
    regions = sorted({int(region) for tiles in plan.tiles.values() for region in np.unique(tiles.region)})
    for region in regions:
        own = max(plan.tiles.values(), key=lambda t: int(((t.region == region) & (t.part == Part.TRAIN)).sum()))
        place = Place(region, own, "")
        run = runs_at(row, plan.rows, place, config)[0]
        assert run.train is not None
        yield run.train, own.subset(place.own())
        for other in regions:
            if config.transfer_tiles and other != region:
                yield fine_tuning(run.train, ""), own.subset(some_tiles(own, other, config.transfer_tiles, run.seed))


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


def in_words(seconds: float) -> str:
    """Write a duration with two figures that matter."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
