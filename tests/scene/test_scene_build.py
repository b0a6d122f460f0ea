"""Building scenes: what comes out is what went in, on one grid, with what is invalid left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS, Transformer

from helpers.scene_inputs import (
    GRID,
    NORTH,
    TAGS,
    UTM,
    WEST,
    grid_of,
    numbers_of,
    write_dem,
    write_image,
    write_polygons,
    write_raster,
)
from landslip.errors import OutputError
from landslip.grid import Grid
from landslip.scene import build
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.store import Scene
from landslip.windows import Window


def built(out: Path, *images: Path, **settings) -> Scene:
    return build_scene(SceneConfig(images=tuple(map(str, images)), **settings), out)


def remarks_of(scene: Scene) -> str:
    return " | ".join(scene.info["remarks"])


def test_reflectance_is_exact_where_nothing_is_resampled(tmp_path, image):
    scene = built(tmp_path / "scene", image)
    assert scene.grid == GRID  # the image's own grid
    assert scene.layers == ("blue", "green", "red", "nir")
    for seed, name in enumerate(scene.layers):
        expected = (numbers_of(seed).astype(float) - 1000) / 10000
        assert scene.read([name])[0] == pytest.approx(expected, abs=1e-6)
    assert scene.info["remarks"] == []


def test_zero_is_nodata_and_is_tested_before_the_offset(tmp_path):
    pixels = numbers_of(0)
    pixels[10:20, 30:40] = 0
    pixels[50, 50] = 900  # below the offset: negative reflectance is kept
    pixels[60, 60] = 65535  # saturated
    folder = write_image(tmp_path / "post")
    write_raster(folder / "B02.tif", pixels, tags=TAGS)
    scene = built(tmp_path / "scene", folder)
    layers = scene.read(scene.layers)
    missing = np.isnan(layers)
    expected = np.zeros(GRID.shape, bool)
    expected[10:20, 30:40] = expected[60, 60] = True
    assert all((band == expected).all() for band in missing)  # one source: a hole in a band is one in all
    assert layers[0, 50, 50] == pytest.approx(-0.01)
    assert (scene.validity("image") == ~expected).all()


def test_layers_are_invalid_where_their_own_sources_are_and_only_there(tmp_path, image):
    before = write_image(tmp_path / "pre")
    pixels = numbers_of(7)
    pixels[:, 48:] = 0  # the swath ends half-way
    write_raster(before / "B04.tif", pixels, tags=TAGS)
    heights = np.full((40, 40), 500.0, np.float32)
    heights[15:20, 15:20] = -9999
    dem = Grid((40, 40), Affine(30, 0, WEST - 90, 0, -30, NORTH + 90), UTM)
    write_raster(tmp_path / "dem.tif", heights, dem, nodata=-9999)
    scene = built(tmp_path / "scene", image, pre=(str(before),), dem=(str(tmp_path / "dem.tif"),))
    assert scene.layers == (
        *("blue", "green", "red", "nir", "elevation", "slope"),
        *("pre_blue", "pre_green", "pre_red", "pre_nir"),
    )
    assert scene.sources == ("image", "dem", "pre")
    valid = dict(zip(scene.layers, np.isfinite(scene.read(scene.layers)), strict=True))
    assert valid["red"].all()
    assert (valid["pre_red"] == scene.validity("pre")).all()
    assert valid["pre_blue"][:, :48].all()
    assert not valid["pre_blue"][:, 48:].any()
    assert (valid["elevation"] == scene.validity("dem")).all()
    assert 0 < (~valid["elevation"]).sum() < 500
    assert scene.info["validity"]["pre"] == 0.5


def test_windows_do_not_show(tmp_path, monkeypatch):
    folder = write_image(tmp_path / "post", grid_of(300, 280))
    geographic = tmp_path / "degrees"
    transform = Affine(1e-4, 0, 140.99, 0, -1e-4, 42.73)
    for seed, number in enumerate(("B02", "B03", "B04")):
        write_raster(geographic / f"{number}.tif", numbers_of(seed, (320, 420)), crs="EPSG:4326", transform=transform)
    dem = write_dem(tmp_path / "dem.tif", grid_of(300, 280))
    boxes = write_polygons(tmp_path / "slides.gpkg", [(20, 20, 60, 50), (100.2, 100.2, 100.4, 100.4)])
    settings = {"pre": (str(geographic),), "dem": (str(dem),), "inventory": str(boxes), "dilate_clouds": 3}
    whole = built(tmp_path / "whole", folder, **settings)
    monkeypatch.setattr(build, "WINDOW", 64)
    pieces = built(tmp_path / "pieces", folder, **settings)
    np.testing.assert_array_equal(whole.read(whole.layers), pieces.read(pieces.layers))
    np.testing.assert_array_equal(whole.labels(), pieces.labels())
    assert whole.info["validity"] == pieces.info["validity"]


def test_the_same_inputs_give_the_same_bytes(tmp_path, image, dem):
    slides = write_polygons(tmp_path / "slides.gpkg", [(20, 20, 60, 50)])
    for name in ("one", "two"):
        built(tmp_path / name, image, dem=(str(dem),), inventory=str(slides))
    for file in ("bands.tif", "valid.tif", "labels.tif", "inventory.gpkg", "scene.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_scene_json_names_sources_by_checksum_and_not_by_folder(tmp_path, image, dem):
    scene = built(tmp_path / "scene", image, dem=(str(dem),))
    text = (tmp_path / "scene" / "scene.json").read_text()
    assert str(tmp_path) not in text
    images = [("image after", f"B{band}.tif") for band in ("02", "03", "04", "08")]
    assert [(one["role"], one["file"]) for one in scene.info["sources"]] == [*images, ("elevation", "dem.tif")]
    assert all(len(source["sha256"]) == 64 for source in scene.info["sources"])
    band = scene.info["images"]["post"][0]["bands"]["red"]
    assert (band["offset"], band["quantification"], band["assumed"]) == (-1000, 10000, False)
    assert json.loads((tmp_path / "scene" / "log.json").read_text())["inputs"]["images"] == [str(image)]


def test_bands_file_is_tiled_described_and_has_overviews(tmp_path):
    folder = write_image(tmp_path / "post", grid_of(600, 700))
    built(tmp_path / "scene", folder)
    with rasterio.open(tmp_path / "scene" / "bands.tif") as dataset:
        assert dataset.descriptions == ("blue", "green", "red", "nir")
        assert dataset.block_shapes[0] == (512, 512)
        assert dataset.overviews(1) == [2, 4]
        assert np.isnan(dataset.nodata)
        coarse = dataset.read(1, out_shape=(300, 350))
        fine = dataset.read(1).reshape(300, 2, 350, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse, fine, atol=1e-6)


def test_labels_and_landslides_agree(tmp_path, image):
    slides = write_polygons(tmp_path / "slides.gpkg", [(10, 10, 20, 30), (15, 25, 40, 35), (80, 80, 96, 96)])
    extent = write_polygons(tmp_path / "extent.gpkg", [(0, 0, 60, 96)])
    scene = built(tmp_path / "scene", image, inventory=str(slides), aoi=str(extent))
    labels, landslides = scene.labels(), scene.landslides()
    assert (labels[:, 60:] == 255).all()
    assert ((labels == 1) == (landslides > 0)).all()
    assert set(np.unique(landslides)) == {0, 1, 2}  # the third lies outside the mapped extent
    assert (labels == 1).sum() == 10 * 20 + 25 * 10 - 5 * 5
    assert len(scene.inventory()) == 3
    window = Window(5, 7, 30, 40)
    np.testing.assert_array_equal(scene.landslides(window), landslides[window.slices])
    assert scene.info["inventory"]["prevalence"] == pytest.approx(425 / (96 * 60), abs=1e-6)


def test_without_a_mapped_extent_a_remark_says_what_that_means(tmp_path, image):
    slides = write_polygons(tmp_path / "slides.gpkg", [(10, 10, 20, 30)])
    scene = built(tmp_path / "scene", image, inventory=str(slides))
    assert "--aoi" in remarks_of(scene)
    assert 255 not in scene.labels()


def test_without_near_infrared_says_what_can_be_had(tmp_path):
    scene = built(tmp_path / "scene", write_image(tmp_path / "post", bands=("blue", "green", "red")))
    assert scene.layers == ("blue", "green", "red")
    assert "NDVI cannot be had, the visible index ngrdi can" in remarks_of(scene)


def test_missing_metadata_is_an_assumption_that_is_said_and_can_be_overridden(tmp_path):
    folder = write_image(tmp_path / "post", tags={})
    scene = built(tmp_path / "assumed", folder)
    assert "reflectance = (DN +0) / 10000 is assumed" in remarks_of(scene)
    assert "1st percentile of blue 0.151" in remarks_of(scene)
    given = built(tmp_path / "given", folder, offset=-1000)
    assert given.info["remarks"] == []
    np.testing.assert_allclose(given.read(["red"]), scene.read(["red"]) - 0.1, atol=1e-6)


def test_an_offset_taken_twice_is_remarked_on(tmp_path):
    scene = built(tmp_path / "scene", write_image(tmp_path / "post"), offset=-2000)
    assert "is below -0.02: perhaps an offset was subtracted twice; check --offset" in remarks_of(scene)


def test_pre_offset_is_for_the_pre_event_image_alone(tmp_path, image):
    before = write_image(tmp_path / "pre", tags={})
    scene = built(tmp_path / "scene", image, pre=(str(before),), pre_offset=-500)
    red, pre_red = scene.read(["red", "pre_red"])
    np.testing.assert_allclose(pre_red, red + 0.05, atol=1e-6)


def test_degrees_become_the_utm_zone_of_the_place(tmp_path):
    shape = (200, 260)
    transform = Affine(1e-4, 0, 140.99, 0, -1e-4, 42.73)
    rows, cols = np.indices(shape) + 0.5
    longitude = 140.99 + cols * 1e-4
    ramp = np.round((longitude - 140.9) * 10000).astype(np.uint16) + 1000  # a digital number for each longitude
    for number in ("B02", "B03", "B04"):
        write_raster(tmp_path / "post" / f"{number}.tif", ramp, crs="EPSG:4326", transform=transform, tags=TAGS)
    scene = built(tmp_path / "scene", tmp_path / "post")
    assert scene.grid.crs == CRS.from_epsg(32654)
    assert scene.grid.resolution == (10.0, 10.0)
    assert scene.grid.transform.c % 10 == scene.grid.transform.f % 10 == 0
    red = scene.read(["red"])[0]
    rows, cols = np.nonzero(np.isfinite(red))
    x, y = scene.grid.transform * (cols + 0.5, rows + 0.5)
    there, _ = Transformer.from_crs(32654, 4326, always_xy=True).transform(x, y)
    inside = (there > 140.9902) & (there < 141.0158)
    expected = (np.asarray(there) - 140.9) * 10000
    assert np.abs(red[rows, cols] * 10000 - expected)[inside].max() < 0.6  # half a digital number of rounding


def test_web_mercator_is_not_taken_for_metres(tmp_path):
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(140.99, 42.73)
    for seed, number in enumerate(("B02", "B03", "B04")):
        path = tmp_path / "post" / f"{number}.tif"
        write_raster(path, numbers_of(seed), crs="EPSG:3857", transform=Affine(13, 0, x, 0, -13, y), tags=TAGS)
    assert built(tmp_path / "scene", tmp_path / "post").grid.crs.to_epsg() == 32654


def test_coarser_resolution_averages(tmp_path, image):
    scene = built(tmp_path / "scene", image, resolution=20)
    assert scene.grid.shape == (48, 48)
    fine = (numbers_of(2).astype(float) - 1000) / 10000
    inner = scene.read(["red"])[0][1:-1, 1:-1]
    blocks = fine.reshape(48, 2, 48, 2).mean(axis=(1, 3))[1:-1, 1:-1]
    assert np.corrcoef(inner.ravel(), blocks.ravel())[0, 1] > 0.9
    assert inner.std() < fine.std()


def test_bands_of_20_m_are_added_on_request(tmp_path, image):
    coarse = grid_of(48, 48, step=20)
    ramp = (1500 + 10 * np.arange(48)[None, :] + np.zeros((48, 1))).astype(np.uint16)
    write_raster(image / "B11.tif", ramp, coarse, tags=TAGS)
    assert built(tmp_path / "without", image).layers == ("blue", "green", "red", "nir")
    scene = built(tmp_path / "with", image, extra_bands=("swir1",))
    assert scene.layers[-1] == "swir1"
    row = scene.read(["swir1"])[0][50]
    expected = (500 + 10 * ((np.arange(96) + 0.5) / 2 - 0.5)) / 10000  # linear between the centres of coarse pixels
    np.testing.assert_allclose(row[2:-2], expected[2:-2], atol=1e-6)


def test_multi_band_file_by_description_and_by_option(tmp_path):
    pixels = np.stack([numbers_of(seed) for seed in range(4)])
    described = write_raster(tmp_path / "a.tif", pixels, names=("B04", "Green", "blue", "near infrared"), tags=TAGS)
    plain = write_raster(tmp_path / "b.tif", pixels, tags=TAGS)
    one = built(tmp_path / "one", described)
    two = built(tmp_path / "two", plain, bands=("red", "green", "blue", "nir"))
    np.testing.assert_array_equal(one.read(one.layers), two.read(two.layers))
    assert one.read(["red"])[0] == pytest.approx((numbers_of(0).astype(float) - 1000) / 10000, abs=1e-6)


def test_two_tiles_become_one_scene_on_the_shared_pixels(tmp_path):
    west = write_image(tmp_path / "west", grid_of(96, 60))
    east = write_image(tmp_path / "east", grid_of(96, 60, west=WEST + 10 * 50))
    scene = built(tmp_path / "scene", west, east)
    assert scene.grid.shape == (96, 110)
    red = scene.read(["red"])[0]
    tile = (numbers_of(2, (96, 60)).astype(float) - 1000) / 10000  # both hold the same numbers, at different places
    np.testing.assert_allclose(red[:, :60], tile, atol=1e-6)  # the first has precedence in the overlap
    np.testing.assert_allclose(red[:, 60:], tile[:, 10:], atol=1e-6)


def test_mosaic_of_dates_takes_the_first_valid_or_the_median(tmp_path):
    folders = []
    for date, value in enumerate((1500, 1900, 2500)):
        folder = tmp_path / f"date{date}"
        for number in ("B02", "B03", "B04"):
            pixels = np.full(GRID.shape, value, np.uint16)
            pixels[:, 20 * date : 20 * date + 10] = 0
            write_raster(folder / f"{number}.tif", pixels, tags=TAGS)
        folders.append(folder)
    first = built(tmp_path / "first", *folders).read(["red"])[0]
    median = built(tmp_path / "median", *folders, merge="median").read(["red"])[0]
    assert np.isfinite(first).all()
    np.testing.assert_allclose(first[:, :10], 0.09, atol=1e-6)
    np.testing.assert_allclose(first[:, 10:], 0.05, atol=1e-6)
    np.testing.assert_allclose(median[:, 60:], 0.09, atol=1e-6)
    np.testing.assert_allclose(median[:, :10], (0.09 + 0.15) / 2, atol=1e-6)
    np.testing.assert_allclose(median[:, 40:50], (0.05 + 0.09) / 2, atol=1e-6)


def test_a_tile_of_the_next_utm_zone_is_warped_to_the_first(tmp_path):
    edge = Transformer.from_crs(4326, 32654, always_xy=True).transform(143.99, 42.7)
    west = grid_of(96, 96, west=round(edge[0], -1), north=round(edge[1], -1))
    x, y = Transformer.from_crs(32654, 32655, always_xy=True).transform(west.bounds[2] - 200, west.bounds[3])
    east = Grid((96, 96), Affine(10, 0, round(x, -1), 0, -10, round(y, -1)), CRS.from_epsg(32655))
    for folder, grid in (("west", west), ("east", east)):
        for number in ("B02", "B03", "B04"):
            write_raster(tmp_path / folder / f"{number}.tif", np.full(grid.shape, 2000, np.uint16), grid, tags=TAGS)
    scene = built(tmp_path / "scene", tmp_path / "west", tmp_path / "east")
    assert scene.grid.crs == CRS.from_epsg(32654)
    red = scene.read(["red"])[0]
    np.testing.assert_allclose(red[np.isfinite(red)], 0.1, atol=1e-6)  # a constant stays a constant across the seam
    area = np.isfinite(red).sum()
    assert 1.7 * 96 * 96 < area < 2 * 96 * 96


def test_shift_of_the_pre_event_image_is_reported_and_corrected(tmp_path):
    import scipy.ndimage

    edge = 320
    rng = np.random.default_rng(0)
    structure = scipy.ndimage.gaussian_filter(rng.standard_normal((edge, edge)), 2, mode="wrap")
    land = 2000 + 300 * structure / structure.std()
    grid = grid_of(edge, edge)
    for number in ("B02", "B03", "B04"):
        write_raster(tmp_path / "post" / f"{number}.tif", land.astype(np.uint16), grid, tags=TAGS)
        shifted = scipy.ndimage.shift(land, (1.4, -2.2), order=3, mode="grid-wrap").astype(np.uint16)
        write_raster(tmp_path / "pre" / f"{number}.tif", shifted, grid, tags=TAGS)
    plain = built(tmp_path / "plain", tmp_path / "post", pre=(str(tmp_path / "pre"),))
    found = plain.info["pre_shift"]
    assert (found["rows_px"], found["cols_px"]) == pytest.approx((1.4, -2.2), abs=0.1)
    assert not found["corrected"]
    assert "give --coregister to move it back" in remarks_of(plain)
    moved = built(tmp_path / "moved", tmp_path / "post", pre=(str(tmp_path / "pre"),), coregister=True)
    assert moved.info["pre_shift"]["corrected"]

    def difference(scene: Scene) -> float:
        red, before = scene.read(["red", "pre_red"], Window(10, 10, 300, 300))
        return float(np.abs(red - before).mean())

    assert difference(moved) < 0.25 * difference(plain)


def test_nothing_of_an_earlier_scene_is_left(tmp_path, image):
    slides = write_polygons(tmp_path / "slides.gpkg", [(10, 10, 20, 30)])
    built(tmp_path / "scene", image, inventory=str(slides))
    assert built(tmp_path / "scene", image).labels() is None
    assert not (tmp_path / "scene" / "labels.tif").exists()
    assert not (tmp_path / "scene" / "inventory.gpkg").exists()


def test_an_input_in_the_scenes_own_folder_is_not_lost(tmp_path, image):
    """A folder of raw data, in which the inventory happens to have the name that a scene gives its own."""
    (tmp_path / "valley").mkdir()
    inventory = write_polygons(tmp_path / "valley" / "inventory.gpkg", [(10, 10, 20, 30)])
    before = inventory.read_bytes()
    with pytest.raises(OutputError, match=r"inventory\.gpkg: is read here, and would be written over"):
        built(tmp_path / "valley", image, inventory=str(inventory))
    assert inventory.read_bytes() == before
    assert [path.name for path in (tmp_path / "valley").iterdir()] == ["inventory.gpkg"]


def test_a_scene_is_replaced_and_incomplete_until_it_is_whole(tmp_path, image, monkeypatch):
    out = tmp_path / "scene"
    built(out, image)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "scene_content", interrupt)
    with pytest.raises(KeyboardInterrupt):
        built(out, image)
    assert not (out / "scene.json").exists()
    monkeypatch.undo()
    assert built(out, image).layers == ("blue", "green", "red", "nir")
    assert not [p for p in out.iterdir() if p.name.startswith(".")]  # nothing temporary is left
