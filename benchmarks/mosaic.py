"""Measures ``landslip mosaic``: time and memory against the number of maps.

    python benchmarks/mosaic.py --maps 25 100 400 --landslides 1000

Maps of the size of Sentinel-2 granules (109.8 km, a granule every 100 km, so that a fifth of the ground is seen twice)
on a square, with their landslides drawn at random once, so that each map shows what lies on its ground. Each mosaic is
made in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EDGE, STEP, PIXELS = 109_800.0, 100_000.0, 10_980
WEST, NORTH = 300_000.0, 5_000_000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, nargs="+", default=[25, 100, 400])
    parser.add_argument("--landslides", type=int, default=1000, help="per map")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one)))
        return
    for count in arguments.maps:
        with tempfile.TemporaryDirectory() as folder:
            write_maps(Path(folder), count, arguments.landslides)
            done = subprocess.run(
                [sys.executable, __file__, "--one", folder], check=True, capture_output=True, text=True
            )
            print(json.dumps({"maps": count, **json.loads(done.stdout)}), flush=True)


def one(folder: Path) -> dict[str, float]:
    from landslip.mapping.mosaic import mosaic_maps

    start, used = time.perf_counter(), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = mosaic_maps([folder / "maps"], folder / "mosaic")
    return {
        **result.content["counts"],
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "imports_mib": round(before / 1024),
    }


def write_maps(folder: Path, count: int, landslides: int) -> None:
    import rasterio
    import shapely

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from helpers.mosaics import grid_at, write_map

    side = math.isqrt(count - 1) + 1
    rng = np.random.default_rng(0)
    extent = STEP * (side - 1) + EDGE
    total = round(landslides * extent**2 / EDGE**2)
    corner = np.round(rng.uniform(0, extent - 500, (total, 2)), -1)
    size = np.round(rng.uniform(20, 300, (total, 2)), -1)
    left, top = WEST + corner[:, 0], NORTH - corner[:, 1]
    shapes = shapely.box(left, top - size[:, 1], left + size[:, 0], top)
    tree = shapely.STRtree(shapes)
    empty = folder / "empty.tif"
    profile = {"driver": "GTiff", "width": PIXELS, "height": PIXELS, "count": 1, "dtype": "float32", "sparse_ok": True}
    with rasterio.open(empty, "w", tiled=True, **profile):
        pass
    for number in range(count):
        west, north = WEST + STEP * (number % side), NORTH - STEP * (number // side)
        ground = shapely.box(west, north - EDGE, west + EDGE, north)
        seen = shapely.intersection(shapes[np.sort(tree.query(ground, predicate="intersects"))], ground)
        seen = seen[shapely.area(seen) > 0]
        map_folder = write_map(folder / "maps" / f"{number:04d}", grid_at(32654, west, north), seen)
        content = json.loads((map_folder / "map.json").read_text())
        content["scene"]["grid"]["shape"] = [PIXELS, PIXELS]
        (map_folder / "map.json").write_text(json.dumps(content))
        (map_folder / "probability.tif").unlink()
        (map_folder / "probability.tif").hardlink_to(empty)


if __name__ == "__main__":
    main()
