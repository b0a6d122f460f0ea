"""``landslip search`` as a user meets it."""

import json

import pytest

from helpers.training_tiles import make_tiles
from landslip.study.single import SingleConfig


@pytest.fixture
def config(tmp_path):
    make_tiles().save(tmp_path / "tiles.npz")
    path = tmp_path / "search.toml"
    path.write_text(f"""
[data]
tiles = "{tmp_path / "tiles.npz"}"
[train]
epochs = 1
batch = 4
precision = "float32"
device = "cpu"
model_options = {{ width = 4 }}
[search]
trials = 2
[search.values]
learning_rate = [1e-4, 1e-3, 1e-2]
""")
    return path


def test_trials_are_listed_made_and_handed_on(landslip, config, tmp_path):
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "2 trials of 1 epochs"
    assert not (tmp_path / "out").exists()
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--json", "--quiet")
    assert (code, err) == (0, "")
    content = json.loads(out)
    best = SingleConfig.from_toml(content["best"])
    assert best.train.learning_rate == content["table"][0]["settings"]["learning_rate"]
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--resume")
    assert code == 0
    assert "The test part was not looked at" in out
    assert landslip("search", config, "--out", tmp_path / "out", "--quiet")[0] == 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("trials", "trial", "unknown key 'search.trial'; did you mean 'trials'?"),
        ("learning_rate = ", "learning_rat = ", "[search.values]: unknown setting 'learning_rat'; did you mean"),
        ("[1e-4, 1e-3, 1e-2]", "1e-4", "'search.values.learning_rate': input should be a valid list"),
    ],
)
def test_searches_that_cannot_be_are_one_line_and_exit_1(landslip, config, tmp_path, before, after, message):
    config.write_text(config.read_text().replace(before, after))
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--quiet")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
