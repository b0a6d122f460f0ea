"""The look at tiles before training: figures that are known, and each oddity planted by itself."""

from dataclasses import replace

import numpy as np
import pytest

from landslip.data.checkup import check_up
from landslip.data.tileset import Part, TileSet
from landslip.recipe import LayerStatistics, Recipe

N, SIZE = 12, 8
LAYERS = ("red", "slope")


def make() -> TileSet:
    """Four tiles for each part; an eighth of each tile landslide; nothing odd."""
    rng = np.random.default_rng(0)
    label = np.zeros((N, SIZE, SIZE), np.uint8)
    label[:, 0] = 1
    number = np.arange(1, N + 1, dtype=np.int32)
    image = np.stack([rng.uniform(0.05, 0.3, label.shape), rng.uniform(0, 40, label.shape)], axis=1)
    part = np.repeat([Part.TRAIN, Part.VALIDATION, Part.TEST], N // 3).astype(np.uint8)
    zero = np.zeros(N, np.int32)
    return TileSet(
        LAYERS, image.astype(np.float32), label, label.astype(np.int32) * number[:, None, None], part, zero,
        number, number, zero, number.astype(np.int64),
    )  # fmt: skip


def test_figures_are_those_of_the_tiles():
    tiles = make()
    tiles.image[0, 0, 1:3] = np.nan  # 16 pixels of training
    tiles.label[4, 4] = 255  # 8 of validation
    found = check_up(tiles)
    assert found.remarks == ()
    assert vars(found.parts["train"]) == {
        "tiles": 4, "tiles_with_landslide": 4, "pixels": 4 * 64 - 16, "prevalence": 32 / 240, "landslides": 4,
    }  # fmt: skip
    assert found.parts["validation"].pixels == 4 * 64 - 8
    assert found.layers["red"].invalid == pytest.approx(16 / (12 * 64 - 8))
    assert found.layers["slope"].invalid == 0
    assert 0 < found.layers["red"].outside["test"] < 0.1
    low, median, high = np.percentile(tiles.image[:4, 1], (1, 50, 99))
    slope = found.layers["slope"]
    assert (slope.low, slope.median, slope.high) == pytest.approx((low, median, high))
    assert "nothing odd was found" in found.text()


def no_test(tiles: TileSet) -> TileSet:
    return tiles.subset(tiles.part != Part.TEST)


def no_landslide(tiles: TileSet) -> TileSet:
    tiles.label[tiles.part == Part.VALIDATION] = 0
    return tiles


def rare(tiles: TileSet) -> TileSet:
    tiles.label[tiles.part == Part.TEST, 0, :6] = 0
    return tiles


def constant(tiles: TileSet) -> TileSet:
    tiles.image[:, 1] = 7
    return tiles


def void(tiles: TileSet) -> TileSet:
    tiles.image[:, 1, 2:] = np.nan
    return tiles


def nothing(tiles: TileSet) -> TileSet:
    tiles.image[tiles.part == Part.TRAIN, 0] = np.nan
    return tiles


def numbers(tiles: TileSet) -> TileSet:
    tiles.image[:, 0] *= 10_000
    return tiles


def elsewhere(tiles: TileSet) -> TileSet:
    tiles.image[tiles.part == Part.TEST, 1] += 30
    return tiles


def copies(tiles: TileSet) -> TileSet:
    tiles.image[8:10] = tiles.image[:2]
    return tiles


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_test, "test: no tile; look at the split"),
        (no_landslide, "validation: not one landslide pixel"),
        (rare, "train has 4.0 times the share of landslide of test"),
        (constant, "layer 'slope': the same value (7) nearly everywhere in training"),
        (void, "layer 'slope': 75% invalid"),
        (nothing, "layer 'red': not one valid training pixel; leave it out"),
        (numbers, "layer 'red': reaches 29"),
        (elsewhere, "% of test lies outside the range of training"),
        (copies, "2 tiles of test occur in train too, pixel by pixel"),
    ],
)
def test_each_oddity_is_remarked_on(change, says):
    tiles = make()
    changed = change(replace(tiles, image=tiles.image.copy(), label=tiles.label.copy()))
    remarks = check_up(changed).remarks
    assert any(says in remark for remark in remarks), remarks
    assert all("\n" not in remark for remark in remarks)
    assert says in check_up(changed).text()


def test_copies_within_a_part_and_of_other_layers_are_none():
    tiles = make()
    tiles.image[1] = tiles.image[0]
    tiles.image[8, 0] = tiles.image[0, 0]
    assert check_up(tiles).remarks == ()


def test_layers_that_a_training_matches_are_looked_at_as_it_sees_them():
    """A part under another sun lies outside the range of training, but not once its images are matched."""
    tiles = make()
    low = {name: LayerStatistics(mean=0.175, std=0.07, low=0.05, high=0.3) for name in LAYERS}
    tiles = replace(tiles, recipe=Recipe(layers=LAYERS, statistics=low))
    tiles.image[tiles.part == Part.TEST, 0] = 3 * tiles.image[tiles.part == Part.TEST, 0] + 0.2
    before = tiles.image.copy()
    plain, matched = check_up(tiles), check_up(tiles, matched=("red",))
    assert plain.layers["red"].outside["test"] > 0.9
    assert any("'red'" in remark and "of test lies outside" in remark for remark in plain.remarks)
    assert matched.layers["red"].outside["test"] < 0.1
    assert matched.remarks == ()
    assert matched.layers["slope"] == plain.layers["slope"]
    assert (matched.layers["red"].low, matched.layers["red"].high) == (
        plain.layers["red"].low,
        plain.layers["red"].high,
    )
    assert np.array_equal(tiles.image, before)
