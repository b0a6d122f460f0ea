"""What bf16 does to F1 and to speed: the same trainings in both precisions, on real or other patches.

Run by hand: ``python benchmarks/precision.py ../shared/data/l4s_rgb/patches.npz [--patches 240] [--epochs 8]``.
For each seed a network is trained in float32 and in bf16, and each of the two predicts the test part in both.
Speed is in tiles per second of processor time (all threads added), which other work on the machine disturbs
less than it does the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from landslip.data.tileset import Part
from landslip.scoring import Confusion
from landslip.study.single import TilesConfig, prepare_tiles
from landslip.training import TrainConfig, fit, predict_tiles

PRECISIONS = ("float32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--patches", dest="limit", type=int, default=240)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--model", default="unet")
    options = parser.parse_args()
    settings = {
        "data": {"patches": options.patches, "limit": options.limit},
        "split": {"block_tiles": 1, "buffer_px": 0},
    }
    tiles = prepare_tiles(TilesConfig.from_dict(settings))
    test = tiles.of(Part.TEST)
    training = int((tiles.part == Part.TRAIN).sum())
    for seed in range(options.seeds):
        for trained_in in PRECISIONS:
            config = TrainConfig(
                model=options.model, epochs=options.epochs, seed=seed, precision=trained_in, learning_rate=2e-3
            )
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                bundle = fit(tiles, config, Path(folder) / "run")
                spent = time.process_time() - start
            result = {
                "seed": seed,
                "trained_in": trained_in,
                "training_tiles": training,
                "threads": torch.get_num_threads(),
                "tiles_per_cpu_s": round(training * options.epochs / spent, 2),
                "threshold": bundle.threshold,
            }
            for precision in PRECISIONS:
                start = time.process_time()
                probability = predict_tiles(bundle, test, batch=16, precision=precision)
                spent = time.process_time() - start
                f1 = [
                    Confusion.from_arrays(probability >= threshold, test.label, test.counted()).f1
                    for threshold in (0.5, bundle.threshold)
                ]
                result[f"test_f1_in_{precision}"] = [round(value, 4) for value in f1]
                result[f"predicts_in_{precision}_tiles_per_cpu_s"] = round(len(test) / spent, 2)
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
