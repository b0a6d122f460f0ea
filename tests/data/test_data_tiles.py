"""Cutting: nothing is lost, nothing is doubled, nothing leaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslip.data.standardise import standardise, with_recipe
from landslip.data.tiles import cut_tiles
from landslip.data.tileset import Part, TileSet
from landslip.errors import ConfigError, FormatError, InputError, MissingInputError, SplitError

LAYERS = ("red", "slope")


def scene(rows=70, cols=90, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(2, rows, cols)).astype(np.float32)
    image[0, :9, :7] = np.nan
    label = (rng.random((rows, cols)) < 0.1).astype(np.uint8)
    label[-5:] = 255
    landslide = np.where(label == 1, 7, 0).astype(np.int32)
    part = np.full((rows, cols), Part.TRAIN, np.uint8)
    part[:, 40:60], part[:, 60:], part[30:34] = Part.VALIDATION, Part.TEST, Part.UNUSED
    block = (np.arange(cols) // 45 + np.zeros((rows, 1))).astype(np.int32)
    return image, label, landslide, part, block


def cut(size=32, **named) -> TileSet:
    return cut_tiles(LAYERS, *scene(), size=size, **named)


@given(st.integers(1, 100), st.integers(1, 100), st.sampled_from([32, 64]))
@settings(deadline=None, max_examples=20)
def test_every_counted_pixel_is_in_one_tile_of_its_part(rows, cols, size):
    image, label, landslide, part, block = scene(rows, cols)
    counted = np.isfinite(image).all(0) & (label != 255) & (part != 0)
    if not counted.any():
        return
    tiles = cut_tiles(LAYERS, image, label, landslide, part, block, size=size)
    seen = np.zeros((rows + size, cols + size), int)
    for tile, (row, col, value) in enumerate(zip(tiles.row, tiles.col, tiles.part, strict=True)):
        here = np.s_[row : row + size, col : col + size]
        mask = tiles.counted()[tile]
        seen[here] += mask
        inside = np.zeros(seen.shape, bool)
        inside[here] = mask
        place = inside[:rows, :cols]
        assert (part[place] == value).all()
        np.testing.assert_array_equal(tiles.image[tile][:, mask], image[:, place])
        np.testing.assert_array_equal(tiles.label[tile][mask], label[place])
    np.testing.assert_array_equal(seen[:rows, :cols], counted)


def test_tiles_shared_by_parts_show_nothing_of_the_other():
    tiles = cut()
    shared = [i for i in range(len(tiles)) if (tiles.row[i], tiles.col[i]) == (0, 32)]
    assert {int(tiles.part[i]) for i in shared} == {1, 2, 3}
    for i in shared:
        cols = {1: slice(0, 8), 2: slice(8, 28), 3: slice(28, 32)}[int(tiles.part[i])]
        outside = np.ones(32, bool)
        outside[cols] = False
        assert np.isnan(tiles.image[i][:, :, outside]).all()
        assert (tiles.label[i][:, outside] == 255).all()
        assert (tiles.landslide[i][:, outside] == 0).all()


def test_tiles_without_a_counted_pixel_are_left_out():
    image, label, landslide, part, block = scene()
    image[:, :32, :32] = np.nan
    label[:32, 64:] = 255
    tiles = cut_tiles(LAYERS, image, label, landslide, part, block, size=32)
    places = set(zip(tiles.row.tolist(), tiles.col.tolist(), strict=True))
    assert (0, 0) not in places
    assert (0, 64) not in places
    assert tiles.counted().any(axis=(1, 2)).all()


def test_keys_are_different_and_stay_when_other_tiles_go():
    tiles = cut()
    assert len(set(tiles.key.tolist())) == len(tiles)
    assert not set(tiles.key.tolist()) & set(cut(region=1).key.tolist())
    image, label, landslide, part, block = scene()
    part[:32] = Part.UNUSED
    fewer = cut_tiles(LAYERS, image, label, landslide, part, block, size=32)
    kept = tiles.subset(tiles.row >= 32)
    np.testing.assert_array_equal(fewer.key, kept.key)


def test_overlapping_tiles_start_every_stride():
    tiles = cut(stride=16)
    assert set(tiles.row.tolist()) <= set(range(0, 70, 16))
    assert len(tiles) > 2 * len(cut())


def test_block_is_that_of_most_counted_pixels():
    image, label, landslide, part, block = scene()
    tiles = cut_tiles(LAYERS, image, label, landslide, part, block, size=64)
    train = tiles.subset((tiles.part == 1) & (tiles.row == 0))
    test = tiles.subset((tiles.part == 3) & (tiles.col == 64))
    assert train.block.tolist() == [0]
    assert set(test.block.tolist()) == {1}


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"size": 100}, "tile size 100: must be a multiple of 32; choose 96"),
        ({"size": 0}, "tile size 0: must be a multiple of 32; choose 32"),
        ({"size": 32, "stride": 33}, "stride 33: must be from 1 to the tile size 32"),
    ],
)
def test_sizes_that_cannot_be_are_refused(named, message):
    with pytest.raises(ConfigError, match=message):
        cut_tiles(LAYERS, *scene(), **named)


def test_nothing_to_cut_and_unlike_shapes_are_refused():
    image, label, landslide, part, block = scene()
    with pytest.raises(InputError, match="no tile holds a pixel that is valid in all layers"):
        cut_tiles(LAYERS, image * np.nan, label, landslide, part, block, size=32)
    with pytest.raises(InputError, match=r"must be \(70, 90\) as the image, not \(70, 89\)"):
        cut_tiles(LAYERS, image, label[:, :-1], landslide, part, block, size=32)


def test_saved_tiles_come_back_and_bytes_repeat(tmp_path):
    tiles = with_recipe(cut())
    tiles.save(tmp_path / "a.npz")
    again = TileSet.load(tmp_path / "a.npz")
    for name in ("image", "label", "landslide", "part", "block", "row", "col", "region", "key"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tiles, name))
    assert again.recipe == tiles.recipe
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_files_that_are_no_tiles_are_refused(tmp_path):
    with pytest.raises(MissingInputError, match="no such file"):
        TileSet.load(tmp_path / "absent.npz")
    cut().save(tmp_path / "cut.npz")
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="not a tile set written by 'landslip prepare', or damaged"):
        TileSet.load(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(FormatError, match="not a tile set"):
        TileSet.load(tmp_path / "other.npz")


def test_statistics_come_from_training_tiles_alone_and_standardise_them():
    tiles = with_recipe(cut())
    training = tiles.of(Part.TRAIN)
    out = standardise(training.image, tiles.recipe)
    assert np.isfinite(out).all()
    for i in range(2):
        values = out[:, i][np.isfinite(training.image[:, i])]
        assert abs(values.mean()) < 1e-5
        assert abs(values.std() - 1) < 1e-5
    assert (out[np.isnan(training.image)] == 0).all()
    image, label, landslide, part, block = scene()
    image[:, part != Part.TRAIN] = 1e6
    poisoned = with_recipe(cut_tiles(LAYERS, image, label, landslide, part, block, size=32))
    assert poisoned.recipe == tiles.recipe


def test_statistics_need_training_tiles():
    tiles = cut()
    with pytest.raises(SplitError, match="no tile is for training"):
        with_recipe(tiles.subset(tiles.part != Part.TRAIN))
