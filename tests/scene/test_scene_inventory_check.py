"""Offset of an inventory against the image, bare ground before the event."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy import ndimage

from landslip.grid import Grid
from landslip.rasters import RasterSpec, write_raster
from landslip.scene.inventory import rasterise, read_inventory
from landslip.scene.inventory.bare import bare_before
from landslip.scene.inventory.check import check_inventory
from landslip.scene.inventory.offset import InventoryOffset, estimate_offset

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "iburi"
X, Y = 500_000.0, 4_730_000.0
GRID = Grid((600, 700), Affine(10, 0, X, 0, -10, Y), CRS.from_epsg(32654))


def slides(path: Path, *, east: float = 0.0, north: float = 0.0, count: int = 60):
    rng = np.random.default_rng(4)
    centres = np.c_[X + 300 + rng.random(count) * 6400, Y - 300 - rng.random(count) * 5400]
    sizes = 25 + 60 * rng.random((count, 2))
    shapes = [shapely.box(x - a, y - b, x + a, y + b) for (x, y), (a, b) in zip(centres, sizes, strict=True)]
    frame = geopandas.GeoDataFrame(geometry=shapes, crs=GRID.crs)
    frame.geometry = frame.translate(east, north)
    frame.to_file(path)
    return read_inventory(path, GRID)


def image_of(inventory, *, contrast: float, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    """An image in which the landslides show, blurred as a sensor blurs, on uneven ground."""
    rng = np.random.default_rng(seed)
    ground = ndimage.gaussian_filter(rng.normal(size=GRID.shape), 25) * 0.8
    mask = ndimage.gaussian_filter((rasterise(inventory, GRID)[0] == 1).astype(float), 0.7)
    return (0.15 + ground + contrast * mask + rng.normal(0, noise, GRID.shape)).astype("float32")


@pytest.mark.parametrize(("east", "north"), [(0.0, 0.0), (30.0, -20.0), (-47.0, 64.0), (7.0, 3.0)])
@pytest.mark.parametrize("contrast", [0.08, -0.05])
def test_the_offset_is_found_to_a_fraction_of_a_pixel(tmp_path, east, north, contrast):
    image = image_of(slides(tmp_path / "true.gpkg"), contrast=contrast)
    image[100:130] = np.nan
    moved = slides(tmp_path / "moved.gpkg", east=east, north=north)
    offset = estimate_offset(moved, lambda window: image[window.slices])
    assert offset is not None
    assert offset.reliable
    assert offset.east_m == pytest.approx(east, abs=2.5)
    assert offset.north_m == pytest.approx(north, abs=2.5)
    assert np.sign(offset.correlation) == np.sign(contrast)
    assert abs(offset.correlation) >= abs(offset.correlation_in_place)


@pytest.mark.parametrize(
    ("east", "north", "words"), [(14.4, -8.4, "14.4 m east and 8.4 m south"), (-3.0, 2.0, "3.0 m west and 2.0 m north")]
)
def test_an_offset_is_told_by_the_points_of_the_compass(east, north, words):
    offset = InventoryOffset(east, north, 0.6, 0.5, spread_m=1.0, places=9)
    assert f"the inventory lies {words} of what the image shows" in offset.words


def test_an_image_without_the_landslides_tells_nothing(tmp_path):
    inventory = slides(tmp_path / "i.gpkg")
    image = image_of(inventory, contrast=0.0)
    offset = estimate_offset(inventory, lambda window: image[window.slices])
    assert offset is not None
    assert not offset.reliable
    assert "cannot be told" in offset.words
    nothing = np.full(GRID.shape, np.nan, np.float32)
    assert estimate_offset(inventory, lambda window: nothing[window.slices]) is None


def test_bare_ground_is_flagged_under_the_right_landslides(tmp_path):
    inventory = slides(tmp_path / "i.gpkg")
    ids = rasterise(inventory, GRID)[1]
    index = np.full(GRID.shape, 0.7, np.float32)
    old = [3, 17, 40]
    index[np.isin(ids, old)] = 0.1
    half = np.flatnonzero(ids.ravel() == 25)
    index.ravel()[half[: int(0.4 * half.size)]] = 0.1  # not half of it
    index.ravel()[np.flatnonzero(ids.ravel() == 9)] = np.nan
    found = bare_before(inventory, lambda window: index[window.slices], index="ndvi")
    assert (np.flatnonzero(found.flagged) + 1).tolist() == old
    assert np.isnan(found.share[8])
    assert found.telling
    assert found.to_dict()["flagged"] == 3
    assert found.to_dict()["not_seen"] == 1
    assert "3 of 60 landslides lay on ground that was bare" in found.words


def test_in_winter_the_flag_says_nothing(tmp_path):
    inventory = slides(tmp_path / "i.gpkg")
    found = bare_before(inventory, lambda window: np.full(window.shape, -0.1, np.float32), index="ngrdi")
    assert not found.telling
    assert "cannot be told from this image" in found.words


def test_a_scene_is_checked_with_what_it_has(tmp_path):
    true = slides(tmp_path / "true.gpkg")
    moved = slides(tmp_path / "moved.gpkg", east=40.0)
    image = image_of(true, contrast=0.08)
    green = np.full(GRID.shape, 0.1, np.float32)
    layers = ("green", "red", "pre_green", "pre_red")
    write_raster(
        tmp_path / "bands.tif",
        np.stack([image, image, green, green * 0.6]),
        RasterSpec(GRID, "float32", layers, nodata=float("nan")),
    )
    check = check_inventory(moved, tmp_path / "bands.tif", layers)
    assert check.content["offset"]["east_m"] == pytest.approx(40, abs=2.5)
    assert check.content["bare_before"]["index"] == "ngrdi"
    assert check.content["bare_before"]["flagged"] == 0
    assert len(check.remarks) == 1
    assert "move it, or the labels are wrong" in check.remarks[0]
    assert (check.inventory.frame["pre_bare"] == 0).all()
    without = check_inventory(true, tmp_path / "bands.tif", ("green", "red", "other", "another"))
    assert without.bare is None
    assert without.remarks == ()
    assert "pre_bare" not in without.inventory.frame


@pytest.mark.real
def test_the_real_inventory_lies_where_the_image_shows_it(tmp_path):
    if not DATA.is_dir():
        pytest.skip("real data absent: ../shared/data/iburi")
    grid = Grid.from_bounds((572_900, 4_726_200, 584_300, 4_736_100), 10, CRS.from_epsg(32654))
    with (
        rasterio.open(DATA / "post" / "B4.tif") as dataset,
        WarpedVRT(
            dataset,
            crs=grid.crs.to_wkt(),
            transform=grid.transform,
            width=grid.cols,
            height=grid.rows,
            resampling=Resampling.bilinear,
            src_nodata=0,
            nodata=np.nan,
            dtype="float32",
        ) as vrt,
    ):
        red = vrt.read(1)
    here = estimate_offset(read_inventory(DATA / "inventory.gpkg", grid), lambda window: red[window.slices])
    assert here is not None
    assert here.reliable
    assert np.hypot(here.east_m, here.north_m) < 5  # its labels are about a pixel uncertain
    frame = geopandas.read_file(DATA / "inventory.gpkg").to_crs(grid.crs)
    frame.geometry = frame.translate(23, -37)
    frame.to_file(tmp_path / "moved.gpkg")
    there = estimate_offset(read_inventory(tmp_path / "moved.gpkg", grid), lambda window: red[window.slices])
    assert there is not None
    assert there.east_m - here.east_m == pytest.approx(23, abs=2)
    assert there.north_m - here.north_m == pytest.approx(-37, abs=2)
