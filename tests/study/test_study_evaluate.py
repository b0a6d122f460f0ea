import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from helpers.study_area import make_area
from landslip.cli.evaluate import command
from landslip.data.tileset import Part
from landslip.errors import LayerError, OutputError
from landslip.scoring import Confusion
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.evaluate import evaluate_patches, outside_range
from landslip.study.folds import plan_folds
from landslip.study.prepare import prepare
from landslip.study.sources import Source
from landslip.training import TrainConfig, fit, predict_tiles


@pytest.fixture(scope="module")
def tiles():
    config = StudyConfig(data=DataConfig(scene="x"), split={"tile": 32, "block_tiles": 1, "buffer_px": 8})
    layers = ("red", "green", "ngrdi")
    return prepare(Source((make_area(),)), layers[:2], layers, plan_folds(config, None)[0], config).tiles


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    fit(tiles, TrainConfig(model_options={"width": 2}, epochs=1, batch=16, precision="float32"), folder)
    return folder


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.05, 0.3, (6, 32, 32, 3)).astype(np.float32)
    mask = (rng.random((6, 32, 32)) < 0.2).astype(np.uint8)
    path = tmp_path_factory.mktemp("patches") / "p.npz"
    np.savez(path, image=image, mask=mask, region=np.array([1, 1, 1, 2, 2, 2]), row=np.zeros(6, int), col=np.arange(6))
    return path


def test_prepared_tiles_are_scored_on_their_test_part(trained, tiles, tmp_path):
    from landslip.bundle import Bundle

    tiles.save(tmp_path / "tiles.npz")
    content = evaluate_patches(trained, tmp_path / "tiles.npz", tmp_path / "out").content
    test = tiles.of(Part.TEST)
    pred = predict_tiles(Bundle.load(trained), test) >= 0.5
    assert content["scores"]["half"] == Confusion.from_arrays(pred, test.label == 1, test.counted()).to_dict()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == content


def test_patches_go_through_the_recipe(trained, patches):
    everything = evaluate_patches(trained, patches).content
    assert (
        everything["scores"]["half"]["tp"] + everything["scores"]["half"]["fn"] == (np.load(patches)["mask"] == 1).sum()
    )
    parts = [evaluate_patches(trained, patches, regions=[region]).content["scores"]["threshold"] for region in (1, 2)]
    assert sum(part["tp"] for part in parts) == everything["scores"]["threshold"]["tp"]


def test_scores_on_the_patches_of_the_training_are_warned_of(trained, tiles, patches, tmp_path, caplog):
    import shutil

    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    content = json.loads(path.read_text())
    content["training"]["grounds"] = [{"path": "p.npz", "regions": [1]}]
    path.write_text(json.dumps(content))
    words = "trained on a patch set of this name, so scores over all of it read too well"
    evaluate_patches(tmp_path / "run", patches, regions=[2])
    tiles.save(tmp_path / "p.npz")  # prepared tiles have a test part of their own
    evaluate_patches(tmp_path / "run", tmp_path / "p.npz")
    assert words not in caplog.text
    evaluate_patches(tmp_path / "run", patches)
    assert words in caplog.text


def test_pixels_outside_the_training_range_are_counted(tiles, caplog):
    shares = outside_range(tiles.of(Part.TRAIN), tiles.recipe)
    assert all(share == pytest.approx(0.02, abs=0.005) for share in shares.values())
    bright = replace(tiles, image=tiles.image + np.float32(9))
    assert outside_range(bright, tiles.recipe)["red"] == 1.0
    matched = outside_range(bright, tiles.recipe.model_copy(update={"matched": True}))  # as the network sees them
    assert matched["red"] < 0.05
    assert matched["ngrdi"] == outside_range(bright, tiles.recipe)["ngrdi"]


def test_patches_without_a_band_of_the_recipe_are_refused(trained, patches, tmp_path):
    with np.load(patches) as content:
        np.savez(tmp_path / "gray.npz", image=content["image"][..., :1], mask=content["mask"], bands=["red"])
    with pytest.raises(LayerError, match="band 'green' is not in the patches; there are: red"):
        evaluate_patches(trained, tmp_path / "gray.npz")


def test_the_evaluation_of_a_map_is_not_replaced(trained, patches, tmp_path):
    (tmp_path / "map.json").write_text("{}")
    with pytest.raises(OutputError, match="holds a map, whose own evaluation this would replace; choose another"):
        evaluate_patches(trained, patches, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["map.json"]


def test_command_line(trained, patches):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)

    def run(*words):
        return CliRunner().invoke(app, [str(trained), *map(str, words)])

    done = run("--patches", patches, "--quiet", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tiles"] == 6
    assert "give either --scene or --patches" in run().output
    assert "needs --out" in run("--scene", "x").output
    missing = run("--patches", "nowhere", "--quiet")
    assert missing.exit_code == 1
    assert "nowhere: no such patch set" in missing.output
