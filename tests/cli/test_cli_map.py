"""``landslip map`` as a user meets it: options, messages, exit codes."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from helpers.maps import scene_layers, unet_bundle, write_scene
from landslip.cli.map_ import command
from landslip.files import locked

app = typer.Typer()
app.command()(command)
FAST = ["--tile", "32", "--overlap", "8", "--device", "cpu", "--precision", "float32", "--no-page"]


def landslip_map(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_line(*arguments):
    """The one line on standard error of a call that fails with exit code 1."""
    done = landslip_map(*arguments, "--quiet")
    assert done.exit_code == 1, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert done.stdout == ""
    return lines[0]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "valley", scene_layers((70, 80)))


@pytest.fixture
def run(tmp_path):
    unet_bundle().save(tmp_path / "run")
    return tmp_path / "run"


def edit(run, change):
    path = run / "model.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_maps_a_scene_and_prints_what_it_found(run, scene, tmp_path):
    done = landslip_map(
        run, scene.path, "--out", tmp_path / "out", *FAST, "--json", "--threshold", "0.5", "--format", "geojson"
    )
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content == json.loads((tmp_path / "out" / "map.json").read_text())
    assert content["settings"]["predict"]["tile"] == 32
    assert content["settings"]["polygons"]["threshold"] == 0.5
    assert (tmp_path / "out" / "landslides.geojson").exists()
    again = landslip_map(
        run, scene.path, "--out", tmp_path / "out", *FAST, "--threshold", "0.5", "--format", "geojson", "--resume"
    )
    assert again.exit_code == 0
    assert f"{content['counts']['landslides']} landslides" in again.stdout


def test_several_scenes_get_folders_of_their_names(run, scene, tmp_path):
    other = write_scene(tmp_path / "ridge", scene_layers((40, 40)))
    done = landslip_map(run, scene.path, other.path, "--out", tmp_path / "out", *FAST, "--json")
    assert [one["scene"]["name"] for one in json.loads(done.stdout)["maps"]] == ["valley", "ridge"]
    assert (tmp_path / "out" / "ridge" / "map.json").exists()
    assert "two scenes are called 'valley'" in error_line(run, scene.path, scene.path, "--out", tmp_path / "o", *FAST)


def test_a_list_on_workers_one_scene_failing_and_resumed(run, scene, tmp_path):
    write_scene(tmp_path / "ridge", scene_layers((40, 40)))
    bare = write_scene(tmp_path / "bare", {"red": np.zeros((40, 40), np.float32)})
    (tmp_path / "list.txt").write_text(f"{scene.path}\nbare\nridge\n")
    words = [run, tmp_path / "list.txt", "--out", tmp_path / "out", *FAST, "--json", "--quiet"]
    done = landslip_map(*words, "--dask", "local:1")
    assert done.exit_code == 1
    content = json.loads(done.stdout)
    assert [one["scene"]["name"] for one in content["maps"]] == ["valley", "ridge"]
    assert content["maps"][0]["folder"] == str(tmp_path / "out" / "valley")
    assert [one["name"] for one in content["failed"]] == ["bare"]
    reason, last = done.stderr.strip().splitlines()
    assert reason.startswith("failed: bare: layer 'green' needs green, which the scene")
    assert last == "error: 1 of 3 failed, as said above, the others are done; mend it, and run again with --resume"
    assert "holds a finished map already" in error_line(run, tmp_path / "list.txt", "--out", tmp_path / "out", *FAST)
    shutil.rmtree(bare.path)
    write_scene(bare.path, scene_layers((40, 40)))
    again = landslip_map(*words, "--resume")
    assert again.exit_code == 0, again.output
    assert len(json.loads(again.stdout)["maps"]) == 3


def test_clusters_that_cannot_be_used(run, scene, tmp_path):
    line = error_line(run, scene.path, "--out", tmp_path / "out", *FAST, "--dask", "nowhere")
    assert "'nowhere' is no cluster; give local:N" in line


def test_interrupting_ends_the_workers_and_resuming_completes(run, tmp_path):
    for name in "abcd":
        write_scene(tmp_path / "scenes" / name, scene_layers((40, 400)))
    # What runs in the background of a shell ignores Ctrl-C, and so would its children.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    words = [
        "-c",
        heed + "from landslip.cli import main; main()",
        "map",
        run,
        tmp_path / "scenes" / "*",
        "--out",
        tmp_path / "out",
        *FAST,
    ]
    process = subprocess.Popen(
        [sys.executable, *map(str, words), "--dask", "local:1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list((tmp_path / "out").glob("*/.partial")):
        time.sleep(0.02)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "interrupted; run the same command with --resume where it is offered"
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # soon after the command no process of it is left
        for _ in range(300):
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    done = landslip_map(run, tmp_path / "scenes" / "*", "--out", tmp_path / "out", *FAST, "--resume")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out").glob("*/map.json"))) == 4


def test_ensemble_and_uncertainty(run, scene, tmp_path):
    unet_bundle(1).save(tmp_path / "other")
    done = landslip_map(
        run,
        scene.path,
        "--out",
        tmp_path / "out",
        "--ensemble",
        tmp_path / "other",
        "--uncertainty",
        "disagreement",
        *FAST,
        "--json",
    )
    assert done.exit_code == 0, done.output
    assert [model["name"] for model in json.loads(done.stdout)["models"]] == ["run", "other"]


def test_a_run_is_not_averaged_with_itself(run, scene, tmp_path):
    line = error_line(run, scene.path, "--out", tmp_path / "out", "--ensemble", run / ".." / run.name)
    assert "the run is in the ensemble twice, which adds nothing; take another, or leave it out" in line


def test_options_win_over_the_file(run, scene, tmp_path):
    (tmp_path / "map.toml").write_text("[predict]\ntile = 64\noverlap = 8\n[polygons]\nmin_area_m2 = 900\n")
    done = landslip_map(run, scene.path, "--out", tmp_path / "out", "--config", tmp_path / "map.toml", *FAST, "--json")
    settings = json.loads(done.stdout)["settings"]
    assert (settings["predict"]["tile"], settings["polygons"]["min_area_m2"]) == (32, 900)
    (tmp_path / "bad.toml").write_text("[predict]\ntiel = 64\n")
    line = error_line(run, scene.path, "--out", tmp_path / "o", "--config", tmp_path / "bad.toml")
    assert "unknown key 'predict.tiel'; did you mean 'tile'?" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tile", "100"], "'predict.tile': input should be a multiple of 32"),
        (["--overlap", "128"], "overlap 128 must be less than the tile 128"),
        (["--threshold", "1.5"], "'polygons.threshold': input should be less than 1"),
        (["--device", "abacus"], "device 'abacus': not known"),
        (["--device", "cuda:9"], "device 'cuda:9' is not on this machine"),
        (["--uncertainty", "entropy"], "add --variants flips or d4, or --ensemble RUN"),
        (["--land-cover", "x.tif"], "land_cover and exclude_classes go together"),
        (["--water", "nowhere.tif"], "nowhere.tif: no such file"),
        (["--refine"], "--objects"),
        (["--objects", "o.tif"], 'objects are for refining; add --refine (refine = "objects"), or leave them out'),
        (["--density-cell", "5"], "density cell of 5 m: smaller than a pixel of 10 m; give some hundred metres"),
    ],
)
def test_settings_that_cannot_be(run, scene, tmp_path, options, message):
    assert message in error_line(run, scene.path, "--out", tmp_path / "out", *options)


def test_output_in_use_and_finished(run, scene, tmp_path):
    with locked(tmp_path / "out"):
        line = error_line(run, scene.path, "--out", tmp_path / "out", *FAST)
    assert "another landslip process is working on it; wait for it or choose another --out" in line
    assert landslip_map(run, scene.path, "--out", tmp_path / "out", *FAST).exit_code == 0
    assert "holds a finished map already" in error_line(run, scene.path, "--out", tmp_path / "out", *FAST)


def test_scene_that_is_none_or_lacks_a_layer(run, scene, tmp_path):
    assert "nowhere: no such scene" in error_line(run, tmp_path / "nowhere", "--out", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert "not a finished scene" in error_line(run, tmp_path / "empty", "--out", tmp_path / "out")
    bare = write_scene(tmp_path / "bare", {"red": np.zeros((40, 40), np.float32)})
    assert "layer 'green' needs green, which the scene" in error_line(run, bare.path, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "map.json").exists()


def remove(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def damage_layers(run):
    edit(run, lambda content: content["architecture"].update(in_channels=5))


def damage_statistics(run):
    edit(run, remove("recipe", "statistics", "green"))


def damage_pickle(run):
    (run / "model.safetensors").write_bytes(pickle.dumps({"weights": 1}))


def damage_architecture(run):
    (run / "model.safetensors").write_bytes(saved_weights(run, width=6))


def damage_depth(run):
    edit(run, lambda content: content["architecture"].update(name="resunet34", options={}))


def damage_truncated(run):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def damage_other_run(run):
    (run / "model.safetensors").write_bytes(saved_weights(run, seed=3))


def saved_weights(run, **options):
    unet_bundle(**options).save(run.parent / "another")
    return (run.parent / "another" / "model.safetensors").read_bytes()


DAMAGES = {
    "gone": (lambda run: __import__("shutil").rmtree(run), "no such run; check the path"),
    "unfinished": (lambda run: (run / "model.json").unlink(), "not a finished run (no model.json in it)"),
    "no json": (lambda run: (run / "model.json").write_text("{"), "not valid JSON"),
    "newer": (lambda run: edit(run, lambda c: c.update(format=99)), "written in format 99"),
    "layer count": (damage_layers, "the network takes 5 layers, its recipe has 3"),
    "statistics": (damage_statistics, "statistics missing for layers: green"),
    "pickle": (damage_pickle, "a pickle, which could run code, not safetensors"),
    "other architecture": (damage_architecture, "the weights are of another architecture than unet"),
    "other network": (damage_depth, "the weights are of another architecture than resunet34"),
    "truncated": (damage_truncated, "not readable as safetensors, cut off or damaged"),
    "no weights": (lambda run: (run / "model.safetensors").unlink(), "the run is incomplete"),
    "other run's weights": (damage_other_run, "checksum differs"),
    "no threshold": (lambda run: edit(run, remove("threshold")), "entry 'threshold' is missing"),
    "unknown network": (
        lambda run: edit(run, lambda c: c["architecture"].update(name="vnet")), "vnet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_run_gets_one_clear_line(kind, run, scene, tmp_path):
    damage, message = DAMAGES[kind]
    damage(run)
    line = error_line(run, scene.path, "--out", tmp_path / "out", *FAST)
    assert message in line
    assert str(run) in line


def test_help_is_instant_and_names_every_option():
    done = landslip_map("--help")
    assert done.exit_code == 0
    for option in ("--ensemble", "--resume", "--threshold", "--min-area", "--water", "--variants", "--split"):
        assert option in done.stdout
