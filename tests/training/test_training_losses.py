"""Losses: right on known answers, and blind to what does not count."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.training import TrainConfig
from landslip.training.losses import masked_loss

NAMES = ("bce", "dice", "bce+dice", "focal", "tversky")


def make(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 8, 8, generator=generator)
    target = (torch.rand(3, 8, 8, generator=generator) < 0.3).to(torch.uint8)
    return logits, target


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_pixels_that_do_not_count_change_neither_loss_nor_gradient(name, seed):
    logits, target = make(seed)
    outside = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed + 1)) < 0.4
    target[outside] = 255
    poisoned = torch.where(outside[:, None], torch.full_like(logits, 1e4), logits)
    loss = masked_loss(TrainConfig(loss=name))
    results = []
    for one in (logits, poisoned):
        leaf = one.clone().requires_grad_()
        value, counted = loss(leaf, target)
        value.backward()
        assert int(counted) == int((~outside).sum())
        assert not leaf.grad[:, 0][outside].any()
        results.append((value.detach(), leaf.grad[:, 0][~outside]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_loss_over_counted_pixels_is_that_of_the_pixels_alone(name):
    # normalised over what counts: left-out pixels must not dilute the mean
    logits, target = make()
    loss = masked_loss(TrainConfig(loss=name))
    alone, _ = loss(logits[:1], target[:1])
    target[1:] = 255
    together, _ = loss(logits, target)
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", NAMES)
def test_batch_without_a_counted_pixel_has_no_loss_and_no_gradient(name):
    logits, target = make()
    leaf = logits.requires_grad_()
    value, counted = masked_loss(TrainConfig(loss=name))(leaf, torch.full_like(target, 255))
    value.backward()
    assert (float(value.detach()), int(counted)) == (0.0, 0)
    assert not leaf.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_perfect_prediction_is_best(name):
    _, target = make()
    loss = masked_loss(TrainConfig(loss=name))
    perfect = (target[:, None].float() * 2 - 1) * 20
    assert float(loss(perfect, target)[0]) < 1e-3
    assert float(loss(-perfect, target)[0]) > 0.5


def test_known_values():
    logits = torch.zeros(1, 1, 2, 2)
    target = torch.tensor([[[1, 0], [0, 255]]], dtype=torch.uint8)
    half = math.log(2)
    value = {name: float(masked_loss(TrainConfig(loss=name))(logits, target)[0]) for name in NAMES}
    assert value["bce"] == pytest.approx(half)
    assert value["focal"] == pytest.approx(half / 4)  # (1 - 1/2)^2 of it
    # over the three pixels: TP 1/2, FP 1, FN 1/2
    assert value["bce+dice"] == pytest.approx(value["bce"] + value["dice"])
    assert value["dice"] == value["tversky"] == pytest.approx(1 - 2 * 0.5 / (2 * 0.5 + 1 + 0.5))
    uneven = TrainConfig(loss="tversky", tversky_alpha=0.2, tversky_beta=0.8)
    found = float(masked_loss(uneven)(logits, target)[0])
    assert found == pytest.approx(1 - 0.5 / (0.5 + 0.2 * 1 + 0.8 * 0.5))
    weighted = float(masked_loss(TrainConfig(positive_weight=4.0))(logits, target)[0])
    assert weighted == pytest.approx(half * (4 + 1 + 1) / 3)


def test_bf16_logits_are_computed_with_in_float32():
    logits, target = make()
    value, _ = masked_loss(TrainConfig())(logits.bfloat16(), target)
    assert value.dtype == torch.float32
