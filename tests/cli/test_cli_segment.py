"""``landslip segment``: what it writes, what it says, and how it refuses."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import typer
from affine import Affine
from typer.testing import CliRunner

from landslip.cli import segment as module
from landslip.objects import segment

app = typer.Typer()
app.command()(module.command)
runner = CliRunner()


@pytest.fixture
def raster(tmp_path):
    """A raster with four bright squares, and the squares as polygons."""
    ids = np.zeros((90, 100), int)
    boxes = [(8, 8), (10, 60), (55, 20), (60, 70)]
    for k, (r, c) in enumerate(boxes, start=1):
        ids[r : r + 20, c : c + 20] = k
    noise = np.random.default_rng(0).normal(0, 60, (2, 90, 100))
    image = (np.stack([(ids > 0) * 900.0, (ids > 0) * -500.0]) + noise).astype(np.float32)
    transform = Affine(10, 0, 500_000, 0, -10, 4_700_000)
    path = tmp_path / "image.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=2, height=90, width=100, crs="EPSG:32654", transform=transform
    ) as dataset:
        dataset.write(image)
        dataset.descriptions = ("red", "nir")
    squares = [
        shapely.box(500_000 + 10 * c, 4_700_000 - 10 * (r + 20), 500_000 + 10 * (c + 20), 4_700_000 - 10 * r)
        for r, c in boxes
    ]
    inventory = tmp_path / "squares.gpkg"
    geopandas.GeoDataFrame(geometry=squares, crs="EPSG:32654").to_file(inventory)
    return path, image, inventory


def call(*words):
    return runner.invoke(app, [str(word) for word in words])


def test_labels_of_raw_values_are_those_of_the_function(raster, tmp_path):
    path, image, _ = raster
    out = tmp_path / "labels.tif"
    result = call(path, "--out", out, "--scale", 300, "--raw", "--min-size", 5, "--json")
    assert result.exit_code == 0, result.output
    expected = segment(image, 300, min_size=5)
    with rasterio.open(out) as dataset:
        assert np.array_equal(dataset.read(1), expected)
    content = json.loads(result.stdout)
    assert content["objects"] == expected.max()
    assert content["layers"] == ["red", "nir"]
    assert json.loads((tmp_path / "labels.tif.json").read_text())["scale"] == 300


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_polygons_carry_their_table(raster, tmp_path, suffix):
    path, _, inventory = raster
    out = tmp_path / f"objects.{suffix}"
    result = call(path, "--out", out, "--inventory", inventory, "--figure", tmp_path / "curves.png", "--json")
    assert result.exit_code == 0, result.output
    objects = geopandas.read_file(out) if suffix == "gpkg" else geopandas.read_parquet(out)
    content = json.loads(result.stdout)
    assert len(objects) == content["objects"]
    assert {"area_m2", "perimeter_m", "compactness", "smoothness", "neighbours", "mean_red", "std_nir"} <= set(objects)
    assert np.allclose(objects.area, objects["area_m2"])
    assert objects["mean_red"].max() > 800  # in the raster's own unit
    assert max(content["search"]["ofi"]) > 0.9
    assert (tmp_path / "curves.png").stat().st_size > 5000
    assert not list(tmp_path.glob("*.labels.tif"))
    assert not list(tmp_path.glob("*.partial"))


def test_without_an_inventory_the_scale_is_chosen_unsupervised(raster, tmp_path):
    result = call(raster[0], "--out", tmp_path / "labels.tif", "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["scale"] in content["search"]["scales"]
    assert "moran" in content["search"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--out", "x.shp", "--scale", "30"], 1, "must end in .tif (labels), .gpkg or .parquet"),
        (["--out", "x.tif", "--scale", "0"], 2, "must be greater than 0"),
        (["--out", "x.tif", "--scale", "big"], 2, "neither a number nor auto"),
        (["--out", "x.tif", "--scale", "30", "--band-weights", "a"], 2, "must be numbers"),
        (["--out", "x.tif", "--scale", "30", "--color", "2"], 1, "color is 2.0; it is a weight"),
        (["--out", "x.tif", "--scale", "30", "--layers", "swir"], 1, "no band 'swir'"),
        (["--out", "x.tif", "--scale", "30", "--memory", "0.01"], 1, "give at least"),
        (["--out", "x.tif", "--scale", "30", "--memory", "inf"], 1, "memory_gib is inf; it must be a number greater"),
        (["--out", "x.tif", "--scale", "inf"], 1, "scale is inf; it must be a number greater than 0 (and less than"),
        (["--out", "x.tif", "--scale", "30", "--layers", ""], 1, "no band ''; it has red, nir: choose with --layers"),
        (["--out", "x.tif", "--inventory", "nothing.gpkg"], 1, "nothing.gpkg"),
        (["--out", "x.tif", "--inventory", "image.tif"], 1, "not recognized as being in a supported file format."),
        (["--out", "x.tif", "--figure", "x.doc"], 1, "x.doc: must end in .png, .pdf, .svg; change --figure"),
        (["--out", "x.tif", "--scale", "30", "--figure", "x.png"], 2, "--figure belongs to --scale auto; leave it out"),
        (["--out", "x.tif", "--scale", "30", "--inventory", "i.gpkg"], 2, "--inventory belongs to --scale auto"),
        (["--out", "x.tif", "--scale", "30", "--layers", "red,red"], 1, "layer 'red' is named twice; take one"),
        (["--out", "x.tif", "--scale", "30", "--layers", "red", "--band-weights", "0"], 1, "all band weights are 0"),
    ],
)
def test_wrong_words_get_one_line(raster, tmp_path, monkeypatch, words, code, text):
    monkeypatch.chdir(tmp_path)
    result = call(raster[0], *words)
    assert result.exit_code == code
    assert text in " ".join(result.output.replace("│", " ").split())
    assert "driver" not in result.output  # GDAL's advice, not ours
    assert not (tmp_path / "x.tif").exists()


@pytest.mark.parametrize(
    ("crs", "name"), [("EPSG:4326", "WGS 84"), ("EPSG:2263", "NAD83 / New York Long Island (ftUS)")]
)
def test_areas_that_could_not_be_told_are_refused_before_the_work(raster, tmp_path, monkeypatch, crs, name):
    path, image, inventory = raster
    with rasterio.open(path, "r+") as dataset:
        dataset.crs = crs
    monkeypatch.setattr("landslip.objects.command.segment_raster", None)
    for words in (
        ["--out", tmp_path / "o.gpkg", "--scale", 30],
        ["--out", tmp_path / "o.tif", "--inventory", inventory],
    ):
        result = call(path, *words)
        assert result.exit_code == 1
        assert f"image.tif: CRS {name} is not projected in metres; warp it to one that is" in result.output
    monkeypatch.undo()
    result = call(path, "--out", tmp_path / "o.tif", "--scale", 300, "--raw")
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "o.tif") as dataset:
        assert np.array_equal(dataset.read(1), segment(image, 300))


def test_what_is_read_is_never_written_over(raster, tmp_path):
    path, _, inventory = raster
    before = {one: one.read_bytes() for one in (path, inventory)}
    (tmp_path / "elsewhere.tif").symlink_to(path)
    for source, words in (
        (path, ["--out", path, "--scale", 30]),
        (tmp_path / "elsewhere.tif", ["--out", path, "--scale", 30]),
        (path, ["--out", inventory, "--inventory", inventory]),
    ):
        result = call(source, *words)
        assert result.exit_code == 1
        assert "is read here, and would be written over; choose another --out" in result.output
    (tmp_path / "two.tif").write_bytes(before[path])
    result = call(path, tmp_path / "two.tif", "--out", tmp_path, "--scale", 30)  # each to the name that it has
    assert result.exit_code == 1
    assert {one: one.read_bytes() for one in before} == before
    assert (tmp_path / "two.tif").read_bytes() == before[path]


def test_objects_of_a_scene_have_its_slope(tmp_path):
    from helpers.maps import scene_layers, write_scene

    layers = scene_layers((40, 40))
    scene = write_scene(tmp_path / "scene", layers)
    result = call(scene.path, "--out", tmp_path / "objects.gpkg", "--scale", 60, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["layers"] == ["green", "red"]  # what is segmented
    objects = geopandas.read_file(tmp_path / "objects.gpkg")
    mean = np.average(objects["mean_slope"], weights=objects["pixels"])
    assert mean == pytest.approx(layers["slope"].mean(dtype=float), rel=1e-5)


def test_the_rasters_of_a_scene_are_never_written_over(tmp_path):
    from helpers.maps import pixels_box, scene_layers, write_scene

    scene = write_scene(tmp_path / "scene", scene_layers((40, 40)), landslides=[pixels_box(5, 5, 9, 9)])
    before = (scene.path / "labels.tif").read_bytes()
    result = call(scene.path, "--out", scene.path / "labels.tif", "--scale", 30)
    assert "labels.tif: is read here, and would be written over" in result.output
    assert (scene.path / "labels.tif").read_bytes() == before


def test_a_missing_scene_is_named(tmp_path):
    result = call(tmp_path / "none.tif", "--out", tmp_path / "x.tif", "--scale", 30)
    assert result.exit_code == 1
    assert "none.tif: no such file" in result.output


def test_several_rasters_on_workers_as_in_one_process(raster, tmp_path):
    path, image, _ = raster
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.tif").write_bytes(path.read_bytes())
    (tmp_path / "list.txt").write_text("one/one.tif\ntwo/two.tif\ngone/three.tif\n")
    options = ["--scale", 300, "--raw", "--json", "--quiet"]
    done = call(tmp_path / "list.txt", "--out", tmp_path / "there", *options, "--dask", "local:1")
    assert done.exit_code == 1
    content = json.loads(done.stdout)
    assert [one["scene"]["name"] for one in content["segmentations"]] == ["one", "two"]
    assert [one["name"] for one in content["failed"]] == ["three"]
    assert "failed: three: " in done.stderr
    assert "gone/three.tif: no such file" in done.stderr
    with rasterio.open(tmp_path / "there" / "one.tif") as dataset:
        assert np.array_equal(dataset.read(1), segment(image, 300))
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "three.tif").write_bytes(path.read_bytes())
    before = (tmp_path / "there" / "one.tif").stat().st_mtime_ns
    again = call(tmp_path / "list.txt", "--out", tmp_path / "there", *options, "--resume")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "there" / "one.tif").stat().st_mtime_ns == before
    assert (tmp_path / "there" / "three.tif").read_bytes() == (tmp_path / "there" / "one.tif").read_bytes()
    other = call(tmp_path / "list.txt", "--out", tmp_path / "there", "--scale", 200, "--raw", "--quiet", "--resume")
    assert other.exit_code == 1
    assert "one.tif: made from another scene or with other options; choose another --out" in other.stderr
    figure = call(tmp_path / "list.txt", "--out", tmp_path / "there", "--figure", "x.png")
    assert figure.exit_code == 2
    assert "--figure draws the curves of one scene" in " ".join(figure.stderr.replace("│", " ").split())


def test_landslides_too_small_to_choose_a_scale_are_told_with_scene_and_remedy(raster, tmp_path):
    path = raster[0]
    specks = [shapely.box(500_000 + 100 * i, 4_699_500, 500_010 + 100 * i, 4_699_510) for i in range(5)]
    geopandas.GeoDataFrame(geometry=specks, crs="EPSG:32654").to_file(tmp_path / "specks.gpkg")
    result = call(path, "--out", tmp_path / "labels.tif", "--inventory", tmp_path / "specks.gpkg", "--quiet")
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert f"{path}: no reference polygon has 4 valid pixels or more; give larger polygons, or a number" in told
    assert "(--scale NUMBER, in settings objects.scale)" in told
