"""Which band a word, a file name or a description means."""

from __future__ import annotations

import pytest

from landslip.scene.images.names import EXTRA, NUMBERS, band_named, bands_in, ordered


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("B02", "blue"),
        ("b2", "blue"),
        ("Blue", "blue"),
        ("B8", "nir"),
        ("B08", "nir"),
        ("B8A", "nira"),
        ("near-infrared", "nir"),
        ("swir16", "swir1"),
        ("rededge2", "re2"),
        ("SCL", "scl"),
        ("B12", "swir2"),
        ("B1", "unused"),
        ("TCI", "unused"),
        ("B13", None),
        ("slope", None),
        ("", None),
    ],
)
def test_one_word(text, band):
    assert band_named(text) == band


@pytest.mark.parametrize(
    ("text", "bands"),
    [
        ("T54TWN_20230925T012701_B04_10m", ("red",)),
        ("post_red", ("red",)),
        ("red_edge_B05", ("re1",)),  # the number goes before the words
        ("near infrared", ("nir",)),
        ("Near infrared, band 8", ("nir",)),
        ("red green", ("red", "green")),
        ("image_20230925", ()),
        ("infrared", ()),  # a band name must stand by itself
    ],
)
def test_words_in_a_name(text, bands):
    assert bands_in(text) == bands


def test_every_layer_is_found_by_its_number_and_its_own_name():
    for name, number in NUMBERS.items():
        assert band_named(number) == band_named(name) == name


def test_order_does_not_depend_on_the_order_given():
    assert ordered(["swir1", "red", "blue", "nir"]) == ("blue", "red", "nir", "swir1")
    assert set(ordered(EXTRA)) == set(EXTRA)
