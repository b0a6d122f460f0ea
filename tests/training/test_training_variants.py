"""Test-time variants of tiles: a network sees them flipped and turned, and its answers are averaged."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training_tiles import make_tiles
from landslip.data.augment import VARIANTS, inverse, turn
from landslip.data.standardise import with_recipe
from landslip.errors import LayerError
from landslip.models import build_model
from landslip.training import predict_tiles


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("unet", 3, width=4)


def turned(tiles, element):
    return replace(tiles, image=np.ascontiguousarray(turn(tiles.image, element)))


@pytest.mark.parametrize("variants", ["flips", "d4"])
def test_variants_are_the_mean_over_tiles_turned_there_and_back(model, tiles, variants):
    tiles = with_recipe(tiles)
    each = [
        turn(predict_tiles(model, turned(tiles, element), precision="float32"), inverse(element))
        for element in VARIANTS[variants]
    ]
    found = predict_tiles(model, tiles, variants=variants, precision="float32")
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(found - each[0]).max() > 1e-4  # of this network they are not all alike


def test_with_all_eight_what_comes_out_turns_with_the_tile(model, tiles):
    tiles = with_recipe(tiles)
    found = predict_tiles(model, tiles, variants="d4", precision="float32")
    again = predict_tiles(model, turned(tiles, 1), variants="d4", precision="float32")
    np.testing.assert_allclose(again, turn(found, 1), atol=1e-5)


class East(nn.Module):
    """Answers from the first layer, the east component of a direction."""

    def forward(self, image):
        return image[:, :1]


def test_directions_turn_as_vectors():
    tiles = make_tiles(layers=("aspect_sin", "aspect_cos"))
    image = np.empty_like(tiles.image)
    image[:, 0], image[:, 1] = 0.6, 0.8
    tiles = with_recipe(replace(tiles, image=image))
    same = {name: one.model_copy(update={"mean": 0.0, "std": 1.0}) for name, one in tiles.recipe.statistics.items()}
    tiles = tiles.with_recipe(tiles.recipe.model_copy(update={"statistics": same}))
    found = predict_tiles(East(), tiles, variants="d4", precision="float32")
    # the direction goes to all eight images of (0.6, 0.8): the mean of the sigmoids of ±0.6 and ±0.8 is one half
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_layers_that_cannot_be_turned_are_refused(model):
    tiles = with_recipe(make_tiles(layers=("blue", "green", "hillshade")))
    with pytest.raises(LayerError, match=r'layer \'hillshade\' cannot be flipped or turned.*set variants = "none"'):
        predict_tiles(model, tiles, variants="flips")
