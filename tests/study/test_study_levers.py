from dataclasses import replace

import numpy as np
import pytest

from helpers.study_area import make_area
from landslip.data.tileset import UNKNOWN, Part
from landslip.study.config import DataConfig, StudyConfig
from landslip.study.folds import plan_folds
from landslip.study.forest import fit_forest, out_of_fold
from landslip.study.levers import Levers, add_noise, clean_labels, ignore_boundary, pull
from landslip.study.prepare import prepare
from landslip.study.sources import Source

ALL = Levers(
    noise_drop=0.1,
    noise_shift_px=1,
    clean="drop",
    ignore_boundary_px=1,
    copy_paste=0.5,
    balanced=True,
    hard_negatives=0.25,
)


@pytest.fixture(scope="module")
def tiles():
    config = StudyConfig(
        data=DataConfig(scene="x"), split={"tile": 32, "block_tiles": 1, "buffer_px": 8}, objects={"scale": 40.0}
    )
    layers = ("red", "green", "slope", "red_obj", "slope_obj")
    return prepare(Source((make_area(192, 320),)), layers[:3], layers, plan_folds(config, None)[0], config).tiles


@pytest.fixture(scope="module")
def train(tiles):
    return tiles.of(Part.TRAIN)


def test_levers_change_training_tiles_alone(tiles):
    pulled = pull(tiles, ALL, seed=0)
    for part in (Part.VALIDATION, Part.TEST):
        one, other = tiles.of(part), pulled.of(part)
        for name in ("image", "label", "landslide", "key"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert len(pulled) > len(tiles)
    assert len(np.unique(pulled.key)) == len(pulled)
    assert len(np.unique(pulled.key * 8)) == len(pulled)  # as the draws number them
    again = pull(tiles, ALL, seed=0)
    assert again.image.tobytes() == pulled.image.tobytes()
    assert again.label.tobytes() == pulled.label.tobytes()
    assert pull(tiles, Levers(), seed=0) is tiles


def test_boundary_becomes_unknown_on_both_sides(train):
    label = np.zeros_like(train.label[:1])
    label[0, 10:20, 10:20] = 1
    one = ignore_boundary(replace(train.subset(np.array([0])), label=label), 1).label[0]
    assert (one == UNKNOWN).sum() == 12**2 - 8**2
    assert (one == 1).sum() == 8**2


def test_copy_paste_brings_pixels_and_labels_together(tiles, train):
    pulled = pull(tiles, Levers(copy_paste=1.0), seed=3).of(Part.TRAIN)
    new = pulled.subset(np.arange(len(train), len(pulled)))
    assert len(new) == len(train)
    assert (new.label == 1).sum() > (train.label == 1).sum()
    known = {tuple(values) for values in np.moveaxis(train.image, 1, -1)[train.label == 1].tolist()}
    assert {tuple(values) for values in np.moveaxis(new.image, 1, -1)[new.label == 1].tolist()} <= known


def test_balanced_sampling_evens_out(tiles):
    emptied = replace(tiles, label=np.where((np.arange(len(tiles)) % 4 > 0)[:, None, None], np.uint8(0), tiles.label))
    pulled = pull(emptied, Levers(balanced=True), seed=0).of(Part.TRAIN)
    has = (pulled.label == 1).any(axis=(1, 2))
    assert has.sum() == (~has).sum()


def test_noise_forgets_and_moves_as_told(train):
    rng = np.random.default_rng(0)
    ids = np.unique(train.landslide[train.label == 1])
    noisy = add_noise(train, 0.5, 0, rng)
    left = np.unique(noisy.landslide[noisy.label == 1])
    assert len(left) == len(ids) - round(0.5 * len(ids))
    assert ((noisy.label == 1) <= (train.label == 1)).all()
    moved = add_noise(train, 0.0, 3, rng)
    assert not np.array_equal(moved.label, train.label)
    assert ((train.label == UNKNOWN) == (moved.label == UNKNOWN)).all()


def test_clean_up_drops_a_planted_error_and_keeps_the_rest(train):
    wrong = train.label.copy()
    ids = train.landslide.copy()
    tile = int(np.argmax(((train.label == 0) & train.valid()).sum(axis=(1, 2))))
    spot = np.zeros(wrong.shape, bool)
    spot[tile, 4:9, 4:9] = True
    spot &= (train.label == 0) & train.valid()
    assert spot.any()
    wrong[spot], ids[spot] = 1, 9999
    cleaned = clean_labels(replace(train, label=wrong, landslide=ids), "drop", seed=0)
    assert (cleaned.label[spot] == UNKNOWN).all()
    kept = (cleaned.label == 1) & (train.label == 1)
    assert kept.sum() > 0.9 * (train.label == 1).sum()


def test_clean_up_moves_shifted_landslides_back(train):
    shifted = add_noise(train, 0.0, 0, np.random.default_rng(0))
    label = np.roll(shifted.label, 2, axis=2)
    label[:, :, :2] = 0
    known = train.label != UNKNOWN
    off = replace(train, label=np.where(known, label, train.label), landslide=np.roll(train.landslide, 2, axis=2))
    mended = clean_labels(off, "shift", seed=0)

    def agreement(one):
        return ((one.label == 1) & (train.label == 1)).sum()

    assert agreement(mended) > agreement(off)


def test_hard_negatives_are_the_tiles_with_most_false_alarms(tiles, train):
    pulled = pull(tiles, Levers(hard_negatives=0.25), seed=0).of(Part.TRAIN)
    assert len(pulled) - len(train) == round(0.25 * len(train))


def test_forest_learns_and_its_folds_do_not_see_their_own_labels(tiles, train):
    probability, facts = fit_forest(tiles, seed=0)
    test = tiles.part == Part.TEST
    counted = tiles.counted()[test]
    pred, truth = (probability[test] >= 0.5)[counted], (tiles.label[test] == 1)[counted]
    assert 2 * (pred & truth).sum() / (pred.sum() + truth.sum()) > 0.8
    assert facts["objects"] > 50
    honest = out_of_fold(train, seed=0)
    block = train.block == train.block[0]
    flipped = replace(
        train, label=np.where(block[:, None, None] & (train.label < 2), 1 - train.label, train.label).astype(np.uint8)
    )
    assert np.array_equal(out_of_fold(flipped, seed=0)[block], honest[block])
