import numpy as np
import pytest

from landslip.scoring import Chance, Confusion


@pytest.mark.parametrize("called", [0.03, 0.3, 1.0])
def test_guesses_score_what_is_expected_of_them(called):
    rng = np.random.default_rng(1)
    truth = rng.random(2_000_000) < 0.03
    found = Confusion.from_arrays(rng.random(truth.size) < called, truth, np.ones(truth.size, np.bool_))
    expected = Chance(float(truth.mean()), called)
    for name in ("precision", "recall", "f1", "iou"):
        assert getattr(expected, name) == pytest.approx(getattr(found, name), abs=0.003)


def test_no_guess_is_better_than_calling_everything_landslide():
    best = Chance(0.02)
    assert best.f1 == pytest.approx(2 * 0.02 / 1.02)
    assert all(Chance(0.02, share).f1 < best.f1 for share in np.linspace(0.01, 0.99, 50))
    assert Chance(0.02, 0.02).f1 == pytest.approx(0.02)
