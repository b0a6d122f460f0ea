"""``landslip search`` as a user meets it."""

import json

import numpy as np
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
    assert out.splitlines()[-1] == "2 trials of 1 epoch"
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ('model = ["unet", "unett"]', "trial 2: unknown network 'unett'; did you mean 'unet'?"),
        ('layers = [["blue"], ["blue", "greeen"]]', "layer 'greeen' is not in the data; there are: blue, green, slope"),
        ('augment = ["none", "d5"]', "trial 2 (augment = 'd5'): 'augment': input should be"),
    ],
)
def test_a_dry_run_names_layers_and_networks_that_cannot_be(landslip, config, tmp_path, values, message):
    text = config.read_text().replace("learning_rate = [1e-4, 1e-3, 1e-2]", values).replace("width = 4", "")
    config.write_text(text)
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--dry-run", "--quiet")
    assert (code, out) == (1, "")
    assert message in err


def test_a_dry_run_names_layers_that_patches_cannot_give(landslip, config, tmp_path):
    image = np.zeros((9, 32, 32, 3), np.float32)
    np.savez(tmp_path / "p.npz", image=image, mask=image[..., 0].astype(np.uint8), bands=["red", "green", "blue"])
    text = config.read_text().replace("tiles =", "patches =").replace("tiles.npz", "p.npz")
    config.write_text(text.replace("[train]", '[train]\nlayers = ["red", "ndvi"]'))
    code, out, err = landslip("search", config, "--out", tmp_path / "out", "--dry-run", "--quiet")
    assert (code, out) == (1, "")
    assert "layer 'ndvi' needs nir, which the patch set" in err
