"""Networks: their sizes, what they take, what they refuse."""

import socket

import pytest
import torch
from safetensors.torch import save_file

from landslip.errors import ModelError
from landslip.models import build_model, model_names, parameter_counts
from landslip.models.registry import output_bias

SMALL = {"unet": {"width": 4}, "resunet34": {}, "attention-resunet34": {}, "smp:fpn-resnet18": {}}


def test_parameter_counts_are_those_of_the_paper_with_five_layers():
    assert parameter_counts(build_model("unet", 5)).total == 4_012_282
    network = build_model("resunet34", 5)
    counts = parameter_counts(network)
    assert counts.total == counts.trained == 23_107_369
    encoder = sum(p.numel() for p in network.encoder.parameters())
    assert counts.total - encoder == 1_816_425


def test_attention_adds_its_four_gates_and_nothing_else():
    plain, gated = build_model("resunet34", 5), build_model("attention-resunet34", 5)
    assert len(gated.gates) == 4
    gates = sum(p.numel() for p in gated.gates.parameters())
    assert parameter_counts(gated).total == parameter_counts(plain).total + gates


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("rows", "cols"), [(32, 32), (64, 96)])
def test_logits_have_one_channel_and_the_size_of_the_input(name, rows, cols):
    network = build_model(name, 4, **SMALL[name]).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, rows, cols)).shape == (2, 1, rows, cols)


@pytest.mark.parametrize("name", SMALL)
def test_sizes_that_are_no_multiple_of_32_are_refused_with_the_nearest(name):
    network = build_model(name, 4, **SMALL[name])
    with pytest.raises(ModelError, match="48 x 100 pixels: both must be multiples of 32; choose 64 x 96"):
        network(torch.zeros(1, 4, 48, 100))
    with pytest.raises(ModelError, match="that is 4 layers; this is"):
        network(torch.zeros(1, 5, 64, 64))


def test_every_parameter_has_a_part_in_the_result():
    for name in model_names():
        network = build_model(name, 3, **SMALL[name])
        network(torch.randn(2, 3, 64, 64)).square().mean().backward()
        idle = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert not idle, name


@pytest.mark.parametrize(
    "name", ["unet", "resunet34", "attention-resunet34", "smp:unet-efficientnet-b0", "smp:pan-resnet18"]
)
def test_a_network_begins_with_the_answer_it_is_given(name):
    torch.manual_seed(0)
    network = build_model(name, 3, prior=0.03)
    assert torch.sigmoid(output_bias(network)).item() == pytest.approx(0.03)
    with torch.inference_mode():
        logits = network.eval()(torch.zeros(1, 3, 128, 128))
        output_bias(network).data.zero_()
        torch.testing.assert_close(network(torch.zeros(1, 3, 128, 128)) - logits, torch.full_like(logits, 3.4761))


def test_weights_of_a_whole_network_bring_their_own_beginning(tmp_path):
    donor = build_model("unet", 3, width=2)
    save_file(donor.state_dict(), tmp_path / "all.safetensors")
    taken = build_model("unet", 3, width=2, prior=0.03, weights=tmp_path / "all.safetensors")
    assert torch.equal(output_bias(taken), output_bias(donor))


def test_a_network_without_a_bias_to_set_is_told():
    with pytest.raises(ModelError, match="no last convolution with a bias to begin with; set prior_bias = false"):
        output_bias(torch.nn.Conv2d(3, 1, 1, bias=False))


def test_attention_weights_lie_between_0_and_1_and_scale_the_skip():
    gate = build_model("attention-resunet34", 3).gates[0]
    skip, signal = torch.randn(2, 256, 4, 4), torch.randn(2, 128, 4, 4)
    weights = gate.weights(skip, signal)
    assert weights.shape == (2, 1, 4, 4)
    assert ((weights > 0) & (weights < 1)).all()
    torch.testing.assert_close(gate(skip, signal), skip * weights)


def test_building_never_touches_the_network_unless_weights_are_named(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for name, options in SMALL.items():
        build_model(name, 5, weights="none", **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, "unknown network 'unett'; did you mean 'unet'"),
        ("forest", {}, "known are unet, resunet34, attention-resunet34, smp:ARCHITECTURE-ENCODER"),
        ("unet", {"widht": 8}, "unet has no option 'widht'; it has width"),
        ("unet", {"freeze_encoder": True}, "unet has no pretrained encoder to freeze"),
        ("resunet34", {"freeze_encoder": True}, "freeze_encoder needs weights"),
        ("resunet34", {"freeze_encoder": True, "weights": "none"}, "freeze_encoder needs weights"),
        ("resunet34", {"decoder": (8, 8)}, "resunet34 cannot be built with"),
        ("smp:deeplabv3-plus", {}, "has no encoder 'plus'"),
        ("smp:fpnn-resnet34", {}, "has no architecture 'fpnn'; did you mean 'fpn'"),
        ("smp:fpn", {}, "names no encoder; write smp:fpn-resnet34"),
        ("smp:fpn-resnet3", {}, "has no encoder 'resnet3'; did you mean"),
        ("smp:dpt-resnet34", {}, "tiles of one size only"),
        ("smp:fpn-resnet18", {"classes": 2}, "option 'classes' is set by landslip"),
        ("smp:fpn-resnet18", {"widht": 2}, "smp:fpn has no option 'widht'; it has decoder_dropout"),
        ("smp:fpn-tu-nonsense", {}, "Unknown model"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(name, options, message):
    with pytest.raises(ModelError, match=message) as caught:
        build_model(name, 4, **options)
    assert "\n" not in str(caught.value)


def test_a_network_needs_a_layer():
    with pytest.raises(ModelError, match="at least one layer, not 0"):
        build_model("unet", 0)
