"""Segmentation against the rules in plain Python, and what must hold of every result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_reference import Thing, cost, segment_reference, splitmix64, union

from landslip.objects import segment, segment_hierarchy


def natural(seed, shape=(3, 40, 40), noise=6.0):
    """Smooth fields with noise: real numbers, so that no two costs are equal."""
    rng = np.random.default_rng(seed)
    bands, rows, cols = shape
    y, x = np.mgrid[0:rows, 0:cols] / 9.0
    fields = [
        60 * np.sin(x * rng.uniform(0.5, 2) + rng.uniform(0, 6)) * np.cos(y * rng.uniform(0.5, 2) + rng.uniform(0, 6))
        for _ in range(bands)
    ]
    return (np.stack(fields) + rng.normal(0, noise, shape)).astype(np.float32)


def reference(image, scales, **options):
    for name in ("valid", "regions"):
        if options.get(name) is not None:
            options[name] = options[name].tolist()
    return np.array(segment_reference(np.asarray(image, np.float64).tolist(), scales, **options))


def test_costs_by_hand():
    one, other = Thing(0, 0, [5.0, 1.0]), Thing(0, 1, [8.0, 3.0])
    assert cost(one, other, 1, [0.5, 0.25], 1.0, 0.5) == 0.5 * 3 + 0.25 * 2
    assert cost(one, other, 1, [0, 0], 0.0, 1.0) == pytest.approx(6 * 2**0.5 - 8)
    assert cost(one, other, 1, [0, 0], 0.0, 0.0) == 0
    top = union(one, other, 1)
    bottom = union(Thing(1, 0, [0.0, 0.0]), Thing(1, 1, [0.0, 0.0]), 1)
    assert cost(top, bottom, 2, [0, 0], 0.0, 1.0) == pytest.approx(-0.9706, abs=1e-4)
    assert cost(top, bottom, 2, [0, 0], 0.0, 0.0) == 0
    assert cost(top, bottom, 2, [0.3, 0.7], 0.9, 0.5) == cost(bottom, top, 2, [0.3, 0.7], 0.9, 0.5)


def test_the_hash_is_the_published_one():
    # first outputs of the public splitmix64 for the states 0 and 1234567
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    assert splitmix64(1234567) == 6457827717110365317


@pytest.mark.parametrize(("difference", "scale", "objects"), [(10, 3.01, 1), (10, 3.0, 2)])
def test_two_pixels_merge_below_the_square_of_the_scale(difference, scale, objects):
    # f = 0.9 · 10 + 0.1 · 0.5 · (6√2 − 8) = 9.024
    labels = segment(np.array([[[0.0, difference]]], np.float32), scale)
    assert labels.max() == objects


def test_equality_does_not_merge():
    image = np.array([[[0.0, 9.0]]], np.float32)
    assert segment(image, 3.0, color=1.0).max() == 2
    assert segment(image, np.nextafter(3.0, 4), color=1.0).max() == 1


@st.composite
def cases(draw, least=1, most=24):
    sides = st.integers(least, most)
    bands, rows, cols = draw(st.integers(1, 4)), draw(sides), draw(sides)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    kind = draw(st.sampled_from(["real", "levels", "constant", "smooth"]))
    if kind == "real":
        image = rng.normal(0, 30, (bands, rows, cols))
    elif kind == "levels":
        image = rng.integers(0, 4, (bands, rows, cols)) * 7.0
    elif kind == "constant":
        image = np.full((bands, rows, cols), 3.0)
    else:
        image = natural(int(rng.integers(1000)), (bands, rows, cols))
    options = {
        "color": draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])),
        "compactness": draw(st.floats(0, 1)),
        "band_weights": draw(st.none() | st.just([float(w) for w in rng.random(bands)])),
        "valid": draw(st.none() | st.just(rng.random((rows, cols)) < 0.85)),
        "regions": draw(st.none() | st.just(np.add.outer(np.arange(rows) // 7, np.arange(cols) // 11))),
        "min_size": draw(st.sampled_from([1, 1, 1, 6])),
    }
    if options["valid"] is not None:
        options["valid"][0, 0] = True
    scales = sorted(draw(st.sets(st.sampled_from([1.0, 4.0, 9.0, 20.0, 45.0, 100.0]), min_size=1, max_size=3)))
    return image.astype(np.float32), scales, options


@settings(max_examples=60, deadline=None)
@given(cases())
def test_agrees_with_the_rules_label_for_label(case):
    image, scales, options = case
    expected = reference(image, scales, **options)
    assert np.array_equal(segment_hierarchy(image, scales, **options), expected)


@settings(max_examples=6, deadline=None)
@given(cases(least=36, most=48))
def test_larger_rasters_agree_with_the_rules_too(case):
    image, scales, options = case
    assert np.array_equal(segment_hierarchy(image, scales, **options), reference(image, scales, **options))
