"""Fetching against a real server on loopback: the right choice, only the bytes needed, and every mishap."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import shutil
import socket
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from typer.testing import CliRunner

from helpers.archive import EVENT, TILE, Archive, area_in_degrees, serving
from landslip.errors import ConfigError, CoverageError, InputError, LandslipError, MissingInputError, RemoteError
from landslip.files.web import Http, Patience
from landslip.grid import Grid
from landslip.scene.fetch import INPUTS, FetchConfig, fetch_scene, read_plan
from landslip.scene.fetch import cog as fetch_cog
from landslip.scene.fetch.jobs import file_name, https_of
from landslip.scene.fetch.search import search_items
from landslip.windows import Window

QUICK = Http(Patience(tries=4, wait_s=0.01, longest_wait_s=0.05, timeout_s=5))
DAY = dt.timedelta(days=1)
PART = Window(60, 552, 240, 180)
"""The area within the granule, in pixels: multiples of 6, so that windows need no rounding."""

AREA = area_in_degrees(TILE.crop(PART), shrink=25)


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The files of :func:`fill`, written once."""
    folder = tmp_path_factory.mktemp("stock")
    with serving(folder) as served:
        _write(served)
        items = json.dumps(served.items).replace(served.address, "ADDRESS")
    return folder, items


@pytest.fixture
def archive(tmp_path):
    """An empty archive of the test's own."""
    with serving(tmp_path / "served") as served:
        yield served


@pytest.fixture
def filled(archive, stock):
    """An archive with two images after the event, one before, and two elevation tiles."""
    shutil.copytree(stock[0], archive.folder)
    archive.items = json.loads(stock[1].replace("ADDRESS", archive.address))
    return archive


def half_cloudy() -> np.ndarray:
    """Clouds over the area, though little of the granule."""
    mask = np.zeros((600, 600), bool)
    mask[20:165, 265:385] = True
    return mask


def _write(archive: Archive) -> None:
    # the catalogue prefers the first image after the event, which hides the area
    archive.add_image(EVENT + 9 * DAY, cloud_said=3.0, cloudy=half_cloudy(), seed=1)
    archive.add_image(EVENT + 20 * DAY, cloud_said=30.0, seed=2)
    archive.add_image(EVENT - 12 * DAY, cloud_said=1.0, seed=3)
    west, _, east, north = area_in_degrees()
    middle = (west + east) / 2
    cells = int((middle - (west - 0.05)) * 3600)
    archive.add_dem(middle - cells / 3600, north + 0.05, size=cells)
    archive.add_dem(middle, north + 0.05, size=cells)


def config(archive: Archive, **changes) -> FetchConfig:
    return FetchConfig(**({"event": EVENT, "bbox": AREA, "stac": archive.stac} | changes))


def fetch(archive: Archive, out: Path, **changes):
    return fetch_scene(config(archive, **changes), out, http=QUICK)


def part_of(grid: Grid) -> Window:
    """The granule's pixels that a scene shows."""
    col, row = ~TILE.transform * (grid.transform.c, grid.transform.f)
    return Window(round(row), round(col), *grid.shape)


def served(archive: Archive, item: int, band: str) -> np.ndarray:
    with rasterio.open(archive.folder / archive.items[item]["id"] / f"{band}.tif") as dataset:
        return dataset.read(1)


def test_a_scene_is_found_fetched_and_built(filled, tmp_path):
    scene = fetch(filled, tmp_path / "scene")
    part = part_of(scene.grid)
    assert part.intersection(PART) == PART
    assert max(part.rows - PART.rows, part.cols - PART.cols) <= 18  # what the box in degrees grows, and whole squares
    assert part.row % 6 == part.col % 6 == part.rows % 6 == part.cols % 6 == 0
    assert set(scene.layers) >= {"blue", "green", "red", "nir", "elevation", "slope", "pre_red", "pre_nir"}
    # the catalogue's clearest hides the area; the other is chosen, and its pixels are there
    expected = served(filled, 1, "red")[part.slices] / 10_000
    np.testing.assert_allclose(scene.read(["red"])[0], expected, atol=1e-6)
    np.testing.assert_allclose(scene.read(["pre_nir"])[0], served(filled, 2, "nir")[part.slices] / 10_000, atol=1e-6)
    assert scene.dates == {"post": ["2018-09-26"], "pre": ["2018-08-25"]}
    plan = read_plan(tmp_path / "scene")
    assert plan["post"]["clear"] == 1.0
    assert [found["clear"] for found in plan["post"]["considered"]] == [0.0, 1.0]
    # both elevation tiles meet inside the scene, without a seam or hole
    slope = scene.read(["slope"])[0]
    assert np.isfinite(slope).all()
    assert len(scene.info["elevation"]["models"]) == 2
    assert not (tmp_path / "scene" / INPUTS / ".partial").exists()


def test_only_the_windows_are_read(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_cog, "BLOCK_BYTES", 16 << 10)
    fetch(filled, tmp_path / "scene", pre=False)
    whole = sum(
        (filled.folder / filled.items[1]["id"] / f"{band}.tif").stat().st_size
        for band in ("blue", "green", "red", "nir")
    )
    assert filled.sent < 0.5 * whole
    assert not any("thumbnail" in request or ".jpg" in request for request in filled.requests)


def test_fetched_again_it_is_the_same_and_asks_for_nothing(filled, tmp_path):
    first = fetch(filled, tmp_path / "scene")
    pixels = first.read(first.layers)
    asked = len(filled.requests)
    again = fetch(filled, tmp_path / "scene")
    np.testing.assert_array_equal(again.read(again.layers), pixels)
    assert [r for r in filled.requests[asked:] if "/files/" in r] == []


def test_other_settings_choose_anew(filled, tmp_path):
    fetch(filled, tmp_path / "scene")
    scene = fetch(filled, tmp_path / "scene", days=80, pre=False)
    assert scene.dates == {"post": ["2018-09-26"]}
    assert "pre_red" not in scene.layers
    assert not (tmp_path / "scene" / INPUTS / "pre").exists()


def test_a_stumbling_server_is_borne(filled, tmp_path):
    plain = fetch(filled, tmp_path / "plain")
    faults = ["cut", 503, None, 429, None, None, 500, None]
    asked: Counter[str] = Counter()

    def fault(number, path):  # by path, so that no file meets more faults in a row than there are tries
        asked[path] += 1
        return faults[asked[path] % len(faults)]

    filled.fault = fault
    stumbled = fetch(filled, tmp_path / "stumbled")
    np.testing.assert_array_equal(stumbled.read(stumbled.layers), plain.read(plain.layers))


@pytest.mark.parametrize("after", [2, 8, 14])
def test_a_server_that_fails_half_way_loses_nothing(filled, tmp_path, monkeypatch, after):
    monkeypatch.setattr(fetch_cog, "BLOCK_BYTES", 16 << 10)
    monkeypatch.setattr(fetch_cog, "_LARGEST_REQUEST", 4)
    whole = fetch(filled, tmp_path / "whole")
    undisturbed = len(filled.requests)
    filled.requests.clear()
    filled.fault = lambda number, path: "cut" if number > after and number % 2 else (503 if number > after else None)
    with pytest.raises(RemoteError, match=r"cannot be fetched .* after 4 attempts") as caught:
        fetch(filled, tmp_path / "scene")
    assert "run the same command again: what is here is kept" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scene" / "scene.json").exists()
    filled.requests.clear()
    filled.fault = lambda number, path: None
    scene = fetch(filled, tmp_path / "scene")
    assert len(filled.requests) < undisturbed
    np.testing.assert_array_equal(scene.read(scene.layers), whole.read(whole.layers))
    for name in ("bands.tif", "valid.tif", "scene.json"):
        assert (tmp_path / "scene" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_blocks_that_are_here_are_not_fetched_again(filled, tmp_path):
    item = filled.items[1]
    url = item["assets"]["red"]["href"]
    kept = tmp_path / "kept"
    with fetch_cog.RemoteFile(QUICK, url, kept, what="red").open() as remote:
        remote.seek(0)
        content = remote.read()
    assert content == (filled.folder / item["id"] / "red.tif").read_bytes()
    asked = len(filled.requests)
    with fetch_cog.RemoteFile(QUICK, url, kept, what="red").open() as remote:
        assert remote.read() == content
    assert len(filled.requests) == asked
    for record in kept.glob("*.json"):  # an interruption in the middle of writing the record
        record.write_text(record.read_text()[:20])
    with fetch_cog.RemoteFile(QUICK, url, kept, what="red").open() as remote:
        assert remote.read() == content


def test_a_server_without_ranges_gives_the_whole(filled, tmp_path):
    plain = fetch(filled, tmp_path / "plain")
    filled.fault = lambda number, path: "whole" if "/files/" in path else None
    other = fetch(filled, tmp_path / "other")
    np.testing.assert_array_equal(other.read(other.layers), plain.read(plain.layers))


@pytest.mark.parametrize("get_pages", [False, True])
def test_pages_of_the_catalogue_are_all_read(archive, get_pages):
    archive.page, archive.get_pages = 2, get_pages
    for days in range(1, 8):
        archive.add_image(EVENT + days * DAY, cloud_said=1.0, grid=Grid((24, 24), TILE.transform, TILE.crs))
    period = (str(EVENT), str(EVENT + 30 * DAY))
    items = search_items(QUICK, archive.stac, "sentinel-2-l2a", area_in_degrees(), period=period)
    assert len({item["id"] for item in items}) == len(items) == 7
    assert len(archive.requests) == 4


def test_a_catalogue_that_repeats_a_page_ends(archive):
    archive.page = 1
    archive.add_image(EVENT + DAY, cloud_said=1.0, grid=Grid((24, 24), TILE.transform, TILE.crs))
    page = archive.search({"bbox": area_in_degrees(), "collections": ["sentinel-2-l2a"]})
    page["links"] = [{"rel": "next", "href": f"{archive.stac}/search", "method": "POST", "body": {"token": 0}}]
    archive.search = lambda query: page
    assert len(search_items(QUICK, archive.stac, "sentinel-2-l2a", area_in_degrees())) == 1


def test_two_granules_of_one_pass_make_one_scene(filled, tmp_path):
    filled.items[:3] = []
    right = Grid((1200, 600), TILE.transform * TILE.transform.translation(600, 0), TILE.crs)
    filled.add_image(EVENT + 5 * DAY, cloud_said=2.0, grid=Grid((1200, 600), TILE.transform, TILE.crs), name="L")
    filled.add_image(EVENT + 5 * DAY, cloud_said=2.0, grid=right, name="R")
    area = area_in_degrees(TILE.crop(Window(300, 480, 240, 240)), shrink=25)
    scene = fetch(filled, tmp_path / "scene", bbox=area, pre=False)
    part = part_of(scene.grid)
    assert part.col < 600 < part.col + part.cols
    assert scene.info["validity"]["image"] == 1.0
    assert len(read_plan(tmp_path / "scene")["post"]["items"]) == 2


def test_an_area_from_a_file_with_an_inventory(filled, tmp_path):
    slides = geopandas.GeoDataFrame(geometry=[shapely.box(606_000, 4_737_500, 606_400, 4_737_900)], crs=TILE.crs)
    slides.to_file(tmp_path / "slides.gpkg")
    area = geopandas.GeoDataFrame(geometry=[shapely.box(*AREA)], crs=4326)
    area.to_file(tmp_path / "area.geojson")
    scene = fetch(
        filled,
        tmp_path / "scene",
        bbox=None,
        aoi=str(tmp_path / "area.geojson"),
        inventory=str(tmp_path / "slides.gpkg"),
    )
    labels = scene.labels()
    assert (labels == 1).sum() == 1600
    assert (labels == 255).any()


def test_elevation_that_is_here_is_not_fetched(filled, tmp_path):
    dem = next(filled.folder.glob("dem/*.tif"))
    fetch(filled, tmp_path / "scene", dem=(str(dem),), pre=False, allow_partial_dem=True)
    assert not any("/dem/" in request for request in filled.requests)


def no_image(archive: Archive) -> None:
    archive.items = [item for item in archive.items if item["collection"] != "sentinel-2-l2a"]


def all_cloudy(archive: Archive) -> None:
    for item in archive.items[:2]:
        item["properties"]["eo:cloud_cover"] = 95.0


def area_hidden(archive: Archive) -> None:
    archive.items[1:2] = []


def no_dem(archive: Archive) -> None:
    archive.items = [item for item in archive.items if item["collection"] != "cop-dem-glo-30"]


def dem_without_raster(archive: Archive) -> None:
    for item in archive.items:
        if item["collection"] == "cop-dem-glo-30":
            item["assets"] = {"readme": {"href": f"{archive.address}/readme.txt", "type": "text/plain"}}


def band_missing(archive: Archive) -> None:
    del archive.items[1]["assets"]["red"]


def wrong_size(archive: Archive) -> None:
    archive.items[1]["assets"]["red"]["file:size"] += 1


def file_gone(archive: Archive) -> None:
    (archive.folder / archive.items[1]["id"] / "red.tif").unlink()


def no_raster(archive: Archive) -> None:
    path = archive.folder / archive.items[1]["id"] / "red.tif"
    path.write_bytes(b"\x00\x01" * 5000)
    archive.items[1]["assets"]["red"]["file:size"] = 10_000


def cut_off(archive: Archive) -> None:
    path = archive.folder / archive.items[1]["id"] / "red.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    archive.items[1]["assets"]["red"]["file:size"] = path.stat().st_size


def on_this_machine(archive: Archive) -> None:
    archive.items[1]["assets"]["red"]["href"] = "file:///etc/hostname"


def faulty(kind: int | str, where: str):
    def change(archive: Archive) -> None:
        archive.fault = lambda number, path: kind if where in path else None

    return change


def changes(archive: Archive) -> None:
    seen = itertools.count()  # of this file alone: the number of a request depends on what else is fetched meanwhile
    archive.fault = lambda number, path: "changed" if "red.tif" in path and next(seen) % 2 else None


def other_json(archive: Archive) -> None:
    archive.search = lambda query: {"message": "hello"}


def no_object(archive: Archive) -> None:
    archive.search = lambda query: [1, 2]


MISHAPS = {
    "no image": (no_image, CoverageError, r"0 images of sentinel-2-l2a after the event \(2018-09-07 to 2018-12-05\)"),
    "all cloudy": (all_cloudy, CoverageError, "2 images .* none with at most 80 % cloud; give more --days"),
    "area hidden": (area_hidden, CoverageError, r"\(2018-09-15\) shows 0 % of the area; give more --days"),
    "no elevation": (no_dem, CoverageError, "no elevation tile of cop-dem-glo-30.*--dem"),
    "elevation without raster": (dem_without_raster, InputError, "no GeoTIFF among its assets.*--dem"),
    "band missing": (band_missing, InputError, "no asset for band"),
    "size": (wrong_size, RemoteError, "the catalogue says .* it is damaged or was replaced"),
    "gone": (file_gone, RemoteError, r"red\.tif: the server answers 404 .*there is nothing under this address"),
    "garbage": (no_raster, RemoteError, r"red\.tif: not a readable raster, or damaged"),
    "cut off": (cut_off, RemoteError, r"red\.tif: not a readable raster, or damaged"),
    "local address": (on_this_machine, RemoteError, "only http and https addresses are fetched"),
    "login page as catalogue": (faulty("html", "/search"), RemoteError, "answers with an HTML page where a page of"),
    "login page as pixels": (faulty("html", "red.tif"), RemoteError, r"red\.tif: .*HTML page where red of"),
    "forbidden": (faulty(403, "red.tif"), RemoteError, "answers 403 .*wants a login"),
    "catalogue forbids": (faulty(401, "/search"), RemoteError, "answers 401 .*give another address"),
    "catalogue not found": (faulty(404, "/search"), RemoteError, "answers 404"),
    "catalogue down": (faulty(503, "/search"), RemoteError, "after 4 attempts.*check the network and whether 127"),
    "short ranges": (faulty("short", "red.tif"), RemoteError, "bytes were asked for|were asked for, the server gave"),
    "changes": (changes, RemoteError, "changed while it was read|not a readable raster"),
    "no catalogue": (other_json, RemoteError, "not the answer of a STAC search"),
    "no object": (no_object, RemoteError, "no JSON object"),
}


@pytest.mark.parametrize("name", MISHAPS)
def test_mishaps_are_told_in_one_line(filled, tmp_path, monkeypatch, name):
    monkeypatch.setattr(fetch_cog, "BLOCK_BYTES", 16 << 10)
    monkeypatch.setattr(fetch_cog, "_LARGEST_REQUEST", 4)
    change, kind, says = MISHAPS[name]
    change(filled)
    with pytest.raises(kind, match=says) as caught:
        fetch(filled, tmp_path / "scene", pre=False)
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scene" / "scene.json").exists()


def test_offline_says_so(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = FetchConfig(event=EVENT, bbox=AREA, stac=f"http://127.0.0.1:{port}/v1")
    with pytest.raises(RemoteError, match=r"after 4 attempts: .*refused; check the network") as caught:
        fetch_scene(settings, tmp_path / "scene", http=QUICK)
    assert "\n" not in str(caught.value)


def test_a_silent_server_is_given_up(tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        hurried = Http(Patience(tries=2, wait_s=0.01, timeout_s=0.2))
        settings = FetchConfig(event=EVENT, bbox=AREA, stac=f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")
        with pytest.raises(RemoteError, match="after 2 attempts: timed out"):
            fetch_scene(settings, tmp_path / "scene", http=hurried)


def test_a_cloudy_choice_is_warned_of(filled, tmp_path, caplog):
    mask = half_cloudy()
    mask[20:100] = False
    filled.items[:2] = []
    filled.add_image(EVENT + 3 * DAY, cloud_said=5.0, cloudy=mask, seed=7)
    with caplog.at_level("WARNING", "landslip"):
        fetch(filled, tmp_path / "scene", pre=False)
    assert "clearest image after the event (2018-09-09) shows" in caplog.text


def test_without_a_classification_the_catalogue_is_believed(filled, tmp_path):
    for item in filled.items[:2]:
        del item["assets"]["scl"]
    fetch(filled, tmp_path / "scene", pre=False)
    plan = read_plan(tmp_path / "scene")["post"]
    assert plan["date"] == "2018-09-15"
    assert plan["clear"] == pytest.approx(0.97, abs=0.001)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "either as bbox or as aoi"),
        ({"bbox": AREA, "aoi": "a.gpkg"}, "either as bbox or as aoi"),
        ({"bbox": (142.0, 42.0, 141.0, 43.0)}, "west 142 must be less than east 141"),
        ({"bbox": (42.0, 141.0, 43.0, 142.0)}, "latitude within 90"),
        ({"bbox": (130.0, 30.0, 145.0, 45.0)}, "a scene may have 400 km"),
        ({"bbox": AREA, "days": 0}, "days"),
        ({"bbox": AREA, "stac": "earth-search"}, "no address"),
        ({"bbox": AREA, "event": "yesterday"}, "event"),
        ({"bbox": AREA, "cloud": 3}, "did you mean 'max_cloud'|unknown key 'cloud'"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(ConfigError, match=says) as caught:
        FetchConfig.from_dict({"event": "2018-09-06", **settings}, where="options")
    assert "\n" not in str(caught.value)


def test_areas_that_cannot_be(tmp_path):
    with pytest.raises(MissingInputError, match="no such file"):
        FetchConfig(event=EVENT, aoi=str(tmp_path / "none.gpkg")).area()
    points = tmp_path / "points.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.Point(142, 42)], crs=4326).to_file(points)
    with pytest.raises(InputError, match="1 of 1 feature is a point, and the area of interest must be areas"):
        FetchConfig(event=EVENT, aoi=str(points)).area()
    huge = tmp_path / "huge.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.box(120, 20, 150, 50)], crs=4326).to_file(huge)
    with pytest.raises(InputError, match=r"huge\.geojson: .*a scene may have 400 km"):
        FetchConfig(event=EVENT, aoi=str(huge)).area()


def test_names_and_addresses_of_catalogues_are_made_safe():
    assert https_of("s3://copernicus-dem-30m/a/b.tif") == "https://copernicus-dem-30m.s3.amazonaws.com/a/b.tif"
    assert https_of("https://host/b.tif") == "https://host/b.tif"
    assert file_name("../../etc/passwd") == "_.._etc_passwd"
    assert file_name("..") == "unnamed"


def test_the_command_fetches_and_tells_what_it_chose(filled, tmp_path, monkeypatch):
    from landslip.cli.app import app
    from landslip.cli.fetch import command
    from landslip.scene.fetch import fetch as room

    monkeypatch.setattr(room, "Http", lambda: QUICK)
    if not any(found.name == "fetch" for found in app.registered_commands):
        app.command(name="fetch")(command)
    box = ",".join(f"{value:.6f}" for value in AREA)
    words = ["fetch", "--event", str(EVENT), "--stac", filled.stac, "--quiet", "--json"]
    done = CliRunner().invoke(app, [*words, "--bbox", box, "--out", str(tmp_path / "scene")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["chosen"]["post"]["date"] == "2018-09-26"
    assert told["rows"] == scene_rows(tmp_path / "scene")
    filled.fault = lambda number, path: "html"
    failed = CliRunner().invoke(app, [*words, "--bbox", box, "--out", str(tmp_path / "other")])
    assert failed.exit_code == 1
    assert "answers with an HTML page" in failed.stderr
    assert failed.stderr.count("\n") == 1


def scene_rows(path: Path) -> int:
    with rasterio.open(path / "bands.tif") as dataset:
        return dataset.height
