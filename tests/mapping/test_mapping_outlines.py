"""Outlines: against GDAL's polygoniser, block edges, pinches, holes, burning."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import shapes

from landslip.mapping.landslides.outlines import Outliner, Outlines, concatenate, outline, shifted
from landslip.windows import Window

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_700_000)
masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays(bool, shape))


def by_gdal(mask: np.ndarray) -> list:
    found = shapes(mask.astype(np.uint8), mask=mask, transform=TRANSFORM)
    return sorted((shapely.geometry.shape(geometry).normalize().wkt for geometry, _ in found))


@settings(max_examples=300, deadline=None)
@given(masks)
def test_same_polygons_as_gdal_and_all_valid(mask):
    polygons = outline(mask).polygons(TRANSFORM)
    assert shapely.is_valid(polygons).all()
    assert sorted(p.normalize().wkt for p in polygons) == by_gdal(mask)


@settings(max_examples=100, deadline=None)
@given(masks, st.lists(st.integers(0, 14), max_size=4))
def test_blocks_of_rows_change_nothing(mask, cuts):
    outliner = Outliner(mask.shape[1])
    for block in np.split(mask, sorted(min(cut, len(mask)) for cut in cuts)):
        outliner.add(block)
    found, whole = outliner.finish(), outline(mask)
    for name in ("corners", "offsets", "areas", "polygon"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))


@settings(max_examples=100, deadline=None)
@given(masks)
def test_area_is_the_number_of_pixels_and_burning_gives_the_mask_back(mask):
    found = outline(mask)
    assert found.pixels.sum() == mask.sum()
    polygons = found.polygons(TRANSFORM)
    assert np.array_equal(shapely.area(polygons), found.pixels * 100.0)
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    burnt = found.burn(Window(0, 0, *mask.shape))
    assert np.array_equal(burnt > 0, mask)
    assert np.array_equal(np.bincount(burnt.ravel(), minlength=len(found) + 1)[1:], found.pixels)
    firsts = [np.flatnonzero(burnt.ravel() == number)[0] for number in range(1, len(found) + 1)]
    assert firsts == sorted(firsts)


@settings(max_examples=60, deadline=None)
@given(masks, st.data())
def test_burning_a_window_is_a_window_of_the_burnt(mask, data):
    found = outline(mask)
    row = data.draw(st.integers(0, mask.shape[0] - 1))
    col = data.draw(st.integers(0, mask.shape[1] - 1))
    window = Window(row, col, mask.shape[0] - row, data.draw(st.integers(1, mask.shape[1] - col)))
    whole = found.burn(Window(0, 0, *mask.shape))
    assert np.array_equal(found.burn(window), whole[window.slices])


def test_noise_larger_than_the_first_tables_is_followed_to_the_end():
    mask = np.random.default_rng(3).random((400, 1000)) < 0.5
    found = outline(mask)
    assert found.pixels.sum() == mask.sum()
    assert sorted(p.normalize().wkt for p in found.polygons(TRANSFORM)) == by_gdal(mask)


def test_empty_mask_has_no_outlines():
    found = outline(np.zeros((5, 7), bool))
    assert len(found) == 0
    assert found.polygons(TRANSFORM).size == 0
    assert found.bounds().shape == (0, 4)
    assert not found.burn(Window(0, 0, 5, 7)).any()


def test_small_holes_are_filled_and_islands_in_them_become_part():
    mask = np.ones((9, 12), bool)
    mask[1:6, 1:6] = False  # 25 pixels, with an island
    mask[3, 3] = True
    mask[7, 9] = False  # a single pixel
    whole = outline(mask)
    assert len(whole) == 2
    small = whole.without_holes(2)
    assert small.pixels.tolist() == [9 * 12 - 25, 1]
    both = whole.without_holes(26)
    assert both.pixels.tolist() == [9 * 12]
    assert whole.without_holes(1) is whole


@settings(max_examples=60, deadline=None)
@given(masks, st.integers(1, 30))
def test_filling_never_makes_polygons_overlap(mask, below):
    filled = outline(mask).without_holes(below)
    polygons = filled.polygons(TRANSFORM)
    assert shapely.is_valid(polygons).all()
    assert shapely.area(shapely.union_all(polygons)) == pytest.approx(shapely.area(polygons).sum())
    assert not ((filled.areas < 0) & (-filled.areas < below)).any()


def test_bounds_take_and_concatenate():
    mask = np.zeros((6, 8), bool)
    mask[0:2, 5:8] = mask[3:6, 0:3] = mask[3, 6] = True
    mask[4, 1] = False
    found = outline(mask)
    assert found.bounds().tolist() == [[0, 5, 2, 8], [3, 0, 6, 3], [3, 6, 4, 7]]
    part, rest = found.take(np.array([True, False, True])), found.take(np.array([1]))
    assert part.pixels.tolist() == [6, 1]
    again = concatenate([rest, part])
    assert np.array_equal(again.corners, found.corners)
    assert np.array_equal(again.polygon, found.polygon)
    assert shifted(rest, 2, 3).bounds().tolist() == [[5, 3, 8, 6]]
    assert len(concatenate([Outlines.empty()])) == 0
