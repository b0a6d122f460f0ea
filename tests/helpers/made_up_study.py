"""A finished study, made up: a small landscape, five rows, five seeds, every optional part.

Follows ``docs/study.md``. Scores are drawn, not trained; the report only has to tell what it is given.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from landslip.data.tileset import Part, TileSet
from landslip.scoring import Confusion, ProbabilityHistogram, area_frequency, calibration, per_landslide
from landslip.simulate.areas import density

ROWS = (
    # name, label, role, key in the paper, network, layers, augmentation, parameters, quality
    ("unet", "U-Net", "baseline", "unet", "unet", "brgs", "none", 4_012_282, 0.60),
    ("resunet34", "ResNet-34 U-Net", "model", "resunet34", "resunet34", "brgs", "none", 23_107_369, 0.72),
    ("gates", "ResNet-34 U-Net + attention", "attention", "attention-resunet34", "gates", "brgs", "none", None, 0.76),
    ("data-centric", "Data-centric U-Net", "data", "data-centric", "unet", "brgsno", "paper5", 4_020_000, 0.85),
    ("unet-steps", "U-Net, steps as data-centric", "control", None, "unet", "brgs", "none", 4_012_282, 0.68),
    ("forest", "Random forest on objects", "forest", None, "forest", "brgs", "none", None, 0.45),
)
NAMES = {"b": "blue", "g": "green", "r": "red", "s": "slope", "n": "ngrdi", "o": "red_obj"}
LAYERS = ("blue", "green", "red", "slope")
METRICS = ("loss", "precision", "recall", "f1", "iou", "mcc")


@dataclass(frozen=True)
class Shape:
    """How large the made-up study is."""

    kind: str = "scene"
    seeds: int = 5
    size: int = 32
    grid: tuple[int, int] = (8, 12)
    epochs: int = 30
    design: str = "paper"


def make_study(folder: Path, shape: Shape = Shape(), **changes: Any) -> Path:
    """Write a whole study folder; ``changes`` replace entries of ``study.json`` (None removes one)."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    tiles = make_tiles(shape, rng)
    tiles.save(folder / "tiles.npz")
    rows, histograms, objects, areas = [], {}, {}, {}
    for spec in ROWS:
        entry, probability = _row(folder, spec, tiles, shape, rng)
        rows.append(entry)
        test = tiles.of(Part.TEST)
        valid = test.counted()
        histograms[entry["name"]] = ProbabilityHistogram.from_arrays(probability, test.label, valid)
        objects[entry["name"]] = per_landslide(probability >= 0.5, test.landslide, valid).to_dict()
        found, n = ndimage.label((probability >= 0.5) & valid)
        areas[entry["name"]] = area_frequency(np.bincount(found.ravel())[1 : n + 1] * 100.0).to_dict()
        entry["_calibration"] = calibration(probability, test.label, valid).to_dict()
    content = _study(tiles, shape, rows)
    content["precision_recall"] = {name: _curve(h) for name, h in histograms.items()}
    content["calibration"] = {row["name"]: row.pop("_calibration") for row in rows}
    content["landslides"] = objects
    mapped = np.bincount(tiles.landslide[tiles.label == 1])[1:] * 100.0
    law = np.geomspace(100, mapped.max(), 30)
    content["area_frequency"] = {
        "mapped": area_frequency(mapped).to_dict(),
        "true": area_frequency(np.concatenate([mapped, mapped[mapped < 2000]])).to_dict(),
        "law": {"area_m2": law.tolist(), "density_per_m2": density(law).tolist(), "count": [0] * len(law)},
        **areas,
    }
    content.update(changes)
    content = {name: value for name, value in content.items() if value is not None}
    (folder / "config.toml").write_text('title = "made up"\n\n[split]\ndesign = "blocks"\nbuffer_px = 64\n')
    (folder / "study.json").write_text(json.dumps(content))
    return folder


def make_tiles(shape: Shape, rng: np.random.Generator) -> TileSet:
    """A landscape of hills, forest and fields with bright landslides, cut into tiles; the east is for testing."""
    rows, cols = (n * shape.size for n in shape.grid)
    hills = sum(ndimage.gaussian_filter(rng.normal(size=(rows, cols)), s) * s**1.6 for s in (2, 5, 12, 30))
    dy, dx = np.gradient(hills / hills.std() * 90)
    light = np.clip(0.75 + 0.03 * (dx - dy), 0.3, 1.3)
    fields = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 9) > 0.035
    landslide = _landslides(rows, cols, rng)
    mapped = landslide > 0
    ground = {"blue": (0.035, 0.06, 0.10), "green": (0.055, 0.085, 0.13), "red": (0.035, 0.09, 0.19)}
    bands = []
    for forest, field, bare in ground.values():
        band = np.where(mapped, bare, np.where(fields, field, forest)) * light
        bands.append(band + rng.normal(scale=0.006, size=band.shape))
    bands.append(np.degrees(np.arctan(np.hypot(dx, dy) / 10)))
    image = np.stack(bands).astype(np.float32)
    image[:, :20, : cols // 4] = np.nan  # a corner without data
    row, col = (a.ravel() for a in np.mgrid[: shape.grid[0], : shape.grid[1]])
    part = np.where(col >= shape.grid[1] * 2 // 3 + 1, Part.TEST, Part.TRAIN)
    part[(col % 4 == 1) & (row % 3 != 0) & (part == Part.TRAIN)] = Part.VALIDATION
    part[col == shape.grid[1] * 2 // 3] = Part.UNUSED
    cut = [
        (slice(r * shape.size, (r + 1) * shape.size), slice(c * shape.size, (c + 1) * shape.size))
        for r, c in zip(row, col, strict=True)
    ]
    image_tiles = np.stack([image[:, a, b] for a, b in cut])
    label = np.stack([mapped[a, b] for a, b in cut]).astype(np.uint8)
    label[-1, :10] = 255
    used = part != Part.UNUSED
    step = 1 if shape.kind == "patches" else shape.size
    n = len(row)
    tiles = TileSet(
        LAYERS,
        image_tiles,
        label,
        np.stack([landslide[a, b] for a, b in cut]).astype(np.int32),
        part.astype(np.uint8),
        ((row // 2) * 100 + col // 2).astype(np.int32),
        (row * step).astype(np.int32),
        (col * step).astype(np.int32),
        (np.where(row < shape.grid[0] // 2, 1, 4) if shape.kind == "patches" else np.zeros(n)).astype(np.int32),
        np.arange(n, dtype=np.int64),
        meta={"pixel_m": 10.0},
    )
    return tiles.subset(used)


def _landslides(rows: int, cols: int, rng: np.random.Generator) -> np.ndarray:
    out = np.zeros((rows, cols), np.int32)
    y, x = np.mgrid[:rows, :cols]
    for ident in range(1, rows * cols // 900):
        cy, cx, angle = rng.uniform(0, rows), rng.uniform(0, cols), rng.uniform(0, np.pi)
        long = 1.6 + rng.pareto(1.6) * 2.2
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        out[(u / min(long, 14)) ** 2 + (v / min(long * 0.45, 5)) ** 2 < 1] = ident
    return out


def _row(
    folder: Path, spec: tuple[Any, ...], tiles: TileSet, shape: Shape, rng: np.random.Generator
) -> tuple[dict[str, Any], np.ndarray]:
    name, label, role, paper, network, layers, augment, parameters, quality = spec
    test_index = np.flatnonzero(tiles.part == Part.TEST)
    test = tiles.subset(test_index)
    seeds = list(range(shape.seeds))
    runs, first = [], np.zeros(0)
    for seed in seeds:
        run = folder / "runs" / name / f"seed{seed}"
        run.mkdir(parents=True, exist_ok=True)
        noise = np.stack([ndimage.gaussian_filter(rng.normal(size=t.shape), 1.5) for t in test.label]) * 5.3
        logit = np.where(test.label == 1, 2.2 * quality - 0.6, -2.9) + noise * (1.75 - quality)
        probability = (1 / (1 + np.exp(-1.4 * logit))).astype(np.float16)
        valid = test.counted()
        np.savez(run / "predictions.npz", index=test_index, probability=np.where(valid, probability, np.nan))
        first = probability.astype(np.float32) if seed == 0 else first
        scores = {
            "test": _scores(Confusion.from_arrays(probability >= 0.5, test.label == 1, valid), rng),
            "train": _made_up(quality + 0.1, rng),
            "validation": _made_up(quality + 0.02, rng),
        }
        best = _metrics(run, shape.epochs, quality, rng) if role != "forest" else None
        runs.append(
            {
                "seed": seed, "fold": "main", "folder": f"runs/{name}/seed{seed}", "epochs": shape.epochs,
                "best_epoch": best, "threshold": round(0.4 + 0.02 * seed, 3), "scores": scores,
                "chosen": {**scores["test"], "f1": min(1.0, scores["test"]["f1"] + 0.01)},
            }
        )  # fmt: skip
    spread = 0.035 if shape.seeds > 1 else None
    entry = {
        "name": name, "label": label, "role": role, "paper": paper, "model": network,
        "layers": [NAMES[c] for c in layers],
        "augment": augment, "levers": {}, "train": {"epochs": shape.epochs, "batch": 32, "learning_rate": 0.001},
        "parameters": parameters, "trained_parameters": parameters, "updates": 2400, "seeds": seeds, "runs": runs,
        "threshold": float(np.mean([r["threshold"] for r in runs])),
        "scores": {
            part: {
                m: _mean([r["scores"][part][m] for r in runs], spread if part == "test" and m != "loss" else None)
                for m in METRICS
            }
            for part in ("train", "validation", "test")
        },
        "chosen": {m: _mean([r["chosen"][m] for r in runs], spread) for m in METRICS[1:]},
    }  # fmt: skip
    return entry, first


def _scores(found: Confusion, rng: np.random.Generator) -> dict[str, float]:
    return {
        "loss": float(rng.uniform(0.1, 0.2)), "precision": found.precision, "recall": found.recall, "f1": found.f1,
        "iou": found.iou, "mcc": found.mcc, "prevalence": 0.05,
        "tp": found.tp, "fp": found.fp, "fn": found.fn, "tn": found.tn,
    }  # fmt: skip


def _made_up(level: float, rng: np.random.Generator) -> dict[str, float]:
    return {m: float(np.clip(level + rng.normal(scale=0.01), 0, 0.99)) for m in METRICS[1:]} | {
        "loss": max(0.02, 0.9 - level)
    }


def _mean(values: list[float], spread: float | None) -> dict[str, float | None]:
    value = float(np.mean(values))
    if spread is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": max(0.0, value - spread), "high": min(1.0, value + spread * 0.8)}


def _metrics(run: Path, epochs: int, quality: float, rng: np.random.Generator) -> int:
    columns = ["epoch", "updates", "learning_rate"] + [
        f"{p}_{s}" for p in ("train", "validation") for s in ("loss", "precision", "recall", "f1")
    ]
    losses = []
    with (run / "metrics.csv").open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        for epoch in range(1, epochs + 1):
            done = 1 - np.exp(-epoch / epochs * 4)
            train, val = (
                0.6 - 0.5 * done + rng.normal(scale=0.01),
                0.62 - 0.44 * quality * done + rng.normal(scale=0.02),
            )
            losses.append(val)
            f1 = quality * done
            writer.writerow(
                [epoch, epoch * 80, 0.001, train, f1, f1, min(1, f1 + 0.1), val, f1, f1, f1 + rng.normal(scale=0.02)]
            )
    return int(np.argmin(losses)) + 1


def _curve(histogram: ProbabilityHistogram) -> dict[str, Any]:
    threshold, precision, recall = (a[:: max(1, len(a) // 200)] for a in histogram.precision_recall())
    area = histogram.average_precision()
    return {
        "threshold": threshold.tolist(), "precision": precision.tolist(), "recall": recall.tolist(),
        "area": {"value": area, "low": area - 0.04, "high": area + 0.03},
    }  # fmt: skip


def _study(tiles: TileSet, shape: Shape, rows: list[dict[str, Any]]) -> dict[str, Any]:
    f1 = {row["name"]: row["scores"]["test"]["f1"]["value"] for row in rows}
    pairs = [("data-centric", "gates"), ("data-centric", "unet"), ("gates", "unet"),
             ("resunet34", "unet"), ("data-centric", "unet-steps"), ("forest", "unet")]  # fmt: skip
    return {
        "format": 1,
        "version": "0.1.0",
        "title": "Made-up valley, storm of May",
        "design": shape.design,
        "kind": shape.kind,
        "simulated": False,
        "pretrained": False,
        "seeds": list(range(shape.seeds)),
        "folds": [{"name": "main", "tiles": "tiles.npz", "split": None, "test": "the eastern third"}],
        "blocks": 36,
        "draws": 2000,
        "claims": shape.seeds > 1,
        "claims_reason": "" if shape.seeds > 1 else "one seed",
        "rows": rows,
        "comparisons": [
            {"a": a, "b": b, "p": 0.002, "p_holm": 0.01 if abs(f1[a] - f1[b]) > 0.05 else 0.4, "pixels": "common",
             "difference": {"value": f1[a] - f1[b], "low": f1[a] - f1[b] - 0.04, "high": f1[a] - f1[b] + 0.045}}
            for a, b in pairs
        ] if shape.seeds > 1 else [],
        "split": {
            "design": "blocks",
            "in_words": "The eastern third of the area is for testing; the rest is cut into blocks of which 30 % are "
            "for validation, with 64 pixels left out between the parts.",
            "parts": [
                {"part": p.name.lower(), "fold": "main", "tiles": int((tiles.part == p).sum()), "pixels": 40_000,
                 "landslide_pixels": 2_100,
                 "landslides": 61, "prevalence": tiles.of(p).prevalence(), "blocks": 36}
                for p in (Part.TRAIN, Part.VALIDATION, Part.TEST)
            ],
            "settings": {"design": "blocks", "buffer_px": 64},
        },
        "guard": [{"fold": "main", "distance_px": 64, "range_px": 41, "verdict": "ok", "text":
                   "Training and test pixels are at least 64 pixels apart; the image’s autocorrelation reaches 41."}],
        "data": {
            "layers": list(LAYERS), "pixel_m": 10.0, "prevalence": tiles.prevalence(),
            "sources": [{"role": "image", "path": "post/B02.tif", "sha256": "9f" * 32, "licence": "CC BY 4.0"},
                        {"role": "elevation", "path": "dem.tif", "sha256": "1c" * 32, "licence": "CC0"}],
            "dates": {"event": "2024-05-05", "image": "2024-05-14"},
            "hygiene": {"polygons_read": 412, "invalid_mended": 3, "empty_dropped": 1, "overlaps_merged": 7,
                        "below_one_pixel": 12},
        },
        "recipe": {"layers": list(LAYERS), "resolution_m": 10.0},
        "settings": {"title": "made up"},
        "commands": ["landslip scene post/*.tif --dem dem.tif --inventory landslides.gpkg --out scene",
                     "landslip study study.toml --out study"],
        "warnings": [],
        "limits": ["The images before and after the event were taken in different seasons."],
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", default="scene")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=64)
    asked = parser.parse_args()
    make_study(asked.folder, Shape(asked.kind, asked.seeds, asked.size))
