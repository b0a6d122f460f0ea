"""A preset is a shorthand that is spelled out, and never goes before what is given."""

import re
from pathlib import Path

import pytest

from landslip.errors import ConfigError
from landslip.presets import PRESETS
from landslip.study.config import RowConfig, StudyConfig
from landslip.study.folds import Fold
from landslip.study.runs import plan_runs
from landslip.training import TrainConfig

DATA = {"scene": "scene"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_settings_and_documented(name):
    train = TrainConfig.from_dict({"preset": name})
    settings = PRESETS[name].settings
    assert {key: value for key, value in train.to_dict().items() if key in settings} == settings
    table = (Path(__file__).parents[2] / "docs/training.md").read_text()
    [line] = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
    for key, value in settings.items():
        shown = (
            re.sub("'", '"', str(value))
            if isinstance(value, list)
            else f'"{value}"'
            if isinstance(value, str)
            else str(value).lower()
            if isinstance(value, bool)
            else value
        )
        assert f"`{key} = {shown}`" in line
    assert (PRESETS[name].measured or "not yet: a guess") in line


def test_what_is_given_goes_before_the_preset_and_survives_writing(tmp_path):
    train = TrainConfig.from_dict({"preset": "rgb-best", "loss": "focal", "layers": ["red"]})
    assert (train.preset, train.loss, train.layers, train.random_scale) == ("rgb-best", "focal", ("red",), 1.25)
    train.to_toml(tmp_path / "train.toml")
    assert TrainConfig.from_toml(tmp_path / "train.toml") == train


def test_a_row_of_a_study_is_what_its_preset_says():
    row = {"name": "best", "preset": "rgb-best", "train": {"loss": "dice"}}
    config = StudyConfig.from_dict(
        {"data": DATA, "design": "rows", "rows": [row], "seeds": [0], "train": {"epochs": 3, "loss": "focal"}}
    )
    [row] = config.rows
    assert (row.model, row.layers, row.augment) == ("unet", ("blue", "green", "red"), "d4")
    assert row.train == {"random_scale": 1.25, "loss": "dice"}
    [run] = plan_runs(config, config.rows, (Fold("main", config.split, ""),), {"main": None})
    assert (run.train.epochs, run.train.loss, run.train.random_scale) == (3, "dice", 1.25)
    assert StudyConfig.from_dict(config.to_dict()) == config
    # a row's preset goes before what holds for all rows
    assert RowConfig(name="x", preset="rgb-best").train["loss"] == "bce+dice"


@pytest.mark.parametrize(
    ("settings", "content", "message"),
    [
        (TrainConfig, {"preset": "rgb-bets"}, "unknown preset 'rgb-bets'; did you mean 'rgb-best'"),
        (TrainConfig, {"preset": ["rgb-best"]}, "'preset': input should be a valid string"),
        (RowConfig, {"name": "x", "preset": {"rgb": 1}}, "'preset': input should be a valid string"),
        (RowConfig, {"name": "x", "preset": "rgb-best", "train": 3}, "'train': input should be a valid dictionary"),
        (RowConfig, {"name": "x", "preset": "?"}, "unknown preset '[?]'; known are rgb-best"),
        (
            StudyConfig,
            {"data": DATA, "train": {"preset": "rgb-best"}},
            "'train.preset' is set by the rows; take it out",
        ),
        (
            StudyConfig,
            {"data": DATA, "rows": [{"name": "x", "train": {"augment": "d4"}}]},
            r"'rows.train.augment' is set by the rows; take it out of \[rows.train\]",
        ),
    ],
)
def test_presets_that_cannot_be(settings, content, message):
    with pytest.raises(ConfigError, match=message):
        settings.from_dict(content)
