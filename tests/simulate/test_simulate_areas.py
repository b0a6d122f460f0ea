from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gamma
from scipy.stats import kstest

from landslip.simulate import areas

LARGEST = 0.002 * 1024**2 * 100


def density(area_km2):
    """Malamud et al. (2004), eq. 3, written out anew."""
    x = area_km2 - areas.SHIFT_KM2
    return (
        (areas.SCALE_KM2 / x) ** (areas.RHO + 1) * np.exp(-areas.SCALE_KM2 / x) / (areas.SCALE_KM2 * gamma(areas.RHO))
    )


@pytest.mark.parametrize("area_m2", [150.0, 400.0, 3000.0, 50_000.0])
def test_cumulative_is_the_integral_of_the_density(area_m2):
    whole = quad(density, 0, LARGEST / 1e6, points=[4e-4, 3e-3], limit=200)[0]
    part = quad(density, 0, area_m2 / 1e6, points=[min(4e-4, area_m2 / 2e6)], limit=200)[0]
    assert areas.cumulative(np.array([area_m2]), LARGEST)[0] == pytest.approx(part / whole, abs=1e-6)


def test_most_frequent_size_is_that_of_the_paper():
    sizes = np.linspace(1e-5, 5e-3, 20_000)
    assert sizes[np.argmax(density(sizes))] == pytest.approx(4.0e-4, rel=0.02)  # about 400 m²


def test_density_in_square_metres_is_the_same_law():
    sizes = np.array([200.0, 3000.0, 1e5])
    assert areas.density(sizes) == pytest.approx(1e-6 * density(sizes / 1e6))


def test_draws_follow_the_law():
    drawn = areas.draw(np.random.default_rng(1), 20_000, LARGEST)
    assert drawn.min() > 0
    assert drawn.max() <= LARGEST
    assert kstest(drawn, lambda a: areas.cumulative(a, LARGEST)).pvalue > 0.01


@given(st.integers(0, 200), st.sampled_from([3e3, 2e4, 2e5]))
def test_draws_add_up_to_the_total(seed, largest):
    total = 8 * largest
    drawn = areas.draw_total(np.random.default_rng(seed), total, largest)
    assert abs(drawn.sum() - total) <= largest / 2
    assert drawn.max() <= largest
