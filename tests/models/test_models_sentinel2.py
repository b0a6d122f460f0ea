"""The Sentinel-2 encoder that the package ukis-csmask carries."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from landslip.errors import ModelError
from landslip.models import build_model
from landslip.models.sentinel2 import BANDS, stem_by_band

onnx = pytest.importorskip("onnx", reason="the extra sentinel2 is not installed")
UNET = "smp:unet-efficientnet-b4"
STEM = "encoder._conv_stem.weight"


@pytest.fixture(scope="module")
def graph():
    found = importlib.util.find_spec("ukis_csmask")
    if found is None:
        pytest.skip("ukis-csmask (extra sentinel2) is not installed")
    return onnx.load(Path(found.submodule_search_locations[0]) / "model_4b_l2a.onnx")


@pytest.fixture(scope="module")
def tensors(graph):
    arrays = {one.name.removeprefix("model."): onnx.numpy_helper.to_array(one) for one in graph.graph.initializer}
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def network(graph):
    return build_model(UNET, 4, weights="sentinel2-csmask", layers=BANDS)


def test_encoder_is_that_of_the_graph_and_the_rest_is_not(network, tensors):
    own = network.state_dict()
    encoder = [name for name in tensors if name.startswith("encoder.")]
    assert len(encoder) > 500
    for name in encoder:
        torch.testing.assert_close(own[name], tensors[name], rtol=0, atol=0, msg=name)
    assert not torch.equal(own["decoder.blocks.0.conv1.0.weight"], tensors["decoder.blocks.0.conv1.0.weight"])


def test_network_computes_what_the_graph_computes(network, tensors, graph):
    """With the graph's decoder and head put on our encoder; the graph in single precision, as we compute."""
    from onnx.reference import ReferenceEvaluator

    whole = build_model(UNET, 4)
    whole.segmentation_head[0] = torch.nn.Conv2d(16, 3, 3, padding=1)
    whole.load_state_dict(tensors, strict=False)
    whole.encoder.load_state_dict(network.encoder.state_dict())
    image = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the evaluator's sigmoid of large numbers
        expected = ReferenceEvaluator(_single_precision(graph)).run(None, {"input": image.numpy()})[0]
        np.testing.assert_allclose(whole.eval()(image).numpy(), expected, rtol=1e-3, atol=2e-4)


def _single_precision(graph):
    single = onnx.ModelProto.FromString(graph.SerializeToString())
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

    def widened(tensor):
        array = onnx.numpy_helper.to_array(tensor)
        return onnx.numpy_helper.from_array(array.astype(np.float32), tensor.name)

    for tensor in single.graph.initializer:
        if tensor.data_type == half:
            tensor.CopyFrom(widened(tensor))
    for node in single.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == half:
                attribute.i = full
            if attribute.HasField("t") and attribute.t.data_type == half:
                attribute.t.CopyFrom(widened(attribute.t))
    return single


def test_each_layer_takes_the_kernels_of_its_band_and_others_begin_silent(graph, tensors):
    layers = ("red", "slope", "nir", "blue")
    network = build_model(UNET, 4, weights="sentinel2-csmask", layers=layers)
    stem = network.get_parameter(STEM)
    for place, band in ((0, 2), (2, 3), (3, 0)):
        torch.testing.assert_close(stem[:, place], tensors[STEM][:, band], rtol=0, atol=0)
    assert not stem[:, 1].any()
    image = torch.randn(1, 4, 64, 64)
    changed = image.clone()
    changed[:, 1] += 5
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(image), network(changed))


def test_layers_without_a_name_share_the_mean(tensors):
    network = build_model("smp:fpn-efficientnet-b4", 5, weights="sentinel2-csmask")
    stem = network.get_parameter(STEM)
    torch.testing.assert_close(stem.sum(dim=1), tensors[STEM].sum(dim=1), rtol=1e-4, atol=1e-5)
    for place in range(5):
        torch.testing.assert_close(stem[:, place], stem[:, 0])


def test_band_that_is_absent_is_as_one_at_its_mean():
    weight = torch.randn(8, 4, 3, 3, dtype=torch.float64)
    image = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    image[:, 3] = 0
    three = torch.conv2d(image[:, [2, 1, 0]], stem_by_band(weight, ("red", "green", "blue")))
    torch.testing.assert_close(three, torch.conv2d(image, weight))


@pytest.mark.parametrize(("layers", "trained"), [(BANDS, False), (("red", "green"), False), ((*BANDS, "slope"), True)])
def test_frozen_encoder_trains_its_stem_only_for_layers_that_are_no_bands(graph, layers, trained):
    network = build_model(UNET, len(layers), weights="sentinel2-csmask", layers=layers, freeze_encoder=True)
    assert network.get_parameter(STEM).requires_grad is trained
    assert not network.get_parameter("encoder._blocks.0._depthwise_conv.weight").requires_grad


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("resunet34", "are of the encoder efficientnet-b4, not resnet34; choose model = 'smp:unet-efficientnet-b4'"),
        ("smp:unet-efficientnet-b0", "are of the encoder efficientnet-b4, not efficientnet-b0"),
        ("unet", "are of the encoder efficientnet-b4, which this network has not; choose"),
    ],
)
def test_unsuited_network_gets_one_clear_line(model, why):
    with pytest.raises(ModelError, match=f"weights 'sentinel2-csmask' {why}"):
        build_model(model, 4, weights="sentinel2-csmask", layers=BANDS)


@pytest.mark.parametrize("absent", ["ukis_csmask", "onnx"])
def test_missing_package_names_the_extra(monkeypatch, absent):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find(name))
    with pytest.raises(
        ModelError, match=r"need the packages ukis-csmask and onnx; pip install 'landslip\[sentinel2\]'"
    ):
        build_model(UNET, 4, weights="sentinel2-csmask")


def test_unknown_name_lists_it_among_those_of_its_encoder():
    with pytest.raises(ModelError, match=r"no weights 'sentinel2' for efficientnet-b4; .*sentinel2-csmask"):
        build_model(UNET, 4, weights="sentinel2")


def test_damaged_package_says_how_to_mend_it(monkeypatch, tmp_path):
    from landslip.models import sentinel2

    (tmp_path / "model_4b_l2a.onnx").write_bytes(b"\x0acut off")
    monkeypatch.setattr(sentinel2, "_file", lambda weights: tmp_path / "model_4b_l2a.onnx")
    with pytest.raises(ModelError, match=r"model_4b_l2a\.onnx: absent or damaged .*force-reinstall ukis-csmask"):
        build_model(UNET, 4, weights="sentinel2-csmask")
