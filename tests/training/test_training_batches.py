"""Which tiles each update sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.data.augment import ELEMENTS, Directional, augment, expansion
from landslip.data.standardise import standardise, with_recipe
from landslip.errors import ConfigError
from landslip.training import TrainConfig
from landslip.training.batches import Plan, TileStore, split_evenly
from landslip.training.schedule import learning_rate

KEY = np.arange(11, dtype=np.int64) * 97


def seen(plan: Plan, epoch: int) -> list[tuple[int, int]]:
    return [(int(t), int(e)) for tiles, kinds, _ in plan.of_epoch(epoch) for t, e in zip(tiles, kinds, strict=True)]


@pytest.mark.parametrize("kind", ["none", "paper5", "six"])
def test_an_epoch_is_one_pass_over_every_tile_in_every_kind(kind):
    plan = Plan(KEY, kind, 4, seed=1, epochs=3)
    expected = sorted((t, e) for t in range(11) for e in expansion(kind))
    for epoch in range(3):
        assert sorted(seen(plan, epoch)) == expected
    assert seen(plan, 0) != seen(plan, 1)


def test_d4_draws_every_element_anew():
    plan = Plan(KEY, "d4", 4, seed=1, epochs=60)
    everything = [pair for epoch in range(60) for pair in seen(plan, epoch)]
    assert {e for _, e in everything} == set(ELEMENTS)
    assert [t for t, _ in everything].count(3) == 60


@given(st.integers(1, 40), st.integers(1, 16))
@settings(deadline=None, max_examples=40)
def test_batches_are_as_few_as_can_be_and_of_equal_size(n, batch):
    parts = split_evenly(np.arange(n, dtype=np.int64), batch)
    sizes = [len(part) for part in parts]
    assert np.concatenate(parts).tolist() == list(range(n))
    assert len(parts) == -(-n // batch)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch


@given(st.integers(12, 200), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_given_steps_are_taken_in_all_and_spread_over_the_epochs(steps, epochs):
    plan = Plan(KEY, "none", 4, seed=1, epochs=epochs, steps=steps)
    sizes = [len(list(plan.of_epoch(epoch))) for epoch in range(epochs)]
    assert sum(sizes) == plan.updates == steps
    assert max(sizes) - min(sizes) <= 1


def test_step_matched_control_sees_each_tile_as_often_as_the_expanded_run():
    expanded = Plan(KEY, "paper5", 5, seed=1, epochs=2)
    control = Plan(KEY, "none", 5, seed=1, epochs=2, steps=expanded.updates)
    assert expanded.updates == control.updates == 22
    counts = np.bincount([t for epoch in range(2) for t, _ in seen(control, epoch)], minlength=11)
    assert counts.max() - counts.min() <= 1
    # 22 updates in passes of 3 batches: seven passes and a third
    assert counts.min() == 7


def test_turned_batch_is_the_turned_tile_standardised(tiles):
    tiles = with_recipe(tiles)
    store = TileStore(tiles, tiles.recipe, torch.device("cpu"))
    index, kinds = np.arange(8, dtype=np.int64), np.array(ELEMENTS, np.int64)
    image, target = store.batch(index, kinds)
    assert image.is_contiguous(memory_format=torch.channels_last)
    label = np.where(tiles.valid(), tiles.label, 255)
    for i, element in enumerate(ELEMENTS):
        expected, mask = augment(tiles.image[i], label[i], element, Directional())
        np.testing.assert_allclose(image[i], standardise(expected, tiles.recipe), rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(target[i], mask)


def test_random_scale_multiplies_image_layers_alone_and_is_drawn_by_pass_and_tile(tiles):
    tiles = with_recipe(tiles)
    store = TileStore(tiles, tiles.recipe, torch.device("cpu"))
    plan = Plan(tiles.key, "six", 4, seed=1, epochs=2, random_scale=2.0)
    drawn = [batch for epoch in range(2) for batch in plan.of_epoch(epoch)]
    factors = np.concatenate([scales for _, _, scales in drawn])
    assert ((factors >= 0.5) & (factors <= 2)).all()
    assert len(np.unique(factors)) == len(factors)
    assert abs(np.log(factors).mean()) < 0.2
    index, elements, scales = drawn[0]
    image, _ = store.batch(index, elements, scales)
    plain, _ = store.batch(index, elements)
    mean, std = (torch.tensor(one)[:, None, None] for one in (tiles.recipe.mean, tiles.recipe.std))
    follows = [name != "slope" for name in tiles.layers]
    assert not all(follows)
    valid = plain != 0
    for layer, follow in enumerate(follows):
        before, after = ((one * std + mean)[:, layer] for one in (plain, image))
        factor = torch.from_numpy(scales)[:, None, None] if follow else torch.ones(len(scales), 1, 1)
        seen = valid[:, layer]
        torch.testing.assert_close(after[seen], (before * factor)[seen], rtol=1e-4, atol=1e-4)
    same = Plan(tiles.key[::-1].copy(), "six", 4, seed=1, epochs=2, random_scale=2.0)
    by_tile = [
        {
            (int(one.key[t]), int(e)): float(f)
            for ts, es, fs in one.of_epoch(0)
            for t, e, f in zip(ts, es, fs, strict=True)
        }
        for one in (plan, same)
    ]
    assert by_tile[0] == by_tile[1]


def test_making_batches_leaves_the_tiles_as_they_were(tiles):
    tiles = with_recipe(tiles)
    before = tiles.image.copy()
    store = TileStore(tiles, tiles.recipe, torch.device("cpu"))
    for element in ELEMENTS:
        store.batch(np.arange(len(tiles), dtype=np.int64), np.full(len(tiles), element))
    np.testing.assert_array_equal(tiles.image, before)


def test_learning_rate_rises_falls_and_ends_near_nothing():
    config = TrainConfig(learning_rate=0.01)
    rates = [learning_rate(config, i, 100) for i in range(100)]
    assert max(rates) == rates[5] == pytest.approx(0.01)
    assert (np.diff(rates[:5]) > 0).all()
    assert (np.diff(rates[5:]) < 0).all()
    assert rates[-1] < 1e-5
    constant = config.model_copy(update={"schedule": "constant"})
    assert {learning_rate(constant, i, 100) for i in range(100)} == {0.01}


def test_fewer_steps_than_epochs_are_refused():
    with pytest.raises(ConfigError, match="steps = 3 are fewer than epochs = 5; lower epochs"):
        TrainConfig.from_dict({"epochs": 5, "steps": 3})
