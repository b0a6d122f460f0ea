"""From raw inputs through scene and study to a map, as one user types it: what is refused, in which words.

What a single command refuses by itself is tested with that command (images and elevation in
``tests/scene/test_scene_bad_inputs.py``); here are the refusals that need what an earlier command made.
"""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from helpers.scene_inputs import NORTH, UTM, WEST, grid_of, write_dem, write_image, write_polygons
from landslip.scene.store import Scene

BOXES = [(col, row, col + 6, row + 5) for row in range(5, 90, 14) for col in range(4, 90, 12)]
"""Landslides all over the scene, in pixels."""

SPLIT = """
[split]
tile = 32
block_tiles = 1
buffer_px = 0
"""

TRAIN = """
[train]
epochs = 1
batch = 4
precision = "float32"
device = "cpu"
"""

OPTIONS = """
[model_options.unet]
width = 4
[model_options.resunet34]
decoder = [8, 8, 4, 4, 4]
"""


@pytest.fixture
def refused(landslip):
    """The one line with which a call ends."""

    def call(*words) -> str:
        code, out, err = landslip(*words, "--quiet")
        assert (code, out) == (1, ""), err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err.removeprefix("error: ").strip()

    return call


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder with an image of the three visible bands, elevation and an inventory."""
    folder = tmp_path_factory.mktemp("raw")
    write_image(folder / "post", bands=("blue", "green", "red"))
    write_dem(folder / "dem.tif")
    write_polygons(folder / "slides.gpkg", BOXES)
    return folder


def inputs(raw, inventory=None) -> list[Path | str]:
    return [raw / "post", "--dem", raw / "dem.tif", "--inventory", inventory or raw / "slides.gpkg"]


@pytest.fixture
def scene(landslip, raw, tmp_path):
    code, _, err = landslip("scene", *inputs(raw), "--out", tmp_path / "scene", "--quiet")
    assert (code, err) == (0, "")
    return tmp_path / "scene"


def study(folder: Path, scene: Path, *, top: str = "", split: str = SPLIT, train: str = "") -> Path:
    path = folder / "study.toml"
    head = f'only = ["unet"]\nforest = false\nseeds = [0]\n{top}\n[data]\nscene = "{scene}"\n'
    path.write_text(f"{head}{split}{TRAIN}{train}{OPTIONS}")
    return path


def saved(path: Path, shapes, crs=UTM) -> Path:
    geopandas.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=crs).to_file(path)
    return path


def square(left: float, top: float, edge: float) -> shapely.Polygon:
    x, y = WEST + 10 * left, NORTH - 10 * top
    return shapely.box(x, y - 10 * edge, x + 10 * edge, y)


BOW_TIE = shapely.Polygon([(WEST + dx, NORTH - dy) for dx, dy in ((300, 300), (500, 500), (500, 300), (300, 500))])
LINE = shapely.Polygon([(WEST + 100, NORTH - 100), (WEST + 300, NORTH - 300), (WEST + 100, NORTH - 100)])


# --- inventories ------------------------------------------------------------------------------------------


def test_inventory_without_a_crs(refused, raw, tmp_path):
    path = saved(tmp_path / "bare.shp", [square(10, 10, 5)])
    path.with_suffix(".prj").unlink()
    line = refused("scene", *inputs(raw, path), "--out", tmp_path / "scene")
    assert line.startswith(f"{path}: the inventory has no coordinate reference system; assign the right one (ogr2ogr")


def test_inventory_of_empty_geometries_alone(refused, raw, tmp_path):
    path = saved(tmp_path / "empty.gpkg", [shapely.Polygon(), None])
    line = refused("scene", *inputs(raw, path), "--out", tmp_path / "scene")
    assert line == f"{path}: 2 features have empty geometries; give the inventory that has the polygons"


def test_inventory_of_polygons_without_an_area_alone(refused, raw, tmp_path):
    path = saved(tmp_path / "lines.gpkg", [LINE])
    line = refused("scene", *inputs(raw, path), "--out", tmp_path / "scene")
    assert line.startswith(f"{path}: no polygon in the scene encloses an area, all are slivers; give")


def test_inventory_with_some_empty_and_invalid_geometries_is_put_in_order_and_said(landslip, raw, tmp_path):
    path = saved(tmp_path / "some.gpkg", [square(10, 10, 5), shapely.Polygon(), None, BOW_TIE])
    code, _, err = landslip("scene", *inputs(raw, path), "--out", tmp_path / "scene")
    assert code == 0
    assert "some.gpkg: 3 landslides from 4 features. 2 without a geometry dropped. 1 with invalid rings repaired" in (
        " ".join(err.split())
    )
    assert len(Scene.open(tmp_path / "scene").inventory()) == 3  # the bow tie has two lobes


def test_inventory_in_an_encoding_that_it_does_not_state(landslip, refused, raw, tmp_path):
    path = tmp_path / "japan.shp"
    frame = geopandas.GeoDataFrame({"place": ["厚真町"]}, geometry=[square(10, 10, 5)], crs=UTM)
    frame.to_file(path, encoding="CP932")
    path.with_suffix(".cpg").write_text("UTF-8")
    line = refused("scene", *inputs(raw, path), "--out", tmp_path / "scene")
    assert "attributes are not readable as utf-8; give their encoding (--inventory-encoding, or a .cpg file" in line
    path.with_suffix(".cpg").unlink()
    words = ("scene", *inputs(raw, path), "--out", tmp_path / "scene", "--inventory-encoding", "CP932", "--quiet")
    assert landslip(*words) == (0, "", "")
    assert Scene.open(tmp_path / "scene").inventory()["place"].tolist() == ["厚真町"]


# --- elevation --------------------------------------------------------------------------------------------


def test_partial_elevation_that_is_allowed_is_invalid_elsewhere_with_a_warning(landslip, raw, tmp_path):
    dem = write_dem(tmp_path / "half.tif", grid_of(96, 48), margin=0)
    words = ["scene", raw / "post", "--dem", dem, "--out", tmp_path / "scene", "--allow-partial-dem"]
    code, _, err = landslip(*words)
    assert code == 0
    assert "half.tif: the elevation model covers 50 % of the scene; terrain layers are invalid elsewhere" in err
    scene = Scene.open(tmp_path / "scene")
    valid = scene.validity("dem")
    assert valid[2:-2, 2:44].all()
    assert not valid[:, 52:].any()
    np.testing.assert_array_equal(np.isnan(scene.read(["slope"])[0]), ~valid)
    assert np.isfinite(scene.read(["red"])).all()


# --- studies ----------------------------------------------------------------------------------------------


def test_scene_without_a_landslide_in_training(landslip, refused, raw, tmp_path):
    east = [box for box in BOXES if box[0] > 70]
    path = write_polygons(tmp_path / "east.gpkg", east)
    assert landslip("scene", *inputs(raw, path), "--out", tmp_path / "scene", "--quiet")[0] == 0
    line = refused("study", study(tmp_path, tmp_path / "scene"), "--out", tmp_path / "study")
    assert line.startswith("the scene: not a single landslide in the training part; choose another test_side")


def test_layer_that_the_scene_has_not(refused, scene, tmp_path):
    config = study(tmp_path, scene, top='layers = ["red", "nir"]')
    line = refused("study", config, "--out", tmp_path / "study")
    assert line == f"layer 'nir' needs nir, which the scene {scene} does not have; take it out of the layers"


@pytest.mark.parametrize(
    ("train", "top", "message"),
    [
        ("epoch = 3\n", "", "[train]: unknown key 'epoch'; did you mean 'epochs'?"),
        ("batch = 0\n", "", "[train]: 'batch': input should be greater than or equal to 1"),
        ("", 'layers = ["red", "nir"]\n', "layer 'nir' needs nir"),
    ],
)
def test_a_study_that_cannot_be_leaves_nothing_to_clear_away(refused, scene, tmp_path, train, top, message):
    config = study(tmp_path, scene, top=top)
    text = config.read_text().replace("batch = 4\n", "") if train.startswith("batch") else config.read_text()
    config.write_text(text.replace("[train]\n", f"[train]\n{train}"))
    assert message in refused("study", config, "--out", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_tiles_that_could_not_be_written_are_not_made(refused, scene, tmp_path, monkeypatch):
    monkeypatch.setattr("landslip.study.single.prepare_tiles", lambda *_, **__: pytest.fail("tiles were made"))
    (tmp_path / "file").write_text("")
    for option, place in (("--out", "file/tiles.npz"), ("--chips", "file/chips")):
        line = refused("prepare", scene, "--layers", "red", option, tmp_path / place)
        assert line == f"{tmp_path}/file: is a file, not a folder; choose another --out"


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_layer_to_train_on_that_the_scene_has_not(refused, scene, tmp_path, command):
    config = tmp_path / "train.toml"
    config.write_text(f'[data]\nscene = "{scene}"\n{SPLIT}{TRAIN}layers = ["red", "hillshade"]\n')
    words = {
        "train": (config, "--out", tmp_path / "run"),
        "prepare": (scene, "--layers", "red,hillshade", "--out", tmp_path / "tiles.npz"),
    }
    line = refused(command, *words[command])
    assert line == "layer 'hillshade' needs hillshade, which the scene does not have; take it out of the layers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene", "train.toml"]


def test_scores_on_ground_that_the_run_was_trained_on_are_warned_of(landslip, scene, tmp_path):
    config, run = tmp_path / "train.toml", tmp_path / "run"
    model = 'layers = ["red", "slope"]\nmodel_options = { width = 2 }\n'
    config.write_text(f'[data]\nscene = "{scene}"\n{SPLIT}{TRAIN}{model}')
    assert landslip("train", config, "--out", run, "--quiet") == (0, "", "")
    words = ["evaluate", run, "--scene", scene, "--out"]
    code, _, err = landslip(*words, tmp_path / "all")
    assert code == 0
    assert "the run was trained on ground of this scene (scene), so scores over all of it read too well" in err
    east = saved(tmp_path / "east.gpkg", [square(48, 0, 48)])
    code, _, err = landslip(*words, tmp_path / "east", "--within", east)
    assert code == 0
    assert "read too well" not in err


def test_an_event_is_not_written_into_a_scene(landslip, scene):
    code, _, err = landslip("simulate", "--out", scene, "--size", 128)
    assert code == 1
    assert err == f"error: {scene}: holds a finished scene, which this would spoil; choose another --out\n"


def test_options_that_have_no_effect_are_wrong_usage(landslip, tmp_path):
    code, _, err = landslip("evaluate", tmp_path, "--scene", tmp_path, "--out", tmp_path / "o", "--region", 1)
    assert code == 2
    assert "--region has no effect with --scene; leave it out" in " ".join(err.split())
    code, _, err = landslip("evaluate", tmp_path, "--patches", tmp_path, "--within", tmp_path / "w.gpkg")
    assert code == 2
    assert "--within or --outside has no effect with --patches; leave it out" in " ".join(err.split())


def test_layer_of_a_trained_run_that_the_scene_has_not(landslip, refused, scene, raw, tmp_path):
    image, rich = write_image(tmp_path / "four"), tmp_path / "rich"
    words = ["scene", image, *inputs(raw)[1:], "--out", rich, "--quiet"]
    assert landslip(*words) == (0, "", "")
    config = tmp_path / "train.toml"
    config.write_text(f'[data]\nscene = "{rich}"\n{SPLIT}{TRAIN}model_options = {{ width = 4 }}\n')
    assert landslip("train", config, "--out", tmp_path / "run", "--quiet") == (0, "", "")
    line = refused("map", tmp_path / "run", scene, "--out", tmp_path / "map")
    assert line.startswith(f"layer 'nir' needs nir, which the scene {scene} does not have; the model was trained with")
    assert line.endswith("build the scene with it, or take a run that was trained without")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            "freeze_encoder = true\n",
            "row 'resunet34': freeze_encoder needs weights: give weights = \"imagenet\" or a weights file",
        ),
        (
            'weights = "absent.safetensors"\n',
            "row 'resunet34': absent.safetensors: no such weights file; check the path",
        ),
        (
            'weights = "imagenet"\n',
            "row 'resunet34': weights 'imagenet' of resnet34 cannot be downloaded (ConnectionError",
        ),
    ],
)
def test_weights_that_cannot_be_had_are_said_before_the_first_training(
    refused, scene, tmp_path, monkeypatch, train, message
):
    def offline(*_arguments, **_named):
        text = "no route to host"
        raise ConnectionError(text)

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", offline)
    config = study(tmp_path, scene, train=train)
    config.write_text(config.read_text().replace('["unet"]', '["unet", "resunet34"]'))
    line = refused("study", config, "--out", tmp_path / "study")
    assert line.startswith(message)
    assert not (tmp_path / "study").exists()  # so that it can be put right and begun again


def test_tile_size_that_is_no_multiple_of_32(refused, scene, tmp_path):
    config = study(tmp_path, scene, split="[split]\ntile = 100\n")
    line = refused("study", config, "--out", tmp_path / "study")
    assert line == f"{config}: 'split': tile size 100 is not a multiple of 32; take 96"


@pytest.mark.parametrize("command", ["study", "train", "simulate", "prepare", "map"])
def test_unknown_key_names_the_nearest_known_one(refused, command, tmp_path):
    config = tmp_path / "c.toml"
    words = {
        "study": ('[data]\nscene = "s"\nscnes = []\n', [config], "'data.scnes'; did you mean 'scenes'?"),
        "train": ('[data]\nscene = "s"\n[train]\nlerning_rate = 1\n', [config], "'train.lerning_rate'; did you mean"),
        "simulate": ("relief = 3\n", ["--config", config], "'relief'; did you mean 'relief_m'?"),
        "prepare": ("[split]\nbufer_px = 3\n", [tmp_path, "--config", config], "'split.bufer_px'; did you mean"),
        "map": ("[polygons]\nmin_area = 3\n", ["r", "s", "--config", config], "did you mean 'min_area_m2'?"),
    }
    text, arguments, message = words[command]
    config.write_text(text)
    line = refused(command, *arguments, "--out", tmp_path / "out.npz")
    assert line.startswith(f"{config}: unknown key ")
    assert message in line


def test_interrupted_study_goes_on_with_resume_to_the_same_table(landslip, refused, scene, tmp_path, monkeypatch):
    import landslip.study.study as module

    config = study(tmp_path, scene)
    config.write_text(config.read_text().replace("seeds = [0]", "seeds = [0, 1]"))
    assert landslip("study", config, "--out", tmp_path / "whole", "--quiet") == (0, "", "")

    execute, done = module.execute, []

    def interrupted(*arguments, **named):
        if done:
            raise KeyboardInterrupt
        done.append(execute(*arguments, **named))
        return done[-1]

    monkeypatch.setattr(module, "execute", interrupted)
    code, _, err = landslip("study", config, "--out", tmp_path / "cut", "--quiet")
    assert (code, err.count("\n")) == (130, 1)
    assert "run the same command with --resume" in err
    monkeypatch.setattr(module, "execute", execute)
    assert not (tmp_path / "cut" / "study.json").exists()
    first = tmp_path / "cut/runs/unet/seed0/model.safetensors"
    before = first.stat().st_mtime_ns
    line = refused("study", config, "--out", tmp_path / "cut")
    assert line == f"{tmp_path / 'cut'}: holds a study already; go on with it by --resume, or choose another --out"
    assert landslip("study", config, "--out", tmp_path / "cut", "--resume", "--quiet") == (0, "", "")
    assert first.stat().st_mtime_ns == before
    for name in ("table.csv", "table.md", "runs/unet/seed1/model.safetensors", "runs/unet/seed1/predictions.npz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert (tmp_path / "cut" / "report.html").exists()
