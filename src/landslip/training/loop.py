"""The training loop: Lightning's Trainer around our batches, losses, counts and checkpoints."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from landslip.data.draws import integer
from landslip.data.tileset import UNKNOWN
from landslip.errors import ModelError
from landslip.files import atomic_path
from landslip.progress import Progress, Task
from landslip.training.batches import Batch, EpochBatches, Plan, SequentialBatches, TileStore
from landslip.training.calm import calm
from landslip.training.config import TrainConfig
from landslip.training.losses import masked_loss
from landslip.training.record import LAST, Record, Row, row
from landslip.training.schedule import learning_rate
from landslip.training.tracker import UNTRACKED, Tracker
from landslip.training.world import ALONE, World


class Totals:
    """Loss and counts of an epoch, pooled over all counted pixels; kept on the device until asked for."""

    def __init__(self, world: World = ALONE) -> None:
        self._world = world
        self._sums: Tensor | None = None

    def add(self, loss: Tensor, counted: Tensor, logits: Tensor, target: Tensor) -> None:
        """Add a batch."""
        predicted, landslide = logits[:, 0] > 0, target == 1
        known = target != UNKNOWN
        tp = (predicted & landslide).sum()
        sums = torch.stack(
            [
                (loss.detach().double() * counted),
                counted.double(),
                tp.double(),
                (predicted & known).sum().double() - tp,
                landslide.sum().double() - tp,
            ]
        )
        self._sums = sums if self._sums is None else self._sums + sums

    def take(self) -> tuple[float, int, int, int]:
        """Return mean loss, TP, FP and FN, and begin anew."""
        # the first process's in all: they would differ if a GPU of another kind added up in another order
        sums = [0.0] * 5 if self._sums is None else [float(value) for value in self._world.agree(self._sums).cpu()]
        self._sums = None
        return sums[0] / max(sums[1], 1.0), int(sums[2]), int(sums[3]), int(sums[4])


class Trainee(LightningModule):
    """A network in training."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.network = job.network
        self._config, self._record, self._updates, self._world = job.config, job.record, job.plan.updates, job.world
        self._loss = masked_loss(job.config)
        self.train_totals, self.validation_totals = Totals(job.world), Totals(job.world)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over what is trained."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            parameters,
            lr=self._config.learning_rate,
            weight_decay=self._config.weight_decay,
            fused=parameters[0].device.type in ("cpu", "cuda"),
        )

    def on_train_epoch_start(self) -> None:
        """Seed what a network draws itself (dropout) by the epoch, so that resuming needs no generator state."""
        purpose = 2 if self._world.rank == 0 else 1000 + self._world.rank
        torch.manual_seed(integer(self._config.seed, self._record.epochs, purpose=purpose))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate, a function of the update alone."""
        del batch, batch_idx
        rate = learning_rate(self._config, self.global_step, self._updates)
        for group in cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False)).param_groups:
            group["lr"] = rate

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch, times the processes over which its gradient will be averaged."""
        del batch_idx
        return self._step(batch, self.train_totals) * self._world.size

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count one batch."""
        del batch_idx
        self._step(batch, self.validation_totals)

    def _step(self, batch: Batch, totals: Totals) -> Tensor:
        image, target = batch
        logits, target = self._world.together(self.network(image), target)
        loss, counted = self._loss(logits, target)
        totals.add(loss, counted, logits.detach(), target)
        return loss


class Recorder(Callback):
    """At the end of each epoch: a row of metrics, the best weights, and the state to resume from."""

    def __init__(self, job: Job, task: Task) -> None:
        self._job, self._task = job, task
        self.interrupted = False

    def on_train_batch_end(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - Lightning's signature
        """Move the bar."""
        del arguments, named
        self._task.advance(1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch."""
        trainee, job, record = cast(Trainee, pl_module), self._job, self._job.record
        updates = job.plan.first_update(record.epochs + 1)
        rate = learning_rate(job.config, updates - 1, job.plan.updates)
        totals = trainee.train_totals.take(), trainee.validation_totals.take()
        entry = row(record.epochs + 1, updates, rate, *totals)
        _require_finite(entry, job.config)
        best, first = record.add(entry), job.world.rank == 0
        if best and first:
            record.save_best(job.folder, trainee.network)
        # of several processes all take part in this, but the first alone writes
        with atomic_path(job.folder / LAST) if first else contextlib.nullcontext(job.folder / LAST) as path:
            trainer.save_checkpoint(path)
        if first:
            record.write_metrics(job.folder)
            job.tracker.epoch(entry)
        f1 = entry["validation_f1"]
        note = f"loss {entry['train_loss']:.3f}, validation {entry['validation_loss']:.3f}"
        self._task.advance(0, note=note if f1 is None else f"{note}, F1 {f1:.2f}")
        if record.exhausted(job.config.patience):
            trainer.should_stop = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the record into the checkpoint."""
        del trainer, pl_module
        checkpoint["landslip"] = self._job.record.to_dict()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remember an interruption, which Lightning turns into an exit."""
        del trainer, pl_module
        self.interrupted = isinstance(exception, KeyboardInterrupt)


@dataclass(frozen=True)
class Job:
    """One training: what, on what, how, and where to."""

    network: nn.Module
    train: TileStore
    validation: TileStore
    plan: Plan
    config: TrainConfig
    precision: str
    folder: Path
    record: Record
    world: World = ALONE
    tracker: Tracker = UNTRACKED


def run(job: Job, progress: Progress) -> None:
    """Train from the beginning, or from the last epoch's end where the record has one.

    Raises
    ------
    ModelError
        The loss is not a number any more, or a batch is too small for the network.
    KeyboardInterrupt
        Interrupted; the last whole epoch can be resumed from.
    """
    done = job.record.epochs
    if done >= job.config.epochs or job.record.exhausted(job.config.patience):
        return
    trainee = Trainee(job)
    with progress.task(f"training {job.config.model}", job.plan.updates) as task, calm():
        task.advance(job.plan.first_update(done))
        recorder = Recorder(job, task)
        trainer = _trainer(job, recorder)
        # asks the record which epoch it is: Lightning counts late when it resumes
        batches = EpochBatches(job.train, job.plan, lambda: job.record.epochs, job.world)
        validation = SequentialBatches(job.validation, job.config.tiles_per_update, job.world)
        resume_from = job.folder / LAST if done else None
        _fit(trainer, recorder, trainee, batches, validation, resume_from)


def _fit(
    trainer: Trainer,
    recorder: Recorder,
    trainee: Trainee,
    batches: EpochBatches,
    validation: SequentialBatches,
    resume_from: Path | None,
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(trainee, batches, validation, ckpt_path=resume_from, weights_only=True)
    except SystemExit:
        if not recorder.interrupted:
            raise
        if handler is not None:
            signal.signal(signal.SIGINT, handler)  # Lightning has switched it off
        raise KeyboardInterrupt from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        message = "batch: this network normalises over a batch and needs at least 2 tiles in each; raise batch"
        raise ModelError(message) from error


def _trainer(job: Job, recorder: Recorder) -> Trainer:
    device, config = job.train.device, job.config
    alone = job.world.size == 1
    # only encoders of the library have parameters that play no part
    together = DDPStrategy(find_unused_parameters=config.model.startswith("smp:"))
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=config.devices if not alone else [device.index or 0] if device.type == "cuda" else 1,
        num_nodes=config.num_nodes,
        strategy="auto" if alone else together,
        sync_batchnorm=not alone and device.type == "cuda",  # torch has it for GPUs only
        precision="bf16-mixed" if job.precision == "bf16" else "32-true",
        max_epochs=config.epochs,
        callbacks=[recorder],
        default_root_dir=job.folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=[LightningEnvironment()],  # a cluster's environment is none of this process's business
        use_distributed_sampler=False,
        benchmark=False,
    )


def _require_finite(entry: Row, config: TrainConfig) -> None:
    for name in ("train_loss", "validation_loss"):
        value = entry[name]
        if value is None or value != value or value in (float("inf"), float("-inf")):
            message = (
                f"the {name.replace('_', ' ')} of epoch {entry['epoch']} is not a number; lower learning_rate "
                f'({config.learning_rate}) or set precision = "float32"'
            )
            raise ModelError(message)
