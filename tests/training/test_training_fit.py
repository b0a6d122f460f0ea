"""A whole training: what it learns, what it writes, what it refuses."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.training_tiles import make_tiles
from landslip.bundle import Bundle
from landslip.config import Config
from landslip.data.tileset import Part
from landslip.errors import ConfigError, InputError, LayerError, ModelError, OutputError, SplitError
from landslip.scoring import Confusion
from landslip.training import TrainConfig, fit, predict_tiles


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory):
    config = TrainConfig(
        model_options={"width": 4}, epochs=12, batch=4, learning_rate=0.01, precision="float32", device="cpu"
    )
    folder = tmp_path_factory.mktemp("trained") / "run"
    return fit(tiles, config, folder), folder


def test_it_learns_bright_squares(trained):
    bundle, _ = trained
    for part in ("train", "validation", "test"):
        assert bundle.scores[part]["at_threshold"]["f1"] > 0.85


def test_scores_are_those_of_the_predictions(trained, tiles):
    bundle, _ = trained
    probability = predict_tiles(bundle, tiles, batch=5, device="cpu", precision="float32")
    assert probability.dtype == np.float32
    for name, part in (("train", Part.TRAIN), ("validation", Part.VALIDATION), ("test", Part.TEST)):
        chosen = tiles.of(part)
        for key, threshold in (("at_half", 0.5), ("at_threshold", bundle.threshold)):
            found = Confusion.from_arrays(probability[tiles.part == part] >= threshold, chosen.label, chosen.counted())
            assert bundle.scores[name][key] == found.to_dict()


def test_best_epoch_is_the_one_of_least_validation_loss_and_its_weights_are_kept(trained):
    bundle, folder = trained
    with (folder / "metrics.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    losses = [float(row["validation_loss"]) for row in rows]
    assert bundle.training["best_epoch"] == 1 + int(np.argmin(losses))
    # the loss of the kept weights is that of their epoch
    assert bundle.scores["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)
    best = rows[bundle.training["best_epoch"] - 1]
    assert bundle.scores["validation"]["at_half"]["f1"] == pytest.approx(float(best["validation_f1"]), rel=1e-9)


def test_run_folder_is_whole_and_holds_no_code(trained):
    bundle, folder = trained
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "model.safetensors", "model.json", "metrics.csv", "config.toml", "log.json", "checkpoints/best.ckpt",
    }  # fmt: skip
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    again = Bundle.load(folder)
    for key, value in again.state.items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)
    content = json.loads((folder / "model.json").read_text())
    assert content["format"] == 1
    assert content["architecture"]["parameters"] == sum(p.numel() for p in bundle.network().parameters())
    assert content["training"]["precision"] == "float32"
    assert "started" not in json.dumps(content)
    assert json.loads((folder / "log.json").read_text())["versions"]["torch"] == torch.__version__.split("+")[0]
    assert TrainConfig.from_toml(folder / "config.toml").epochs == 12


def test_nothing_else_is_written_and_generators_are_left_alone(tiles, config, run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(tiles, config.model_copy(update={"epochs": 1}), run_folder)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_test_tiles_have_no_influence_on_weights_and_threshold(tiles, config, run_folder, tmp_path):
    first = fit(tiles, config, run_folder)
    image = tiles.image.copy()
    image[tiles.part == Part.TEST] = 7.0
    second = fit(replace(tiles, image=image), config, tmp_path / "poisoned")
    without = fit(tiles.subset(tiles.part != Part.TEST), config, tmp_path / "without")
    for other in (second, without):
        assert other.threshold == first.threshold
        for key, value in first.state.items():
            torch.testing.assert_close(other.state[key], value, rtol=0, atol=0)
    assert "test" not in without.scores


def test_labels_of_pixels_that_do_not_count_have_no_influence(tiles, config, run_folder, tmp_path):
    first = fit(tiles, config, run_folder)
    label = np.where(tiles.valid(), tiles.label, 1).astype(np.uint8)
    assert (label != tiles.label).any()
    second = fit(replace(tiles, label=label), config, tmp_path / "poisoned")
    for key, value in first.state.items():
        torch.testing.assert_close(second.state[key], value, rtol=0, atol=0)


def test_order_of_the_tiles_changes_nothing_that_is_drawn(tiles, config):
    from landslip.training.batches import Plan

    key = tiles.of(Part.TRAIN).key
    order = np.random.default_rng(0).permutation(len(key))
    plans = [Plan(k, "d4", 3, 0, 2) for k in (key, key[order])]
    for one, other in zip(plans[0].of_epoch(1), plans[1].of_epoch(1), strict=True):
        np.testing.assert_array_equal(key[one[0]], key[order][other[0]])
        np.testing.assert_array_equal(one[1], other[1])


def test_patience_ends_a_training_that_gets_no_better(tiles, config, run_folder):
    config = config.model_copy(update={"epochs": 30, "patience": 2, "learning_rate": 1e-9})
    bundle = fit(tiles, config, run_folder)
    assert bundle.training["epochs"] == bundle.training["best_epoch"] + 2 < 30
    assert bundle.training["updates"] == bundle.training["epochs"] * 3


def test_layers_are_selected_and_losses_by_name_train(tiles, config, run_folder):
    for name in ("dice", "focal", "tversky"):
        changed = {"layers": ("slope", "blue"), "loss": name, "epochs": 1, "augment": "six"}
        bundle = fit(tiles, config.model_copy(update=changed), run_folder / name)
        assert bundle.recipe.layers == ("slope", "blue")
        assert bundle.architecture["in_channels"] == 2


def test_bf16_is_close_to_float32(trained, tiles):
    bundle, _ = trained
    probability = [predict_tiles(bundle, tiles, device="cpu", precision=p) for p in ("float32", "bf16")]
    assert (probability[0] != probability[1]).any()
    assert np.abs(probability[0] - probability[1]).max() < 0.1


def test_prediction_of_a_network_needs_a_recipe_and_leaves_its_mode(trained, tiles):
    bundle, _ = trained
    network = bundle.network().train()
    with pytest.raises(InputError, match="tiles without a recipe have no statistics"):
        predict_tiles(network, tiles)
    described = tiles.with_recipe(bundle.recipe)
    np.testing.assert_array_equal(
        predict_tiles(network, described, device="cpu"), predict_tiles(bundle, tiles, device="cpu")
    )
    assert network.training
    with pytest.raises(LayerError, match="layer 'slope' is not in the data; there are: blue, green"):
        predict_tiles(bundle, tiles.select(("blue", "green")))
    with pytest.raises(ConfigError, match="batch 0: must be at least 1"):
        predict_tiles(bundle, tiles, batch=0)


def test_one_network_trains_from_the_weights_of_another_run(trained, tiles, run_folder):
    _, folder = trained
    config = TrainConfig(
        model_options={"width": 4}, weights=str(folder), epochs=1, batch=4, precision="float32", device="cpu"
    )
    assert fit(tiles, config, run_folder).scores["validation"]["at_threshold"]["f1"] > 0.8


@pytest.mark.parametrize(("settings", "times"), [({}, 1), ({"positive_weight": 0.3}, 0.3)])
def test_training_begins_with_the_share_of_landslide_as_the_answer(tiles, run_folder, settings, times):
    small = {"model_options": {"width": 4}, "epochs": 1, "batch": 4, "learning_rate": 1e-9, "device": "cpu"}
    share = tiles.of(Part.TRAIN).prevalence()
    odds = times * share / (1 - share)
    bias = fit(tiles, TrainConfig(**small, **settings), run_folder).state["head.bias"].item()
    assert bias == pytest.approx(np.log(odds), abs=1e-4)
    plain = fit(tiles, TrainConfig(**small, prior_bias=False), run_folder.with_name("plain"))
    assert abs(plain.state["head.bias"].item()) < 0.6 < abs(bias)  # as torch draws it: within 1/√4


def _without(tiles, part):
    return tiles.subset(tiles.part != part)


def _no_landslide(tiles, part):
    return replace(tiles, label=np.where((tiles.part == part)[:, None, None], 0, tiles.label).astype(np.uint8))


def _all_void(tiles, part):
    image = tiles.image.copy()
    image[tiles.part == part, 2] = np.nan
    return replace(tiles, image=image)


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        (lambda t: _without(t, Part.TRAIN), {}, SplitError, "no tile is for training"),
        (lambda t: _without(t, Part.VALIDATION), {}, SplitError, "no tile is for validation; look at the split"),
        (lambda t: _no_landslide(t, Part.TRAIN), {}, InputError, "not a single landslide in training"),
        (lambda t: _no_landslide(t, Part.VALIDATION), {}, InputError, "not a single landslide in validation"),
        (lambda t: _all_void(t, Part.TRAIN), {}, InputError, "layer 'slope' has no valid training pixel"),
        (lambda t: _all_void(t, Part.VALIDATION), {}, InputError, "no validation tile has a pixel that is valid"),
        (lambda t: t, {"layers": ("blue", "nir")}, LayerError, "layer 'nir' is not in the data; there are: blue"),
        (lambda t: t, {"model": "unett"}, ModelError, "did you mean 'unet'"),
        (lambda t: t, {"device": "cuda:9"}, ConfigError, "device 'cuda:9' is not on this machine; use auto, or cpu"),
        (lambda t: t, {"device": "meta"}, ConfigError, "device 'meta' is not on this machine"),
        (lambda t: t, {"device": "gpu!"}, ConfigError, "device 'gpu!': not known; use auto"),
        (lambda t: t, {"learning_rate": 1e30, "epochs": 3}, ModelError, "is not a number; lower learning_rate"),
        (lambda t: t, {"model": "resunet34", "freeze_encoder": True, "model_options": {}}, ModelError, "needs weights"),
        (
            lambda t: t,
            {"model": "smp:deeplabv3plus-resnet18", "model_options": {}, "batch": 1},
            ModelError,
            "needs at least 2 tiles in each; raise batch",
        ),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(tiles, config, run_folder, change, settings, error, message):
    with pytest.raises(error, match=message) as caught:
        fit(change(tiles), config.model_copy(update=settings), run_folder)
    assert "\n" not in str(caught.value)
    assert not (run_folder / "model.json").exists()


def test_hillshade_is_refused_with_augmentation_and_trained_without(config, run_folder):
    tiles = make_tiles(layers=("red", "hillshade"))
    with pytest.raises(LayerError, match="layer 'hillshade' cannot be flipped or turned"):
        fit(tiles, config, run_folder)
    fit(tiles, config.model_copy(update={"augment": "none", "epochs": 1}), run_folder, resume=True)


def test_tile_size_that_is_no_multiple_of_32_is_refused(tiles, config, run_folder):
    small = replace(
        tiles, image=tiles.image[..., :20, :20], label=tiles.label[:, :20, :20], landslide=tiles.landslide[:, :20, :20]
    )
    with pytest.raises(ConfigError, match="tile size 20: must be a multiple of 32; choose 32"):
        fit(small, config, run_folder)


def test_a_finished_run_is_not_written_over_but_may_be_resumed(trained, tiles):
    bundle, folder = trained
    config = TrainConfig.from_toml(folder / "config.toml")
    with pytest.raises(OutputError, match="holds a run already; choose another --out, or go on with --resume"):
        fit(tiles, config, folder)
    before = (folder / "model.json").stat().st_mtime_ns
    again = fit(tiles, config, folder, resume=True)
    assert again.threshold == bundle.threshold
    assert (folder / "model.json").stat().st_mtime_ns == before


class Whole(Config):
    """Settings that a caller wants to be written in place of the training's."""

    train: TrainConfig


def test_settings_of_the_caller_are_written_where_given(tiles, config, run_folder):
    config = config.model_copy(update={"epochs": 1})
    fit(tiles, config, run_folder, settings=Whole(train=config))
    assert Whole.from_toml(run_folder / "config.toml").train == config
