"""Pretrained weights: fitted, refused, frozen."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from landslip.errors import MissingInputError, ModelError
from landslip.models import build_model, parameter_counts
from landslip.models.weights import adapt_stem


@pytest.fixture(scope="module")
def donor():
    torch.manual_seed(1)
    return build_model("smp:unet-resnet18", 3)


@pytest.fixture(scope="module")
def donor_file(donor, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file(dict(donor.encoder.state_dict()), path)
    return path


@pytest.mark.parametrize("layers", [1, 2, 4, 5, 9])
def test_adapted_stem_answers_equal_layers_as_before(layers):
    weight = torch.randn(8, 3, 7, 7, dtype=torch.float64)
    gray = torch.randn(2, 1, 20, 20, dtype=torch.float64)
    before = torch.conv2d(gray.repeat(1, 3, 1, 1), weight)
    after = torch.conv2d(gray.repeat(1, layers, 1, 1), adapt_stem(weight, layers))
    torch.testing.assert_close(after, before)


def test_stem_for_the_same_number_of_layers_is_left_alone():
    weight = torch.randn(8, 3, 7, 7)
    assert adapt_stem(weight, 3) is weight


def test_encoder_file_fills_the_encoder_and_adapts_the_stem(donor, donor_file):
    network = build_model("smp:fpn-resnet18", 5, weights=donor_file)
    own = network.encoder.state_dict()
    for key, value in donor.encoder.state_dict().items():
        expected = adapt_stem(value, 5) if key == "conv1.weight" else value
        torch.testing.assert_close(own[key], expected, msg=key)


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_whole_network_saved_by_torch_is_taken_with_or_without_a_wrapper(donor, tmp_path, prefix):
    path = tmp_path / "whole.pt"
    torch.save({"state_dict": {prefix + k: v for k, v in donor.state_dict().items()}}, path)
    network = build_model("smp:unet-resnet18", 3, weights=str(path)).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), donor.eval()(image))


def test_head_for_other_classes_stays_fresh(tmp_path):
    path = tmp_path / "two.safetensors"
    other = build_model("unet", 3, width=4)
    state = other.state_dict() | {"head.weight": torch.zeros(2, 4, 1, 1), "head.bias": torch.zeros(2)}
    save_file(state, path)
    network = build_model("unet", 5, width=4, weights=path)
    assert network.head.weight.any()
    torch.testing.assert_close(network.up[3][1][0].weight, other.up[3][1][0].weight)


def test_a_bias_is_taken_with_its_weights_alone(tmp_path):
    donor = build_model("resunet34", 3)
    donor.head.bias.data.fill_(5.0)
    save_file(donor.state_dict(), tmp_path / "donor.safetensors")
    other = {"decoder": (128, 64, 32, 16, 4), "weights": tmp_path / "donor.safetensors"}
    assert build_model("resunet34", 3, prior=0.5, **other).head.bias.item() == 0.0
    assert build_model("resunet34", 3, prior=0.5, weights=tmp_path / "donor.safetensors").head.bias.item() == 5.0


def test_run_folder_gives_its_weights(tmp_path):
    source = build_model("unet", 4, width=4)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    network = build_model("unet", 4, width=4, weights=tmp_path)
    torch.testing.assert_close(network.down[2][0][0].weight, source.down[2][0][0].weight)


def test_weights_of_another_network_are_refused(donor_file):
    with pytest.raises(ModelError, match=r"of another network: .* first 'encoder\.layer1\.2\.conv1\.weight'"):
        build_model("resunet34", 5, weights=donor_file)
    with pytest.raises(ModelError, match="weights are of another network"):
        build_model("unet", 5, weights=donor_file)


class Harmful:
    def __reduce__(self):
        return (print, ("code was run",))


def test_files_that_are_no_weights_are_refused_and_no_code_runs(tmp_path, capsys):
    cases = {"text.pt": b"hello", "cut.safetensors": b"\x10\x00", "code.pt": pickle.dumps({"a": Harmful()})}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name}: not a weights file"):
            build_model("resunet34", 5, weights=tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelError, match=r"list\.pt: no tensors by name in it"):
        build_model("resunet34", 5, weights=tmp_path / "list.pt")
    assert "code was run" not in capsys.readouterr().out


def test_missing_file_and_unknown_name_say_what_there_is(tmp_path):
    with pytest.raises(MissingInputError, match="no such weights file"):
        build_model("resunet34", 5, weights=tmp_path / "absent.safetensors")
    with pytest.raises(ModelError, match="no weights 'imagnet' for resnet34; there are imagenet, or give a file"):
        build_model("resunet34", 5, weights="imagnet")
    with pytest.raises(ModelError, match="this network has no named weights; give a weights file"):
        build_model("unet", 5, weights="imagenet")


def test_weights_that_cannot_be_downloaded_say_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", _offline)
    with pytest.raises(ModelError, match=r"weights 'imagenet' of resnet34 cannot be downloaded \(ConnectionError\)"):
        build_model("resunet34", 5, weights="imagenet")


def _offline(*arguments, **named):
    raise ConnectionError("no route to host")


def test_named_weights_are_fetched_for_three_layers_and_adapted(monkeypatch, donor):
    import segmentation_models_pytorch.encoders as encoders

    asked = []

    def get_encoder(name, in_channels, weights):
        asked.append((name, in_channels, weights))
        return donor.encoder

    network = build_model("smp:fpn-resnet18", 4)  # before the patch: it builds through the same function
    monkeypatch.setattr(encoders, "get_encoder", get_encoder)
    from landslip.models.weights import load_weights

    load_weights(network, "imagenet", encoder_name="resnet18")
    assert asked == [("resnet18", 3, "imagenet")]
    torch.testing.assert_close(network.encoder.conv1.weight, adapt_stem(donor.encoder.conv1.weight, 4))


@pytest.mark.parametrize(("layers", "stem_trained"), [(3, False), (5, True)])
def test_frozen_encoder_keeps_convolutions_and_trains_its_normalisation(donor_file, layers, stem_trained):
    network = build_model("smp:fpn-resnet18", layers, weights=donor_file, freeze_encoder=True)
    trained = {key for key, p in network.encoder.named_parameters() if p.requires_grad}
    assert ("conv1.weight" in trained) is stem_trained
    modules = dict(network.encoder.named_modules())
    for key in trained - {"conv1.weight"}:
        assert isinstance(modules[key.rpartition(".")[0]], torch.nn.BatchNorm2d)
    assert all(p.requires_grad for key, p in network.named_parameters() if not key.startswith("encoder."))
    counts = parameter_counts(network)
    assert counts.trained < counts.total

    before = {key: value.clone() for key, value in network.encoder.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()(torch.randn(2, layers, 64, 64)).square().mean().backward()
    optimiser.step()
    changed = {key for key, value in network.encoder.state_dict().items() if not torch.equal(value, before[key])}
    assert "bn1.running_mean" in changed
    assert "bn1.weight" in changed
    assert "layer1.0.conv1.weight" not in changed
    assert ("conv1.weight" in changed) is stem_trained
