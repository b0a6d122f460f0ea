"""Object layers over a whole scene: the objects are those of the scene, whatever the windows."""

import numpy as np
import pytest

from helpers.maps import STATISTICS, Pixelwise, scene_layers, write_scene
from landslip.layers.build import build_layers
from landslip.mapping.config import PredictConfig
from landslip.mapping.prepare import prepare
from landslip.mapping.probability.network import Member
from landslip.mapping.probability.objects import ObjectMeans
from landslip.mapping.probability.parts import Parts
from landslip.mapping.run import predict_scene
from landslip.recipe import ObjectRecipe, Recipe

OBJECTS = ObjectRecipe(inputs=("red", "green"), low=(0.0, 0.0), high=(0.3, 0.3), scale=20.0)
LAYERS = ("red", "red_obj", "slope_obj")


@pytest.fixture(scope="module")
def member():
    statistics = {name: STATISTICS[name.removesuffix("_obj")] for name in LAYERS}
    return Member("run", Pixelwise(), Recipe(layers=LAYERS, statistics=statistics, objects=OBJECTS), 0.5, "x")


def test_layers_by_window_are_those_of_the_whole_scene(tmp_path, member):
    layers = scene_layers((600, 90))
    layers["red"][100:110, 20:30] = np.nan
    scene = write_scene(tmp_path / "scene", layers)
    prepared = prepare([member], scene, PredictConfig(tile=32, overlap=8, device="cpu"))
    parts = Parts(tmp_path / "out", prepared.identity(), resume=False)
    source = prepared.with_objects(parts.folder).prediction.sources[0]
    whole = build_layers(layers, member.recipe)
    found = source.read(scene.grid.window)
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    assert source.objects.count > 10
    # a second time the labels are taken from where they were left
    stamp = source.objects.path.stat().st_mtime_ns
    again = prepared.with_objects(parts.folder).prediction.sources[0]
    assert again.objects.path.stat().st_mtime_ns == stamp


def test_a_map_with_object_layers_leaves_nothing_behind(tmp_path, member):
    scene = write_scene(tmp_path / "scene", scene_layers((80, 70)))
    path = predict_scene(member, scene, tmp_path / "out", tile=32, overlap=8, device="cpu", precision="float32")
    assert sorted(p.name for p in path.parent.iterdir()) == ["probability.tif"]


def test_means_by_window_are_means_of_the_whole():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, (50, 40)).astype(np.int32)
    values = rng.random((50, 40)).astype(np.float32)
    values[labels == 3] = np.nan
    values[5, 5] = np.nan
    sums = ObjectMeans(8)
    for rows in (slice(0, 17), slice(17, 50)):
        sums.add(labels[rows], values[rows])
    means = sums.means()
    assert np.isnan(means[[0, 3]]).all()
    for label in (1, 2, 4, 5, 6, 7, 8):
        assert means[label] == pytest.approx(np.nanmean(values[labels == label].astype(float)), rel=1e-6)
