r"""Throughput of ``landslip.training.fit`` against a bare PyTorch loop over the same tensors.

Run by hand: ``python benchmarks/training.py [--models unet] [--tiles 64] [--epochs 3] [--batch 16]``; on a GPU::

    python benchmarks/training.py --device cuda --precision bf16 --models unet resunet34 attention-resunet34 \
        --tiles 4096 --batch 64 --epochs 4

One line of JSON per network. Both train the same network on the same tiles with the same batch, precision,
loss and optimiser, in one process, alternating, so that a change in the machine's speed hits both; the bare
loop does nothing else: no turning of tiles, no counting of pixels, no validation, no checkpoints. Validation
(one pass per epoch over its own tiles) is left out of both figures; everything else that ``fit`` does per
epoch is in its.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from landslip.data.standardise import with_recipe
from landslip.data.tiles import cut_tiles
from landslip.data.tileset import TileSet
from landslip.models import build_model
from landslip.training import TrainConfig, loop
from landslip.training.batches import TileStore
from landslip.training.device import autocast, device_name, resolve_device, resolve_precision
from landslip.training.fit import fit

clock = time.perf_counter
LAYERS = ("blue", "green", "red", "nir", "slope")


def make_tiles(n: int, size: int) -> TileSet:
    """Noise with squares; what is in it does not matter for speed."""
    rng = np.random.default_rng(0)
    label = np.zeros((n * size, size), np.uint8)
    label[::size, : size // 2] = 1
    image = rng.normal(0.1, 0.05, (len(LAYERS), *label.shape)).astype(np.float32)
    part = np.ones(label.shape, np.uint8)
    part[-size:] = 2
    return with_recipe(
        cut_tiles(LAYERS, image, label, label.astype(np.int32), part, np.zeros(label.shape, np.int32), size=size)
    )


def bare(tiles: TileSet, config: TrainConfig) -> float:
    """Seconds per epoch of the plainest loop, data standardised and in place beforehand."""
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    training = tiles.subset(tiles.part == 1)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (tiles.recipe.mean, tiles.recipe.std))
    image = torch.from_numpy((training.image - mean) / std).to(device).contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(training.label).to(device).float()[:, None]
    torch.manual_seed(0)
    network = build_model(config.model, len(LAYERS), **config.model_options).to(
        device, memory_format=torch.channels_last
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=device.type in ("cpu", "cuda"))
    seconds = []
    for _ in range(config.epochs):
        start = clock()
        for index in torch.randperm(len(image), device=device).split(config.batch):
            optimiser.zero_grad()
            with autocast(device, precision):
                logits = network(image[index])
                loss = binary_cross_entropy_with_logits(logits, target[index])
            loss.backward()
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    return statistics.median(seconds[1:])


class Stopwatch(loop.Recorder):
    """Times each epoch from the end of the last one's bookkeeping, less validation."""

    seconds: ClassVar[list[float]] = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.start, self.apart = getattr(self, "end", clock()), 0.0

    def on_validation_start(self, trainer, pl_module):
        self.paused = clock()

    def on_validation_end(self, trainer, pl_module):
        self.apart += clock() - self.paused

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        self.end = clock()
        Stopwatch.seconds.append(self.end - self.start - self.apart)


def ours(tiles: TileSet, config: TrainConfig) -> float:
    """Seconds per epoch of ``fit``."""
    Stopwatch.seconds = []
    loop.Recorder = Stopwatch
    with tempfile.TemporaryDirectory() as folder:
        fit(tiles, config, Path(folder) / "run")
    return statistics.median(Stopwatch.seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["unet"])
    parser.add_argument("--tiles", type=int, default=64)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--augment", default="d4")
    parser.add_argument("--cpu-time", action="store_true", help="processor time, for a machine that others use")
    options = parser.parse_args()
    if options.cpu_time:
        global clock
        clock = time.process_time
    tiles = make_tiles(options.tiles + 1, options.size)
    for model in options.models:
        print(json.dumps(measure(tiles, model, options)), flush=True)


def measure(tiles: TileSet, model: str, options: argparse.Namespace) -> dict[str, object]:
    """Tiles per second of one network, bare and ours, in alternation."""
    config = TrainConfig(
        model=model,
        epochs=options.epochs,
        batch=options.batch,
        precision=options.precision,
        device=options.device,
        augment=options.augment,
    )
    pairs = [(bare(tiles, config), ours(tiles, config)) for _ in range(options.rounds)]
    plain, full = (statistics.median(times) for times in zip(*pairs, strict=True))
    where = resolve_device(config.device)
    home = TileStore(tiles, tiles.recipe, where).image.device
    return {
        "model": config.model,
        "precision": resolve_precision(config.precision, where),
        "device": device_name(where),
        "data_on_device": home.type == where.type,
        "batch": config.batch,
        "threads": torch.get_num_threads(),
        "clock": clock.__name__,
        "bare_tiles_per_s": round(options.tiles / plain, 2),
        "landslip_tiles_per_s": round(options.tiles / full, 2),
        "ratio": round(plain / full, 3),
    }


if __name__ == "__main__":
    main()
