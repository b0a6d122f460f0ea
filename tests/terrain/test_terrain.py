"""Slope against known surfaces, against GDAL, and its rules at edges, voids and units."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip import terrain
from landslip.errors import ConfigError, CRSMismatchError, GridMismatchError, InputError, LandslipError
from landslip.windows import Window

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "terrain"
real = pytest.mark.real
UTM = 32654
METRES = Affine(30, 0, 500_000, 0, -30, 4_730_000)
EARTH_M = 6_378_137.0


def needs(name: str) -> Path:
    if not (DATA / name).is_file():
        pytest.skip(f"real data absent: ../shared/data/terrain/{name}")
    return DATA / name


def axes(shape: tuple[int, int], transform: Affine) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.indices(shape)
    return transform.c + (cols + 0.5) * transform.a, transform.f + (rows + 0.5) * transform.e


def hill(east_m: np.ndarray, north_m: np.ndarray, height: float = 500.0, width: float = 1000.0):
    """A Gaussian hill and its slope in degrees."""
    z = height * np.exp(-(east_m**2 + north_m**2) / (2 * width**2))
    return z, np.degrees(np.arctan(z * np.hypot(east_m, north_m) / width**2))


def degrees_grid(latitude: float, shape: tuple[int, int], cell: float = 1 / 3600):
    """A grid in degrees, with metres east and north of its centre by series on the GRS 80 ellipsoid."""
    transform = Affine(cell, 0, 141.0, 0, -cell, latitude)
    lon, lat = axes(shape, transform)
    lon0, lat0 = lon.mean(), lat.mean()
    e2 = 0.00669438
    # arc lengths by summing small pieces: an independent way to the same ellipsoid
    pieces = np.radians(lat0 + (lat - lat0)[..., None] * np.linspace(0, 1, 41))
    meridian = EARTH_M * (1 - e2) / (1 - e2 * np.sin(pieces) ** 2) ** 1.5
    north = np.trapezoid(meridian, dx=1 / 40, axis=-1) * np.radians(lat - lat0)
    phi = np.radians(lat)
    east = np.radians(lon - lon0) * EARTH_M * np.cos(phi) / np.sqrt(1 - e2 * np.sin(phi) ** 2)
    return transform, east, north


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-1.5, 1.5),
    st.floats(-1.5, 1.5),
    st.floats(-1000, 8000),
    st.integers(3, 12),
    st.integers(3, 12),
)
def test_a_plane_has_its_slope_everywhere_the_border_included(gx, gy, z0, rows, cols):
    east, north = axes((rows, cols), METRES)
    z = z0 + gx * (east - 500_000) + gy * (north - 4_730_000)
    expected = np.degrees(np.arctan(np.hypot(gx, gy)))
    np.testing.assert_allclose(terrain.slope(z, METRES, UTM), expected, atol=2e-3)


def test_a_plane_keeps_its_slope_around_voids():
    east, north = axes((40, 50), METRES)
    z = 0.3 * (east - 500_000) - 0.4 * (north - 4_730_000)
    holes = np.random.default_rng(3).random(z.shape) < 0.3
    z[holes] = np.nan
    slope = terrain.slope(z, METRES, UTM)
    assert np.isnan(slope[holes]).all()
    known = slope[~np.isnan(slope)]
    np.testing.assert_allclose(known, np.degrees(np.arctan(0.5)), atol=1e-4)
    assert known.size > 0.95 * (~holes).sum()


def test_a_cell_without_neighbours_has_no_slope():
    z = np.full((5, 5), np.nan)
    z[2, 2] = 10.0
    assert np.isnan(terrain.slope(z, METRES, UTM)).all()
    z[2, 3] = 11.0  # a neighbour to the right only: nothing is known of the other direction
    assert np.isnan(terrain.slope(z, METRES, UTM)).all()


@pytest.mark.parametrize("latitude", [0.05, 42.7, -38.2, 63.0, 78.0])
def test_a_smooth_hill_in_degrees_is_right_to_half_a_degree(latitude):
    transform, east, north = degrees_grid(latitude, (220, 260))
    z, expected = hill(east, north)
    slope = terrain.slope(z, transform, 4326)
    assert expected.max() > 16
    assert np.abs(slope - expected).max() < 0.5


def test_a_smooth_hill_in_metres_is_right_to_half_a_degree():
    east, north = axes((200, 200), METRES)
    z, expected = hill(east - east.mean(), north - north.mean())
    assert np.abs(terrain.slope(z, METRES, UTM) - expected).max() < 0.5


@pytest.mark.parametrize("latitude", [0.05, 42.7, 63.0])
def test_a_plane_in_degrees_is_right(latitude):
    transform, east, north = degrees_grid(latitude, (60, 80))
    slope = terrain.slope(0.5 * east + 0.2 * north, transform, 4326)
    # metres east shrink towards the pole, so the surface is a plane only to second order
    assert np.abs(slope - np.degrees(np.arctan(np.hypot(0.5, 0.2)))).max() < 0.5


def test_web_mercator_is_measured_on_the_ground():
    latitude = np.radians(60.0)
    y = EARTH_M * np.log(np.tan(np.pi / 4 + latitude / 2))
    transform = Affine(40, 0, 0, 0, -40, y)
    east, _ = axes((50, 60), transform)
    stretch = 1 / np.cos(latitude)  # of a sphere; the ellipsoid's differs by at most 0.7 %
    slope = terrain.slope(0.3 * east, transform, 3857)
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.3 * stretch)), atol=0.3)
    assert not terrain.Ground.of(transform, 3857, (50, 60)).plain


def test_a_sheared_projection_is_measured_on_the_ground():
    # sinusoidal, 60° off its central meridian at 50° N: parallels and meridians meet askew
    crs = "+proj=sinu +lon_0=0 +ellps=GRS80 +units=m"
    ground_crs = "+proj=aeqd +lat_0=50 +lon_0=60 +ellps=GRS80 +units=m"
    from pyproj import Transformer

    x0, y0 = Transformer.from_crs("+proj=longlat +ellps=GRS80", crs, always_xy=True).transform(60.0, 50.0)
    transform = Affine(50, 0, x0 - 1500, 0, -50, y0 + 1500)
    x, y = axes((60, 60), transform)
    east, north = Transformer.from_crs(crs, ground_crs, always_xy=True).transform(x, y)
    gx, gy = terrain.gradient(0.3 * np.asarray(east) + 0.1 * np.asarray(north), transform, crs)
    np.testing.assert_allclose(gx, 0.3, atol=2e-3)
    np.testing.assert_allclose(gy, 0.1, atol=2e-3)


def test_spacing_does_not_depend_on_the_window():
    for crs, transform in ((4326, Affine(1e-3, 0, 10, 0, -1e-3, 47)), (3857, Affine(40, 0, 1e6, 0, -40, 8e6))):
        ground = terrain.Ground.of(transform, crs, (300, 400))
        whole, part = ground.steps(Window(0, 0, 300, 400)), ground.steps(Window(70, 90, 50, 60))
        for name in ("col_east", "row_north"):
            full = np.broadcast_to(getattr(whole, name), (300, 400))[70:120, 90:150]
            np.testing.assert_allclose(np.broadcast_to(getattr(part, name), (50, 60)), full, rtol=1e-12)


def test_units():
    east, north = axes((10, 10), METRES)
    z = 0.2 * (east - 500_000) + 0.1 * (north - 4_730_000)
    in_metres = terrain.slope(z, METRES, UTM)
    np.testing.assert_allclose(terrain.slope(z / 0.3048, METRES, UTM, z_unit="ft"), in_metres, atol=1e-4)
    feet = 0.3048006096012192  # EPSG:2263, New York Long Island in US survey feet
    grid = Affine(100, 0, 1_000_000, 0, -100, 200_000)
    east_ft, _ = axes((10, 10), grid)
    slope = terrain.slope(0.5 * (east_ft - 1_000_000) * feet, grid, 2263)
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.5)), atol=1e-3)


def test_integers_and_masks_are_taken():
    east, _ = axes((8, 9), METRES)
    z = (east - 500_000).astype(np.int16)
    np.testing.assert_allclose(terrain.slope(z, METRES, UTM), 45, atol=1e-4)
    masked = np.ma.masked_equal(z, z[0, 0])
    assert np.isnan(terrain.slope(masked, METRES, UTM)[0, 0])


def test_south_up_grids_turn_the_aspect_and_not_the_slope():
    east, north = axes((20, 20), METRES)
    z = 0.3 * east + 0.4 * north
    flipped = Affine(30, 0, 500_000, 0, 30, 4_730_000 - 600)
    _, up = terrain.gradient(z, METRES, UTM)
    _, down = terrain.gradient(z[::-1], flipped, UTM)
    np.testing.assert_allclose(down[::-1], up, atol=1e-9)


def test_aspect_points_downhill_and_is_nothing_on_the_flat():
    east, north = axes((9, 9), METRES)
    sine, cosine = terrain.aspect_of(*terrain.gradient(-0.5 * east, METRES, UTM))  # falls towards the east
    np.testing.assert_allclose(sine, 1, atol=1e-6)
    np.testing.assert_allclose(cosine, 0, atol=1e-6)
    sine, cosine = terrain.aspect_of(*terrain.gradient(0.5 * north, METRES, UTM))  # falls towards the south
    np.testing.assert_allclose(cosine, -1, atol=1e-6)
    sine, cosine = terrain.aspect_of(*terrain.gradient(np.zeros((4, 4)), METRES, UTM))
    assert not sine.any()
    assert not cosine.any()


def test_curvature_of_a_paraboloid_is_known_everywhere():
    east, north = axes((30, 30), METRES)
    x, y = east - east.mean(), north - north.mean()
    z = -(x**2) / 2 / 500 - y**2 / 2 / 2000  # a dome: radii 500 m and 2000 m
    ground = terrain.Ground.of(METRES, UTM, z.shape)
    curvature = terrain.curvature_on(z, ground.steps(Window(0, 0, 30, 30)))
    np.testing.assert_allclose(curvature, 1000 / 500 + 1000 / 2000, rtol=1e-4)


def test_local_relief_is_the_range_within_the_radius_and_skips_voids():
    z = np.arange(100.0).reshape(10, 10)
    z[4, 4] = np.nan
    z[0, 0] = 5000.0
    relief = terrain.local_relief(z, (1, 2))
    assert relief[5, 5] == (67 - 43)
    assert np.isnan(relief[4, 4])
    assert relief[1, 1] == 5000 - 1


def test_hillshade_is_bright_towards_the_sun_and_never_negative():
    east, _ = axes((9, 9), METRES)
    z = 2.0 * (east - 500_000)  # faces west
    west = terrain.hillshade_of(*terrain.gradient(z, METRES, UTM), sun_azimuth_deg=270, sun_elevation_deg=30)
    away = terrain.hillshade_of(*terrain.gradient(z, METRES, UTM), sun_azimuth_deg=90, sun_elevation_deg=30)
    np.testing.assert_allclose(west, np.cos(np.arctan(2.0) - np.radians(60)), atol=1e-5)
    assert (away == 0).all()


@pytest.mark.parametrize(
    ("dem", "transform", "crs", "options", "kind", "says"),
    [
        (np.zeros((1, 5)), METRES, UTM, {}, InputError, "at least 2 x 2"),
        (np.zeros((3, 4, 5)), METRES, UTM, {}, InputError, "shape"),
        (np.zeros((5, 5)), Affine(30, 5, 0, 5, -30, 0), UTM, {}, GridMismatchError, "rotated"),
        (np.zeros((5, 5)), METRES, None, {}, CRSMismatchError, "no coordinate reference system"),
        (np.zeros((5, 5)), METRES, 4326, {}, CRSMismatchError, "latitudes beyond 90"),
        (np.zeros((5, 5)), METRES, UTM, {"z_unit": "yd"}, ConfigError, "'yd' is not known"),
    ],
)
def test_what_is_no_elevation_grid_is_refused_in_one_line(dem, transform, crs, options, kind, says):
    with pytest.raises(kind, match=says) as caught:
        terrain.slope(dem, transform, crs, **options)
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)


def gdal_slope(path: Path, out: Path, *options: str) -> np.ndarray:
    program = shutil.which("gdaldem")
    if program is None:
        pytest.skip("gdaldem absent: install Debian's gdal-bin")
    subprocess.run([program, "slope", "-alg", "Horn", "-q", *options, str(path), str(out)], check=True)
    with rasterio.open(out) as dataset:
        return dataset.read(1, masked=True).filled(np.nan)


def test_equals_gdal_on_a_made_model(tmp_path):
    rng = np.random.default_rng(11)
    z = np.cumsum(np.cumsum(rng.normal(size=(90, 110)), 0), 1).astype(np.float32)
    path = tmp_path / "dem.tif"
    profile = {"driver": "GTiff", "height": 90, "width": 110, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32654", transform=METRES) as dataset:
        dataset.write(z, 1)
    theirs = gdal_slope(path, tmp_path / "slope.tif")[1:-1, 1:-1]
    ours = terrain.slope(z, METRES, UTM)[1:-1, 1:-1]
    assert np.nanmax(theirs) > 10
    assert np.abs(ours - theirs).max() < 1e-3


@real
def test_equals_gdal_on_real_terrain(tmp_path):
    path = needs("ta.tif")
    with rasterio.open(path) as dataset:
        z, transform, crs = dataset.read(4), dataset.transform, dataset.crs
    theirs = gdal_slope(path, tmp_path / "slope.tif", "-b", "4")
    ours = terrain.slope(z, transform, crs)
    whole = np.isfinite(theirs)  # GDAL gives nothing at borders and beside voids
    assert whole.sum() > 100_000
    assert np.abs(ours - theirs)[whole].max() < 1e-3
    assert np.isnan(ours[np.isnan(z)]).all()


@real
def test_real_terrain_in_degrees_equals_its_copy_in_metres(tmp_path):
    with rasterio.open(needs("glo30_N34W119_512.tif")) as dataset:
        z, transform, crs = dataset.read(1), dataset.transform, dataset.crs
    slope = terrain.slope(z, transform, crs)
    # gdaldem knows one scale for both directions; with x and y scales of the middle row it must agree
    program = shutil.which("gdaldem")
    if program is None:
        pytest.skip("gdaldem absent: install Debian's gdal-bin")
    height, width = terrain.Ground.of(transform, crs, z.shape).cell_size_m()
    copy = tmp_path / "metres.tif"
    profile = {"driver": "GTiff", "height": z.shape[0], "width": z.shape[1], "count": 1, "dtype": "float32"}
    with rasterio.open(copy, "w", **profile, crs="EPSG:32611", transform=Affine(width, 0, 0, 0, -height, 0)) as out:
        out.write(z, 1)
    theirs = gdal_slope(copy, tmp_path / "slope.tif")
    middle = slice(200, 312), slice(1, -1)
    assert np.abs(slope - theirs)[middle].max() < 0.03
    assert 10 < slope.mean() < 20
