"""Scene classification to validity: which classes, how far they grow, on which grid."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.scene_inputs import GRID, write_image, write_safe
from landslip.scene.build import build_scene
from landslip.scene.clouds import CLASS_NUMBERS, INVALID, as_classes, clear_sky
from landslip.scene.config import SceneConfig


def classes_with(name: str, shape: tuple[int, int] = (48, 48)) -> np.ndarray:
    classes = np.full(shape, CLASS_NUMBERS["vegetation"], np.uint8)
    classes[20:24, 10:16] = CLASS_NUMBERS[name]
    return classes


@pytest.mark.parametrize("name", list(CLASS_NUMBERS))
def test_each_class_is_left_out_or_kept_as_documented(name):
    clear = clear_sky(classes_with(name), INVALID, 0)
    assert (~clear).sum() == (24 if name in INVALID else 0)


def test_numbers_are_those_of_the_products():
    assert (CLASS_NUMBERS["cloud-shadow"], CLASS_NUMBERS["cloud-medium"], CLASS_NUMBERS["snow"]) == (3, 8, 11)


def test_clouds_grow_on_every_side_and_defects_do_not():
    assert (~clear_sky(classes_with("cloud-high"), INVALID, 3)).sum() == (4 + 6) * (6 + 6)
    assert (~clear_sky(classes_with("saturated"), INVALID, 3)).sum() == 24


def test_growing_does_not_depend_on_how_the_grid_is_turned():
    rng = np.random.default_rng(0)
    classes = rng.choice([4, 4, 4, 4, 4, 9], (40, 50)).astype(np.uint8)
    for turn in range(4):
        turned = clear_sky(np.rot90(classes, turn).copy(), INVALID, 2)
        np.testing.assert_array_equal(turned, np.rot90(clear_sky(classes, INVALID, 2), turn))


def test_numbers_that_are_no_class_are_unclassified_with_a_warning(caplog):
    numbers = np.array([[4, 300, 0]], np.float32)
    classes = as_classes(numbers, np.array([[True, True, False]]), "odd_SCL.jp2")
    assert classes.tolist() == [[4, CLASS_NUMBERS["unclassified"], CLASS_NUMBERS["nodata"]]]
    assert "odd_SCL.jp2: values beyond 11" in caplog.text


def test_classification_of_a_product_ends_in_the_scene(tmp_path):
    product = write_safe(tmp_path, classes=classes_with("cloud-medium"))
    scene = build_scene(SceneConfig(images=(str(product),)), tmp_path / "scene")
    expected = np.ones(GRID.shape, bool)
    expected[40:48, 20:32] = False  # 20 m classes on the 10 m grid
    np.testing.assert_array_equal(scene.validity("clouds"), expected)
    assert scene.validity("image").all()
    assert all((np.isfinite(layer) == expected).all() for layer in scene.read(scene.layers))


def test_snow_by_option(tmp_path):
    product = write_safe(tmp_path, classes=classes_with("snow"))
    kept = build_scene(SceneConfig(images=(str(product),)), tmp_path / "kept")
    left_out = build_scene(SceneConfig(images=(str(product),), mask_snow=True), tmp_path / "out")
    assert kept.validity("clouds").all()
    assert (~left_out.validity("clouds")).sum() == 96


def test_a_second_date_fills_the_clouds_of_the_first(tmp_path):
    cloudy = write_safe(tmp_path / "a", classes=classes_with("cloud-high"))
    clear = write_image(tmp_path / "b")
    scene = build_scene(SceneConfig(images=(str(cloudy), str(clear))), tmp_path / "scene")
    assert np.isfinite(scene.read(scene.layers)).all()
    assert scene.validity("clouds").all()


def test_clouds_over_the_pre_event_image_are_its_own(tmp_path, image):
    product = write_safe(tmp_path, classes=classes_with("cirrus"))
    scene = build_scene(SceneConfig(images=(str(image),), pre=(str(product),), dilate_clouds=1), tmp_path / "scene")
    assert scene.sources == ("image", "pre")
    assert (~scene.validity("pre")).sum() == (8 + 2) * (12 + 2)
    assert np.isfinite(scene.read(["red"])).all()
