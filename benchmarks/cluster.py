"""Measures work on a cluster of this machine: two workers against one, the cost of many small jobs, whole continents.

    python benchmarks/cluster.py scaling                # a set of scenes: two single-threaded workers against one
    python benchmarks/cluster.py small                  # 1,000 small scenes: overhead of scheduling, client's memory
    python benchmarks/cluster.py continents --rate N    # land of the earth at N km² per core-hour (from `scaling`)

``scaling`` and ``small`` need two idle cores; each takes a few minutes. Starting workers is not in the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

LAND_KM2 = {
    "Africa": 30_311_000,
    "Asia": 31_915_000,
    "Europe, with all of Russia": 23_049_000,
    "Latin America and the Caribbean": 20_546_000,
    "Northern America": 21_776_000,
    "Oceania": 8_564_000,
}
"""Surface in km²: United Nations, Demographic Yearbook 2015, table 1. Antarctica is not in it."""

OVERLAP = (109.8 / 100.0) ** 2
"""Pixels per pixel of land: granules of 109.8 km lie 100 km apart (Sentinel-2 products specification, tiling grid).
Where UTM zones meet there is more, up to twice, on a strip that narrows towards the equator; it is left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scaling", "small", "continents"])
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--size", type=int, default=1024, help="edge of the scenes in pixels")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="of `small`")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=float, help="km² per core-hour, for `continents`")
    arguments = parser.parse_args()
    if arguments.what == "continents":
        report = continents(arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = {"scaling": scaling, "small": small}[arguments.what](arguments, Path(folder))
    print(json.dumps(report, indent=2, ensure_ascii=False))


def make_run(folder: Path, width: int | None = None) -> tuple:
    """A run with the untrained network of the mapping benchmark, or a narrower one: as fast as a trained one."""
    from landslip.bundle import Bundle
    from landslip.mapping.spread import run_folders
    from landslip.models import build_model
    from mapping import LAYERS, make_member

    member = make_member()
    options = {} if width is None else {"width": width}
    network = member.network if width is None else build_model("unet", len(LAYERS), **options)
    architecture = {"name": "unet", "in_channels": len(LAYERS), "options": options}
    Bundle(architecture, member.recipe, 0.5, network.state_dict()).save(folder)
    return run_folders([folder])


def settings():
    """Few landslides, as in a real scene: the network is untrained, and near 0.5 everywhere."""
    from landslip.mapping.config import MapConfig

    return MapConfig.from_dict(
        {"predict": {"device": "cpu"}, "polygons": {"threshold": 0.95}, "output": {"page": False}}
    )


def peak_mib() -> float:
    """Largest resident memory of the calling process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mib() -> float:
    """Resident memory of the calling process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def scaling(arguments: argparse.Namespace, work: Path) -> dict:
    """Map a set of scenes with one worker and with two, in turns; the best of each."""
    from landslip.cluster import connect
    from landslip.mapping.many import map_scenes
    from mapping import make_scene

    runs = make_run(work / "run")
    scenes = {f"scene{number}": make_scene(work / f"scene{number}", arguments.size)
              for number in range(arguments.scenes)}  # fmt: skip
    warm = {f"warm{number}": make_scene(work / f"warm{number}", 128) for number in range(4)}
    seconds: dict[int, list[float]] = {1: [], 2: []}
    memory: dict[int, float] = {}
    for turn in range(arguments.rounds):
        for workers in seconds:
            with connect(f"local:{workers}") as cluster:
                map_scenes(runs, warm, work / f"warm-{turn}-{workers}", settings(), cluster=cluster)
                out = work / f"out-{turn}-{workers}"
                start = time.perf_counter()
                done = map_scenes(runs, scenes, out, settings(), cluster=cluster)
                seconds[workers].append(time.perf_counter() - start)
                memory[workers] = max(cluster.client.run(peak_mib).values())
            assert not done.reasons, done.reasons
            shutil.rmtree(out)
    best = {workers: min(times) for workers, times in seconds.items()}
    area = arguments.scenes * arguments.size**2 * 100 / 1e6
    return {
        "scenes": arguments.scenes,
        "km2": round(area, 1),
        "seconds_one_worker": [round(one, 1) for one in seconds[1]],
        "seconds_two_workers": [round(one, 1) for one in seconds[2]],
        "times_as_fast": round(best[1] / best[2], 2),
        "km2_per_core_hour_one_worker": round(area / best[1] * 3600),
        "km2_per_core_hour_two_workers": round(area / best[2] * 3600 / 2),
        "peak_memory_of_a_worker_mib": round(max(memory.values())),
    }


def timed_map(runs, scene: str, out: str, content: dict) -> float:
    """Seconds that a worker needs for one small map."""
    from landslip.mapping.many import _map_one

    start = time.perf_counter()
    _map_one(runs, scene, out, content, False)
    return time.perf_counter() - start


def small(arguments: argparse.Namespace, work: Path) -> dict:
    """Map one small scene a thousand times: what the workers' time goes into, what the client holds."""
    from landslip.cluster import Job, connect, run_all
    from mapping import make_scene

    runs = make_run(work / "run", width=8)
    scene = make_scene(work / "scene", 128)
    content = settings().to_dict()

    def jobs(first: int, last: int):
        for number in range(first, last):
            yield Job(str(number), (runs, str(scene), str(work / "out" / str(number)), content))

    with connect(f"local:{arguments.workers}") as cluster:
        list(run_all(cluster, timed_map, jobs(-4 * arguments.workers, 0)))
        before, futures, busy, memory = resident_mib(), 0, 0.0, []
        start = time.perf_counter()
        for number, outcome in enumerate(run_all(cluster, timed_map, jobs(0, arguments.jobs)), start=1):
            assert not outcome.failed, outcome.reason
            busy += outcome.value
            futures = max(futures, len(cluster.client.futures))
            shutil.rmtree(work / "out" / outcome.job.name)
            if number % max(1, arguments.jobs // 10) == 0:
                memory.append(round(resident_mib() - before, 1))
        wall = time.perf_counter() - start
    return {
        "jobs": arguments.jobs,
        "workers": arguments.workers,
        "wall_seconds": round(wall, 1),
        "seconds_per_job": round(busy / arguments.jobs, 3),
        "overhead_of_the_work": round((wall * arguments.workers - busy) / busy, 4),
        "client_memory_mib_before": round(before, 1),
        "client_memory_mib_added_at_each_tenth": memory,
        "most_futures_held": futures,
    }


def continents(arguments: argparse.Namespace) -> dict:
    """Core-hours for one map of all land: area times overlap, over the rate; clouds, sea and reading are left out."""
    if not arguments.rate:
        raise SystemExit("give --rate, the km² per core-hour that `scaling` measured")
    table = {}
    for name, area in (*LAND_KM2.items(), ("all of it", sum(LAND_KM2.values()))):
        hours = area * OVERLAP / arguments.rate
        table[name] = {"million_km2": round(area / 1e6, 2), "granules": round(area / 1e4),
                       "core_hours": round(hours), "hours_on_1000_cores": round(hours / 1000, 1)}  # fmt: skip
    return {"km2_per_core_hour": arguments.rate, "overlap": round(OVERLAP, 3), "continents": table}


if __name__ == "__main__":
    main()
