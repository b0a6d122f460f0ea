"""Every bad input is refused in one line that says what to do."""

import re
import warnings

import numpy as np
import pytest

from landslip.errors import ConfigError, InputError, LandslipError
from landslip.objects import choose_scale, choose_scale_unsupervised, object_fitness, object_means, segment
from landslip.objects import segment_hierarchy as hierarchy

IMAGE = np.zeros((2, 4, 5), np.float32)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0}, "scale is 0; it must be a number greater than 0"),
        ({"scale": -3}, "greater than 0"),
        ({"scale": float("nan")}, "greater than 0"),
        ({"scale": "30"}, "greater than 0"),
        ({"color": 1.1}, "color is 1.1; it is a weight and must lie between 0 and 1"),
        ({"color": True}, "color is True"),
        ({"compactness": -0.1}, "compactness is -0.1; it is a weight"),
        ({"band_weights": [1]}, "1 band weights for an image of 2 bands"),
        ({"band_weights": [1, -1]}, "each must be a number of at least 0"),
        ({"band_weights": [1, np.inf]}, "each must be a number of at least 0"),
        ({"min_size": 0}, "min_size is 0; it must be a whole number of at least 1"),
        ({"threads": 0}, "threads is 0; it must be a whole number of at least 1"),
        ({"valid": np.ones((5, 4), bool)}, "valid of shape (5, 4) beside an image of (4, 5)"),
        ({"valid": np.ones((4, 5))}, "valid of type float64; it must hold booleans"),
        ({"regions": np.ones((4, 5))}, "regions of type float64; it must hold whole numbers"),
        ({"regions": np.ones((1, 5), int)}, "regions of shape (1, 5)"),
        ({"valid": np.zeros((4, 5), bool)}, "no pixel is valid"),
    ],
)
def test_options_are_checked(options, words):
    scale = options.pop("scale", 10)
    with pytest.raises((ConfigError, InputError), match=re.escape(words)) as caught:
        segment(IMAGE, scale, **options)
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 5), np.float32), "(bands, rows, cols)"),
        (np.zeros((0, 4, 5), np.float32), "none of them 0"),
        (np.zeros((1, 4, 5), complex), "real numbers"),
        (np.array([[["a"]]]), "real numbers"),
    ],
)
def test_the_image_is_checked(image, words):
    with pytest.raises(InputError, match=re.escape(words)):
        segment(image, 10)


def test_more_pixels_than_32_bits_count_are_refused_with_the_remedy():
    image = np.broadcast_to(np.float32(0), (1, 50_000, 50_000))
    with pytest.raises(InputError, match=r"50,000 x 50,000 pixels; object ids are 32-bit.*segment it in parts"):
        segment(image, 10)


@pytest.mark.filterwarnings("error")
def test_a_scale_beyond_single_precision_joins_all():
    assert segment(np.array([[[0, 0, 3e38, 3e38]]], np.float32), 1e30, band_weights=[10]).max() == 1


def test_not_finite_pixels_are_masked_with_a_warning():
    image = np.zeros((2, 4, 5), np.float32)
    image[0, 1, 2] = np.nan
    image[1, 3, 3] = np.inf
    with pytest.warns(UserWarning, match="2 pixels are not finite; they are left out as invalid"):
        labels = segment(image, 10)
    assert labels[1, 2] == labels[3, 3] == 0
    assert (labels > 0).sum() == 18
    quiet = segment(image, 10, valid=np.isfinite(image).all(axis=0))
    assert np.array_equal(quiet, labels)


def test_what_a_masked_array_masks_is_invalid():
    image = np.ma.masked_equal(np.array([[[7, 0, 7, 7], [7, 7, 7, 9]], [[1, 5, 1, 0], [1, 1, 1, 1]]], np.int16), 0)
    valid = np.ones((2, 4), bool)
    valid[1, 0] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = segment(image, 100)
        both = segment(image, 100, valid=valid)
    assert labels.tolist() == [[1, 0, 1, 0], [1, 1, 1, 1]]
    assert both.tolist() == [[1, 0, 2, 0], [0, 2, 2, 2]]


def test_not_finite_pixels_count_once_however_the_windows_lie():
    from landslip.objects.options import Options
    from landslip.objects.segmentation import segment_planned
    from landslip.objects.windows.plans import Pixels, Plan

    image = np.zeros((1, 40, 40), np.float32)
    image[0, ::10, ::10] = np.nan
    options = Options.checked(1, [10.0], threads=1)
    with pytest.warns(UserWarning, match="16 pixels are not finite"):
        segment_planned(Pixels(image), options, Plan((13, 13), 2, 9))


def test_a_pixel_without_all_bands_splits_nothing_else():
    image = np.zeros((1, 3, 3), np.float32)
    valid = np.ones((3, 3), bool)
    valid[1, 1] = False
    labels = segment(image, 10, valid=valid)
    assert labels.max() == 1
    assert labels[1, 1] == 0


@pytest.mark.parametrize("scales", [[], [10, 10], [20, 10]])
def test_levels_must_increase(scales):
    with pytest.raises(ConfigError, match=r"at least one|do not increase"):
        hierarchy(IMAGE, scales)


def test_means_and_fitness_check_their_input():
    labels = np.ones((4, 5), np.int32)
    with pytest.raises(InputError, match=r"rows and columns must be the same"):
        object_means(labels, np.zeros((2, 5, 4)))
    with pytest.raises(InputError, match="labels go down to -1"):
        object_means(-labels, np.zeros((4, 5)))
    with pytest.raises(InputError, match=r"labels of shape .* whole numbers"):
        object_means(labels.astype(float), np.zeros((4, 5)))
    with pytest.raises(InputError, match="no reference polygon has 4 valid pixels"):
        object_fitness(labels, np.zeros((4, 5), int))
    with pytest.raises(InputError, match="reference of"):
        object_fitness(labels, np.zeros((5, 5), int))
    with pytest.raises(InputError, match="no reference polygon"):
        choose_scale(IMAGE, np.zeros((4, 5), int), [10])
    with pytest.raises(ConfigError, match="needs at least two"):
        choose_scale_unsupervised(IMAGE, [10])
