"""The shift between two images, against shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from landslip.scene.coregister import UNKNOWN, block_shift, estimate_shift


def land(seed: int = 0, edge: int = 400) -> np.ndarray:
    """Noise whose variance grows with wavelength, as land's does."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(edge), np.fft.fftfreq(edge)))
    frequency[0, 0] = np.inf
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((edge, edge))) * frequency**-1.0).real
    return (0.1 + 0.03 * field / field.std()).astype(np.float32)


def moved(image: np.ndarray, shift: tuple[float, float], noise: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(1)
    shifted = scipy.ndimage.shift(image, shift, order=3, mode="grid-wrap")
    return (shifted + rng.normal(0, noise, image.shape)).astype(np.float32)


def estimate(one: np.ndarray, other: np.ndarray):
    return estimate_shift(lambda w: one[w.slices], lambda w: other[w.slices], one.shape)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.7), (2.5, 1.25), (-7.1, 4.0)])
def test_known_shift_is_found_to_a_twentieth_of_a_pixel(shift):
    image = land()
    found = estimate(image, moved(image, shift))
    assert (found.rows, found.cols) == pytest.approx(shift, abs=0.05)
    assert found.blocks >= 1


def test_exchanging_the_images_turns_the_sign():
    image = land()
    other = moved(image, (1.3, -0.6))
    there, back = estimate(image, other), estimate(other, image)
    assert (there.rows, there.cols) == pytest.approx((-back.rows, -back.cols), abs=0.04)


def test_brightness_and_contrast_do_not_matter():
    image = land()
    found = estimate(image, 3 * moved(image, (0.5, 0.5)) + 0.2)
    assert (found.rows, found.cols) == pytest.approx((0.5, 0.5), abs=0.05)


def test_what_the_event_changed_does_not_mislead():
    image = land()
    after = moved(image, (1.5, -0.5))
    rng = np.random.default_rng(3)
    for row, col in rng.integers(0, 370, (60, 2)):  # a tenth of the area turns bright
        image[row : row + 16, col : col + 16] = 0.3
    found = estimate(image, after)
    assert (found.rows, found.cols) == pytest.approx((1.5, -0.5), abs=0.1)


def test_a_missing_half_does_not_mislead():
    image = land()
    other = moved(image, (-0.8, 2.2))
    other[:, 190:] = np.nan
    found = estimate(image, other)
    assert (found.rows, found.cols) == pytest.approx((-0.8, 2.2), abs=0.1)


def test_unrelated_or_flat_images_give_nothing():
    assert estimate(land(0), land(9)) == UNKNOWN
    flat = np.full((300, 300), 0.1, np.float32)
    assert estimate(flat, flat) == UNKNOWN
    nothing = np.full((300, 300), np.nan, np.float32)
    assert estimate(nothing, nothing) == UNKNOWN
    assert block_shift(flat, flat, np.ones(flat.shape, bool)) is None
