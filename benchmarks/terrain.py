"""Figures of docs/terrain.md: agreement with GDAL, the rule at edges, the order of Horn and interpolation.

Run from the repository: ``python benchmarks/terrain.py`` (needs ../shared/data and gdaldem).
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS

from landslip import terrain
from landslip.grid import Grid
from landslip.scene.elevation import open_elevation
from landslip.terrain import differences, measures
from landslip.windows import split_windows

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
MODELS = (
    ("GLO-30, Transverse Ranges", DATA / "terrain" / "glo30_N34W119_512.tif", 1),
    ("10 m, Andes", DATA / "terrain" / "ta.tif", 4),
    ("DSM of Iburi", DATA / "iburi" / "DSM.tif", 1),
)


def gdal() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = DATA / "terrain" / "ta.tif", Path(folder) / "slope.tif"
        subprocess.run(["gdaldem", "slope", "-b", "4", "-alg", "Horn", "-q", path, out], check=True)
        with rasterio.open(path) as dataset, rasterio.open(out) as theirs:
            slope = terrain.slope(dataset.read(4), dataset.transform, dataset.crs)
            reference = theirs.read(1, masked=True).filled(np.nan)
    whole = np.isfinite(reference)
    print(f"gdaldem, {whole.sum()} cells: largest difference {np.abs(slope - reference)[whole].max():.5f} degrees")


def quadratic_difference(heights, axis):
    """One-sided differences of second order where a neighbour is missing: the rule that was not taken."""
    before2, before, here, after, after2 = differences.shifted(heights, axis, 2)
    rise = (after - before) / 2
    for other in (
        (-3 * here + 4 * after - after2) / 2,
        (3 * here - 4 * before + before2) / 2,
        after - here,
        here - before,
    ):
        rise = np.where(np.isnan(rise), other, rise)
    return rise


def edges() -> None:
    """Cut real models through the middle and compare the slope at the cut with that of the whole."""
    linear = measures.difference
    for name, path, band in MODELS:
        with rasterio.open(path) as dataset:
            z = dataset.read(band).astype(float)
            ground = terrain.Ground.of(dataset.transform, dataset.crs, z.shape)
        height, width = ground.cell_size_m()
        transform = Affine(width, 0, 0, 0, -height, 0)
        whole = terrain.slope(z, transform, 32611)
        for rule, difference in (("first order", linear), ("second order", quadratic_difference)):
            measures.difference = difference
            errors = [
                (terrain.slope(z[row : row + 8], transform, 32611)[0] - whole[row])[5:-5]
                for row in range(20, z.shape[0] - 20, 5)
            ]
            measures.difference = linear
            error = np.concatenate(errors)
            error = error[np.isfinite(error)]
            print(f"edge of {name}, {rule}: RMSE {np.sqrt(np.mean(error**2)):.2f}, bias {error.mean():+.2f} degrees")


def order(roughness: float) -> None:
    """Terrain at 30 m brought to 10 m: Horn first, or interpolation first. Rougher: shorter waves."""
    grid = Grid((900, 900), Affine(10, 0, 500_000, 0, -10, 4_730_000), CRS.from_epsg(32654))

    def surface(x, y):
        u, v = (x - 500_000) / 1000 * roughness, (y - 4_730_000) / 1000 * roughness
        waves = 120 * np.sin(2.1 * u + 0.4) * np.cos(1.7 * v) + 60 * np.sin(3.0 * v - 1.1 * u)
        return 400 + waves / roughness

    def at(transform, shape):
        rows, cols = np.indices(shape) + 0.5
        return transform * (cols, rows)

    coarse = Affine(30, 0, 499_700, 0, -30, 4_730_300)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dem.tif"
        profile = {"driver": "GTiff", "height": 322, "width": 322, "count": 1, "dtype": "float32", "crs": "EPSG:32654"}
        with rasterio.open(path, "w", **profile, transform=coarse) as dataset:
            dataset.write(surface(*at(coarse, (322, 322))).astype("float32"), 1)
        got = open_elevation(path, grid).read(grid.window)
    x, y = at(grid.transform, grid.shape)
    gx, gy = (surface(x + 0.5, y) - surface(x - 0.5, y)), (surface(x, y + 0.5) - surface(x, y - 0.5))
    truth = np.degrees(np.arctan(np.hypot(gx, gy)))
    facets = terrain.slope(got["elevation"], grid.transform, grid.crs)
    for name, slope in (("Horn, then bilinear", got["slope"]), ("bilinear, then Horn", facets)):
        rmse = np.sqrt(np.mean((slope - truth)[2:-2, 2:-2] ** 2))
        wave = 2 * np.pi / 3.2 / roughness * 1000
        print(f"30 -> 10 m, shortest wave {wave:.0f} m, {name}: RMSE {rmse:.3f} degrees")


def granule() -> None:
    """Elevation and slope for a whole granule of 10,980 x 10,980 pixels from 30 m cells in degrees."""
    grid = Grid((10_980, 10_980), Affine(10, 0, 600_000, 0, -10, 4_800_000), CRS.from_epsg(32654))
    cell = 1 / 3600
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dem.tif"
        rows, cols = 4400, 5400
        z = (500 + 200 * np.sin(np.arange(cols) / 50) + 0.1 * np.arange(rows)[:, None]).astype("float32")
        profile = {"driver": "GTiff", "height": rows, "width": cols, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
        profile |= {"tiled": True, "compress": "deflate", "transform": Affine(cell, 0, 142.1, 0, -cell, 43.4)}
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(z, 1)
        start = time.process_time()
        elevation = open_elevation(path, grid)
        opened = time.process_time()
        for window in split_windows(grid.shape, (2048, 2048)):
            elevation.read(window)
    print(
        f"granule: {opened - start:.1f} s to open and check, {time.process_time() - opened:.1f} s to read (processor)"
    )


if __name__ == "__main__":
    gdal()
    edges()
    order(1.0)
    order(3.0)
    order(6.0)
    granule()
