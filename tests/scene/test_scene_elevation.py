"""Elevation on the scene grid: any CRS, tiles, voids, units, coverage; the same pixels for any window."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS, Transformer

from landslip import terrain
from landslip.errors import (
    ConfigError,
    CoverageError,
    CRSMismatchError,
    GridMismatchError,
    InputError,
    LandslipError,
    MissingInputError,
)
from landslip.grid import Grid
from landslip.scene.elevation import ElevationConfig, open_elevation
from landslip.scene.elevation.fill import fill_voids
from landslip.windows import Window, split_windows

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
UTM = CRS.from_epsg(32654)
X, Y = 500_000.0, 4_730_000.0
SCENE = Grid((300, 280), Affine(10, 0, X, 0, -10, Y), UTM)
EVERYTHING = ("aspect_sin", "aspect_cos", "curvature", "relief", "hillshade", "illumination")


def write_dem(path: Path, z, transform, crs, **options) -> Path:
    z = np.asarray(z)
    profile = {"driver": "GTiff", "height": z.shape[-2], "width": z.shape[-1], "count": 1, "dtype": str(z.dtype)}
    profile |= {"transform": transform, "crs": crs} | {k: v for k, v in options.items() if k in ("nodata", "count")}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(z if z.ndim == 3 else z[None])
        for index, name in enumerate(options.get("names", ()), start=1):
            dataset.set_band_description(index, name)
        if "units" in options:
            dataset.units = [options["units"]]
        if "scale" in options:
            dataset.scales, dataset.offsets = [options["scale"]], [options["offset"]]
    return path


def surface(x, y):
    """Hills of a few hundred metres, in scene coordinates; smooth at 30 m."""
    u, v = (np.asarray(x) - X) / 1000, (np.asarray(y) - Y) / 1000
    return 400 + 120 * np.sin(2.1 * u + 0.4) * np.cos(1.7 * v) + 60 * np.sin(3.0 * v - 1.1 * u)


def surface_slope(grid: Grid):
    rows, cols = np.indices(grid.shape) + 0.5
    x, y = grid.transform * (cols, rows)
    d = 0.5
    gx = (surface(x + d, y) - surface(x - d, y)) / (2 * d)
    gy = (surface(x, y + d) - surface(x, y - d)) / (2 * d)
    return gx, gy, np.degrees(np.arctan(np.hypot(gx, gy)))


def dem_over(path: Path, crs, cell: float, *, margin_m: float = 400, extent=None, dtype="float32", **options) -> Path:
    """A model of :func:`surface` in any CRS that covers the scene with a margin."""
    crs = CRS.from_user_input(crs)
    to = Transformer.from_crs(UTM, crs, always_xy=True)
    west, south, east, north = SCENE.bounds
    box = (west - margin_m, south - margin_m, east + margin_m, north + margin_m)
    left, bottom, right, top = extent or to.transform_bounds(*box, densify_pts=21)
    rows, cols = math.ceil((top - bottom) / cell), math.ceil((right - left) / cell)
    transform = Affine(cell, 0, left, 0, -cell, top)
    r, c = np.indices((rows, cols)) + 0.5
    x, y = to.transform(*(transform * (c, r)), direction="INVERSE")
    return write_dem(path, surface(x, y).astype(dtype), transform, crs.to_wkt(), **options)


@pytest.mark.parametrize(
    ("crs", "cell"),
    [("EPSG:4326", 1 / 3600), ("EPSG:32654", 30.0), ("EPSG:32653", 25.0), ("EPSG:3857", 30.0), ("EPSG:4269", 1 / 3600)],
)
def test_slope_is_right_from_a_model_in_any_crs(tmp_path, crs, cell):
    elevation = open_elevation(dem_over(tmp_path / "dem.tif", crs, cell), SCENE)
    got = elevation.read(SCENE.window)
    _, _, slope = surface_slope(SCENE)
    assert slope.max() > 15
    assert np.sqrt(np.mean((got["slope"] - slope) ** 2)) < 0.2
    assert np.abs(got["slope"] - slope).max() < 0.8  # at summits, where slope has a corner that cells round off
    rows, cols = np.indices(SCENE.shape) + 0.5
    assert np.abs(got["elevation"] - surface(*(SCENE.transform * (cols, rows)))).max() < 0.6
    assert elevation.coverage == 1.0


def test_horn_before_interpolation_beats_the_other_order(tmp_path):
    path = dem_over(tmp_path / "dem.tif", UTM, 30.0)
    got = open_elevation(path, SCENE).read(SCENE.window)
    facets = terrain.slope(got["elevation"], SCENE.transform, SCENE.crs)
    _, _, slope = surface_slope(SCENE)
    rmse = [float(np.sqrt(np.mean((s - slope)[2:-2, 2:-2] ** 2))) for s in (got["slope"], facets)]
    assert rmse[0] < 0.8 * rmse[1]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32653", "EPSG:3857"])
def test_aspect_counts_along_the_scene_whatever_the_models_north(tmp_path, crs):
    # 2.6 degrees of convergence between the zones: left out, it would show
    path = dem_over(tmp_path / "dem.tif", crs, 1 / 3600 if crs == "EPSG:4326" else 30.0)
    got = open_elevation(path, SCENE, ElevationConfig(layers=("aspect_sin", "aspect_cos"))).read(SCENE.window)
    gx, gy, slope = surface_slope(SCENE)
    steep = slope > 8
    turn = np.degrees(np.arctan2(got["aspect_sin"], got["aspect_cos"])[steep] - np.arctan2(-gx[steep], -gy[steep]))
    turn = (turn + 180) % 360 - 180
    assert np.abs(np.mean(turn)) < 0.3
    assert np.abs(turn).max() < 4


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32653"])
def test_pixels_do_not_depend_on_the_window(tmp_path, crs):
    path = dem_over(tmp_path / "dem.tif", crs, 1 / 3600 if crs == "EPSG:4326" else 30.0)
    with rasterio.open(path, "r+") as dataset:  # with voids, so that filling crosses windows too
        z = dataset.read(1)
        z[np.random.default_rng(1).random(z.shape) < 0.2] = -9999
        dataset.nodata = -9999
        dataset.write(z, 1)
    config = ElevationConfig(layers=EVERYTHING, fill_voids_m=90, relief_radius_m=150)
    elevation = open_elevation(path, SCENE, config)
    whole = elevation.read(SCENE.window)
    assert np.isnan(whole["slope"]).sum() < 0.02 * whole["slope"].size
    for window in split_windows(SCENE.shape, (97, 61)):
        part = elevation.read(window)
        for name, pixels in part.items():
            np.testing.assert_array_equal(pixels, whole[name][window.slices], err_msg=name)


def test_tiles_are_seamless_whatever_their_order(tmp_path):
    whole = dem_over(tmp_path / "whole.tif", "EPSG:4326", 1 / 3600)
    with rasterio.open(whole) as dataset:
        z, transform = dataset.read(1), dataset.transform
    tiles = []
    for window in split_windows(z.shape, (50, 60)):
        corner = transform * Affine.translation(window.col, window.row)
        tiles.append(write_dem(tmp_path / f"t{len(tiles)}.tif", z[window.slices], corner, "EPSG:4326"))
    config = ElevationConfig(layers=EVERYTHING)
    one = open_elevation(whole, SCENE, config).read(SCENE.window)
    for order in (tiles, tiles[::-1]):
        many = open_elevation(order, SCENE, config)
        assert len(many.models) == 1
        assert len(many.sources) == len(tiles)
        for name, pixels in many.read(SCENE.window).items():
            np.testing.assert_allclose(pixels, one[name], atol=2e-3, err_msg=name)


def test_tiles_of_different_grids_leave_no_gap(tmp_path):
    west, south, east, north = Transformer.from_crs(UTM, 4326, always_xy=True).transform_bounds(*SCENE.bounds)
    middle = (west + east) / 2
    left = dem_over(tmp_path / "a.tif", 4326, 1 / 3600, extent=(west - 0.01, south - 0.01, middle, north + 0.01))
    cell = 1 / 2400
    with rasterio.open(left) as dataset:
        edge = dataset.bounds.right
    right = dem_over(tmp_path / "b.tif", 4326, cell, extent=(edge, south - 0.01, east + 0.01, north + 0.01))
    elevation = open_elevation([left, right], SCENE)
    assert len(elevation.models) == 2
    assert elevation.coverage == 1.0
    _, _, slope = surface_slope(SCENE)
    got = elevation.read(SCENE.window)
    assert not np.isnan(got["slope"]).any()
    assert np.abs(got["slope"] - slope).max() < 2.5  # one-sided differences along the seam
    assert np.sqrt(np.mean((got["slope"] - slope) ** 2)) < 0.3


def test_a_scene_across_the_date_line_takes_tiles_of_both_sides(tmp_path):
    utm1 = CRS.from_epsg(32601)
    x, y = Transformer.from_crs(4326, utm1, always_xy=True).transform(-180.0, 52.0)
    scene = Grid((80, 90), Affine(10, 0, round(x / 10) * 10 - 450, 0, -10, round(y / 10) * 10 + 400), utm1)
    cell = 1 / 3600
    back = Transformer.from_crs(4326, utm1, always_xy=True)
    tiles = []
    for name, west in (("e", 180 - 60 * cell), ("w", -180.0)):
        transform = Affine(cell, 0, west, 0, -cell, 52 + 40 * cell)
        r, c = np.indices((80, 60)) + 0.5
        lon, lat = transform * (c, r)
        px, py = back.transform(lon, lat)
        tiles.append(
            write_dem(tmp_path / f"{name}.tif", (0.3 * (px - x) + 0.1 * (py - y)).astype("float32"), transform, 4326)
        )
    elevation = open_elevation(tiles, scene)
    assert len(elevation.models) == 1
    assert elevation.coverage == 1.0
    got = elevation.read(scene.window)["slope"]
    np.testing.assert_allclose(got, np.degrees(np.arctan(np.hypot(0.3, 0.1))), atol=0.1)
    globe = open_elevation([tiles[1], tiles[0]], scene).read(scene.window)["slope"]
    np.testing.assert_allclose(globe, got, atol=2e-3)


def test_voids_stay_invalid_or_are_filled_up_to_the_distance(tmp_path):
    path = dem_over(tmp_path / "dem.tif", UTM, 30.0)
    with rasterio.open(path, "r+") as dataset:
        dataset.nodata = -32768
        z = dataset.read(1)
        z[40:42, 40:42] = -32768  # 60 m wide
        z[60:80, 60:80] = -32768  # 600 m wide
        dataset.write(z, 1)
        spots = [dataset.transform * (col, row) for row, col in ((41, 41), (70, 70))]
    pixels = [tuple(int(v) for v in ~SCENE.transform * spot)[::-1] for spot in spots]
    left = open_elevation(path, SCENE).read(SCENE.window)
    filled = open_elevation(path, SCENE, ElevationConfig(fill_voids_m=60)).read(SCENE.window)
    whole = open_elevation(dem_over(tmp_path / "whole.tif", UTM, 30.0), SCENE).read(SCENE.window)
    for name in ("elevation", "slope"):
        assert all(np.isnan(left[name][pixel]) for pixel in pixels)
        assert np.isnan(filled[name][pixels[1]])
        assert abs(filled[name][pixels[0]] - whole[name][pixels[0]]) < 1.5
    same = ~np.isnan(left["slope"])
    assert np.abs(left["elevation"] - whole["elevation"])[same].max() < 8  # nodata never mixes in


def test_filling_keeps_planes_and_never_reaches_beyond_the_model():
    rows, cols = np.indices((30, 40), dtype=np.float64)
    z = 3 * rows - 2 * cols
    hole = z.copy()
    hole[10:13, 10:16] = np.nan
    hole[:, 35:] = np.nan
    filled = fill_voids(hole, 100.0, (30.0, 20.0))
    np.testing.assert_allclose(filled[10:13, 10:16], z[10:13, 10:16])
    assert np.isnan(filled[:, 35:]).all()
    assert np.isnan(fill_voids(hole, 20.0, (30.0, 20.0))[11, 12])


def test_feet_by_flag_and_by_the_files_own_word(tmp_path, caplog):
    base = dem_over(tmp_path / "m.tif", UTM, 30.0)
    with rasterio.open(base) as dataset:
        feet, transform = dataset.read(1) / np.float32(0.3048), dataset.transform
    plain = write_dem(tmp_path / "ft.tif", feet, transform, UTM.to_wkt())
    stated = write_dem(tmp_path / "stated.tif", feet, transform, UTM.to_wkt(), units="US survey foot")
    expected = open_elevation(base, SCENE).read(SCENE.window)
    for path, config in ((plain, ElevationConfig(z_unit="ft")), (stated, ElevationConfig())):
        elevation = open_elevation(path, SCENE, config)
        assert elevation.sources[0]["z_unit"] == "ft"
        got = elevation.read(SCENE.window)
        np.testing.assert_allclose(got["elevation"], expected["elevation"], rtol=1e-5)
        np.testing.assert_allclose(got["slope"], expected["slope"], atol=1e-2)
    with caplog.at_level("WARNING", "landslip"):
        open_elevation(stated, SCENE, ElevationConfig(z_unit="m"))
    assert "states its unit as us survey foot; read as m" in caplog.text


def test_scale_and_offset_of_the_file_are_applied(tmp_path):
    base = dem_over(tmp_path / "m.tif", UTM, 30.0)
    with rasterio.open(base) as dataset:
        packed, transform = np.rint((dataset.read(1) + 100) * 50).astype("uint16"), dataset.transform
    path = write_dem(tmp_path / "packed.tif", packed, transform, UTM.to_wkt(), scale=0.02, offset=-100.0)
    got, expected = (open_elevation(p, SCENE).read(SCENE.window)["elevation"] for p in (path, base))
    np.testing.assert_allclose(got, expected, atol=0.011)


def test_finer_models_are_averaged_to_the_pixel(tmp_path):
    path = dem_over(tmp_path / "fine.tif", UTM, 2.0, margin_m=60)
    with rasterio.open(path, "r+") as dataset:  # roughness below the pixel: boulders, trees
        dataset.write(dataset.read(1) + np.random.default_rng(0).normal(0, 3, dataset.shape).astype("float32"), 1)
    elevation = open_elevation(path, SCENE)
    assert elevation.sources[0]["averaged"] == 5
    assert elevation.sources[0]["cell_m"] == [2.0, 2.0]
    _, _, slope = surface_slope(SCENE)
    assert np.sqrt(np.mean((elevation.read(SCENE.window)["slope"] - slope) ** 2)) < 2.5
    part = Window(31, 17, 99, 120)
    np.testing.assert_array_equal(elevation.read(part)["slope"], elevation.read(SCENE.window)["slope"][part.slices])


def test_undeclared_nodata_is_taken_as_void_and_said_once(tmp_path, caplog):
    path = dem_over(tmp_path / "dem.tif", UTM, 30.0)
    with rasterio.open(path, "r+") as dataset:
        z = dataset.read(1)
        z[10:20, 10:20] = -9999
        dataset.write(z, 1)
    with caplog.at_level("WARNING", "landslip"):
        got = open_elevation(path, SCENE).read(SCENE.window)
    assert caplog.text.count("-9999 are no elevation and not declared as nodata") == 1
    assert np.isnan(got["elevation"]).any()
    assert np.nanmin(got["elevation"]) > 100


def test_a_folder_and_a_named_band(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    base = dem_over(tmp_path / "m.tif", UTM, 30.0)
    with rasterio.open(base) as dataset:
        z, transform = dataset.read(1), dataset.transform
    write_dem(folder / "bands.tif", np.stack([z * 0, z]), transform, UTM.to_wkt(), count=2, names=("mask", "elev"))
    expected = open_elevation(base, SCENE).read(SCENE.window)["slope"]
    np.testing.assert_array_equal(open_elevation(folder, SCENE).read(SCENE.window)["slope"], expected)
    by_number = open_elevation(folder, SCENE, ElevationConfig(band=2))
    np.testing.assert_array_equal(by_number.read(SCENE.window)["slope"], expected)


def test_a_model_of_half_the_scene(tmp_path, caplog):
    west, south, _, north = SCENE.bounds
    half = dem_over(tmp_path / "half.tif", UTM, 30.0, extent=(west - 90, south - 90, west + 1400, north + 90))
    with pytest.raises(CoverageError, match=r"covers 50 % of the scene, 90 % are needed.*--allow-partial-dem"):
        open_elevation(half, SCENE)
    with caplog.at_level("WARNING", "landslip"):
        elevation = open_elevation(half, SCENE, ElevationConfig(allow_partial=True))
    assert "covers 50 % of the scene" in caplog.text
    assert elevation.coverage == pytest.approx(0.5, abs=0.02)
    got = elevation.read(SCENE.window)
    share = 1 - np.isnan(got["slope"]).mean()
    assert share == pytest.approx(elevation.coverage, abs=0.02)
    assert np.isnan(got["elevation"][:, 150:]).all()
    assert not np.isnan(got["elevation"][:, :135]).any()
    np.testing.assert_array_equal(np.isnan(got["elevation"]), np.isnan(got["slope"]))


def test_a_model_elsewhere_is_refused_even_when_a_part_is_allowed(tmp_path):
    far = dem_over(tmp_path / "far.tif", UTM, 30.0, extent=(X + 1e5, Y, X + 1e5 + 3000, Y + 3000))
    for config in (ElevationConfig(), ElevationConfig(allow_partial=True)):
        with pytest.raises(CoverageError, match=r"does not overlap the scene \(longitude 141\.00.*give the tiles"):
            open_elevation(far, SCENE, config)


def _broken(tmp_path: Path) -> dict[str, tuple]:
    good = dem_over(tmp_path / "good.tif", UTM, 30.0)
    with rasterio.open(good) as dataset:
        z, transform = dataset.read(1), dataset.transform
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    empty = tmp_path / "empty"
    empty.mkdir()
    rotated = transform * Affine.rotation(10)
    cut = tmp_path / "cut.tif"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    two = write_dem(tmp_path / "two.tif", np.stack([z, z]), transform, UTM.to_wkt(), count=2)
    return {
        "missing": (tmp_path / "no.tif", {}, MissingInputError, "no such file"),
        "text": (text, {}, InputError, "not a readable raster"),
        "cut": (cut, {}, InputError, "truncated or damaged"),
        "empty folder": (empty, {}, MissingInputError, "no elevation raster in this folder"),
        "no crs": (write_dem(tmp_path / "nocrs.tif", z, transform, None), {}, CRSMismatchError, "no coordinate"),
        "rotated": (write_dem(tmp_path / "rot.tif", z, rotated, UTM.to_wkt()), {}, GridMismatchError, "rotated"),
        "one row": (write_dem(tmp_path / "row.tif", z[:1], transform, UTM.to_wkt()), {}, GridMismatchError, "2 x 2"),
        "two bands": (two, {}, InputError, "--dem-band"),
        "no such band": (two, {"band": 3}, InputError, "has no band 3"),
        "no such name": (two, {"band": "height"}, InputError, "no band named 'height'"),
        "complex": (
            write_dem(tmp_path / "c.tif", z.astype("complex64"), transform, UTM.to_wkt()),
            {},
            InputError,
            "complex numbers",
        ),
        "nothing": ([], {}, MissingInputError, "no elevation model given"),
    }


CASES = (
    "missing",
    "text",
    "cut",
    "empty folder",
    "no crs",
    "rotated",
    "one row",
    "two bands",
    "no such band",
    "no such name",
    "complex",
    "nothing",
)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("case", CASES)
def test_unusable_models_are_refused_in_one_line(tmp_path, case):
    path, options, kind, says = _broken(tmp_path)[case]
    with pytest.raises(kind, match=says) as caught:
        open_elevation(path, SCENE, ElevationConfig(**options))
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)


def test_settings_refuse_unknown_units_and_layers():
    with pytest.raises(ConfigError, match="z_unit"):
        ElevationConfig.from_dict({"z_unit": "yards"})
    with pytest.raises(ConfigError, match="layers"):
        ElevationConfig.from_dict({"layers": ["wetness"]})


@pytest.mark.real
def test_the_real_study_area_has_slope_from_its_model_in_degrees():
    path = DATA / "iburi" / "DSM.tif"
    if not path.is_file():
        pytest.skip("real data absent: ../shared/data/iburi/DSM.tif")
    scene = Grid.from_bounds((573_100, 4_726_300, 583_800, 4_735_300), 10, CRS.from_epsg(32654))
    elevation = open_elevation(path, scene)
    got = elevation.read(scene.window)
    assert elevation.coverage > 0.99
    assert elevation.sources[0]["cell_m"] == [29.937, 22.072]
    assert 14 < np.nanmean(got["slope"]) < 17
    # against the other way: warped to the scene's CRS by GDAL and then Horn
    with (
        rasterio.open(path) as dataset,
        rasterio.vrt.WarpedVRT(dataset, crs=scene.crs.to_wkt(), resampling=rasterio.enums.Resampling.bilinear) as vrt,
    ):
        warped, transform = vrt.read(1, masked=True).astype("float64"), vrt.transform
    theirs = terrain.slope(warped, transform, scene.crs)
    assert abs(np.nanmean(theirs) - np.nanmean(got["slope"])) < 1


@pytest.mark.real
def test_real_glo30_in_degrees_agrees_with_its_copy_in_metres():
    path = DATA / "terrain" / "glo30_N34W119_512.tif"
    if not path.is_file():
        pytest.skip("real data absent: ../shared/data/terrain/glo30_N34W119_512.tif")
    scene = Grid.from_bounds((363_000, 3_804_000, 374_000, 3_817_000), 10, CRS.from_epsg(32611))
    elevation = open_elevation(path, scene)
    got = elevation.read(scene.window)
    assert elevation.coverage == 1.0
    assert got["elevation"].max() > 1000
    # a 30 m model in the scene's CRS, made with a cubic warp: the slopes must correlate closely and agree in the mean
    with (
        rasterio.open(path) as dataset,
        rasterio.vrt.WarpedVRT(
            dataset,
            crs=scene.crs.to_wkt(),
            transform=Affine(30, 0, 362_000, 0, -30, 3_818_000),
            width=440,
            height=500,
            resampling=rasterio.enums.Resampling.cubic,
        ) as vrt,
    ):
        copy = vrt.read(1).astype("float64")
    slope = terrain.slope(copy, Affine(30, 0, 362_000, 0, -30, 3_818_000), scene.crs)
    rows, cols = np.indices(scene.shape) + 0.5
    x, y = scene.transform * (cols, rows)
    nearest = slope[((3_818_000 - y) / 30).astype(int), ((x - 362_000) / 30).astype(int)]
    assert np.corrcoef(nearest.ravel(), got["slope"].ravel())[0, 1] > 0.97
    assert abs(np.mean(nearest - got["slope"])) < 0.4
