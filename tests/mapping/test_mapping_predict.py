"""Whole-scene prediction: constants, crops, invalid pixels, restart, variants, ensembles."""

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from helpers.maps import LAYERS, Constant, Pixelwise, member, scene_layers, unet_bundle, write_scene
from landslip.errors import InputError, LayerError, ModelError, OutputError
from landslip.mapping.config import PredictConfig
from landslip.mapping.prepare import member_of, prepare
from landslip.mapping.probability.assemble import assemble
from landslip.mapping.probability.parts import Parts
from landslip.mapping.probability.predict import entropy, predict_bands

F32 = {"device": "cpu", "precision": "float32"}


def run(members, scene, tmp_path, *, name="out", resume=False, **options) -> np.ndarray:
    members = members if isinstance(members, list) else [members]
    config = PredictConfig(**({"tile": 32, "overlap": 8, "batch": 4} | F32 | options))
    out = tmp_path / name
    prepared = prepare(members, scene, config)
    parts = Parts(out, prepared.identity(), resume=resume)
    prepared = prepared.with_objects(parts.folder)
    predict_bands(prepared.prediction, parts)
    assemble(prepared.prediction, parts, out / "probability.tif", {"model": "test"})
    with rasterio.open(out / "probability.tif") as dataset:
        return dataset.read()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 5), (31, 64), (101, 77)])
@pytest.mark.parametrize("overlap", [0, 1, 8, 16, 31])
def test_constant_model_gives_a_constant_raster(tmp_path, make_scene, shape, overlap):
    found = run(member(Constant()), make_scene(shape), tmp_path, overlap=overlap)
    assert found.shape == (1, *shape)
    assert (found == torch.sigmoid(torch.tensor(0.7)).numpy()).all()


@pytest.mark.parametrize("shape", [(150, 170), (600, 40), (40, 1100)])
def test_pixelwise_model_sees_every_pixel_where_it_is(tmp_path, make_scene, shape):
    scene = make_scene(shape)
    found = run(member(Pixelwise()), scene, tmp_path, overlap=10)[0]
    layers = scene.read(LAYERS)
    logits = (layers[0] - 0.15) / 0.05 + (layers[1] - 0.15) / 0.05 + (layers[2] - 20) / 10
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_crop_then_map_is_map_then_crop(tmp_path):
    layers = scene_layers((700, 210))
    model = member_of(unet_bundle(), "run")
    whole = run(model, write_scene(tmp_path / "whole", layers), tmp_path, name="a", overlap=8)[0]
    # Strides of 24: the crop begins on the 3rd row and 2nd column of windows.
    crop = {name: layer[72:, 48:] for name, layer in layers.items()}
    part = run(model, write_scene(tmp_path / "crop", crop), tmp_path, name="b", overlap=8)[0]
    inner = (slice(32, -32), slice(32, -32))
    assert np.array_equal(part[inner], whole[72:, 48:][inner])
    assert whole.std() > 0.01


def test_one_invalid_pixel_stays_one_and_reaches_only_its_windows(tmp_path):
    layers = scene_layers((150, 170))
    model = member_of(unet_bundle(), "run")
    before = run(model, write_scene(tmp_path / "clean", layers), tmp_path, name="a")[0]
    layers["green"][70, 90] = np.nan
    after = run(model, write_scene(tmp_path / "holed", layers), tmp_path, name="b")[0]
    assert np.argwhere(np.isnan(after)).tolist() == [[70, 90]]
    changed = np.argwhere((after != before) & ~np.isnan(after))
    assert len(changed)
    # Windows of 32 every 24 pixels: those that contain the pixel begin on rows 48, columns 72.
    assert (changed.min(axis=0) >= [48, 72]).all()
    assert (changed.max(axis=0) < [80, 104]).all()


def test_a_layer_that_the_model_ignores_does_not_void_pixels(tmp_path):
    layers = scene_layers((40, 40))
    layers["elevation"][:] = np.nan
    found = run(member(Constant()), write_scene(tmp_path / "scene", layers), tmp_path)
    assert np.isfinite(found).all()


def test_nothing_valid_gives_nothing(tmp_path):
    layers = scene_layers((40, 70))
    layers["red"][:] = np.nan
    assert np.isnan(run(member(Constant()), write_scene(tmp_path / "scene", layers), tmp_path)).all()


@pytest.mark.parametrize("variants", ["flips", "d4"])
def test_variants_of_a_pixelwise_model_agree(tmp_path, make_scene, variants):
    scene = make_scene((50, 60))
    plain = run(member(Pixelwise()), scene, tmp_path)
    several = run(member(Pixelwise()), scene, tmp_path, name="b", variants=variants)
    np.testing.assert_allclose(several, plain, atol=1e-6)


def test_all_eight_variants_make_any_model_turn_with_the_image(tmp_path):
    layers = scene_layers((64, 64))
    model = member_of(unet_bundle(), "run")
    options = {"variants": "d4", "tile": 64, "overlap": 0}
    found = run(model, write_scene(tmp_path / "a", layers), tmp_path, name="x", **options)[0]
    turned = {name: np.rot90(layer).copy() for name, layer in layers.items()}
    again = run(model, write_scene(tmp_path / "b", turned), tmp_path, name="y", **options)[0]
    np.testing.assert_allclose(again, np.rot90(found), atol=1e-6)


class East(nn.Module):
    """Answers from the first layer, the east component of a direction."""

    def forward(self, image):
        return image[:, :1]


def test_variants_turn_directions_as_vectors(tmp_path):
    from landslip.mapping.probability.network import Member
    from landslip.recipe import LayerStatistics, Recipe

    shape = (32, 32)
    layers = {"aspect_sin": np.full(shape, 0.6, np.float32), "aspect_cos": np.full(shape, 0.8, np.float32)}
    scene = write_scene(tmp_path / "scene", layers)
    statistics = dict.fromkeys(layers, LayerStatistics(mean=0.0, std=1.0, low=-1.0, high=1.0))
    model = Member("run", East(), Recipe(layers=tuple(layers), statistics=statistics), 0.5, "x")
    found = run(model, scene, tmp_path, variants="d4", tile=32, overlap=0)[0]
    # The direction goes to all eight images of (0.6, 0.8): the mean of sigmoids of ±0.6 and ±0.8 is one half.
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_variants_refuse_layers_that_cannot_be_turned(tmp_path):
    from landslip.mapping.probability.network import Member
    from landslip.recipe import LayerStatistics, Recipe

    scene = write_scene(tmp_path / "scene", {"hillshade": np.zeros((32, 32), np.float32)})
    statistics = {"hillshade": LayerStatistics(mean=0.0, std=1.0, low=-1.0, high=1.0)}
    model = Member("run", Pixelwise(), Recipe(layers=("hillshade",), statistics=statistics), 0.5, "x")
    assert np.isfinite(run(model, scene, tmp_path)).all()
    with pytest.raises(LayerError, match=r"hillshade.*cannot be flipped or turned"):
        run(model, scene, tmp_path, variants="flips")


def test_ensemble_is_the_mean_and_members_may_eat_other_layers(tmp_path, make_scene):
    scene = make_scene((60, 50))
    one, two = member(Pixelwise()), member(Pixelwise(), ("slope", "red"), "other")
    alone = [run(m, scene, tmp_path, name=m.name) for m in (one, two)]
    both = run([one, two], scene, tmp_path, name="both")
    np.testing.assert_allclose(both, (alone[0] + alone[1]) / 2, atol=1e-6)


def test_entropy_and_disagreement(tmp_path, make_scene):
    scene = make_scene((40, 40))
    yes, no = member(Constant(3.0)), member(Constant(-3.0), name="no")
    own = float(entropy(torch.sigmoid(torch.tensor(3.0)).numpy()))
    for kind, expected in (("entropy", 1.0), ("disagreement", 1.0 - own)):
        found = run([yes, no], scene, tmp_path, name=kind, uncertainty=kind)
        np.testing.assert_allclose(found[0], 0.5, atol=1e-6)
        np.testing.assert_allclose(found[1], expected, atol=1e-5)
    same = run([yes, member(Constant(3.0), name="b")], scene, tmp_path, name="s", uncertainty="disagreement")
    np.testing.assert_allclose(same[1], 0.0, atol=1e-6)
    assert entropy(np.array([0, 0.5, 1, np.nan], np.float32)).tolist()[:3] == [0.0, 1.0, 0.0]


def test_uncertainty_of_a_single_prediction_is_refused(tmp_path, make_scene):
    with pytest.raises(InputError, match="add --variants flips or d4, or --ensemble"):
        run(member(Constant()), make_scene((40, 40)), tmp_path, uncertainty="entropy")


def test_resuming_after_any_band_gives_the_same_bytes(tmp_path, make_scene):
    scene = make_scene((1300, 40))
    model = member_of(unet_bundle(), "run")
    run(model, scene, tmp_path, name="whole")
    wanted = (tmp_path / "whole" / "probability.tif").read_bytes()
    config = PredictConfig(tile=32, overlap=8, batch=4, **F32)
    for stop in (1, 2):
        out = tmp_path / f"cut{stop}"
        prepared = prepare([model], scene, config)
        parts = Parts(out, prepared.identity(), resume=False)
        assert len(prepared.prediction.plan.bands) == 3

        written, write = [], parts.write

        def cut(band, part, carry, written=written, write=write, stop=stop):
            if len(written) == stop:
                raise KeyboardInterrupt
            written.append(band)
            write(band, part, carry)

        parts.write = cut
        with pytest.raises(KeyboardInterrupt):
            predict_bands(prepared.prediction, parts)
        run(model, scene, tmp_path, name=f"cut{stop}", resume=True)
        assert (out / "probability.tif").read_bytes() == wanted


def test_resuming_with_other_settings_is_refused(tmp_path, make_scene):
    scene = make_scene((40, 40))
    run(member(Constant()), scene, tmp_path)
    with pytest.raises(OutputError, match=r"begun with another overlap \(8, now 9\)"):
        run(member(Constant()), scene, tmp_path, overlap=9, resume=True)
    with pytest.raises(OutputError, match="begun with another models"):
        run(member(Constant(), name="other"), scene, tmp_path, resume=True)


def test_a_network_that_gives_nan_is_refused(tmp_path, make_scene):
    with pytest.raises(ModelError, match="values that are not numbers"):
        run(member(Constant(float("nan"))), make_scene((40, 40)), tmp_path)


def test_missing_layer_is_named(tmp_path):
    scene = write_scene(tmp_path / "scene", {"red": np.zeros((40, 40), np.float32)})
    with pytest.raises(LayerError, match=r"layer 'green' needs green, which the scene .*scene does not have"):
        run(member(Constant()), scene, tmp_path)


def test_bf16_changes_probabilities_only_a_little(tmp_path, make_scene):
    scene = make_scene((130, 130))
    model = member_of(unet_bundle(width=8), "run")
    full = run(model, scene, tmp_path, name="full")[0]
    half = run(model, scene, tmp_path, name="half", precision="bf16")[0]
    change = np.abs(full - half)
    assert 0 < change.max() < 0.05
    assert change.mean() < 0.005


def test_a_read_error_in_the_reading_thread_comes_out(tmp_path, make_scene):
    scene = make_scene((600, 600))
    bands = scene.path / "bands.tif"
    bands.write_bytes(bands.read_bytes()[: bands.stat().st_size // 2])
    with pytest.raises(InputError, match=r"bands.tif"):
        run(member(Constant()), scene, tmp_path)


def test_standardising_is_that_of_training():
    from helpers.maps import recipe
    from landslip.data.standardise import standardise
    from landslip.mapping.probability.network import Forward

    image = np.random.default_rng(0).normal(0.1, 5, (2, 3, 32, 32)).astype(np.float32)
    image[0, 1, 3, 4], image[1, 2, 5, 6] = np.nan, np.inf
    ready = Forward([member(Pixelwise())], [slice(0, 3)], PredictConfig(**F32))._runs[0]
    found = ready.standardise(torch.from_numpy(image))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(found.numpy(), standardise(image, recipe()))


@pytest.mark.parametrize("name", ["unet", "attention-resunet34"])
def test_folding_normalisations_changes_rounding_alone(name):
    from landslip.mapping.probability.network import fold_batch_norm
    from landslip.models import build_model

    torch.manual_seed(0)
    network = build_model(name, 3, **({"width": 6} if name == "unet" else {})).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    image = torch.randn(1, 3, 64, 64)
    folded = fold_batch_norm(network)
    with torch.inference_mode():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)
    count = [sum(isinstance(m, nn.BatchNorm2d) for m in one.modules()) for one in (network, folded)]
    assert count[1] < count[0]


@pytest.mark.parametrize("name", ["unet", "attention-resunet34", "smp:segformer-mit_b0"])
def test_weights_cast_beforehand_give_the_bits_of_autocast(name):
    from landslip.mapping.probability.network import cast_weights, fold_batch_norm
    from landslip.models import build_model

    torch.manual_seed(0)
    network = fold_batch_norm(build_model(name, 3, **({"width": 6} if name == "unet" else {})))
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        before = network(image)
        cast_weights(network)
        assert any(parameter.dtype == torch.bfloat16 for parameter in network.parameters())
        assert torch.equal(network(image), before)
