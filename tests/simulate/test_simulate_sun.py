from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from landslip.simulate.sun import Sun, illumination, light, sun_at


@pytest.mark.parametrize(
    ("time", "longitude", "latitude", "elevation", "azimuth"),
    [
        # declination + latitude at true noon: equinox, solstices
        ("2023-03-20T12:07:30+00:00", 0.0, 45.0, 45.0, 180.0),
        ("2023-06-21T12:02:00+00:00", 0.0, 45.0, 68.4, 180.0),
        ("2023-12-22T11:58:30+00:00", 0.0, 45.0, 21.6, 180.0),
        ("2023-03-20T06:07:30+00:00", 0.0, 45.0, 0.0, 90.0),
        ("2023-03-20T18:07:30+00:00", 0.0, 45.0, 0.0, 270.0),
    ],
)
def test_the_sun_stands_where_it_should(time, longitude, latitude, elevation, azimuth):
    sun = sun_at(datetime.fromisoformat(time), longitude, latitude)
    assert sun.elevation_deg == pytest.approx(elevation, abs=0.6)
    assert sun.azimuth_deg == pytest.approx(azimuth, abs=1.2)


def test_level_ground_is_lit_fully_in_every_band():
    sun = Sun(40.0, 150.0)
    direct, sky = light(np.zeros((20, 20), np.float32), sun)
    for band in range(4):
        assert illumination(direct, sky, sun, band) == pytest.approx(np.ones((20, 20)), abs=1e-5)


def test_a_slope_towards_the_sun_is_brighter_and_a_shaded_one_is_bluer():
    ridge = -40 * np.abs(np.arange(40, dtype=np.float32) - 20)[:, None] * np.ones((1, 40), np.float32) / 5
    sun = Sun(35.0, 180.0)  # in the south: larger rows
    direct, sky = light(ridge, sun)
    lit, dark = illumination(direct, sky, sun, 0)[30, 20], illumination(direct, sky, sun, 0)[10, 20]
    assert lit > 1 > dark
    assert dark / lit > illumination(direct, sky, sun, 3)[10, 20] / illumination(direct, sky, sun, 3)[30, 20]
