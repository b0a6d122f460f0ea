"""Scenes, maps and mosaics by address are those of files on disk, also through a server that drops connections."""

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from helpers.maps import scene_layers, unet_bundle, write_scene
from helpers.scene_inputs import write_dem, write_image, write_polygons
from helpers.storage_servers import download, server, upload
from landslip.bundle import Bundle
from landslip.cli.map_ import command as map_command
from landslip.mapping import run
from landslip.mapping.config import MapConfig
from landslip.mapping.mosaic import mosaic_maps
from landslip.mapping.prepare import member_of
from landslip.mapping.run import map_scene
from landslip.rasters import open_raster, read_window
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.store import Scene

SETTINGS = MapConfig.from_dict(
    {
        "predict": {"tile": 32, "overlap": 8, "device": "cpu", "precision": "float32"},
        "polygons": {"threshold": 0.5},
        "output": {"density_cell_m": 300},
    }
)
RASTERS = ("bands.tif", "valid.tif", "labels.tif", "inventory.gpkg")


def config(folder, **changes):
    """Settings of a scene from inputs below a folder or address."""
    inputs = {
        "images": tuple(f"{folder}/post/{name}.tif" for name in ("B02", "B03", "B04", "B08")),
        "dem": (f"{folder}/dem.tif",),
        "inventory": f"{folder}/inventory.shp",
    }
    return SceneConfig(**(inputs | changes))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_image(folder / "post")
    write_dem(folder / "dem.tif")
    write_polygons(folder / "inventory.shp", [(10, 10, 30, 40), (50, 50, 60, 70)])
    return folder


def same_scene(here: Path, there: dict[str, bytes]) -> None:
    for name in RASTERS:
        assert (here / name).read_bytes() == there[name], name
    ours, theirs = json.loads((here / "scene.json").read_text()), json.loads(there["scene.json"])
    assert all(entry["sha256"] is None for entry in theirs.pop("sources"))
    ours.pop("sources")
    ours["images"]["post"][0]["name"] = theirs["images"]["post"][0]["name"]  # of the folder or address
    assert ours == theirs


def test_a_scene_from_s3_to_s3(inputs, bucket, tmp_path):
    build_scene(config(inputs), tmp_path / "local")
    upload(inputs, f"{bucket}/inputs")
    scene = build_scene(config(f"{bucket}/inputs"), f"{bucket}/out/scene")
    same_scene(tmp_path / "local", download(f"{bucket}/out/scene"))
    local = Scene.open(tmp_path / "local")
    np.testing.assert_array_equal(scene.read(("red", "slope")), local.read(("red", "slope")))
    assert scene.inventory().equals(local.inventory())
    by_folder = config(f"{bucket}/inputs", images=(f"{bucket}/inputs/post",))
    build_scene(by_folder, Path(f"{bucket}/out/scene"))
    same_scene(tmp_path / "local", download(f"{bucket}/out/scene"))
    assert not list((tmp_path / "cache").rglob("*.tif"))


@pytest.mark.parametrize("every", [10, 3])
def test_a_scene_through_a_server_that_drops_connections(inputs, tmp_path, credentials, every):
    build_scene(config(inputs), tmp_path / "local")
    with server("files", str(inputs)) as files, server("drops", str(every), files) as address:
        build_scene(config(address), tmp_path / "remote")
        dropped = int(urllib.request.urlopen(f"{address}/drops").read())
    same_scene(tmp_path / "local", {path.name: path.read_bytes() for path in (tmp_path / "remote").iterdir()})
    assert dropped >= 2  # one before, one within an answer


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A run, a scene and its map on disk."""
    folder = tmp_path_factory.mktemp("mapped")
    unet_bundle().save(folder / "run")
    scene = write_scene(folder / "valley", scene_layers((70, 80)))
    member = member_of(Bundle.load(folder / "run"), "run")
    map_scene(member, scene, folder / "maps" / "valley", SETTINGS)
    return folder


def test_a_map_from_s3_to_s3(mapped, bucket):
    upload(mapped / "run", f"{bucket}/run")
    upload(mapped / "valley", f"{bucket}/valley")
    member = member_of(Bundle.load(f"{bucket}/run"), "run")
    result = map_scene(member, Scene.open(f"{bucket}/valley"), f"{bucket}/map", SETTINGS)
    assert result.content == json.loads((mapped / "maps/valley/map.json").read_text())
    there = download(f"{bucket}/map")
    here = {path.name: path.read_bytes() for path in (mapped / "maps/valley").iterdir()}
    assert there.keys() == here.keys()
    assert {name for name in here if here[name] != there[name]} == {"log.json"}
    assert json.loads(there["log.json"])["inputs"]["scene"] == f"{bucket}/valley"


def test_a_map_to_s3_through_a_server_that_drops_connections(mapped, bucket, s3_server, monkeypatch):
    upload(mapped / "valley", f"{bucket}/valley")
    with server("drops", "10", s3_server) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        member = member_of(Bundle.load(mapped / "run"), "run")
        map_scene(member, Scene.open(f"{bucket}/valley"), f"{bucket}/map", SETTINGS)
        dropped = int(urllib.request.urlopen(f"{address}/drops").read())
    assert dropped > 3
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    there = download(f"{bucket}/map")
    for path in (mapped / "maps/valley").iterdir():
        assert path.name == "log.json" or path.read_bytes() == there[path.name], path.name


def test_an_interrupted_map_goes_on_from_the_working_folder(mapped, bucket, monkeypatch):
    member = member_of(Bundle.load(mapped / "run"), "run")
    scene = Scene.open(mapped / "valley")

    def interrupt(*given, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "find_landslides", interrupt)
        map_scene(member, scene, f"{bucket}/map", SETTINGS)
    assert download(f"{bucket}/map") == {}
    with monkeypatch.context() as patch:
        patch.setattr(run, "predict_bands", interrupt)  # not asked again: the raster is there
        map_scene(member, scene, f"{bucket}/map", SETTINGS, resume=True)
    there = download(f"{bucket}/map")
    for path in (mapped / "maps/valley").iterdir():
        assert path.name == "log.json" or path.read_bytes() == there[path.name], path.name


def test_a_mosaic_from_s3_to_s3(mapped, bucket):
    mosaic_maps([mapped / "maps"], mapped / "mosaic")
    upload(mapped / "maps", f"{bucket}/maps")
    result = mosaic_maps([f"{bucket}/maps"], f"{bucket}/mosaic")
    here = {path.name: path.read_bytes() for path in (mapped / "mosaic").iterdir()}
    there = download(f"{bucket}/mosaic")
    assert there.keys() == here.keys()
    ours, theirs = (json.loads(files.pop("items.json"))["features"][0] for files in (here, there))
    assert {key: asset.pop("href") for key, asset in ours["assets"].items() if key != "scene"} == {
        key: asset.pop("href") for key, asset in theirs["assets"].items() if key != "scene"
    }
    assert theirs["assets"].pop("scene")["href"] == str(mapped / "valley/scene.json")  # left where it is
    del ours["assets"]["scene"]
    assert ours == theirs
    for files in (here, there):
        content = json.loads(files["mosaic.json"])
        del content["files"]["items.json"]
        files["mosaic.json"] = json.dumps(content).encode()
    assert {name for name in here if here[name] != there[name]} == set()

    with (
        open_raster(f"{bucket}/mosaic/probability.vrt") as virtual,
        open_raster(mapped / "maps/valley/probability.tif") as real,
    ):
        assert np.array_equal(read_window(virtual), read_window(real), equal_nan=True)
    assert str(result.folder) == str(Path(f"{bucket}/mosaic"))


def test_the_command_line_takes_addresses(mapped, bucket):
    upload(mapped / "run", f"{bucket}/run")
    upload(mapped / "valley", f"{bucket}/valley")
    app = typer.Typer()
    app.command()(map_command)
    words = ["--tile", "32", "--overlap", "8", "--device", "cpu", "--precision", "float32", "--no-page"]
    given = [f"{bucket}/run", f"{bucket}/valley", "--out", f"{bucket}/map", *words]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{bucket}/map: ")
    content = json.loads(download(f"{bucket}/map")["map.json"])
    assert (content["scene"]["name"], content["models"][0]["name"]) == ("valley", "run")
    again = CliRunner().invoke(app, [*given, "--quiet"])
    assert again.stderr == (
        f"error: {bucket}/map: holds a finished map already; choose another --out, or remove the folder\n"
    )
    assert CliRunner().invoke(app, [*given, "--resume"]).stdout == done.stdout
