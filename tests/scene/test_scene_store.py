"""Opening scenes: what is there, and one line for what is not."""

from __future__ import annotations

import json
import pickle

import matplotlib.image
import numpy as np
import pytest

from helpers.scene_inputs import write_polygons
from landslip.errors import FormatError, InputError, LayerError, MissingInputError
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.describe import describe_scene, in_words
from landslip.scene.quicklook import draw_quicklook, quicklook
from landslip.scene.store import Scene
from landslip.windows import Window


@pytest.fixture
def scene(tmp_path, image, dem) -> Scene:
    slides = write_polygons(tmp_path / "slides.gpkg", [(20, 20, 60, 50)])
    extent = write_polygons(tmp_path / "extent.gpkg", [(0, 0, 90, 90)])
    config = SceneConfig(images=(str(image),), dem=(str(dem),), inventory=str(slides), aoi=str(extent))
    return build_scene(config, tmp_path / "scene")


def test_layers_come_in_the_order_asked_for_and_by_window(scene):
    whole = scene.read(["slope", "red"])
    window = Window(13, 20, 31, 17)
    np.testing.assert_array_equal(scene.read(["red", "slope"], window), whole[::-1][:, *window.slices])
    assert whole.dtype == np.float32


def test_a_scene_travels_to_another_process(scene):
    scene.inventory()
    copy = pickle.loads(pickle.dumps(scene))
    assert copy.grid == scene.grid
    np.testing.assert_array_equal(copy.read(["red"]), scene.read(["red"]))


def test_slope_of_the_tilted_plane(scene):
    slope = scene.read(["slope"])[0]
    expected = np.degrees(np.arctan(np.hypot(3 / 30, 2 / 30)))
    np.testing.assert_allclose(slope, expected, atol=0.02)


def test_unknown_layer_and_source(scene):
    with pytest.raises(LayerError, match=r"no layer 'ndvi'; it has: blue, green, red, nir, elevation, slope"):
        scene.read(["ndvi"])
    with pytest.raises(LayerError, match=r"no layer 'pre_red'; build it with --pre"):
        scene.read(["pre_red"])
    with pytest.raises(LayerError, match=r"no source 'pre'; it has: image, dem"):
        scene.validity("pre")


def test_scene_without_inventory(tmp_path, image):
    scene = build_scene(SceneConfig(images=(str(image),)), tmp_path / "scene")
    assert scene.labels() is None
    assert scene.inventory() is None
    with pytest.raises(LayerError, match="no inventory; build it with --inventory"):
        scene.landslides()


def test_missing_unfinished_damaged_and_newer_scenes(scene, tmp_path):
    with pytest.raises(MissingInputError, match="no such scene; check the path"):
        Scene.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match=r"not a finished scene \(no scene\.json in it\)"):
        Scene.open(tmp_path / "empty")
    info = json.loads((scene.path / "scene.json").read_text())
    (scene.path / "scene.json").write_text(json.dumps(info | {"format": 99}))
    with pytest.raises(FormatError, match="written in format 99, this version reads up to 1; upgrade landslip"):
        Scene.open(scene.path)
    (scene.path / "scene.json").write_text(json.dumps(info | {"layers": ["red"]}))
    with pytest.raises(FormatError, match=r"bands\.tif does not fit scene\.json"):
        Scene.open(scene.path)
    (scene.path / "scene.json").write_text(json.dumps({k: v for k, v in info.items() if k != "grid"}))
    with pytest.raises(FormatError, match="no 'grid' entry; the scene is damaged"):
        Scene.open(scene.path)
    (scene.path / "scene.json").write_text(json.dumps(info))
    (scene.path / "labels.tif").unlink()
    with pytest.raises(FormatError, match=r"labels\.tif is missing; the scene is damaged, build it again"):
        Scene.open(scene.path)


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        ({"grid": 3}, "grid"),
        ({"grid": {"shape": [2, 2], "transform": "x", "crs": "EPSG:32654"}}, "grid"),
        ({"grid": {"shape": [2, 2], "transform": [1, 0, 0, 0, -1, 0], "crs": "x"}}, "grid"),
        ({"layers": 3}, "layers"),
        ({"dates": 1}, "dates"),
        ({"inventory": 1}, "inventory"),
        ({"validity": 1}, "validity"),
    ],
)
def test_entries_of_the_wrong_kind(scene, change, entry):
    info = json.loads((scene.path / "scene.json").read_text())
    (scene.path / "scene.json").write_text(json.dumps(info | change))
    with pytest.raises(FormatError, match=rf"the entry '{entry}' is wrong; the scene is damaged, build it again"):
        Scene.open(scene.path)


def test_pixels_that_cannot_be_read_for_the_description(scene):
    with (scene.path / "bands.tif").open("r+b") as file:
        size = file.seek(0, 2)
        file.truncate(size // 2)
    with pytest.raises(InputError, match=r"bands\.tif: .*damaged"):
        describe_scene(scene)


def test_description_has_the_numbers_of_the_pixels(scene):
    content = describe_scene(scene)
    red = scene.read(["red"])[0]
    assert content["statistics"]["red"]["mean"] == pytest.approx(red.mean(), rel=1e-4)
    assert content["statistics"]["red"]["p99"] == pytest.approx(np.percentile(red, 99), rel=1e-3)
    assert content["area_km2"] == pytest.approx(0.9216)
    assert content["inventory"]["prevalence"] == pytest.approx(1200 / 8100, abs=1e-5)
    words = in_words(content)
    assert "96 x 96 pixels of 10 m" in words
    assert "1 landslide, 14.81 % of 8100 labelled pixels (extent.gpkg)" in words
    assert "simulated" not in words
    assert "simulated  yes: scores on it say nothing" in in_words(content | {"simulated": True})
    json.dumps(content, allow_nan=False)


def test_quicklook_shows_outlines_and_what_is_unknown(scene, tmp_path):
    picture = quicklook(scene)
    assert picture.shape == (96, 96, 3)
    assert picture[20, 30] == pytest.approx((1.0, 0.85, 0.0))  # edge of the landslide
    assert picture[35, 40] != pytest.approx((1.0, 0.85, 0.0))  # its inside
    assert picture[:90, :90].mean() > 1.2 * picture[92:, 92:].mean()  # unknown is dimmed
    draw_quicklook(scene, tmp_path / "look.png")
    stored = matplotlib.image.imread(tmp_path / "look.png")[..., :3]
    np.testing.assert_allclose(stored, picture, atol=0.5 / 255 + 1e-6)
