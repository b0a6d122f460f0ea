"""``landslip info``: scenes, runs and studies in words and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import typer
from affine import Affine
from typer.testing import CliRunner

from landslip.cli import info as module
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig

app = typer.Typer()
app.command()(module.command)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def scene(tmp_path):
    profile = {"driver": "GTiff", "count": 1, "height": 64, "width": 80, "dtype": "uint16", "crs": "EPSG:32654"}
    (tmp_path / "post").mkdir()
    for seed, number in enumerate(("B02", "B03", "B04")):
        path = tmp_path / "post" / f"{number}.tif"
        with rasterio.open(path, "w", transform=Affine(10, 0, 5e5, 0, -10, 4.73e6), **profile) as dataset:
            dataset.write(np.full((64, 80), 2000 + 100 * seed, np.uint16), 1)
            dataset.update_tags(BOA_ADD_OFFSET="-1000")
    return build_scene(SceneConfig(images=(str(tmp_path / "post"),)), tmp_path / "scene").path


def test_scene_in_words(scene):
    result = run(scene)
    assert result.exit_code == 0
    assert "64 x 80 pixels of 10 m, 0.512 km², WGS 84 / UTM zone 54N (EPSG:32654)" in result.stdout
    assert "blue       mean 0.1, sd" in result.stdout
    assert "NDVI cannot be had" in result.stdout


def test_scene_as_json_with_a_picture(scene, tmp_path):
    result = run(scene, "--json", "--quicklook", tmp_path / "look.png")
    content = json.loads(result.stdout)
    assert content["kind"] == "scene"
    assert content["statistics"]["red"]["mean"] == pytest.approx(0.12, abs=1e-5)
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


RUN = {
    "format": 1,
    "version": "0.1.0",
    "architecture": {"name": "unet", "in_channels": 2, "options": {}, "weights": "none", "parameters": 4012282},
    "recipe": {"layers": ["red", "slope"]},
    "threshold": 0.42,
    "licence": "CC0",
    "scores": {
        "test": {
            "tiles": 3,
            "at_half": {"precision": 0.5, "recall": 0.25, "f1": 0.3333, "iou": None},
            "at_threshold": {"precision": 0.4, "recall": 0.5, "f1": 0.4444, "iou": 0.2857},
        }
    },
    "training": {"best_epoch": 7},
}


def test_run_in_words_and_as_json(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(RUN))
    text = run(tmp_path).stdout
    assert "unet, 4,012,282 parameters, weights: none" in text
    assert "threshold  0.420" in text
    assert "test       at 0.5: precision 0.500, recall 0.250, F1 0.333, IoU undefined" in text
    assert "test       at the threshold: precision 0.400, recall 0.500, F1 0.444, IoU 0.286" in text
    assert json.loads(run(tmp_path, "--json").stdout)["layers"] == ["red", "slope"]
    assert "red, slope\n" in text
    (tmp_path / "model.json").write_text(json.dumps(RUN | {"recipe": RUN["recipe"] | {"matched": True}}))
    assert "red, slope; images matched to the training pixels" in run(tmp_path).stdout


STUDY = {
    "format": 1,
    "title": "Does better data help?",
    "design": "paper",
    "seeds": [0],
    "blocks": 6,
    "claims": False,
    "claims_reason": "one seed proves nothing",
    "rows": [
        {"name": "unet", "label": "U-Net", "scores": {"test": {"f1": {"value": 0.6, "low": 0.5, "high": 0.7}}}},
        {"name": "other", "label": "Other", "scores": {"test": {"f1": {"value": None, "low": None, "high": None}}}},
    ],
}


def test_study_in_words_and_as_json(tmp_path):
    (tmp_path / "study.json").write_text(json.dumps(STUDY))
    text = run(tmp_path).stdout
    assert "paper, 2 rows, 1 seed, 6 test blocks" in text
    assert "test F1 0.600 (0.500 to 0.700)" in text
    assert "test F1 undefined" in text
    assert "no claims: one seed proves nothing" in text
    assert json.loads(run(tmp_path, "--json").stdout)["rows"][0]["f1"]["value"] == 0.6


MAP = {
    "format": 1,
    "version": "0.1.0",
    "scene": {"name": "valley"},
    "models": [{"name": "unet"}, {"name": "other"}],
    "threshold": 0.25,
    "counts": {"landslides": 1099},
    "areas_m2": {"landslides": 7_344_400.0, "mapped": 109_101_700.0, "unmapped": {"clouds": 2_742_200.0}},
    "outside_training_range": {"blue": 0.12},
    "files": {"landslides.gpkg": "", "density.tif": ""},
}


def test_map_in_words_and_as_json(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(MAP))
    text = run(tmp_path).stdout
    assert "valley by unet, other" in text
    assert "1,099, 7.344 km² (6.7%) of 109.102 km² mapped" in text
    assert "clouds 2.742 km²" in text
    assert "blue 12%" in text
    found = json.loads(run(tmp_path, "--json").stdout)
    assert (found["kind"], found["landslides"], found["files"]) == ("map", 1099, ["density.tif", "landslides.gpkg"])


def test_mosaic_in_words_and_as_json(tmp_path):
    counts = {"landslides": 12, "area_m2": 34_000.0, "joined": 2, "joined_parts": 5}
    mosaic = {"format": 1, "maps": [{"name": "east"}, {"name": "west"}], "counts": counts}
    (tmp_path / "mosaic.json").write_text(json.dumps(mosaic))
    first, *maps = run(tmp_path).stdout.splitlines()
    assert "12 landslides, 0.034 km², from 2 maps; 2 were joined from 5 polygons" in first
    assert [line.split() for line in maps] == [["map", "east"], ["map", "west"]]
    found = json.loads(run(tmp_path, "--json").stdout)
    assert (found["kind"], found["counts"]) == ("mosaic", counts)


def test_search_in_words_and_as_json(tmp_path):
    scores = {"validation_precision": 0.5, "validation_recall": 0.5, "validation_loss": 0.3, "train_f1": 0.6}
    trial = {
        "rank": 1,
        "trial": 2,
        "settings": {"loss": "dice"},
        "validation_f1": 0.5,
        "threshold": 0.4,
        "best_epoch": 3,
    }
    search = {"format": 1, "best": "trials/002", "table": [trial | scores]}
    (tmp_path / "search.json").write_text(json.dumps(search))
    text = run(tmp_path).stdout
    assert "1 trial, the best in trials/002" in text
    assert "The test part was not looked at" in text
    [head] = [line for line in text.splitlines() if "| trial |" in line]
    columns = head.split(" | ")
    assert len(set(columns)) == len(columns)  # the setting `loss` is not the loss that it led to
    assert json.loads(run(tmp_path, "--json").stdout)["table"] == search["table"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder; check the path"),
        (
            lambda folder: folder.mkdir(),
            "nothing finished that has a description (scene, run, study, map,",
        ),
        (lambda folder: write(folder, "scene.json", "{"), "not valid JSON"),
        (lambda folder: write(folder, "model.json", '{"format": 7}'), "written in format 7"),
        (lambda folder: write(folder, "study.json", "{}"), "no valid 'format' entry"),
    ],
)
def test_what_is_no_such_thing(tmp_path, make, message):
    make(tmp_path / "x")
    result = run(tmp_path / "x")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "change"),
    [
        ("model.json", RUN, {"threshold": "high"}),
        ("model.json", RUN, {"recipe": 3}),
        ("model.json", RUN, {"scores": {"test": 5}}),
        ("model.json", RUN, {"scores": {"test": {"at_half": {"f1": 1.0}}}}),
        ("study.json", STUDY, {"rows": 5}),
        ("study.json", STUDY, {"rows": ["unet"]}),
        ("map.json", MAP, {"areas_m2": {"mapped": 1.0}}),
        ("map.json", MAP, {"threshold": None}),
    ],
)
def test_entries_of_the_wrong_kind_are_damage(tmp_path, name, content, change):
    (tmp_path / name).write_text(json.dumps(content | change))
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "an entry is missing or of the wrong kind; the " in result.stderr
    assert result.stderr.strip().endswith(" is damaged, make it again")


def test_only_scenes_are_drawn(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(RUN))
    result = run(tmp_path, "--quicklook", tmp_path / "q.png")
    assert result.exit_code == 1
    assert "--quicklook draws scenes, this is a run; leave it out" in result.stderr


def write(folder, name, text):
    folder.mkdir()
    (folder / name).write_text(text)
