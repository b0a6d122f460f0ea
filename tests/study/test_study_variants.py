"""Test-time variants as a setting of a row, and of the scoring of a finished run."""

import json

import numpy as np
import pytest

import landslip.study.plan as module
from helpers.study_area import OPTIONS, TINY, make_area
from landslip.bundle import Bundle
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, LayerError
from landslip.splits import SplitConfig
from landslip.study import DataConfig, RowConfig, StudyConfig, run_study
from landslip.study.checks import check_layers
from landslip.study.evaluate import evaluate_patches
from landslip.study.predictions import load_predictions
from landslip.study.sources import Source
from landslip.training import TrainConfig, predict_tiles


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of one training, scored as it is and with variants."""
    config = StudyConfig(
        data=DataConfig(scene="scene"),
        design="rows",
        rows=(RowConfig(name="plain"), RowConfig(name="turned", variants="d4")),
        seeds=(0,),
        split=SplitConfig(tile=32, block_tiles=1, buffer_px=8),
        train={**TINY, "epochs": 1},
        model_options=OPTIONS,
        forest=False,
        draws=100,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open_source", lambda *_args, **_more: Source((make_area(),)))
        return run_study(config, tmp_path_factory.mktemp("study") / "out", report=False)


def test_a_row_is_scored_by_the_mean_over_its_variants(finished):
    folder = finished.folder
    weights = [(folder / "runs" / name / "seed0/model.safetensors").read_bytes() for name in ("plain", "turned")]
    assert weights[0] == weights[1]  # the training is the same
    one = Bundle.load(folder / "runs/plain/seed0")
    tiles = TileSet.load(folder / "tiles.npz").select(one.recipe.layers)
    index, stored = load_predictions(folder / "runs/turned/seed0/predictions.npz")
    assert (tiles.subset(index).part == Part.TEST).all()
    expected = predict_tiles(one, tiles.subset(index), variants="d4", precision="float32")
    seen = np.isfinite(stored)
    np.testing.assert_allclose(stored[seen], expected[seen], atol=1e-3)
    plain = load_predictions(folder / "runs/plain/seed0/predictions.npz")[1]
    assert np.abs(plain[seen].astype(float) - stored[seen]).max() > 0.01
    told = {row["name"]: row["runs"][0] for row in finished.content["rows"]}
    assert [row["variants"] for row in finished.content["rows"]] == ["none", "d4"]
    assert told["plain"]["threshold"] != told["turned"]["threshold"]  # chosen by what is scored
    digests = [json.loads((folder / f"runs/{name}/seed0/scores.json").read_text())["digest"] for name in told]
    assert digests[0] != digests[1]


def test_a_finished_run_is_evaluated_with_variants(finished, tmp_path):
    run, data = finished.folder / "runs/plain/seed0", finished.folder / "tiles.npz"
    content = evaluate_patches(run, data, tmp_path / "told", variants="d4").content
    turned = next(row for row in finished.content["rows"] if row["name"] == "turned")
    f1 = turned["runs"][0]["scores"]["test"]["f1"]
    assert content["scores"]["half"]["f1"] == pytest.approx(f1, abs=2e-3)
    assert json.loads((tmp_path / "told/evaluation.json").read_text())["variants"] == "d4"
    assert evaluate_patches(run, data).content["variants"] == "none"


def test_variants_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="row 'woods': a forest has no test-time variants; leave variants out"):
        RowConfig.from_dict({"name": "woods", "model": "forest", "variants": "d4"})
    with pytest.raises(LayerError, match=r'row \'a\': layer \'hillshade\' cannot be .* set variants = "none"'):
        check_layers("row 'a'", TrainConfig(augment="none"), ("red", "hillshade"), "flips")
