"""Lists of scenes to build: settings, paths, failures, resuming, and the same bytes on workers."""

import json

import numpy as np
import pytest
import rasterio
import typer
from affine import Affine
from typer.testing import CliRunner

from landslip.cli import scene as module
from landslip.cluster import connect
from landslip.errors import ConfigError, MissingInputError
from landslip.scene.batch import SceneBatch, build_scenes
from landslip.scene.build import build_scene

app = typer.Typer()
app.command()(module.command)


def write(path, pixels, step, origin=(500_000.0, 4_730_000.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "height": pixels.shape[0], "width": pixels.shape[1]}
    profile |= {"dtype": pixels.dtype.name, "crs": "EPSG:32654"}
    with rasterio.open(path, "w", **profile, transform=Affine(step, 0, origin[0], 0, -step, origin[1])) as dataset:
        dataset.write(pixels, 1)
        dataset.update_tags(BOA_ADD_OFFSET="-1000", QUANTIFICATION_VALUE="10000")


@pytest.fixture
def inputs(tmp_path):
    """Images of three places and one elevation model, with their list."""
    rng = np.random.default_rng(0)
    for place in ("north", "middle", "south"):
        for band in ("B02", "B03", "B04", "B08"):
            write(tmp_path / "images" / place / f"{band}.tif", rng.integers(1500, 2500, (40, 40)).astype(np.uint16), 10)
    heights = np.add.outer(np.arange(30.0), np.arange(30.0)).astype(np.float32) * 5 + 300
    write(tmp_path / "images" / "dem.tif", heights, 30, (500_000.0 - 90, 4_730_000.0 + 90))
    jobs = '[defaults]\ndem = ["images/dem.tif"]\nelevation.layers = ["relief"]\n'
    for place in ("north", "middle", "south"):
        jobs += f'[[scene]]\nimages = ["images/{place}"]\nout = "scenes/{place}"\n'
    (tmp_path / "jobs.toml").write_text(jobs)
    return tmp_path


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.json"
    }


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_workers_build_what_one_process_builds_and_a_failure_is_mended(inputs):
    batch = SceneBatch.read(inputs / "jobs.toml")
    assert batch.scene[0].elevation.layers == ("relief",)
    for job in batch.scene:
        build_scene(job.settings(), job.out)
    wanted = files_of(inputs / "scenes")
    (inputs / "scenes").rename(inputs / "wanted")
    (inputs / "images" / "middle" / "B03.tif").rename(inputs / "kept.tif")
    with connect("local:2") as cluster:
        found = build_scenes(batch, cluster=cluster)
    assert [value["scene"]["name"] for value in found.values.values()] == ["north", "south"]
    assert "green" in found.reasons[batch.scene[1].out]
    (inputs / "kept.tif").rename(inputs / "images" / "middle" / "B03.tif")
    before = (inputs / "scenes" / "north" / "bands.tif").stat().st_mtime_ns
    done = call("--batch", inputs / "jobs.toml", "--resume", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert [one["scene"]["name"] for one in content["scenes"]] == ["north", "middle", "south"]
    assert (content["failed"], content["scenes"][1]["rows"]) == ([], 40)
    assert (inputs / "scenes" / "north" / "bands.tif").stat().st_mtime_ns == before
    assert files_of(inputs / "scenes") == wanted


def test_failures_are_told_at_the_end_with_exit_code_1(inputs):
    (inputs / "images" / "middle" / "B03.tif").unlink()
    done = call("--batch", inputs / "jobs.toml", "--quiet")
    assert done.exit_code == 1
    first, last = done.stderr.strip().splitlines()
    assert first.startswith(f"failed: {inputs}/scenes/middle: ")
    assert last.startswith("error: 1 of 3 failed, as said above, the others are done; mend it, and run again")
    assert (inputs / "scenes" / "south" / "scene.json").is_file()
    changed = (inputs / "jobs.toml").read_text().replace("relief", "curvature")
    (inputs / "jobs.toml").write_text(changed)
    done = call("--batch", inputs / "jobs.toml", "--quiet", "--resume")
    assert "north: holds a scene of other inputs or settings; give another 'out', or run without" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "'scene': field required"),
        ("[[scene]]\nimages = ['a']\n", "'scene.0.out': field required"),
        ("[[scene]]\nimage = ['a']\nout = 'x'\n", "unknown key 'scene.0.image'; did you mean 'images'?"),
        ("[defaults]\ndim = ['a']\n[[scene]]\nimages = ['a']\nout = 'x'\n", "unknown key 'scene.0.dim'"),
        ("[[scene]]\nimages = ['a']\nout = 'x'\n" * 2, "scenes 1 and 2 both go to"),
        ("[[scene]\n", "not valid TOML"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "jobs.toml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        SceneBatch.read(tmp_path / "jobs.toml")
    assert message in str(caught.value)
    with pytest.raises(MissingInputError, match="no such config file"):
        SceneBatch.read(tmp_path / "gone.toml")


def test_paths_are_relative_to_the_list_and_addresses_stay(tmp_path):
    (tmp_path / "jobs.toml").write_text('[[scene]]\nimages = ["https://host/item.json", "/data/b"]\nout = "x"\n')
    [job] = SceneBatch.read(tmp_path / "jobs.toml").scene
    assert job.images == ("https://host/item.json", "/data/b")
    assert job.out == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["image", "--out", "x"], "missing --dem; or give --batch JOBS"),
        (["--batch", "jobs.toml", "--out", "x"], "--batch takes everything from the file; leave out out"),
        (["image", "--dem", "d", "--out", "x", "--dask", "local:2"], "--dask and --resume are for lists of scenes"),
    ],
)
def test_wrong_usage(words, message):
    done = call(*words)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
