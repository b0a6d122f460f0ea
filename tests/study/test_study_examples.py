"""The examples are settings that a study takes."""

from pathlib import Path

import pytest

from landslip.study.config import StudyConfig
from landslip.study.design import plan_rows
from landslip.study.single import SingleConfig

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))
VISIBLE = ("red", "green", "blue")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_a_study(path):
    config = StudyConfig.from_toml(path)
    bands = VISIBLE if config.data.patches else (*VISIBLE, "nir", "slope", "pre_red", "pre_green", "pre_blue")
    rows = {row.name for row in plan_rows(config, bands)}
    assert set(config.only) <= rows
    if config.transfer:
        assert set(config.transfer_rows) <= rows
        assert set(config.data.regions) == set(config.data.region_names)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples/train").glob("*.toml")), ids=lambda p: p.stem
)
def test_example_is_a_training(path):
    config = SingleConfig.from_toml(path)
    assert config.data.scene or config.data.patches
    assert config.train.epochs < 100, "an example is to run in minutes"
