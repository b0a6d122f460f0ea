"""Images matched to the training pixels: what a factor and an offset cannot change any more."""

import dataclasses

import numpy as np
import pytest
import torch

from helpers.maps import LAYERS, member_of_matched, recipe, scene_layers, write_scene
from landslip.data.matching import Matching, match_tiles, matched_layers
from landslip.errors import InputError, LayerError
from landslip.mapping.config import PredictConfig
from landslip.mapping.run import predict_scene

MATCHED = recipe().model_copy(update={"matched": True})


def tiles(seed=0):
    rng = np.random.default_rng(seed)
    image = rng.gamma(4, 0.03, (3, 3, 16, 16)).astype(np.float32)
    image[:, 2] *= 100
    image[0, 0, :4] = np.nan
    return image


def test_each_tile_gets_the_training_pixels_mean_and_deviation():
    image = tiles()
    before = image.copy()
    matched = match_tiles(image, MATCHED)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(np.isnan(matched), np.isnan(image))
    np.testing.assert_allclose(np.nanmean(matched[:, :2], axis=(2, 3)), 0.15, rtol=1e-5)
    np.testing.assert_allclose(np.nanstd(matched[:, :2], axis=(2, 3)), 0.05, rtol=1e-5)
    np.testing.assert_array_equal(matched[:, 2], image[:, 2])  # slope is no image
    assert match_tiles(image, recipe()) is image


def test_a_tiles_own_scale_and_haze_do_not_matter():
    image = tiles()
    other = image.copy()
    other[:, 0] = 3 * other[:, 0] + 0.4
    other[:, 1] = 0.2 * other[:, 1] - 0.01
    np.testing.assert_allclose(match_tiles(other, MATCHED), match_tiles(image, MATCHED), rtol=1e-4, atol=1e-5)


def test_a_constant_tile_becomes_the_training_mean():
    image = np.full((1, 3, 8, 8), 0.07, np.float32)
    np.testing.assert_allclose(match_tiles(image, MATCHED)[0, :2], 0.15, rtol=1e-6)
    empty = np.full((1, 3, 8, 8), np.nan, np.float32)
    assert np.isnan(match_tiles(empty, MATCHED)).all()


def test_in_pieces_as_in_one():
    scene = {name: layer.astype(np.float32) for name, layer in scene_layers((60, 50)).items()}
    whole = Matching.of(MATCHED, [scene], where="scene")
    pieces = [{name: layer[rows] for name, layer in scene.items()} for rows in (slice(0, 7), slice(7, 60))]
    for name, terms in Matching.of(MATCHED, pieces, where="scene").terms.items():
        np.testing.assert_allclose(terms, whole.terms[name], rtol=1e-9)
    assert set(whole.terms) == {"red", "green"}
    nothing = {name: np.full((4, 4), np.nan, np.float32) for name in LAYERS}
    with pytest.raises(InputError, match="scene: no valid pixel in red; nothing can be mapped"):
        Matching.of(MATCHED, [nothing], where="scene")


def test_a_scene_under_another_sun_gives_the_same_map(tmp_path):
    layers = scene_layers((90, 70))
    layers["red"][5:9, 5:9] = np.nan
    hazy = dict(layers, red=0.5 * layers["red"] + 0.1, green=1.7 * layers["green"])
    config = PredictConfig(tile=32, overlap=8, batch=4, device="cpu", precision="float32")
    maps = {}
    for matched in (True, False):
        model = member_of_matched(matched)
        for name, content in (("clear", layers), ("hazy", hazy)):
            scene = write_scene(tmp_path / f"{name}-{matched}", content)
            path = predict_scene(model, scene, tmp_path / f"out-{name}-{matched}", **config_options(config))
            maps[name, matched] = read(path)
    np.testing.assert_allclose(maps["hazy", True], maps["clear", True], atol=1e-4)
    assert np.nanmax(abs(maps["hazy", False] - maps["clear", False])) > 0.01
    assert np.isnan(maps["hazy", True][5:9, 5:9]).all()


def config_options(config):
    return {name: getattr(config, name) for name in ("tile", "overlap", "batch", "device", "precision")}


def read(path):
    import rasterio

    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_what_cannot_be_matched_is_refused():
    means = MATCHED.model_copy(update={"layers": ("red", "red_obj")})
    with pytest.raises(LayerError, match="layer 'red_obj' is a mean over objects; it cannot be matched"):
        matched_layers(means)
    with pytest.raises(LayerError, match="match_images: no image layer is among the layers"):
        matched_layers(MATCHED.model_copy(update={"layers": ("slope",)}))
    assert matched_layers(recipe()) == ()


def test_training_and_prediction_match_alike(tmp_path):
    from helpers.training_tiles import make_tiles
    from landslip.bundle import Bundle
    from landslip.training import TrainConfig, fit, predict_tiles

    made = make_tiles()
    torch.manual_seed(0)
    bundle = fit(made, TrainConfig(model_options={"width": 2}, epochs=1, batch=4, match_images=True), tmp_path / "run")
    assert Bundle.load(tmp_path / "run").recipe.matched
    names = matched_layers(bundle.recipe)
    image = made.image.copy()
    for name in names:
        image[:, made.layers.index(name)] *= 2.5
    brighter = dataclasses.replace(made, image=image)
    np.testing.assert_allclose(predict_tiles(bundle, brighter), predict_tiles(bundle, made), atol=0.01)
