"""Measures ``landslip map``: throughput against the bare network, a whole granule, memory, vectorising, bf16.

    python benchmarks/mapping.py throughput      # whole scene against bare forward, in turns
    python benchmarks/mapping.py precision       # bf16 against float32: speed, change of the probabilities
    python benchmarks/mapping.py granule         # 10,980 x 10,980, and a quarter of its area: time, peak memory
    python benchmarks/mapping.py granule --objects    # the same with a recipe of object layers
    python benchmarks/mapping.py vectorise       # 20,000 landslides on a granule

Ratios are taken in one run, measurements in turns, the best of each. Beside wall-clock seconds stand the processor
seconds of the process, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

LAYERS = ("blue", "green", "red", "nir", "slope")
GRANULE = 10_980


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "precision", "granule", "vectorise", "one"])
    parser.add_argument("--size", type=int, help="edge of the scene in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--work", type=Path, help="folder for scenes, kept; default a temporary one")
    parser.add_argument("--objects", action="store_true", help="granule: a recipe with object means of every layer")
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with _folder(arguments.work) as work:
        report = {"throughput": throughput, "precision": precision, "granule": granule, "vectorise": vectorise,
                  "one": one}[arguments.what](arguments, work)  # fmt: skip
    print(json.dumps(report, indent=2))


@contextmanager
def _folder(path: Path | None) -> Iterator[Path]:
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
        yield path
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


class Timer:
    """Wall-clock and processor seconds of a block."""

    def __enter__(self) -> Timer:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]


def make_scene(folder: Path, size: int) -> Path:
    """A scene of natural statistics: smooth fields of many scales with noise, written block by block."""
    from affine import Affine
    from pyproj import CRS
    from scipy.ndimage import zoom

    from landslip.files import write_json
    from landslip.grid import Grid
    from landslip.rasters import RasterSpec, write_block
    from landslip.scene.writing import scene_raster
    from landslip.windows import split_windows

    path = folder / f"scene{size}"
    if (path / "scene.json").exists():
        return path
    grid = Grid((size, size), Affine(10, 0, 500_000, 0, -10, 4_700_000), CRS.from_epsg(32654))
    rng = np.random.default_rng(0)
    patch = np.zeros((1024, 1024), np.float32)
    for cells in (4, 8, 16, 32, 64, 128):
        patch += zoom(rng.normal(size=(1024 // cells, 1024 // cells)).astype(np.float32), cells, order=1) * cells**0.7
    patch = (patch - patch.min()) / np.ptp(patch)
    names = (*LAYERS, "elevation")
    spec = RasterSpec(grid, "float32", names, nodata=float("nan"), compress="zstd")
    with scene_raster(path / "bands.tif", spec) as dataset:
        for window in split_windows(grid.shape, (512, 512)):
            row, col = rng.integers(0, 512, 2)
            base = patch[row : row + window.rows, col : col + window.cols]
            bands = [0.03 + 0.1 * base + rng.normal(0, 0.003, base.shape) for _ in LAYERS[:4]]
            bands += [50 * base, 1000 * base]
            write_block(dataset, np.stack(bands).astype(np.float32), window)
    spec = RasterSpec(grid, "uint8", ("image", "dem"), average=False, compress="zstd")
    with scene_raster(path / "valid.tif", spec) as dataset:
        for window in split_windows(grid.shape, (512, size)):
            write_block(dataset, np.ones((2, *window.shape), np.uint8), window)
    valid = {"image": 1.0, "dem": 1.0}
    write_json(path / "scene.json", {"format": 1, "grid": grid.to_dict(), "layers": list(names),
                                     "validity": valid, "inventory": None, "dates": {}})  # fmt: skip
    return path


def make_member(objects: bool = False):
    """The U-Net of four million parameters, untrained; with object means, of the bands, slope and NDVI."""
    import torch

    from landslip.mapping.probability.network import Member
    from landslip.models import build_model
    from landslip.recipe import LayerStatistics, ObjectRecipe, Recipe

    torch.manual_seed(0)
    layers = (*LAYERS, "ndvi", *(f"{name}_obj" for name in (*LAYERS, "ndvi"))) if objects else LAYERS
    of = {
        "slope": LayerStatistics(mean=25, std=12, low=0, high=60),
        "ndvi": LayerStatistics(mean=0, std=0.05, low=-1, high=1),
    }
    reflectance = LayerStatistics(mean=0.08, std=0.03, low=0.0, high=0.2)
    statistics = {name: of.get(name.removesuffix("_obj"), reflectance) for name in layers}
    inputs = (*LAYERS[:4], "ndvi", "slope")
    low, high = (0.04, 0.04, 0.04, 0.04, -0.05, 5.0), (0.12, 0.12, 0.12, 0.12, 0.05, 45.0)
    segments = ObjectRecipe(inputs=inputs, low=low, high=high, scale=30.0) if objects else None
    recipe = Recipe(layers=layers, statistics=statistics, objects=segments)
    return Member("unet", build_model("unet", len(layers)).eval(), recipe, 0.5, "benchmark")


def predict(scene: Path, out: Path, *, batch: int, precision: str = "auto", overlap: int = 0, member=None) -> Path:
    from landslip.mapping.run import predict_scene

    shutil.rmtree(out, ignore_errors=True)
    return predict_scene(member or make_member(), scene, out, tile=128, overlap=overlap, batch=batch, device="cpu",
                         precision=precision)  # fmt: skip


def throughput(arguments: argparse.Namespace, work: Path) -> dict:
    """Windows per second of a whole scene, and of the network alone on the same windows."""
    import torch

    from landslip.mapping.config import PredictConfig
    from landslip.mapping.probability.blending import WindowPlan
    from landslip.mapping.probability.network import Forward
    from landslip.scene.store import Scene

    torch.set_num_threads(arguments.threads)
    size = arguments.size or 2048
    path = make_scene(work, size)
    plan = WindowPlan((size, size), 128, 0)
    pixels = Scene.open(path).read(LAYERS)
    windows = [pixels[(slice(None), *window.slices)] for band in plan.bands for window in plan.windows(band)]
    batches = [np.stack(windows[i : i + arguments.batch]) for i in range(0, len(windows), arguments.batch)]
    member = make_member()
    forward = Forward([member], [slice(0, len(LAYERS))], PredictConfig(device="cpu", batch=arguments.batch))
    run = forward._runs[0]
    ready = [run.standardise(torch.from_numpy(batch)) for batch in batches]
    network = member.network.to(memory_format=torch.channels_last)  # as it was trained, nothing folded

    def bare() -> None:
        from landslip.training.device import autocast

        with torch.inference_mode(), autocast(forward.device, forward.precision):
            for batch in ready:
                network(batch)

    def whole() -> None:
        predict(path, work / "out", batch=arguments.batch, member=member)

    bare()
    best = in_turns({"bare": bare, "whole": whole}, arguments.rounds)
    return {
        "scene": [size, size], "windows": len(plan), "threads": arguments.threads, "batch": arguments.batch,
        "precision": forward.precision, **best,
        "windows_per_s": {name: round(len(plan) / one["wall_s"], 1) for name, one in best.items()},
        "whole_over_bare": {
            "wall": round(best["bare"]["wall_s"] / best["whole"]["wall_s"], 3),
            "cpu": round(best["bare"]["cpu_s"] / best["whole"]["cpu_s"], 3),
        },
    }  # fmt: skip


def in_turns(what: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Best wall-clock and processor seconds of each, measured in turns."""
    best = {name: {"wall_s": float("inf"), "cpu_s": float("inf")} for name in what}
    for _ in range(rounds):
        for name, function in what.items():
            with Timer() as timer:
                function()
            best[name]["wall_s"] = min(best[name]["wall_s"], round(timer.wall, 3))
            best[name]["cpu_s"] = min(best[name]["cpu_s"], round(timer.cpu, 3))
    return best


def precision(arguments: argparse.Namespace, work: Path) -> dict:
    """bf16 against float32 on one scene."""
    import rasterio
    import torch

    torch.set_num_threads(arguments.threads)
    size = arguments.size or 1024
    path = make_scene(work, size)
    paths = {}

    def run(name: str) -> None:
        paths[name] = predict(path, work / name, batch=arguments.batch, precision=name)

    best = in_turns({name: (lambda name=name: run(name)) for name in ("float32", "bf16")}, arguments.rounds)
    fields = {}
    for name, raster in paths.items():
        with rasterio.open(raster) as dataset:
            fields[name] = dataset.read(1)
    change = np.abs(fields["bf16"] - fields["float32"])
    return {
        "scene": [size, size], "threads": arguments.threads, **best,
        "speed_up": {unit: round(best["float32"][unit] / best["bf16"][unit], 2) for unit in ("wall_s", "cpu_s")},
        "change": {"mean": float(change.mean()), "largest": float(change.max())},
        "pixels_across_the_threshold": float(((fields["bf16"] >= 0.5) != (fields["float32"] >= 0.5)).mean()),
    }  # fmt: skip


def granule(arguments: argparse.Namespace, work: Path) -> dict:
    """A granule and a quarter of its area, each in a process of its own, beside one that only loads the model."""
    size = arguments.size or GRANULE
    report: dict = {"threads": arguments.threads, "batch": arguments.batch}
    maps = "map-objects" if arguments.objects else "map"
    for name, edge, mode in (("load", 0, "load"), ("quarter", size // 2, maps), ("whole", size, maps)):
        scene = make_scene(work, edge) if edge else work
        command = [sys.executable, __file__, "one", "--scene", str(scene), "--mode", mode, "--work", str(work),
                   "--threads", str(arguments.threads), "--batch", str(arguments.batch)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        report[name] = {"edge": edge, **json.loads(done.stdout)}
    base = report["load"]["peak_mib"]
    report["above_load_mib"] = {name: report[name]["peak_mib"] - base for name in ("quarter", "whole")}
    report["whole_over_quarter"] = round(report["whole"]["peak_mib"] / report["quarter"]["peak_mib"], 3)
    return report


def one(arguments: argparse.Namespace, work: Path) -> dict:
    """In a process of its own: load the model, and map a scene."""
    import torch

    import landslip.mapping.run  # noqa: F401 - part of loading

    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        make_member().network(torch.zeros(1, len(LAYERS), 128, 128))
    report: dict = {}
    if arguments.mode != "load":
        member = make_member(objects=arguments.mode == "map-objects")
        with Timer() as timer:
            predict(arguments.scene, work / "granule-out", batch=arguments.batch, member=member)
        windows = int(np.ceil(json.loads((arguments.scene / "scene.json").read_text())["grid"]["shape"][0] / 128)) ** 2
        report = {"wall_s": round(timer.wall, 1), "cpu_s": round(timer.cpu, 1),
                  "windows_per_s": round(windows / timer.wall, 1)}  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**report, "peak_mib": round(peak / 1024)}


def vectorise(arguments: argparse.Namespace, work: Path) -> dict:
    """Outline, measure and write 20,000 landslides of an inverse-gamma area distribution on a granule."""
    from landslip.mapping.config import FilterConfig, PolygonConfig
    from landslip.mapping.landslides.fields import COMMENTS
    from landslip.mapping.landslides.find import find_landslides
    from landslip.mapping.show.style import landslide_style
    from landslip.mapping.show.writing import Layer, write_geopackage
    from landslip.scene.store import Scene

    size = arguments.size or GRANULE
    count = round(20_000 * (size / GRANULE) ** 2)
    scene = Scene.open(make_scene(work, size))
    path = make_probability(work, scene, count)
    small = Scene.open(make_scene(work / "small", 256))  # compiles what is not compiled yet
    find_landslides(make_probability(work / "small", small, 10), small, 0.5, PolygonConfig(), FilterConfig())
    with Timer() as timer:
        found = find_landslides(path, scene, 0.5, PolygonConfig(min_area_m2=0), FilterConfig())
    layer = Layer("landslides", found.shapes, found.table, scene.grid.crs, COMMENTS, landslide_style())
    with Timer() as writing:
        write_geopackage(work / "landslides.gpkg", [layer])
    return {
        "scene": [size, size], "landslides": len(found),
        "corners": int(found.outlines.corners.shape[0]),
        "outline_and_measure": {"wall_s": round(timer.wall, 1), "cpu_s": round(timer.cpu, 1)},
        "write": {"wall_s": round(writing.wall, 1), "cpu_s": round(writing.cpu, 1)},
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


def make_probability(work: Path, scene, count: int) -> Path:
    """Ragged blobs at random places, areas from Malamud et al. (2004), on low noise."""
    from scipy.stats import invgamma

    from landslip.rasters import RasterSpec, cog_writer, write_block
    from landslip.windows import split_windows

    path = work / f"probability{scene.grid.rows}-{count}.tif"
    if path.exists():
        return path
    rng = np.random.default_rng(1)
    areas = np.minimum(invgamma.rvs(1.4, loc=-132, scale=1280, size=count, random_state=rng), 5e5) / 100
    radius = np.maximum(1.2, np.sqrt(np.maximum(areas, 1) / np.pi / 2))
    rows, cols = rng.integers(0, scene.grid.rows, count), rng.integers(0, scene.grid.cols, count)
    order = np.argsort(rows)
    spec = RasterSpec(scene.grid, "float32", ("landslide probability",), nodata=float("nan"))
    with cog_writer(path, spec) as dataset:
        for window in split_windows(scene.grid.shape, (512, scene.grid.cols)):
            field = rng.random(window.shape, dtype=np.float32) * 0.3
            for index in order:
                reach = int(3 * radius[index]) + 2
                if abs(rows[index] - window.row - window.rows / 2) > window.rows / 2 + reach:
                    continue
                top, left = max(rows[index] - reach, window.row), max(cols[index] - reach, 0)
                bottom, right = (
                    min(rows[index] + reach, window.row + window.rows),
                    min(cols[index] + reach, window.cols),
                )
                r, c = np.mgrid[top:bottom, left:right]
                ragged = 1 + 0.35 * np.sin(5 * np.arctan2(r - rows[index], c - cols[index]) + index)
                inside = np.hypot((r - rows[index]) / 2, c - cols[index]) < radius[index] * ragged
                field[top - window.row : bottom - window.row, left:right][inside] = 0.6 + 0.4 * rng.random()
            write_block(dataset, field[None], window)
    return path


if __name__ == "__main__":
    main()
