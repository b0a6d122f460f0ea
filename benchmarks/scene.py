"""A granule becomes a scene: time and memory against rasterio alone.

    python benchmarks/scene.py [--size 10980] [--repeat 1] [--format tif|jp2] [--folder DIR]

Makes four bands of ``size`` x ``size`` pixels (uint16, 10 m) and an elevation model (30 m, degrees), then,
each in a process of its own, in turn:

- ``landslip``: :func:`landslip.scene.build.build_scene`, layers blue green red nir elevation slope;
- ``rasterio``: reads the same bands and the elevation and a ready-made slope (both warped bilinearly),
  and writes the same float32 layers with the same tiling, compression and overviews, nothing else: no
  validity, no statistics, no checksums.

Prints seconds, peak memory and the ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import rasterio.transform
import scipy.ndimage
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from landslip.grid import Grid
from landslip.rasters import RasterSpec, create_raster, rasterio_window, write_block
from landslip.windows import split_windows

BANDS = ("B02", "B03", "B04", "B08")
LAYERS = ("blue", "green", "red", "nir", "elevation", "slope")
UTM = CRS.from_epsg(32633)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=10980)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--format", choices=("tif", "jp2"), default="tif")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", choices=("landslip", "rasterio"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        make_inputs(folder, options.size, options.format)
        results: dict[str, list[dict[str, float]]] = {"rasterio": [], "landslip": []}
        for _ in range(options.repeat):
            for part, found in results.items():
                result = run_process(part, folder)
                found.append(result)
                print(
                    f"{part:<9} {result['seconds']:7.1f} s, {result['cpu']:.1f} s of processor, "
                    f"peak {result['peak_mib']:.0f} MiB",
                    flush=True,
                )
        best = {name: {part: min(r[name] for r in results[part]) for part in results} for name in ("seconds", "cpu")}
        time_ratio, cpu_ratio = (b["landslip"] / b["rasterio"] for b in best.values())
        print(
            f"ratio     {time_ratio:.2f} of time, {cpu_ratio:.2f} of processor time (best of {options.repeat}), "
            f"{options.size} x {options.size}, {options.format}"
        )


def run_process(part: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def run_part(part: str, folder: Path) -> None:
    start = time.perf_counter()
    if part == "landslip":
        from landslip.scene.build import build_scene
        from landslip.scene.config import SceneConfig

        build_scene(SceneConfig(images=(str(folder / "image"),), dem=(str(folder / "dem.tif"),)), folder / "scene")
    else:
        with_rasterio(folder)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mib": peak_mib()}))


def peak_mib() -> float:
    """Peak memory of this process (``ru_maxrss`` would remember that of the process which started it)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def with_rasterio(folder: Path) -> None:
    """The least that has to be done: read, scale, write tiled and compressed, overviews."""
    paths = sorted((folder / "image").iterdir())
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=256), rasterio.open(paths[0]) as first:
        grid = Grid.of_raster(first)
        options = {"crs": first.crs, "transform": first.transform, "width": grid.cols, "height": grid.rows}
        spec = RasterSpec(grid, "float32", LAYERS, nodata=float("nan"), compress="zstd")
        out = folder / "plain.tif"
        bands = [rasterio.open(path) for path in paths]
        files = [rasterio.open(folder / name) for name in ("dem.tif", "slope.tif")]
        terrain = [WarpedVRT(f, resampling=Resampling.bilinear, dtype="float32", **options) for f in files]
        with create_raster(out, spec) as dataset:
            for window in split_windows(grid.shape, (2048, 2048)):
                where = rasterio_window(window)
                layers = [band.read(1, window=where, out_dtype="float32") * np.float32(1e-4) for band in bands]
                layers += [vrt.read(1, window=where) for vrt in terrain]
                write_block(dataset, np.stack(layers), window)
        settings = {"COMPRESS_OVERVIEW": "ZSTD", "ZSTD_LEVEL_OVERVIEW": 1, "PREDICTOR_OVERVIEW": 3}
        settings |= {"GDAL_TIFF_OVR_BLOCKSIZE": 512, "INTERLEAVE_OVERVIEW": "BAND", "BIGTIFF_OVERVIEW": "IF_SAFER"}
        factors = [2**k for k in range(1, 12) if max(grid.shape) / 2 ** (k - 1) > 256]
        with rasterio.Env(**settings), rasterio.open(out, "r+") as dataset:
            dataset.build_overviews(factors, Resampling.average)
        for opened in (*terrain, *files, *bands):
            opened.close()


def make_inputs(folder: Path, size: int, suffix: str) -> None:
    """Write bands with the texture of land at 10 m and a hilly elevation model, the same every time."""
    (folder / "image").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    texture = fractal(rng, 2048)
    grid = Grid((size, size), Affine(10, 0, 399960, 0, -10, 5300040), UTM)
    for number, name in enumerate(BANDS):
        if not (folder / "image" / f"{name}.{suffix}").exists():
            write_band(folder / "image" / f"{name}.{suffix}", grid, np.roll(texture, 191 * number), rng)
    if not (folder / "slope.tif").exists():
        write_dem(folder, grid, texture)


def fractal(rng: np.random.Generator, edge: int) -> np.ndarray:
    """Periodic noise whose variance grows with wavelength, as land's does; mean 0, sd 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(edge), np.fft.fftfreq(edge)))
    frequency[0, 0] = np.inf
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((edge, edge))) * frequency**-1.3).real
    return (field / field.std()).astype(np.float32)


def write_band(path: Path, grid: Grid, texture: np.ndarray, rng: np.random.Generator) -> None:
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": 1024, "blockysize": 1024, "compress": "deflate"}
    profile |= {"predictor": 2, "height": grid.rows, "width": grid.cols, "count": 1, "dtype": "uint16", "nodata": 0}
    profile |= {"crs": grid.crs.to_wkt(), "transform": grid.transform}
    plain = path.with_suffix(".tif")
    with rasterio.open(plain, "w", **profile) as dataset:
        dataset.update_tags(BOA_ADD_OFFSET="-1000", QUANTIFICATION_VALUE="10000")
        for window in split_windows(grid.shape, (2048, 2048)):
            values = np.roll(texture, (window.row // 3, window.col // 5), (0, 1))[: window.rows, : window.cols]
            numbers = 1900 + 350 * values + rng.normal(0, 25, window.shape)
            dataset.write(np.clip(numbers, 1, 20000).astype(np.uint16), 1, window=rasterio_window(window))
    if path.suffix == ".jp2":
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
            rasterio.shutil.copy(
                plain, path, driver="JP2OpenJPEG", BLOCKXSIZE=1024, BLOCKYSIZE=1024, QUALITY=100, REVERSIBLE="YES"
            )
        plain.unlink()


def write_dem(folder: Path, grid: Grid, texture: np.ndarray) -> None:
    from landslip.terrain import slope

    bounds = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform_bounds(*grid.bounds, densify_pts=21)
    west, south, east, north = bounds
    step = 1 / 3600
    shape = (int((north - south) / step) + 20, int((east - west) / step) + 20)
    transform = Affine(step, 0, west - 10 * step, 0, -step, north + 10 * step)
    repeats = [-(-n // len(texture)) for n in shape]
    heights = scipy.ndimage.gaussian_filter(np.tile(texture, repeats)[: shape[0], : shape[1]], 2) * 300 + 800
    profile = {"driver": "GTiff", "tiled": True, "compress": "deflate", "count": 1, "dtype": "float32"}
    profile |= {"height": shape[0], "width": shape[1], "crs": "EPSG:4326", "transform": transform, "nodata": -9999}
    for name, pixels in (("dem.tif", heights), ("slope.tif", slope(heights, transform, CRS.from_epsg(4326)))):
        with rasterio.open(folder / name, "w", **profile) as dataset:
            dataset.write(pixels.astype(np.float32), 1)


if __name__ == "__main__":
    main()
