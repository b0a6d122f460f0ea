"""Speed, memory and exactness of the segmentation at satellite scale, against its peers in one run.

    python benchmarks/segmentation.py speed        ratios against scikit-image, on one input
    python benchmarks/segmentation.py memory       bytes per pixel above the input
    python benchmarks/segmentation.py sizes        time per pixel from 512² to 8192²
    python benchmarks/segmentation.py constant     an image of which 60 % is constant
    python benchmarks/segmentation.py start        cold and cached start of the compiled code
    python benchmarks/segmentation.py granule DIR  10,980² x 6 from disk

The input has the statistics of satellite images: fields whose power falls with frequency, bands that are
mixtures of them, parcels with sharp borders, and noise; in units of 0 … 255 between the percentiles, as
the pipeline maps its layers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from landslip.objects.options import Options
from landslip.objects.segmentation import segment, segment_planned
from landslip.objects.windows.merging import usable_threads
from landslip.objects.windows.plans import Pixels, Plan

PARCEL = 48
"""Mean width of a parcel in pixels."""


class Landscape:
    """A synthetic image of any size that can be computed window by window, always the same."""

    def __init__(self, rows: int, cols: int, bands: int, seed: int = 0, noise: float = 5.0) -> None:
        self.rows, self.cols, self.bands, self.seed, self.noise = rows, cols, bands, seed, noise
        rng = np.random.default_rng(seed)
        self._octaves = []
        for step in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
            shape = (3, rows // step + 3, cols // step + 3)
            self._octaves.append((step, rng.standard_normal(shape, np.float32) * np.float32(step**0.5)))
        self._mix = rng.normal(0, 1, (bands, 3)).astype(np.float32)
        self._mix += np.float32(1.0)  # the bands of land correlate
        cells = (rows // PARCEL + 3, cols // PARCEL + 3)
        self._seeds = rng.random((2, *cells), np.float32)
        self._classes = rng.normal(0, 25, (bands, *cells)).astype(np.float32) * (rng.random(cells) < 0.5)

    def window(self, row: int, col: int, rows: int, cols: int) -> np.ndarray:
        """``(bands, rows, cols)`` float32."""
        fields = np.zeros((3, rows, cols), np.float32)
        r, c = np.arange(row, row + rows), np.arange(col, col + cols)
        for step, lattice in self._octaves:
            top, left = r // step, c // step
            down = ((r % step) / np.float32(step)).astype(np.float32)[:, None]
            over = ((c % step) / np.float32(step)).astype(np.float32)
            wide = lattice[:, top.min() : top.max() + 2]
            wide = wide[:, :, left] * (1 - over) + wide[:, :, left + 1] * over
            top = top - top.min()
            fields += wide[:, top] * (1 - down) + wide[:, top + 1] * down
        parcel = self._parcels(r, c)
        out = np.empty((self.bands, rows, cols), np.float32)
        # one stream of noise per row, so that windows agree
        for b in range(self.bands):
            out[b] = np.tensordot(self._mix[b], fields, 1) * np.float32(0.8) + self._classes[b].ravel()[parcel]
        for k, one in enumerate(r):
            full = np.random.default_rng((self.seed, 1, int(one))).standard_normal((self.bands, self.cols), np.float32)
            out[:, k] += full[:, col : col + cols] * np.float32(self.noise)
        return out + np.float32(110)

    def _parcels(self, r: np.ndarray, c: np.ndarray) -> np.ndarray:
        # nearest of the jittered seeds in the 3 x 3 cells around
        best = np.full((r.size, c.size), np.inf, np.float32)
        nearest = np.zeros((r.size, c.size), np.int32)
        width = self._seeds.shape[2]
        for dr in range(3):
            for dc in range(3):
                i, j = r // PARCEL + dr, c // PARCEL + dc
                y = (i[:, None] - 1 + self._seeds[0][np.ix_(i, j)]) * PARCEL - r[:, None]
                x = (j - 1 + self._seeds[1][np.ix_(i, j)]) * PARCEL - c
                distance = (y * y + x * x).astype(np.float32)
                closer = distance < best
                best[closer] = distance[closer]
                nearest[closer] = (i[:, None] * width + j)[closer]
        return nearest

    def whole(self) -> np.ndarray:
        """The image in memory, computed by rows of windows."""
        out = np.empty((self.bands, self.rows, self.cols), np.float32)
        for row in range(0, self.rows, 512):
            rows = min(512, self.rows - row)
            out[:, row : row + rows] = self.window(row, 0, rows, self.cols)
        return out


# ---------------------------------------------------------------------------------------------------
# Measurements
# ---------------------------------------------------------------------------------------------------

SCALE = 30.0


def seconds(work) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def interleaved(works: dict, repeats: int, turn: float = 0.0) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of several works that take turns, so that all see the same machine.

    A turn is one call, or as many as it takes to last for ``turn`` seconds.
    """
    taken = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            end = time.perf_counter() + turn
            taken[name].append(seconds(work))
            while time.perf_counter() < end:
                taken[name].append(seconds(work))
    return {name: tuple(float(np.median(column)) for column in zip(*rows, strict=True)) for name, rows in taken.items()}


def warm_up() -> None:
    segment(Landscape(300, 300, 2).whole(), SCALE)
    segment_planned(Pixels(Landscape(64, 64, 2).whole()), Options.checked(2, [9.0]), Plan((20, 20), 2, 3))


def felzenszwalb_like(pixels: np.ndarray, objects_per_pixel: float) -> float:
    """The ``scale`` of felzenszwalb that gives about as many segments, found on a corner of the image."""
    from skimage.segmentation import felzenszwalb

    crop = pixels[:384, :384]
    tried = [
        (s, felzenszwalb(crop, scale=s, sigma=0.8, channel_axis=-1).max() + 1) for s in 10.0 ** np.arange(1, 5.5, 0.5)
    ]
    return min(tried, key=lambda pair: abs(np.log(pair[1] / (objects_per_pixel * crop.shape[0] * crop.shape[1]))))[0]


def speed(args) -> None:
    """Ratios of speed against scikit-image at about as many objects."""
    from skimage.segmentation import felzenszwalb, slic

    image = Landscape(args.size, args.size, args.bands).whole()
    last = np.ascontiguousarray(image.transpose(1, 2, 0))
    warm_up()
    objects = int(segment(image, SCALE).max())
    loose = felzenszwalb_like(last, objects / args.size**2)
    counts = {}

    def peer(name, work):
        def run():
            counts[name] = len(np.unique(work()))

        return run

    works = {
        "landslip.objects.segment": lambda: segment(image, SCALE),
        "landslip, 1 thread": lambda: segment(image, SCALE, threads=1),
        "skimage slic": peer(
            "skimage slic",
            lambda: slic(last, n_segments=objects, compactness=10, channel_axis=-1, convert2lab=False, start_label=1),
        ),
    }
    if not args.no_felzenszwalb:
        works["skimage felzenszwalb"] = peer(
            "skimage felzenszwalb", lambda: felzenszwalb(last, scale=loose, sigma=0.8, channel_axis=-1)
        )
    taken = interleaved(works, args.repeats)
    counts |= dict.fromkeys(("landslip.objects.segment", "landslip, 1 thread"), objects)
    own = taken["landslip.objects.segment"]
    print(f"{args.size} x {args.size} x {args.bands}, medians of {args.repeats}, {threads_here()} cores")
    print("| | s | processor s | Mpx/s | objects | landslip is faster by |\n|---|---|---|---|---|---|")
    for name, (wall, cpu) in taken.items():
        pace = args.size**2 / wall / 1e6
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {pace:.2f} | {counts[name]:,} | {wall / own[0]:.2f} x |")


def sizes(args) -> None:
    """Time per pixel over sizes, in turns of a second and more: one call of the least takes a twentieth of that."""
    warm_up()
    images = {n: Landscape(n, n, args.bands).whole() for n in args.sizes}
    works = {str(n): (lambda image=image: segment(image, SCALE)) for n, image in images.items()}
    taken = interleaved(works, args.repeats, turn=1.0)
    first = None
    print("| size | s | ns per pixel | of the first |\n|---|---|---|---|")
    for n in args.sizes:
        per_pixel = taken[str(n)][0] / n**2 * 1e9
        first = first or per_pixel
        print(f"| {n}² | {taken[str(n)][0]:.2f} | {per_pixel:.0f} | {per_pixel / first:.2f} |")


def constant(args) -> None:
    """Time of an image of which 60 % is constant, against the same image without."""
    image = Landscape(args.size, args.size, args.bands).whole()
    flat = image.copy()
    flat[:, : int(args.size * 0.6)] = 100
    warm_up()
    works = {"natural": lambda: segment(image, SCALE), "60 % constant": lambda: segment(flat, SCALE)}
    taken = interleaved(works, args.repeats)
    for name, (wall, cpu) in taken.items():
        print(f"| {name} | {wall:.2f} s | {cpu:.2f} s processor | {wall / taken['natural'][0]:.2f} x |")


def memory(args) -> None:
    """Peak memory above the input, in a process of its own."""
    for n in args.sizes:
        code = (
            "import sys; sys.path.insert(0, 'benchmarks'); import segmentation as s; s.warm_up()\n"
            "import landslip.objects; landslip.objects.give_back()  # else what is kept would serve\n"
            f"image = s.Landscape({n}, {n}, {args.bands}).whole()\n"
            "open('/proc/self/clear_refs', 'w').write('5')\n"
            "before = s.peak_bytes('VmRSS'); labels = s.segment(image, s.SCALE)\n"
            f"print((s.peak_bytes('VmHWM') - before) / {n}**2)"
        )
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        print(f"| {n}² x {args.bands} | {float(out):.0f} bytes per pixel above the input, labels included |")


def peak_bytes(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def start(args) -> None:
    """Time until the first result in a new process: compiling, and from the cache."""
    code = (
        "import time, numpy as np; from landslip.objects import segmentation as s\n"
        "t = time.perf_counter(); c = time.process_time(); s.segment(np.zeros((2, 260, 420), np.float32) + "
        "np.random.default_rng(0).normal(0, 9, (2, 260, 420)), 30)\n"
        "print(time.perf_counter() - t, time.process_time() - c)"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "cached", "cached"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
            out = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
            )
            wall, cpu = map(float, out.stdout.split())
            print(f"| {name} | {wall:.2f} s | {cpu:.2f} s processor |")


def granule(args) -> None:
    """A Sentinel-2 granule of six layers from disk: time and peak memory, the generation left out."""
    raster = Path(args.folder) / f"granule-{args.size}.tif"
    if not raster.exists():
        make_raster(raster, args.size, 6)
    code = (
        "import sys, time; sys.path.insert(0, 'benchmarks'); import segmentation as s; s.warm_up()\n"
        "from landslip.objects import segment_raster\n"
        "before = s.peak_bytes('VmRSS'); wall = time.perf_counter(); cpu = time.process_time()\n"
        f"done = segment_raster({str(raster)!r}, {str(raster.with_suffix('.labels.tif'))!r}, s.SCALE, "
        f"memory_gib={args.memory})\n"
        "print(done.objects, done.windows, done.reruns, done.passes, time.perf_counter() - wall, "
        "time.process_time() - cpu, s.peak_bytes('VmHWM') / 2**30, before / 2**30)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    objects, windows, reruns, passes = (int(word) for word in out[:4])
    wall, cpu, peak, before = (float(word) for word in out[4:])
    print(f"{args.size} x {args.size} x 6 from disk: {wall:.0f} s ({cpu:.0f} s of processors), peak {peak:.2f} GiB")
    print(f"({before:.2f} GiB of it Python and libraries); {objects:,} objects after {passes} passes;")
    print(f"{windows} windows, {reruns} run again")


def make_raster(path: Path, size: int, bands: int) -> None:
    from affine import Affine
    from pyproj import CRS

    from landslip.grid import Grid
    from landslip.rasters import RasterSpec, create_raster, write_block
    from landslip.windows import Window

    grid = Grid((size, size), Affine(10, 0, 300_000, 0, -10, 4_800_000), CRS.from_epsg(32654))
    land = Landscape(size, size, bands)
    with create_raster(path, RasterSpec(grid, "float32", tuple(f"b{k}" for k in range(bands)))) as dataset:
        for row in range(0, size, 512):
            rows = min(512, size - row)
            write_block(dataset, land.window(row, 0, rows, size), Window(row, 0, rows, size))


def threads_here() -> int:
    return usable_threads(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for work in (speed, sizes, constant, memory, start, granule):
        command = commands.add_parser(work.__name__, help=work.__doc__.replace("%", "%%"))
        command.set_defaults(work=work)
        command.add_argument("--bands", type=int, default=5)
        command.add_argument("--repeats", type=int, default=3)
        if work in (speed, constant):
            command.add_argument("--size", type=int, default=2048)
        if work is speed:
            command.add_argument("--no-felzenszwalb", action="store_true")
        if work in (sizes, memory):
            command.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
        if work is granule:
            command.add_argument("folder")
            command.add_argument("--size", type=int, default=10_980)
            command.add_argument("--memory", type=float, default=4.0)
    args = parser.parse_args()
    args.work(args)


if __name__ == "__main__":
    main()
