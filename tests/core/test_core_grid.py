from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from landslip.errors import CRSMismatchError, GridMismatchError, InputError, MissingInputError
from landslip.grid import Grid, read_crs
from landslip.rasters import RasterSpec, cog_writer, open_raster, read_window, write_block, write_raster
from landslip.windows import Window, split_windows

UTM = CRS.from_epsg(32654)


def test_bounds_snap_outwards_to_whole_pixels() -> None:
    grid = Grid.from_bounds((500003, 4100001, 500100, 4100200), 10, UTM)
    assert grid.bounds == (500000, 4100000, 500100, 4100200)
    assert grid.shape == (20, 10)
    assert grid.pixel_area_m2 == 100


def test_grid_survives_json() -> None:
    grid = Grid.from_bounds((0, 0, 70, 50), 10, UTM)
    assert Grid.from_dict(grid.to_dict()) == grid


def test_crop_keeps_pixels_in_place() -> None:
    grid = Grid((100, 80), Affine(10, 0, 500000, 0, -10, 4100000), UTM)
    assert grid.crop(Window(3, 7, 10, 20)).bounds == (500070, 4099870, 500270, 4099970)


def test_geographic_scene_is_refused() -> None:
    with pytest.raises(CRSMismatchError, match="not projected in metres"):
        Grid((2, 2), Affine(1, 0, 0, 0, -1, 0), CRS.from_epsg(4326)).require_metric()
    with pytest.raises(CRSMismatchError, match="not projected in metres"):
        Grid((2, 2), Affine(1, 0, 0, 0, -1, 0), CRS.from_epsg(2263)).require_metric()  # US feet
    Grid((2, 2), Affine(1, 0, 0, 0, -1, 0), UTM).require_metric()


@pytest.mark.parametrize("value", [None, "", "EPSG:nonsense"])
def test_crs_that_is_absent_or_not_understood(value: str | None) -> None:
    with pytest.raises(CRSMismatchError, match=r"dem\.tif"):
        read_crs(value, what="dem.tif")


def test_bounds_in_another_crs() -> None:
    grid = Grid.from_bounds((500000, 4100000, 501000, 4101000), 10, UTM)
    degrees = CRS.from_epsg(4326)
    assert grid.contains_bounds((140.9, 37.0, 141.1, 37.1), degrees)
    assert not grid.contains_bounds((140.9, -37.1, 141.1, -37.0), degrees)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20), st.integers(1, 20))
def test_windows_cover_every_pixel_once(rows: int, cols: int, height: int, width: int) -> None:
    count = np.zeros((rows, cols), int)
    for window in split_windows((rows, cols), (height, width)):
        count[window.slices] += 1
    assert (count == 1).all()


def test_window_arithmetic() -> None:
    window = Window(5, 6, 10, 12)
    assert window.expanded(8, (100, 20)) == Window(0, 0, 23, 20)
    assert window.intersection(Window(0, 0, 6, 7)) == Window(5, 6, 1, 1)
    assert window.intersection(Window(50, 50, 5, 5)).empty
    assert window.relative_to(Window(2, 3, 40, 40)) == Window(3, 3, 10, 12)


def spec(grid: Grid) -> RasterSpec:
    return RasterSpec(grid, "float32", ("red", "slope"), float("nan"), {"MODEL": "unet"})


def test_raster_round_trip_by_window(tmp_path: Path) -> None:
    grid = Grid((700, 600), Affine(10, 0, 500000, 0, -10, 4100000), UTM)
    pixels = np.random.default_rng(0).standard_normal((2, 700, 600)).astype(np.float32)
    pixels[:, 3, 4] = np.nan
    with cog_writer(tmp_path / "a.tif", spec(grid)) as dataset:
        for window in split_windows(grid.shape, (512, 512)):
            write_block(dataset, pixels[:, *window.slices], window)
    write_raster(tmp_path / "b.tif", pixels, spec(grid))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with open_raster(tmp_path / "a.tif") as dataset:
        assert Grid.of_raster(dataset) == grid
        assert dataset.descriptions == ("red", "slope")
        assert dataset.tags()["MODEL"] == "unet"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1)
        window = Window(1, 2, 9, 8)
        np.testing.assert_array_equal(read_window(dataset, window, [2])[0], pixels[1][window.slices])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_failed_write_leaves_no_file(tmp_path: Path) -> None:
    grid = Grid((10, 10), Affine(10, 0, 0, 0, -10, 0), UTM)
    with pytest.raises(RuntimeError), cog_writer(tmp_path / "a.tif", spec(grid)):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_raster_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no such file \(DEM\)"), open_raster(tmp_path / "x.tif", what="DEM"):
        pass
    (tmp_path / "x.tif").write_text("no raster")
    with pytest.raises(InputError, match="not a readable raster"), open_raster(tmp_path / "x.tif"):
        pass


def test_truncated_raster(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 64, "width": 64, "count": 1, "dtype": "uint16", "crs": UTM.to_wkt()}
    with rasterio.open(tmp_path / "a.tif", "w", transform=Affine(10, 0, 0, 0, -10, 0), **profile) as dataset:
        dataset.write(np.ones((1, 64, 64), np.uint16))
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:-4000])
    with pytest.raises(InputError, match=r"truncated or damaged|not a readable"), open_raster(tmp_path / "a.tif") as d:
        read_window(d)


def test_rotated_raster_is_refused(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": "uint8", "crs": UTM.to_wkt()}
    with rasterio.open(tmp_path / "a.tif", "w", transform=Affine(10, 1, 0, 0, -10, 0), **profile) as dataset:
        dataset.write(np.ones((1, 4, 4), np.uint8))
    with open_raster(tmp_path / "a.tif") as dataset, pytest.raises(GridMismatchError, match="rotated"):
        Grid.of_raster(dataset)
