"""The square's group: laws, vectors, expansions, draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.data.augment import (
    ELEMENTS,
    FLIP_LEFT_RIGHT,
    FLIP_UP_DOWN,
    IDENTITY,
    ROTATE_90,
    Directional,
    augment,
    compose,
    draw_elements,
    expansion,
    inverse,
    turn,
)
from landslip.data.draws import draw, integer, permutation
from landslip.errors import LayerError

element = st.sampled_from(ELEMENTS)
LAYERS = ("red", "aspect_sin", "slope", "aspect_cos")


def tile(seed: int = 0, layers: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(layers, 6, 6)).astype(np.float32), rng.integers(0, 2, (6, 6)).astype(np.uint8)


def test_the_eight_elements_differ():
    square = np.arange(9).reshape(3, 3)
    assert len({turn(square, e).tobytes() for e in ELEMENTS}) == 8


@given(element)
@settings(deadline=None, max_examples=30)
def test_element_and_inverse_give_back_image_vectors_and_label(e):
    image, label = tile()
    vectors = Directional.of(LAYERS)
    there = augment(image, label, e, vectors)
    back = augment(*there, inverse(e), vectors)
    np.testing.assert_array_equal(back[0], image)
    np.testing.assert_array_equal(back[1], label)


@given(element, element)
@settings(deadline=None, max_examples=30)
def test_two_elements_in_turn_are_their_composition(first, second):
    image, label = tile()
    vectors = Directional.of(LAYERS)
    one = augment(*augment(image, label, first, vectors), second, vectors)
    other = augment(image, label, compose(second, first), vectors)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


@given(element)
@settings(deadline=None, max_examples=30)
def test_tensors_turn_as_arrays_do(e):
    image, label = tile()
    vectors = Directional.of(LAYERS)
    array = augment(image, label, e, vectors)
    tensor = augment(torch.from_numpy(image)[None], torch.from_numpy(label)[None], e, vectors)
    np.testing.assert_array_equal(tensor[0][0].numpy(), array[0])
    np.testing.assert_array_equal(tensor[1][0].numpy(), array[1])


@given(element)
@settings(deadline=None, max_examples=30)
def test_aspect_of_turned_terrain_is_turned_aspect(e):
    # a hill of elliptic plan; the downslope direction from the gradient, before and after turning the terrain
    rows, cols = np.mgrid[-8:8, -8:8] + 0.5
    height = -(rows**2) / 20 - (cols + 0.4 * rows) ** 2 / 7 + 0.3 * cols

    def components(z: np.ndarray) -> np.ndarray:
        north, east = np.gradient(z)  # rows grow towards the south
        return np.stack([-east, north]).astype(np.float32)

    turned, _ = augment(components(height), rows, e, Directional.of(("aspect_sin", "aspect_cos")))
    np.testing.assert_allclose(turned, components(turn(height, e)), atol=1e-5)


def test_known_turns_of_a_vector_to_the_east():
    east = np.stack([np.ones((2, 2)), np.zeros((2, 2))]).astype(np.float32)
    label, vectors = np.zeros((2, 2), np.uint8), Directional.of(("aspect_sin", "aspect_cos"))
    for e, expected in ((ROTATE_90, (0, 1)), (FLIP_LEFT_RIGHT, (-1, 0)), (FLIP_UP_DOWN, (1, 0)), (IDENTITY, (1, 0))):
        turned, _ = augment(east, label, e, vectors)
        assert tuple(turned[:, 0, 0]) == expected


def test_scalars_and_nan_keep_their_values():
    image, label = tile(layers=2)
    image[0, 1, 2] = np.nan
    for e in ELEMENTS:
        turned, _ = augment(image, label, e, Directional())
        np.testing.assert_array_equal(np.sort(turned, axis=None), np.sort(image, axis=None))


def test_paper5_leaves_the_original_out_and_six_has_it():
    assert len(expansion("paper5")) == 5
    assert IDENTITY not in expansion("paper5")
    assert set(expansion("six")) == set(expansion("paper5")) | {IDENTITY}
    assert len(set(expansion("six"))) == 6
    assert expansion("none") == (IDENTITY,)
    square = np.arange(16).reshape(4, 4)
    flips = {np.flip(square, axis).tobytes() for axis in (0, 1)}
    turns = {np.rot90(square, k).tobytes() for k in (1, 2, 3)}
    assert {turn(square, e).tobytes() for e in expansion("paper5")} == flips | turns


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (("red", "hillshade"), "layer 'hillshade' cannot be flipped or turned; take it out or set augment = \"none\""),
        (("red", "aspect_sin"), "layer 'aspect_sin' turns only together with 'aspect_cos'"),
        (("aspect_cos", "red"), "layer 'aspect_cos' turns only together with 'aspect_sin'"),
    ],
)
def test_layers_that_cannot_be_turned_are_refused(layers, message):
    with pytest.raises(LayerError, match=message):
        Directional.of(layers)
    with pytest.raises(LayerError, match=message.replace("augment", "variants")):
        Directional.of(layers, "variants")


@given(st.integers(0, 2**31), st.integers(0, 10_000), st.permutations(range(12)))
@settings(deadline=None, max_examples=30)
def test_draws_depend_on_seed_epoch_and_tile_alone(seed, epoch, order):
    key = np.arange(12, dtype=np.int64) * 1_000_003
    assert (draw(seed, epoch, key[order]) == draw(seed, epoch, key)[order]).all()
    shuffled = key[order]
    assert (shuffled[permutation(seed, epoch, shuffled)] == key[permutation(seed, epoch, key)]).all()


def test_draws_are_fair_and_differ_between_epochs_seeds_and_purposes():
    key = np.arange(80_000, dtype=np.int64)
    counts = np.bincount(draw_elements(3, 5, key), minlength=8)
    # chi-square with 7 degrees of freedom: 24.3 is exceeded once in a thousand
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 24.3
    for other in (draw(3, 6, key), draw(4, 5, key), draw(3, 5, key, purpose=1)):
        assert (other != draw(3, 5, key)).mean() > 0.999
    assert integer(0, 1) != integer(0, 2)
    assert 0 <= integer(7, 7) < 2**63


def test_order_is_a_permutation_and_changes():
    key = np.arange(50, dtype=np.int64)
    first, second = permutation(0, 0, key), permutation(0, 1, key)
    assert sorted(first) == sorted(second) == list(range(50))
    assert (first != second).any()
