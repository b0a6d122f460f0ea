import numpy as np
import pytest

from landslip.scoring import area_frequency, per_landslide


def draw(text):
    return np.array([[int(c) if c.isdigit() else 0 for c in line] for line in text.split()], np.int32)


def test_merged_and_split_landslides_are_matched_one_to_many():
    mapped = draw("1120000 1120033 0000033 0000000 4444000")
    pred = draw("1110000 1110000 0000000 0000000 1011000") > 0
    scores = per_landslide(pred, mapped, pixel_area_m2=100)
    # one object covers landslides 1 and 2; landslide 4 is covered by two objects; 3 is missed
    assert scores.overall.mapped == 4
    assert scores.overall.found_any == scores.overall.found_half == 3
    assert scores.overall.predicted == 3
    assert scores.overall.real_half == 3
    assert scores.overall.to_dict()["recall_half"] == 0.75
    assert dict(zip(scores.ids.tolist(), scores.covered.tolist(), strict=True)) == {1: 1, 2: 1, 3: 0, 4: 0.75}


def test_by_half_is_stricter_than_any():
    mapped = draw("1111110000")
    pred = draw("0000011111") > 0
    overall = per_landslide(pred, mapped).overall
    assert (overall.found_any, overall.found_half) == (1, 0)
    assert (overall.real_any, overall.real_half) == (1, 0)
    assert overall.to_dict()["f1_half"] == 0
    assert overall.to_dict()["f1_any"] == 1


def test_size_classes_share_out_everything():
    rng = np.random.default_rng(3)
    mapped = np.kron(rng.integers(0, 2, (20, 20)) * np.arange(1, 401).reshape(20, 20), np.ones((3, 3), int))
    pred = rng.random(mapped.shape) < 0.3
    scores = per_landslide(pred, mapped)
    for name in ("mapped", "found_any", "found_half", "predicted", "real_any", "real_half"):
        assert sum(getattr(one, name) for one in scores.classes) == getattr(scores.overall, name)
    assert scores.classes[0].mapped == len(np.unique(mapped)) - 1  # 9 pixels are 900 m²


def test_objects_do_not_connect_across_tiles_and_ids_do():
    mapped = np.zeros((2, 3, 3), np.int32)
    mapped[0, :, 2] = 7
    mapped[1, :, 0] = 7
    pred = mapped > 0
    pred[1] = False
    scores = per_landslide(pred, mapped)
    assert scores.overall.mapped == 1
    assert scores.covered[0] == pytest.approx(0.5)
    assert per_landslide(mapped > 0, mapped).overall.predicted == 2


def test_pixels_that_do_not_count_are_neither_mapped_nor_predicted():
    mapped = draw("1100220")
    valid = np.array([[True, True, True, True, False, False, False]])
    scores = per_landslide(np.ones_like(valid), mapped, valid)
    assert scores.ids.tolist() == [1]
    assert scores.overall.predicted == 1
    everywhere = per_landslide(np.ones((2, 2), bool), np.ones((2, 2), np.int32))
    assert everywhere.overall.found_half == 1
    assert per_landslide(np.zeros((2, 2), bool), np.zeros((2, 2), np.int32)).overall.to_dict()["recall_any"] is None


def test_area_frequency_is_a_density():
    rng = np.random.default_rng(0)
    areas = 10 ** rng.uniform(2, 5, 4000)
    result = area_frequency(areas)
    assert result.count.sum() == 4000
    # density times area is flat for log-uniform areas: 1 / ln(1000)
    inner = (result.density_per_m2 * result.area_m2)[1:-1]
    assert inner == pytest.approx(1 / np.log(1000), rel=0.15)
    assert area_frequency(np.zeros(3)).count.size == 0
    assert area_frequency(np.zeros(3)).median_m2 is None
    assert area_frequency(np.array([100.0])).count.tolist() == [1]
    assert result.to_dict()["landslides"] == 4000
    assert (result.median_m2, result.largest_m2, result.total_m2) == (np.median(areas), areas.max(), areas.sum())
