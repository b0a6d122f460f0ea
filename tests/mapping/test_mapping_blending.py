"""Windows and blending weights: coverage, exactness, restart."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.mapping.probability.blending import Blender, WindowPlan, axis_starts, axis_weights

LENGTHS = [1, 2, 31, 32, 33, 63, 64, 65, 100, 107]


def blend(plan: WindowPlan, predict, members: int = 1, carries: dict | None = None, first: int = 0) -> np.ndarray:
    """Blend ``predict(window)``; ``carries`` collects, or from band ``first`` on gives, what bands leave behind."""
    carries = {} if carries is None else carries
    parts = []
    for band in plan.bands[first:]:
        carry = carries.get(band.number - 1, np.zeros((1, 0, plan.shape[1]), np.int64))
        blender = Blender(plan, band, 1, members, carry)
        for window in plan.windows(band):
            for _ in range(members):
                blender.add(window, predict(window)[None])
        parts.append(blender.finish()[0])
        carries[band.number] = blender.carry
    return np.concatenate(parts)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("overlap", [0, 1, 7, 16, 31])
def test_windows_cover_the_axis_and_end_with_it(length, overlap):
    starts = axis_starts(length, 32, overlap)
    covered = np.zeros(max(length, 32), int)
    for start in starts:
        covered[start : start + 32] += 1
    assert (covered > 0).all()
    assert starts[-1] == max(0, length - 32)
    assert list(starts) == sorted(set(starts))
    assert all(b - a <= 32 - overlap for a, b in pairwise(starts))


@pytest.mark.parametrize("overlap", [0, 1, 7, 16, 31])
def test_weights_are_whole_positive_and_complementary(overlap):
    weights = axis_weights(32, overlap)
    assert weights.min() == 1
    assert (weights == weights[::-1]).all()
    if 0 < overlap <= 16:
        assert (weights[32 - overlap :] + weights[:overlap] == overlap + 1).all()


@pytest.mark.parametrize("overlap", [0, 1, 7, 16, 31])
@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("cols", [1, 33, 107])
def test_constant_stays_exactly_constant(rows, cols, overlap):
    plan = WindowPlan((rows, cols), 32, overlap, band_rows=40)
    value = np.float32(0.1)
    out = blend(plan, lambda window: np.full((32, 32), value), members=3)
    assert out.shape == (rows, cols)
    assert (out == value).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 120), st.integers(1, 120), st.integers(0, 31),
    st.floats(1 / 64, 1, width=32), st.integers(1, 8), st.integers(1, 100),
)  # fmt: skip
def test_any_constant_stays_exactly_constant(rows, cols, overlap, value, members, band_rows):
    plan = WindowPlan((rows, cols), 32, overlap, band_rows)
    out = blend(plan, lambda window: np.full((32, 32), value, np.float32), members)
    assert (out == np.float32(value)).all()


@given(st.floats(0, 1 / 64, width=32))
@settings(max_examples=60, deadline=None)
def test_small_constants_are_rounded_to_units_but_stay_constant(value):
    out = blend(WindowPlan((70, 50), 32, 9, 40), lambda window: np.full((32, 32), value, np.float32))
    assert np.unique(out).size == 1
    assert abs(float(out[0, 0]) - value) <= 2**-31


@pytest.mark.parametrize("band_rows", [1, 40, 1000])
def test_a_function_of_position_is_reproduced(band_rows):
    # A model that answers with each pixel's own value: blending must give the raster back.
    truth = np.random.default_rng(0).random((101, 90), dtype=np.float32) * 0.9 + 0.1
    plan = WindowPlan(truth.shape, 32, 9, band_rows)
    assert np.array_equal(blend(plan, lambda window: truth[window.slices]), truth)


@pytest.mark.parametrize("overlap", [0, 5, 16, 24, 31])
def test_bands_restart_and_grouping_change_nothing(overlap):
    def predict(window):
        return np.random.default_rng([window.row, window.col]).random((32, 32), dtype=np.float32)

    carries: dict = {}
    plan = WindowPlan((130, 50), 32, overlap, band_rows=30)
    assert len(plan.bands) > 3
    whole = blend(plan, predict, carries=carries)
    assert np.array_equal(whole, blend(WindowPlan((130, 50), 32, overlap, band_rows=500), predict))
    for band in plan.bands:
        before = {number: carry for number, carry in carries.items() if number < band.number}
        again = blend(plan, predict, carries=before, first=band.number)
        assert np.array_equal(again, whole[band.final[0] :])


def test_final_rows_of_bands_follow_each_other():
    plan = WindowPlan((1000, 40), 64, 20, band_rows=150)
    edges = [band.final for band in plan.bands]
    assert edges[0][0] == 0
    assert edges[-1][1] == 1000
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert sum(len(plan.windows(band)) for band in plan.bands) == len(plan)
