from __future__ import annotations

import numpy as np
import pytest

from landslip.progress import SILENT
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import fractal, stream
from landslip.simulate.flow import accumulate, cast_shadow, nearest_channel, route
from landslip.simulate.mosaic import hashed
from landslip.simulate.relief import make_relief

SHAPE = (220, 180)


@pytest.fixture(scope="module")
def relief():
    with SILENT.task("") as task:
        return make_relief(SimulateConfig(seed=5), SHAPE, task)


def test_water_always_finds_a_lower_cell(relief):
    z, receiver = relief.z.ravel().astype(float), relief.receiver
    inner = receiver != np.arange(receiver.size)
    assert np.all(z[receiver[inner]] < z[inner])
    border = np.zeros(SHAPE, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    assert border.ravel()[~inner].all()


def test_all_rain_leaves_over_the_border(relief):
    outlets = relief.receiver == np.arange(relief.receiver.size)
    assert relief.drainage_m2.ravel()[outlets].sum() == pytest.approx(relief.z.size * 100, rel=1e-4)


def test_valleys_are_carved(relief):
    """Where much water comes together the ground is concave and gentler than on the slopes around."""
    inner = (slice(8, -8), slice(8, -8))
    channel, z = relief.drainage_m2[inner] > 2e5, relief.z
    around = (z[:-10, 5:-5] + z[10:, 5:-5] + z[5:-5, :-10] + z[5:-5, 10:]) / 4 - z[5:-5, 5:-5]
    around = around[3:-3, 3:-3]
    assert around[channel].mean() > around[~channel].mean() + 3
    assert np.median(relief.slope_deg[inner][channel]) < np.median(relief.slope_deg[inner][~channel])


def test_slopes_are_those_of_hills(relief):
    assert 8 < np.median(relief.slope_deg) < 30
    assert np.percentile(relief.slope_deg, 99.5) < 65


def test_routing_a_pit():
    z = np.full((5, 5), 10.0)
    z[2, 2] = 1.0
    outlets = np.zeros((5, 5), bool)
    outlets[0, 0] = True
    filled, receiver, order = route(z, outlets)
    assert filled[2, 2] > 10
    assert accumulate(receiver, order, 1.0)[0] == 25
    channel = outlets.copy()
    height, target = nearest_channel(filled, receiver, order, channel)
    assert np.all(target == 0)
    assert height == pytest.approx(filled - filled[0, 0])


def test_shadow_of_a_wall():
    z = np.zeros((3, 40), np.float32)
    z[:, 30] = 50.0
    depth = cast_shadow(z, 1.0, 0.0, 10.0, 20)  # sun in the east, the ray rises 10 m per cell
    assert depth[1, 28] == pytest.approx(30, abs=1e-3)
    assert depth[1, 26] == pytest.approx(10, abs=1e-3)
    assert depth[1, 24] == 0
    assert depth[1, 35] == 0


def test_streams_do_not_disturb_each_other():
    first = stream(1, "a").random(3)
    stream(1, "b").random(3)
    assert np.array_equal(first, stream(1, "a").random(3))
    assert not np.array_equal(first, stream(1, "b").random(3))
    assert not np.array_equal(first, stream(2, "a").random(3))


@pytest.mark.parametrize("shortest", [2.0, 20.0])
def test_fractal_fields_are_standardised_and_smooth_below_their_shortest_wavelength(shortest):
    field = fractal((300, 260), np.random.default_rng(0), beta=3.0, longest_px=100, shortest_px=shortest)
    assert field.shape == (300, 260)
    assert field.std() == pytest.approx(1, abs=0.15)
    assert np.diff(field, axis=1).std() < (0.5 if shortest == 2 else 0.1)


def test_hashes_are_uniform():
    values = hashed(np.arange(50_000), 4)
    assert np.histogram(values, 20, (0, 1))[0] == pytest.approx(np.full(20, 2500), abs=250)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.02
