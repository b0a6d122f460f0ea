import math

import numpy as np
import pytest

from landslip.scoring import calibration


def test_probabilities_that_mean_what_they_say_have_no_error():
    # in each group the share of landslide equals the probability exactly
    probability = np.repeat([0.1, 0.5, 0.9], 10)
    truth = np.concatenate([np.arange(10) < k for k in (1, 5, 9)])
    result = calibration(probability, truth)
    assert result.ece == pytest.approx(0, abs=1e-12)
    assert result.brier == pytest.approx((0.09 + 0.25 + 0.09) / 3)


def test_overconfidence_is_measured():
    probability = np.full(100, 0.9)
    truth = np.arange(100) < 60
    result = calibration(probability, truth, bins=10)
    assert result.ece == pytest.approx(0.3)
    filled = result.count > 0
    assert result.observed[filled].tolist() == [0.6]
    assert result.to_dict()["observed"].count(None) == 9


def test_invalid_pixels_are_left_out():
    probability = np.array([[0.2, np.nan], [1.0, 0.4]])
    truth = np.array([[0, 255], [1, 1]], np.uint8)
    valid = truth != 255
    result = calibration(probability, truth, valid, bins=5)
    assert result.count.sum() == 3
    assert math.isclose(result.brier, (0.04 + 0 + 0.36) / 3)
    nothing = calibration(probability, truth, np.zeros_like(valid))
    assert math.isnan(nothing.ece)
    assert nothing.to_dict()["brier"] is None
