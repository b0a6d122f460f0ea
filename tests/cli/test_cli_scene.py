"""``landslip scene``: options reach the settings, the result is said in words or as JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import typer
from affine import Affine
from typer.testing import CliRunner

from landslip.cli import scene as module
from landslip.scene.store import Scene

app = typer.Typer()
app.command()(module.command)

WEST, NORTH = 500_000.0, 4_730_000.0


def write(path, pixels, step, origin=(WEST, NORTH), **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "height": pixels.shape[0], "width": pixels.shape[1]}
    profile |= {"dtype": pixels.dtype.name, "crs": "EPSG:32654"}
    profile |= {"transform": Affine(step, 0, origin[0], 0, -step, origin[1])}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels, 1)
        dataset.update_tags(**tags)


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    for number in ("B02", "B03", "B04", "B08"):
        pixels = rng.integers(1500, 2500, (64, 64)).astype(np.uint16)
        write(tmp_path / "post" / f"{number}.tif", pixels, 10, BOA_ADD_OFFSET="-1000", QUANTIFICATION_VALUE="10000")
    heights = np.add.outer(np.arange(30.0), np.arange(30.0)).astype(np.float32) * 5 + 300
    write(tmp_path / "dem.tif", heights, 30, (WEST - 90, NORTH + 90))
    return tmp_path


def run(inputs, *more):
    arguments = [inputs / "post", "--dem", inputs / "dem.tif", "--out", inputs / "scene", *more]
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_words_on_standard_output_and_remarks_on_standard_error(inputs):
    result = run(inputs)
    assert result.exit_code == 0
    assert "64 x 64 pixels of 10 m" in result.stdout
    assert "(DN -1000) / 10000" in result.stdout
    assert Scene.open(inputs / "scene").layers == ("blue", "green", "red", "nir", "elevation", "slope")


def test_json_is_one_object_alone(inputs):
    result = run(inputs, "--json", "--quiet")
    content = json.loads(result.stdout)
    assert content["layers"] == ["blue", "green", "red", "nir", "elevation", "slope"]
    assert result.stderr == ""


def test_options_reach_the_settings(inputs):
    more = ["--resolution", "20", "--offset", "-500", "--terrain", "curvature,relief", "--fill-voids", "90"]
    result = run(
        inputs, *more, "--z-unit", "ft", "--dilate-clouds", "2", "--mask-snow", "--quicklook", inputs / "q.png"
    )
    assert result.exit_code == 0, result.output
    scene = Scene.open(inputs / "scene")
    settings = scene.info["settings"]
    assert scene.layers[-2:] == ("curvature", "relief")
    assert (settings["resolution"], settings["offset"], settings["dilate_clouds"], settings["mask_snow"]) == (
        *(20, -500, 2, True),
    )
    assert (settings["elevation"]["z_unit"], settings["elevation"]["fill_voids_m"]) == ("ft", 90)
    assert np.nanmax(scene.read(["elevation"])) < 200  # feet became metres
    assert (inputs / "q.png").read_bytes().startswith(b"\x89PNG")


def test_bands_by_option(inputs):
    for name, number in zip("abcd", ("B02", "B03", "B04", "B08"), strict=True):
        (inputs / "post" / f"{number}.tif").rename(inputs / "post" / f"{name}.tif")
    assert run(inputs).exit_code == 1
    assert run(inputs, "--bands", "blue,green,red,nir").exit_code == 0


def test_usage_errors_are_exit_code_2(inputs):
    assert run(inputs, "--resolution", "-3").exit_code == 2
    assert CliRunner().invoke(app, [str(inputs / "post")]).exit_code == 2


def test_debug_shows_the_traceback(inputs):
    result = CliRunner().invoke(app, [str(inputs / "nowhere"), "--dem", "x", "--out", str(inputs / "s"), "--debug"])
    assert result.exit_code == 1
    assert "no such file" in str(result.exception)


def test_help_does_not_import_what_is_heavy():
    code = (
        "import sys; sys.argv = ['landslip', 'scene', '--help']\n"
        "from landslip.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'rasterio', 'geopandas', 'numba', 'numpy') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().splitlines()[-1] == "[]"
