"""``landslip train`` and ``landslip prepare`` as a user meets them."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from helpers.maps import pixels_box, scene_layers, write_scene
from landslip.bundle import Bundle
from landslip.data.tileset import TileSet
from landslip.splits import SPLIT, TEST, load_part

REAL = Path("../shared/data")
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real data in ../shared/data are absent")

TRAIN = """
[train]
epochs = 1
batch = 4
precision = "float32"
device = "cpu"
model_options = { width = 4 }
"""


@pytest.fixture
def run(landslip):
    return landslip


@pytest.fixture
def patches(tmp_path):
    """Two dozen patches in a grid, with bright squares as landslides."""
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 32, 32), np.uint8)
    for patch in mask:
        row, col = rng.integers(0, 22, 2)
        patch[row : row + 10, col : col + 10] = 1
    image = (rng.integers(40, 120, (24, 32, 32, 3)) + 100 * mask[..., None]).astype(np.uint8)
    path = tmp_path / "patches.npz"
    np.savez(path, image=image, mask=mask, row=np.arange(24) // 8, col=np.arange(24) % 8)
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def split(design="random") -> str:
    return f'[split]\ndesign = "{design}"\nbuffer_px = 0\nblock_tiles = 1\n'


def test_patches_train_and_resume(run, patches, tmp_path):
    config = write(tmp_path / "c.toml", f'[data]\npatches = "{patches}"\n{split()}{TRAIN}')
    code, out, err = run("train", config, "--out", tmp_path / "run", "--json", "--quiet")
    assert (code, err) == (0, "")
    content = json.loads(out)
    bundle = Bundle.load(tmp_path / "run")
    assert content["threshold"] == bundle.threshold
    assert content["scores"] == bundle.scores
    assert bundle.recipe.layers == ("blue", "green", "red")
    assert bundle.recipe.scaling == "per-patch-maximum"

    code, out, _ = run("train", config, "--out", tmp_path / "run", "--resume")
    assert code == 0
    assert "parameters" in out
    assert f"test at threshold {bundle.threshold:.3f}: precision" in out
    code, _, err = run("train", config, "--out", tmp_path / "run", "--quiet")
    assert code == 1
    assert err.strip().endswith("run: holds a run already; choose another --out, or go on with --resume")


def test_a_dry_run_looks_at_the_data_and_trains_nothing(run, patches, tmp_path):
    config = write(tmp_path / "c.toml", f'[data]\npatches = "{patches}"\n{split()}{TRAIN}')
    code, out, err = run("train", config, "--out", tmp_path / "run", "--dry-run", "--json", "--quiet")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert set(content["parts"]) == {"train", "validation", "test"}
    assert sum(part["tiles"] for part in content["parts"].values()) > 0
    assert set(content["layers"]) == {"blue", "green", "red"}
    assert not (tmp_path / "run").exists()


def test_what_is_odd_is_said_before_training(run, patches, tmp_path):
    out = tmp_path / "tiles.npz"
    run("prepare", patches, "--out", out, "--config", write(tmp_path / "p.toml", split()), "--layers", "red,green")
    tiles = TileSet.load(out)
    tiles.image[:, 1] = 7
    tiles.save(out)
    config = write(tmp_path / "c.toml", f'[data]\ntiles = "{out}"\n{TRAIN}')
    code, _, err = run("train", config, "--out", tmp_path / "run")
    assert code == 0
    assert "note: layer 'green': the same value (7) nearly everywhere in training; it teaches nothing" in err


def test_prepared_patches_train_with_object_layers(run, patches, tmp_path):
    settings = write(tmp_path / "p.toml", split("blocks") + "[objects]\nscale = 20.0\n")
    code, out, err = run("prepare", patches, "--out", tmp_path / "tiles.npz", "--config", settings, "--json", "--quiet")
    assert (code, err) == (0, "")
    tiles = TileSet.load(tmp_path / "tiles.npz")
    content = json.loads(out)
    assert content["layers"] == list(tiles.layers)
    assert {"blue", "ngrdi", "blue_obj", "ngrdi_obj"} <= set(tiles.layers)
    assert tiles.recipe.objects.scale == 20.0
    assert content["train"] + content["validation"] + content["test"] == len(tiles)
    config = write(tmp_path / "c.toml", f'[data]\ntiles = "{tmp_path / "tiles.npz"}"\n{TRAIN}')
    code, _, err = run("train", config, "--out", tmp_path / "run", "--quiet")
    assert (code, err) == (0, "")
    assert Bundle.load(tmp_path / "run").recipe == tiles.recipe


def test_a_run_on_a_scene_is_scored_on_its_own_test_part(run, tmp_path):
    layers = scene_layers((128, 256), seed=3)
    slides = [pixels_box(row, col, 9, 9) for row in range(4, 120, 24) for col in range(4, 250, 24)]
    place = write_scene(tmp_path / "scene", layers, landslides=slides)
    own = "[split]\ntile = 32\nblock_tiles = 1\nbuffer_px = 8\n"
    text = f'[data]\nscene = "{place.path}"\n{own}{TRAIN}'
    code, _, err = run("train", write(tmp_path / "c.toml", text), "--out", tmp_path / "run", "--quiet")
    assert (code, err) == (0, "")
    words = ("evaluate", tmp_path / "run", "--scene", place.path, "--held-out", "--out", tmp_path / "out", "--json")
    code, out, err = run(*words, "--quiet")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["held_out"] is True
    part = load_part(tmp_path / "run" / SPLIT, 0)
    assert 0 < content["counted_pixels"] <= np.count_nonzero(part == TEST)
    with rasterio.open(tmp_path / "out" / "comparison.tif") as dataset:
        assert not (dataset.read(1) != 255)[part != TEST].any()
    assert run("evaluate", tmp_path / "run", "--patches", place.path, "--held-out")[0] == 2


def test_prepare_makes_the_layers_that_are_asked_for(run, patches, tmp_path):
    settings = write(tmp_path / "p.toml", split())
    out = tmp_path / "t.npz"
    code, _, err = run("prepare", patches, "--out", out, "--config", settings, "--layers", "red, ngrdi", "--quiet")
    assert (code, err) == (0, "")
    assert TileSet.load(out).layers == ("red", "ngrdi")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data]\nscene = 's'\n[trian]\n", "unknown key 'trian'; did you mean 'train'?"),
        ("[data]\nscene = 's'\n[train]\nepoch = 3\n", "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("[data]\nscene = 's'\n[train]\nloss = 'mse'\n", "'train.loss': input should be 'bce', 'dice'"),
        ("[data]\n", "give exactly one of scene, scenes, patches, tiles (found none)"),
        ("[data]\ntiles = 'absent.npz'\n", "absent.npz: no such file (prepared tiles); check the path"),
        ("[data]\npatches = 'absent'\n", "absent: no such patch set; check the path"),
        ("[data", "not valid TOML"),
    ],
)
def test_settings_that_cannot_be_are_one_line_and_exit_1(run, tmp_path, text, message):
    code, out, err = run("train", write(tmp_path / "c.toml", text), "--out", tmp_path / "run", "--quiet")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('layers = ["red", "nir"]', "layer 'nir' needs nir"),
        ('layers = ["red", "red"]', "layer 'red' is named twice; take one of them out"),
        ("model_options = { width = 0 }", "unet cannot be built with {'width': 0}: width must be at least 1"),
        ("random_scale = inf", "'train.random_scale': input should be a finite number"),
        ('model = "unet2"', "unknown network 'unet2'; did you mean 'unet'?"),
        ('model = "resunet34"\nfreeze_encoder = true', "freeze_encoder needs weights"),
        ('model = "resunet34"\nweights = "absent.safetensors"', "absent.safetensors: no such weights file"),
    ],
)
def test_trainings_that_cannot_be_are_one_line_and_exit_1(run, patches, tmp_path, settings, message):
    text = f'[data]\npatches = "{patches}"\n{split()}[train]\nepochs = 1\n{settings}\n'
    code, _, err = run("train", write(tmp_path / "c.toml", text), "--out", tmp_path / "run", "--quiet")
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


def test_prepare_refuses_what_is_no_patch_set_and_no_npz(run, tmp_path):
    code, _, err = run("prepare", tmp_path, "--out", tmp_path / "t.npz", "--quiet")
    assert code == 1
    assert "not a patch set; give a Landslide4Sense folder" in err
    assert run("prepare", tmp_path, "--out", tmp_path / "t.zip")[0] == 2
    code, _, err = run("prepare", tmp_path / "absent", "--chips", tmp_path / "chips", "--quiet")
    assert (code, err.count("\n")) == (1, 1)
    assert "absent: no such scene or patch set; check the path" in err


def test_what_is_read_is_never_written_over(run, patches, tmp_path):
    before = patches.read_bytes()
    code, _, err = run("prepare", patches, "--out", patches, "--quiet")
    assert (code, patches.read_bytes()) == (1, before)
    assert "patches.npz: is read here, and would be written over; choose another --out" in err
    text = f'# mine\n[data]\npatches = "{patches}"\n{split()}{TRAIN}'
    config = write(tmp_path / "config.toml", text)
    code, _, err = run("train", config, "--out", tmp_path, "--quiet")
    assert (code, config.read_text()) == (1, text)
    assert "config.toml: is read here, and would be written over" in err


def test_a_place_is_tried_before_tiles_are_built(run, tmp_path, monkeypatch):
    monkeypatch.setattr("landslip.study.single.prepare_tiles", lambda *_, **__: pytest.fail("built tiles first"))
    config = write(tmp_path / "c.toml", "[data]\nscene = 'scene'\n")
    (tmp_path / "file").write_text("")
    code, _, err = run("train", config, "--out", tmp_path / "file" / "run", "--quiet")
    assert (code, err.count("\n")) == (1, 1)
    assert "file" in err
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    code, _, err = run("train", config, "--out", tmp_path / "run", "--quiet")
    assert (code, err.count("\n")) == (1, 1)
    assert "holds a run already" in err


@pytest.mark.real
@needs_real
def test_real_landslide4sense_folder_trains_an_epoch_and_scores_without_conversion(run, tmp_path):
    text = f"""
[data]
patches = "{REAL / "l4s_h5"}"
{split()}
[train]
layers = ["blue", "green", "red", "nir", "slope", "ndvi"]
epochs = 1
batch = 4
model_options = {{ width = 4 }}
"""
    code, out, err = run("train", write(tmp_path / "c.toml", text), "--out", tmp_path / "run", "--json", "--quiet")
    assert (code, err) == (0, "")
    scores = json.loads(out)["scores"]
    assert sum(part["tiles"] for part in scores.values()) >= 9
    for part in scores.values():
        counts = part["at_half"]
        assert sum(counts[name] for name in ("tp", "fp", "fn", "tn")) == part["tiles"] * 128 * 128
