"""STAC items, local and over HTTP: assets to bands, and servers that do not give what they should."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers.scene_inputs import TAGS, grid_of, numbers_of, write_raster
from landslip.errors import RemoteError
from landslip.files import places, web
from landslip.scene.build import build_scene
from landslip.scene.config import SceneConfig
from landslip.scene.images.sources import ReadOptions, read_images
from landslip.scene.remarks import Remarks

KEYS = {"blue": "B02.tif", "green": "B03.tif", "red": "B04.tif", "nir": "B08.tif"}


def write_item(folder: Path, *, properties: dict | None = None, hrefs: str = "./", **assets) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(KEYS.values()):
        write_raster(folder / name, numbers_of(seed), nodata=0)
    coarse = grid_of(48, 48, step=20)
    classes = np.full(coarse.shape, 4, np.uint8)
    classes[:4] = 9
    write_raster(folder / "SCL.tif", classes, coarse, nodata=0)
    listed = {
        key: {
            "href": hrefs + name,
            "roles": ["data"],
            "raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0}],
        }
        for key, name in KEYS.items()
    }
    listed["scl"] = {"href": hrefs + "SCL.tif", "roles": ["data"]}
    listed["visual"] = {"href": hrefs + "TCI.tif", "roles": ["visual"], "eo:bands": [{"name": "red"}]}
    listed["thumbnail"] = {"href": hrefs + "thumbnail.jpg", "roles": ["thumbnail"]}
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2A_54TWN_20230925_0_L2A",
        "collection": "sentinel-2-l2a",
        "properties": {"datetime": "2023-09-25T01:27:01Z", "s2:processing_baseline": "05.09"} | (properties or {}),
        "assets": {key: value for key, value in (listed | assets).items() if value is not None},
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


def test_item_becomes_a_scene_with_classes_and_date(tmp_path):
    scene = build_scene(SceneConfig(images=(str(write_item(tmp_path / "item")),)), tmp_path / "scene")
    assert scene.layers == ("blue", "green", "red", "nir")
    assert scene.dates == {"post": ["2023-09-25"]}
    clear = scene.validity("clouds")
    assert not clear[:8].any()
    assert clear[8:].all()
    expected = (numbers_of(2).astype(float) - 1000) / 10000
    np.testing.assert_allclose(scene.read(["red"])[0][8:], expected[8:], atol=1e-6)


def test_offset_that_was_applied_already_is_not_applied_again(tmp_path):
    item = write_item(tmp_path / "item", properties={"earthsearch:boa_offset_applied": True})
    scene = build_scene(SceneConfig(images=(str(item),)), tmp_path / "scene")
    np.testing.assert_allclose(scene.read(["red"])[0][8:], numbers_of(2)[8:] / 10000, atol=1e-6)
    assert "it is not applied again" in " ".join(scene.info["remarks"])


def test_a_copy_beside_a_local_item_goes_before_the_address(tmp_path):
    item = write_item(tmp_path / "item", hrefs="https://example.invalid/tiles/54/")
    (image,) = read_images([str(item)], ReadOptions(), Remarks())
    assert image.bands["red"].path == str(tmp_path / "item" / "B04.tif")


def test_geotiff_goes_before_jp2_and_fine_before_coarse(tmp_path):
    coarse = grid_of(48, 48, step=20)
    write_raster(tmp_path / "item" / "B04_20m.tif", numbers_of(9, coarse.shape), coarse)
    item = write_item(
        tmp_path / "item",
        **{
            "red-jp2": {"href": "./B04.jp2", "raster:bands": [{"scale": 1e-4, "offset": -0.1}]},
            "B04_20m": {"href": "./B04_20m.tif", "gsd": 20, "raster:bands": [{"scale": 1e-4, "offset": -0.1}]},
        },
    )
    (image,) = read_images([str(item)], ReadOptions(), Remarks())
    assert image.bands["red"].name == "B04.tif"


def test_bands_by_common_name_where_the_key_says_nothing(tmp_path):
    asset = {"href": "./B04.tif", "eo:bands": [{"name": "x", "common_name": "red"}]}
    item = write_item(tmp_path / "item", red=None, band_3=asset)
    (image,) = read_images([str(item)], ReadOptions(), Remarks())
    assert image.bands["red"].name == "B04.tif"


@contextlib.contextmanager
def serving(folder: Path):
    script = Path(__file__).parents[1] / "helpers" / "file_server.py"
    with subprocess.Popen([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(web, "WAIT_S", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_item_and_assets_over_http(tmp_path, impatient):
    write_item(tmp_path / "served")
    with serving(tmp_path / "served") as address:
        scene = build_scene(SceneConfig(images=(f"{address}/item.json",)), tmp_path / "scene")
    expected = (numbers_of(2).astype(float) - 1000) / 10000
    np.testing.assert_allclose(scene.read(["red"])[0][8:], expected[8:], atol=1e-6)
    assert [image["name"] for image in scene.info["images"]["post"]] == ["S2A_54TWN_20230925_0_L2A"]


def test_a_server_without_byte_ranges_gives_the_same_pixels(tmp_path, impatient):
    item = write_item(tmp_path / "served")
    (tmp_path / "served" / "item.json").write_text(item.read_text())
    with serving(tmp_path / "served") as address:
        scene = build_scene(SceneConfig(images=(f"{address}/whole/item.json",)), tmp_path / "scene")
    expected = (numbers_of(2).astype(float) - 1000) / 10000
    np.testing.assert_allclose(scene.read(["red"])[0][8:], expected[8:], atol=1e-6)


def test_a_server_that_stops_half_way_gives_an_error_and_never_zeros(tmp_path, impatient, monkeypatch):
    from landslip.errors import InputError

    item = write_item(tmp_path / "served")
    large = numbers_of(2, (400, 400))  # beyond what is fetched to open it
    for name in KEYS.values():
        write_raster(tmp_path / "served" / name, large, grid_of(400, 400), nodata=0)
    assert item.exists()
    monkeypatch.setattr(web, "TRIES", 1)
    with (
        serving(tmp_path / "served") as address,
        pytest.raises(InputError, match=r"truncated or damaged|not a readable"),
    ):
        build_scene(SceneConfig(images=(f"{address}/stops/item.json",)), tmp_path / "scene")
    assert not (tmp_path / "scene" / "scene.json").exists()


def test_a_server_that_stumbles_is_asked_again(tmp_path, impatient):
    with serving(tmp_path) as address:
        assert places.http().json(f"{address}/busy", what="a STAC item") == {"here": True}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "/html/item",
            "answers with an HTML page where a STAC item was expected; check the address, or log in",
        ),
        ("/missing", "the server answers 404 .*; there is nothing under this address; check it"),
        ("/broken", "cannot be fetched .* after 6 attempts: .*; check the network and whether"),
    ],
)
def test_servers_that_do_not_give_an_item(tmp_path, impatient, path, message):
    with serving(tmp_path) as address, pytest.raises(RemoteError, match=message) as caught:
        read_images([address + path], ReadOptions(), Remarks())
    assert "\n" not in str(caught.value)


def test_nobody_at_the_address(tmp_path, impatient):
    with serving(tmp_path) as address:
        pass
    with pytest.raises(RemoteError, match="cannot be fetched"):
        read_images([f"{address}/item"], ReadOptions(), Remarks())


def test_an_asset_that_is_a_web_page_is_no_raster(tmp_path, impatient):
    item = write_item(tmp_path / "served", red={"href": "html/B04.tif"})
    assert item.exists()
    with serving(tmp_path / "served") as address, pytest.raises(Exception, match=r"B04\.tif: not a readable raster"):
        read_images([f"{address}/item.json"], ReadOptions(), Remarks())


def test_tags_of_the_file_do_not_overrule_the_item(tmp_path):
    item = write_item(tmp_path / "item", properties={"s2:processing_baseline": "02.14"}, red={"href": "./B04.tif"})
    write_raster(tmp_path / "item" / "B04.tif", numbers_of(2), tags=TAGS)
    (image,) = read_images([str(item)], ReadOptions(), Remarks())
    assert image.bands["red"].radiometry.offset == 0
