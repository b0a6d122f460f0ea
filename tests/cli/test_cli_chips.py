"""``landslip prepare --chips``: a scene's tiles as GeoTIFFs for other programs, and for us again."""

import json

import numpy as np
import pytest
import rasterio

from helpers.maps import pixels_box, scene_layers, write_scene
from landslip.data import open_patches
from landslip.data.chip_list import CHIPS
from landslip.data.tileset import TileSet
from landslip.study.single import SingleConfig, prepare_tiles

WORDS = {1: "train", 2: "validation", 3: "test"}


@pytest.fixture
def run(landslip):
    return landslip


@pytest.fixture
def place(tmp_path):
    """A scene that ends within a tile, has a void and an unmapped corner, and landslides everywhere."""
    layers = scene_layers((120, 250), seed=3)
    layers["red"][:20, :20] = np.nan
    unknown = np.zeros((120, 250), bool)
    unknown[-9:, :40] = True
    slides = [pixels_box(row, col, 9, 9) for row in range(4, 110, 24) for col in range(4, 240, 24)]
    return write_scene(tmp_path / "valley", layers, landslides=slides, unknown=unknown)


def prepared(run, place, tmp_path, data="", layers="red,green,slope"):
    config = tmp_path / "p.toml"
    config.write_text(f"{data}\n[split]\ntile = 32\nblock_tiles = 1\nbuffer_px = 8\n")
    words = ("--out", tmp_path / "t.npz", "--chips", tmp_path / "chips", "--layers", layers)
    code, out, err = run("prepare", place.path, *words, "--config", config, "--json", "--quiet")
    assert (code, err) == (0, "")
    return json.loads(out), TileSet.load(tmp_path / "t.npz"), tmp_path / "chips"


def in_order(tiles: TileSet, names: tuple[str, ...]) -> TileSet:
    """The tiles in the order of the chips' names, which say where they lie."""
    own = [f"valley_r{r:05d}_c{c:05d}_{WORDS[p]}" for r, c, p in zip(tiles.row, tiles.col, tiles.part, strict=True)]
    return tiles.subset(np.array([own.index(name) for name in names]))


@pytest.mark.parametrize("data", ["", "[data]\nstride = 16"])
def test_chips_are_read_back_as_the_tiles_that_they_are(run, place, tmp_path, data):
    told, tiles, folder = prepared(run, place, tmp_path, data, "red,green,slope,red_obj")
    assert (told["chips"], told["train"]) == (str(folder), int((tiles.part == 1).sum()))
    patches = open_patches(folder)
    assert (patches.bands, len(patches), patches.scaling) == (tiles.layers, len(tiles), "reflectance")
    tiles = in_order(tiles, patches.names)
    np.testing.assert_array_equal(patches.image, tiles.image)
    np.testing.assert_array_equal(patches.label, tiles.label)
    assert patches.split.tolist() == [WORDS[part] for part in tiles.part]
    np.testing.assert_array_equal(patches.row, tiles.row // 32)
    np.testing.assert_array_equal(patches.col, tiles.col // 32)
    assert ((tiles.row % 32).any() or (tiles.col % 32).any()) == bool(data)
    listed = json.loads((folder / CHIPS).read_text())["chips"]
    blocks = {one["name"]: (one["block"], one["scene"]) for one in listed}
    assert [blocks[name] for name in patches.names] == [(block, "valley") for block in tiles.block]


def test_chips_lie_where_the_scene_has_these_pixels(run, place, tmp_path):
    _, _, folder = prepared(run, place, tmp_path)
    seen = 0
    with rasterio.open(place.path / "bands.tif") as scene:
        for path in sorted((folder / "images").iterdir()):
            with rasterio.open(path) as chip, rasterio.open(folder / "masks" / path.name) as mask:
                assert (chip.crs, mask.crs, mask.transform) == (scene.crs, scene.crs, chip.transform)
                assert chip.descriptions == ("red", "green", "slope")
                assert np.isnan(chip.nodata)
                assert (chip.compression.value, mask.nodata, mask.dtypes) == ("DEFLATE", 255, ("uint8",))
                row, col = np.nonzero(np.isfinite(chip.read(1)) & (mask.read(1) != 255))
                own = chip.read()[:, row, col].T
                there = list(scene.sample(zip(*chip.xy(row, col), strict=True), [1, 2, 4]))
                np.testing.assert_array_equal(own, there)
                seen += len(row)
    assert seen > 10_000


def test_a_training_on_chips_keeps_the_parts_that_they_came_with(run, place, tmp_path):
    _, tiles, folder = prepared(run, place, tmp_path, "[data]\nstride = 16")
    content = {"data": {"patches": str(folder)}, "split": {"design": "supplied"}, "train": {"layers": ["red", "slope"]}}
    again = prepare_tiles(SingleConfig.from_dict(content).tiles()).tiles
    tiles = in_order(tiles, open_patches(folder).names)
    np.testing.assert_array_equal(again.part, tiles.part)
    np.testing.assert_array_equal(again.image, tiles.select(("red", "slope")).image)


def test_chips_that_overlap_are_not_split_anew(run, place, tmp_path):
    _, _, folder = prepared(run, place, tmp_path, "[data]\nstride = 16")
    config = tmp_path / "c.toml"
    config.write_text(f'[data]\npatches = "{folder}"\n')
    code, _, err = run("train", config, "--out", tmp_path / "run", "--quiet")
    assert code == 1
    assert "the patches overlap, so parts drawn from them would share ground; keep the split" in err
    assert err.count("\n") == 1


def test_what_cannot_become_chips_is_told_at_once(run, place, tmp_path):
    _, _, folder = prepared(run, place, tmp_path)
    before = sorted(path.name for path in folder.rglob("*"))
    code, _, err = run("prepare", place.path, "--chips", folder, "--quiet")
    assert code == 1
    assert err.strip().endswith("chips: is there already, and chips are not mixed; give --chips a new folder")
    assert sorted(path.name for path in folder.rglob("*")) == before
    code, _, err = run("prepare", folder, "--chips", tmp_path / "new", "--quiet")
    assert code == 1
    assert "--chips needs a scene: patches do not say where on the ground they lie" in err
    code, _, err = run("prepare", place.path, "--out", tmp_path / "a.npz", "--chips", tmp_path / "a.npz", "--quiet")
    assert code == 2
    assert "--out and --chips cannot be the same; give two names" in " ".join(err.replace("│", " ").split())
    code, _, err = run("prepare", place.path, "--quiet")
    assert code == 2
    assert "give --out FILE.npz, --chips FOLDER, or both" in err


def test_an_interrupted_writing_leaves_nothing(run, place, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    config = tmp_path / "p.toml"
    config.write_text("[split]\ntile = 32\nblock_tiles = 1\nbuffer_px = 8\n")
    monkeypatch.setattr("landslip.data.chip_list.write_json", stop)
    code, _, _ = run("prepare", place.path, "--chips", tmp_path / "chips", "--layers", "red", "--config", config)
    assert code == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.toml", "valley"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("_test", "_tset"), "is not in it; take the chip out, or delete the list to do"),
        (
            lambda text: text.replace('"row"', '"raw"'),
            "chips.json: the list of chips is damaged; write the chips again",
        ),
        (lambda text: text[:99], "chips.json: not valid JSON"),
        (lambda text: text.replace('"format": 1', '"format": 9'), "chips.json: written in format 9, this version"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(run, place, tmp_path, change, message):
    _, _, folder = prepared(run, place, tmp_path)
    (folder / CHIPS).write_text(change((folder / CHIPS).read_text()))
    code, _, err = run("prepare", folder, "--out", tmp_path / "again.npz", "--quiet")
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
