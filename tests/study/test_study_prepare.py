from dataclasses import replace

import numpy as np
import pytest
from pyproj import CRS

from helpers.study_area import make_area
from landslip.data.tileset import Part
from landslip.errors import SplitError
from landslip.layers.stack import as_raster
from landslip.splits import SplitConfig
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.folds import Fold, plan_folds
from landslip.study.guard import autocorrelation_range, guard
from landslip.study.prepare import prepare
from landslip.study.sources import Area, PatchPlaces, Source, number_landslides, open_source

BASE = ("blue", "green", "red", "slope")
LAYERS = (*BASE, "ngrdi", "red_obj", "ngrdi_obj")


def made(source, settings, layers=LAYERS):
    return prepare(source, BASE, layers, plan_folds(settings, source)[0], settings)


def test_poisoned_test_pixels_change_nothing_that_training_sees(settings):
    """Scale, bounds, statistics, objects and tiles of training are the same bytes."""
    settings = settings.model_copy(
        update={"objects": settings.objects.model_copy(update={"scale": "auto", "scales": (20.0, 60.0)})}
    )
    area = make_area()
    clean = made(Source((area,)), settings)
    test = clean.splits[0].part == Part.TEST
    rng = np.random.default_rng(9)
    poisoned = replace(
        area,
        bands={
            name: np.where(test, rng.normal(5, 3, test.shape), band).astype(np.float32)
            for name, band in area.bands.items()
        },
        label=np.where(test, rng.integers(0, 2, test.shape), area.label).astype(np.uint8),
        landslide=np.where(test, rng.integers(0, 9, test.shape) + 5000, area.landslide).astype(np.int32),
    )
    again = made(Source((poisoned,)), settings)
    assert again.tiles.recipe == clean.tiles.recipe
    assert np.array_equal(again.splits[0].part, clean.splits[0].part)
    for part in (Part.TRAIN, Part.VALIDATION):
        one, other = clean.tiles.of(part), again.tiles.of(part)
        for name in ("image", "label", "landslide", "row", "col", "block", "key"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert not np.array_equal(clean.tiles.of(Part.TEST).image, again.tiles.of(Part.TEST).image)


def test_poisoned_test_patches_change_nothing_that_training_sees():
    settings = patch_settings()
    source = patch_source()
    clean = made(source, settings, ("red", "green", "red_obj")).tiles
    test = np.isin(np.arange(len(source.places.row)), clean.key[clean.part == Part.TEST])
    rows = np.repeat(test, 32)[:, None] & np.ones((1, 32), bool)
    area = source.areas[0]
    bands = {name: np.where(rows, np.float32(7), band) for name, band in area.bands.items()}
    again = made(replace(source, areas=(replace(area, bands=bands),)), settings, ("red", "green", "red_obj")).tiles
    assert again.recipe == clean.recipe
    assert again.of(Part.TRAIN).image.tobytes() == clean.of(Part.TRAIN).image.tobytes()


def test_tiles_hold_the_layers_of_the_scene_and_nothing_of_other_parts(settings):
    area = make_area(pre=True)
    layers = (*LAYERS, "d_red")
    prepared = made(Source((area,)), settings, layers)
    tiles, part = prepared.tiles, prepared.splits[0].part
    assert set(tiles.part.tolist()) == {1, 2, 3}
    for i in range(0, len(tiles), 7):
        here = np.s_[tiles.row[i] : tiles.row[i] + 32, tiles.col[i] : tiles.col[i] + 32]
        inside = part[here] == tiles.part[i]
        red = tiles.image[i, layers.index("red")]
        assert np.array_equal(red[inside], area.bands["red"][here][inside])
        assert np.isnan(tiles.image[i][:, ~inside]).all()
        assert (tiles.label[i][~inside] == 255).all()
    # tiles without a pre-event image stay in the set for the rows that do without it
    without = np.isnan(tiles.image[:, layers.index("d_red")]).all(axis=(1, 2))
    assert without.any()
    assert tiles.select(BASE).counted().any(axis=(1, 2)).all()


def test_objects_never_reach_into_another_part(settings):
    prepared = made(Source((make_area(),)), settings)
    tiles = prepared.tiles
    mean = tiles.image[:, LAYERS.index("red_obj")]
    # equal object means in different parts would be the same object: means of noise never coincide
    values = {
        part: set(np.unique(mean[tiles.part == part][np.isfinite(mean[tiles.part == part])]).tolist())
        for part in (1, 2, 3)
    }
    assert not values[1] & values[2]
    assert not values[1] & values[3]


def test_several_scenes_one_held_out(settings):
    source = Source((make_area(seed=0, region=0), make_area(rows=160, cols=320, seed=1, region=1)))
    settings = settings.model_copy(update={"leave_one_region_out": True})
    folds = plan_folds(settings, source)
    assert [fold.name for fold in folds] == ["region0", "region1"]
    tiles = prepare(source, BASE, LAYERS, folds[1], settings).tiles
    assert (tiles.part[tiles.region == 1] == Part.TEST).all()
    assert not (tiles.part[tiles.region == 0] == Part.TEST).any()
    first, second = (set(np.unique(tiles.landslide[tiles.region == r])) - {0} for r in (0, 1))
    assert not first & second
    assert not set(tiles.block[tiles.region == 0]) & set(tiles.block[tiles.region == 1])


def test_overlapping_training_tiles_leave_the_others_alone(settings):
    data = settings.data.model_copy(update={"stride": 16})
    source = Source((make_area(),))
    plain = made(source, settings).tiles
    dense = made(source, settings.model_copy(update={"data": data})).tiles
    assert (dense.part == Part.TRAIN).sum() > 2 * (plain.part == Part.TRAIN).sum()
    assert np.array_equal(dense.of(Part.TEST).image, plain.of(Part.TEST).image, equal_nan=True)
    assert len(np.unique(dense.key)) == len(dense)


def test_scene_without_a_landslide_in_training_is_refused(settings):
    area = make_area()
    label = area.label.copy()
    label[:, :400] = 0
    with pytest.raises(SplitError, match="the scene: not a single landslide in the training part"):
        made(Source((replace(area, label=label),)), settings)


def patch_source(n=60, size=32):
    rng = np.random.default_rng(3)
    label = np.zeros((n, size, size), np.uint8)
    label[:, 5:12, 8:20] = 1
    label[::5] = 0
    image = (0.1 + 0.1 * label[:, None] + rng.normal(0, 0.03, (n, 3, size, size))).astype(np.float32)
    bands = {name: as_raster(image[:, i]) for i, name in enumerate(("red", "green", "blue"))}
    row, col = (axis.ravel().astype(np.int32) for axis in np.mgrid[:6, :10])
    places = PatchPlaces(row, col, np.ones(n, np.int32), np.arange(n), None, size)
    return Source(
        (Area(bands, as_raster(label), as_raster(number_landslides(label)), scaling="per-patch-maximum"),), places
    )


def patch_settings(**split):
    return StudyConfig(
        data=DataConfig(patches="p.npz", scale_patches=5),
        split=SplitConfig(block_tiles=1, buffer_px=32, **split),
        objects={"scales": (20.0, 40.0)},
    )


def test_patches_keep_their_scaling_and_places():
    tiles = made(patch_source(), patch_settings(), ("red", "green", "red_obj")).tiles
    assert tiles.recipe.scaling == "per-patch-maximum"
    assert tiles.recipe.objects.chosen_by == "fitness"
    assert not (tiles.part == Part.UNUSED).any()
    assert tiles.col[tiles.part == Part.TEST].min() > tiles.col[tiles.part == Part.TRAIN].max() + 1


def test_folds_of_patches_test_each_patch_once():
    source = patch_source()
    settings = patch_settings(folds=3)
    folds = plan_folds(settings, source)
    keys = [prepare(source, ("red",), ("red",), fold, settings).tiles.of(Part.TEST).key for fold in folds]
    assert sorted(np.concatenate(keys).tolist()) == list(range(60))


def test_landslides_are_numbered_within_patches():
    label = np.zeros((2, 4, 4), np.uint8)
    label[:, :2, :2] = 1
    label[1, 2, 2] = 1  # touches by the corner
    label[0, 3, 3] = 255
    numbered = number_landslides(label)
    assert sorted(np.unique(numbered).tolist()) == [0, 1, 2]
    assert numbered[1, 2, 2] == numbered[1, 0, 0] == 2


def test_guard_measures_the_gap_and_the_range(settings):
    prepared = made(Source((make_area(),)), settings)
    found = guard(prepared.tiles, prepared.splits, Fold("main", settings.split, ""), refuse=False)
    assert found["distance_px"] == 8
    assert found["verdict"] == ("ok" if found["range_px"] <= 8 else "warning")


def test_guard_refuses_patches_that_touch():
    settings = patch_settings()
    tiles = made(patch_source(), settings, ("red",)).tiles
    fold = Fold("main", settings.split, "")
    assert guard(tiles, (), fold, refuse=False)["distance_px"] == 32
    touching = replace(tiles, part=np.where(tiles.col % 2, Part.TRAIN, Part.TEST).astype(np.uint8))
    assert guard(touching, (), fold, refuse=False)["verdict"] == "leaks"
    with pytest.raises(SplitError, match=r"test pixels touch training or validation pixels .*wider buffer"):
        guard(touching, (), fold, refuse=True)
    apart = replace(touching, region=np.where(tiles.col % 2, 1, 2).astype(np.int32))
    assert guard(apart, (), fold, refuse=True)["distance_px"] is None


def test_guard_speaks_plainly_where_the_range_is_open(settings):
    tiles = made(Source((make_area(),)), settings).tiles
    half = np.zeros(tiles.label.shape, np.uint8)
    half[: len(tiles) // 2] = 1  # whole tiles alike: no lag within a tile is long enough
    found = guard(replace(tiles, label=half), (), Fold("main", settings.split, ""), refuse=False)
    assert "alike over more than 16 px" in found["text"]


def test_guard_measures_tiles_of_a_scene_pixel_by_pixel(settings):
    # parts end within tiles, which then stand for both: their pixels are apart all the same
    config = settings.model_copy(update={"split": SplitConfig(tile=32, block_tiles=1, buffer_px=8, test_fraction=0.27)})
    prepared = made(Source((make_area(),)), config)
    fold = Fold("main", config.split, "")
    apart = guard(prepared.tiles, prepared.splits, fold, refuse=False)["distance_px"]
    assert apart == 8
    assert guard(prepared.tiles, (), fold, refuse=False)["distance_px"] == apart


def test_guard_sees_scenes_that_lie_on_one_another(settings):
    from landslip.grid import Grid

    def placed(region, west):
        area = make_area(seed=region, region=region)
        grid = Grid.from_bounds((west, 0, west + 5120, 2560), 10, CRS.from_epsg(32651))
        return replace(area, about={"path": f"scene{region}", "grid": grid.to_dict()})

    for west, verdict in ((400_000, {"leaks"}), (500_000, {"ok", "warning"})):
        source = Source((placed(0, 400_000), placed(1, west)))
        split = settings.split.model_copy(update={"test_regions": (1,)})
        prepared = made(source, settings.model_copy(update={"split": split}))
        found = guard(prepared.tiles, prepared.splits, Fold("main", split, ""), refuse=False)
        assert found["verdict"] in verdict


def test_guard_knows_no_distance_between_patches_without_places():
    settings = patch_settings()
    source = patch_source()
    source = replace(source, places=replace(source.places, placed=False))
    tiles = made(source, settings, ("red",)).tiles
    found = guard(tiles, (), Fold("main", settings.split, ""), refuse=False)
    assert (found["distance_px"], found["verdict"]) == (None, "warning")
    assert "do not say where they lie" in found["text"]


def test_autocorrelation_range_of_squares_is_their_edge():
    rng = np.random.default_rng(0)
    for edge in (4, 8):
        field = np.kron(rng.normal(size=(40, 64 // edge, 64 // edge)), np.ones((1, edge, edge))).astype(np.float32)
        reach, open_ended = autocorrelation_range(field, np.ones(field.shape, bool))
        assert not open_ended
        assert edge - 2 <= reach <= edge + 1  # the triangle falls to a tenth just before the edge
    noise = rng.normal(size=(20, 32, 32)).astype(np.float32)
    assert autocorrelation_range(noise, np.ones(noise.shape, bool)) == (1, False)
    assert autocorrelation_range(np.ones((2, 8, 8), np.float32), np.ones((2, 8, 8), bool)) == (0, False)


def test_only_the_patches_and_bands_that_are_wanted_are_read(tmp_path, monkeypatch):
    from landslip.data.npz import NpzFile
    from landslip.study.design import bands_of_study

    rng = np.random.default_rng(0)
    names = ("red", "green", "blue", "nir", "swir1", "slope", "elevation")
    image = rng.random((12, 32, 32, len(names)), np.float32)
    mask = (rng.random((12, 32, 32)) > 0.8).astype(np.uint8)
    np.savez(tmp_path / "p.npz", image=image, mask=mask, bands=np.array(names), row=np.arange(12), col=np.arange(12))
    read = []
    original = NpzFile.read
    monkeypatch.setattr(
        NpzFile, "read", lambda self, i, bands: read.append((i, len(bands))) or original(self, i, bands)
    )
    data = DataConfig(patches=tmp_path / "p.npz", limit=8)
    config = StudyConfig(data=data)
    source = open_source(data, seed=3, bands=lambda there: bands_of_study(config, there))
    assert source.bands == ("red", "green", "blue", "nir", "slope")
    assert {count for _, count in read} == {5}
    assert {i for i, _ in read} == set(source.places.index.tolist())
    whole = open_source(data, seed=3)
    assert set(whole.bands) == set(names)
    for name in source.bands:
        np.testing.assert_array_equal(source.areas[0].bands[name], whole.areas[0].bands[name])
    np.testing.assert_array_equal(
        whole.areas[0].bands["swir1"].reshape(8, 32, 32), image[whole.places.index, :, :, names.index("swir1")]
    )
    assert source.places.placed


def test_patches_whose_order_stands_for_places_are_not_taken_to_be_placed(tmp_path):
    image = np.random.default_rng(0).random((9, 32, 32, 3), np.float32)
    np.savez(tmp_path / "p.npz", image=image, mask=(image[..., 0] > 0.8).astype(np.uint8))
    assert not open_source(DataConfig(patches=tmp_path / "p.npz")).places.placed
