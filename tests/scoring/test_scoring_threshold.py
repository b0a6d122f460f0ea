import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.errors import InputError
from landslip.scoring import Confusion, ProbabilityHistogram, best_threshold
from landslip.scoring.threshold import BINS, bin_index


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_no_threshold_does_better(seed, n):
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 21, n) / 20
    truth = rng.random(n) < 0.4
    truth[0] = True
    best = best_threshold(probability, truth)
    tried = [Confusion.from_arrays(probability >= t, truth).f1 for t in np.arange(1, BINS, 7) / BINS]
    assert best.confusion.f1 >= max(tried) - 1e-15
    assert best.confusion == Confusion.from_arrays(probability >= best.threshold, truth)


def test_ties_go_to_the_threshold_nearest_one_half():
    truth = np.array([True, True, False])
    assert best_threshold(np.array([0.9, 0.8, 0.1]), truth).threshold == 0.5
    assert best_threshold(np.array([0.4, 0.3, 0.1]), truth).threshold == 0.3
    assert best_threshold(np.array([0.9, 0.8, 0.6]), truth).threshold == pytest.approx(0.6001)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_bins_follow_comparison_by_division(values):
    index = bin_index(np.array(values))
    for value, i in zip(values, index, strict=True):
        assert value >= i / BINS
        assert i == BINS or value < (i + 1) / BINS


def test_histograms_add_and_half_precision_is_welcome():
    rng = np.random.default_rng(1)
    probability = rng.random((6, 5, 5)).astype(np.float16)
    truth, valid = rng.random((6, 5, 5)) < 0.3, rng.random((6, 5, 5)) < 0.9
    probability[~valid] = np.nan
    whole = ProbabilityHistogram.from_arrays(probability, truth, valid)
    parts = [ProbabilityHistogram.from_arrays(probability[i], truth[i], valid[i]) for i in range(6)]
    pooled = sum(parts[1:], parts[0])
    assert np.array_equal(pooled.positive, whole.positive)
    assert np.array_equal(pooled.negative, whole.negative)
    expected = Confusion.from_arrays(probability.astype(np.float64) >= 0.5, truth, valid)
    assert whole.confusion(0.5) == expected


def test_average_precision_matches_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    truth = rng.random(400) < 0.1
    probability = np.round(np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1), 3)
    ours = ProbabilityHistogram.from_arrays(probability, truth, np.ones(400, bool))
    assert ours.average_precision() == pytest.approx(metrics.average_precision_score(truth, probability))
    thresholds, precision, recall = ours.precision_recall()
    assert np.all(np.diff(thresholds) < 0)
    assert np.all(np.diff(recall) >= 0)
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(truth.mean())


def test_no_landslide_and_bad_probabilities_are_refused():
    with pytest.raises(InputError, match="no landslide among the pixels"):
        best_threshold(np.array([0.2, 0.7]), np.array([False, False]))
    with pytest.raises(InputError, match="outside 0 to 1"):
        best_threshold(np.array([0.2, np.nan]), np.array([True, False]))
    empty = ProbabilityHistogram.from_arrays(np.array([0.5]), np.array([False]), np.array([True]))
    assert math.isnan(empty.average_precision())
