"""The page and the picture, looked at: in a headless browser, and by their pixels."""

import json
import re
import subprocess

import numpy as np
import pytest
import shapely
from matplotlib.image import imread

from helpers.browser import CHROMIUM, CONTRAST, Browser
from helpers.maps import Pixelwise, pixels_box, write_scene
from landslip.mapping.config import MapConfig
from landslip.mapping.probability.network import Member
from landslip.mapping.run import map_scene
from landslip.mapping.show.page import outlines_as_numbers
from landslip.mapping.show.picture import image_picture, picture_shape, probability_picture, unmapped_picture
from landslip.mapping.show.style import CONFIDENCE_COLOURS, rgb
from landslip.recipe import LayerStatistics, Recipe

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser, Debian package chromium")
STATISTICS = {"red": LayerStatistics(mean=0.5, std=0.1, low=0, high=1)}
SHAPE = (120, 200)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Grey ground; one landslide of high and one of low confidence; the right edge without image."""
    folder = tmp_path_factory.mktemp("page")
    red = np.full(SHAPE, 0.1, np.float32)
    red[20:50, 60:120] = 0.9
    red[70:100, 70:90] = 0.52
    red[:, 190:] = np.nan
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    layers = {"red": red, "green": red, "blue": red, "elevation": 900 - 5.0 * row + 0.1 * col}
    layers["slope"] = np.full(SHAPE, 26.6, np.float32)
    valid = {"image": np.isfinite(red)}
    scene = write_scene(folder / "scene", layers, valid=valid)
    model = Member("run", Pixelwise(), Recipe(layers=("red",), statistics=STATISTICS), 0.5, "x")
    config = MapConfig.from_dict({"predict": {"tile": 32, "overlap": 0, "device": "cpu", "precision": "float32"}})
    return map_scene(model, scene, folder / "out", config)


def browse(*arguments):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1360,640",
               "--force-device-scale-factor=1", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=3000",
               *arguments]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def screenshot(page, tmp_path, fragment=""):
    with Browser() as browser:
        browser.open(page.folder / "map.html", width=1360, height=640, fragment=fragment)
        return read_png(browser.screenshot(tmp_path / "shot.png", whole=False))


def read_png(path):
    return (imread(path)[..., :3] * 255).round().astype(int)


def near(pixels, colour, tolerance=12):
    return (np.abs(pixels - np.array(rgb(colour))) <= tolerance).all(axis=-1)


def test_the_page_asks_the_network_for_nothing(page):
    text = (page.folder / "map.html").read_text()
    assert "{{" not in text
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']|url\(|@import|fetch\(|XMLHttpRequest|https?://", text)
    assert text.count("data:image/") == 3  # image, probability, unmapped


def test_the_page_holds_the_attributes_of_the_file(page):
    import geopandas

    text = (page.folder / "map.html").read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL).group(1))
    frame = geopandas.read_file(page.folder / "landslides.gpkg", layer="landslides")
    assert data["columns"]["area_m2"] == frame["area_m2"].tolist() == [180_000, 60_000]
    assert data["columns"]["confidence"] == ["high", "low"]
    assert [field["name"] for field in data["fields"]] == [name for name in frame.columns if name != "geometry"]
    assert data["grid"]["lon"][0] == pytest.approx(141.0, abs=0.01)


@needs_browser
def test_the_browser_draws_image_and_landslides_where_they_are(page, tmp_path):
    pixels = screenshot(page, tmp_path)
    high, low = near(pixels, CONFIDENCE_COLOURS["high"]), near(pixels, CONFIDENCE_COLOURS["low"])
    map_part = np.s_[60:, 190:940]  # beside the controls
    rows, cols = np.nonzero(high[map_part])
    # 200 x 120 scene pixels fill the map of 1000 x 595 but for a margin; the landslide has 60 x 30 of them
    scale = np.ptp(cols) / 60
    assert scale == pytest.approx(0.97 * 595 / 120, rel=0.03)
    assert np.ptp(rows) == pytest.approx(30 * scale, abs=6)
    low_rows, low_cols = np.nonzero(low[map_part])
    assert low_cols.min() - cols.min() == pytest.approx(10 * scale, abs=6)
    assert low_rows.min() - rows.min() == pytest.approx(50 * scale, abs=6)
    # white slide, darker ground, hatching where there is no image: the picture is there as well
    assert len(np.unique(pixels[300:330, 100:900].reshape(-1, 3), axis=0)) > 2


@needs_browser
def test_a_landslide_named_in_the_address_is_opened(page, tmp_path):
    text = browse("--dump-dom", f"{(page.folder / 'map.html').as_uri()}#2")
    body = re.search(r"<body[^>]*>", text).group(0)
    assert 'data-selected="2"' in body
    side = text[text.index('id="one"') : text.index('id="choose"')]
    for words in ("No. 2", "low confidence", "60,000 m²", "26.6°", "181°", "volume, range"):
        assert words in side
    assert "2 landslides" in text
    pixels = screenshot(page, tmp_path, "#2")
    assert near(pixels[60:, :1000], "#00e5ff").sum() > 300  # its outline and the way from crown to toe


@needs_browser
def test_the_page_follows_the_readers_theme_and_can_be_read_in_both(page):
    ground = "getComputedStyle(document.querySelector('aside')).backgroundColor"
    found = {}
    with Browser() as browser:
        for media, scheme in (("", "light"), ("", "dark"), ("print", "dark")):
            browser.open(page.folder / "map.html", scheme=scheme, media=media)
            found[media or scheme] = browser.run(ground)
            browser.run("select(0)")
            assert browser.run(CONTRAST) == []
            assert browser.problems() == []
    assert found["light"] == found["print"] == "rgb(255, 255, 255)"
    assert found["dark"] == "rgb(27, 32, 38)"


@needs_browser
def test_without_landslides_the_page_says_so(tmp_path, make_scene):
    from helpers.maps import Constant, member

    config = MapConfig.from_dict({"predict": {"tile": 32, "overlap": 0, "device": "cpu", "precision": "float32"}})
    result = map_scene(member(Constant(-3.0)), make_scene((64, 64)), tmp_path / "out", config)
    text = browse("--dump-dom", (result.folder / "map.html").as_uri())
    assert "No landslide was mapped." in text
    assert 'data-drawn="0"' in text


@needs_browser
def test_a_small_screen_shows_the_map_before_the_layers(page):
    with Browser() as browser:
        for width, unfolded in ((360, False), (1280, True)):
            browser.open(page.folder / "map.html", width=width, mobile=width < 500)
            assert browser.run("document.getElementById('layers').open") is unfolded
            assert browser.run("document.documentElement.scrollWidth") == width


def test_a_simulated_event_is_called_so_before_anything_else(tmp_path, make_scene):
    from helpers.maps import Constant, member

    scene = make_scene((64, 64))
    scene.info["simulated"] = True
    config = MapConfig.from_dict({"predict": {"tile": 32, "overlap": 0, "device": "cpu", "precision": "float32"}})
    result = map_scene(member(Constant(-3.0)), scene, tmp_path / "out", config)
    text = (result.folder / "map.html").read_text()
    assert '"summary":[["simulated","event"],' in text.replace(", ", ",").replace(": ", ":")


def test_quicklook_shows_the_outlines_in_their_colours(page):
    pixels = read_png(page.folder / "quicklook.png")
    for colour in ("high", "low"):
        found = np.argwhere(near(pixels, CONFIDENCE_COLOURS[colour], 30))
        assert len(found) > 400
    assert pixels.shape[1] == 1500


def test_outlines_become_numbers_and_back(make_scene):
    scene = make_scene((40, 40))
    shape = shapely.difference(pixels_box(3, 4, 10, 12), pixels_box(5, 6, 2, 2))
    rings = outlines_as_numbers(np.array([shape]), scene.grid)[0]
    outer = np.cumsum(np.array(rings[0]).reshape(-1, 2), axis=0) / 10
    assert sorted(map(tuple, outer.tolist())) == [(4, 3), (4, 13), (16, 3), (16, 13)]
    hole = np.cumsum(np.array(rings[1]).reshape(-1, 2), axis=0) / 10
    assert hole.min(axis=0).tolist() == [6, 5]


def test_pictures_keep_the_shape_and_fall_back_to_grey(make_scene):
    assert picture_shape((4000, 2000), 1000) == (1000, 500)
    assert picture_shape((40, 20), 1000) == (40, 20)
    scene = make_scene((40, 50))  # no blue band
    picture = image_picture(scene)
    assert picture.shape == (3, 40, 50)
    assert (picture[0] == picture[1]).all()
    assert image_picture(scene, prefix="pre_") is None


def test_overlays_are_clear_where_there_is_nothing_to_show(page):
    colours = probability_picture(page.probability)
    assert colours[3, 5, 5] < 60
    assert colours[3, 30, 80] > 200
    assert colours[3, 5, 195] == 0
    hatch = unmapped_picture(page.probability)
    assert (hatch[3, :, 190:] > 0).all()
    assert not hatch[3, :, :190].any()
