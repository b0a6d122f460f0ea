"""The STAC items of a mosaic: valid by pinned schemas, and saying what the maps say."""

import json
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
import rasterio
import shapely
from referencing import Registry, Resource

from helpers.maps import scene_layers, unet_bundle, write_scene
from helpers.mosaics import grid_at, write_map
from landslip.files import sha256
from landslip.mapping.config import MapConfig
from landslip.mapping.mosaic import mosaic_maps
from landslip.mapping.prepare import member_of
from landslip.mapping.run import map_scene

SCHEMAS = Path(__file__).parents[1] / "data" / "stac"


@pytest.fixture(scope="module")
def validate():
    """Check an item against STAC and every extension that it names; nothing is fetched."""
    resources = {}
    for path in sorted(SCHEMAS.glob("*.json")):
        content = json.loads(path.read_text())
        address = content["$id"].removesuffix("#").replace("commonjson", "common.json")  # as STAC publishes it
        resources[address] = Resource.from_contents(content)
    registry = Registry().with_resources(resources.items())
    core = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"

    def check(item):
        for address in (core, *item["stac_extensions"]):
            schema = registry.contents(address)
            jsonschema.Draft7Validator(schema, registry=registry).validate(item)

    return check


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    """A map by an ensemble of two runs, and its mosaic."""
    folder = tmp_path_factory.mktemp("items")
    scene = write_scene(folder / "the valley", scene_layers((60, 70)))
    members = []
    for number in (1, 2):
        run = folder / "runs" / f"run {number}"
        bundle = unet_bundle(number)
        bundle.save(run)
        members.append(member_of(bundle, run.name, str(run)))
    settings = {
        "predict": {"tile": 32, "overlap": 8, "device": "cpu", "precision": "float32", "uncertainty": "entropy"},
        "output": {"page": False},
    }
    map_scene(members, scene, folder / "maps" / "one map", MapConfig.from_dict(settings))
    return mosaic_maps([folder / "maps"], folder / "mosaic")


def test_items_are_valid(mosaic, validate):
    collection = json.loads((mosaic.folder / "items.json").read_text())
    assert collection["type"] == "FeatureCollection"
    (item,) = collection["features"]
    validate(item)
    names = [address.split("/")[3] for address in item["stac_extensions"]]
    assert names == ["mlm", "processing", "projection", "file"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda item: item["properties"].pop("mlm:architecture"), "mlm:architecture"),
        (lambda item: item["properties"].update({"processing:software": 3}), "not valid under any|not of type"),
        (lambda item: item["properties"].update({"proj:code": 3}), "not valid|not of type"),
        (lambda item: item["assets"]["probability"].update({"file:checksum": "ZZ"}), "does not match|not valid"),
        (lambda item: item["properties"].pop("datetime"), "datetime|not valid"),
        (lambda item: item["assets"]["model"].pop("mlm:artifact_type"), "mlm:artifact_type"),
    ],
)
def test_schemas_would_notice(mosaic, validate, change, words):
    (item,) = json.loads((mosaic.folder / "items.json").read_text())["features"]
    change(item)
    with pytest.raises(jsonschema.ValidationError, match=words):
        validate(item)


def test_items_say_what_the_map_says(mosaic):
    (item,) = json.loads((mosaic.folder / "items.json").read_text())["features"]
    properties, assets = item["properties"], item["assets"]
    assert item["id"] == "one map"
    assert properties["datetime"] == "2018-09-10T00:00:00Z"
    assert properties["mlm:name"] == "ensemble of run 1 and run 2"
    assert properties["mlm:architecture"] == "unet"
    parameters = sum(p.numel() for p in unet_bundle().network().parameters())
    assert properties["mlm:total_parameters"] == 2 * parameters
    first = properties["mlm:input"][0]
    assert first["bands"] == ["red", "green", "slope"]
    assert first["value_scaling"][2] == {"type": "z-score", "mean": 20.0, "stddev": 10.0}
    assert properties["mlm:hyperparameters"]["threshold"] == 0.5
    assert "run 1" in properties["processing:lineage"]
    assert [band["name"] for band in assets["probability"]["bands"]] == ["landslide probability", "entropy"]
    for key, asset in assets.items():
        file = mosaic.folder / unquote(asset["href"])
        assert file.is_file(), key
        if "file:checksum" in asset:
            assert asset["file:checksum"] == "1220" + sha256(file), key
    assert (mosaic.folder / unquote(assets["scene"]["href"])).resolve().parent.name == "the valley"
    with rasterio.open(mosaic.folder / unquote(assets["probability"]["href"])) as dataset:
        assert list(dataset.shape) == properties["proj:shape"]
        assert list(dataset.transform)[:6] == properties["proj:transform"]
        assert properties["proj:code"] == str(dataset.crs)
        middle = shapely.Point(*dataset.lnglat())
    assert shapely.geometry.shape(item["geometry"]).contains(middle)


def test_dates_and_the_date_line(tmp_path, validate, caplog):
    write_map(tmp_path / "maps/span", grid_at(32654, 500_000, 4_700_000), dates=("2018-09-12", "2018-09-10"))
    write_map(tmp_path / "maps/line", grid_at(32701, 166_000, 8_200_000, (400, 4000)))
    write_map(tmp_path / "maps/undated", grid_at(32654, 600_000, 4_700_000), dates=None)
    result = mosaic_maps([tmp_path / "maps"], tmp_path / "m")
    items = {item["id"]: item for item in json.loads((result.folder / "items.json").read_text())["features"]}
    assert set(items) == {"span", "line"}
    assert "1 map without a date (undated …) left out of items.json" in caplog.text
    assert items["span"]["properties"]["datetime"] is None
    assert items["span"]["properties"]["start_datetime"] == "2018-09-10T00:00:00Z"
    assert items["span"]["properties"]["end_datetime"] == "2018-09-12T23:59:59Z"
    west, _, east, _ = items["line"]["bbox"]
    assert west > 179 > -179 > east
    halves = shapely.geometry.shape(items["line"]["geometry"])
    assert len(halves.geoms) == 2
    assert halves.area < 1
    for item in items.values():
        validate(item)
        assert item["properties"]["mlm:architecture"] == "not recorded"
        assert item["assets"]["model"]["href"] == f"urn:sha256:{'a' * 64}"
