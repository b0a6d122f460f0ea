"""What a study refuses before its first training, and whom settings of encoders reach."""

from types import SimpleNamespace

import pytest

from landslip.errors import ConfigError, LayerError, ModelError, SplitError
from landslip.study.checks import check_heard, check_runs
from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.content import _limits
from landslip.study.design import plan_rows
from landslip.study.folds import Fold, plan_folds
from landslip.study.prepare import prepare
from landslip.study.runs import plan_runs
from landslip.study.sources import Source

BANDS = ("blue", "green", "red", "slope")


def runs_of(config, tiles=None):
    rows = plan_rows(config, BANDS)
    return plan_runs(config, rows, (Fold("main", config.split, ""),), {"main": tiles})


def test_weights_of_a_study_reach_the_networks_that_have_an_encoder():
    config = StudyConfig(
        data=DataConfig(scene="s"),
        seeds=(0,),
        only=("unet", "resunet34", "attention-resunet34", "data-centric", "forest"),
        train={"weights": "imagenet", "freeze_encoder": True, "epochs": 3},
    )
    found = {run.row.name: run.train for run in runs_of(config)}
    for name in ("resunet34", "attention-resunet34"):
        assert (found[name].weights, found[name].freeze_encoder) == ("imagenet", True)
    for name in ("unet", "data-centric"):
        assert (found[name].weights, found[name].freeze_encoder, found[name].epochs) == ("none", False, 3)
    assert found["forest"] is None


def test_weights_that_only_a_network_without_an_encoder_can_be_meant_for_stay():
    config = StudyConfig(data=DataConfig(scene="s"), seeds=(0,), only=("unet",), train={"weights": "unet.safetensors"})
    assert runs_of(config)[0].train.weights == "unet.safetensors"


def test_a_rows_own_settings_are_never_taken_away():
    rows = (RowConfig(name="mine", train={"freeze_encoder": True}),)
    config = StudyConfig(data=DataConfig(scene="s"), seeds=(0,), rows=rows, only=("mine", "resunet34"))
    found = {run.row.name: run.train.freeze_encoder for run in runs_of(config)}
    assert found == {"mine": True, "resunet34": False}


@pytest.fixture
def tiles(settings, source):
    layers = (*BANDS, "ngrdi")
    return prepare(source, BANDS, layers, plan_folds(settings, source)[0], settings).tiles


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"model": "unett"}, "row 'late': unknown network 'unett'; did you mean 'unet'"),
        ({"train": {"weights": "imagenet"}}, "row 'late': weights 'imagenet': this network has no named weights"),
        ({"model": "resunet34", "train": {"freeze_encoder": True}}, "row 'late': freeze_encoder needs weights"),
    ],
)
def test_networks_that_cannot_be_built_are_told_with_their_row(settings, tiles, tmp_path, row, message):
    rows = (RowConfig(name="early"), RowConfig.from_dict({"name": "late", **row}))
    config = settings.model_copy(update={"rows": rows, "design": "rows", "forest": False})
    with pytest.raises(ModelError, match=message):
        check_runs(runs_of(config, tiles), {"main": tiles}, tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"layers": ["red", "red_obj"], "train": {"match_images": True}}, "layer 'red_obj' is a mean over objects"),
        ({"layers": ["slope"], "train": {"match_images": True}}, "match_images: no image layer is among the layers"),
        ({"layers": ["red", "hillshade"], "augment": "d4"}, "'hillshade'"),
    ],
)
def test_layers_that_cannot_be_matched_or_turned_are_told_with_their_row(settings, source, tmp_path, row, message):
    source.areas[0].bands["hillshade"] = source.areas[0].bands["slope"]
    layers = (*BANDS, "red_obj", "hillshade")
    tiles = prepare(source, BANDS, layers, plan_folds(settings, source)[0], settings).tiles
    rows = (RowConfig(name="early", layers=BANDS), RowConfig.from_dict({"name": "late", **row}))
    config = settings.model_copy(update={"rows": rows, "design": "rows", "forest": False})
    planned = plan_runs(config, rows, (Fold("main", config.split, ""),), {"main": tiles})
    with pytest.raises(LayerError, match=f"row 'late': .*{message}"):
        check_runs(planned, {"main": tiles}, tmp_path)


def test_finished_runs_are_not_looked_at(settings, tiles, tmp_path):
    rows = (RowConfig(name="odd", model="unett"),)
    config = settings.model_copy(update={"rows": rows, "design": "rows", "forest": False})
    for seed in config.seeds:
        folder = tmp_path / "runs" / "odd" / f"seed{seed}"
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text("{}")
    check_runs(runs_of(config, tiles), {"main": tiles}, tmp_path)


def test_every_row_needs_landslides_in_every_part(settings, tmp_path):
    from helpers.study_area import make_area

    area = make_area(pre=True)
    for name in ("pre_blue", "pre_green", "pre_red"):
        area.bands[name][:, 300:] = float("nan")
    source = Source((area,))
    one = prepare(source, BANDS, (*BANDS, "d_red"), plan_folds(settings, source)[0], settings).tiles
    rows = (RowConfig(name="plain", layers=BANDS), RowConfig(name="changes", layers=("red", "d_red")))
    config = settings.model_copy(update={"rows": rows, "design": "rows", "forest": False})
    planned = plan_runs(config, rows, (Fold("main", config.split, ""),), {"main": one})
    with pytest.raises(SplitError, match="row 'changes', main: no landslide in the test tiles where its layers"):
        check_runs(planned, {"main": one}, tmp_path)


def test_training_settings_that_do_not_exist_are_named():
    config = StudyConfig(data=DataConfig(scene="s"), seeds=(0,), only=("unet",), train={"wieghts": "imagenet"})
    with pytest.raises(ConfigError, match="settings of row 'unet': unknown key 'wieghts'; did you mean 'weights'"):
        runs_of(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"leave_one_region_out": True, "split": {"folds": 3}},
            "leave_one_region_out and split.folds both say what is tested; take one of them out",
        ),
        (
            {"leave_one_region_out": True, "split": {"test_regions": [1]}},
            "leave_one_region_out and split.test_regions both say what is tested",
        ),
        (
            {"transfer": True, "split": {"folds": 3}},
            "transfer tests every place on its own .* split.folds says another",
        ),
        ({"transfer_tiles": 4}, "transfer_tiles needs transfer = true; without it, nothing would come of the setting"),
        ({"data": {"scene": "s", "regions": [1]}}, "data.regions needs data.patches"),
        ({"data": {"scene": "s", "limit": 9}}, "data.limit needs data.patches"),
        ({"data": {"patches": "p", "stride": 64}}, "data.stride needs a scene, or scenes"),
        ({"rows": [{"name": "x", "model": "forest", "levers": {"balanced": True}}]}, "row 'x': levers needs a network"),
        ({"rows": [{"name": "x", "model": "forest", "augment": "d4"}]}, "row 'x': augment needs a network, not a for"),
        ({"rows": [{"name": "x", "model": "forest", "matched_to": "unet"}]}, "row 'x': matched_to needs a network"),
    ],
)
def test_settings_that_nothing_would_listen_to_are_refused(content, message):
    config = StudyConfig.from_dict({"data": {"patches": "p"}} | content)
    with pytest.raises(ConfigError, match=message):
        check_heard(config)
    check_heard(StudyConfig.from_dict({"data": {"patches": "p"}}))


def test_limits_name_the_encoders_that_begin_at_random():
    rows = (
        RowConfig(name="a", label="A", model="resunet34"),
        RowConfig(name="b", label="B", model="attention-resunet34", train={"weights": "imagenet"}),
        RowConfig(name="c", label="C"),
    )

    def told(**changes):
        config = StudyConfig(data=DataConfig(scene="s"), seeds=(0,), design="rows", forest=False, rows=rows, **changes)
        settings = {run.row.name: run.train for run in runs_of(config)}
        return [text for text in _limits(SimpleNamespace(config=config, rows=rows), "", settings) if "random" in text]

    assert told() == ["Of the ResNet-34 rows these start from random weights, unlike the paper's: A."]
    assert told(train={"weights": "imagenet"}) == []
    rows = rows[:1]
    assert told() == ["The ResNet-34 rows start from random weights, unlike the paper's."]
