import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from landslip.data.tileset import Part
from landslip.errors import ConfigError, FormatError, SplitError
from landslip.splits import (
    PART_NAMES,
    SPLIT,
    TEST,
    TRAIN,
    UNUSED,
    VALIDATION,
    SplitConfig,
    check_parts,
    load_part,
    save_splits,
    split_patches,
    split_scene,
)

PATCHES = Path("../shared/data/l4s_rgb/patches.npz")
SIDES = ("east", "west", "north", "south")


def gap(part, one, other):
    """Chessboard distance between two parts."""
    away = ndimage.distance_transform_cdt(part != one, metric="chessboard")
    return int(away[part == other].min())


def ragged(rows=400, cols=600, seed=0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 30)
    usable = smooth > np.quantile(smooth, 0.15)
    landslide = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 4) > 0.12
    return usable, landslide & usable


def test_part_values_are_those_of_the_tiles():
    assert tuple(int(part) for part in Part) == (UNUSED, TRAIN, VALIDATION, TEST)


@settings(deadline=None, max_examples=25)
@given(
    side=st.sampled_from(SIDES),
    fraction=st.floats(0.15, 0.4),
    buffer=st.integers(0, 48),
    block_tiles=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_no_two_parts_come_nearer_than_the_buffer(side, fraction, buffer, block_tiles, seed):
    usable, _ = ragged()
    config = SplitConfig(
        test_side=side, test_fraction=fraction, buffer_px=buffer, block_tiles=block_tiles, seed=seed, tile=32
    )
    part = split_scene(usable, config, check=False).part
    assert not part[~usable].any()
    for one, other in ((TRAIN, TEST), (VALIDATION, TEST), (TRAIN, VALIDATION)):
        if (part == one).any() and (part == other).any():
            assert gap(part, one, other) > buffer
    # the test region is one contiguous piece on its side: a half-plane of the usable pixels
    lines = (part == TEST).any(axis=0 if side in ("east", "west") else 1)
    inside = (usable & (part != TEST)).any(axis=0 if side in ("east", "west") else 1)
    assert not (lines & inside).any()
    assert (part == TEST).sum() / usable.sum() >= fraction


def test_shares_come_near_what_was_asked_for():
    usable = np.ones((512, 1024), bool)
    part = split_scene(usable, SplitConfig(tile=32, buffer_px=0)).part
    assert (part == TEST).mean() == pytest.approx(0.25, abs=0.01)
    rest = part[part != TEST]
    assert (rest == VALIDATION).mean() == pytest.approx(0.3, abs=0.03)
    assert part[:, -1].min() == TEST


def test_validation_blocks_are_whole_and_aligned_to_tiles():
    usable = np.ones((384, 640), bool)
    split = split_scene(usable, SplitConfig(tile=32, block_tiles=2, buffer_px=8))
    for number in np.unique(split.block[split.part == VALIDATION]):
        rows, cols = np.nonzero(split.block == number)
        assert rows.min() % 64 == cols.min() % 64 == 0
        values = split.part[split.block == number]
        assert set(np.unique(values)) <= {VALIDATION, UNUSED, TEST}
    assert split.block.max() == 6 * 10 - 1


def test_random_design_draws_single_tiles_beside_training():
    usable = np.ones((384, 640), bool)
    part = split_scene(usable, SplitConfig(design="random", tile=32, buffer_px=16)).part
    assert gap(part, TRAIN, VALIDATION) == 1
    assert gap(part, TRAIN, TEST) > 16
    tiles = part.reshape(12, 32, 20, 32)
    assert all(len(set(np.unique(tiles[i, :, j])) & {TRAIN, VALIDATION}) <= 1 for i in range(12) for j in range(20))
    share = (part == VALIDATION).sum() / np.isin(part, (TRAIN, VALIDATION)).sum()
    assert share == pytest.approx(0.3, abs=0.03)


def test_same_seed_same_split_and_another_seed_another():
    usable, landslide = ragged()
    config = SplitConfig(tile=32, buffer_px=8)
    first, again = (split_scene(usable, config, landslide=landslide).part for _ in range(2))
    other = split_scene(usable, SplitConfig(tile=32, buffer_px=8, seed=5), landslide=landslide).part
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first == TEST, other == TEST)  # the test region hangs on no seed


def test_labels_never_move_the_test_region():
    usable, landslide = ragged()
    config = SplitConfig(tile=32, buffer_px=8)
    with_labels = split_scene(usable, config, landslide=landslide).part
    without = split_scene(usable, config).part
    assert np.array_equal(with_labels == TEST, without == TEST)


def test_folds_test_every_pixel_once():
    usable, _ = ragged()
    parts = [
        split_scene(usable, SplitConfig(tile=32, buffer_px=8, folds=4, fold=k), check=False).part for k in range(4)
    ]
    tested = sum((part == TEST).astype(int) for part in parts)
    assert np.array_equal(tested, usable.astype(int))
    shares = [(part == TEST).sum() / usable.sum() for part in parts]
    assert max(shares) - min(shares) < 0.05
    for part in parts:
        assert gap(part, TRAIN, TEST) > 8


@pytest.mark.parametrize(
    ("tile", "folds", "message"),
    [
        (128, 100, "folds = 100: over 600 pixels of the data a stripe would have 6.0, and needs 64; choose at most 9"),
        (1280, 2, "folds = 2: over 600 pixels .* needs 640; the data are too small for folds, leave them out"),
    ],
)
def test_stripes_too_thin_for_tiles_are_refused(tile, folds, message):
    with pytest.raises(SplitError, match=message):
        split_scene(np.ones((400, 600), bool), SplitConfig(tile=tile, folds=folds))


def test_more_folds_than_columns_of_patches_are_refused():
    row, col = (grid.ravel() for grid in np.mgrid[:6, :8])
    with pytest.raises(SplitError, match=r"over 8 rows or columns of patches .* choose at most 8"):
        split_patches(row, col, np.zeros(48), SplitConfig(folds=9), check=False)


def test_splits_are_kept_as_they_are_and_damaged_ones_refused(tmp_path):
    usable, _ = ragged()
    splits = [split_scene(usable, SplitConfig(tile=32)), split_scene(usable[:200], SplitConfig(tile=32))]
    save_splits(tmp_path / SPLIT, splits)
    for i, split in enumerate(splits):
        assert np.array_equal(load_part(tmp_path / SPLIT, i), split.part)
    with pytest.raises(FormatError, match=r"split\.npz: the split is damaged, or of other scenes; make it again"):
        load_part(tmp_path / SPLIT, 2)
    (tmp_path / SPLIT).write_bytes((tmp_path / SPLIT).read_bytes()[:200])
    with pytest.raises(FormatError, match="the split is damaged"):
        load_part(tmp_path / SPLIT, 0)


def test_given_region_is_the_test_region():
    usable, _ = ragged()
    polygon = np.zeros(usable.shape, bool)
    polygon[100:300, 200:420] = True
    part = split_scene(usable, SplitConfig(tile=32, buffer_px=20), test=polygon).part
    assert np.array_equal(part == TEST, polygon & usable)
    assert gap(part, TRAIN, TEST) > 20


def test_validation_is_not_left_without_landslides():
    usable = np.ones((256, 512), bool)
    landslide = np.zeros(usable.shape, bool)
    landslide[10:20, 10:20] = landslide[200:210, 300:310] = landslide[40:50, 480:490] = True
    for seed in range(8):
        split_scene(usable, SplitConfig(tile=32, block_tiles=2, buffer_px=0, seed=seed), landslide=landslide)


@pytest.mark.parametrize(("where", "name"), [((10, 10), "validation"), ((10, 500), "training")])
def test_a_part_without_a_single_landslide_is_refused(where, name):
    usable = np.ones((256, 512), bool)
    landslide = np.zeros(usable.shape, bool)
    landslide[where] = landslide[200, 490] = True
    with pytest.raises(SplitError, match=f"not a single landslide in the {name} part; choose another"):
        split_scene(usable, SplitConfig(tile=32, buffer_px=0), landslide=landslide)


def test_empty_and_too_small_areas_are_refused():
    with pytest.raises(SplitError, match="no usable pixel to split"):
        split_scene(np.zeros((64, 64), bool))
    with pytest.raises(SplitError, match="no training pixel is left by the split; lower buffer_px"):
        split_scene(np.ones((64, 64), bool), SplitConfig(tile=32, buffer_px=64))
    with pytest.raises(SplitError, match="'supplied' is for patch sets"):
        split_scene(np.ones((64, 64), bool), SplitConfig(design="supplied"))
    with pytest.raises(SplitError, match="fold 2: no test pixel"):
        check_parts(np.array([TRAIN, VALIDATION], np.uint8), None, where="fold 2")


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="tile size 100 is not a multiple of 32; take 96"):
        SplitConfig.from_dict({"tile": 100})
    with pytest.raises(ConfigError, match="fold below folds"):
        SplitConfig.from_dict({"folds": 3, "fold": 3})
    with pytest.raises(ConfigError, match="exclude each other"):
        SplitConfig.from_dict({"folds": 3, "test_regions": [1]})
    with pytest.raises(ConfigError, match="did you mean 'buffer_px'"):
        SplitConfig.from_dict({"buffer": 3})
    with pytest.raises(ValidationError):
        SplitConfig(test_fraction=1.0)


def patch_grid(rows=12, cols=16, seed=0):
    rng = np.random.default_rng(seed)
    keep = rng.random(rows * cols) < 0.8
    row, col = (axis.ravel()[keep] for axis in np.mgrid[:rows, :cols])
    region = np.ones(len(row), int)
    return np.tile(row, 2), np.tile(col, 2), np.concatenate([region, 3 * region])


@pytest.mark.parametrize("kind", [{}, {"folds": 3, "fold": 1}, {"test_regions": (3,)}, {"block_tiles": 3}])
def test_patches_of_different_parts_are_never_neighbours(kind):
    row, col, region = patch_grid()
    split = split_patches(row, col, region, SplitConfig(**kind))
    for one, other in ((TRAIN, TEST), (VALIDATION, TEST), (TRAIN, VALIDATION)):
        a, b = np.flatnonzero(split.part == one), np.flatnonzero(split.part == other)
        near = (np.abs(row[a, None] - row[b]) <= 1) & (np.abs(col[a, None] - col[b]) <= 1)
        assert not (near & (region[a, None] == region[b])).any()
    assert all((split.part == value).any() for value in PART_NAMES)


def test_blocks_never_join_regions_and_whole_regions_are_held_out():
    row, col, region = patch_grid()
    split = split_patches(row, col, region, SplitConfig(test_regions=(3,)))
    assert np.array_equal(split.part == TEST, region == 3)
    assert all(len(set(region[split.block == number])) == 1 for number in np.unique(split.block))
    with pytest.raises(SplitError, match="test region 9 is not in the data; there are: 1, 3"):
        split_patches(row, col, region, SplitConfig(test_regions=(9,)))


def test_supplied_validation_becomes_test_and_validation_is_drawn_anew():
    row, col, region = patch_grid()
    supplied = np.where(np.arange(len(row)) % 4 == 0, "validation", "train")
    split = split_patches(row, col, region, SplitConfig(design="supplied"), supplied=supplied)
    assert np.array_equal(split.part == TEST, supplied == "validation")
    rest = split.part[supplied == "train"]
    assert (rest == VALIDATION).mean() == pytest.approx(0.3, abs=0.02)
    assert not (rest == UNUSED).any()
    complete = np.where(np.arange(len(row)) % 9 == 0, "test", supplied)
    split = split_patches(row, col, region, SplitConfig(design="supplied"), supplied=complete)
    assert np.array_equal(split.part == VALIDATION, complete == "validation")
    with pytest.raises(SplitError, match="brings no split of its own"):
        split_patches(row, col, region, SplitConfig(design="supplied"))
    with pytest.raises(SplitError, match="has the word 'holdout'"):
        split_patches(row, col, region, SplitConfig(design="supplied"), supplied=np.full(len(row), "holdout"))


def test_no_patch_at_all_is_refused():
    none = np.zeros(0, int)
    with pytest.raises(SplitError, match="no patch to split"):
        split_patches(none, none, none)


def test_needs_neither_geodata_libraries_nor_numba():
    code = (
        "import sys\n"
        "for name in ('rasterio', 'geopandas', 'numba'): sys.modules[name] = None\n"
        "import landslip.splits, landslip.scoring"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real
def test_real_patches_are_split_without_neighbours():
    if not PATCHES.exists():
        pytest.skip(f"{PATCHES} is not there")
    with np.load(PATCHES) as content:
        row, col, region = (content[name].astype(int) for name in ("row", "col", "region"))
        landslide = (content["mask"] > 0).sum(axis=(1, 2))
    split = split_patches(row, col, region, SplitConfig(block_tiles=4), landslide=landslide)
    assert (split.part == TEST).mean() == pytest.approx(0.25, abs=0.02)
    assert (split.part == TRAIN).sum() > 500
    assert len(np.unique(split.block[split.part == TEST])) > 20
    for value in (1, 2, 4):
        east = col[(region == value) & (split.part == TEST)].min()
        assert not ((region == value) & (col >= east) & (split.part != TEST)).any()
