"""A whole map: files, provenance, formats, locks, finished folders."""

import json
import shutil
import sqlite3
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from helpers.maps import Pixelwise, member, scene_layers, unet_bundle, write_scene
from landslip.errors import OutputError
from landslip.files import PARTIAL, locked
from landslip.mapping.config import MapConfig
from landslip.mapping.landslides.fields import FIELDS
from landslip.mapping.run import map_scene, predict_scene

SETTINGS = {
    "predict": {"tile": 32, "overlap": 8, "batch": 4, "device": "cpu", "precision": "float32"},
    "polygons": {"min_area_m2": 0, "fill_holes_m2": 0, "threshold": 0.9},
    "output": {"formats": ("gpkg", "parquet", "geojson", "fgb"), "density_cell_m": 200, "page": False},
}


def settings(**changes):
    content = {part: dict(values) for part, values in SETTINGS.items()}
    for part, values in changes.items():
        content.setdefault(part, {}).update(values)
    return MapConfig.from_dict(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    layers = scene_layers((150, 170))
    valid = {"clouds": np.ones((150, 170), bool), "image": np.ones((150, 170), bool)}
    valid["clouds"][100:120, 30:60] = False
    valid["image"][:, 165:] = False
    for name in ("red", "green"):
        layers[name][~(valid["clouds"] & valid["image"])] = np.nan
    scene = write_scene(folder / "scene", layers, valid=valid)
    return scene, map_scene(member(Pixelwise()), scene, folder / "out", settings())


def test_areas_are_those_of_the_pixels(finished):
    scene, result = finished
    with rasterio.open(result.probability) as dataset:
        probability = dataset.read(1)
    inside = probability >= np.float32(0.9)
    frame = geopandas.read_file(result.folder / "landslides.gpkg", layer="landslides")
    assert 5 < len(frame) == result.content["counts"]["landslides"]
    assert shapely.is_valid(frame.geometry.to_numpy()).all()
    assert frame.geometry.area.sum() == inside.sum() * 100
    assert frame["area_m2"].sum() == inside.sum() * 100 == result.content["areas_m2"]["landslides"]
    assert frame.crs == scene.grid.crs
    areas = result.content["areas_m2"]
    assert areas["mapped"] == np.isfinite(probability).sum() * 100
    assert areas["unmapped"] == {"no image": 150 * 5 * 100.0, "cloud or shadow": 20 * 30 * 100.0}


def test_raster_says_what_it_is(finished):
    _, result = finished
    with rasterio.open(result.probability) as dataset:
        assert np.isnan(dataset.nodata)
        assert dataset.descriptions == ("landslide probability",)
        tags = dataset.tags()
        assert tags["THRESHOLD"] == "0.9"
        assert tags["MODEL"] == "run (run)"
        assert tags["SOURCES"] == "post: 2018-09-10"
        assert tags["VERSION"].startswith("landslip ")
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_large_rasters_have_overviews(tmp_path, make_scene):
    path = predict_scene(member(Pixelwise()), make_scene((600, 1100)), tmp_path / "o", tile=128, device="cpu")
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == [2, 4]


def test_all_formats_hold_the_same(finished):
    _, result = finished
    frames = {
        "gpkg": geopandas.read_file(result.folder / "landslides.gpkg", layer="landslides"),
        "parquet": geopandas.read_parquet(result.folder / "landslides.parquet"),
        "fgb": geopandas.read_file(result.folder / "landslides.fgb").sort_values("id").reset_index(drop=True),
        "geojson": geopandas.read_file(result.folder / "landslides.geojson"),
    }
    assert frames["geojson"].crs.to_epsg() == 4326
    back = frames["geojson"].to_crs(frames["gpkg"].crs)
    assert back.geometry.area.sum() == pytest.approx(frames["gpkg"].geometry.area.sum(), rel=1e-3)
    for name, frame in frames.items():
        assert [c for c in frame.columns if c != "geometry"] == [field.name for field in FIELDS], name
        assert frame["area_m2"].tolist() == frames["gpkg"]["area_m2"].tolist()
        assert frame["confidence"].tolist() == frames["gpkg"]["confidence"].tolist()


def test_geopackage_carries_style_and_comments(finished):
    _, result = finished
    path = result.folder / "landslides.gpkg"
    assert set(pyogrio.list_layers(path)[:, 0]) >= {"landslides", "unmapped", "layer_styles"}
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles")
        styles = {name: (geometry, default, qml) for name, geometry, default, qml in rows}
        comments = dict(
            database.execute(
                "SELECT column_name, description FROM gpkg_data_columns WHERE table_name = 'landslides'"
            ).fetchall()
        )
    assert set(styles) == {"landslides", "unmapped"}
    geometry, default, qml = styles["landslides"]
    assert (geometry, default) == ("geom", 1)
    assert 'attr="confidence"' in qml
    assert comments["volume_m3"].endswith("[m³]")
    assert set(comments) == {field.name for field in FIELDS}


def test_styles_are_found_and_read_as_qgis_does(finished):
    """Its provider makes the table with these columns, asks this question, and draws symbols by their number."""
    _, result = finished
    with sqlite3.connect(result.folder / "landslides.gpkg") as database:
        columns = [(name, kind) for _, name, kind, *_ in database.execute("PRAGMA table_info(layer_styles)")]
        assert columns == [
            ("id", "INTEGER"), ("f_table_catalog", "TEXT(256)"), ("f_table_schema", "TEXT(256)"),
            ("f_table_name", "TEXT(256)"), ("f_geometry_column", "TEXT(256)"), ("styleName", "TEXT(30)"),
            ("styleQML", "TEXT"), ("styleSLD", "TEXT"), ("useAsDefault", "BOOLEAN"), ("description", "TEXT"),
            ("owner", "TEXT(30)"), ("ui", "TEXT(30)"), ("update_time", "DATETIME"),
        ]  # fmt: skip
        question = (
            "SELECT styleQML FROM layer_styles WHERE f_table_schema = '' AND f_table_name = ? AND f_geometry_column = ?"
            " AND useAsDefault = 1 ORDER BY update_time DESC"
        )
        found = {name: database.execute(question, (name, "geom")).fetchall() for name in ("landslides", "unmapped")}
        registered = database.execute(
            "SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'"
        ).fetchall()
    assert registered == [("attributes",)]
    frame = geopandas.read_file(result.folder / "landslides.gpkg", layer="landslides")
    for name, rows in found.items():
        ((text,),) = rows
        style = ElementTree.fromstring(text)
        assert style.tag == "qgis"
        renderer = style.find("renderer-v2[@type='categorizedSymbol']")
        drawn = {
            s.get("name")
            for s in renderer.findall("symbols/symbol[@type='fill']")
            if s.find("layer/Option/Option") is not None
        }
        wanted = [category.get("symbol") for category in renderer.findall("categories/category[@render='true']")]
        assert wanted == sorted(drawn), name
    values = {c.get("value") for c in ElementTree.fromstring(found["landslides"][0][0]).iter("category")}
    assert set(frame["confidence"]) <= values == {"high", "medium", "low"}


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="needs ogrinfo, Debian package gdal-bin")
def test_another_program_opens_the_geopackage_without_a_warning(finished):
    _, result = finished
    done = subprocess.run(["ogrinfo", "-al", "-so", result.folder / "landslides.gpkg"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stderr == ""
    assert f"Feature Count: {result.content['counts']['landslides']}\n" in done.stdout
    assert "volume_high_m3: Real" in done.stdout


def test_map_json_tells_provenance_and_times_are_elsewhere(finished):
    scene, result = finished
    content = json.loads((result.folder / "map.json").read_text())
    assert content["format"] == 1
    assert content["models"][0]["layers"] == ["red", "green", "slope"]
    assert content["scene"]["name"] == scene.path.name
    assert content["settings"]["polygons"]["threshold"] == 0.9
    assert set(content["files"]) == {
        "probability.tif", "probability.qml", "landslides.gpkg", "landslides.parquet", "landslides.geojson",
        "landslides.fgb", "density.tif", "density.csv",
    }  # fmt: skip
    assert "seconds" not in json.dumps(content)
    log = json.loads((result.folder / "log.json").read_text())
    assert log["seconds"]["predict"] > 0
    assert not (result.folder / PARTIAL).exists()


def test_same_in_same_out(finished, tmp_path):
    scene, result = finished
    again = map_scene(member(Pixelwise()), scene, tmp_path / "again", settings())
    names = sorted(path.name for path in result.folder.iterdir())
    assert names == sorted(path.name for path in again.folder.iterdir())
    for name in names:
        if name != "log.json":
            assert (again.folder / name).read_bytes() == (result.folder / name).read_bytes(), name


def test_density_adds_up(finished):
    _, result = finished
    import pandas as pd

    cells = pd.read_csv(result.folder / "density.csv")
    assert cells["landslide_m2"].sum() == result.content["areas_m2"]["landslides"]
    assert cells["mapped_m2"].sum() == result.content["areas_m2"]["mapped"]
    assert cells["landslides"].sum() == result.content["counts"]["landslides"]
    with rasterio.open(result.folder / "density.tif") as dataset:
        assert dataset.res == (200, 200)
        share, per_km2 = dataset.read()
    for cell in cells.itertuples():
        assert share[cell.row, cell.col] == pytest.approx(cell.landslide_share)
        assert per_km2[cell.row, cell.col] == pytest.approx(cell.landslides_per_km2, rel=1e-6)


def test_catchments_get_their_table(finished, tmp_path):
    scene, result = finished
    west, south, east, north = scene.grid.bounds
    middle = (west + east) / 2
    halves = geopandas.GeoDataFrame(
        {"name": ["west", "east"]},
        geometry=[shapely.box(west, south, middle, north), shapely.box(middle, south, east, north)],
        crs=scene.grid.crs,
    )
    halves.to_file(tmp_path / "halves.gpkg")
    changed = settings(output={"catchments": tmp_path / "halves.gpkg"})
    again = map_scene(member(Pixelwise()), scene, tmp_path / "out", changed)
    import pandas as pd

    table = pd.read_csv(again.folder / "catchments.csv")
    assert table["name"].tolist() == ["west", "east"]
    assert table["landslide_m2"].sum() == result.content["areas_m2"]["landslides"]
    assert table["landslides"].sum() == result.content["counts"]["landslides"]


def test_a_finished_map_is_not_overwritten(finished):
    scene, result = finished
    with pytest.raises(OutputError, match="holds a finished map already; choose another --out"):
        map_scene(member(Pixelwise()), scene, result.folder, settings())
    before = (result.folder / "map.json").stat().st_mtime_ns
    again = map_scene(member(Pixelwise()), scene, result.folder, settings(), resume=True)
    assert again.content == result.content
    assert (result.folder / "map.json").stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="made from other inputs or settings"):
        map_scene(member(Pixelwise()), scene, result.folder, settings(polygons={"threshold": 0.8}), resume=True)


def test_second_process_on_one_folder_is_refused(tmp_path, make_scene):
    scene = make_scene((40, 40))
    with locked(tmp_path / "out"), pytest.raises(OutputError, match="another landslip process is working on it"):
        map_scene(member(Pixelwise()), scene, tmp_path / "out", settings())


def test_no_landslide_at_all_is_a_map_too(tmp_path, make_scene):
    result = map_scene(
        member(Pixelwise()), make_scene((60, 60)), tmp_path / "out", settings(polygons={"threshold": 0.999999})
    )
    assert result.content["counts"]["landslides"] == 0
    assert len(geopandas.read_file(result.folder / "landslides.gpkg", layer="landslides")) == 0
    assert len(geopandas.read_parquet(result.folder / "landslides.parquet")) == 0
    assert result.summary.startswith("0 landslides, 0.000 km² of 0.360 km² mapped")


def test_models_are_named_in_the_record(tmp_path, make_scene):
    result = map_scene([unet_bundle(0), unet_bundle(1)], make_scene((60, 60)), tmp_path / "out", settings())
    models = result.content["models"]
    assert len({model["checksum"] for model in models}) == 2
    assert models[0]["licence"] == "made in a test"


def test_polygons_corrected_by_a_person_come_back_as_labels(finished, tmp_path):
    from landslip.scene.inventory import rasterise, read_inventory

    scene, result = finished
    shutil.copy(result.folder / "landslides.gpkg", tmp_path / "edited.gpkg")
    frame = geopandas.read_file(tmp_path / "edited.gpkg", layer="landslides")
    added = shapely.box(500_400, 4_699_300, 500_440, 4_699_340)
    kept = frame.iloc[1:].copy()
    edited = geopandas.GeoDataFrame(geometry=[*kept.geometry, added], crs=frame.crs)
    edited.to_file(tmp_path / "edited.gpkg", layer="landslides", mode="w")
    inventory = read_inventory(tmp_path / "edited.gpkg", scene.grid, layer="landslides")
    labels, _ = rasterise(inventory, scene.grid)
    union = shapely.union_all(edited.geometry.to_numpy())
    assert labels.sum() * 100 == pytest.approx(union.area)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_an_ensemble_the_member_that_the_scene_is_most_unlike_to_is_told(tmp_path, caplog, order):
    scene = write_scene(tmp_path / "scene", scene_layers((40, 40)))
    near = member(Pixelwise(), ("red",))
    dark = {"red": near.recipe.statistics["red"].model_copy(update={"high": 0.06})}
    far = replace(near, name="far", checksum="far", recipe=near.recipe.model_copy(update={"statistics": dark}))
    result = map_scene([(near, far)[i] for i in order], scene, tmp_path / "map", settings())
    red = scene.read(["red"])
    assert result.content["outside_training_range"]["red"] == pytest.approx((red > 0.06).mean(), abs=0.02)
    assert caplog.text.count("is unlike the training data") == 1
