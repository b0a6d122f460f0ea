"""A recipe is fitted on training pixels and followed anywhere."""

import json

import numpy as np
import pytest

from landslip.errors import InputError, LayerError
from landslip.layers.build import build_layers, segment_objects, stored_bands
from landslip.layers.fit import ObjectOptions, fit_recipe
from landslip.layers.stack import as_patches, as_raster, patch_regions
from landslip.recipe import Recipe

LAYERS = ("blue", "green", "red", "ngrdi", "slope", "red_obj", "slope_obj")


def scene(seed: int = 0, rows: int = 48, cols: int = 64) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Bright square landslides on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    landslides = np.zeros((rows, cols), np.int32)
    for number, (row, col) in enumerate([(4, 4), (20, 10), (33, 24), (8, 40), (28, 50)], start=1):
        landslides[row : row + 7, col : col + 6] = number
    ground = 0.05 + 0.004 * rng.standard_normal((4, rows, cols)).astype(np.float32)
    ground[:3] += np.where(landslides > 0, np.float32(0.1), np.float32(0))
    names = ("blue", "green", "red", "slope")
    return {name: ground[i].astype(np.float32) for i, name in enumerate(names)}, landslides


def left_half(shape: tuple[int, int]) -> np.ndarray:
    training = np.zeros(shape, bool)
    training[:, : shape[1] // 2] = True
    return training


def test_nothing_outside_training_touches_the_recipe() -> None:
    bands, landslides = scene()
    training = left_half(landslides.shape)
    regions = np.where(training, 1, 2).astype(np.int32)
    clean = fit_recipe(bands, LAYERS, training=training, landslides=landslides, regions=regions)
    poisoned = {name: np.where(training, layer, np.float32(7e3)) for name, layer in bands.items()}
    poisoned["red"][~training] = np.nan
    other = fit_recipe(
        poisoned,
        LAYERS,
        training=training,
        landslides=np.where(training, landslides, 99),
        regions=regions,
    )
    assert json.dumps(clean.recipe.to_dict()) == json.dumps(other.recipe.to_dict())
    assert clean.image[:, training].tobytes() == other.image[:, training].tobytes()


def test_statistics_standardise_the_training_pixels() -> None:
    bands, landslides = scene()
    training = left_half(landslides.shape)
    fitted = fit_recipe(bands, ("red", "ngrdi"), training=training, landslides=landslides)
    for layer, mean, std in zip(fitted.image, fitted.recipe.mean, fitted.recipe.std, strict=True):
        scaled = (layer[training] - mean) / std
        assert scaled.mean() == pytest.approx(0, abs=1e-4)
        assert scaled.std() == pytest.approx(1, abs=1e-4)


def test_object_means_are_constant_on_objects_and_recover_the_landslides() -> None:
    bands, landslides = scene()
    fitted = fit_recipe(bands, LAYERS, training=left_half(landslides.shape), landslides=landslides)
    assert fitted.recipe.objects is not None
    assert fitted.recipe.objects.chosen_by == "fitness"
    red_obj = fitted.image[LAYERS.index("red_obj")]
    inside, outside = red_obj[landslides > 0], red_obj[landslides == 0]
    assert inside.min() > outside.max()
    table = segment_objects(bands, fitted.recipe.objects, ["red"])
    for label in np.unique(table.labels):
        here = table.labels == label
        assert np.ptp(red_obj[here]) == 0
        assert red_obj[here][0] == pytest.approx(bands["red"][here].mean(), rel=1e-5)


def test_a_recipe_survives_json_and_rebuilds_the_same_layers() -> None:
    bands, landslides = scene()
    fitted = fit_recipe(bands, LAYERS, training=left_half(landslides.shape), landslides=landslides)
    again = Recipe.from_dict(json.loads(json.dumps(fitted.recipe.to_dict())))
    assert again == fitted.recipe
    assert build_layers(bands, again).tobytes() == build_layers(bands, fitted.recipe).tobytes()


def test_a_window_with_the_whole_scenes_objects_equals_the_scene_cropped() -> None:
    bands, landslides = scene()
    recipe = fit_recipe(bands, LAYERS, training=left_half(landslides.shape), landslides=landslides).recipe
    assert recipe.objects is not None
    whole = build_layers(bands, recipe)
    table = segment_objects(bands, recipe.objects, ["red", "slope"])
    window = np.s_[5:30, 7:41]
    part = build_layers(
        {name: layer[window] for name, layer in bands.items()},
        recipe,
        objects=type(table)(table.labels[window], table.means),
    )
    assert part.tobytes() == whole[:, *window].tobytes()


def test_objects_never_cross_patches() -> None:
    bands, _ = scene(rows=64, cols=32)
    patches = {name: as_patches(layer, 32) for name, layer in bands.items()}
    recipe = fit_recipe(
        bands,
        ("red_obj",),
        training=np.ones((64, 32), bool),
        landslides=np.ones((64, 32), np.int32),
        regions=patch_regions(2, 32, 32),
        options=ObjectOptions(scale=20.0),
    ).recipe
    both = build_layers(bands, recipe, regions=patch_regions(2, 32, 32))
    for number in range(2):
        alone = build_layers({name: layer[number] for name, layer in patches.items()}, recipe)
        assert alone.tobytes() == as_patches(both, 32)[number].tobytes()


def test_stacking_is_undone() -> None:
    patches = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    assert (as_patches(as_raster(patches), 4) == patches).all()
    several = np.stack([as_raster(patches), as_raster(patches) + 1])
    assert (as_patches(several, 4)[:, 1] == patches + 1).all()


def test_invalid_input_pixels_are_invalid_in_object_layers() -> None:
    bands, landslides = scene()
    bands["blue"][10, 12] = np.nan
    fitted = fit_recipe(bands, ("slope", "slope_obj"), training=left_half(landslides.shape), landslides=landslides)
    assert np.isfinite(fitted.image[0]).all()
    assert np.isnan(fitted.image[1]).sum() == 1
    assert np.isnan(fitted.image[1, 10, 12])


def test_recipe_reads_the_bands_of_its_segmentation_too() -> None:
    bands, landslides = scene()
    recipe = fit_recipe(bands, ("slope_obj",), training=left_half(landslides.shape), landslides=landslides).recipe
    assert stored_bands(recipe) == ("slope", "blue", "green", "red")


def test_constant_layer_warns_and_stays_finite(caplog: pytest.LogCaptureFixture) -> None:
    bands, landslides = scene()
    bands["slope"][:] = 3
    fitted = fit_recipe(bands, ("slope",), training=left_half(landslides.shape), landslides=landslides)
    assert fitted.recipe.std == (1.0,)
    assert "'slope' is constant" in caplog.text


def test_layer_without_a_valid_training_pixel() -> None:
    bands, landslides = scene()
    bands["slope"][:] = np.nan
    with pytest.raises(InputError, match="'slope' has no valid training pixel"):
        fit_recipe(bands, ("slope",), training=left_half(landslides.shape), landslides=landslides)


def test_no_training_pixel_for_the_scale() -> None:
    bands, landslides = scene()
    with pytest.raises(InputError, match="no valid training pixel"):
        fit_recipe(bands, ("red_obj",), training=np.zeros(landslides.shape, bool), landslides=landslides)


def test_no_layers() -> None:
    with pytest.raises(LayerError, match="no layers given"):
        fit_recipe({}, (), training=np.ones((2, 2), bool), landslides=np.ones((2, 2), np.int32))
