"""A map against an inventory: counts that can be made by hand."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from helpers.maps import Pixelwise, pixels_box, write_scene
from landslip.bundle import Bundle
from landslip.errors import FormatError, InputError, LayerError
from landslip.mapping.compare import compare_map, evaluate_scene
from landslip.mapping.config import MapConfig
from landslip.mapping.ground import held_out, trained_here
from landslip.mapping.probability.network import Member
from landslip.mapping.run import map_scene
from landslip.recipe import LayerStatistics, Recipe
from landslip.scene.store import Scene
from landslip.splits import SPLIT, TEST, TRAIN, Split, save_splits

CONFIG = MapConfig.from_dict(
    {
        "predict": {"tile": 32, "overlap": 0, "device": "cpu", "precision": "float32"},
        "polygons": {"min_area_m2": 200, "fill_holes_m2": 0},
        "output": {"page": False},
    }
)
STATISTICS = {"red": LayerStatistics(mean=0.5, std=0.1, low=0, high=1)}
MODEL = Member("run", Pixelwise(), Recipe(layers=("red",), statistics=STATISTICS), 0.5, "x")


@pytest.fixture
def scene(tmp_path):
    """60 x 80 pixels; red 1 is mapped as landslide, 0 is not."""
    red = np.zeros((60, 80), np.float32)
    red[10:20, 10:20] = 1  # overlaps the first landslide by half
    red[40:45, 50:55] = 1  # a false alarm of 25 pixels
    red[55, 70] = 1  # one pixel, below the minimum area
    red[0:5, 0:5] = np.nan
    landslides = [pixels_box(10, 15, 10, 10), pixels_box(30, 30, 5, 5), pixels_box(55, 2, 3, 3), pixels_box(1, 1, 2, 2)]
    unknown = np.zeros((60, 80), bool)
    unknown[50:, :40] = True
    return write_scene(tmp_path / "scene", {"red": red}, landslides=landslides, unknown=unknown)


def test_every_pixel_is_counted_where_it_belongs(scene, tmp_path):
    found = evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    counted = 60 * 80 - 25 - 10 * 40
    assert found.pixels.to_dict() | {"tp": 50, "fp": 75, "fn": 75, "tn": counted - 200} == found.pixels.to_dict()
    assert (found.raw.fp, found.half.fp) == (76, 76)  # before polygons the single pixel counts too
    with rasterio.open(tmp_path / "out" / "comparison.tif") as dataset:
        classes, counts = np.unique(dataset.read(1), return_counts=True)
    assert dict(zip(classes.tolist(), counts.tolist(), strict=True)) == {
        0: counted - 200, 1: 50, 2: 75, 3: 75, 255: 425
    }  # fmt: skip


def test_figures_that_nothing_defines_are_called_so(tmp_path):
    blank = write_scene(
        tmp_path / "blank", {"red": np.zeros((60, 80), np.float32)}, landslides=[pixels_box(9, 9, 5, 5)]
    )
    found = evaluate_scene(MODEL, blank, tmp_path / "out", CONFIG)
    assert "landslides as mapped: precision undefined, recall 0.000, F1 0.000, IoU 0.000" in found.summary


@pytest.mark.parametrize("grounds", [3, [{"path": "a", "grid": 1}], [{"grid": {}}]])
def test_a_damaged_record_of_the_training_ground(scene, grounds):
    bundle = Bundle({}, MODEL.recipe, 0.5, {}, training={"grounds": grounds})
    with pytest.raises(FormatError, match=r"training\.grounds\) is damaged; train it again"):
        trained_here(bundle, scene)


def test_polygons_add_up_and_missed_landslides_are_named(scene, tmp_path):
    found = evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    path = tmp_path / "out" / "comparison.gpkg"
    polygons = geopandas.read_file(path, layer="comparison")
    assert polygons.dissolve("class").area.to_dict() == {"TP": 5000.0, "FP": 7500.0, "FN": 7500.0}
    inventory = geopandas.read_file(path, layer="inventory").set_index("landslide")
    assert inventory["covered"].to_dict() == {1: 0.5, 2: 0.0}
    assert inventory["found"].to_dict() == {1: "half", 2: "no"}
    missed = geopandas.read_file(path, layer="missed")
    assert missed["landslide"].tolist() == [2]
    assert shapely.equals(missed.geometry.iloc[0], pixels_box(30, 30, 5, 5))
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert content["missed"] == [2]
    # one of 100 and one of 25 pixels; those of unknown label or without image do not count
    assert [c["mapped"] for c in content["per_landslide"]["classes"]] == [0, 1, 1, 0]
    assert content["per_landslide"]["overall"]["found_half"] == 1
    assert "of 2 landslides of the inventory 1 was touched" in found.summary


def test_scores_can_be_kept_to_an_area_or_out_of_it(scene, tmp_path):
    result = map_scene(MODEL, scene, tmp_path / "map", CONFIG)
    west = geopandas.GeoDataFrame(geometry=[pixels_box(0, 0, 60, 40)], crs=scene.grid.crs)
    west.to_crs(4326).to_file(tmp_path / "west.gpkg")
    inside = compare_map(result, scene, tmp_path / "in", within=tmp_path / "west.gpkg")
    beyond = compare_map(result, scene, tmp_path / "beyond", outside=tmp_path / "west.gpkg")
    assert (inside.pixels.fp, beyond.pixels.fp) == (50, 25)
    whole = compare_map(result, scene, tmp_path / "whole")
    assert inside.pixels + beyond.pixels == whole.pixels
    assert inside.content["within"]["name"] == "west.gpkg"


def trained_in(scene, name="scene"):
    return Bundle({}, MODEL.recipe, 0.5, {}, training={"grounds": [{"path": name, "grid": scene.grid.to_dict()}]})


def kept_split(folder, scene):
    """The west trains, the east tests."""
    part = np.full(scene.grid.shape, TRAIN, np.uint8)
    part[:, 40:] = TEST
    save_splits(folder / SPLIT, [Split(part, np.zeros(part.shape, np.int32))])
    return part == TEST


def test_only_the_test_part_of_the_runs_own_split_is_scored(scene, tmp_path):
    test = kept_split(tmp_path / "run", scene)
    mask = held_out(tmp_path / "run", trained_in(scene), scene)
    assert np.array_equal(mask, test)
    found = evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG, held_out=mask)
    assert (found.pixels.tp, found.pixels.fp, found.pixels.fn) == (0, 25, 0)
    assert found.content["counted_pixels"] == 60 * 40
    assert found.content["held_out"] is True
    run = tmp_path / "runs" / "unet" / "seed0-fold1"  # a study keeps the splits of its runs
    kept_split(tmp_path, scene)
    (tmp_path / SPLIT).rename(tmp_path / "split-fold1.npz")
    run.mkdir(parents=True)
    with pytest.raises(InputError, match="the run kept no split"):
        held_out(run, trained_in(scene), scene)
    (run / "scores.json").write_text("{}")
    assert np.array_equal(held_out(run, trained_in(scene), scene), test)


def test_a_test_part_that_cannot_be_had_is_one_line(scene, tmp_path):
    elsewhere = write_scene(tmp_path / "east", {"red": np.zeros((60, 80), np.float32)}, corner=(0, 500))
    with pytest.raises(InputError, match=r"was not trained in this scene \(but in: east\); leave --held-out away"):
        held_out(tmp_path, trained_in(elsewhere, "east"), scene)
    with pytest.raises(InputError, match=r"not trained in this scene \(but in: no scene that it knows of\)"):
        held_out(tmp_path, Bundle({}, MODEL.recipe, 0.5, {}), scene)
    with pytest.raises(InputError, match=r"the run kept no split .* --within or --outside"):
        held_out(tmp_path / "run", trained_in(scene), scene)
    save_splits(tmp_path / "run" / SPLIT, [Split(np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.int32))])
    with pytest.raises(FormatError, match=r"the split is of a scene of \(3, 4\), .* has \(60, 80\); train again"):
        held_out(tmp_path / "run", trained_in(scene), scene)


def test_a_scene_made_anew_on_another_grid_is_told_from_a_strange_one(scene, tmp_path):
    kept_split(tmp_path / "run", scene)
    anew = write_scene(tmp_path / "anew" / "scene", {"red": np.zeros((70, 80), np.float32)})
    with pytest.raises(InputError, match=r"its grid is not the one of 60 x 80 pixels .* build the scene as it was"):
        held_out(tmp_path / "run", trained_in(scene), anew)


def test_of_scenes_on_one_grid_whose_names_do_not_tell_only_what_tests_in_all_is_held_out(scene, tmp_path):
    parts = np.full((2, *scene.grid.shape), TRAIN, np.uint8)
    parts[0, :, 40:], parts[1, 30:] = TEST, TEST
    save_splits(tmp_path / "run" / SPLIT, [Split(part, np.zeros(part.shape, np.int32)) for part in parts])

    def mask(*names):
        grounds = [{"path": name, "grid": scene.grid.to_dict()} for name in names]
        return held_out(tmp_path / "run", Bundle({}, MODEL.recipe, 0.5, {}, training={"grounds": grounds}), scene)

    assert np.array_equal(mask("other", "scene"), parts[1] == TEST)
    both = (parts == TEST).all(axis=0)
    assert np.array_equal(mask("scene", "scene"), both)
    assert np.array_equal(mask("east", "west"), both)


def test_a_damaged_inventory_is_told_before_anything_is_mapped(scene, tmp_path):
    (scene.path / "inventory.gpkg").write_bytes(b"no database")
    with pytest.raises(
        FormatError, match=r"inventory\.gpkg: the scene's inventory cannot be read; build the scene again"
    ):
        evaluate_scene(MODEL, Scene.open(scene.path), tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_a_scene_without_inventory_is_refused(tmp_path, make_scene):
    with pytest.raises(InputError, match="has no inventory to compare with; build it with --inventory"):
        evaluate_scene(MODEL, make_scene((40, 40)), tmp_path / "out", CONFIG)


def test_nothing_to_score_is_refused(tmp_path):
    red = np.full((40, 40), np.nan, np.float32)
    scene = write_scene(tmp_path / "scene", {"red": red}, landslides=[pixels_box(5, 5, 4, 4)])
    with pytest.raises(InputError, match=r"no pixel is both mapped and of known label .*; look at its mapped extent"):
        evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_a_scene_without_a_band_of_the_run_is_refused(tmp_path):
    blue = np.full((40, 40), 0.1, np.float32)
    scene = write_scene(tmp_path / "scene", {"blue": blue}, landslides=[pixels_box(5, 5, 4, 4)])
    with pytest.raises(LayerError, match="layer 'red' needs red, which the scene"):
        evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_an_area_in_which_nothing_can_be_scored_is_told_before_anything_is_mapped(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("landslip.mapping.compare.map_scene", lambda *_, **__: pytest.fail("the scene was mapped"))
    corner = geopandas.GeoDataFrame(geometry=[pixels_box(0, 0, 4, 4)], crs=scene.grid.crs)  # without image
    corner.to_file(tmp_path / "corner.gpkg")
    nowhere = np.zeros(scene.grid.shape, np.bool_)
    for area in ({"within": tmp_path / "corner.gpkg"}, {"held_out": nowhere}):
        with pytest.raises(InputError, match=r"in the area that is scored; look at .* --within, --outside or --held-o"):
            evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG, **area)


def test_comparing_twice_gives_the_same_bytes(scene, tmp_path):
    evaluate_scene(MODEL, scene, tmp_path / "a", CONFIG)
    evaluate_scene(MODEL, scene, tmp_path / "b", CONFIG)
    for name in ("comparison.tif", "comparison.gpkg", "evaluation.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_comparison_that_cannot_be_leaves_the_one_before_it(scene, tmp_path):
    evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    names = ("comparison.tif", "comparison.gpkg", "evaluation.json")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    corner = geopandas.GeoDataFrame(geometry=[pixels_box(0, 0, 4, 4)], crs=scene.grid.crs)  # without image
    corner.to_file(tmp_path / "corner.gpkg")
    with pytest.raises(InputError, match="no pixel is both mapped and of known label in the area that is scored"):
        evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG, within=tmp_path / "corner.gpkg")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == before


def test_scores_never_stand_beside_the_raster_of_another_comparison(scene, tmp_path, monkeypatch):
    evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG)
    monkeypatch.setattr("landslip.mapping.compare.write_geopackage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate_scene(MODEL, scene, tmp_path / "out", CONFIG, held_out=np.arange(80) > np.zeros((60, 1)) + 40)
    assert not (tmp_path / "out" / "evaluation.json").exists()


def test_landslides_that_somebody_edited_are_told_before_they_are_scored(scene, tmp_path, caplog):
    result = map_scene(MODEL, scene, tmp_path / "map", CONFIG)
    before = compare_map(result, scene, tmp_path / "a")
    assert not caplog.text
    path = tmp_path / "map" / "landslides.gpkg"
    kept = geopandas.read_file(path, layer="landslides").iloc[:1]
    path.unlink()
    kept.to_file(path, layer="landslides")
    after = compare_map(result, scene, tmp_path / "b")
    assert (
        "landslides.gpkg: was changed since it was mapped, so the scores 'as mapped' are of the changed" in caplog.text
    )
    assert after.pixels != before.pixels
    assert after.raw == before.raw


def interrupt(*_arguments):
    raise KeyboardInterrupt
